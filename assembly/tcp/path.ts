// Path MTU discovery of connections (RFC 1191, RFC 8201): a router says that a segment is too big for its next link. It
// is believed only if what it quotes is in flight (RFC 5927 §4.1), so that nobody who cannot see the connection can
// make its segments small.

import { MSS, SEGMENT, SND_NXT, SND_UNA } from "../../abi/tcp";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/tcp";
import { before } from "./connection";
import { touch } from "./output";
import * as recover from "./recover";
import { find } from "./table";
import { isRecord } from "./timewait";

/** Bytes of a TCP header that every error quotes (RFC 792): ports and sequence number. */
export const QUOTED_LEN: u32 = 8;

/**
 * A link takes no more than `mtu` bytes of packets like the one that is quoted at `ip`, whose TCP header at `tcp` has
 * at least QUOTED_LEN bytes. Returns whether that is about something in flight.
 */
export function tooBig(ip: usize, tcp: usize, six: bool, mtu: u32): bool {
  // The table is asked by addresses and ports as they are in the peer's packets. No segment is in hand now.
  if (six) {
    memory.copy(SEGMENT, ipv6.dstAddr(ip), 16);
    memory.copy(SEGMENT + 16, ipv6.srcAddr(ip), 16);
  } else {
    store<u64>(SEGMENT, rotl<u64>(load<u64>(ipv4.srcAddr(ip)), 32));
  }
  const c = find(SEGMENT, six, rotl<u32>(wire.ports(tcp), 16));
  if (!c || isRecord(c)) return false;
  const seq = wire.seq(tcp);
  if (before(seq, load<u32>(c, SND_UNA)) || !before(seq, load<u32>(c, SND_NXT))) return false;
  const headers = wire.MIN_HEADER_LEN + (six ? ipv6.HEADER_LEN : ipv4.MIN_HEADER_LEN);
  if (mtu - headers >= <u32>load<u16>(c, MSS)) return true;
  store<u16>(c, <u16>(mtu - headers), MSS);
  recover.narrower(c);
  touch(c);
  return true;
}
