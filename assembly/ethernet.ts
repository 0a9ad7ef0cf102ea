// TAP mode: the steps before and after the judging of IP packets. A frame keeps its place in its slot all the way:
//
//   slot  2           8           14        16, 20, 24
//     ┌───┬───────────┬───────────┬─────────┬──────────────
//     │   │destination│  source   │tags,type│ IP packet …
//     └───┴───────────┴───────────┴─────────┴──────────────
//         └ read and written here           └ judged here: at a multiple of 4
//
//  1. unwrap   frames become the packets that they carry, or are answered (ARP, neighbor discovery) or dropped at once
//  2. input.ts, judge.ts
//  3. wrap     replies become frames
//
// unwrap exchanges the MAC addresses of each packet that it hands on. So the bytes before the packet in its slot are
// the link header of any reply to it. A reply made in place has that header already. A reply in a slot of its own takes
// a copy along (memory.ts, takeReply). A datagram in reassembly keeps a copy of its first fragment's link header,
// for an ICMP error that may become due.
//
// Nothing is learnt or remembered from a frame: a reply goes to where its request came from, with the same tags.

import { FRAME_OFFSET, QUEUED } from "../abi/control";
import { Counter, Drop, DROPPED } from "../abi/counters";
import { SLOT_ALIGN } from "../abi/slots";
import { INVALID } from "../abi/tables";
import { mac, mac6 } from "./mac";
import { add, free, receive, receivedLength, receivedSlot, send, toSendLength, toSendSlot } from "./memory";
import { plain } from "./offload";
import { owner, owner6, table } from "./prefix";
import { arp } from "./respond/arp";
import { isSolicitation, neighbor } from "./respond/neighbor";
import { drop, isDrop, reason } from "./verdict";
import * as ethernet from "./wire/ethernet";
import * as ipv4 from "./wire/ipv4";
import * as ipv6 from "./wire/ipv6";

/**
 * Reduces the first `count` frames in RECEIVED to the packets that are to be judged, and returns how many there are.
 * Frames that are answered here add to QUEUED.
 */
export function unwrap(count: u32): u32 {
  store<u32>(QUEUED, 0);
  let packets: u32 = 0;
  let bytes: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const frame = receivedSlot(i);
    const length = receivedLength(i);
    const verdict = judge(frame, length);
    if (verdict > 0) {
      receive(packets++, frame + verdict, length - verdict);
      bytes += verdict;
    } else {
      if (isDrop(verdict)) { free(frame); add(DROPPED + reason(verdict), 1); }
      bytes += length;
    }
  }
  // input() counts the bytes of the packets themselves.
  add(Counter.bytesReceived, bytes);
  return packets;
}

/** Turns the packets in TO_SEND from `first` up to `end` into frames. */
export function wrap(first: u32, end: u32): void {
  const offset = load<u32>(FRAME_OFFSET);
  for (let i = first; i < end; i++) {
    const packet = toSendSlot(i);
    const frame = (packet & -SLOT_ALIGN) + offset;
    send(i, frame, toSendLength(i) + <u32>(packet - frame));
  }
}

/**
 * Returns the length of the header before a packet, if there is a packet to be judged. Otherwise it returns a verdict:
 * DONE for a frame that has been answered, or a reason to drop it.
 */
function judge(frame: usize, length: u32): i32 {
  const headerLen: u32 = length < ethernet.HEADER_LEN ? 0 : ethernet.headerLen(frame, length);
  if (headerLen == 0) return drop(Drop.pkt_too_small);
  if (headerLen > ethernet.HEADER_LEN && ethernet.hasReservedVlan(frame, headerLen)) return drop(Drop.vlan_reserved);
  // A reply to such an address would go to many stations, or to none.
  if (!ethernet.isStation(ethernet.srcMac(frame))) return drop(Drop.mac_invalid_source);
  switch (ethernet.type(frame, headerLen)) {
    case ethernet.IPV4: {
      const ip = frame + headerLen;
      if (length < headerLen + ipv4.MIN_HEADER_LEN || ipv4.version(ip) != 4) return drop(Drop.ip_inhdr);
      return packet(frame, headerLen, mac(ipv4.dstAddr(ip)), owner(table(), ipv4.dstAddr(ip)));
    }
    case ethernet.IPV6: {
      const ip = frame + headerLen;
      if (length < headerLen + ipv6.HEADER_LEN || ipv4.version(ip) != 6) return drop(Drop.ip_inhdr);
      if (isSolicitation(ip, length - headerLen)) { plain(frame); return neighbor(frame, headerLen, length); }
      return packet(frame, headerLen, mac6(ipv6.dstAddr(ip)), owner6(table(), ipv6.dstAddr(ip)));
    }
    case ethernet.ARP: plain(frame); return arp(frame, headerLen, length);
    default: return drop(Drop.unhandled_proto);
  }
}

/**
 * Judges the frame of a packet to an address with this MAC address and this owner. RFC 1122 §3.3.6: a packet that was
 * sent to a group of stations is not for one host.
 */
function packet(frame: usize, headerLen: u32, mac: u64, owner: i32): i32 {
  if (ethernet.isGroup(ethernet.dstMac(frame))) {
    return owner == INVALID ? drop(Drop.ip_invalid_dest) : drop(Drop.unicast_in_l2_multicast);
  }
  if (ethernet.load48(ethernet.dstMac(frame)) != mac) return drop(Drop.otherhost);
  if (!ethernet.isPeer(ethernet.srcMac(frame), mac)) return drop(Drop.mac_invalid_source);
  ethernet.swapMacs(frame);
  return headerLen;
}
