/**
 * From what was asked for to what pongd runs with. A key's value comes from the first that has it of flags, environment, file and
 * defaults; where values do not go together, the message says so in the words of who gave them, and with the place in the file.
 */
import { dirname, isAbsolute, join } from "node:path";
import { MacPolicy } from "../../abi/control.js";
import { SourceRoute, Unreachable } from "../../abi/tables.js";
import type { RunOptions } from "../daemon/supervisor.js";
import { linkOf, type Link } from "../tun/mac.js";
import type { Answers, Limit } from "../prefix/policy.js";
import { EXIT, Failure } from "../base/failure.js";
import { isSamePlace, parseEndpoint } from "../prefix/endpoints.js";
import { misfits, parseHostAddresses, parsePrefix, type Address, type Prefix, type Served } from "../prefix/prefixes.js";
import { ETH_HLEN, ETH_MAX_MTU, ETH_MIN_MTU, IPV6_MIN_MTU } from "../sys/uapi.js";
import { DEFAULTS, DEVICE_NAME, DEVICE_NAME_RULE, JS_DEFAULTS, RELOADED, type Answer, type Key, type LimitSetting, type PrefixEntry, type Values } from "./keys.js";
import type { ConfigFile, Problem } from "./reader.js";
import type { Path } from "./path.js";

/** Values from outside the file, each with the flag or the variable that gave it. */
export interface Given {
  readonly values: Partial<Values>;
  readonly names: Partial<Record<Key, string>>;
  /** --ignore-echo: the default answers are those of the others, but for echo. */
  readonly ignoreEcho: boolean;
  readonly queueFds: readonly number[] | undefined;
  /** The command as it would be right, where there must be prefixes. */
  readonly example: string | undefined;
}

export interface Effective {
  readonly options: RunOptions;
  readonly values: Values;
}

/**
 * Flags and environment, and over them the file, if there is one, to what pongd runs with.
 * @throws Failure with a line for each thing that is wrong: configuration where one of them is in the file, else usage.
 */
export function effective(given: Given, file?: ConfigFile): Effective {
  return new Merger(given, file).merge();
}

class Merger {
  readonly #given: Given;
  readonly #file: ConfigFile | undefined;
  readonly #inFile: Partial<Values>;
  readonly #defaults: Values;
  readonly #problems: Problem[];
  /** Those of flags and environment. */
  readonly #lines: string[] = [];

  constructor(given: Given, file?: ConfigFile) {
    this.#given = given;
    this.#file = file;
    this.#inFile = file ? flatten(file) : {};
    this.#problems = [...file?.problems ?? []];
    const engine = given.values.engine ?? this.#inFile.engine ?? DEFAULTS.engine;
    this.#defaults = engine === "js" ? { ...DEFAULTS, ...JS_DEFAULTS } : DEFAULTS;
  }

  merge(): Effective {
    // The rest of a file that the schema does not allow may mean something else once that is mended.
    const allowed = this.#problems.length === 0;
    const prefixes = this.#blocks("prefixes", this.#get("prefixes").map((entry) => typeof entry === "string" ? entry : entry.prefix));
    const exceptions = this.#blocks("except", this.#get("except"));
    if (allowed && prefixes.length === 0 && (this.#file ?? this.#given.example) !== undefined) {
      this.#say("prefixes", this.#file ? "prefixes: there is none; expected at least one, like 10.99.0.0/16" : `no prefix given; try: ${this.#given.example ?? ""}`);
    }
    for (const { index, message, first } of misfits(prefixes, exceptions)) this.#sayOf(prefixes.length, index, message, first);
    if (allowed) this.#checkTogether(prefixes);
    const whole = prefixes.length > 0 && ![...prefixes, ...exceptions].includes(undefined);
    const hostAddresses = allowed && whole ? this.#hostAddresses(prefixes as Prefix[], exceptions as Prefix[]) : [];
    this.#end();

    const values = Object.fromEntries(Object.keys(DEFAULTS).map((key) => [key, this.#get(key as Key)])) as unknown as Values;
    const mtu = values["device.mtu"];
    return {
      values,
      options: {
        serving: {
          prefixes: this.#served(prefixes as Prefix[], values),
          exceptions: exceptions as Prefix[],
          policy: { sourceRoute: SourceRoute[values.source_route], sourceLimit: toLimit(values.source_rate_limit) },
        },
        hostAddresses,
        hostAddressGiven: !this.#isDefault("device.host_address") && hostAddresses.length > 0,
        device: values["device.name"],
        link: this.#link(values),
        routes: values["device.routes"],
        mtu: mtu === "auto" ? undefined : mtu,
        queues: values["device.queues"],
        engine: values.engine,
        io: values.io,
        spin: values.spin,
        reassembly: values.reassembly,
        listen: values.listen.map(parseEndpoint),
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

  #get<K extends Key>(key: K): Values[K] {
    const value = this.#given.values[key] ?? this.#inFile[key] ?? this.#defaults[key];
    return key === "answer" && this.#given.ignoreEcho ? (value as readonly Answer[]).filter((answer) => answer !== "echo") as unknown as Values[K] : value;
  }

  /** Prefixes, or exceptions, each read by itself; undefined where one cannot be. */
  #blocks(key: "prefixes" | "except", texts: readonly string[]): (Prefix | undefined)[] {
    return texts.map((text, i) => {
      try {
        return parsePrefix(text);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        // In the place of what the schema does not allow, which has been said.
        if (text !== "" || (this.#file?.problems.length ?? 0) === 0) this.#say(key, error.what, this.#pathOf(key, i));
        return undefined;
      }
    });
  }

  /** The path of an entry's text. */
  #pathOf(key: "prefixes" | "except", index: number): Path {
    const entry = this.#inFile[key]?.[index];
    return typeof entry === "object" ? [key, index, "prefix"] : [key, index];
  }

  /** Something about the one that stands there among prefixes and, behind them, exceptions. */
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

  /** What is wrong with the value of a key. */
  #say(key: Key, message: string, path: Path = key.split("."), first?: Path): void {
    const name = this.#given.names[key];
    if (this.#given.values[key] === undefined && this.#file) this.#problems.push({ path, message, first });
    else this.#lines.push(name?.startsWith("PONGD_") ? `${name}: ${message}` : message);
  }

  #hostAddresses(prefixes: readonly Prefix[], exceptions: readonly Prefix[]): readonly Address[] {
    try {
      return parseHostAddresses(this.#get("device.host_address"), prefixes, exceptions);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#say("device.host_address", error.what);
      return [];
    }
  }

  /** How who gave it calls a key, to leave it out. */
  #called(key: Key): string {
    return this.#given.names[key] ?? key;
  }

  /** As a flag or as a line of the file, after whose key the message is about. */
  #as(key: Key, flag: string, line: string): string {
    return this.#given.names[key] === undefined && this.#file ? line : flag;
  }

  #isDefault(key: Key): boolean {
    return this.#given.values[key] === undefined && this.#inFile[key] === undefined;
  }

  /** Values that are right each by itself. */
  #checkTogether(prefixes: readonly (Prefix | undefined)[]): void {
    const name = this.#get("device.name");
    if (!DEVICE_NAME.test(name)) this.#say("device.name", `device name "${name}": write ${DEVICE_NAME_RULE}`);

    this.#checkListen();
    const mtu = this.#get("device.mtu");
    const mode = this.#get("device.mode");
    // RFC 8200 §5; the kernel takes IPv6 away from a link with less.
    if (mtu !== "auto" && mtu < IPV6_MIN_MTU && prefixes.some((prefix) => prefix?.family === 6)) {
      this.#say("device.mtu", `MTU ${mtu}: IPv6 prefixes need at least ${IPV6_MIN_MTU}; raise ${this.#called("device.mtu")}, or give IPv4 prefixes alone`);
    }
    if (mode === "tap" && mtu !== "auto" && mtu > ETH_MAX_MTU - ETH_HLEN) {
      this.#say("device.mtu", `${this.#called("device.mtu")} ${mtu}: a TAP device takes ${ETH_MIN_MTU} to ${ETH_MAX_MTU - ETH_HLEN}`);
    }
    if (mode === "tun" && !this.#isDefault("device.mac")) {
      this.#say("device.mac", `a TUN device has no MAC addresses: leave ${this.#called("device.mac")} out, or ${this.#as("device.mac", "add --mode tap", "write mode: tap")}`);
    }

    if (this.#get("engine") !== "js") return;
    const refuse = (key: Key, what: string, path?: Path, called = this.#called(key)) => {
      this.#say(key, `the js engine ${what}: leave ${called.replace(/^unreachable\.\w+$/, "unreachable")} out, or ${this.#as(key, "--engine js", "engine: js")}`, path);
    };
    const asked = (["unreachable.udp", "unreachable.other"] as const).find((key) => this.#get(key) !== "off");
    const inMap = typeof this.#file?.document.unreachable === "object";
    if (asked) refuse(asked, "sends no ICMP errors", inMap ? asked.split(".") : ["unreachable"]);
    if (this.#get("answer").includes("unreachable")) refuse("answer", "sends no ICMP errors");
    for (const [i, entry] of this.#get("prefixes").entries()) {
      if (typeof entry === "object" && entry.answer?.includes("unreachable")) refuse("prefixes", "sends no ICMP errors", ["prefixes", i, "answer"], `prefixes[${i}].answer`);
    }
    if (this.#get("source_route") === "reverse") refuse("source_route", "drops IP options");
    if (this.#get("reassembly") > 0) refuse("reassembly", "does not reassemble");
  }

  #checkListen(): void {
    const texts = this.#get("listen");
    const endpoints = texts.map(parseEndpoint);
    for (const [i, endpoint] of endpoints.entries()) {
      const first = endpoints.findIndex((other) => isSamePlace(other, endpoint));
      if (first < i) this.#say("listen", `listen address "${texts[i]}" is given twice`, ["listen", i], ["listen", first]);
    }
  }

  #end(): void {
    if (this.#problems.length === 0 && this.#lines.length === 0) return;
    throw new Failure([...this.#file?.linesOf(this.#problems) ?? [], ...this.#lines], this.#problems.length > 0 ? EXIT.CONFIG : EXIT.USAGE);
  }

  #served(prefixes: readonly Prefix[], values: Values): Served[] {
    const common = answersOf({ prefix: "" }, values);
    return prefixes.map(({ family, bytes, length, text }, i) => {
      const entry = values.prefixes[i];
      if (typeof entry === "string") return { family, bytes, length, text, answers: common };
      const same = entry.answer === undefined && entry.ttl === undefined && entry.rate_limit === undefined;
      return { family, bytes, length, text, answers: same ? common : answersOf(entry, values), ...entry.name !== undefined && { name: entry.name } };
    });
  }

  #link(values: Values): Link | undefined {
    if (values["device.mode"] === "tun") return undefined;
    return linkOf(values["device.name"], values["device.mac"] === "shared" ? MacPolicy.shared : MacPolicy.per_address);
  }

  /** A file that the configuration file names lies where that does. */
  #webConfig({ web_config: name }: Values): string | undefined {
    if (name === "none") return undefined;
    return this.#file && this.#isOfFile("web_config") && !isAbsolute(name) ? join(dirname(this.#file.name), name) : name;
  }
}

function answersOf(entry: Exclude<PrefixEntry, string>, values: Values): Answers {
  const answer = entry.answer ?? values.answer;
  const errors = answer.includes("unreachable");
  // Checked and counted all the same.
  const mode = (kind: "udp" | "other") => !errors && values[`unreachable.${kind}`] === "on" ? Unreachable.silent : Unreachable[values[`unreachable.${kind}`]];
  return {
    ttl: entry.ttl ?? values.ttl,
    echo: answer.includes("echo"),
    timestamp: answer.includes("timestamp"),
    errors,
    unreachable: { udp: mode("udp"), other: mode("other") },
    limit: toLimit(entry.rate_limit ?? values.rate_limit),
  };
}

function toLimit(setting: LimitSetting): Limit | undefined {
  return setting === "none" ? undefined : { rate: setting.rate, burst: setting.burst ?? Math.max(1, setting.rate) };
}

/** A file's document by the keys of Values. */
function flatten({ document: { device = {}, log = {}, unreachable = {}, listen, ...others } }: ConfigFile): Partial<Values> {
  const { udp, other } = typeof unreachable === "string" ? { udp: unreachable, other: unreachable } : unreachable;
  const { host_address: host } = device;
  const values: Partial<Values> = {
    "device.name": device.name,
    "device.mode": device.mode,
    "device.mac": device.mac,
    "device.mtu": device.mtu,
    "device.queues": device.queues,
    "device.routes": device.routes,
    "device.host_address": typeof host === "string" ? [host] : host,
    "log.level": log.level,
    "log.format": log.format,
    "unreachable.udp": udp,
    "unreachable.other": other,
    listen: typeof listen === "string" ? [listen] : listen,
    ...others,
  };
  return values;
}

/** The values that differ though a reload does not change them: a line each. Of the host's addresses the daemon knows more. */
export function needsRestart(before: Values, after: Values): string[] {
  const changed = (Object.keys(before) as Key[]).filter((key) => !RELOADED.has(key) && key !== "device.host_address" && JSON.stringify(before[key]) !== JSON.stringify(after[key]));
  return changed.map((key) => `${key} stays ${textOf(before[key])} until pongd is started again, when it will be ${textOf(after[key])}`);
}

function textOf(value: Values[Key]): string {
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value.join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}
