/**
 * Asks Linux itself, in a network namespace of its own, how it answers packets:
 *
 *   this script ── tun0 ── kernel, with  ip route add local 10.99.0.0/16 dev lo  and  fd99::/64  likewise
 *
 *   echo 45… 60… | node build/test/support/linux.js [SYSCTL=VALUE …]        (as root, or after: unshare -r)
 *
 * kernel.ts says what a line is. Settings are dotted names as for sysctl(8), for instance
 * net.ipv4.conf.all.accept_source_route=1.
 *
 * As everywhere in the tests, 10.99.0.1 and fd99::1 are the peer's, beyond tun0, as is every address outside of the
 * prefixes.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import * as libc from "../../src/sys/libc.js";
import { TunDevice } from "../../src/tun/device.js";
import { CLONE_NEWNET } from "../../src/sys/uapi.js";
import { HOST6, PREFIX6, TARGET6 } from "./ipv6.js";
import { answerCases } from "./kernel.js";
import { HOST, PREFIX } from "./packets.js";

const MTU = 1500;

const SYSCTLS: Record<string, string> = {
  // These masks choose the types of error that are limited. IPv4 limits none. ICMPv6 limits one that is never sent,
  // because its list cannot be empty.
  "net.ipv4.icmp_ratemask": "0",
  "net.ipv6.icmp.ratemask": "255",
  // A new namespace inherits the first one's settings, and that one may be a router.
  "net.ipv4.conf.all.forwarding": "0",
  "net.ipv4.conf.tun0.forwarding": "0",
  // Incomplete datagrams stay: no timer sends an error into a later case, and none is given up because of others.
  "net.ipv4.ipfrag_time": "3600",
  "net.ipv6.ip6frag_time": "3600",
  "net.ipv4.ipfrag_max_dist": "0",
  "net.ipv4.conf.all.rp_filter": "0",
  "net.ipv4.conf.tun0.rp_filter": "0",
  // A flow label would be a hash.
  "net.ipv6.auto_flowlabels": "0",
  // No link-local address means no router solicitations.
  "net.ipv6.conf.tun0.addr_gen_mode": "1",
};

libc.check(libc.unshare(CLONE_NEWNET), "unshare", "CLONE_NEWNET");
const device = new TunDevice({ name: "tun0", mtu: MTU, queues: 1 });
const settings = process.argv.slice(2).map((argument) => argument.split("=") as [string, string]);
for (const [name, value] of [...Object.entries(SYSCTLS), ...settings]) {
  writeFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, value);
}
// Table local is looked up first, and there the longest prefix decides. TARGET6 is an address as well: ICMPv6 errors
// come from the address that was asked only if it is one, not if it is merely routed to lo.
execFileSync("ip", ["-batch", "-"], { input: `
  link set lo up
  link set tun0 mtu ${MTU} txqueuelen 4096 up
  route add local ${PREFIX} dev lo
  route add ${HOST} dev tun0 table local
  route add 0.0.0.0/0 dev tun0
  route add local ${PREFIX6} dev lo
  addr add ${TARGET6}/128 dev lo nodad
  route add ${HOST6} dev tun0 table local
  route add ::/0 dev tun0
` });

await answerCases(device.queues[0]);
device.close();
