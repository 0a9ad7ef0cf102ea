/** Makes the commands that list something of a running pongd. */
import { Command, Option } from "commander";
import { EXIT, Failure } from "../base/failure.js";
import { tell } from "../base/log.js";
import { DEFAULT_LIMIT, type ListName } from "../telemetry/lists.js";
import { DEFAULT_ADDRESS, parseMetricsAddress } from "../top/address.js";
import type { Form } from "../top/listing.js";
import { credentialsOf, withCredentials, withPassword, type CredentialFlags } from "./credentials.js";
import { notes } from "./notes.js";

/** Timeout of a list. Of a million connections, few of which are wanted, it takes seconds. */
const TIMEOUT_MS = 60_000;

interface Flags extends CredentialFlags {
  json?: boolean;
  readonly [parameter: string]: unknown;
}

/** A list that a command shows. */
export interface Shown {
  readonly name: ListName;
  readonly description: string;
  /** The option that chooses by what a line is. */
  readonly kind: Option;
  /** Notes and examples for the help. */
  readonly notes: string;
  /** Parameters of the list, which options have as they are. */
  readonly parameters: readonly string[];
  /** Reads parameters. @throws Failure (usage) */
  readonly queryOf: (parameters: URLSearchParams, dashes: string) => { readonly limit: number };
  readonly form: () => Promise<Form>;
  /** The metric whose label `service` has every service that may be in the list, and what these do. */
  readonly services: { readonly metric: string; readonly do: string };
}

export function listCommand(shown: Shown): Command {
  const command = new Command(shown.name)
    .description(shown.description)
    .argument("[url]", "where it serves its metrics, as URL, host:port or unix:PATH", DEFAULT_ADDRESS)
    .addOption(shown.kind)
    .option("--local <prefix>", "only those of pongd's addresses in this prefix")
    .option("--remote <prefix>", "only those with addresses in this prefix")
    .option("--port <port>", "only those to this port of pongd")
    .option("--service <service>", "only those with this service")
    .addOption(new Option("--limit <n>", "as many at most, 1 to 50000")
      .default(String(DEFAULT_LIMIT), String(DEFAULT_LIMIT)))
    .option("--json", "an object a line");
  return withCredentials(command)
    .addHelpText("after", notes(shown.notes))
    .action((text: string, flags: Flags) => list(shown, text, flags));
}

/** Prints the list of the pongd whose metrics are at the address. */
async function list(
  { name, parameters: known, queryOf, form, services }: Shown, text: string, flags: Flags,
): Promise<void> {
  const parameters = new URLSearchParams();
  for (const parameter of known) {
    const value = flags[parameter];
    if (typeof value === "string") parameters.set(parameter, value);
  }
  const { limit } = queryOf(parameters, "--");
  const { listAt, Lines } = await import("../top/listing.js");
  const shape = await form();
  const metrics = withPassword(parseMetricsAddress(text), flags.passwordFile);
  const address = listAt(metrics, name, parameters);
  const credentials = credentialsOf(address, flags);
  const { Client, ScrapeError } = await import("../top/client.js");
  const client = new Client(
    address, credentials, { what: name, accept: "application/x-ndjson", timeoutMs: TIMEOUT_MS },
  );
  const scrape = new Client(metrics, credentials, { what: "metrics", accept: "text/plain", timeoutMs: TIMEOUT_MS });
  try {
    const lines = await client.get((body) => new Lines(body, shape));
    process.stdout.write(flags.json ? lines.json() : lines.text());
    if (lines.count === 0) {
      const service = parameters.get("service");
      const label = `\n${services.metric}{service=${JSON.stringify(service)},`;
      const isKnown = service === null || await scrape.get((body) => body.includes(label));
      if (isKnown) tell("info", `no ${name}`);
      else tell("warn", `no port has a service ${JSON.stringify(service)} that ${services.do}`);
    }
    if (lines.count === limit) tell("warn", `there may be more than these ${limit}; see --limit`);
  } catch (error) {
    throw error instanceof ScrapeError ? new Failure(error.message, EXIT.RUNTIME, { cause: error }) : error;
  } finally {
    client.close();
    scrape.close();
  }
}
