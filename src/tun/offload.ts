/**
 * Offload of a device: struct virtio_net_hdr before each packet (IFF_VNET_HDR, see assembly/offload.ts), and what the
 * kernel may then leave to pongd, and pongd to the kernel. Both are the device's and not a queue's. The first queue
 * that is opened decides whether the header is there (tun_set_iff() in drivers/net/tun.c). A persistent device
 * remembers it.
 */
import { Mode } from "../../abi/control.js";
import { OFFLOAD_CSUM, OFFLOAD_TSO4, OFFLOAD_TSO6, OFFLOAD_TSO_ECN, SIZEOF_VNET_HEADER } from "../../abi/offload.js";
import * as libc from "../sys/libc.js";
import { TUNSETOFFLOAD, TUNSETVNETHDRSZ } from "../sys/uapi.js";

/** Sets of OFFLOAD_ bits to ask for, best first. */
const SETS = [
  OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_TSO_ECN, OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6,
];

// <linux/virtio_net.h>
const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
const VIRTIO_NET_HDR_GSO_TCPV4 = 1;
const VIRTIO_NET_HDR_GSO_TCPV6 = 4;

/**
 * A group address that no bridge forwards or learns from (IEEE 802.1Q §8.6.3; br_handle_frame() in Linux), so that the
 * probe leaves no port of a bridge.
 */
const NOBODY = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x01];
const ETHERTYPES = { 4: [0x08, 0x00], 6: [0x86, 0xdd] } as const;
const PROTOCOL_TCP = 6;
const TCP_HEADER_LEN = 20;
const TCP_CHECKSUM_AT = 16;
const SEGMENT_SIZE = 1000;
/** The second segment has one byte: some kernels refuse that (Linux 6.6.44, 6.10.3; mended in 6.11). */
const PAYLOAD_LEN = SEGMENT_SIZE + 1;

/** Sets the header's size, which a persistent device may have kept from another program. @throws SystemError */
export function setHeaderSize(fd: number): void {
  const size = new Uint8Array(Int32Array.of(SIZEOF_VNET_HEADER).buffer);
  libc.check(libc.ioctl(fd, TUNSETVNETHDRSZ, size), "TUNSETVNETHDRSZ", String(SIZEOF_VNET_HEADER));
}

/** Has the kernel hand over packets that are not cut and whose checksums are partial. Returns OFFLOAD_ bits, or 0. */
export function enableOffload(fd: number): number {
  return SETS.find((bits) => libc.ioctl(fd, TUNSETOFFLOAD, BigInt(bits)) === 0) ?? 0;
}

/** Has the kernel finish every packet. */
export function disableOffload(fd: number): void {
  libc.ioctl(fd, TUNSETOFFLOAD, 0n);
}

/**
 * Writes a packet of two segments, for each family, to a device that is up. Returns undefined if the kernel takes both,
 * or else why not.
 *
 * The kernel looks at struct virtio_net_hdr within write(2), and refuses then or never. So that nobody is bothered,
 * what it takes is a packet that every host discards without a word, before its firewall, routes or sockets see it:
 * an IPv4 header with a wrong checksum (ip_rcv_core()), and an IPv6 packet from and to ::1 (ip6_rcv_core()). A packet
 * that came back would prove more, but whether one comes back depends on forwarding and firewall.
 */
export function probeOffload(fd: number, mode: Mode): string | undefined {
  for (const family of [4, 6] as const) {
    const packet = probe(family, mode);
    const written = libc.write(fd, libc.addressOf(packet.buffer), packet.length);
    // Whatever else goes wrong, such as a link that is down (EIO), says nothing about offload.
    if (written < 0 && libc.errno() === libc.E.EINVAL) return `it refuses IPv${family} packets that it is to cut`;
  }
  return undefined;
}

/** Returns the probe behind its struct virtio_net_hdr. */
export function probe(family: 4 | 6, mode: Mode): Uint8Array<ArrayBuffer> {
  const link = mode === Mode.tap ? [...NOBODY, 0x02, 0, 0, 0, 0, 0, ...ETHERTYPES[family]] : [];
  const ipLen = family === 4 ? 20 : 40;
  const headersLen = link.length + ipLen + TCP_HEADER_LEN;
  const packet = new Uint8Array(SIZEOF_VNET_HEADER + headersLen + PAYLOAD_LEN);
  const view = new DataView(packet.buffer);
  packet[0] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  packet[1] = family === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
  for (const [i, value] of [headersLen, SEGMENT_SIZE, link.length + ipLen, TCP_CHECKSUM_AT].entries()) {
    view.setUint16(2 + 2 * i, value, true);
  }
  packet.set(link, SIZEOF_VNET_HEADER);
  const ip = SIZEOF_VNET_HEADER + link.length;
  if (family === 4) {
    packet[ip] = 0x45;
    view.setUint16(ip + 2, ipLen + TCP_HEADER_LEN + PAYLOAD_LEN);
    packet[ip + 8] = 1;
    // The checksum stays 0, which is wrong.
    packet[ip + 9] = PROTOCOL_TCP;
  } else {
    packet[ip] = 0x60;
    view.setUint16(ip + 4, TCP_HEADER_LEN + PAYLOAD_LEN);
    packet[ip + 6] = PROTOCOL_TCP;
    packet[ip + 7] = 1;
    packet[ip + 23] = 1;
    packet[ip + 39] = 1;
  }
  packet[ip + ipLen + 12] = TCP_HEADER_LEN / 4 << 4;
  return packet;
}
