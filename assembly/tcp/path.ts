// ICMP errors about segments. They are believed only if what they quote is in flight (RFC 5927 §4.1), so that nobody
// who cannot see a connection can harm it.
//
// Path MTU discovery (RFC 1191, RFC 8201): a router says that a segment is too big for its next link. Connections to
// the same address that begin later have this MTU, for as long as it is kept (pmtu.ts). Each queue learns by itself.
//
// Other errors matter only to a connection that was asked for and is not established yet (RFC 9293 §3.9.2.2): hard
// ones end the attempt, soft ones say in the end why it was in vain (RFC 5927 §5, RFC 5461).
//
// The error may come to another queue than the connection: the kernel chooses an error's queue by its addresses alone.
// It then goes to the others as a letter (abi/tcp.ts).

import { MAPPED } from "../../abi/paths";
import { Unopened } from "../../abi/streams";
import {
  ADDRESSES, HARD_ERROR, INBOX, INBOX_COUNT, LETTER_FAMILY, LETTER_MTU, LETTER_PORTS, LETTER_SEQ, LETTER_SIZE,
  MAX_LETTERS, MSS, OUTBOX, OUTBOX_COUNT, OWNER, SERVICE_STATE, SND_NXT, SND_UNA, State,
} from "../../abi/tcp";
import { roomOf } from "../path/route";
import * as pmtu from "../pmtu";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/tcp";
import { before, has, SIX, state } from "./connection";
import { fail } from "./end";
import { touch } from "./output";
import * as recover from "./recover";
import * as services from "./services";
import { find } from "./table";
import { isRecord } from "./timewait";

/** Bytes of a TCP header that every error quotes (RFC 792): ports and sequence number. */
export const QUOTED_LEN: u32 = 8;

/**
 * A link takes no more than `mtu` bytes of packets like the one that is quoted at `ip`, whose TCP header at `tcp` has
 * at least QUOTED_LEN bytes; or else `mtu` is what LETTER_MTU may have in place of that. Returns whether it is about
 * something in flight in this queue.
 */
export function tell(ip: usize, tcp: usize, six: bool, mtu: u32): bool {
  // It is written where it stays if it is to be handed on. Without room there, the last letter is lost.
  const count = min(load<u32>(OUTBOX_COUNT), MAX_LETTERS - 1);
  const letter: usize = OUTBOX + count * LETTER_SIZE;
  if (six) {
    memory.copy(letter, ipv6.dstAddr(ip), 16);
    memory.copy(letter + 16, ipv6.srcAddr(ip), 16);
  } else {
    store<u64>(letter, rotl<u64>(load<u64>(ipv4.srcAddr(ip)), 32));
  }
  store<u32>(letter, rotl<u32>(wire.ports(tcp), 16), LETTER_PORTS);
  store<u32>(letter, wire.seq(tcp), LETTER_SEQ);
  store<u32>(letter, mtu, LETTER_MTU);
  store<u32>(letter, six ? 6 : 4, LETTER_FAMILY);
  if (read(letter)) return true;
  store<u32>(OUTBOX_COUNT, count + 1);
  return false;
}

/**
 * Returns the bytes that a packet to the peer of `c` may have, as far as other connections have learnt it, or the path
 * of its prefix says.
 */
export function mtuOf(c: usize): u32 {
  return min(pmtu.knownMtu(peerOf(c)), roomOf(load<i32>(c, OWNER)));
}

/** Returns where the peer's address is, as one of IPv6. */
function peerOf(c: usize): usize {
  if (has(c, SIX)) return c + ADDRESSES;
  // In network order, ::ffff:0:0 and the address.
  store<u64>(MAPPED, 0);
  store<u32>(MAPPED, 0xffff_0000, 8);
  store<u32>(MAPPED, load<u32>(c, ADDRESSES), 12);
  return MAPPED;
}

/** Reads the letters of other queues. */
export function readAll(): void {
  const count = min(load<u32>(INBOX_COUNT), MAX_LETTERS);
  store<u32>(INBOX_COUNT, 0);
  for (let i: u32 = 0; i < count; i++) read(INBOX + i * LETTER_SIZE);
}

/** Reads a letter. Returns whether it is about something in flight in this queue. */
function read(letter: usize): bool {
  const six = load<u32>(letter, LETTER_FAMILY) == 6;
  const c = find(letter, six, load<u32>(letter, LETTER_PORTS));
  if (!c || isRecord(c)) return false;
  const seq = load<u32>(letter, LETTER_SEQ);
  if (before(seq, load<u32>(c, SND_UNA)) || !before(seq, load<u32>(c, SND_NXT))) return false;
  if (load<u32>(letter, LETTER_MTU) < 2 * HARD_ERROR) {
    unreached(c, load<u32>(letter, LETTER_MTU));
    return true;
  }
  const headers = wire.MIN_HEADER_LEN + (six ? ipv6.HEADER_LEN : ipv4.MIN_HEADER_LEN);
  const mss = load<u32>(letter, LETTER_MTU) - headers;
  if (mss >= <u32>load<u16>(c, MSS)) return true;
  store<u16>(c, <u16>mss, MSS);
  // No SYN is too big, and what is in flight is kept account of once the handshake is complete.
  if (state(c) == State.SYN_RECEIVED) return true;
  pmtu.learn(peerOf(c), load<u32>(letter, LETTER_MTU));
  recover.narrower(c);
  touch(c);
  return true;
}

/** A segment of a connection has not come to its peer. Established ones live on (RFC 9293, MUST-56; RFC 5927 §5.2). */
function unreached(c: usize, what: u32): void {
  if (state(c) != State.SYN_SENT && state(c) != State.SYN_RECEIVED) return;
  if (!services.isAsked(c)) return;
  const why = <Unopened>(what & (HARD_ERROR - 1));
  if (what & HARD_ERROR) fail(c, why);
  else store<u32>(c, why, SERVICE_STATE);
}
