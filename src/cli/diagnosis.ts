/**
 * Follows a packet to the prefixes for `pongd doctor`, step by step, and reports where it stops.
 *
 *  1. other routes that take packets away from the prefixes
 *  2. packets from other machines: forwarding, the firewall's policy for it, and reverse path filters
 *  3. packets from this machine, if pongd runs: the route that the kernel chooses, and a ping
 */
import { spawnSync } from "node:child_process";
import { Pace } from "../base/pace.js";
import { word } from "../base/shell.js";
import type { FullOptions } from "../config/runoptions.js";
import { BlockSet } from "../prefix/blocks.js";
import { FAMILIES, type Address, type Family } from "../prefix/prefixes.js";
import { forwardingLack, strictInterfaces } from "../sys/forwarding.js";
import type { Link } from "../tun/messages.js";
import type { Netlink } from "../tun/netlink.js";

/** One line of the diagnosis: what is in order, missing or wrong, and the command that mends it. */
export interface Finding {
  readonly state: "ok" | "note" | "missing" | "wrong";
  readonly what: string;
  readonly mend?: string | undefined;
}

const PING_SECONDS = 2;
/** Time limit for another program: nft(8), iptables(8) or ping(8). */
const TOOL_MS = 10_000;

export async function diagnose(options: FullOptions): Promise<Finding[]> {
  const families = FAMILIES.filter((family) => options.serving.prefixes.some((prefix) => prefix.family === family));
  const fromOthers = [
    ...families.map((family) => forwarding(family, options.device)), ...firewall(families),
    ...families.includes(4) ? filters(options.device) : [],
  ];
  let netlink: Netlink;
  try {
    netlink = new (await import("../tun/netlink.js")).Netlink();
  } catch {
    return [...fromOthers, { state: "note", what: "routes cannot be looked at, and nothing is pinged, without koffi" }];
  }
  try {
    const link = netlink.find(options.device);
    return [...await routes(netlink, link, options), ...fromOthers, ...await ways(netlink, link, options)];
  } finally {
    netlink.close();
  }
}

async function routes(
  netlink: Netlink, link: Link | undefined, { device, serving: { prefixes } }: FullOptions,
): Promise<Finding[]> {
  const { conflictsOf, linesOf } = await import("../tun/conflicts.js");
  const pace = new Pace();
  const blocks = new BlockSet();
  await pace.each(prefixes, (prefix) => blocks.add(prefix));
  const lookups = { device: link?.index, nameOf: (oif: number) => netlink.link(oif).name };
  const { taken, told } = await conflictsOf(blocks, lookups, pace);
  if (taken.count + told.count === 0) {
    return [{ state: "ok", what: `routes: no other one takes packets from what ${device} is for` }];
  }
  return [
    ...taken.first.slice(0, 1).map(({ prefix, why }): Finding => ({
      state: "wrong", what: `prefix ${prefix} ${why}`,
      mend: `choose another prefix, or see: ip route show table all ${prefix}`,
    })),
    ...linesOf(told).map((what): Finding => ({ state: "note", what })),
  ];
}

function forwarding(family: Family, device: string): Finding {
  const lack = forwardingLack(family, device);
  return lack ? { state: "note", ...lack } : { state: "ok", what: `IPv${family} forwarding is on` };
}

/** Reports the policy of the firewall's forward chains. Their rules may still allow what the policy drops. */
function firewall(families: readonly Family[]): Finding[] {
  const dropping = droppingChains(families);
  if (dropping === undefined) {
    return [{ state: "note", what: "the firewall cannot be seen: that needs nft(8) or iptables(8), and root" }];
  }
  if (dropping.length === 0) return [{ state: "ok", what: "the firewall's policy lets packets be forwarded" }];
  return dropping.map((chain) => ({
    state: "note", what: `the firewall drops what is forwarded unless a rule allows it: ${chain}`,
    mend: "allow it to the device and back; see docs/recipes.md",
  }));
}

/** Returns forward chains that drop by policy, each as the command that lists it; undefined if no tool can say. */
function droppingChains(families: readonly Family[]): string[] | undefined {
  const nft = output("nft", "list", "chains");
  if (nft !== undefined) {
    let table = "";
    return nft.split("\n").flatMap((line) => {
      table = /^table (.*) \{$/.exec(line)?.[1] ?? table;
      return /hook forward .*policy drop;/.test(line) ? [`nft list table ${table}`] : [];
    });
  }
  const tools = families.map((family) => [
    family === 4 ? "iptables" : "ip6tables", output(family === 4 ? "iptables" : "ip6tables", "-S", "FORWARD"),
  ] as const);
  if (tools.some(([, text]) => text === undefined)) return undefined;
  return tools.flatMap(([tool, text]) => /^-P FORWARD (DROP|REJECT)$/m.test(text ?? "") ? [`${tool} -S FORWARD`] : []);
}

function output(command: string, ...args: string[]): string | undefined {
  const { status, stdout } = spawnSync(
    command, args, { encoding: "utf8", timeout: TOOL_MS, stdio: ["ignore", "pipe", "ignore"] },
  );
  return status === 0 ? stdout : undefined;
}

function filters(device: string): Finding[] {
  const strict = strictInterfaces(device);
  if (strict.length === 0) return [];
  const what = `rp_filter is strict on ${strict.slice(0, 3).join(", ")}${strict.length > 3 ? " and others" : ""}: `
    + "packets whose answers would leave by another interface are dropped there";
  return [{ state: "note", what, mend: "sudo sysctl -w net.ipv4.conf.all.rp_filter=2" }];
}

/** Checks the way from this machine to one address of each family. */
async function ways(
  netlink: Netlink, link: Link | undefined, { device, serving, hostAddresses }: FullOptions,
): Promise<Finding[]> {
  if (!link?.tun) {
    return [{
      state: "note", what: `there is no device ${device}, so pongd does not run on it, and nothing is pinged`,
      mend: "start it, and ask again",
    }];
  }
  if (!link.up) {
    return [{ state: "wrong", what: `the link of ${device} is down`, mend: `sudo ip link set ${word(device)} up` }];
  }
  const { examplesOf, tableOf } = await import("../engine/table.js");
  const { parseAddress } = await import("../prefix/prefixes.js");
  const there = netlink.addresses(link.index);
  const hosts = FAMILIES.flatMap((family) => [...there, ...hostAddresses].find((own) => own.family === family) ?? []);
  return examplesOf(serving, hosts, tableOf(serving, { hosts })).map(
    (example) => wayTo(netlink, link, parseAddress(example)),
  );
}

function wayTo(netlink: Netlink, link: Link, { bytes, text }: Address): Finding {
  const route = netlink.lookUp(bytes);
  if (route?.oif !== link.index) {
    const where = route === undefined
      ? "has no route"
      : route.oif === 0 ? "is routed elsewhere" : `is routed to ${netlink.link(route.oif).name}`;
    return {
      state: "wrong", what: `a packet to ${text} stops here: it ${where}, where it should go to ${link.name}`,
      mend: `see: ip route get ${text}`,
    };
  }
  const before = netlink.stats(link.index);
  const { status, error } = spawnSync(
    "ping", ["-c", "1", "-W", String(PING_SECONDS), text], { timeout: TOOL_MS, stdio: "ignore" },
  );
  if (error && "code" in error && error.code === "ENOENT") {
    return { state: "note", what: `${text} is routed to ${link.name}; there is no ping(8) here to ask it with` };
  }
  if (status === 0) return { state: "ok", what: `ping ${text} is answered` };
  const after = netlink.stats(link.index);
  if (after.txDropped > before.txDropped) return {
    state: "wrong", what: `a ping to ${text} stops at ${link.name}: nobody reads from it, or too slowly`,
    mend: "see whether pongd runs, and its log",
  };
  if (after.txPackets === before.txPackets) return {
    state: "wrong", what: `a ping to ${text} stops before ${link.name}: this host does not send it`,
    mend: "see its firewall's output rules, and: ip rule",
  };
  if (after.rxPackets === before.rxPackets) return {
    state: "wrong", what: `a ping to ${text} stops at pongd: it comes to ${link.name}, and is not answered`,
    mend: "see pongd_packets_dropped_total in its metrics",
  };
  return {
    state: "wrong", what: `a ping to ${text} is answered, and this host drops the answer`,
    mend: `see its firewall's input rules, and: sysctl ${word(`net/ipv4/conf/${link.name}/rp_filter`)}`,
  };
}
