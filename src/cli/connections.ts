import { Option, type Command } from "commander";
import { PARAMETERS, queryOf, STATE_NAMES } from "../telemetry/connections.js";
import { listCommand } from "./lists.js";

export function connectionsCommand(): Command {
  return listCommand({
    name: "connections",
    description: "List the TCP connections of a running pongd. Needs no rights.",
    kind: statesOption(),
    parameters: PARAMETERS,
    queryOf,
    form: async () => (await import("../top/connections.js")).CONNECTIONS,
    services: { metric: "pongd_tcp_accepted_total", do: "accepts connections" },
    notes: `
Two lines each: state, addresses, service and prefix; then options of TCP, times, and sizes in bytes. There is no order. A list that ends at
its limit says so.

Without --state, all but time-wait are listed.

Examples:
  pongd connections
  pongd connections --remote 192.0.2.0/24 --port 80
  pongd connections --state time-wait --limit 20
  pongd connections --json | jq 'select(.retransmits > 0)'`,
  });
}

function statesOption(): Option {
  const about = "only connections in these states, separated by commas, or all (time-wait included)";
  const option = new Option("--state <states>", about);
  // Option.choices() would take a list for one word.
  option.argChoices = [...STATE_NAMES, "all"];
  return option;
}
