/**
 * The settings, one row each. Everything that knows settings by name is derived from here: the file's schema
 * (schema.ts), the options and their variables (cli/settings.ts), with them completion and the manual page, what pongd
 * check prints (print.ts), and the table in docs/reference.md (help/reference.ts). A new setting is a new row, and the
 * code that uses its value (merge.ts, or answers.ts for what prefixes have).
 */
import { MAX_SLOTS } from "../../abi/pool.js";
import { MAX_REASSEMBLIES } from "../../abi/reassembly.js";
import { SLOTS } from "../../abi/slots.js";
import { MAX_SERVICE_THREADS } from "../../abi/streams.js";
import { LOG_FORMATS, LOG_LEVELS } from "../base/log.js";
import { ENGINE_NAMES, type EngineName } from "../engine/contract.js";
import { IO_CHOICES } from "../io/contract.js";
import { PRECISIONS } from "../io/wait.js";
import { DEFAULT_ANSWERS, DEFAULT_REASSEMBLY } from "../prefix/policy.js";
import { ETH_MAX_MTU, ETH_MIN_MTU } from "../sys/uapi.js";
import { ANSWERS, BUILTIN_SERVICES, isWords, UDP_SERVICES, type PrefixMap, type Type, type ValueOf } from "./types.js";

export const MODES = ["tun", "tap"] as const;
const MAC_POLICIES = ["shared", "per-address"] as const;
const UNREACHABLE_MODES = ["on", "silent", "off"] as const;
const SOURCE_ROUTES = ["drop", "reverse"] as const;
const PRIVILEGES = ["keep", "drop"] as const;
const OFFLOADS = ["auto", "on", "off"] as const;

/** Most queues that the kernel allows one device (MAX_TAP_QUEUES). */
export const MAX_QUEUES = 256;
const MAX_SPIN = 1_000_000;
const MAX_REQUESTS = 1_000_000;
const MAX_CONNECTIONS = 2_000_000;
const MAX_SESSIONS = 65_536;
/** As many as there may be slots besides those that every queue has. */
export const MAX_HELD = MAX_SLOTS - SLOTS;
/** Bytes: all of a queue's memory stays below the 2 GiB that a signed number can tell. */
const MAX_TCP_MEMORY = 1 << 30;
/** Bytes that services need: what echo keeps of one connection at most. */
export const MIN_TCP_MEMORY = 1 << 16;
/** Device names that the kernel takes as they are. It would refuse, shorten or expand any other. */
export const DEVICE_NAME = /^(?!\.{1,2}$)[!-$&-.0-9;-~]{1,15}$/;
export const DEVICE_NAME_RULE = "1 to 15 ASCII characters, none of them a space, \"/\", \":\" or \"%\"";

/** A time, in whole milliseconds, seconds, minutes or hours, of at most an hour. A space may precede the unit. */
export const DURATION = /^(?:\d{1,6} ?ms|(?:\d{1,3}|[1-2]\d{3}|3[0-5]\d{2}|3600) ?s|(?:[1-5]?\d|60) ?m|[01] ?h)$/;
export const DURATION_RULE = "a time like 500ms, 5s or 2m, at most 1h";
/** One that is not 0. */
export const POSITIVE_DURATION = new RegExp(`^(?!0+ ?[a-z])${DURATION.source.slice(1)}`);
export const POSITIVE_DURATION_RULE = "a time like 500ms, 5s or 2m, more than 0 and at most 1h";

/** Returns the milliseconds of a time that matches DURATION. */
export function millisecondsOf(duration: string): number {
  const [, count, unit] = /^(\d+) ?(ms|s|m|h)$/.exec(duration) ?? [];
  return Number(count) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit as "ms" | "s" | "m" | "h"];
}

/** The headings of the help, in its order. */
export const GROUPS = ["Device", "Answers", "Limits", "Web", "Log"] as const;

/** An option of the command line. Its environment variable is named after it. */
export interface CommandOption<Value = unknown> {
  /** The option as the help writes it: "--mtu <bytes>". Without an argument it is a switch, which sets `on`. */
  readonly flags: string;
  readonly group: typeof GROUPS[number];
  /** The option's text in the help, if it differs from the setting's. */
  readonly text?: string;
  /** A switch's value when it is given. */
  readonly on?: Value;
  /** A switch's value when its variable says no. */
  readonly off?: Value;
}

interface Row<K extends string, T extends Type> {
  /** The key in the file. A key within a map (MAPS) is preceded by the map's name and a dot. */
  readonly key: K;
  readonly type: T;
  readonly default: ValueOf<T>;
  /** The default with `engine: js`, if it differs. What this engine lacks is off, and refused if asked for. */
  readonly js?: ValueOf<T>;
  /** The default in words, where it depends on other settings. */
  readonly defaultText?: string;
  /** True if a reload changes it. Every other setting needs a restart. */
  readonly reload?: true;
  /** True if a prefix may have a value of its own. */
  readonly perPrefix?: K extends keyof PrefixMap ? true : never;
  /** The command-line option. It is missing if a map has the option, and for prefixes, which are arguments. */
  readonly option?: CommandOption<ValueOf<T>>;
  /**
   * The description. It begins with a small letter and has no full stop: the help shows it like that, and the reference
   * as a sentence.
   */
  readonly text: string;
  /** Further sentences for editors and the reference. */
  readonly note?: string;
  readonly examples?: readonly unknown[];
}

function setting<const K extends string, const T extends Type>(row: Row<K, T>): Row<K, T> {
  return row;
}

const ROWS = [
  setting({
    key: "device.name",
    type: { kind: "text", pattern: DEVICE_NAME, expected: DEVICE_NAME_RULE },
    default: "pong0",
    option: { flags: "--device <name>", group: "Device" },
    text: "name of the device: one to make, or one that pongd device create made",
  }),
  setting({
    key: "device.mode",
    type: { kind: "choice", choices: MODES },
    default: "tun",
    option: { flags: "--mode <mode>", group: "Device" },
    text: "kind of device: tun (IP packets) or tap (Ethernet frames, for a bridge)",
  }),
  setting({
    key: "device.mac",
    type: { kind: "choice", choices: MAC_POLICIES },
    default: "shared",
    option: { flags: "--mac <policy>", group: "Device" },
    text: "MAC addresses that answer on a TAP device: one for all (shared) or one each (per-address)",
  }),
  setting({
    key: "device.mtu",
    type: { kind: "whole or auto", min: ETH_MIN_MTU, max: ETH_MAX_MTU },
    default: "auto",
    option: { flags: "--mtu <bytes>", group: "Device" },
    text: "MTU of the device in bytes; auto: 1500, or what a device that is there already has",
    note: "IPv6 prefixes need at least 1280.",
  }),
  setting({
    key: "device.queues",
    type: { kind: "whole or auto", min: 1, max: MAX_QUEUES },
    default: 1,
    option: { flags: "--queues <n>", group: "Device" },
    text: "queues of the device, a thread each; auto: one for each CPU",
  }),
  setting({
    key: "device.offload",
    type: { kind: "choice", choices: OFFLOADS },
    default: "auto",
    option: { flags: "--offload <mode>", group: "Device" },
    text: "whether the kernel computes checksums and cuts long packets of TCP for pongd, where that works; auto: if "
      + "pongd serves TCP, and no prefix stands behind a link or a path",
    note: "What does not gain from it pays for it: a ping then takes the kernel longer.",
  }),
  setting({
    key: "device.routes",
    type: { kind: "boolean" },
    default: true,
    option: {
      flags: "--no-routes",
      group: "Device",
      text: "leave the host's routes alone: for a TAP device that becomes a bridge's port",
      on: false,
      off: true,
    },
    text: "whether to route the prefixes to the device; false for a TAP device that becomes a bridge's port",
  }),
  setting({
    key: "device.host_address",
    type: { kind: "addresses" },
    default: [],
    defaultText: "the first usable one of each family's first prefix with room",
    option: { flags: "--host-address <address>", group: "Device" },
    text: "the host's own address on the device, one for each family, or none",
    examples: ["10.99.0.1", "none", ["10.99.0.1", "2001:db8::1"]],
  }),
  setting({
    key: "engine",
    type: { kind: "choice", choices: ENGINE_NAMES },
    default: "wasm",
    option: { flags: "--engine <name>", group: "Answers" },
    text: "what handles the packets",
  }),
  setting({
    key: "io",
    type: { kind: "choice", choices: IO_CHOICES },
    default: "auto",
    option: { flags: "--io <name>", group: "Device" },
    text: "how packets are read and written: by io_uring, or by a read and a write for each; auto: io_uring where it "
      + "works",
  }),
  setting({
    key: "spin",
    type: { kind: "whole", min: 0, max: MAX_SPIN },
    default: 0,
    option: { flags: "--spin <rounds>", group: "Device" },
    text: "with io_uring: rounds that may come up empty before the thread sleeps",
  }),
  setting({
    key: "precision",
    type: { kind: "choice", choices: PRECISIONS },
    default: "coarse",
    option: { flags: "--precision <name>", group: "Device" },
    text: "how exactly delayed packets are released: by the kernel's timers alone, or fine, by watching the clock for "
      + "up to 0.25 ms before each",
  }),
  setting({
    key: "reassembly",
    type: { kind: "whole", min: 0, max: MAX_REASSEMBLIES },
    default: DEFAULT_REASSEMBLY,
    js: 0,
    option: { flags: "--reassembly <datagrams>", group: "Answers" },
    text: "datagrams in fragments that may be incomplete at a time, for each queue, up to 67 KiB each; 0 drops "
      + "fragments",
  }),
  setting({
    key: "listen",
    type: { kind: "endpoints" },
    // 7664 spells PONG on a telephone's keys.
    default: ["127.0.0.1:7664"],
    option: { flags: "--listen <address>", group: "Web" },
    text: "where metrics, health and the page are served: host:port, [v6]:port, :port or unix:PATH",
    examples: ["127.0.0.1:7664", ":7664", ["[::1]:7664", "unix:/run/pongd.sock"]],
  }),
  setting({
    key: "web_config",
    type: { kind: "file" },
    default: "none",
    option: { flags: "--web-config <file>", group: "Web" },
    text: "file with TLS, client certificates, users and headers for what is served, in the format of Prometheus's "
      + "exporters; or none",
    note: "In the configuration file, its path is relative to that file. Changes in it are noticed.",
    examples: ["web.yml", "none"],
  }),
  setting({
    key: "max_requests",
    type: { kind: "whole", min: 0, max: MAX_REQUESTS },
    default: 40,
    option: { flags: "--max-requests <n>", group: "Web" },
    text: "requests for metrics that are served at a time; 0 for no limit",
  }),
  setting({
    key: "log.level",
    type: { kind: "choice", choices: LOG_LEVELS },
    default: "info",
    reload: true,
    option: { flags: "--log-level <level>", group: "Log" },
    text: "least severe level that is logged",
  }),
  setting({
    key: "log.format",
    type: { kind: "choice", choices: LOG_FORMATS },
    default: "text",
    option: { flags: "--log-format <format>", group: "Log" },
    text: "format of the log on standard error",
  }),
  setting({
    key: "shutdown_delay",
    type: { kind: "text", pattern: DURATION, expected: DURATION_RULE },
    default: "5s",
    option: { flags: "--shutdown-delay <time>", group: "Device" },
    text: "how long TCP connections may take to end when pongd stops, such as 500ms, 5s, 2m or 1h; the rest is reset",
  }),
  setting({
    key: "privileges",
    type: { kind: "choice", choices: PRIVILEGES },
    default: "keep",
    option: {
      flags: "--drop-privileges",
      group: "Device",
      text: "give up all privileges once the device is configured",
      on: "drop",
      off: "keep",
    },
    text: "whether to keep all privileges, or drop them once the device is configured",
  }),
  setting({
    key: "answer",
    type: { kind: "answers" },
    default: ANSWERS,
    js: ["echo", "timestamp"],
    reload: true,
    perPrefix: true,
    option: { flags: "--ignore-echo", group: "Answers", text: "count echo requests but leave them unanswered" },
    text: "what is answered: echo requests, timestamp requests, and by ICMP errors what nobody listens to",
    note: "--ignore-echo takes echo out. Without unreachable, what unreachable: on would answer is checked and "
      + "counted.",
  }),
  setting({
    key: "ttl",
    type: { kind: "whole", min: 1, max: 255 },
    default: DEFAULT_ANSWERS.ttl,
    reload: true,
    perPrefix: true,
    option: { flags: "--ttl <n>", group: "Answers" },
    text: "TTL, or hop limit, of replies",
  }),
  setting({
    key: "unreachable.udp",
    type: { kind: "choice", choices: UNREACHABLE_MODES },
    default: "on",
    js: "off",
    reload: true,
    text: "ICMP errors for UDP: on, silent (checked, counted) or off (unread)",
  }),
  setting({
    key: "unreachable.other",
    type: { kind: "choice", choices: UNREACHABLE_MODES },
    default: "on",
    js: "off",
    reload: true,
    text: "ICMP errors for protocols that nobody speaks: on, silent (checked, counted) or off (unread)",
  }),
  setting({
    key: "tcp",
    type: { kind: "ports", protocol: "tcp" },
    default: {},
    reload: true,
    perPrefix: true,
    option: { flags: "--tcp <ports>", group: "Answers" },
    text: `TCP services by port: ${BUILTIN_SERVICES.join(", ")}, proxy:HOST:PORT, or a name under services; all other `
      + "ports refuse",
    note: "Within a map, the narrower of two ranges decides. A prefix's map is laid over that of the whole file, port "
      + "by port.",
    examples: [{ 7: "echo", "8000-8010": "discard" }],
  }),
  setting({
    key: "udp",
    type: { kind: "ports", protocol: "udp" },
    default: {},
    reload: true,
    perPrefix: true,
    option: { flags: "--udp <ports>", group: "Answers" },
    text: `UDP services by port: ${UDP_SERVICES.join(", ")}; or a name under services; at all other ports, `
      + "unreachable says what happens",
    note: "Ranges and prefixes are as with tcp.",
    examples: [{ 7: "echo", "9000-9010": "discard" }],
  }),
  setting({
    key: "interfaces",
    type: { kind: "interfaces" },
    default: [],
    reload: true,
    perPrefix: true,
    text: "interfaces that PROBE (RFC 8335) is told of; without any, it is not answered",
    examples: [[{ name: "eth0", index: 2, address: ["192.0.2.1", "2001:db8::1"] }, { name: "eth1", active: false }]],
  }),
  setting({
    key: "services",
    type: { kind: "services" },
    default: {},
    reload: true,
    text: "services by name: of TCP, a banner, a reply to whatever ends with some bytes, a handler, a proxy, or HTTP; "
      + "of UDP, a handler, a STAMP or S-BFD reflector, or an IRTT server",
    note: "Paths are relative to the configuration file. A reload reads files again, and handlers that have changed.",
    examples: [{
      ssh: { tcp: { banner: "SSH-2.0-OpenSSH_9.6\r\n" } },
      health: { tcp: { reply: "ok.http", after: "\r\n\r\n" } },
      site: { http: { root: "./site" } },
      api: { https: { handler: "./api.mjs", cert: "cert.pem", key: "key.pem" } },
      backend: { tcp: { proxy: "127.0.0.1:8080", proxy_protocol: "v2" } },
      dns: { udp: { handler: "./dns.mjs" } },
      reflector: { stamp: { mode: "stateful", cos: [0, 46] } },
    }],
  }),
  setting({
    key: "service_threads",
    type: { kind: "whole", min: 1, max: MAX_SERVICE_THREADS },
    default: 1,
    option: { flags: "--service-threads <n>", group: "Answers" },
    text: "threads that run handlers and HTTP; connections go to each in turn",
  }),
  setting({
    key: "links",
    type: { kind: "links" },
    default: {},
    reload: true,
    text: "links by name: what packets go through on their way to a prefix and back, such as delay, loss and a rate",
    note: "Prefixes that name one share it, unless it has shared: false.",
    examples: [{
      dsl: { rtt: "20ms", in: { rate: "10mbit" }, out: { rate: "100mbit", queue: "100ms" } },
      lte: {
        rtt: "90ms",
        out: { jitter: "12ms", distribution: "paretonormal", loss: { burst: { loss: "1%", length: 8 } } },
      },
      pasted: { netem: "delay 100ms 10ms 25% distribution normal loss 1%" },
    }],
  }),
  setting({
    key: "link",
    type: { kind: "link" },
    default: "none",
    reload: true,
    perPrefix: true,
    option: { flags: "--link <spec>", group: "Answers" },
    text: "link that the prefixes stand behind: the name of one under links, or a link of each prefix's own",
    examples: ["none", "dsl", { rtt: "50ms", loss: "1%" }],
  }),
  setting({
    key: "paths",
    type: { kind: "paths" },
    default: {},
    reload: true,
    text: "paths by name: the routers that traceroute sees before a prefix, each with its addresses, link, MTU and "
      + "limits",
    note: "Prefixes that name one share its hops' limits and links.",
    examples: [{
      far: [
        { hop: ["10.98.0.1", "fd98::1"], name: "gw.example", link: { rtt: "1ms" } },
        { any: [[{ hop: "10.98.1.1", mpls: 16002 }], [{ hop: "10.98.2.1" }]], hash: "flow" },
        { silent: true, link: { rtt: "70ms" } },
        { hop: "10.98.0.4", mtu: 1400, icmp: { rate: 1, burst: 1 } },
      ],
    }],
  }),
  setting({
    key: "path",
    type: { kind: "path" },
    default: "none",
    reload: true,
    perPrefix: true,
    text: "path of routers that the prefixes stand behind: the name of one under paths, or a list of its steps",
    examples: ["none", "far", [{ hop: "10.98.0.1", link: { rtt: "20ms" } }]],
  }),
  setting({
    key: "seed",
    type: { kind: "whole", min: 0, max: Number.MAX_SAFE_INTEGER },
    default: 0,
    reload: true,
    option: { flags: "--seed <n>", group: "Answers" },
    text: "seed of what links leave to chance: with the same one, the same packets meet the same fate; 0: one that is "
      + "drawn at the start, which pongd_link_seed tells",
  }),
  setting({
    key: "source_route",
    type: { kind: "choice", choices: SOURCE_ROUTES },
    default: "drop",
    reload: true,
    option: { flags: "--source-route <mode>", group: "Answers" },
    text: "IPv4 packets with a source route: drop them, or reverse the route for the reply",
  }),
  setting({
    key: "rate_limit",
    type: { kind: "limit" },
    default: "none",
    reload: true,
    perPrefix: true,
    option: { flags: "--rate-limit <limit>", group: "Limits" },
    text: "limit on the replies of each prefix, a second and at once",
    examples: ["none", { rate: 1000, burst: 100 }],
  }),
  setting({
    key: "source_rate_limit",
    type: { kind: "limit" },
    default: "none",
    reload: true,
    option: { flags: "--source-rate-limit <limit>", group: "Limits" },
    text: "limit on the replies to each source (an IPv4 /24 or an IPv6 /56), a second and at once",
    examples: ["none", { rate: 50, burst: 100 }],
  }),
  setting({
    key: "tcp_connections",
    type: { kind: "whole", min: 0, max: MAX_CONNECTIONS },
    default: 100_000,
    js: 0,
    option: { flags: "--tcp-connections <n>", group: "Limits" },
    text: "TCP connections that there may be at a time, for each queue; 0 accepts none",
  }),
  setting({
    key: "tcp_memory",
    type: { kind: "whole", min: 0, max: MAX_TCP_MEMORY },
    default: 64 << 20,
    js: 0,
    option: { flags: "--tcp-memory <bytes>", group: "Limits" },
    text: "bytes of TCP connections' data that are kept at a time, for each queue",
    note: `Where a port has a service, at least ${MIN_TCP_MEMORY}.`,
  }),
  setting({
    key: "tcp_source_connections",
    type: { kind: "whole", min: 0, max: MAX_CONNECTIONS },
    default: 0,
    option: { flags: "--tcp-source-connections <n>", group: "Limits" },
    text: "TCP connections that one source (an IPv4 address or an IPv6 /64) may have at a time, for each queue; 0 for "
      + "no limit",
  }),
  setting({
    key: "udp_sessions",
    type: { kind: "whole", min: 1, max: MAX_SESSIONS },
    default: 4096,
    option: { flags: "--udp-sessions <n>", group: "Limits" },
    text: "sessions that STAMP reflectors with mode: stateful may have at a time, for each queue",
    note: "A source (an IPv4 /24 or an IPv6 /56) may have a quarter of them.",
  }),
  setting({
    key: "held_packets",
    type: { kind: "whole", min: 0, max: MAX_HELD },
    default: 16_384,
    js: 0,
    option: { flags: "--held-packets <n>", group: "Limits" },
    text: "packets that links may delay at a time, for each queue; those for which there is no room are dropped",
    note: "Each takes the memory of one packet of the MTU, but not before it is needed. Without a file and without "
      + "--link, there are none.",
  }),
  setting({
    key: "prefixes",
    type: { kind: "prefixes" },
    default: [],
    reload: true,
    text: "prefixes whose every address answers; of nested ones the longest that matches decides",
    examples: [["10.99.0.0/16", { prefix: "10.99.7.0/24", name: "dark", answer: [] }]],
  }),
  setting({
    key: "except",
    type: { kind: "exceptions" },
    default: [],
    reload: true,
    option: { flags: "--except <prefix>", group: "Answers" },
    text: "what not to answer within the prefixes",
    examples: [["10.99.7.0/24"]],
  }),
] as const;

/** A map of the file, which holds several settings. */
interface SettingsMap {
  readonly text: string;
  /** Words that may stand in place of the map, for all its keys alike, and the option that takes them. */
  readonly alike?: { readonly choices: readonly string[]; readonly option: CommandOption };
}

/** The maps by name: the name stands before the dot of a key. */
export const MAPS: Readonly<Record<string, SettingsMap | undefined>> = {
  device: { text: "the device" },
  log: { text: "the log" },
  unreachable: {
    text: "ICMP errors for what nobody listens to: on, silent (checked, counted) or off (unread)",
    alike: { choices: UNREACHABLE_MODES, option: { flags: "--unreachable <modes>", group: "Answers" } },
  },
};

export type Key = typeof ROWS[number]["key"];
/** A value for each key. */
export type Values = { readonly [R in typeof ROWS[number] as R["key"]]: ValueOf<R["type"]> };
export type Setting = Row<Key, Type>;
/** Settings for which a prefix may have a value of its own. */
export type PrefixKey = Key & keyof PrefixMap;

export const SETTINGS: readonly Setting[] = ROWS;
export const PREFIX_KEYS = SETTINGS.filter(isPerPrefix).map(({ key }) => key);
export const RELOADED: ReadonlySet<Key> = new Set(SETTINGS.filter(({ reload }) => reload).map(({ key }) => key));
export const DEFAULTS = defaultsWith("wasm");

export function defaultsWith(engine: EngineName): Values {
  return collect(({ default: usual, js = usual }) => engine === "js" ? js : usual);
}

/** Collects the values that `value` returns. TypeScript cannot prove that each has its setting's type. */
export function collect(value: (setting: Setting) => unknown): Values {
  return Object.fromEntries(SETTINGS.map((setting) => [setting.key, value(setting)])) as Values;
}

function isPerPrefix(setting: Setting): setting is Setting & { readonly key: PrefixKey } {
  return setting.perPrefix === true;
}

/** Splits a key into its name at the top of the file and, for a key within a map, its name in that map. */
export function split(key: Key): readonly [top: string, name: string | undefined] {
  const [top, ...names] = key.split(".");
  return [top, names.at(0)];
}

/** Returns the purpose of a setting, in sentences. */
export function purposeOf({ text, note, perPrefix }: Setting): string {
  const own = perPrefix ? "A prefix may have its own." : undefined;
  return [sentence(text), note, own].filter((part) => part !== undefined).join(" ");
}

export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

export function inWords(value: Values[Key]): string {
  if (typeof value === "object" && Object.keys(value).length === 0) return "none";
  if (isWords(value)) return value.join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Returns a setting's option, which may be its map's. */
export function optionOf({ key, option }: Setting): CommandOption | undefined {
  const [top] = split(key);
  return option ?? MAPS[top]?.alike?.option;
}

/** Returns the name of an option's environment variable. Prefixes have no option, but they have a variable too. */
export function variableOf(flags = "--prefixes"): string {
  return `PONGD_${flags.replace(/^--| .*$/g, "").replaceAll("-", "_").toUpperCase()}`;
}
