/** Says in words what a device lacks: what is missing, why pongd does not put it back, and the commands that do. */
import { EXIT, Failure, IPV6_MEND } from "../base/failure.js";
import { word } from "../base/shell.js";
import { blockFamily, textOf, type Selection } from "../prefix/blocks.js";
import type { Address, Block } from "../prefix/prefixes.js";
import * as libc from "../sys/libc.js";
import { NetlinkError } from "./refusal.js";

/** Errnos by which the kernel refuses IPv6 addresses and routes if disable_ipv6 is set or it has no IPv6 at all. */
const NO_IPV6 = [libc.E.EACCES, libc.E.EAFNOSUPPORT, libc.E.EOPNOTSUPP];

/** Maximum number of commands in one line. */
const SHOWN = 3;

/** Addresses and routes that a family lacks on the device. */
export interface Missing {
  readonly addresses: readonly Address[];
  readonly prefixes: Selection;
}

/** The device that lacks something. */
export interface Lacking {
  readonly name: string;
  readonly premade: boolean;
  readonly adopted: boolean;
  /** The host's addresses on it. */
  readonly addresses: readonly Address[];
}

/** Says what is missing. */
export function lackOf({ name }: Lacking, { addresses, prefixes }: Missing): string {
  return [
    ...addresses.map(({ text }) => `host address ${text} is not on ${name}`),
    ...prefixes.length > 0 ? [`${listed(prefixes)} not routed to ${name}`] : [],
  ].join(", ");
}

/** Says what is missing, why pongd does not put it back, and how a person does. */
export function mendOf(device: Lacking, missing: Missing): string {
  const { addresses, prefixes } = missing;
  const commands = [
    ...addresses.map((address) => addressCommand(device, address)),
    ...prefixes.first(SHOWN).map((prefix) => routeCommand(device, prefix)),
  ];
  const mend = listCommands(commands, addresses.length + prefixes.length);
  return `${lackOf(device, missing)}${rightsLacking(device)}; ${mend}`;
}

/** Says which routes pongd may not remove, and how a person does. */
export function staysOf(device: Lacking, routed: Selection): string {
  const commands = routed.first(SHOWN).map((prefix) => `sudo ip route del ${textOf(prefix)} dev ${word(device.name)}`);
  const mend = listCommands(commands, routed.length);
  return `${listed(routed)} still routed to ${device.name}${rightsLacking(device)}; ${mend}`;
}

/** Says that the kernel has given the device an address, and how a person removes it. */
export function linkLocalOf(device: Lacking): string {
  const name = word(device.name);
  const mend = listCommands(
    [`sudo ip link set ${name} addrgenmode none`, `sudo ip -6 addr flush dev ${name} scope link`], 2,
  );
  return `the kernel has given ${device.name} an IPv6 link-local address${rightsLacking(device)}; ${mend}`;
}

export function addressCommand({ name }: Lacking, { text, family }: Address): string {
  return `sudo ip addr add ${text}/${family === 4 ? 32 : "128 nodad"} dev ${word(name)}`;
}

function routeCommand({ name, addresses }: Lacking, prefix: Block): string {
  const own = addresses.find(({ family }) => family === blockFamily(prefix));
  return `sudo ip route add ${textOf(prefix)} dev ${word(name)}${own ? ` src ${own.text}` : ""}`;
}

function rightsLacking({ premade, adopted }: Lacking): string {
  if (premade) return "";
  return adopted
    ? ": that needs CAP_NET_ADMIN, which was given up"
    : ": that needs CAP_NET_ADMIN, which pongd does not have";
}

/** Names the prefixes, followed by "is" or "are". */
function listed(prefixes: Selection): string {
  const [first] = prefixes.first(1).map(textOf);
  return prefixes.length === 1 ? `prefix ${first} is` : `${prefixes.length} prefixes, ${first} first, are`;
}

/** `commands` has the first of `count` commands. */
function listCommands(commands: readonly string[], count: number): string {
  return `${commands.slice(0, SHOWN).join(" && ")}${count > SHOWN ? ` and ${count - SHOWN} more` : ""}`;
}

/** Says that a prefix is routed elsewhere. `route` is what `ip` is asked for. */
export function routedElsewhere(prefix: string, why = "is routed elsewhere already", route = prefix): Failure {
  return new Failure(
    `prefix ${prefix} ${why}`, EXIT.RUNTIME, { mend: `choose another prefix, or see: ip route show table all ${route}` },
  );
}

/** Converts the kernel's refusal to set up the device into a Failure. `ipv6`: true if it was to have IPv6. */
export function refusalOf(error: unknown, { name }: Lacking, ipv6: boolean): unknown {
  if (!(error instanceof NetlinkError)) return error;
  if (ipv6 && NO_IPV6.includes(error.errno)) {
    return new Failure(
      `IPv6 is disabled on this host, so its prefixes cannot be routed (${error.message})`,
      EXIT.RUNTIME,
      { mend: `${IPV6_MEND}; or give IPv4 prefixes alone`, cause: error },
    );
  }
  return new Failure(
    `cannot set up ${name}: ${error.message}`,
    error.errno === libc.E.EPERM ? EXIT.PERMISSION : EXIT.RUNTIME,
    { cause: error },
  );
}
