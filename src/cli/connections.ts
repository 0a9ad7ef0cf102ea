import { Command, Option } from "commander";
import { EXIT, Failure } from "../base/failure.js";
import { tell } from "../base/log.js";
import { DEFAULT_LIMIT, PARAMETERS, queryOf, STATE_NAMES } from "../telemetry/connections.js";
import { DEFAULT_ADDRESS, parseMetricsAddress } from "../top/address.js";
import { credentialsOf, withCredentials, withPassword, type CredentialFlags } from "./credentials.js";
import { notes } from "./notes.js";

/** Timeout of a list. Of a million connections, few of which are wanted, it takes seconds. */
const TIMEOUT_MS = 60_000;

interface Flags extends CredentialFlags, Partial<Record<typeof PARAMETERS[number], string>> {
  json?: boolean;
}

export function connectionsCommand(): Command {
  const command = new Command("connections")
    .description("List the TCP connections of a running pongd. Needs no rights.")
    .argument("[url]", "where it serves its metrics, as URL, host:port or unix:PATH", DEFAULT_ADDRESS)
    .addOption(statesOption())
    .option("--local <prefix>", "only those of pongd's addresses in this prefix")
    .option("--remote <prefix>", "only those with addresses in this prefix")
    .option("--port <port>", "only those to this port of pongd")
    .option("--service <service>", "only those with this service")
    .addOption(new Option("--limit <n>", "as many at most, 1 to 50000")
      .default(String(DEFAULT_LIMIT), String(DEFAULT_LIMIT)))
    .option("--json", "an object a line");
  return withCredentials(command)
    .addHelpText("after", notes(`
Two lines each: state, addresses, service and prefix; then options of TCP, times, and sizes in bytes. There is no order. A list that ends at
its limit says so.

Without --state, all but time-wait are listed.

Examples:
  pongd connections
  pongd connections --remote 192.0.2.0/24 --port 80
  pongd connections --state time-wait --limit 20
  pongd connections --json | jq 'select(.retransmits > 0)'`))
    .action(async (text: string, flags: Flags) => {
      const parameters = new URLSearchParams();
      for (const name of PARAMETERS) {
        const value = flags[name];
        if (value !== undefined) parameters.set(name, value);
      }
      const { limit } = queryOf(parameters, "--");
      const { connectionsAt, isService, Lines } = await import("../top/connections.js");
      const metrics = withPassword(parseMetricsAddress(text), flags.passwordFile);
      const address = connectionsAt(metrics, parameters);
      const credentials = credentialsOf(address, flags);
      const { Client, ScrapeError } = await import("../top/client.js");
      const client = new Client(
        address, credentials,
        { what: "connections", accept: "application/x-ndjson", timeoutMs: TIMEOUT_MS },
      );
      const { service } = flags;
      const scrape = new Client(metrics, credentials, { what: "metrics", accept: "text/plain", timeoutMs: TIMEOUT_MS });
      try {
        const lines = await client.get((body) => new Lines(body));
        process.stdout.write(flags.json ? lines.json() : lines.text());
        if (lines.count === 0) {
          const known = service === undefined || await scrape.get((body) => isService(body, service));
          if (known) tell("info", "no connections");
          else tell("warn", `no port has a service ${JSON.stringify(service)} that accepts connections`);
        }
        if (lines.count === limit) tell("warn", `there may be more than these ${limit}; see --limit`);
      } catch (error) {
        throw error instanceof ScrapeError ? new Failure(error.message, EXIT.RUNTIME, { cause: error }) : error;
      } finally {
        client.close();
        scrape.close();
      }
    });
}

function statesOption(): Option {
  const about = "only connections in these states, separated by commas, or all (time-wait included)";
  const option = new Option("--state <states>", about);
  // Option.choices() would take a list for one word.
  option.argChoices = [...STATE_NAMES, "all"];
  return option;
}
