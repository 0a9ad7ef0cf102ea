/**
 * Asks Linux itself, in a network namespace of its own, how it answers packets:
 *
 *   this script ── tun0 ── kernel, with  ip route add local 10.99.0.0/16 dev lo  and  fd99::/64  likewise
 *
 *   echo 45… 60… | node build/test/support/linux.js [SYSCTL=VALUE …]        (as root, or after: unshare -r)
 *
 * A line of standard input is one case: packets in hexadecimal, separated by blanks (several: the fragments of one
 * datagram, say). A line of standard output is what the kernel sent back until it had processed them, in the same form;
 * empty where it was silent. State, as of reassembly, stays from line to line. Settings are dotted names as for
 * sysctl(8), for instance net.ipv4.conf.all.accept_source_route=1.
 *
 * As everywhere in the tests, 10.99.0.1 and fd99::1 are the peer's, beyond tun0, as is every address outside of the
 * prefixes.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import * as libc from "../../src/sys/libc.js";
import { TunDevice } from "../../src/tun/device.js";
import { CLONE_NEWNET, POLLIN } from "../../src/sys/uapi.js";
import { HOST6, PREFIX6, TARGET6 } from "./ipv6.js";
import { HOST, icmpPacket, PREFIX } from "./packets.js";

const MTU = 1500;
/** The longest that the kernel may take for a packet before this gives up on it. */
const PATIENCE_MS = 5000;

/** The errno EINVAL: the device refuses a packet whose version is neither 4 nor 6, so the kernel never sees it. */
const EINVAL = 22;

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

const [fd] = device.queues;
const bytes = new Uint8Array(65536);
const address = libc.addressOf(bytes.buffer);
const pollfd = new Uint8Array(Int32Array.of(fd, POLLIN).buffer);
let markers = 0;

for await (const line of createInterface(process.stdin)) {
  for (const text of line.split(/\s+/).filter(Boolean)) {
    if (!/^([0-9a-f]{2})+$/i.test(text)) throw new Error(`"${text}" is no packet in hexadecimal`);
    write(Buffer.from(text, "hex"));
  }
  console.log(repliesUpToMarker().map((reply) => Buffer.from(reply).toString("hex")).join(" "));
}
device.close();

function write(packet: Uint8Array): void {
  bytes.set(packet);
  if (libc.write(fd, address, packet.length) < 0 && libc.errno() !== EINVAL) libc.check(-1, "write", "tun0");
}

/** The kernel processes a packet within write(2): when it answers one more echo request, it has answered all before. */
function repliesUpToMarker(): Uint8Array[] {
  const data = new Uint8Array(Uint32Array.of(++markers).buffer);
  const [src, dst] = ["198.51.100.254", "10.99.254.254"];
  write(icmpPacket({ src, dst, data }));
  const answer = icmpPacket({ src: dst, dst: src, type: 0, data });
  const replies: Uint8Array[] = [];
  for (;;) {
    const reply = read();
    // The headers are compared from the addresses on.
    if (Buffer.compare(reply.subarray(12), answer.subarray(12)) === 0) return replies;
    if (!toMulticast(reply)) replies.push(reply);
  }
}

function read(): Uint8Array {
  for (;;) {
    const length = libc.read(fd, address, bytes.length);
    if (length >= 0) return bytes.slice(0, length);
    if (libc.errno() !== libc.E.EAGAIN) libc.check(-1, "read", "tun0");
    if (libc.poll(pollfd, 1, PATIENCE_MS) === 0) throw new Error(`the kernel did not answer marker ${markers}`);
  }
}

/** Recognizes reports of group membership, which the kernel sends of its own accord and which are no replies. */
function toMulticast(packet: Uint8Array): boolean {
  return packet[0] >> 4 === 4 ? packet[16] >> 4 === 14 : packet[24] === 0xff;
}
