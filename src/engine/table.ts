/**
 * Tables: what an engine looks up about a packet's addresses (abi/tables.ts). The prefixes are laid out as tries over
 * the bits of an address, one for each family. A lookup takes a bounded number of loads. Nesting costs nothing, because
 * the longest match is decided here.
 */
import {
  ANSWER_ECHO, ANSWER_ERRORS, ANSWER_PROBE, ANSWER_TCP, ANSWER_TIMESTAMP, ANSWER_UDP, FIRST_NODE, FIRST_PREFIX, HOST,
  HOST6, HOST6_OWNER, HOST_OWNER, INVALID, LIMIT_PREFIX, LIMIT_SOURCE, LINKED, NOBODY, PATHED, PREFIX_ANSWERS,
  SOURCE_LIMIT, SOURCE_ROUTE, TRIE, TRIE6, UNREACHABLE_OTHER_SHIFT, UNREACHABLE_UDP_SHIFT,
} from "../../abi/tables.js";
import {
  FAMILIES, formatBytes, lastOf, NEVER_VALID, sizeOf, sumOf, type Address, type Family, type Prefix, type Serving,
} from "../prefix/prefixes.js";
import type { Link } from "../prefix/link.js";
import type { Limit, PortRange, PortService } from "../prefix/policy.js";
import { PAGE } from "../prefix/streams.js";
import { bucketOf } from "./limits.js";
import type { PlacedPath } from "./paths.js";
import { Ways } from "./ways.js";

/** Limit of each source's answers from UDP services where no other is set: a loop has no TTL of which it would die. */
const UDP_SOURCE_LIMIT: Limit = { rate: 1000, burst: 1000 };

/** The used parts of a table, without the room between them. */
export interface Table {
  /**
   * The table from its first byte to the end of the tries' roots. An entry from FIRST_NODE on is FIRST_NODE plus the
   * byte offset of a node in `nodes`.
   */
  readonly roots: Uint32Array;
  readonly nodes: Uint32Array;
  /** Answers by a prefix's index. */
  readonly answers: Uint32Array;
  /** Two numbers by a prefix's index. */
  readonly limits: Float32Array;
  /** Two numbers by a prefix's index: its place in `ports` plus 1, or 0, and its most connections. */
  readonly tcp: Uint32Array;
  /** By a prefix's index: the place of its UDP ports in `udpPorts` plus 1, or 0. */
  readonly udp: Uint32Array;
  /** By a prefix's index: the place of its interfaces in `interfaceLists` plus 1, or 0. */
  readonly interfaces: Uint32Array;
  readonly interfaceLists: readonly Uint8Array[];
  /** The different lists of ports that the prefixes have, none of which is empty. */
  readonly ports: readonly (readonly PortRange[])[];
  readonly udpPorts: readonly (readonly PortRange[])[];
  /** The services of those lists, each once. */
  readonly services: readonly PortService[];
  /** By a prefix's index: the place of its link in `links` plus 1, or 0. */
  readonly linkOf: Uint32Array;
  /** The different links that the prefixes have. */
  readonly links: readonly Link[];
  /** By a prefix's index: the place of its path in `paths` plus 1, or 0. */
  readonly pathOf: Uint32Array;
  /** The different paths that the prefixes have. */
  readonly paths: readonly PlacedPath[];
  /** Seed of what links leave to chance. */
  readonly seed: bigint;
  /** Number of engines that share the limits of prefixes and hops. */
  readonly shares: number;
}

export interface TableOptions {
  /** The host's own addresses, at most one of each family. */
  readonly hosts?: readonly Address[];
  /** Index of each prefix, by its position among the prefixes; by default the position itself. */
  readonly indices?: readonly number[];
  /** Number of engines that share the limits of prefixes and hops. */
  readonly shares?: number;
}

/**
 * Makes the table of these prefixes. The longest prefix or exception wins. Ranges that no host can have and the host's
 * own addresses are cut out.
 */
export function tableOf(
  { prefixes, exceptions, policy }: Serving,
  { hosts = [], indices = [...prefixes.keys()], shares = 1 }: TableOptions = {},
): Table {
  const { sourceRoute, sourceLimit } = policy;
  const tries = triesOf([
    ...prefixes.map((prefix, i) => ({ prefix, owner: FIRST_PREFIX + indices[i] })),
    ...exceptions.map((prefix) => ({ prefix, owner: NOBODY })),
  ]);
  const { roots } = tries;
  for (const [family, host, owner] of [[4, HOST, HOST_OWNER], [6, HOST6, HOST6_OWNER]] as const) {
    const own = hosts.find((address) => address.family === family);
    new Uint8Array(roots.buffer).set(own?.bytes ?? [], host);
    roots[owner / 4] = own ? NOBODY : INVALID;
  }
  roots[SOURCE_ROUTE / 4] = sourceRoute;
  new Float32Array(roots.buffer).set(bucketOf(sourceLimit ?? UDP_SOURCE_LIMIT, 1), SOURCE_LIMIT / 4);

  const end = indices.reduce((end, index) => Math.max(end, index + 1), 0);
  const known = new Uint32Array(end);
  const limits = new Float32Array(2 * end);
  const tcps = new Uint32Array(2 * end);
  const udps = new Uint32Array(end);
  const probed = new Uint32Array(end);
  const linkOf = new Uint32Array(end);
  const [ports, udpPorts] = [new Lists<readonly PortRange[]>(), new Lists<readonly PortRange[]>()];
  const interfaceLists = new Lists<Uint8Array>();
  const pathOf = new Uint32Array(end);
  const ways = new Ways();
  prefixes.forEach(({ answers }, i) => {
    const { ttl, echo, timestamp, errors, unreachable, tcp, udp, interfaces, limit } = answers;
    const index = indices[i];
    const { link, path } = ways.add(answers.link, answers.path, index);
    known[index] = ttl | (echo ? ANSWER_ECHO : 0) | (timestamp ? ANSWER_TIMESTAMP : 0) | (errors ? ANSWER_ERRORS : 0)
      | unreachable.udp << UNREACHABLE_UDP_SHIFT | unreachable.other << UNREACHABLE_OTHER_SHIFT
      | (limit ? LIMIT_PREFIX : 0) | (sourceLimit ? LIMIT_SOURCE : 0) | (tcp ? ANSWER_TCP : 0)
      | (udp && udp.ports.length > 0 ? ANSWER_UDP : 0) | (interfaces ? ANSWER_PROBE : 0) | (link > 0 ? LINKED : 0)
      | (path > 0 ? PATHED : 0);
    linkOf[index] = link;
    pathOf[index] = path;
    if (limit) limits.set(bucketOf(limit, shares), 2 * index);
    if (udp) udps[index] = udpPorts.placeOf(udp.ports);
    if (interfaces) probed[index] = interfaceLists.placeOf(interfaces);
    if (!tcp) return;
    tcps[2 * index] = ports.placeOf(tcp.ports);
    if (tcp.connections !== undefined) tcps[2 * index + 1] = Math.ceil(tcp.connections / shares);
  });
  const services = [...new Set([...ports.all, ...udpPorts.all].flatMap((list) => list.map(({ service }) => service)))];
  return {
    ...tries, answers: known, limits, tcp: tcps, udp: udps, interfaces: probed, interfaceLists: interfaceLists.all,
    ports: ports.all, udpPorts: udpPorts.all, services, linkOf, links: ways.links, pathOf,
    paths: ways.paths, seed: policy.seed ?? 0n, shares,
  };
}

/** Lists by their identity: prefixes that have the same ports, say, have the same list. */
class Lists<T extends { readonly length: number }> {
  readonly #places = new Map<T, number>();

  /** Returns the list's place in `all` plus 1, or 0 for an empty one. */
  placeOf(list: T): number {
    if (list.length === 0) return 0;
    const place = this.#places.get(list) ?? this.#places.size + 1;
    this.#places.set(list, place);
    return place;
  }

  get all(): readonly T[] {
    return [...this.#places.keys()];
  }
}

/** Offsets at which an example is tried first: the ".1.1" of a /16, and addresses that are not the network's own. */
const EXAMPLE_OFFSETS = [257, 2, 1, 0];
/** The port of URLs that name none. */
const HTTP_PORT = 80;

/**
 * Returns an address of each family that answers ping; none for a family that has none. `hosts` are the host's own
 * addresses, as in the table.
 */
export function examplesOf(serving: Serving, hosts: readonly Address[], table: Table): string[] {
  const own = serving.prefixes.filter(({ answers }) => answers.echo);
  const isAnswered = (index: number) => (table.answers[index] & ANSWER_ECHO) !== 0;
  return FAMILIES.flatMap((family) => {
    const found = firstOf(candidatesOf(family, own, serving, hosts), { family, table, isAnswered });
    return found ? formatBytes(found.bytes) : [];
  });
}

/** Returns the URL of a page, if a port has the service http: of an IPv4 address, or else of an IPv6 one. */
export function pageOf(serving: Serving, hosts: readonly Address[], table: Table): string | undefined {
  // Very many prefixes may share a list of ports.
  const ports = new Map(table.ports.map((list) => [list, pagePortOf(list)]));
  const own = serving.prefixes.filter(({ answers: { tcp } }) => tcp && ports.get(tcp.ports) !== undefined);
  const portOf = (index: number) => ports.get(table.ports[table.tcp[2 * index] - 1]);
  const isAnswered = (index: number) => portOf(index) !== undefined;
  for (const family of FAMILIES) {
    const found = firstOf(candidatesOf(family, own, serving, hosts), { family, table, isAnswered });
    if (!found) continue;
    const address = formatBytes(found.bytes);
    const port = portOf(found.index);
    return `http://${family === 6 ? `[${address}]` : address}${port === HTTP_PORT ? "" : `:${port}`}/`;
  }
  return undefined;
}

/** Returns the port of a list that has the service http: 80, or else the first one. */
function pagePortOf(list: readonly PortRange[]): number | undefined {
  const pages = list.filter(({ service }) => service.name === PAGE.name);
  return pages.some(({ first, last }) => first <= HTTP_PORT && HTTP_PORT <= last) ? HTTP_PORT : pages.at(0)?.first;
}

/** Returns the first of these addresses whose prefix has an index for which `isAnswered` is true, with the index. */
function firstOf(
  candidates: Iterable<Uint8Array>,
  { family, table, isAnswered }: { family: Family; table: Table; isAnswered: (index: number) => boolean },
): { bytes: Uint8Array; index: number } | undefined {
  for (const bytes of candidates) {
    const index = ownerOf(table, { family, bytes }) - FIRST_PREFIX;
    if (index >= 0 && isAnswered(index)) return { bytes, index };
  }
  return undefined;
}

/**
 * Yields addresses of which at least one is of these prefixes, if any address is. The reason: each range of a prefix's
 * addresses begins with it, or behind something that is cut out of it.
 */
function* candidatesOf(
  family: Family, all: readonly Prefix[], { prefixes, exceptions }: Serving, hosts: readonly Address[],
): Generator<Uint8Array, void, undefined> {
  const own = all.filter((prefix) => prefix.family === family);
  if (own.length === 0) return;
  for (const prefix of own) {
    const size = sizeOf(prefix);
    for (const offset of EXAMPLE_OFFSETS) if (offset < size) yield sumOf(prefix.bytes, offset);
  }
  for (const block of [...prefixes, ...exceptions, ...NEVER_VALID]) {
    if (block.bytes.length === own[0].bytes.length) yield sumOf(lastOf(block), 1);
  }
  for (const host of hosts) if (host.family === family) yield sumOf(host.bytes, 1);
}

/** Looks up an address as an engine does; see assembly/prefix.ts. */
function ownerOf({ roots, nodes }: Table, { family, bytes }: Pick<Address, "family" | "bytes">): number {
  const host = family === 4 ? HOST : HOST6;
  if (Buffer.from(roots.buffer, host, bytes.length).equals(bytes)) {
    return roots[(family === 4 ? HOST_OWNER : HOST6_OWNER) / 4];
  }
  let entry = roots[rootOf(family) + bytes[0] + 256 * bytes[1]];
  const stride = strideOf(family);
  for (let bits = 16; entry >= FIRST_NODE; bits += stride) {
    entry = nodes[(entry - FIRST_NODE) / 4 + bitsAt(bytes, bits, stride)];
  }
  return entry;
}

function triesOf(
  owned: readonly { readonly prefix: Prefix; readonly owner: number }[],
): Pick<Table, "roots" | "nodes"> {
  // Outer blocks come before inner ones, so a block overwrites entries of shorter ones and never a node.
  const blocks = [
    ...[...owned].sort((a, b) => a.prefix.length - b.prefix.length),
    ...NEVER_VALID.map((prefix) => ({ prefix, owner: INVALID })),
  ];
  const roots = new Uint32Array(PREFIX_ANSWERS / 4);
  let nodes = new Uint32Array(4096);
  let end = 0;
  /** Returns the node below an entry. A new node belongs to the entry's owner as a whole. */
  const below = (entries: Uint32Array, entry: number, size: number) => {
    if (entries[entry] < FIRST_NODE) {
      nodes.fill(entries[entry], end, end + size);
      entries[entry] = FIRST_NODE + 4 * end;
      end += size;
    }
    return (entries[entry] - FIRST_NODE) / 4;
  };
  for (const { prefix: { family, bytes, length }, owner } of blocks) {
    if (length <= 16) {
      // The index is loaded from a packet, so it is little-endian.
      for (let first = bytes[0] << 8 | bytes[1], i = first; i < first + 2 ** (16 - length); i++) {
        roots[rootOf(family) + ((i & 0xff) << 8 | i >> 8)] = owner;
      }
    } else {
      const stride = strideOf(family);
      const size = 2 ** stride;
      if (end + size * Math.ceil((length - 16) / stride) > nodes.length) {
        const larger = new Uint32Array(2 * nodes.length);
        larger.set(nodes);
        nodes = larger;
      }
      let node = below(roots, rootOf(family) + bytes[0] + 256 * bytes[1], size);
      let bits = 16;
      for (; bits + stride < length; bits += stride) node = below(nodes, node + bitsAt(bytes, bits, stride), size);
      const first = node + bitsAt(bytes, bits, stride);
      nodes.fill(owner, first, first + 2 ** (bits + stride - length));
    }
  }
  return { roots, nodes: nodes.slice(0, end) };
}

function rootOf(family: Family): number {
  return (family === 4 ? TRIE : TRIE6) / 4;
}

/** Returns how many bits a node decides. */
function strideOf(family: Family): 4 | 8 {
  return family === 4 ? 8 : 4;
}

/** Returns the `stride` bits from bit `bits` on, which is a multiple of `stride`. */
function bitsAt(bytes: Uint8Array, bits: number, stride: 4 | 8): number {
  return stride === 8 ? bytes[bits >> 3] : bytes[bits >> 3] >> (~bits & 4) & 15;
}
