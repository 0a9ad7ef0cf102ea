/**
 * Makes what each prefix has: its ports, interfaces, link and path, and with them what it answers. A key that a prefix
 * lacks is that of all prefixes.
 */
import { MAX_INTERFACE_LISTS, MAX_PORT_LISTS, PORT_RANGE_SIZE, Unreachable } from "../../abi/tables.js";
import type { Link } from "../prefix/link.js";
import type { RouterPath } from "../prefix/path.js";
import type { Answers, Limit, PortRange, Tcp } from "../prefix/policy.js";
import type { Prefix, ServedPrefix } from "../prefix/prefixes.js";
import type { Diagnostics } from "./diagnostics.js";
import type { Given } from "./given.js";
import { InterfaceLists } from "./interfaces.js";
import { PREFIX_KEYS, type Key, type Values } from "./keys.js";
import { Links } from "./links.js";
import type { Path } from "./path.js";
import { Paths, Places } from "./paths.js";
import { ListRoom, PortLists } from "./ports.js";
import { firstWithoutRoom } from "./room.js";
import { servicesOf } from "./services.js";
import { PORT_PROTOCOLS, withBurst, type LimitSetting, type PortProtocol, type PrefixMap } from "./types.js";

/** Most different answers of prefixes that are kept to be used again. */
const ALIKE = 1000;
/** Keys of a prefix that change its answers, but for its ports. */
const OWN_KEYS = [...PREFIX_KEYS.filter((key) => key !== "tcp" && key !== "udp"), "tcp_connections"] as const;
/** The lists of ports of a prefix. */
type Ports = Readonly<Record<PortProtocol, readonly PortRange[]>>;

/** The values of all prefixes, and the one of those that have none of their own. */
interface OfPrefixes<T> {
  readonly common: T | undefined;
  readonly all: readonly (T | undefined)[];
}

/** The results of reading a prefix's keys. */
interface Made {
  readonly ports: Ports;
  readonly interfaces: Uint8Array | undefined;
  readonly link: Link | undefined;
  readonly path: RouterPath | undefined;
}

export class PrefixAnswers {
  readonly #values: Values;
  readonly #given: Given;
  /** The folder in which the configuration names files. */
  readonly #folder: string;
  readonly #diagnostics: Diagnostics;
  #portLists: Readonly<Record<PortProtocol, PortLists>> = { tcp: new PortLists("tcp"), udp: new PortLists("udp") };
  #exposed: readonly string[] = [];
  #ports: readonly Ports[] = [];
  #interfaces: OfPrefixes<Uint8Array> = { common: undefined, all: [] };
  #links: OfPrefixes<Link> = { common: undefined, all: [] };
  #routes: OfPrefixes<RouterPath> = { common: undefined, all: [] };

  constructor(values: Values, given: Given, folder: string, diagnostics: Diagnostics) {
    this.#values = values;
    this.#given = given;
    this.#folder = folder;
    this.#diagnostics = diagnostics;
  }

  get portLists(): Readonly<Record<PortProtocol, PortLists>> {
    return this.#portLists;
  }

  get exposed(): readonly string[] {
    return this.#exposed;
  }

  /** True if a prefix stands behind a link or a path. */
  get linked(): boolean {
    return [...this.#links.all, ...this.#routes.all].some((way) => way !== undefined);
  }

  /** Makes the lists of ports of each prefix. */
  makePorts(): void {
    const services = servicesOf(this.#values.services, this.#folder, (path, message, which) => {
      this.#diagnostics.say("services", message, path, undefined, which);
    });
    this.#exposed = [...services.udp.values()].flatMap(({ exposed }) => exposed ?? []);
    for (const protocol of PORT_PROTOCOLS) {
      for (const service of this.#given.services?.[protocol] ?? []) services[protocol].set(service.name, service);
    }
    const room = new ListRoom();
    this.#portLists = { tcp: new PortLists("tcp", services, room), udp: new PortLists("udp", services, room) };
    const [tcp, udp] = PORT_PROTOCOLS.map((protocol) => this.#listsOf(protocol));
    this.#ports = tcp.map((list, i) => ({ tcp: list, udp: udp[i] }));
  }

  /** Returns each prefix's list of the ports of a protocol. */
  #listsOf(protocol: PortProtocol): readonly (readonly PortRange[])[] {
    const ports = this.#portLists[protocol];
    // Ports of both protocols share the room, and a lack of it is said once.
    const fitted = ports.fits;
    const flag = this.#given.names[protocol] === `--${protocol}` ? `--${protocol}: ` : "";
    ports.setCommon(this.#values[protocol], (port, message, which) => {
      this.#diagnostics.say(protocol, `${flag}${message}`, [protocol, port], undefined, which);
    });
    let first: Path | undefined;
    const lists = this.#values.prefixes.map((entry, i) => {
      const own = typeof entry === "string" ? undefined : entry[protocol];
      if (!own) return ports.common;
      const path = ["prefixes", i, protocol];
      const list = ports.of(own, (port, message, which) => {
        this.#diagnostics.say("prefixes", message, [...path, port], undefined, which);
      });
      if (!ports.fits) first ??= path;
      return list;
    });
    if (!ports.fits && fitted) {
      const message = `the prefixes' ports have too many different ranges: all together fit into `
        + `${MAX_PORT_LISTS >> 10} KiB, ${PORT_RANGE_SIZE} bytes each`;
      if (first) this.#diagnostics.say("prefixes", message, first);
      else this.#diagnostics.say(protocol, message);
    }
    return lists;
  }

  /** Makes the interfaces of each prefix. */
  makeInterfaces(): void {
    const lists = new InterfaceLists();
    const { interfaces, prefixes } = this.#values;
    const common = lists.of(interfaces, (at, message) => {
      this.#diagnostics.say("interfaces", message, ["interfaces", ...at]);
    });
    let first: Path | undefined;
    const all = prefixes.map((entry, i) => {
      if (typeof entry === "string" || !entry.interfaces) return common;
      const path = ["prefixes", i, "interfaces"];
      const own = lists.of(entry.interfaces, (at, message) => {
        this.#diagnostics.say("prefixes", message, [...path, ...at]);
      });
      if (!lists.fits) first ??= path;
      return own;
    });
    if (!lists.fits) {
      const message = `the prefixes have too many different interfaces: all together fit into `
        + `${MAX_INTERFACE_LISTS >> 10} KiB`;
      this.#diagnostics.say("prefixes", message, first);
    }
    this.#interfaces = { common, all };
  }

  /** Makes the link and the path of each prefix. */
  makeLinks(): void {
    const sayOf = (key: Key) => (path: Path, message: string, which?: "key") => {
      this.#diagnostics.say(key, message, path, undefined, which);
    };
    const links = new Links(this.#values.links, this.#folder, sayOf("links"));
    const flag = this.#given.names.link === "--link" ? "--link: " : "";
    // An option has no place in the file.
    const place = this.#given.values.link === undefined ? ["link"] : [];
    const common = links.of(this.#values.link, place, (path, message) => {
      this.#diagnostics.say("link", `${flag}${message}`, path);
    });
    const all = this.#values.prefixes.map((entry, i) => typeof entry === "string" || entry.link === undefined
      ? common
      : links.of(entry.link, ["prefixes", i, "link"], sayOf("prefixes")));
    const paths = new Paths(this.#values.paths, links, sayOf("paths"));
    const route = paths.of(this.#values.path, ["path"], sayOf("path"));
    const routes = this.#values.prefixes.map((entry, i) => typeof entry === "string" || entry.path === undefined
      ? route
      : paths.of(entry.path, ["prefixes", i, "path"], sayOf("prefixes")));
    this.#links = { common, all };
    this.#routes = { common: route, all: routes };
  }

  /** Refuses prefixes that cannot stand behind their path. */
  checkRoutes(prefixes: readonly (Prefix | undefined)[]): void {
    const places = new Places();
    for (const [i, prefix] of prefixes.entries()) {
      const route = this.#routes.all[i];
      const entry = this.#values.prefixes[i];
      if (!prefix || !route) continue;
      const ttl = (typeof entry === "string" ? undefined : entry.ttl) ?? this.#values.ttl;
      const misfit = places.misfit(route, prefix.family, ttl);
      if (misfit === undefined) continue;
      this.#diagnostics.say("prefixes", `prefix ${prefix.text}: ${misfit}`, this.#diagnostics.pathOf("prefixes", i));
    }
  }

  /** Refuses links and paths for which there is no room. */
  checkRoom(): void {
    const excess = firstWithoutRoom(this.#links.all, this.#routes.all);
    if (!excess) return;
    this.#diagnostics.say("prefixes", excess.message, this.#diagnostics.pathOf("prefixes", excess.index));
  }

  /** Returns the prefixes with what they answer. */
  served(prefixes: readonly Prefix[]): ServedPrefix[] {
    const values = this.#values;
    const [ports, interfaces, links, routes] = [this.#ports, this.#interfaces, this.#links, this.#routes];
    const common: Ports = { tcp: this.#portLists.tcp.common, udp: this.#portLists.udp.common };
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

export function toLimit(setting: LimitSetting): Limit | undefined {
  return setting === "none" ? undefined : withBurst(setting);
}
