// A kernel that refuses a packet because of what it was to do to it costs pongd offload, for good, and the packet
// nothing: here it is cut into segments, or its checksum computed, as the kernel would have done
// (net/ipv4/tcp_offload.c, tcp_gso_segment(); net/ipv4/af_inet.c, inet_gso_segment()).
//
//  1. refused  the I/O gives the packet back; it stays in its slot, and its timer is due at once
//  2. cut      each segment goes into a slot of its own, as many as there is room for, and the rest in the next round
//
//  record  0 ┌───────┬────────┬────────┬────────────────┐  that of the slot, as kept.ts has it for another purpose
//            │ timer │ packet │ length │ payload so far │
//            └───────┴────────┴────────┴────────────────┘

import { MODE, Mode, NOW, OFFLOAD, VNET_HEADER_LEN } from "../abi/control";
import { Counter } from "../abi/counters";
import { SIZEOF_VNET_HEADER } from "../abi/offload";
import { SLOT_ALIGN } from "../abi/slots";
import { TICK_NS, Timer, TIMER_SIZE } from "../abi/timers";
import { checksum, sumWide } from "./checksum";
import { recordOf } from "./kept";
import { add, free, queue, spare, take } from "./memory";
import { complete, headerOf } from "./offload";
import * as timers from "./timers";
import * as ethernet from "./wire/ethernet";
import * as ipv4 from "./wire/ipv4";
import * as ipv6 from "./wire/ipv6";
import * as vnet from "./wire/vnet";

const PACKET: usize = TIMER_SIZE;
const LENGTH: usize = TIMER_SIZE + 4;
const DONE: usize = TIMER_SIZE + 8;

// TCP header, RFC 9293 §3.1.
const SEQUENCE_AT: usize = 4;
const FLAGS_AT: usize = 13;
const CHECKSUM_AT: usize = 16;
const FIN_AND_PSH: u32 = 0x09;
const CWR: u32 = 0x80;

/**
 * Takes back the packet or frame of `length` bytes at `packet`, which the kernel has refused as invalid, and whose slot
 * is the caller's. Returns false if that was not because of what the kernel was to do to it: then it is lost.
 */
export function refused(packet: usize, length: u32): bool {
  if (!load<u32>(VNET_HEADER_LEN)) return false;
  const header = headerOf(packet);
  if (!(vnet.flags(header) & vnet.NEEDS_CSUM) || !isWithin(header, length)) return false;
  if (load<u32>(OFFLOAD)) {
    store<u32>(OFFLOAD, 0);
    add(Counter.offload, -1);
  }
  add(Counter.offloadRefused, 1);
  const record = recordOf(packet);
  store<u32>(record, <u32>packet, PACKET);
  store<u32>(record, length, LENGTH);
  store<u32>(record, 0, DONE);
  timers.set(record, Timer.refused, load<u64>(NOW));
  return true;
}

/** Sends a refused packet in segments, as far as there is room for them. */
export function cut(record: usize): void {
  const packet: usize = load<u32>(record, PACKET);
  const length = load<u32>(record, LENGTH);
  const linkLen = load<u32>(MODE) == Mode.tap ? ethernet.headerLen(packet, length) : 0;
  const header = headerOf(packet);
  const headersLen = vnet.headerLen(header);
  const size = vnet.segmentSize(header);
  if (vnet.kind(header) == vnet.GSO_NONE || length <= headersLen + size) {
    const start = vnet.sumStart(header);
    complete(packet + start, packet + start + vnet.sumOffset(header), length - start);
    vnet.clear(header);
    queue(packet + linkLen, length - linkLen);
    return;
  }
  let done = load<u32>(record, DONE);
  for (; headersLen + done < length && spare(); done += size) {
    const segment = take() + (packet & (SLOT_ALIGN - 1));
    const len = min(size, length - headersLen - done);
    vnet.clear(segment - SIZEOF_VNET_HEADER);
    memory.copy(segment, packet, headersLen);
    memory.copy(segment + headersLen, packet + headersLen + done, len);
    const ip = segment + linkLen;
    const tcp = segment + vnet.sumStart(header);
    const ipLen = headersLen - linkLen + len;
    setFlags(tcp, done == 0, headersLen + done + len == length);
    setPlace(ip, tcp, ipLen, done, done / size);
    queue(ip, ipLen);
  }
  if (headersLen + done >= length) {
    free(packet);
  } else {
    store<u32>(record, done, DONE);
    timers.set(record, Timer.refused, load<u64>(NOW) + TICK_NS);
  }
}

/** Returns whether all that the header speaks of lies within the packet. */
function isWithin(header: usize, length: u32): bool {
  if (vnet.sumStart(header) + vnet.sumOffset(header) + 2 > length) return false;
  return vnet.kind(header) == vnet.GSO_NONE || (vnet.segmentSize(header) != 0 && vnet.headerLen(header) < length);
}

/** Leaves to the first segment what is said once, and to the last one what ends the data. */
function setFlags(tcp: usize, first: bool, last: bool): void {
  let flags: u32 = load<u8>(tcp, FLAGS_AT);
  if (!first) flags &= ~CWR;
  if (!last) flags &= ~FIN_AND_PSH;
  store<u8>(tcp, flags, FLAGS_AT);
}

/** Makes the packet of `length` bytes at `ip` segment `index`, with what comes `done` bytes behind the first's data. */
function setPlace(ip: usize, tcp: usize, length: u32, done: u32, index: u32): void {
  const tcpLen = length - <u32>(tcp - ip);
  let pseudoSum: u64;
  if (ipv4.version(ip) == 6) {
    ipv6.setPayloadLen(ip, length - ipv6.HEADER_LEN);
    pseudoSum = ipv6.pseudoSum(ip, ipv6.TCP, tcpLen);
  } else {
    ipv4.setId(ip, ipv4.id(ip) + index);
    ipv4.setLens(ip, ipv4.headerLen(ip), length);
    pseudoSum = ipv4.pseudoSum(ip, tcpLen);
  }
  store<u32>(tcp, bswap<u32>(bswap<u32>(load<u32>(tcp, SEQUENCE_AT)) + done), SEQUENCE_AT);
  store<u16>(tcp, 0, CHECKSUM_AT);
  store<u16>(tcp, checksum(pseudoSum + sumWide(tcp, tcpLen)), CHECKSUM_AT);
}
