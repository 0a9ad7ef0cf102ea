/**
 * Merges flags, environment, file and defaults into the configuration that pongd runs with. For each key, the first of
 * them that has it counts. If values do not go together, the message names them as they were given, and has their place
 * in the file.
 */
import { dirname, isAbsolute, join } from "node:path";
import { MacPolicy } from "../../abi/control.js";
import { MAX_INTERFACE_LISTS, MAX_PORT_LISTS, PORT_RANGE_SIZE, SourceRoute, Unreachable } from "../../abi/tables.js";
import { MIN_TCP_MTU } from "../engine/memory.js";
import { ethernetOf, type Ethernet } from "../tun/mac.js";
import type { Link } from "../prefix/link.js";
import type { RouterPath } from "../prefix/path.js";
import type { Answers, Limit, PortRange, PortService, Tcp } from "../prefix/policy.js";
import { EXIT, Failure } from "../base/failure.js";
import { isSamePlace, parseEndpoint } from "../prefix/endpoints.js";
import {
  misfits, parseHostAddresses, parsePrefix, type Address, type Prefix, type ServedPrefix,
} from "../prefix/prefixes.js";
import { ETH_HLEN, ETH_MAX_MTU, ETH_MIN_MTU, IPV6_MIN_MTU } from "../sys/uapi.js";
import { flatten, type Document } from "./document.js";
import { InterfaceLists } from "./interfaces.js";
import {
  collect, DEFAULTS, defaultsWith, DEVICE_NAME, DEVICE_NAME_RULE, DURATION, DURATION_RULE, inWords, millisecondsOf,
  MIN_TCP_MEMORY, PREFIX_KEYS, SETTINGS, type Key, type Values,
} from "./keys.js";
import { Links } from "./links.js";
import { firstWithoutRoom, NO_ROOM, Paths, Places } from "./paths.js";
import { ListRoom, PortLists } from "./ports.js";
import type { FullOptions } from "./runoptions.js";
import type { Path } from "./path.js";
import type { Problem } from "./judge.js";
import { servicesOf, withFullPaths } from "./services.js";
import { PORT_PROTOCOLS, withBurst, type LimitSetting, type PortProtocol, type PrefixMap } from "./types.js";

/** Seeds that are drawn are short enough to be typed. */
export const MAX_DRAWN_SEED = 2 ** 31;
/** Most different answers of prefixes that are kept to be used again. */
const ALIKE = 1000;
/** Keys of a prefix that change its answers, but for its ports. */
const OWN_KEYS = [...PREFIX_KEYS.filter((key) => key !== "tcp" && key !== "udp"), "tcp_connections"] as const;
/** The lists of ports of a prefix. */
type Ports = Readonly<Record<PortProtocol, readonly PortRange[]>>;

/** What each prefix has, and what those have that have none of their own. */
interface OfPrefixes<T> {
  readonly common: T | undefined;
  readonly all: readonly (T | undefined)[];
}

/** The links and the paths of prefixes. */
interface Ways {
  readonly links: OfPrefixes<Link>;
  readonly routes: OfPrefixes<RouterPath>;
}

const NO_WAYS: Ways = { links: { common: undefined, all: [] }, routes: { common: undefined, all: [] } };

/** What is made of the keys of a prefix. */
interface Made {
  readonly ports: Ports;
  readonly interfaces: Uint8Array | undefined;
  readonly link: Link | undefined;
  readonly path: RouterPath | undefined;
}

/** Values from outside the file, each with the flag or the variable that gave it. */
export interface Given {
  readonly values: Partial<Values>;
  readonly names: Partial<Record<Key, string>>;
  /** True with --ignore-echo, which takes echo out of the answers that the file or the default gives. */
  readonly ignoreEcho: boolean;
  readonly queueFds: readonly number[] | undefined;
  /** Seed of links where none is given. */
  readonly drawnSeed?: number;
  /** Services that ports may name besides those of the configuration. */
  readonly services?: Readonly<Partial<Record<PortProtocol, readonly PortService[]>>>;
  /** A command line that would be right, for the message about missing prefixes; undefined if none are needed. */
  readonly example: string | undefined;
}

/** A file, or what stands for one. */
export interface Source {
  /** Its name in messages. */
  readonly name: string;
  /** The folder in which it names other files. */
  readonly folder: string;
  /** The content; if there are problems, the part that can still be looked at. */
  readonly document: Document;
  /** Problems that the schema found. */
  readonly problems: readonly Problem[];
  /** Returns a line for each problem; only the first ones if there are very many. */
  linesOf(problems: readonly Problem[]): string[];
}

export interface Effective {
  readonly options: FullOptions;
  readonly values: Values;
}

/**
 * Merges flags and environment with the file, if there is one, and with the defaults.
 * @throws Failure with a line for each problem: configuration if one of them is in the file, else usage
 */
export function effective(given: Given, file?: Source): Effective {
  return new Merger(given, file).merge();
}

class Merger {
  readonly #given: Given;
  readonly #file: Source | undefined;
  readonly #inFile: Partial<Values>;
  readonly #values: Values;
  readonly #problems: Problem[];
  /** Problems of flags and environment, a line each. */
  readonly #lines: string[] = [];
  #exposed: readonly string[] = [];
  #ports: Readonly<Record<PortProtocol, PortLists>> = { tcp: new PortLists("tcp"), udp: new PortLists("udp") };

  constructor(given: Given, file?: Source) {
    this.#given = given;
    this.#file = file;
    this.#inFile = file ? flatten(file.document) : {};
    this.#problems = [...file?.problems ?? []];
    const defaults = defaultsWith(given.values.engine ?? this.#inFile.engine ?? DEFAULTS.engine);
    const values = collect(({ key }) => given.values[key] ?? this.#inFile[key] ?? defaults[key]);
    const answer = values.answer.filter((name) => name !== "echo" || !given.ignoreEcho);
    this.#values = { ...values, answer };
  }

  merge(): Effective {
    // If the schema refuses part of a file, the rest may mean something else once that part is mended.
    const allowed = this.#problems.length === 0;
    const texts = this.#values.prefixes.map((entry) => typeof entry === "string" ? entry : entry.prefix);
    const prefixes = this.#blocks("prefixes", texts);
    const exceptions = this.#blocks("except", this.#values.except);
    if (allowed && prefixes.length === 0 && (this.#file ?? this.#given.example) !== undefined) {
      const inFile = "prefixes: there is none; expected at least one, like 10.99.0.0/16";
      this.#say("prefixes", this.#file ? inFile : `no prefix given; try: ${this.#given.example ?? ""}`);
    }
    for (const { index, message, first } of misfits(prefixes, exceptions)) {
      this.#sayOf(prefixes.length, index, message, first);
    }
    if (allowed) this.#checkTogether(prefixes);
    const ports = allowed ? this.#portsOf() : [];
    const interfaces = allowed ? this.#interfacesOf() : { common: undefined, all: [] };
    const { links, routes } = allowed ? this.#waysOf() : NO_WAYS;
    if (allowed) this.#checkRoutes(prefixes, routes);
    const whole = prefixes.length > 0 && ![...prefixes, ...exceptions].includes(undefined);
    const hostAddresses = allowed && whole ? this.#hostAddresses(prefixes as Prefix[], exceptions as Prefix[]) : [];
    this.#end();

    const values = { ...this.#values, services: withFullPaths(this.#values.services, this.#folder) };
    const mtu = values["device.mtu"];
    const accepts = values.engine === "wasm" && this.#ports.tcp.accepts;
    const seed = values.seed === 0 ? this.#given.drawnSeed ?? 0 : values.seed;
    const hasLinks = [...links.all, ...routes.all].some((way) => way !== undefined);
    return {
      values,
      options: {
        serving: {
          prefixes: this.#served(prefixes as Prefix[], values, { ports, interfaces, links, routes }),
          exceptions: exceptions as Prefix[],
          policy: {
            sourceRoute: SourceRoute[values.source_route], sourceLimit: toLimit(values.source_rate_limit),
            seed: BigInt(seed),
          },
        },
        hostAddresses,
        hostAddressGiven: !this.#isDefault("device.host_address") && hostAddresses.length > 0,
        device: values["device.name"],
        link: this.#link(values),
        routes: values["device.routes"],
        mtu: mtu === "auto" ? undefined : mtu,
        // With auto it is for those who serve TCP: the header that it needs costs each packet a tenth to a sixth of its
        // time, and only long streams of TCP gain from it. Behind a link, each packet has a fate of its own.
        offload: values["device.offload"] === "on" || (values["device.offload"] === "auto" && accepts && !hasLinks),
        offloadGiven: values["device.offload"] === "on",
        queues: values["device.queues"],
        engine: values.engine,
        io: values.io,
        spin: values.spin,
        precision: values.precision,
        shutdownDelayMs: millisecondsOf(values.shutdown_delay),
        reassembly: values.reassembly,
        tcp: values.tcp_connections === 0
          ? undefined
          : {
              connections: values.tcp_connections, memory: values.tcp_memory, bySource: values.tcp_source_connections,
              threads: values.service_threads,
            },
        // Only a file says of a service that it has sessions, and a reload may.
        sessions: this.#file ? values.udp_sessions : 0,
        // A reload may bring links.
        kept: this.#file || hasLinks ? values.held_packets : 0,
        linked: hasLinks,
        seed,
        accepts,
        streams: PORT_PROTOCOLS.flatMap((protocol) => this.#ports[protocol].streams),
        exposed: this.#exposed,
        listen: values.listen.map((text) => parseEndpoint(text)),
        listenGiven: !this.#isDefault("listen"),
        webConfig: this.#webConfig(values),
        maxRequests: values.max_requests,
        dropPrivileges: values.privileges === "drop",
        logLevel: values["log.level"],
        logFormat: values["log.format"],
        queueFds: this.#given.queueFds,
      },
    };
  }

  /** Parses prefixes or exceptions, one by one. It reports each that is wrong, and returns undefined in its place. */
  #blocks(key: "prefixes" | "except", texts: readonly string[]): (Prefix | undefined)[] {
    return texts.map((text, i) => {
      try {
        return parsePrefix(text);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        // An empty text may stand for an entry that the schema refused. That has been reported.
        if (text !== "" || (this.#file?.problems.length ?? 0) === 0) this.#say(key, error.what, this.#pathOf(key, i));
        return undefined;
      }
    });
  }

  /** Returns the path of an entry's text. */
  #pathOf(key: "prefixes" | "except", index: number): Path {
    const entry = this.#inFile[key]?.[index];
    return typeof entry === "object" ? [key, index, "prefix"] : [key, index];
  }

  /**
   * Reports a problem of one entry. `index` counts through the prefixes and then the exceptions; `first` is the index
   * of the entry that it repeats.
   */
  #sayOf(prefixes: number, index: number, message: string, first?: number): void {
    const place = (at: number) => at < prefixes ? ["prefixes", at] as const : ["except", at - prefixes] as const;
    const [key, at] = place(index);
    const [firstKey, firstAt] = place(first ?? index);
    const both = first !== undefined && this.#isOfFile(key) && this.#isOfFile(firstKey);
    this.#say(key, message, this.#pathOf(key, at), both ? this.#pathOf(firstKey, firstAt) : undefined);
  }

  #isOfFile(key: Key): boolean {
    return this.#given.values[key] === undefined && this.#inFile[key] !== undefined;
  }

  /** Reports a problem with the value of a key. */
  #say(key: Key, message: string, path: Path = key.split("."), first?: Path, which?: "key"): void {
    const name = this.#given.names[key];
    if (this.#given.values[key] === undefined && this.#file) this.#problems.push({ path, message, first, which });
    else this.#lines.push(name?.startsWith("PONGD_") ? `${name}: ${message}` : message);
  }

  #hostAddresses(prefixes: readonly Prefix[], exceptions: readonly Prefix[]): readonly Address[] {
    try {
      return parseHostAddresses(this.#values["device.host_address"], prefixes, exceptions);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#say("device.host_address", error.what);
      return [];
    }
  }

  /** Returns the flag, variable or key by which a value was given, for the advice to leave it out. */
  #called(key: Key): string {
    return this.#given.names[key] ?? key;
  }

  /** Chooses the advice: `line` if the file gave the key, or `flag` otherwise. */
  #as(key: Key, flag: string, line: string): string {
    return this.#given.names[key] === undefined && this.#file ? line : flag;
  }

  #isDefault(key: Key): boolean {
    return this.#given.values[key] === undefined && this.#inFile[key] === undefined;
  }

  /** Checks values against each other. Each of them is right by itself. */
  #checkTogether(prefixes: readonly (Prefix | undefined)[]): void {
    const name = this.#values["device.name"];
    if (!DEVICE_NAME.test(name)) this.#say("device.name", `device name "${name}": write ${DEVICE_NAME_RULE}`);
    const delay = this.#values.shutdown_delay;
    if (!DURATION.test(delay)) {
      this.#say("shutdown_delay", `'--shutdown-delay <time>' is "${delay}": write ${DURATION_RULE}`);
    }

    this.#checkListen();
    const mtu = this.#values["device.mtu"];
    const mode = this.#values["device.mode"];
    // RFC 8200 §5; the kernel takes IPv6 away from a link with less.
    if (mtu !== "auto" && mtu < IPV6_MIN_MTU && prefixes.some((prefix) => prefix?.family === 6)) {
      const mend = `raise ${this.#called("device.mtu")}, or give IPv4 prefixes alone`;
      this.#say("device.mtu", `MTU ${mtu}: IPv6 prefixes need at least ${IPV6_MIN_MTU}; ${mend}`);
    }
    if (mode === "tap" && mtu !== "auto" && mtu > ETH_MAX_MTU - ETH_HLEN) {
      const range = `${ETH_MIN_MTU} to ${ETH_MAX_MTU - ETH_HLEN}`;
      this.#say("device.mtu", `${this.#called("device.mtu")} ${mtu}: a TAP device takes ${range}`);
    }
    if (mode === "tun" && !this.#isDefault("device.mac")) {
      const mend = this.#as("device.mac", "add --mode tap", "write mode: tap");
      this.#say("device.mac", `a TUN device has no MAC addresses: leave ${this.#called("device.mac")} out, or ${mend}`);
    }
    if (this.#values.engine === "js") this.#checkJs();
  }

  /** Refuses what the JavaScript engine cannot do. */
  #checkJs(): void {
    const refuse = (key: Key, what: string, path?: Path, called = this.#called(key)) => {
      const left = called.replace(/^unreachable\.\w+$/, "unreachable");
      const engine = this.#as(key, "--engine js", "engine: js");
      this.#say(key, `the js engine ${what}: leave ${left} out, or ${engine}`, path);
    };
    const errors = "sends no ICMP errors";
    const { answer, prefixes, source_route: sourceRoute, reassembly } = this.#values;
    const asked = (["unreachable.udp", "unreachable.other"] as const).find((key) => this.#values[key] !== "off");
    if (asked) refuse(asked, errors);
    if (answer.includes("unreachable")) refuse("answer", errors);
    for (const [i, entry] of prefixes.entries()) {
      if (typeof entry === "string" || !entry.answer?.includes("unreachable")) continue;
      refuse("prefixes", errors, ["prefixes", i, "answer"], `prefixes[${i}].answer`);
    }
    if (sourceRoute === "reverse") refuse("source_route", "drops IP options");
    if (reassembly > 0) refuse("reassembly", "does not reassemble");
    const impairsNone = "has no links";
    if (this.#values.link !== "none") refuse("link", impairsNone);
    if (this.#values.path !== "none") refuse("path", "has no paths");
    if (this.#values.held_packets > 0) refuse("held_packets", impairsNone);
    if (this.#values["device.offload"] === "on") refuse("device.offload", "takes finished packets alone");
    const speaksNone = "speaks no TCP";
    const servesNone = "has no UDP services";
    const probesNone = "does not answer PROBE";
    if (Object.keys(this.#values.tcp).length > 0) refuse("tcp", speaksNone);
    if (Object.keys(this.#values.udp).length > 0) refuse("udp", servesNone);
    if (this.#values.interfaces.length > 0) refuse("interfaces", probesNone);
    for (const key of ["tcp_connections", "tcp_memory", "tcp_source_connections"] as const) {
      if (this.#values[key] > 0) refuse(key, speaksNone);
    }
    for (const [i, entry] of prefixes.entries()) {
      if (typeof entry === "string") continue;
      const own = (["tcp", "tcp_connections", "udp", "interfaces", "link", "path"] as const)
        .find((key) => entry[key] !== undefined);
      const lacks = {
        tcp: speaksNone, tcp_connections: speaksNone, udp: servesNone, interfaces: probesNone, link: impairsNone,
        path: "has no paths",
      };
      if (own) refuse("prefixes", lacks[own], ["prefixes", i, own], `prefixes[${i}].${own}`);
    }
  }

  get #folder(): string {
    return this.#file?.folder ?? ".";
  }

  /** Returns the lists of ports of each prefix. */
  #portsOf(): readonly Ports[] {
    const services = servicesOf(this.#values.services, this.#folder, (path, message, which) => {
      this.#say("services", message, path, undefined, which);
    });
    this.#exposed = [...services.udp.values()].flatMap(({ exposed }) => exposed ?? []);
    for (const protocol of PORT_PROTOCOLS) {
      for (const service of this.#given.services?.[protocol] ?? []) services[protocol].set(service.name, service);
    }
    const room = new ListRoom();
    this.#ports = { tcp: new PortLists("tcp", services, room), udp: new PortLists("udp", services, room) };
    const [tcp, udp] = PORT_PROTOCOLS.map((protocol) => this.#listsOf(protocol));
    if (this.#values.engine !== "js") {
      if (this.#ports.tcp.accepts) this.#checkRoom();
      else this.#checkThreads();
    }
    return tcp.map((list, i) => ({ tcp: list, udp: udp[i] }));
  }

  /** Returns each prefix's list of the ports of a protocol. */
  #listsOf(protocol: PortProtocol): readonly (readonly PortRange[])[] {
    const ports = this.#ports[protocol];
    // What does not fit any more is said once.
    const fitted = ports.fits;
    const flag = this.#given.names[protocol] === `--${protocol}` ? `--${protocol}: ` : "";
    ports.setCommon(this.#values[protocol], (port, message, which) => {
      this.#say(protocol, `${flag}${message}`, [protocol, port], undefined, which);
    });
    let first: Path | undefined;
    const lists = this.#values.prefixes.map((entry, i) => {
      const own = typeof entry === "string" ? undefined : entry[protocol];
      if (!own) return ports.common;
      const path = ["prefixes", i, protocol];
      const list = ports.of(own, (port, message, which) => {
        this.#say("prefixes", message, [...path, port], undefined, which);
      });
      if (!ports.fits) first ??= path;
      return list;
    });
    if (!ports.fits && fitted) {
      const message = `the prefixes' ports have too many different ranges: all together fit into `
        + `${MAX_PORT_LISTS >> 10} KiB, ${PORT_RANGE_SIZE} bytes each`;
      if (first) this.#say("prefixes", message, first);
      else this.#say(protocol, message);
    }
    return lists;
  }

  #interfacesOf(): OfPrefixes<Uint8Array> {
    const lists = new InterfaceLists();
    const { interfaces, prefixes } = this.#values;
    const common = lists.of(interfaces, (at, message) => { this.#say("interfaces", message, ["interfaces", ...at]); });
    let first: Path | undefined;
    const all = prefixes.map((entry, i) => {
      if (typeof entry === "string" || !entry.interfaces) return common;
      const path = ["prefixes", i, "interfaces"];
      const own = lists.of(entry.interfaces, (at, message) => { this.#say("prefixes", message, [...path, ...at]); });
      if (!lists.fits) first ??= path;
      return own;
    });
    if (!lists.fits) {
      const message = `the prefixes have too many different interfaces: all together fit into `
        + `${MAX_INTERFACE_LISTS >> 10} KiB`;
      this.#say("prefixes", message, first);
    }
    return { common, all };
  }

  /** Refuses limits with which there are no service threads, since these come with connections. */
  #checkThreads(): void {
    const service = this.#ports.udp.streams.at(0)?.name;
    const { tcp_connections: connections, "device.mtu": mtu } = this.#values;
    if (service === undefined) return;
    if (connections === 0) {
      const why = `${this.#called("tcp_connections")} is 0, so there are no service threads, which ${service} needs`;
      this.#say("tcp_connections", `${why}: raise it, or leave the service out`);
    }
    if (mtu !== "auto" && mtu < MIN_TCP_MTU) {
      const why = `MTU ${mtu}: service threads, which ${service} needs, need at least ${MIN_TCP_MTU}`;
      this.#say("device.mtu", `${why}; raise ${this.#called("device.mtu")}, or leave the service out`);
    }
  }

  /** Refuses limits with which no service could accept a connection. */
  #checkRoom(): void {
    const { tcp_connections: connections, tcp_memory: memory, "device.mtu": mtu } = this.#values;
    if (connections === 0) {
      const why = `${this.#called("tcp_connections")} is 0, so no port can have a service that accepts connections`;
      this.#say("tcp_connections", `${why}: raise it, or leave the services out`);
    }
    if (memory < MIN_TCP_MEMORY) {
      const mend = "raise it, or leave the services out";
      this.#say("tcp_memory", `${this.#called("tcp_memory")} is ${memory}; services need ${MIN_TCP_MEMORY}: ${mend}`);
    }
    if (mtu !== "auto" && mtu < MIN_TCP_MTU) {
      const mend = `raise ${this.#called("device.mtu")}, or leave the services out`;
      this.#say("device.mtu", `MTU ${mtu}: TCP's services need at least ${MIN_TCP_MTU}; ${mend}`);
    }
  }

  #checkListen(): void {
    const texts = this.#values.listen;
    const endpoints = texts.map((text) => parseEndpoint(text));
    for (const [i, endpoint] of endpoints.entries()) {
      const first = endpoints.findIndex((other) => isSamePlace(other, endpoint));
      if (first === i) continue;
      this.#say("listen", `listen address "${texts[i]}" is given twice`, ["listen", i], ["listen", first]);
    }
  }

  #end(): void {
    if (this.#problems.length === 0 && this.#lines.length === 0) return;
    const lines = [...this.#file?.linesOf(this.#problems) ?? [], ...this.#lines];
    throw new Failure(lines, this.#problems.length > 0 ? EXIT.CONFIG : EXIT.USAGE);
  }

  /** Returns the link and the path of each prefix, and those of prefixes that have none of their own. */
  #waysOf(): Ways {
    const sayOf = (key: Key) => (path: Path, message: string, which?: "key") => {
      this.#say(key, message, path, undefined, which);
    };
    const links = new Links(this.#values.links, this.#folder, sayOf("links"));
    const flag = this.#given.names.link === "--link" ? "--link: " : "";
    // What an option gives has no place in the file.
    const place = this.#given.values.link === undefined ? ["link"] : [];
    const common = links.of(this.#values.link, place, (path, message) => {
      this.#say("link", `${flag}${message}`, path);
    });
    const all = this.#values.prefixes.map((entry, i) => typeof entry === "string" || entry.link === undefined
      ? common
      : links.of(entry.link, ["prefixes", i, "link"], sayOf("prefixes")));
    const paths = new Paths(this.#values.paths, links, sayOf("paths"));
    const route = paths.of(this.#values.path, ["path"], sayOf("path"));
    const routes = this.#values.prefixes.map((entry, i) => typeof entry === "string" || entry.path === undefined
      ? route
      : paths.of(entry.path, ["prefixes", i, "path"], sayOf("prefixes")));
    return { links: { common, all }, routes: { common: route, all: routes } };
  }

  /** Refuses prefixes that cannot stand behind their path. */
  #checkRoutes(prefixes: readonly (Prefix | undefined)[], { all }: OfPrefixes<RouterPath>): void {
    const places = new Places();
    for (const [i, prefix] of prefixes.entries()) {
      const route = all[i];
      const entry = this.#values.prefixes[i];
      if (!prefix || !route) continue;
      const ttl = (typeof entry === "string" ? undefined : entry.ttl) ?? this.#values.ttl;
      const misfit = places.misfit(route, prefix.family, ttl);
      if (misfit !== undefined) this.#say("prefixes", `prefix ${prefix.text}: ${misfit}`, this.#pathOf("prefixes", i));
    }
    const excess = firstWithoutRoom(all);
    if (excess >= 0) this.#say("prefixes", NO_ROOM, this.#pathOf("prefixes", excess));
  }

  /** `ports`, `interfaces`, `links` and `routes` are those of each prefix. */
  #served(
    prefixes: readonly Prefix[], values: Values,
    { ports, interfaces, links, routes }:
    { readonly ports: readonly Ports[]; readonly interfaces: OfPrefixes<Uint8Array> } & Ways,
  ): ServedPrefix[] {
    const common: Ports = { tcp: this.#ports.tcp.common, udp: this.#ports.udp.common };
    const commonAnswers = answersOf({ prefix: "" }, values, {
      ports: common, interfaces: interfaces.common, link: links.common, path: routes.common,
    });
    const isCommonPorts = ({ tcp, udp }: Ports) => tcp === common.tcp && udp === common.udp;
    // Very many prefixes may have keys of their own, and the same ones. Those with the same ports share their lists.
    const ids = new Map<readonly PortRange[], number>();
    const idOf = (list: readonly PortRange[]) => {
      if (!ids.has(list)) ids.set(list, ids.size);
      return ids.get(list);
    };
    const alike = new Map<string, Answers>();
    const answersFor = (entry: PrefixMap, made: Made) => {
      const { tcp, udp } = made.ports;
      const own = JSON.stringify([idOf(tcp), idOf(udp), ...OWN_KEYS.map((key) => entry[key])]);
      const known = alike.get(own);
      if (known) return known;
      const answers = answersOf(entry, values, made);
      if (alike.size < ALIKE) alike.set(own, answers);
      return answers;
    };
    return prefixes.map(({ family, bytes, length, text }, i) => {
      const entry = values.prefixes[i];
      if (typeof entry === "string") return { family, bytes, length, text, answers: commonAnswers };
      const isCommon = isCommonPorts(ports[i]) && OWN_KEYS.every((key) => entry[key] === undefined);
      const answers = isCommon
        ? commonAnswers
        : answersFor(entry, {
            ports: ports[i], interfaces: interfaces.all[i], link: links.all[i], path: routes.all[i],
          });
      return { family, bytes, length, text, answers, ...entry.name !== undefined && { name: entry.name } };
    });
  }

  #link(values: Values): Ethernet | undefined {
    if (values["device.mode"] === "tun") return undefined;
    const policy = values["device.mac"] === "shared" ? MacPolicy.shared : MacPolicy.per_address;
    return ethernetOf(values["device.name"], policy);
  }

  /** Returns the path of the web configuration. In the configuration file, a relative path is relative to that file. */
  #webConfig({ web_config: name }: Values): string | undefined {
    if (name === "none") return undefined;
    const isRelative = this.#isOfFile("web_config") && !isAbsolute(name);
    return this.#file && isRelative ? join(dirname(this.#file.name), name) : name;
  }
}

function answersOf(entry: PrefixMap, values: Values, { ports, interfaces, link, path }: Made): Answers {
  const answer = entry.answer ?? values.answer;
  const errors = answer.includes("unreachable");
  const modeOf = (key: "unreachable.udp" | "unreachable.other") =>
    // Without errors, the packets that would cause them are checked and counted all the same.
    !errors && values[key] === "on" ? Unreachable.silent : Unreachable[values[key]];
  return {
    ttl: entry.ttl ?? values.ttl,
    echo: answer.includes("echo"),
    timestamp: answer.includes("timestamp"),
    errors,
    unreachable: { udp: modeOf("unreachable.udp"), other: modeOf("unreachable.other") },
    tcp: values.engine === "js" ? undefined : tcpOf(ports.tcp, entry.tcp_connections),
    udp: values.engine === "js" ? undefined : { ports: ports.udp },
    ...values.engine !== "js" && interfaces && { interfaces },
    limit: toLimit(entry.rate_limit ?? values.rate_limit),
    link: values.engine === "js" ? undefined : link,
    path: values.engine === "js" ? undefined : path,
  };
}

function tcpOf(ports: readonly PortRange[], connections: number | undefined): Tcp {
  return { ports, ...connections !== undefined && { connections } };
}

function toLimit(setting: LimitSetting): Limit | undefined {
  return setting === "none" ? undefined : withBurst(setting);
}

/**
 * Returns a line for each value that differs but needs a restart. The host's addresses are left out: the daemon
 * compares them, since it knows the ones that it has.
 */
export function needsRestart(before: Values, after: Values): string[] {
  const changed = SETTINGS.filter(({ key, reload }) =>
    !reload && key !== "device.host_address" && JSON.stringify(before[key]) !== JSON.stringify(after[key]));
  return changed.map(({ key }) =>
    `${key} stays ${inWords(before[key])} until pongd is started again, when it will be ${inWords(after[key])}`);
}
