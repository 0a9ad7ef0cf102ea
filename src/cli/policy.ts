/** What `run` and `replay` ask alike: the prefixes, and how an engine is to treat them. */
import { Argument, Option } from "commander";
import { MAX_REASSEMBLIES, SourceRoute, Unreachable } from "../abi.js";
import { ENGINE_NAMES, type EngineName } from "../engine/engine.js";
import { DEFAULT_POLICY, type Policy } from "../engine/policy.js";
import { EXIT, Failure } from "../failure.js";
import { checkPrefixes, parseExceptions, parseHostAddresses, parsePrefix, type Address, type Prefix } from "../prefixes.js";
import { integer } from "./integer.js";

export interface PolicyFlags {
  hostAddress: string[];
  except: string[];
  engine: EngineName;
  ttl: number;
  ignoreEcho: boolean;
  unreachable: Partial<Policy["unreachable"]>;
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
  return new Option("--ttl <n>", "TTL of replies").argParser(integer(1, 255)).default(DEFAULT_POLICY.ttl);
}

export function ignoreEchoOption(): Option {
  return new Option("--ignore-echo", "count echo requests but leave them unanswered").default(false);
}

/** Addresses that are answered, those that are not, and the host's, at most one a family. */
export interface Targets {
  readonly prefixes: Prefix[];
  readonly exceptions: Prefix[];
  readonly hostAddresses: readonly Address[];
}

/** Reads the arguments, with --except and --host-address. `example`: the command as it would be right. @throws Failure (usage) */
export function parseTargets(texts: readonly string[], flags: Pick<PolicyFlags, "except" | "hostAddress">, example: string): Targets {
  const prefixes = texts.map(parsePrefix);
  checkPrefixes(prefixes, example);
  const exceptions = parseExceptions(flags.except, prefixes);
  return { prefixes, exceptions, hostAddresses: parseHostAddresses(flags.hostAddress, prefixes, exceptions) };
}

const UNREACHABLE_KINDS = ["udp", "other"] as const;
const UNREACHABLE_MODES = Object.keys(Unreachable).filter((key) => Number.isNaN(Number(key))) as (keyof typeof Unreachable)[];

export function unreachableOption(): Option {
  return new Option("--unreachable <modes>", "ICMP errors for what nobody listens to: on, silent (checked, counted) or off (unread); for each: udp=on,other=silent")
    .argParser(parseUnreachable)
    .default({}, "on; off with --engine js, which sends none");
}

/** @throws Failure (usage) */
function parseUnreachable(text: string): Partial<Policy["unreachable"]> {
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
  return new Option("--reassembly <datagrams>", `datagrams in fragments that may be incomplete at a time, for each queue, 64 KiB each; 0 drops fragments (default: ${DEFAULT_POLICY.reassembly}; 0 with --engine js)`)
    .argParser(integer(0, MAX_REASSEMBLIES));
}

/** @throws Failure (usage) for what the engine cannot do. */
export function policyOf({ engine, ttl, ignoreEcho, unreachable, sourceRoute, reassembly }: PolicyFlags): Policy {
  if (engine === "js") {
    const refuse = (what: string, flag: string) => { throw new Failure(`the js engine ${what}: leave ${flag} out, or --engine js`, EXIT.USAGE); };
    if (Object.values(unreachable).some((mode) => mode !== Unreachable.off)) refuse("sends no ICMP errors", "--unreachable");
    if (sourceRoute === "reverse") refuse("drops IP options", "--source-route");
    if (reassembly) refuse("does not reassemble", "--reassembly");
  }
  return {
    ttl, ignoreEcho,
    unreachable: { ...DEFAULT_POLICY.unreachable, ...unreachable },
    sourceRoute: SourceRoute[sourceRoute],
    reassembly: reassembly ?? (engine === "js" ? 0 : DEFAULT_POLICY.reassembly),
  };
}
