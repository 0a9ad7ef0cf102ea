/** Adds the ports that the caller takes to a configuration. */
import { Service } from "../../abi/tcp.js";
import { Failure } from "../base/failure.js";
import { PORT_PROTOCOLS, type PortProtocol } from "../config/types.js";
import type { PortService } from "../prefix/policy.js";
import { formatPorts, parsePorts } from "../prefix/ports.js";
import { parsePrefix } from "../prefix/prefixes.js";
import { streamService } from "../prefix/streams.js";
import { PongdError } from "./error.js";
import type { Taken } from "./messages.js";

type Ports = Readonly<Record<string, string>>;
type PortMaps = Readonly<Partial<Record<PortProtocol, Ports>>>;
type Entry = string | (PortMaps & { readonly prefix: string });
interface Document extends PortMaps {
  readonly prefixes: readonly Entry[];
}

/** Returns a configuration that was right, with the ports that are taken. @throws PongdError (ERR_PONGD_PORT) */
export function withTaken(configuration: unknown, taken: readonly Taken[]): unknown {
  return taken.reduce<Document>((document, each) => {
    const { protocol } = each;
    if (each.prefix === undefined) return { ...document, [protocol]: added(document[protocol], each) };
    const wanted = normal(each.prefix);
    const texts = document.prefixes.map((entry) => typeof entry === "string" ? entry : entry.prefix);
    const at = texts.findIndex((text) => normal(text) === wanted);
    if (at < 0) throw new PongdError("ERR_PONGD_PORT", `${each.prefix} is none of the prefixes`);
    const entry = document.prefixes[at];
    const own = typeof entry === "string" ? { prefix: entry } : entry;
    return { ...document, prefixes: document.prefixes.with(at, { ...own, [protocol]: added(own[protocol], each) }) };
  }, configuration as Document);
}

/** Returns the services that ports have which are taken. */
export function servicesOf(taken: readonly Taken[]): Record<PortProtocol, PortService[]> {
  const [tcp, udp] = PORT_PROTOCOLS.map(
    (protocol) => taken.filter((each) => each.protocol === protocol).map((each) => serviceOf(each)),
  );
  return { tcp, udp };
}

function serviceOf(taken: Taken): PortService {
  const stream = streamService(nameOf(taken), { caller: taken.id });
  const id = Buffer.from(stream.id, "hex");
  const { name } = stream;
  if (taken.protocol === "udp") {
    const anySource = taken.sources === "any";
    return { name, kind: Service.datagram, bytes: Buffer.of(...id, anySource ? 1 : 0), stream, anySource };
  }
  return { name, kind: taken.peerFirst ? Service.http : Service.stream, bytes: id, stream };
}

/** No name of a configuration's has a colon and a space. */
function nameOf({ protocol, ports, prefix }: Taken): string {
  return `${prefix === undefined ? "" : `${normal(prefix)} `}${protocol === "udp" ? "UDP " : ""}port ${ports}`;
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
