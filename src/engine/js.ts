import { BATCH_SIZES, Counter, COUNTERS, Drop, DROPPED, FREE, FREE_COUNT, IGNORE_ECHO, INTERVAL_COUNT, INTERVAL_OWNERS, INTERVAL_STARTS, INVALID, NOBODY, PREFIX_REPLIES, Protocol, RECEIVED, REPLIES, REPLY_TTL, TO_SEND } from "../abi.js";
import type { Engine } from "./engine.js";

const ECHO_REPLY = 0;
const ECHO = 8;
const ICMP = 1;

/**
 * The engine in JavaScript: the steps and the counters of assembly/input.ts, in the terms that V8 runs fastest. Views of
 * three widths over one memory stand in for pointers: a slot is a multiple of 64, so `slot >> 2` is its first word.
 * Words are read as they lie; a big-endian field is put together from bytes, and sums do not depend on the order.
 * (Measured against DataView and against sums by 16-bit words: both slower, `npm run bench` shows by how much.)
 */
export class JsEngine implements Engine {
  readonly name = "js";
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #i32: Int32Array;
  readonly #u32: Uint32Array;
  readonly #counters: Float64Array;

  constructor(memory: WebAssembly.Memory) {
    this.#u8 = new Uint8Array(memory.buffer);
    this.#u16 = new Uint16Array(memory.buffer);
    this.#i32 = new Int32Array(memory.buffer);
    this.#u32 = new Uint32Array(memory.buffer);
    this.#counters = new Float64Array(memory.buffer, COUNTERS);
  }

  respond(count: number): number {
    const i32 = this.#i32;
    const counters = this.#counters;
    let replies = 0;
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const ip = i32[(RECEIVED >> 2) + 2 * i];
      const length = i32[(RECEIVED >> 2) + 2 * i + 1];
      bytes += length;

      const totalLen = this.#header(ip, length);
      const prefix = totalLen < 0 ? totalLen : this.#datagram(ip);
      const protocol = prefix < 0 ? prefix : this.#message(ip, totalLen);
      if (protocol < 0) {
        counters[DROPPED + ~protocol]++;
        i32[(FREE >> 2) + i32[FREE_COUNT >> 2]++] = ip;
      } else {
        counters[REPLIES + protocol]++;
        counters[PREFIX_REPLIES + prefix]++;
        i32[(TO_SEND >> 2) + 2 * replies] = ip;
        i32[(TO_SEND >> 2) + 2 * replies + 1] = totalLen;
        replies++;
      }
    }
    counters[Counter.packetsReceived] += count;
    counters[Counter.bytesReceived] += bytes;
    counters[BATCH_SIZES + 32 - Math.clz32(count - 1)]++;
    return replies;
  }

  /** The packet's length by its own account, or ~reason. */
  #header(ip: number, length: number): number {
    const u8 = this.#u8;
    if (length < 20) return ~Drop.ip_inhdr;
    const first = u8[ip];
    const headerLen = (first & 15) << 2;
    if (first !== 0x45) {
      if (first >> 4 === 6) return ~Drop.unhandled_proto;
      if (first >> 4 !== 4 || headerLen < 20 || headerLen > length) return ~Drop.ip_inhdr;
    }
    if (this.#sum(ip, headerLen) !== 0xffff) return ~Drop.ip_csum;
    const totalLen = u8[ip + 2] << 8 | u8[ip + 3];
    if (totalLen > length) return ~Drop.pkt_too_small;
    if (totalLen < headerLen) return ~Drop.ip_inhdr;
    return totalLen;
  }

  /** The prefix of its destination, or ~reason. */
  #datagram(ip: number): number {
    const u8 = this.#u8;
    const i32 = this.#i32;
    const prefix = this.#owner(i32[(ip >> 2) + 4]);
    if (prefix < 0) return prefix === INVALID ? ~Drop.ip_invalid_dest : ~Drop.not_our_prefix;
    if (this.#owner(i32[(ip >> 2) + 3]) !== NOBODY) return ~Drop.martian_source;
    // More-fragments and the offset, all but the upper two bits of the word at 6.
    if ((u8[ip + 6] & 0x3f) !== 0 || u8[ip + 7] !== 0) return ~Drop.ip_fragment;
    if ((u8[ip] & 15) !== 5) return ~Drop.ip_options;
    return prefix;
  }

  /** The protocol of the reply that it was turned into, or ~reason. */
  #message(ip: number, totalLen: number): number {
    const u8 = this.#u8;
    const i32 = this.#i32;
    if (u8[ip + 9] !== ICMP) return ~Drop.unhandled_proto;
    const msg = ip + 20;
    if (totalLen < 28) return ~Drop.pkt_too_small;
    if (this.#sum(msg, totalLen - 20) !== 0xffff) return ~Drop.icmp_csum;
    if (u8[msg] !== ECHO) return ~Drop.unhandled_icmp_type;
    if (i32[IGNORE_ECHO >> 2] !== 0) return ~Drop.icmp_echo_ignored;

    const word = ip >> 2;
    const src = i32[word + 3];
    i32[word + 3] = i32[word + 4];
    i32[word + 4] = src;
    const u16 = this.#u16;
    const half = ip >> 1;
    // A TTL and a type are the lower bytes of their words.
    const ttlFrom = u16[half + 4];
    const ttlTo = ttlFrom & 0xff00 | i32[REPLY_TTL >> 2];
    u16[half + 4] = ttlTo;
    u16[half + 5] = update(u16[half + 5], ttlFrom, ttlTo);
    const typeFrom = u16[half + 10];
    const typeTo = typeFrom & 0xff00 | ECHO_REPLY;
    u16[half + 10] = typeTo;
    // 0 would be wrong in a message of nothing but zeros, and 0xffff is right in any: assembly/wire/icmp.ts.
    u16[half + 11] = update(u16[half + 11], typeFrom, typeTo) || 0xffff;
    return Protocol.icmp;
  }

  /** The prefix of an address that was read in memory order: the last interval that starts at or before it. */
  #owner(addr: number): number {
    const u32 = this.#u32;
    const value = ((addr & 0xff) << 24 | (addr & 0xff00) << 8 | addr >>> 8 & 0xff00 | addr >>> 24) >>> 0;
    let at = INTERVAL_STARTS >> 2;
    for (let count = u32[INTERVAL_COUNT >> 2]; count > 1;) {
      const half = count >> 1;
      if (u32[at + half] <= value) at += half;
      count -= half;
    }
    return this.#i32[at + ((INTERVAL_OWNERS - INTERVAL_STARTS) >> 2)];
  }

  /**
   * One's complement sum (RFC 1071) of `len` bytes at `p`, a multiple of 4: folded to 16 bits, in memory order.
   *
   * Two 16-bit words a load. `all` wraps modulo 2^32 and so does no harm: the upper words are summed apart, exactly, as
   * they stay under 2^31 for a packet's length, and what is left of `all` without them is the sum of the lower words.
   */
  #sum(p: number, len: number): number {
    const i32 = this.#i32;
    let at = p >> 2;
    const end = at + (len >> 2);
    let all = 0;
    let upper = 0;
    for (const wide = end - 3; at < wide; at += 4) {
      const a = i32[at];
      const b = i32[at + 1];
      const c = i32[at + 2];
      const d = i32[at + 3];
      all = all + a + b + c + d | 0;
      upper = upper + (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16) | 0;
    }
    for (; at < end; at++) {
      const a = i32[at];
      all = all + a | 0;
      upper = upper + (a >>> 16) | 0;
    }
    let sum = (all - (upper << 16) >>> 0) + upper;
    if (len & 2) sum += this.#u16[at << 1];
    if (len & 1) sum += this.#u8[p + len - 1];
    sum = (sum & 0xffff) + (sum >>> 16);
    return (sum & 0xffff) + (sum >>> 16);
  }
}

/** RFC 1624 §3, equation 3; see assembly/checksum.ts. */
function update(checksum: number, from: number, to: number): number {
  let sum = (~checksum & 0xffff) + (~from & 0xffff) + to;
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
}
