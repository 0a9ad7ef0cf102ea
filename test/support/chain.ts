/**
 * Asks a chain of Linux routers, in network namespaces, how it answers packets:
 *
 *   this script ── tun0 [ router 1 ] ──── [ router 2 ] ──── [ router 3 ] ── MTU 1300 ── [ host ]
 *                    10.99.200.1           10.99.200.2       10.99.200.3            10.99.0.0/16 on lo
 *
 *   taskset -c 0 node build/test/support/chain.js        (as root, or after: unshare -r)
 *
 * kernel.ts says what it reads and prints. On one CPU alone, what passes the chain keeps its order. IPv6 addresses are
 * fd99::200:1 and so on, and fd99::/64. Links between routers have no addresses of their own, so that a router has one
 * to speak from, and next hops are link-local ones whose MAC addresses are known from the start.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as libc from "../../src/sys/libc.js";
import { CLONE_NEWNET } from "../../src/sys/uapi.js";
import { TunDevice } from "../../src/tun/device.js";
import { CHAIN_MTU, HOPS, NARROW_MTU } from "../vectors/chain.js";
import { PREFIX6, TARGET6 } from "./ipv6.js";
import { answerCases } from "./kernel.js";
import { PREFIX } from "./packets.js";

const HOST_NODE = HOPS.length;

const SYSCTLS: Record<string, string> = {
  // As in linux.ts: no type of error is limited.
  "net.ipv4.icmp_ratemask": "0",
  "net.ipv6.icmp.ratemask": "255",
  "net.ipv4.conf.all.rp_filter": "0",
  "net.ipv4.conf.default.rp_filter": "0",
  "net.ipv6.auto_flowlabels": "0",
  // Interfaces have no link-local addresses, and send no solicitations.
  "net.ipv6.conf.all.addr_gen_mode": "1",
  "net.ipv6.conf.default.addr_gen_mode": "1",
  "net.ipv6.conf.default.accept_ra": "0",
};

/** Returns the shell's commands that set a node up, before it has links. */
function settings(node: number): string {
  const forwarding = node === HOST_NODE ? "0" : "1";
  const all = {
    ...SYSCTLS, "net.ipv4.conf.all.forwarding": forwarding, "net.ipv6.conf.all.forwarding": forwarding,
  };
  return Object.entries(all).map(([name, value]) => `echo ${value} > /proc/sys/${name.replaceAll(".", "/")}\n`).join("");
}

/** The MAC address of a node's interface: "near" leads to the node before it, "far" to the next one. */
function mac(node: number, side: "near" | "far"): string {
  return `02:00:00:00:0${node}:0${side === "near" ? 1 : 2}`;
}

/** Returns what `ip -batch` is to do in a node's namespace. */
function links(node: number): string {
  const lines = ["link set lo up"];
  const neighbor = (dev: string, other: string) => `neigh replace fe80::1 lladdr ${other} dev ${dev} nud permanent`;
  if (node === 0) {
    lines.push(`link set tun0 mtu ${CHAIN_MTU} txqueuelen 4096 up`);
  } else {
    const mtu = node === HOST_NODE ? NARROW_MTU : CHAIN_MTU;
    lines.push(`link set near address ${mac(node, "near")} mtu ${mtu} up`, neighbor("near", mac(node - 1, "far")));
  }
  if (node < HOST_NODE) {
    const mtu = node + 1 === HOST_NODE ? NARROW_MTU : CHAIN_MTU;
    lines.push(`link set far address ${mac(node, "far")} mtu ${mtu} up`, neighbor("far", mac(node + 1, "near")));
  }
  return [...lines, ...routes(node)].join("\n");
}

function routes(node: number): string[] {
  const back = node === 0
    ? ["dev tun0", "dev tun0"]
    : ["via inet6 fe80::1 dev near onlink", "via fe80::1 dev near onlink"];
  const lines = [`route add 0.0.0.0/0 ${back[0]}`, `route add ::/0 ${back[1]}`];
  if (node === HOST_NODE) {
    // As in linux.ts: TARGET6 is an address, too.
    return [
      ...lines, `route add local ${PREFIX} dev lo`, `route add local ${PREFIX6} dev lo`,
      `addr add ${TARGET6}/128 dev lo nodad`,
    ];
  }
  const dev = node === 0 ? "tun0" : "near";
  return [
    `addr add ${HOPS[node].ipv4}/32 dev ${dev}`, `addr add ${HOPS[node].ipv6}/128 dev ${dev} nodad`, ...lines,
    `route add ${PREFIX} via inet6 fe80::1 dev far onlink`, `route add ${PREFIX6} via fe80::1 dev far onlink`,
  ];
}

/** Runs a program in a node's namespace. */
function inNode(node: number, input: string, ...command: string[]): void {
  execFileSync("nsenter", ["-t", String(nodes[node]), "-n", ...command], { input });
}

libc.check(libc.unshare(CLONE_NEWNET), "unshare", "CLONE_NEWNET");
const nodes = [process.pid];
const others: ChildProcess[] = [];
for (let node = 1; node <= HOST_NODE; node++) {
  // The namespace goes with its process, which ends with this one's end of the pipe.
  const child = spawn("unshare", ["-n", "sh", "-c", "echo ready && exec cat"], { stdio: ["pipe", "pipe", "inherit"] });
  await once(child.stdout, "data");
  others.push(child);
  nodes.push(child.pid ?? NaN);
}
for (const node of nodes.keys()) inNode(node, settings(node), "sh", "-e");
const device = new TunDevice({ name: "tun0", mtu: CHAIN_MTU, queues: 1 });
for (let node = 0; node < HOST_NODE; node++) {
  const peer = ["peer", "name", "near", "netns", String(nodes[node + 1])];
  inNode(node, "", "ip", "link", "add", "far", "type", "veth", ...peer);
}
for (const node of nodes.keys()) inNode(node, links(node), "ip", "-batch", "-");

await answerCases(device.queues[0]);
device.close();
for (const child of others) child.kill();
