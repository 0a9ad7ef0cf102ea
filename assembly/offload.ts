// Offload: the kernel hands over packets that are not finished, and finishes others for pongd. struct virtio_net_hdr,
// right before a packet or frame in its slot, says what is to be done (wire/vnet.ts; drivers/net/tun.c):
//
//   slot  FRAME_OFFSET - 10       FRAME_OFFSET
//     ┌───┬───────────────────────┬─────────────────────────┬──────────────
//     │   │ struct virtio_net_hdr │ link header in TAP mode │ IP packet …
//     └───┴───────────────────────┴─────────────────────────┴──────────────
//
//  in    accept() moves what it says into the packet's context, and leaves a header of zeros. Whatever becomes of the
//        packet, or is made from a copy of what lies before it, then needs nothing of the kernel. The fast path
//        takes batches alone in which no header says anything (input.ts).
//  out   plain() or partial() for a packet whose slot had no request
//
// A packet from this host has a partial checksum: it has not left the host, so there is nothing to verify, but nobody
// else may see it so. finish() completes it before the packet is quoted, answered where it lies, or reassembled.

import { FRAME_OFFSET, OFFLOAD, VNET_HEADER_LEN } from "../abi/control";
import { OFFLOAD_CSUM, OFFLOAD_TSO4, OFFLOAD_TSO6, SIZEOF_VNET_HEADER } from "../abi/offload";
import { SLOT_ALIGN } from "../abi/slots";
import { checksum, sumWide } from "./checksum";
import { receivedSlot } from "./memory";
import { clearFlags, family, flags, kind, segmentSize, setUnfinished, sumOffset, sumStart } from "./packet";
import * as ipv4 from "./wire/ipv4";
import * as ipv6 from "./wire/ipv6";
import * as tcp from "./wire/tcp";
import * as vnet from "./wire/vnet";

/** The largest header of TCP, and the most bytes of a packet that the kernel takes, link header excepted. */
const MAX_TCP_HEADER_LEN: u32 = 60;
const MAX_LEN: u32 = 65535;

/** Returns the address of the header before the packet or frame that begins in the slot's first line around `p`. */
export function headerOf(p: usize): usize {
  return (p & -SLOT_ALIGN) + load<u32>(FRAME_OFFSET) - SIZEOF_VNET_HEADER;
}

/**
 * Returns the most bytes of TCP payload that one packet may carry: that of a super-segment, a multiple of `mss`, if the
 * kernel cuts packets of this family, else `mss`.
 */
export function segmentRoom(six: bool, mss: u32): u32 {
  if (!(load<u32>(OFFLOAD) & (six ? OFFLOAD_TSO6 : OFFLOAD_TSO4))) return mss;
  const room = MAX_LEN - MAX_TCP_HEADER_LEN - (six ? ipv6.HEADER_LEN : ipv4.MIN_HEADER_LEN);
  return mss < room ? room - room % mss : mss;
}

/** Returns whether each of the first `count` packets of RECEIVED is finished, and none is several in one. */
export function allFinished(count: u32): bool {
  if (!load<u32>(VNET_HEADER_LEN)) return true;
  let said: u32 = 0;
  for (let i: u32 = 0; i < count; i++) said |= vnet.flagsAndKind(headerOf(receivedSlot(i)));
  return (said & vnet.UNFINISHED) == 0;
}

/** Says that the packet at `ip` needs nothing of the kernel. Nothing if there is no header. */
export function plain(ip: usize): void {
  if (load<u32>(VNET_HEADER_LEN)) vnet.clear(headerOf(ip));
}

/**
 * Has the kernel compute the checksum at `csumStart` + `csumOffset` (bytes from `ip`), whose field holds the folded sum
 * of the pseudo-header, not complemented. Has it cut the payload into segments of `mss` if it is longer (mss 0: never).
 * `headerLen` is that of IP and TCP. `ecn` says that CWR is set. Returns false if the kernel does not compute
 * checksums: then the caller does that, and calls plain().
 */
export function partial(
  ip: usize, csumStart: u32, csumOffset: u32, headerLen: u32, mss: u32, six: bool, ecn: bool,
): bool {
  const offload = load<u32>(OFFLOAD);
  if (!(offload & OFFLOAD_CSUM)) return false;
  const header = headerOf(ip);
  const linkLen = <u32>(ip - header) - SIZEOF_VNET_HEADER;
  vnet.setSum(header, linkLen + csumStart, csumOffset);
  // The kernel takes a packet whose payload is not longer for a single segment (virtio_net_hdr_to_skb).
  if (mss && offload & (six ? OFFLOAD_TSO6 : OFFLOAD_TSO4)) {
    const kind = six ? vnet.GSO_TCPV6 : vnet.GSO_TCPV4;
    vnet.setSegments(header, ecn ? kind | vnet.GSO_ECN : kind, linkLen + headerLen, mss);
  }
  return true;
}

/** Moves what the header before the packet at `ip` says into the packet's context. */
export function accept(packet: usize, ip: usize): void {
  if (!load<u32>(VNET_HEADER_LEN)) return;
  const header = headerOf(ip);
  const flagsAndKind = vnet.flagsAndKind(header);
  if (!flagsAndKind) return;
  const linkLen = <u32>(ip - header) - SIZEOF_VNET_HEADER;
  const start = vnet.sumStart(header) - linkLen;
  setUnfinished(packet, flagsAndKind, start, vnet.sumOffset(header), vnet.segmentSize(header));
  vnet.clear(header);
}

/** Returns whether the packet's checksum need not be verified: it never left this host, or somebody has done it. */
export function verified(packet: usize): bool {
  return (flags(packet) & (vnet.NEEDS_CSUM | vnet.DATA_VALID)) != 0;
}

/** Returns whether the packet is one of several segments, and so longer than what was sent. */
export function isSegments(packet: usize): bool {
  return kind(packet) != vnet.GSO_NONE;
}

/** Returns how long the packet of `len` bytes at `ip` is on the wire; of several segments in one, the first. */
export function wireLen(packet: usize, ip: usize, len: u32): u32 {
  if (!isSegments(packet)) return len;
  const start: u32 = family(packet) == 6 ? ipv6.HEADER_LEN : ipv4.headerLen(ip);
  if (start + tcp.MIN_HEADER_LEN > len) return len;
  return min(len, start + tcp.headerLen(ip + start) + segmentSize(packet));
}

/**
 * Completes a partial checksum of the packet at `ip`, which is as long as its header says. Nothing is known of it any
 * more: verified() then says so.
 */
export function finish(packet: usize, ip: usize): void {
  const known = flags(packet);
  if (!known) return;
  clearFlags(packet);
  if (!(known & vnet.NEEDS_CSUM)) return;
  const six = family(packet) == 6;
  const start = sumStart(packet);
  const field = start + sumOffset(packet);
  // A guest of this host may have made both packet and header. The IP header has been judged, and stays as it is.
  const headerLen: u32 = six ? ipv6.HEADER_LEN : ipv4.headerLen(ip);
  const end = six ? ipv6.HEADER_LEN + ipv6.payloadLen(ip) : ipv4.totalLen(ip);
  if (start < headerLen || start >= end || field + 2 > end) return;
  complete(ip + start, ip + field, end - start);
}

/** Puts the checksum of the `len` bytes at `start` into the field, which has the folded sum of the pseudo-header. */
export function complete(start: usize, field: usize, len: u32): void {
  const sum = checksum(sumWide(start, len));
  // 0 would say that there is none (RFC 768), and is the same sum as 0xffff elsewhere.
  store<u16>(field, sum ? <u16>sum : 0xffff);
}
