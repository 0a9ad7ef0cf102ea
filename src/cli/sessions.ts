import { Option, type Command } from "commander";
import { SESSION_PROTOCOLS } from "../engine/sessions.js";
import { SESSION_PARAMETERS, sessionsQueryOf } from "../telemetry/sessions.js";
import { listCommand } from "./lists.js";

export function sessionsCommand(): Command {
  const kind = new Option("--protocol <protocol>", "only those of this protocol");
  // Option.choices() would refuse others in other words than the rest.
  kind.argChoices = [...SESSION_PROTOCOLS];
  return listCommand({
    name: "sessions",
    description: "List the STAMP and IRTT sessions of a running pongd. Needs no rights.",
    kind,
    parameters: SESSION_PARAMETERS,
    queryOf: sessionsQueryOf,
    form: async () => (await import("../top/sessions.js")).SESSIONS,
    services: { metric: "pongd_udp_datagrams_total", do: "takes datagrams" },
    notes: `
A line each: protocol, addresses, what tells sessions of the same ends from each other (the SSID of STAMP, or the
place in the table of IRTT), packets that came, time since the session began and since the last packet, and service.
There is no order. A list that ends at its limit says so.

Examples:
  pongd sessions
  pongd sessions --protocol irtt --remote 192.0.2.0/24
  pongd sessions --json | jq 'select(.idleMs > 10000)'`,
  });
}
