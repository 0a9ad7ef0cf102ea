// Hops write into options of packets that they forward (RFC 791 §3.1): their address into a Record Route, their
// address or the time into a Timestamp, or both (RFC 1812 §4.2.2.2 c, d). HOP_TIMES has when a packet came to each.

import { NOW, WALL } from "../../abi/control";
import { HOP_FLAGS, HOP_IPV4, HOP_SAYS } from "../../abi/hops";
import { HOP_TIMES } from "../../abi/links";
import { ADDRESS_LEN, malformed, TIME_LEN } from "../respond/malformed";
import { millisecondsOf } from "../respond/timestamp";
import * as ipv4 from "../wire/ipv4";
import * as options from "../wire/options";
import { hopAt } from "./route";

/** Has the first `hops` of a route write into a packet on its way there. */
export function recordThere(way: usize, hops: u32, ip: usize): void {
  if (!isRecorded(ip)) return;
  for (let place: u32 = 0; place < hops; place++) recordAt(way, place, ip);
  mend(ip);
}

/** Has the first `hops` of a route write into a packet on its way back. */
export function recordBack(way: usize, hops: u32, ip: usize): void {
  if (!isRecorded(ip)) return;
  for (let place = hops; place > 0; place--) recordAt(way, place - 1, ip);
  mend(ip);
}

/** Returns whether hops may write. A malformed option is for the host to tell of. */
function isRecorded(ip: usize): bool {
  return ipv4.version(ip) == 4 && !ipv4.isPlain(ip) && !malformed(ip);
}

function mend(ip: usize): void {
  ipv4.setLens(ip, ipv4.headerLen(ip), ipv4.totalLen(ip));
}

/** A hop that says nothing writes nothing. */
function recordAt(way: usize, place: u32, ip: usize): void {
  const hop = hopAt(way, place);
  if (!(load<u32>(hop, HOP_FLAGS) & HOP_SAYS)) return;
  const addr = load<u32>(hop, HOP_IPV4);
  const record = options.find(ip, options.RECORD_ROUTE);
  if (record && options.room(record) >= ADDRESS_LEN) {
    store<u32>(options.next(record), addr);
    options.setPointer(record, options.pointer(record) + ADDRESS_LEN);
  }
  const timestamp = options.find(ip, options.TIMESTAMP);
  if (timestamp) stamp(timestamp, addr, load<u64>(<usize>HOP_TIMES + (<usize>place << 3)));
}

function stamp(option: usize, addr: u32, at: u64): void {
  const flag = options.flag(option);
  const slotLen = options.timestampSlotLen(option);
  if (flag != options.TIMESTAMPS && slotLen == TIME_LEN) return;
  const room = options.room(option);
  if (!room && flag != options.PRESPECIFIED && options.overflow(option) < options.MAX_OVERFLOW) {
    options.setOverflow(option, options.overflow(option) + 1);
  }
  if (room < slotLen) return;
  const slot = options.next(option);
  if (flag == options.PRESPECIFIED && load<u32>(slot) != addr) return;
  if (flag == options.ADDRESSES_AND_TIMESTAMPS) store<u32>(slot, addr);
  store<u32>(slot + slotLen - TIME_LEN, bswap<u32>(millisecondsOf(load<u64>(WALL) + (at - load<u64>(NOW)))));
  options.setPointer(option, options.pointer(option) + slotLen);
}
