/** What `run` and `replay` ask alike: the prefixes, and how an engine is to treat them. */
import { Argument, Option } from "commander";
import { ENGINE_NAMES, type EngineName } from "../engine/engine.js";
import { checkPrefixes, firstUsable, parseExceptions, parseHostAddress, parsePrefix, type Address, type Prefix } from "../prefixes.js";
import { integer } from "./integer.js";

export interface PolicyFlags {
  hostAddress: string | undefined;
  except: string[];
  engine: EngineName;
  ttl: number;
  ignoreEcho: boolean;
}

export function prefixArgument(): Argument {
  return new Argument("[prefix...]", "IPv4 prefixes, like 10.99.0.0/16");
}

/** `whose` address it is, in the help. */
export function hostAddressOption(whose: string): Option {
  return new Option("--host-address <address>", `${whose}, or "none" (default: the first usable one of the first prefix with room)`);
}

export function exceptOption(): Option {
  return new Option("--except <prefix>", "what not to answer within the prefixes; may be given several times")
    .argParser((text: string, texts: string[]) => [...texts, text])
    .default([], "none");
}

export function engineOption(): Option {
  return new Option("--engine <name>", "what handles the packets").choices(ENGINE_NAMES).default("wasm");
}

export function ttlOption(): Option {
  return new Option("--ttl <n>", "TTL of replies").argParser(integer(1, 255)).default(64);
}

export function ignoreEchoOption(): Option {
  return new Option("--ignore-echo", "count echo requests but leave them unanswered").default(false);
}

/** Addresses that are answered, those that are not, and the host's. */
export interface Targets {
  readonly prefixes: Prefix[];
  readonly exceptions: Prefix[];
  readonly hostAddress: Address | undefined;
}

/** Reads the arguments, with --except and --host-address. `example`: the command as it would be right. @throws Failure (usage) */
export function parseTargets(texts: readonly string[], flags: Pick<PolicyFlags, "except" | "hostAddress">, example: string): Targets {
  const prefixes = texts.map(parsePrefix);
  checkPrefixes(prefixes, example);
  const hostAddress = flags.hostAddress === undefined ? firstUsable(prefixes) : flags.hostAddress === "none" ? undefined : parseHostAddress(flags.hostAddress, prefixes);
  return { prefixes, exceptions: parseExceptions(flags.except, prefixes), hostAddress };
}
