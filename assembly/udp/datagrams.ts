// Datagrams of ports that service threads have: hands them over, and sends what the threads answer. Threads run what
// users wrote, so whatever an answer says is checked: it goes from an address and a port that a thread has, to an
// address that is somebody else's, and no byte is read or written outside of the rings and of slots that are free.

import { FRAME_OFFSET, Mode, MODE, SEED } from "../../abi/control";
import { Counter, Drop } from "../../abi/counters";
import {
  ANSWER, ANSWER_CONTEXT, ANSWER_ID, ANSWER_LINK, DATA_LEN, DATAGRAM_ADDRESSES, DATAGRAM_FAMILY, DATAGRAM_HEADER,
  DATAGRAM_LINK, DATAGRAM_LINK_LEN, DATAGRAM_OWNER, DATAGRAM_PORTS, DATAGRAM_RING, DATAGRAM_SERVICE, MAX_DATA4,
  MAX_DATA6,
} from "../../abi/datagrams";
import { MIN_PATH_MTU } from "../../abi/paths";
import { SLOT_ALIGN } from "../../abi/slots";
import {
  ANSWERS_HEAD, ANSWERS_TAIL, DATAGRAMS_AT, DATAGRAMS_HEAD, DATAGRAMS_TAIL, NEWS_FOR, ORDERED, THREAD_COUNT,
} from "../../abi/streams";
import { ANSWER_UDP, FIRST_PREFIX, NOBODY, PREFIX_UDP } from "../../abi/tables";
import { Service, SERVICE_BYTES } from "../../abi/tcp";
import { checksum, sumWide } from "../checksum";
import { mix } from "../limit";
import { mac, mac6 } from "../mac";
import { emitOf, slotsFor } from "../link/link";
import { add, spare, takeReply } from "../memory";
import { begin, family, link, owner as ownerOf } from "../packet";
import { roomOf } from "../path/route";
import { pathMtu } from "../pmtu";
import { kindOf, serviceIn } from "../ports";
import { answersOf, owner, owner6, table } from "../prefix";
import { hasSeenEpoch, serves, threadAt } from "../stream/thread";
import { DONE, drop } from "../verdict";
import * as ethernet from "../wire/ethernet";
import * as extension from "../wire/extension";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as wire from "../wire/udp";

const MASK: u32 = DATAGRAM_RING - 1;
const MAX_LINK_LEN: u32 = 22;

/** Hands a datagram of `len` bytes to the thread that has its flow, or another one while that does not serve. */
export function hand(packet: usize, ip: usize, datagram: usize, len: u32, service: usize): i32 {
  const six = family(packet) == 6;
  const addrs = six ? ipv6.srcAddr(ip) : ipv4.srcAddr(ip);
  const flow = mix(load<u32>(datagram) ^ load<u32>(six ? addrs + 12 : addrs));
  const count = load<u32>(THREAD_COUNT);
  for (let i: u32 = 0; i < count; i++) {
    const index = (flow % count + i) % count;
    if (!serves(index) || !hasSeenEpoch(threadAt(index))) continue;
    if (!put(threadAt(index), packet, addrs, six, datagram, len, service)) break;
    store<u32>(NEWS_FOR, load<u32>(NEWS_FOR) | 1 << index);
    add(Counter.udpHandled, 1);
    return DONE;
  }
  return drop(Drop.socket_rcvbuff);
}

/** Writes a record into the thread's ring. Returns false if there is no room. */
function put(thread: usize, packet: usize, addrs: usize, six: bool, datagram: usize, len: u32, service: usize): bool {
  const dataLen = len - wire.HEADER_LEN;
  const tail = load<u32>(thread, DATAGRAMS_TAIL);
  const used = tail - atomic.load<u32>(thread + DATAGRAMS_HEAD);
  if (used > <u32>DATAGRAM_RING || <u32>DATAGRAM_RING - used < sizeOf(dataLen)) return false;
  const ring: usize = load<u32>(thread, DATAGRAMS_AT);
  const record = ring + (tail & MASK);
  store<u32>(record, dataLen, DATA_LEN);
  store<i32>(record, ownerOf(packet), DATAGRAM_OWNER);
  store<u64>(record, load<u64>(<usize>load<u32>(service, SERVICE_BYTES)), DATAGRAM_SERVICE);
  store<u32>(record, load<u32>(datagram), DATAGRAM_PORTS);
  store<u8>(record, six ? 6 : 4, DATAGRAM_FAMILY);
  const linkLen = (<u32>link(packet) & (SLOT_ALIGN - 1)) - load<u32>(FRAME_OFFSET);
  store<u8>(record, <u8>linkLen, DATAGRAM_LINK_LEN);
  memory.copy(record + DATAGRAM_LINK, link(packet) - linkLen, linkLen);
  memory.copy(record + DATAGRAM_ADDRESSES, addrs, six ? 32 : 8);
  const at = tail + DATAGRAM_HEADER & MASK;
  const first = min(dataLen, <u32>DATAGRAM_RING - at);
  memory.copy(ring + at, datagram + wire.HEADER_LEN, first);
  memory.copy(ring, datagram + wire.HEADER_LEN + first, dataLen - first);
  atomic.store<u32>(thread + DATAGRAMS_TAIL, tail + sizeOf(dataLen));
  return true;
}

/** Returns the bytes of a record with so much data. */
function sizeOf(dataLen: u32): u32 {
  return DATAGRAM_HEADER + (dataLen + DATAGRAM_HEADER - 1 & -DATAGRAM_HEADER);
}

/** Sends what a thread answers, `most` datagrams at most; the rest is for the next round. Returns how many are left. */
export function sendAnswers(thread: usize, most: u32): u32 {
  // Positions that are no record's cannot be the thread's, whatever it says.
  const tail = atomic.load<u32>(thread + ANSWERS_TAIL) & -DATAGRAM_HEADER;
  let head = load<u32>(thread, ANSWERS_HEAD);
  if (head == tail) return most;
  const ring: usize = <usize>load<u32>(thread, DATAGRAMS_AT) + DATAGRAM_RING;
  while (head != tail && most) {
    memory.copy(ANSWER, ring + (head & MASK), DATAGRAM_HEADER);
    const len = load<u32>(ANSWER, DATA_LEN);
    const there = tail - head;
    if (there > <u32>DATAGRAM_RING || len > <u32>MAX_DATA6 || sizeOf(len) > there) {
      // The thread has spoilt its own ring.
      head = tail;
      break;
    }
    add(sendAnswer(ring, head + DATAGRAM_HEADER, len) ? Counter.udpSent : Counter.udpUnsent, 1);
    head += sizeOf(len);
    most--;
  }
  atomic.store<u32>(thread + ANSWERS_HEAD, head);
  if (head != tail) atomic.store<u32>(ORDERED, 1);
  return most;
}

/**
 * Sends the answer in hand, whose data lie in the ring from position `from` on. Returns false if it may not be sent, or
 * if there is no room.
 */
function sendAnswer(ring: usize, from: u32, len: u32): bool {
  const six = load<u8>(ANSWER, DATAGRAM_FAMILY) == 6;
  if (!six && (load<u8>(ANSWER, DATAGRAM_FAMILY) != 4 || len > <u32>MAX_DATA4)) return false;
  const remote: usize = ANSWER + DATAGRAM_ADDRESSES;
  const local = remote + (six ? 16 : 4);
  const prefix = six ? owner6(table(), local) : owner(table(), local);
  if (prefix < FIRST_PREFIX || (six ? owner6(table(), remote) : owner(table(), remote)) != NOBODY) return false;
  if (!isThreads(prefix, bswap<u16>(load<u16>(ANSWER, DATAGRAM_PORTS + 2)))) return false;
  const behind = linkOf(six, local);
  if (!behind) return false;
  begin(ANSWER_CONTEXT, behind, six ? 6 : 4);
  const ttl = answersOf(table(), prefix) & 0xff;
  const id = mix(load<u32>(ANSWER_ID) ^ load<u32>(SEED));
  store<u32>(ANSWER_ID, load<u32>(ANSWER_ID) + 1);
  return transmit(six, prefix, ring, from, wire.HEADER_LEN + len, ttl, id, local, remote);
}

/** Returns whether service threads have a UDP port of this prefix. */
function isThreads(prefix: i32, port: u32): bool {
  if (!(answersOf(table(), prefix) & ANSWER_UDP)) return false;
  const service = serviceIn(load<u32>(table() + (<usize>(prefix - FIRST_PREFIX) << 2), PREFIX_UDP), port);
  return service != 0 && kindOf(service) == Service.datagram;
}

/** Makes what lies before the answer in its slot, and returns the address behind it; 0 if that is not pongd's. */
function linkOf(six: bool, local: usize): usize {
  memory.fill(ANSWER_LINK, 0, SLOT_ALIGN);
  const frame: usize = ANSWER_LINK + load<u32>(FRAME_OFFSET);
  if (load<u32>(MODE) != Mode.tap) return frame;
  const len: u32 = load<u8>(ANSWER, DATAGRAM_LINK_LEN);
  if (len < ethernet.HEADER_LEN || len > MAX_LINK_LEN) return 0;
  memory.copy(frame, ANSWER + DATAGRAM_LINK, len);
  const isOurs = ethernet.headerLen(frame, len) == len && !ethernet.hasReservedVlan(frame, len)
    && ethernet.type(frame, len) == (six ? ethernet.IPV6 : ethernet.IPV4)
    && ethernet.isStation(ethernet.dstMac(frame))
    && ethernet.load48(ethernet.srcMac(frame)) == (six ? mac6(local) : mac(local));
  return isOurs ? frame + len : 0;
}

/** Sends a datagram of `len` bytes in as many fragments as its path needs, each in a slot of its own. */
function transmit(
  six: bool, prefix: i32, ring: usize, from: u32, len: u32, ttl: u32, id: u32, local: usize, remote: usize,
): bool {
  const headerLen: u32 = six ? ipv6.HEADER_LEN : ipv4.MIN_HEADER_LEN;
  const room = roomOf(prefix);
  const mtu = six ? min(pathMtu(remote, headerLen + len), room) : room;
  const isWhole = headerLen + len <= mtu;
  const before = six && !isWhole ? headerLen + extension.MIN_LEN : headerLen;
  const most = isWhole ? len : mtu - before & ~7;
  if (slotsFor(prefix, (len + most - 1) / most) > spare()) return false;
  for (let offset: u32 = 0; offset < len; offset += most) {
    const pieceLen = min(most, len - offset);
    const more = offset + pieceLen < len;
    const ip = takeReply(ANSWER_CONTEXT);
    if (six) {
      const next = isWhole ? ipv6.UDP : extension.FRAGMENT;
      ipv6.setHeader(ip, before - headerLen + pieceLen, next, ttl, local, remote);
      if (!isWhole) extension.setFragment(ip + headerLen, ipv6.UDP, offset, more, id);
    } else {
      ipv4.setHeader(ip, pieceLen, ipv4.PROTOCOL_UDP, ttl, local, remote);
      if (headerLen + len > <u32>MIN_PATH_MTU) {
        // As with an echo, the way may be narrower than it looks.
        ipv4.setId(ip, id & 0xffff || 1);
        ipv4.setFragment(ip, headerLen + pieceLen, offset, more);
      }
    }
    const piece = ip + before;
    if (offset) {
      copyData(piece, ring, from + offset - wire.HEADER_LEN, pieceLen);
    } else {
      copyData(piece + wire.HEADER_LEN, ring, from, pieceLen - wire.HEADER_LEN);
      writeHeader(piece, ip, six, ring, from, len);
    }
    emitOf(prefix, ip, before + pieceLen);
  }
  return true;
}

/** Writes UDP's header, with the checksum over all of the datagram. */
function writeHeader(datagram: usize, ip: usize, six: bool, ring: usize, from: u32, len: u32): void {
  wire.setHeader(datagram, rotl<u32>(load<u32>(ANSWER, DATAGRAM_PORTS), 16), len);
  const at = from & MASK;
  const dataLen = len - wire.HEADER_LEN;
  const first = min(dataLen, <u32>DATAGRAM_RING - at);
  const pseudo = six ? ipv6.pseudoSum(ip, ipv6.UDP, len) : ipv4.pseudoSum(ip, len);
  wire.setChecksum(
    datagram,
    checksum(pseudo + sumWide(datagram, wire.HEADER_LEN) + sumWide(ring + at, first) + sumWide(ring, dataLen - first)),
  );
}

/** Copies bytes out of a ring from position `from` on. */
function copyData(to: usize, ring: usize, from: u32, len: u32): void {
  const at = from & MASK;
  const first = min(len, <u32>DATAGRAM_RING - at);
  memory.copy(to, ring + at, first);
  memory.copy(to + first, ring, len - first);
}
