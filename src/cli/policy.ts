/** What `run` and `replay` ask alike: the prefixes, and how an engine is to treat them. */
import { Argument, Option } from "commander";
import { MAX_REASSEMBLIES, SourceRoute, Unreachable } from "../abi.js";
import { ENGINE_NAMES, type EngineName } from "../engine/engine.js";
import { DEFAULT_ANSWERS, DEFAULT_POLICY, DEFAULT_REASSEMBLY, type Answers } from "../engine/policy.js";
import { EXIT, Failure } from "../failure.js";
import { checkPrefixes, parseExceptions, parseHostAddresses, parsePrefix, serving, type Address, type Serving } from "../prefixes.js";
import { integer } from "./integer.js";

export interface PolicyFlags {
  hostAddress: string[];
  except: string[];
  engine: EngineName;
  ttl: number;
  ignoreEcho: boolean;
  unreachable: Partial<Answers["unreachable"]>;
  sourceRoute: keyof typeof SourceRoute;
  reassembly: number | undefined;
}

export function prefixArgument(): Argument {
  return new Argument("[prefix...]", "IPv4 and IPv6 prefixes, like 10.99.0.0/16 or 2001:db8::/64");
}

/** `whose` address it is, in the help. */
export function hostAddressOption(whose: string): Option {
  return new Option("--host-address <address>", `${whose}, once a family, or "none" for none at all`)
    .argParser(gather)
    .default([], "the first usable one of each family's first prefix with room");
}

export function exceptOption(): Option {
  return new Option("--except <prefix>", "what not to answer within the prefixes; may be given several times")
    .argParser(gather)
    .default([], "none");
}

/** All that an option was given. */
function gather(text: string, texts: string[]): string[] {
  return [...texts, text];
}

export function engineOption(): Option {
  return new Option("--engine <name>", "what handles the packets").choices(ENGINE_NAMES).default("wasm");
}

export function ttlOption(): Option {
  return new Option("--ttl <n>", "TTL of replies").argParser(integer(1, 255)).default(DEFAULT_ANSWERS.ttl);
}

export function ignoreEchoOption(): Option {
  return new Option("--ignore-echo", "count echo requests but leave them unanswered").default(false);
}

/** What is answered, by which engine, and the host's addresses, at most one a family. */
export interface Targets {
  readonly serving: Serving;
  readonly hostAddresses: readonly Address[];
  readonly engine: EngineName;
  readonly reassembly: number;
}

/** Reads the arguments and what goes with them. `example`: the command as it would be right. @throws Failure (usage) */
export function parseTargets(texts: readonly string[], flags: PolicyFlags, example: string): Targets {
  const prefixes = texts.map(parsePrefix);
  checkPrefixes(prefixes, example);
  const exceptions = parseExceptions(flags.except, prefixes);
  checkEngine(flags);
  const { engine, ttl, ignoreEcho, unreachable, sourceRoute, reassembly = engine === "js" ? 0 : DEFAULT_REASSEMBLY } = flags;
  return {
    serving: serving(prefixes, {
      exceptions, ttl, echo: !ignoreEcho, unreachable: { ...DEFAULT_ANSWERS.unreachable, ...unreachable }, policy: { ...DEFAULT_POLICY, sourceRoute: SourceRoute[sourceRoute] },
    }),
    hostAddresses: parseHostAddresses(flags.hostAddress, prefixes, exceptions),
    engine,
    reassembly,
  };
}

const UNREACHABLE_KINDS = ["udp", "other"] as const;
const UNREACHABLE_MODES = Object.keys(Unreachable).filter((key) => Number.isNaN(Number(key))) as (keyof typeof Unreachable)[];

export function unreachableOption(): Option {
  return new Option("--unreachable <modes>", "ICMP errors for what nobody listens to: on, silent (checked, counted) or off (unread); for each: udp=on,other=silent")
    .argParser(parseUnreachable)
    .default({}, "on; off with --engine js, which sends none");
}

/** @throws Failure (usage) */
function parseUnreachable(text: string): Partial<Answers["unreachable"]> {
  const mode = (value: string) => UNREACHABLE_MODES.find((name) => name === value);
  const all = mode(text);
  if (all) return { udp: Unreachable[all], other: Unreachable[all] };
  return Object.fromEntries(text.split(",").map((part) => {
    const [kind, value = "", ...rest] = part.split("=");
    const found = mode(value);
    if (!UNREACHABLE_KINDS.some((name) => name === kind) || !found || rest.length > 0) {
      throw new Failure(`--unreachable "${text}": write on, silent or off, or one of them for each, like udp=on,other=silent`, EXIT.USAGE);
    }
    return [kind, Unreachable[found]];
  }));
}

export function sourceRouteOption(): Option {
  return new Option("--source-route <mode>", "IPv4 packets with a source route: drop, or reverse it for the reply")
    .choices(["drop", "reverse"] satisfies (keyof typeof SourceRoute)[])
    .default("drop");
}

export function reassemblyOption(): Option {
  return new Option("--reassembly <datagrams>", `datagrams in fragments that may be incomplete at a time, for each queue, 64 KiB each; 0 drops fragments (default: ${DEFAULT_REASSEMBLY}; 0 with --engine js)`)
    .argParser(integer(0, MAX_REASSEMBLIES));
}

/** @throws Failure (usage) for what the engine cannot do. */
function checkEngine({ engine, unreachable, sourceRoute, reassembly }: PolicyFlags): void {
  if (engine !== "js") return;
  const refuse = (what: string, flag: string) => { throw new Failure(`the js engine ${what}: leave ${flag} out, or --engine js`, EXIT.USAGE); };
  if (Object.values(unreachable).some((mode) => mode !== Unreachable.off)) refuse("sends no ICMP errors", "--unreachable");
  if (sourceRoute === "reverse") refuse("drops IP options", "--source-route");
  if (reassembly) refuse("does not reassemble", "--reassembly");
}
