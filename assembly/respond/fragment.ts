// Fragmentation, RFC 791 §3.2: a reply made in a reassembly buffer is sent in as many fragments as the MTU requires,
// each in a slot of its own.

import { Drop } from "../../abi/counters";
import { emit, slotsFor } from "../link/link";
import { spare, takeReply } from "../memory";
import { owner } from "../packet";
import { roomBack } from "../path/route";
import { DONE, drop } from "../verdict";
import * as ipv4 from "../wire/ipv4";

/**
 * Sends a datagram and returns DONE. If there are not enough slots for it, or no room to keep its first fragment, it
 * sends nothing and returns a reason to drop it. The datagram at `ip` is unusable afterwards.
 */
export function transmit(packet: usize, ip: usize, totalLen: u32): i32 {
  const mtu = roomBack(packet, ipv4.srcAddr(ip));
  const payload = ip + ipv4.headerLen(ip);
  const payloadLen = totalLen - ipv4.headerLen(ip);
  // All fragments but the last consist of whole blocks of 8 bytes. No header is longer than the first one's.
  const blocksLen = mtu - ipv4.headerLen(ip) & ~7;
  const most = totalLen > mtu ? (payloadLen + blocksLen - 1) / blocksLen : 1;
  if (slotsFor(owner(packet), most) > spare()) return drop(Drop.nomem);

  let offset: u32 = 0;
  do {
    const headerLen = ipv4.headerLen(ip);
    const left = payloadLen - offset;
    const more = headerLen + left > mtu;
    const len = more ? mtu - headerLen & ~7 : left;
    const fragment = takeReply(packet);
    memory.copy(fragment, ip, headerLen);
    memory.copy(fragment + headerLen, payload + offset, len);
    ipv4.setFragment(fragment, headerLen + len, offset, more);
    if (!emit(packet, fragment, headerLen + len) && !offset) return drop(Drop.held_full);
    if (!offset) ipv4.stripOptions(ip);
    offset += len;
  } while (offset < payloadLen);
  return DONE;
}
