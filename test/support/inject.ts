/**
 * Puts packets into a device exactly as they are, past the kernel's IP layer: `inject.js DEVICE`, a packet in hexadecimal a
 * line on standard input; with `frames` behind it, frames. A full queue pushes back.
 */
import { readFileSync } from "node:fs";
import * as libc from "../../src/tun/libc.js";
import { Netlink } from "../../src/tun/netlink.js";
import { AF_PACKET, ETH_P_IP, PACKET_QDISC_BYPASS, SIZEOF_SOCKADDR_LL, SOCK_DGRAM, SOCK_RAW, SOL_PACKET } from "../../src/tun/uapi.js";

const [, , device, frames] = process.argv;
const fd = libc.check(libc.socket(AF_PACKET, frames ? SOCK_RAW : SOCK_DGRAM, 0), "socket", "AF_PACKET");
const one = new Uint8Array(Int32Array.of(1).buffer);
libc.check(libc.setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, one, one.length), "setsockopt", "PACKET_QDISC_BYPASS");
// struct sockaddr_ll: u16 family, be16 protocol, i32 ifindex, …
const address = Buffer.alloc(SIZEOF_SOCKADDR_LL);
address.writeUInt16LE(AF_PACKET, 0);
address.writeUInt16BE(ETH_P_IP, 2);
address.writeInt32LE(new Netlink().link(device).index, 4);
libc.check(libc.bind(fd, address, address.length), "bind", device);

for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const packet = Buffer.from(line, "hex");
  while (libc.send(fd, packet, packet.length, 0) < 0) {
    if (libc.errno() !== libc.E.EAGAIN && libc.errno() !== 105 /* ENOBUFS */) libc.check(-1, "send", line);
  }
}
