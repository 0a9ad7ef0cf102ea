/** Adds the ports that the caller takes to a configuration. */
import { Service } from "../../abi/tcp.js";
import { Failure } from "../base/failure.js";
import type { TcpService } from "../prefix/policy.js";
import { formatPorts, parsePorts } from "../prefix/ports.js";
import { parsePrefix } from "../prefix/prefixes.js";
import { streamService } from "../prefix/streams.js";
import { PongdError } from "./error.js";
import type { Taken } from "./messages.js";

type Entry = string | { readonly prefix: string; readonly tcp?: Ports };
type Ports = Readonly<Record<string, string>>;
interface Document {
  readonly prefixes: readonly Entry[];
  readonly tcp?: Ports;
}

/** Returns a configuration that was right, with the ports that are taken. @throws PongdError (ERR_PONGD_PORT) */
export function withTaken(configuration: unknown, taken: readonly Taken[]): unknown {
  return taken.reduce<Document>((document, each) => {
    if (each.prefix === undefined) return { ...document, tcp: added(document.tcp, each) };
    const wanted = normal(each.prefix);
    const texts = document.prefixes.map((entry) => typeof entry === "string" ? entry : entry.prefix);
    const at = texts.findIndex((text) => normal(text) === wanted);
    if (at < 0) throw new PongdError("ERR_PONGD_PORT", `${each.prefix} is none of the prefixes`);
    const entry = document.prefixes[at];
    const own = typeof entry === "string" ? { prefix: entry } : entry;
    return { ...document, prefixes: document.prefixes.with(at, { ...own, tcp: added(own.tcp, each) }) };
  }, configuration as Document);
}

/** Returns the service that ports have which are taken. */
export function serviceOf({ id, ports, prefix, peerFirst }: Taken): TcpService {
  const stream = streamService(nameOf({ ports, prefix }), { caller: id });
  const kind = peerFirst ? Service.http : Service.stream;
  return { name: stream.name, kind, bytes: Buffer.from(stream.id, "hex"), stream };
}

/** No name of a configuration's has a colon and a space. */
function nameOf({ ports, prefix }: Pick<Taken, "ports" | "prefix">): string {
  return `${prefix === undefined ? "" : `${normal(prefix)} `}port ${ports}`;
}

function added(there: Ports = {}, taken: Taken): Ports {
  const range = parsePorts(taken.ports);
  if (!range) {
    const what = `"${taken.ports}" is not a port; expected 1 to 65535, or a range like 8000-8010`;
    throw new PongdError("ERR_PONGD_PORT", what);
  }
  for (const [text, service] of Object.entries(there)) {
    const other = parsePorts(text);
    if (!other || other.last < range.first || range.last < other.first) continue;
    throw new PongdError("ERR_PONGD_PORT", `port ${formatPorts(range)} is taken: ${text} has the service "${service}"`);
  }
  return { ...there, [taken.ports]: nameOf(taken) };
}

/** Returns a prefix as all of its kind are written; one that is none stays as it is. */
function normal(prefix: string): string {
  try {
    return parsePrefix(prefix).text;
  } catch (error) {
    if (error instanceof Failure) return prefix;
    throw error;
  }
}
