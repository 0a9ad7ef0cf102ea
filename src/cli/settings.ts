/** The options that say what pongd does and how, for the commands that share them, and what they were given. */
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { MAX_REASSEMBLIES } from "../../abi/reassembly.js";
import {
  DEFAULTS, MAC_POLICIES, MAX_QUEUES, MAX_RATE, MAX_REQUESTS, MAX_SPIN, MODES, SOURCE_ROUTES, UNREACHABLE_MODES, type Key, type LimitSetting, type UnreachableMode, type Values,
} from "../config/keys.js";
import { effective, type Effective, type Given } from "../config/merge.js";
import type { Document } from "../config/schema.js";
import { ENGINE_NAMES } from "../engine/contract.js";
import { EXIT, Failure } from "../base/failure.js";
import { parseEndpoint } from "../prefix/endpoints.js";
import { IO_CHOICES } from "../io/contract.js";
import { LOG_FORMATS, LOG_LEVELS } from "../base/log.js";
import { ETH_MAX_MTU, ETH_MIN_MTU } from "../sys/uapi.js";
import { filePath } from "./file.js";
import { integer } from "./integer.js";
import { notes } from "./notes.js";

/** In place of a file's name. */
const STANDARD_STREAM = "-";

type UnreachableModes = Partial<Record<"udp" | "other", UnreachableMode>>;

/** The key that each option is about, by its attribute. The others are none of the file's. */
export const OPTION_KEYS = {
  device: "device.name",
  mode: "device.mode",
  mac: "device.mac",
  mtu: "device.mtu",
  queues: "device.queues",
  routes: "device.routes",
  hostAddress: "device.host_address",
  engine: "engine",
  io: "io",
  spin: "spin",
  reassembly: "reassembly",
  listen: "listen",
  webConfig: "web_config",
  maxRequests: "max_requests",
  logLevel: "log.level",
  logFormat: "log.format",
  dropPrivileges: "privileges",
  ttl: "ttl",
  ignoreEcho: "answer",
  unreachable: "unreachable.udp",
  sourceRoute: "source_route",
  rateLimit: "rate_limit",
  sourceRateLimit: "source_rate_limit",
  except: "except",
} as const satisfies Record<string, Key>;

export function prefixArgument(): Argument {
  return new Argument("[prefix...]", "IPv4 and IPv6 prefixes, like 10.99.0.0/16 or 2001:db8::/64");
}

/** `whose` address it is, in the help. */
export function hostAddressOption(whose: string): Option {
  return new Option("--host-address <address>", `${whose}, once a family, or "none" for none at all`)
    .argParser(gather)
    .default([], "the first usable one of each family's first prefix with room");
}

/** What `run` and `replay` ask alike. `whose` address the host's is, in the help. */
export function addAnswerOptions(command: Command, whose: string): Command {
  return command
    .addOption(hostAddressOption(whose))
    .optionsGroup("Answers:")
    .addOption(new Option("--except <prefix>", "what not to answer within the prefixes; may be given several times").argParser(gather).default([], "none"))
    .addOption(new Option("--engine <name>", "what handles the packets").choices(ENGINE_NAMES).default(DEFAULTS.engine))
    .option("--ttl <n>", "TTL of replies", integer(1, 255), DEFAULTS.ttl)
    .option("--ignore-echo", "count echo requests but leave them unanswered")
    .addOption(new Option("--unreachable <modes>", "ICMP errors for what nobody listens to: on, silent (checked, counted) or off (unread); for each: udp=on,other=silent")
      .argParser(parseUnreachable)
      .default({}, "on; off with --engine js, which sends none"))
    .addOption(new Option("--source-route <mode>", "IPv4 packets with a source route: drop, or reverse it for the reply").choices(SOURCE_ROUTES).default(DEFAULTS.source_route))
    .addOption(new Option("--reassembly <datagrams>", "datagrams in fragments that may be incomplete at a time, for each queue, up to 67 KiB each; 0 drops fragments")
      .argParser(integer(0, MAX_REASSEMBLIES))
      .default(DEFAULTS.reassembly, `${DEFAULTS.reassembly}; 0 with --engine js`));
}

/** All of `run`, each with its environment variable. */
export function addRunOptions(command: Command): Command {
  for (const option of runOptions()) command.addOption(option.env(`PONGD_${option.name().replaceAll("-", "_").toUpperCase()}`));
  return command
    .addOption(new Option("--queue-fds <fds>", "queues that are open already").argParser(parseDescriptors).hideHelp())
    .addHelpText("after", notes(`
Each option has the environment variable that is shown with it (env); lists in one are separated by spaces or commas. PONGD_PREFIXES has the prefixes.
For each key, the first of these that has it counts: options, environment, file, default.`));
}

/** Empty is as if it were not there; commander would take it for a value. */
export function forgetEmptyVariables(): void {
  for (const [name, value] of Object.entries(process.env)) if (name.startsWith("PONGD_") && value === "") Reflect.deleteProperty(process.env, name);
}

/** Under the headings of the help. */
function runOptions(): readonly Option[] {
  const device = new Command()
    .option("--config <file>", "configuration file; flags and environment win over it", filePath)
    .optionsGroup("Device:")
    .option("--device <name>", "name of the device: one to make, or one that pongd device create made", DEFAULTS["device.name"])
    .addOption(new Option("--mode <mode>", "what it is: tun (IP packets) or tap (Ethernet frames, for a bridge)").choices(MODES).default(DEFAULTS["device.mode"]))
    .addOption(new Option("--mac <policy>", "with --mode tap, the MAC addresses that answer: one for all (shared, the default) or one each").choices(MAC_POLICIES))
    .option("--no-routes", "leave the host's routes alone: for a TAP device that becomes a bridge's port")
    .addOption(new Option("--mtu <bytes>", "its MTU; auto: 1500, or what a device that is there already has").argParser(integerOrAuto(ETH_MIN_MTU, ETH_MAX_MTU)).default(DEFAULTS["device.mtu"]))
    .addOption(new Option("--queues <n>", "its queues, a thread each; auto: one for each CPU").argParser(integerOrAuto(1, MAX_QUEUES)).default(DEFAULTS["device.queues"]))
    .addOption(new Option("--io <name>", "what reads and writes packets: io_uring, or a read and a write for each; auto: the first where it works").choices(IO_CHOICES).default(DEFAULTS.io))
    .option("--spin <rounds>", "with io_uring: rounds that may come up empty before it sleeps", integer(0, MAX_SPIN), DEFAULTS.spin)
    .option("--drop-privileges", "give up all privileges once the device is configured");
  return addAnswerOptions(device, "the host's own address on it")
    .optionsGroup("Limits:")
    .addOption(new Option("--rate-limit <limit>", "replies of each prefix, a second and at once, like 1000/100 or 1000; or none").argParser(parseLimit).default(DEFAULTS.rate_limit))
    .addOption(new Option("--source-rate-limit <limit>", "the same to each source, an IPv4 /24 or an IPv6 /56").argParser(parseLimit).default(DEFAULTS.source_rate_limit))
    .optionsGroup("Web:")
    .addOption(new Option("--listen <address>", "where metrics, health and the page are served: host:port, [v6]:port, :port or unix:PATH; may be given several times")
      .argParser(gatherListen)
      .default([], DEFAULTS.listen[0]))
    .option("--web-config <file>", "TLS, client certificates, users and headers for that, in the format of Prometheus's exporters; or none", filePath, DEFAULTS.web_config)
    .option("--max-requests <n>", "requests for metrics that are served at a time; 0 for no limit", integer(0, MAX_REQUESTS), DEFAULTS.max_requests)
    .optionsGroup("Log:")
    .addOption(new Option("--log-level <level>", "least level that is logged").choices(LOG_LEVELS).default(DEFAULTS["log.level"]))
    .addOption(new Option("--log-format <format>", "of the log on standard error").choices(LOG_FORMATS).default(DEFAULTS["log.format"]))
    .options;
}

/**
 * Reads what to run with, anew at each call: a function, since the file is read again for a reload. `onDocument` hears what the file says
 * before anything is found wrong with it.
 */
export async function reader(
  prefixes: readonly string[], command: Command, example: string, file?: string, onDocument: (document: Document) => void = () => undefined,
): Promise<() => Effective> {
  const given = givenOf(prefixes, command, example);
  const name = file ?? command.opts<{ config?: string }>().config;
  if (name === undefined) return () => effective(given);
  if (file === undefined && name === STANDARD_STREAM) throw new Failure("--config -: standard input cannot be read again for a reload; give a file", EXIT.USAGE);
  const { absolute, checkRegular, ConfigFile } = await import("../config/reader.js");
  // Its descriptor, where the file is open already.
  const path = file === STANDARD_STREAM ? 0 : absolute(name);
  return () => {
    // One that is read for once may be a pipe.
    if (file === undefined && typeof path === "string") checkRegular(name, path);
    const config = new ConfigFile(typeof path === "string" ? name : "standard input", path);
    onDocument(config.document);
    return effective(given, config);
  };
}

/** What flags and environment gave. @throws Failure (usage) for a variable that says neither yes nor no. */
export function givenOf(prefixes: readonly string[], command: Command, example: string | undefined): Given {
  const values: Partial<Record<Key, unknown>> = {};
  const names: Partial<Record<Key, string>> = {};
  const give = (key: Key, value: unknown, name?: string) => {
    values[key] = value;
    names[key] = name;
  };
  let ignoreEcho = false;
  for (const option of command.options) {
    const attribute = option.attributeName();
    const source = command.getOptionValueSource(attribute);
    if (!(attribute in OPTION_KEYS) || (source !== "cli" && source !== "env")) continue;
    const name = source === "env" ? option.envVar : option.long;
    let value: unknown = command.getOptionValue(attribute);
    // Commander takes such a variable's being there for a yes.
    if (source === "env" && !option.required) value = yes(option.envVar ?? "") !== option.negate;
    if (attribute === "ignoreEcho") {
      ignoreEcho = value as boolean;
    } else if (attribute === "unreachable") {
      for (const [kind, mode] of Object.entries(value as UnreachableModes)) give(`unreachable.${kind as keyof UnreachableModes}`, mode, name);
    } else {
      give(OPTION_KEYS[attribute as keyof typeof OPTION_KEYS], attribute === "dropPrivileges" ? value ? "drop" : "keep" : value, name);
    }
  }
  if (prefixes.length > 0) give("prefixes", prefixes);
  else if (process.env.PONGD_PREFIXES?.trim()) give("prefixes", listOf(process.env.PONGD_PREFIXES), "PONGD_PREFIXES");
  return { values: values as Partial<Values>, names, ignoreEcho, queueFds: command.opts<{ queueFds?: number[] }>().queueFds, example };
}

/** What a variable in place of a flag says. */
function yes(name: string): boolean {
  const text = process.env[name] ?? "";
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  if (/^(0|false|no|off)$/i.test(text)) return false;
  throw new Failure(`${name} is "${text}"; expected true or false`, EXIT.USAGE);
}

function listOf(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

/** All that an option was given. */
function gather(text: string, texts: string[]): string[] {
  return [...texts, ...text === "" ? [text] : listOf(text)];
}

function integerOrAuto(min: number, max: number): (text: string) => number | "auto" {
  const read = integer(min, max);
  return (text) => text === "auto" ? text : read(text);
}

function gatherListen(text: string, texts: string[]): string[] {
  const given = listOf(text);
  try {
    // Nothing but separators is not nothing.
    for (const endpoint of given.length > 0 ? given : [text]) parseEndpoint(endpoint);
    return [...texts, ...given];
  } catch (error) {
    throw error instanceof Failure ? new InvalidArgumentError(error.what) : error;
  }
}

/** One that is given again adds to the others. */
function parseUnreachable(text: string, before: UnreachableModes): UnreachableModes {
  const mode = (value: string) => UNREACHABLE_MODES.find((name) => name === value);
  const all = mode(text);
  if (all) return { udp: all, other: all };
  const parts = Object.fromEntries(text.split(",").map((part) => {
    const [kind, value = "", ...rest] = part.split("=");
    const found = mode(value);
    if ((kind !== "udp" && kind !== "other") || !found || rest.length > 0) {
      throw new InvalidArgumentError("Write on, silent or off, or one of them for each, like udp=on,other=silent.");
    }
    return [kind, found];
  }));
  return { ...before, ...parts };
}

function parseLimit(text: string): LimitSetting {
  if (text === "none") return text;
  const parts = text.split("/");
  const [rate, burst] = parts.length <= 2 && parts.every((part) => /^\d{1,10}(\.\d{1,9})?$/.test(part)) ? parts.map(Number) as [number, number?] : [];
  if (rate === undefined || rate <= 0 || rate > MAX_RATE || (burst !== undefined && (burst < 1 || burst > MAX_RATE))) {
    throw new InvalidArgumentError(`Write replies a second, above 0, and at once, at least 1, up to ${MAX_RATE}, like 1000/100; or none.`);
  }
  return { rate, burst };
}

function parseDescriptors(text: string): number[] {
  if (!/^\d{1,9}(,\d{1,9}){0,255}$/.test(text)) throw new InvalidArgumentError("It is for pongd's own use: leave it out.");
  return text.split(",").map(Number);
}
