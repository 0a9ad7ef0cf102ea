/** Opens a way into a device past the kernel's IP layer. */
import * as libc from "../../src/sys/libc.js";
import { Netlink } from "../../src/tun/netlink.js";
import {
  AF_PACKET, ETH_P_IP, PACKET_QDISC_BYPASS, SIZEOF_SOCKADDR_LL, SOCK_DGRAM, SOCK_RAW, SOL_PACKET,
} from "../../src/sys/uapi.js";

/**
 * Opens a socket that puts whatever is sent to it into the device exactly as it is: a packet, or with `frames` a frame.
 * Sending fails with ENOBUFS where the queue is full.
 */
export function openInto(device: string, frames = false): number {
  const fd = libc.check(libc.socket(AF_PACKET, frames ? SOCK_RAW : SOCK_DGRAM, 0), "socket", "AF_PACKET");
  const one = new Uint8Array(Int32Array.of(1).buffer);
  libc.check(
    libc.setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, one, one.length), "setsockopt", "PACKET_QDISC_BYPASS",
  );
  // struct sockaddr_ll: u16 family, be16 protocol, i32 ifindex, …
  const address = Buffer.alloc(SIZEOF_SOCKADDR_LL);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(ETH_P_IP, 2);
  address.writeInt32LE(new Netlink().link(device).index, 4);
  libc.check(libc.bind(fd, address, address.length), "bind", device);
  return fd;
}
