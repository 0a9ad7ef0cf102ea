// Fragmentation, RFC 8200 §4.5. As in fragment.ts, each fragment of a reply has a slot of its own.

import { Drop } from "../../abi/counters";
import { emit, slotsFor } from "../link/link";
import { spare, takeReply } from "../memory";
import { owner } from "../packet";
import { DONE, drop } from "../verdict";
import * as extension from "../wire/extension";
import * as ipv6 from "../wire/ipv6";

const HEADERS_LEN: u32 = ipv6.HEADER_LEN + extension.MIN_LEN;

/**
 * Sends a packet without extension headers and returns DONE. If it is longer than `mtu`, it goes in fragments with this
 * identification. If there are not enough slots for it, or no room to keep its first fragment, it sends nothing and
 * returns a reason to drop it. The packet's own slot remains the caller's.
 */
export function transmit6(packet: usize, ip: usize, totalLen: u32, identification: u32, mtu: u32): i32 {
  const payload = ip + ipv6.HEADER_LEN;
  const payloadLen = totalLen - ipv6.HEADER_LEN;
  if (totalLen <= mtu) {
    if (!spare()) return drop(Drop.nomem);
    const reply = takeReply(packet);
    memory.copy(reply, ip, totalLen);
    return emit(packet, reply, totalLen) ? DONE : drop(Drop.held_full);
  }
  // All fragments but the last consist of whole blocks of 8 bytes.
  const blocksLen = mtu - HEADERS_LEN & ~7;
  if (slotsFor(owner(packet), (payloadLen + blocksLen - 1) / blocksLen) > spare()) return drop(Drop.nomem);
  let offset: u32 = 0;
  do {
    const left = payloadLen - offset;
    const more = HEADERS_LEN + left > mtu;
    const len = more ? blocksLen : left;
    const fragment = takeReply(packet);
    memory.copy(fragment, ip, ipv6.HEADER_LEN);
    ipv6.setPayload(fragment, extension.MIN_LEN + len, extension.FRAGMENT, ipv6.hopLimit(ip));
    extension.setFragment(fragment + ipv6.HEADER_LEN, ipv6.nextHeader(ip), offset, more, identification);
    memory.copy(fragment + HEADERS_LEN, payload + offset, len);
    if (!emit(packet, fragment, HEADERS_LEN + len) && !offset) return drop(Drop.held_full);
    offset += len;
  } while (offset < payloadLen);
  return DONE;
}
