import { Command, Option } from "commander";
import type { Logger } from "pino";
import { MacPolicy, Mode } from "../abi.js";
import type { RunOptions, Started, Summary } from "../daemon.js";
import { formatMac, linkOf, type Link } from "../engine/link.js";
import { EXIT, Failure, messageOf } from "../failure.js";
import { parseEndpoint, type Endpoint } from "../http.js";
import { IO_CHOICES, type IoChoice } from "../io/io.js";
import { createLogger, LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from "../log.js";
import { sizeOf, type Address, type Prefix } from "../prefixes.js";
import { ETH_HLEN, ETH_MAX_MTU, ETH_MIN_MTU, IFNAMSIZ, IPV6_MIN_MTU } from "../tun/uapi.js";
import { integer } from "./integer.js";
import {
  engineOption, exceptOption, hostAddressOption, ignoreEchoOption, parseTargets, prefixArgument, reassemblyOption, sourceRouteOption, ttlOption, unreachableOption,
  type PolicyFlags,
} from "./policy.js";
import { tally, waiting } from "./summary.js";

/** 7664 spells PONG. */
const LISTEN = "127.0.0.1:7664";
/** What the kernel allows one device (MAX_TAP_QUEUES). */
const MAX_QUEUES = 256;
/** Most prefixes, and most exceptions, that are said on standard output. */
const SHOWN = 10;

const MODES = ["tun", "tap"] as const satisfies (keyof typeof Mode)[];

const MAC_POLICIES = { shared: MacPolicy.shared, "per-address": MacPolicy.per_address } as const;

interface Flags extends PolicyFlags {
  device: string;
  mode: keyof typeof Mode;
  mac?: keyof typeof MAC_POLICIES;
  routes: boolean;
  mtu: number;
  queues: number;
  io: IoChoice;
  spin: number;
  listen: Endpoint;
  logLevel: LogLevel;
  logFormat: LogFormat;
}

export function runCommand(): Command {
  return new Command("run")
    .description("Make every address of the prefixes answer ping.")
    .addArgument(prefixArgument())
    .option("--device <name>", "name of the device to make", "pong0")
    .addOption(new Option("--mode <mode>", "what it is: tun (IP packets) or tap (Ethernet frames, for a bridge)").choices(MODES).default("tun"))
    .addOption(new Option("--mac <policy>", "with --mode tap, the MAC addresses that answer: one for all (shared, the default) or one each").choices(Object.keys(MAC_POLICIES)))
    .option("--no-routes", "leave the host's routes alone: for a TAP device that becomes a bridge's port")
    .option("--mtu <bytes>", "its MTU", integer(ETH_MIN_MTU, ETH_MAX_MTU), 1500)
    .option("--queues <n>", "its queues; a thread each", integer(1, MAX_QUEUES), 1)
    .addOption(hostAddressOption("the host's own address on it"))
    .addOption(exceptOption())
    .addOption(engineOption())
    .addOption(new Option("--io <name>", "what reads and writes them: io_uring, or a read and a write a packet").choices(IO_CHOICES).default("auto"))
    .option("--spin <rounds>", "with io_uring: rounds that may come up empty before it sleeps", integer(0, 1_000_000), 0)
    .addOption(ttlOption())
    .addOption(ignoreEchoOption())
    .addOption(unreachableOption())
    .addOption(sourceRouteOption())
    .addOption(reassemblyOption())
    .addOption(new Option("--listen <host:port>", "where metrics and health are served").argParser(parseEndpoint).default(parseEndpoint(LISTEN), LISTEN))
    .addOption(new Option("--log-level <level>", "least level that is logged").choices(LOG_LEVELS).default("info"))
    .addOption(new Option("--log-format <format>", "of the log on standard error").choices(LOG_FORMATS).default("text"))
    .addHelpText("after", `
Examples:
  pongd run 10.99.0.0/16                             then, on the same host: ping 10.99.1.1
  pongd run 192.0.2.0/24 2001:db8::/64               prefixes of both families
  pongd run 192.0.2.0/24 --host-address none         routes alone, for a prefix that others route here
  pongd run 10.0.0.2/32 --host-address 10.0.0.1      the classic point-to-point pair
  pongd run 10.99.0.0/16 --mode tap                  a host on an Ethernet for every address`)
    .action(async (given: string[], flags: Flags) => {
      const log = createLogger(flags.logLevel, flags.logFormat);
      const options = toOptions(given, flags);
      const { run } = await load();
      const json = flags.logFormat === "json";
      const summary = await run(options, log, (running) => { (json ? logRunning : printRunning)(options, running, log); });
      if (json) log.info(summary, "stopped");
      else process.stdout.write(`${summarize(summary)}\n`);
    });
}

function toOptions(given: string[], flags: Flags): RunOptions {
  const targets = parseTargets(given, flags, "pongd run 10.99.0.0/16");
  checkDeviceName(flags.device);
  // RFC 8200 §5; the kernel takes IPv6 away from a link with less.
  if (flags.mtu < IPV6_MIN_MTU && targets.serving.prefixes.some(({ family }) => family === 6)) {
    throw new Failure(`MTU ${flags.mtu}: IPv6 prefixes need at least ${IPV6_MIN_MTU}; raise --mtu, or give IPv4 prefixes alone`, EXIT.USAGE);
  }
  const { device, routes, mtu, queues, io, spin, listen, logLevel } = flags;
  return { ...targets, device, link: toLink(flags), routes, mtu, queues, io, spin, listen, logLevel };
}

/** @throws Failure (usage) for what a device of that kind does not have. */
function toLink({ mode, mac, device, mtu }: Flags): Link | undefined {
  if (Mode[mode] === Mode.tun) {
    if (mac !== undefined) throw new Failure("a TUN device has no MAC addresses: leave --mac out, or add --mode tap", EXIT.USAGE);
    return undefined;
  }
  if (mtu > ETH_MAX_MTU - ETH_HLEN) throw new Failure(`--mtu ${mtu}: a TAP device takes ${ETH_MIN_MTU} to ${ETH_MAX_MTU - ETH_HLEN}`, EXIT.USAGE);
  return linkOf(device, MAC_POLICIES[mac ?? "shared"]);
}

/** @throws Failure where the FFI has no binary for this machine. */
async function load(): Promise<typeof import("../daemon.js")> {
  try {
    return await import("../daemon.js");
  } catch (error) {
    throw new Failure(`pongd does not load here: ${messageOf(error).split("\n")[0]}`, EXIT.PERMISSION, { mend: "npm ci --include=optional, or see: pongd doctor", cause: error });
  }
}

/** @throws Failure (usage) for what the kernel would refuse, shorten or expand. */
function checkDeviceName(name: string): void {
  if (name.length === 0 || name.length >= IFNAMSIZ || /[^\x21-\x7e]|[/:%]/.test(name) || name === "." || name === "..") {
    throw new Failure(`device name "${name}": 1 to ${IFNAMSIZ - 1} characters, none of them a space, "/", ":" or "%"`, EXIT.USAGE);
  }
}

function printRunning({ serving: { prefixes, exceptions }, hostAddresses, link, mtu, queues }: RunOptions, { device, engine, io, url, example }: Started): void {
  const echo = prefixes.some(({ answers }) => answers.echo);
  const shown = prefixes.slice(0, SHOWN).map((prefix) => `  prefix        ${prefix.text} (${describeSize(prefix)})`);
  if (prefixes.length > shown.length) shown.push(`                and ${prefixes.length - shown.length} more`);
  process.stdout.write([
    `pongd answers ${echo ? "ping" : "no ping"} on ${device}`,
    `  device        ${device}, mtu ${mtu}, ${queues} queue${queues === 1 ? "" : "s"}, engine ${engine}, io ${io}`,
    ...link ? [`  mac address   ${describeLink(link)}`] : [],
    `  host address  ${hostAddresses.length > 0 ? texts(hostAddresses).join(", ") : "none"}`,
    ...shown,
    ...exceptions.length > 0 ? [`  except        ${texts(exceptions.slice(0, SHOWN)).join(", ")}${exceptions.length > SHOWN ? ` and ${exceptions.length - SHOWN} more` : ""}`] : [],
    `  metrics       ${url}/metrics`,
    `${example === undefined ? "" : `try: ping ${example}    `}stop: Ctrl-C`,
    "",
  ].join("\n"));
}

function logRunning({ serving: { prefixes, exceptions }, hostAddresses, link, mtu, queues }: RunOptions, running: Started, log: Logger): void {
  log.info({ ...running, mode: Mode[link ? Mode.tap : Mode.tun], mac: link && describeLink(link), mtu, queues, hostAddresses: texts(hostAddresses), prefixes: texts(prefixes), exceptions: texts(exceptions) }, "running");
}

function describeLink({ policy, address }: Link): string {
  return policy === MacPolicy.shared ? formatMac(address) : "one each";
}

function describeSize(prefix: Prefix): string {
  const bits = 8 * prefix.bytes.length - prefix.length;
  if (bits > 32) return `2^${bits} addresses`;
  return bits === 0 ? "1 address" : `${new Intl.NumberFormat("en").format(sizeOf(prefix))} addresses`;
}

function texts(addresses: readonly Address[]): string[] {
  return addresses.map(({ text }) => text);
}

function summarize({ received, replied, dropped, held, writeErrors, seconds }: Summary): string {
  return [
    `answered ${replied} of ${received} packets in ${seconds.toFixed(1)} s`,
    ...tally("dropped", dropped),
    ...waiting(held),
    ...writeErrors > 0 ? [`the device refused ${writeErrors} replies`] : [],
  ].join("; ");
}
