/**
 * The types of settings, as data: the values that a setting may have. From a type, schema.ts makes the check of a
 * file's value, and cli/values.ts the parser of an option's text. Nothing here needs zod, so a start without a file
 * does not load it.
 */
import { ENDPOINT_EXAMPLES } from "../prefix/endpoints.js";
import type { NeighborState } from "../prefix/interfaces.js";
import type { Limit } from "../prefix/policy.js";
import type { StampOptions } from "../prefix/stamp.js";
import type { ProxyHeader, Sources } from "../prefix/streams.js";

export const ANSWERS = ["echo", "timestamp", "unreachable"] as const;
export type Answer = typeof ANSWERS[number];

/** `none`, or the most replies a second and at once. Without `burst`, it is one second's replies, and at least 1. */
export type LimitSetting = "none" | { readonly rate: number; readonly burst?: number | undefined };
export const MAX_RATE = 1_000_000_000;
/** Most connections of a prefix that can be written: more than all queues have. */
export const MAX_PREFIX_CONNECTIONS = 1_000_000_000;

/** A prefix with keys of its own. The table marks the settings among them (`perPrefix`). */
export interface PrefixMap {
  readonly prefix: string;
  readonly name?: string | undefined;
  readonly answer?: readonly Answer[] | undefined;
  readonly ttl?: number | undefined;
  readonly rate_limit?: LimitSetting | undefined;
  readonly tcp?: PortMap | undefined;
  readonly udp?: PortMap | undefined;
  readonly interfaces?: readonly InterfaceMap[] | undefined;
  readonly link?: LinkSetting | undefined;
  readonly path?: PathSetting | undefined;
  /** Most connections of the whole prefix, at least 1; undefined for no limit of its own. */
  readonly tcp_connections?: number | undefined;
  readonly comment?: string | undefined;
}
export type PrefixEntry = string | PrefixMap;

/** `none`, the name of a link, or a link of its own. */
export type LinkSetting = string | LinkMap;

/** A link. Quantities are text with a unit (quantities.ts). */
export interface LinkMap {
  /** Time there and back, half of it each way, besides the delays of `in` and `out`. */
  readonly rtt?: string | undefined;
  readonly in?: WayMap | undefined;
  readonly out?: WayMap | undefined;
  /** The same in `out`. */
  readonly loss?: string | LossMap | undefined;
  readonly duplicate?: string | ChanceMap | undefined;
  readonly corrupt?: string | ChanceMap | undefined;
  /** What `out` does, in netem's words. */
  readonly netem?: string | undefined;
  /** `netem` has those words do what they do in netem. */
  readonly compat?: string | undefined;
  /** Whether all prefixes that name it share its rate, its losses and its order; true by default. */
  readonly shared?: boolean | undefined;
}

/** One way of a link. */
export interface WayMap {
  readonly delay?: string | { readonly file: string; readonly step: string } | undefined;
  readonly jitter?: string | undefined;
  readonly distribution?: "uniform" | "normal" | "pareto" | "paretonormal" | { readonly file: string } | undefined;
  readonly correlation?: string | undefined;
  readonly reorder?: boolean | ReorderMap | undefined;
  readonly loss?: string | LossMap | undefined;
  readonly ecn?: boolean | undefined;
  readonly duplicate?: string | ChanceMap | undefined;
  readonly corrupt?: string | ChanceMap | undefined;
  readonly rate?: string | undefined;
  readonly overhead?: number | undefined;
  readonly queue?: string | undefined;
  readonly slot?: SlotMap | undefined;
}

export interface ChanceMap {
  readonly probability: string;
  readonly correlation?: string | undefined;
}

export interface ReorderMap extends ChanceMap {
  readonly gap?: number | undefined;
}

/** Exactly one of `probability`, `burst`, `gemodel`, `state` and `packets`. */
export interface LossMap {
  readonly probability?: string | undefined;
  readonly correlation?: string | undefined;
  readonly burst?: { readonly loss: string; readonly length: number } | undefined;
  readonly gemodel?: {
    readonly p: string; readonly r?: string | undefined; readonly bad?: string | undefined;
    readonly good?: string | undefined;
  } | undefined;
  readonly state?: {
    readonly p13: string; readonly p31?: string | undefined; readonly p32?: string | undefined;
    readonly p23?: string | undefined; readonly p14?: string | undefined;
  } | undefined;
  readonly packets?: readonly (number | string)[] | undefined;
}

export interface SlotMap {
  readonly min: string;
  readonly max?: string | undefined;
  readonly packets?: number | undefined;
  readonly bytes?: number | undefined;
}

export type LinkMaps = Readonly<Record<string, LinkMap>>;

/** `none`, the name of a path, or a path of its own. */
export type PathSetting = string | readonly StepMap[];

/** A router: it has `hop`, or is silent. */
export interface HopMap {
  /** Its address, or one of each family. */
  readonly hop?: string | readonly string[] | undefined;
  readonly silent?: boolean | undefined;
  readonly name?: string | undefined;
  readonly link?: LinkSetting | undefined;
  readonly mtu?: number | undefined;
  readonly black_hole?: boolean | undefined;
  readonly ttl?: number | undefined;
  readonly icmp?: { readonly rate: number; readonly burst?: number | undefined } | undefined;
  /** Labels, the outermost first. */
  readonly mpls?: number | readonly number[] | undefined;
  readonly interface?: HopInterfaceMap | undefined;
}

/** What errors say of the interface at which a packet came. */
export interface HopInterfaceMap {
  readonly name?: string | undefined;
  readonly index?: number | undefined;
  readonly mtu?: number | undefined;
  /** Whether they say its address, too, which is the hop's; false by default. */
  readonly address?: boolean | undefined;
}

export const HASHES = ["flow", "destination", "packet"] as const;

/** A step of a path: a router, a place where it divides (`any`), or how many hops the way back has (`back`). */
export interface StepMap extends HopMap {
  readonly any?: readonly (readonly HopMap[])[] | undefined;
  readonly hash?: typeof HASHES[number] | undefined;
  readonly back?: number | undefined;
}

export type PathMaps = Readonly<Record<string, readonly StepMap[]>>;

/** The service of each port or range of ports, by its name: `{ "7": "echo", "8000-8010": "site" }`. */
export type PortMap = Readonly<Record<string, string>>;

/** An interface that PROBE tells of: one of the node that is asked, or with `neighbor` one of a node beside it. */
export interface InterfaceMap {
  readonly name?: string | undefined;
  readonly index?: number | undefined;
  /** IPv4, IPv6 and MAC addresses. */
  readonly address?: string | readonly string[] | undefined;
  /** These are true by default. */
  readonly active?: boolean | undefined;
  readonly ipv4?: boolean | undefined;
  readonly ipv6?: boolean | undefined;
  readonly neighbor?: NeighborState | undefined;
}

/** A service, which has exactly one of these keys. All paths are those of files, or of a folder. */
export interface ServiceMap {
  readonly tcp?: TcpMap | undefined;
  readonly http?: ContentMap | undefined;
  readonly https?: HttpsMap | undefined;
  readonly udp?: UdpMap | undefined;
  readonly stamp?: StampMap | undefined;
  readonly sbfd?: SbfdMap | undefined;
  readonly irtt?: IrttMap | undefined;
}

/** Kinds of services: the keys of ServiceMap, by their protocol. */
export const SERVICE_KINDS = {
  tcp: "tcp", http: "tcp", https: "tcp", udp: "udp", stamp: "udp", sbfd: "udp", irtt: "udp",
} as const satisfies Record<keyof ServiceMap, PortProtocol>;

/** A banner; a reply to whatever ends with `after`; a handler; or a proxy. */
export interface TcpMap {
  readonly banner?: string | undefined;
  readonly reply?: string | undefined;
  readonly after?: string | undefined;
  readonly handler?: string | undefined;
  /** Where to, as parseTarget() reads it. */
  readonly proxy?: string | undefined;
  readonly proxy_protocol?: ProxyHeader | undefined;
}

/** A handler of datagrams. */
export interface UdpMap {
  readonly handler: string;
  readonly sources?: Sources | undefined;
}

/** A STAMP reflector, each of whose options has a default. */
export interface StampMap extends Partial<Omit<StampOptions, "idleMs">> {
  /** A time, as POSITIVE_DURATION in keys.ts has it. */
  readonly idle_timeout?: string | undefined;
  /** A file with the key of all sessions, or a folder with one for each SSID. */
  readonly key_file?: string | undefined;
  readonly key_dir?: string | undefined;
}

/** An IRTT server. */
export interface IrttMap {
  /** Times, as DURATION in keys.ts has them. */
  readonly min_interval?: string | undefined;
  readonly max_duration?: string | undefined;
  readonly max_length?: number | undefined;
  /** A file with the key of all sessions. */
  readonly key_file?: string | undefined;
}

/** An S-BFD reflector. */
export interface SbfdMap {
  /** Each a number, or an IPv4 address; by default any. */
  readonly discriminators?: "any" | readonly (number | string)[] | undefined;
  readonly admin_down?: boolean | undefined;
}

/** Files of a folder, or a handler; without either, a page that says who asks and whom. */
export interface ContentMap {
  readonly root?: string | undefined;
  readonly handler?: string | undefined;
}

/** One certificate with its key, or several. */
export interface HttpsMap extends ContentMap {
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly certificates?: readonly { readonly cert: string; readonly key: string }[] | undefined;
}
/** Services by name. */
export type ServiceMaps = Readonly<Record<string, ServiceMap>>;

export type Type = Choice | Whole | Text | PortsOf | Plain;

interface Choice {
  readonly kind: "choice";
  readonly choices: readonly string[];
}

interface Whole {
  readonly kind: "whole" | "whole or auto";
  readonly min: number;
  readonly max: number;
}

interface Text {
  readonly kind: "text";
  readonly pattern: RegExp;
  /** The pattern in words. */
  readonly expected: string;
}

interface PortsOf {
  readonly kind: "ports";
  readonly protocol: PortProtocol;
}

/** A type that needs no more than its name. */
interface Plain {
  readonly kind: Exclude<keyof Kinds, (Whole | Text | PortsOf)["kind"]>;
}

/** The values in memory, by the kind of their type. A choice is one of its words. */
interface Kinds {
  readonly whole: number;
  readonly "whole or auto": number | "auto";
  readonly boolean: boolean;
  readonly text: string;
  /** A file's path as it was written, or "none". */
  readonly file: string;
  /** IP addresses, at most one of each family, or "none"; a file may write a single one without a list. */
  readonly addresses: readonly string[];
  /** Addresses at which HTTP is served; a file may write a single one without a list. */
  readonly endpoints: readonly string[];
  readonly prefixes: readonly PrefixEntry[];
  /** Prefixes that have no keys of their own. */
  readonly exceptions: readonly string[];
  readonly answers: readonly Answer[];
  readonly limit: LimitSetting;
  readonly ports: PortMap;
  readonly services: ServiceMaps;
  readonly interfaces: readonly InterfaceMap[];
  readonly links: LinkMaps;
  readonly link: LinkSetting;
  readonly paths: PathMaps;
  readonly path: PathSetting;
}

export type ValueOf<T extends Type>
  = T extends Choice ? T["choices"][number] : T extends { readonly kind: keyof Kinds } ? Kinds[T["kind"]] : never;

/** Lists of which a file may write a single item without a list. */
export const ONE_OR_MORE: ReadonlySet<Type["kind"]> = new Set<Type["kind"]>(["addresses", "endpoints"]);
/** Lists to which an option adds each time it is given. */
export const GATHERED: ReadonlySet<Type["kind"]> = new Set<Type["kind"]>([...ONE_OR_MORE, "exceptions"]);

/** Protocols that have ports. Each is a setting with a map of them. */
export const PORT_PROTOCOLS = ["tcp", "udp"] as const;
export type PortProtocol = typeof PORT_PROTOCOLS[number];

/** Services of TCP that need no entry under `services`, and those among them that need no service thread. */
export const THREADLESS_SERVICES = ["refuse", "silent", "echo", "discard", "chargen", "tarpit"] as const;
export const BUILTIN_SERVICES = [...THREADLESS_SERVICES, "http"] as const;

/** Services of UDP that need no entry. The first of either list is what a port has that no map names. */
export const UDP_SERVICES = ["unreachable", "silent", "echo", "discard", "stamp", "sbfd", "irtt"] as const;

/** Returns the services of a port that a map may name, in words. */
export function namable(protocol: PortProtocol): readonly string[] {
  return protocol === "tcp" ? [...BUILTIN_SERVICES, "proxy:HOST:PORT"] : UDP_SERVICES;
}

export const ENDPOINT = `an address like ${ENDPOINT_EXAMPLES}, in quotes if it begins with a bracket`;

/** Returns the values that a file may have, in words: the second half of the message about any other value. */
export function expected(type: Type): string {
  switch (type.kind) {
    case "choice": return eitherOf(type.choices);
    case "whole": return `a whole number from ${type.min} to ${type.max}`;
    case "whole or auto": return `auto, or a whole number from ${type.min} to ${type.max}`;
    case "text": return type.expected;
    case "boolean": return "true or false";
    case "file": return "a file's path, or none";
    case "addresses": return "none, an IP address, or a list of one IPv4 and one IPv6 address";
    case "endpoints": return `${ENDPOINT}, or a list of them`;
    case "prefixes":
    case "exceptions": return "a list of prefixes";
    case "answers": return `a list of ${ANSWERS.join(", ")}, or an empty one, []`;
    case "limit": return "none, or a map like { rate: 1000, burst: 100 }";
    case "ports": return "a map of ports to services, like { 7: echo, 8000-8010: discard }";
    case "interfaces": return "a list of interfaces, like [{ name: eth0, index: 2, address: 192.0.2.1 }]";
    case "links": return "a map of names to links, like { dsl: { rtt: 20ms, loss: 0.1% } }";
    case "link": return "none, a link's name, or a map like { rtt: 20ms, loss: 0.1% }";
    case "paths": return "a map of names to paths, like { far: [{ hop: 10.98.0.1, link: { rtt: 20ms } }] }";
    case "path": return "none, a path's name, or a list like [{ hop: 10.98.0.1, link: { rtt: 20ms } }]";
    case "services": return "a map of names to services, like { ssh: { tcp: { banner: \"SSH-2.0-x\\r\\n\" } } }";
  }
}

export function isWords(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

export function eitherOf(words: readonly string[]): string {
  return `${words.slice(0, -1).join(", ")} or ${words.slice(-1).join("")}`;
}

/** Adds the default burst to a limit that has none. */
export function withBurst({ rate, burst = Math.max(1, rate) }: Exclude<LimitSetting, "none">): Limit {
  return { rate, burst };
}
