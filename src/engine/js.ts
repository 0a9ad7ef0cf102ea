import { FREE_COUNT, MODE, Mode, NEXT_TABLE, QUEUED, WALL } from "../../abi/control.js";
import {
  BATCH_SIZES, Counter, COUNTERS, Drop, DROPPED, PREFIX_REPLIES, Protocol, REPLIES,
} from "../../abi/counters.js";
import { MIN_PATH_MTU } from "../../abi/paths.js";
import { FREE } from "../../abi/pool.js";
import { RECEIVED, SLOT_ALIGN, TO_SEND } from "../../abi/slots.js";
import {
  ANSWER_ECHO, ANSWER_TIMESTAMP, FIRST_NODE, FIRST_PREFIX, HOST, HOST6, HOST6_OWNER, HOST_OWNER, INVALID, LIMIT_PREFIX,
  LIMIT_SOURCE, NOBODY, PREFIX_ANSWERS, TRIE, TRIE6,
} from "../../abi/tables.js";
import type { Engine } from "./contract.js";
import { createEthernet } from "./js/ethernet.js";
import { createLimiter } from "./js/limit.js";

// Indices into the views, in words unless named otherwise. They are defined anew because V8 loads an imported constant
// at every use, while a constant of this module becomes part of the code.
const RECEIVED_WORDS = RECEIVED / 4;
const TO_SEND_WORDS = TO_SEND / 4;
const FREE_WORDS = FREE / 4;
const FREE_COUNT_WORD = FREE_COUNT / 4;
const SLOT_MASK = -SLOT_ALIGN;
const NEXT_TABLE_WORD = NEXT_TABLE / 4;
const QUEUED_WORD = QUEUED / 4;
const WALL_WORD = WALL / 4;
const HOST_WORD = HOST / 4;
const HOST_OWNER_WORD = HOST_OWNER / 4;
const HOST6_WORD = HOST6 / 4;
const HOST6_OWNER_WORD = HOST6_OWNER / 4;
const MODE_WORD = MODE / 4;
const TUN = Mode.tun as number;
const TRIE_WORDS = TRIE / 4;
const TRIE6_WORDS = TRIE6 / 4;
const ANSWERS_WORDS = PREFIX_ANSWERS / 4 - FIRST_PREFIX;
const ECHOES = ANSWER_ECHO;
/** Bits of an answers word. If only ANSWER_ECHO of them is set, an address answers echo without a limit. */
const PLAINLY = ANSWER_ECHO | LIMIT_PREFIX | LIMIT_SOURCE;
const FIRST = FIRST_NODE;
const DROPPED_COUNTERS = DROPPED;
const ICMP_REPLIES_COUNTER = REPLIES + Protocol.icmp;
const ICMPV6_REPLIES_COUNTER = REPLIES + Protocol.icmpv6;
const OWNER_REPLIES_COUNTERS = PREFIX_REPLIES - FIRST_PREFIX;
const FIRST_OWNER = FIRST_PREFIX;
const NO_PREFIX = NOBODY;
const NO_HOST = INVALID;

const ECHO_REPLY = 0;
const ECHO = 8;
/** See assembly/wire/icmp.ts. */
const TURNS_ZERO = 0xfff7;
const TIMESTAMP = 13;
const TIMESTAMP_REPLY = 14;
const NS_PER_MS = 1_000_000;
const MS_PER_DAY = 86_400_000;
const ICMP = 1;
const TCP = 6;
/**
 * Masks of the header's second word, in memory order: more-fragments flag and fragment offset; the flag that must be
 * zero; don't-fragment. FRAGMENT_OR_RESERVED has the first two.
 */
const MF_AND_OFFSET = 0xff3f0000 | 0;
const RESERVED = 0x00800000;
const DONT_FRAGMENT = 0x00400000;
const PATH_MTU_FLOOR = MIN_PATH_MTU;
const FRAGMENT_OR_RESERVED = MF_AND_OFFSET | RESERVED;

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const ICMPV6 = 58;
const DESTINATION = 60;
const ECHO_REQUEST6 = 128;
const ECHO_REPLY6 = 129;

/**
 * The engine in JavaScript. It has the steps and the counters of assembly/, written as V8 runs them fastest.
 *
 * Views over one memory replace pointers: a slot is a multiple of 64, so `slot >> 2` is its first word. A header is
 * loaded once, as words in memory order, and its fields are taken from these. Byte n of a word is `word >>> 8 * n &
 * 0xff`. Sums do not depend on the order.
 *
 * It consists of closures over the views, without a class. A thread makes one engine, and V8 treats what a function
 * that exists once closes over as constants, including address and length of a view.
 */
export function createJsEngine({ buffer }: WebAssembly.Memory): Engine {
  const u8 = new Uint8Array(buffer);
  const u16 = new Uint16Array(buffer);
  const i32 = new Int32Array(buffer);
  const counters = new Float64Array(buffer, COUNTERS);
  const ethernet = createEthernet({ u8, i32, counters, owner, owner6, sum, holds, fold });
  const limiter = createLimiter(buffer);

  /** See assembly/batch.ts. */
  function respond(count: number): number {
    const table = Atomics.load(i32, NEXT_TABLE_WORD) >> 2;
    if (count > 0) {
      counters[Counter.packetsReceived] += count;
      counters[BATCH_SIZES + 32 - Math.clz32(count - 1)]++;
    }
    if (i32[MODE_WORD] === TUN) return input(count, 0, table);
    const packets = ethernet.unwrap(count, table);
    const answered = i32[QUEUED_WORD];
    const replies = input(packets, answered, table);
    ethernet.wrap(answered, replies);
    return replies;
  }

  /**
   * See assembly/input.ts. `table` is the word index of this batch's table. It is passed as an argument so that V8
   * keeps it in a register.
   */
  function input(count: number, answered: number, table: number): number {
    let replies = answered;
    let rest = 0;
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const ip = i32[RECEIVED_WORDS + 2 * i];
      const length = i32[RECEIVED_WORDS + 2 * i + 1];
      bytes += length;
      const replyLen = echo(ip, length, table);
      if (replyLen > 0) {
        i32[TO_SEND_WORDS + 2 * replies] = ip;
        i32[TO_SEND_WORDS + 2 * replies + 1] = replyLen;
        replies++;
      } else {
        i32[RECEIVED_WORDS + 2 * rest] = ip;
        i32[RECEIVED_WORDS + 2 * rest + 1] = length;
        rest++;
      }
    }
    counters[Counter.bytesReceived] += bytes;
    return rest > 0 ? judge(rest, replies, table) : replies;
  }

  /**
   * The fast path: turns a plain IPv4 echo request into its reply and returns the reply's length; 0 for anything else.
   */
  function echo(ip: number, length: number, table: number): number {
    if (length < 28) return 0;
    const at = ip >> 2;
    const word0 = i32[at];
    const fragmentWord = i32[at + 1];
    const ttlWord = i32[at + 2];
    const src = i32[at + 3];
    const dst = i32[at + 4];
    const typeWord = i32[at + 5];
    const totalLen = word0 >>> 8 & 0xff00 | word0 >>> 24;
    if ((word0 & 0xff) !== 0x45 || !holds(sum5(word0, fragmentWord, ttlWord, src, dst)) || totalLen > length
      || totalLen < 28) return 0;
    const prefix = owner(dst, table);
    if (prefix < FIRST_OWNER || owner(src, table) !== NO_PREFIX) return 0;
    if ((fragmentWord & FRAGMENT_OR_RESERVED) !== 0 || (ttlWord >>> 8 & 0xff) !== ICMP || (typeWord & 0xff) !== ECHO
      || typeWord >>> 16 === TURNS_ZERO) return 0;
    const answers = i32[table + ANSWERS_WORDS + prefix];
    if ((answers & PLAINLY) !== ECHOES || !holds(sum(ip + 20, totalLen - 20))) return 0;

    // TTL and type are the lower bytes of their words, the checksums the upper halves.
    i32[at + 3] = dst;
    i32[at + 4] = src;
    const ttl = answers & 0xff;
    i32[at + 2] = update(ttlWord >>> 16, ttlWord & 0xff, ttl) << 16 | ttlWord & 0xff00 | ttl;
    if (totalLen > PATH_MTU_FLOOR) allowFragments(at);
    i32[at + 5] = update(typeWord >>> 16, ECHO, ECHO_REPLY) << 16 | typeWord & 0xff00 | ECHO_REPLY;
    counters[ICMP_REPLIES_COUNTER]++;
    counters[OWNER_REPLIES_COUNTERS + prefix]++;
    return totalLen;
  }

  /** The slow path; see assembly/judge.ts. */
  function judge(count: number, replies: number, table: number): number {
    let queued = replies;
    for (let i = 0; i < count; i++) {
      const ip = i32[RECEIVED_WORDS + 2 * i];
      const length = i32[RECEIVED_WORDS + 2 * i + 1];
      const verdict = (u8[ip] & 0xf0) === 0x60 ? ipv6Input(ip, length, table) : ipv4Input(ip, length, table);
      if (verdict > 0) {
        i32[TO_SEND_WORDS + 2 * queued] = ip;
        i32[TO_SEND_WORDS + 2 * queued + 1] = verdict;
        queued++;
      } else {
        counters[DROPPED_COUNTERS + ~verdict]++;
        i32[FREE_WORDS + i32[FREE_COUNT_WORD]++] = ip & SLOT_MASK;
      }
    }
    i32[QUEUED_WORD] = queued;
    return queued;
  }

  /** Turns a packet into its reply and returns the reply's length, or ~reason; see assembly/judge/ipv4.ts. */
  function ipv4Input(ip: number, length: number, table: number): number {
    if (length < 20) return ~Drop.ip_inhdr;
    const at = ip >> 2;
    const word0 = i32[at];
    const headerLen = (word0 & 15) << 2;
    if ((word0 & 0xf0) !== 0x40) return ~Drop.ip_inhdr;
    if (headerLen < 20 || headerLen > length) return ~Drop.ip_inhdr;
    if (!holds(sum(ip, headerLen))) return ~Drop.ip_csum;
    const totalLen = word0 >>> 8 & 0xff00 | word0 >>> 24;
    if (totalLen > length) return ~Drop.pkt_too_small;
    if (totalLen < headerLen) return ~Drop.ip_inhdr;

    const src = i32[at + 3];
    const dst = i32[at + 4];
    const prefix = owner(dst, table);
    if (prefix < FIRST_OWNER) return prefix === NO_HOST ? ~Drop.ip_invalid_dest : ~Drop.not_our_prefix;
    if (owner(src, table) !== NO_PREFIX) return ~Drop.martian_source;
    if (headerLen !== 20) return ~Drop.ip_options;
    if ((i32[at + 1] & MF_AND_OFFSET) !== 0) return ~Drop.ip_fragment;

    const protocol = i32[at + 2] >>> 8 & 0xff;
    if (protocol !== ICMP) return protocol === TCP ? ~Drop.no_socket : ~Drop.unhandled_proto;
    if (totalLen < 28) return ~Drop.pkt_too_small;
    if (!holds(sum(ip + 20, totalLen - 20))) return ~Drop.icmp_csum;
    const typeWord = i32[at + 5];
    const answers = i32[table + ANSWERS_WORDS + prefix];
    switch (typeWord & 0xff) {
      case ECHO:
        if ((answers & ANSWER_ECHO) === 0) return ~Drop.icmp_echo_ignored;
        if (!limiter.permits(answers, table, prefix, 6, src & 0xffffff)) return ~Drop.rate_limited;
        // This repeats echo(), which would be slower if it called code shared by both.
        i32[at + 5] = (update(typeWord >>> 16, ECHO, ECHO_REPLY) || zeroChecksum(at, totalLen)) << 16
          | typeWord & 0xff00 | ECHO_REPLY;
        reply(at, answers & 0xff, prefix, totalLen);
        if (totalLen > PATH_MTU_FLOOR) allowFragments(at);
        return totalLen;
      case TIMESTAMP:
        if (totalLen < 40) return ~Drop.pkt_too_small;
        if ((answers & ANSWER_TIMESTAMP) === 0) return ~Drop.icmp_timestamp_ignored;
        if (!limiter.permits(answers, table, prefix, 6, src & 0xffffff)) return ~Drop.rate_limited;
        timestamp(at);
        return reply(at, answers & 0xff, prefix, 40);
      default:
        return ~Drop.unhandled_icmp_type;
    }
  }

  /** Writes the header of a reply of `length` bytes, and counts the reply. */
  function reply(at: number, ttl: number, prefix: number, length: number): number {
    const word0 = i32[at];
    const fragmentWord = i32[at + 1];
    const ttlWord = i32[at + 2];
    const src = i32[at + 3];
    const lengthWord = swap(length);
    let checksum = update(ttlWord >>> 16, ttlWord & 0xff, ttl);
    checksum = update(checksum, word0 >>> 16, lengthWord >>> 16);
    checksum = update(checksum, fragmentWord >>> 16, (fragmentWord & ~RESERVED) >>> 16);
    i32[at] = word0 & 0xffff | lengthWord;
    i32[at + 1] = fragmentWord & ~RESERVED;
    i32[at + 2] = checksum << 16 | ttlWord & 0xff00 | ttl;
    i32[at + 3] = i32[at + 4];
    i32[at + 4] = src;
    counters[ICMP_REPLIES_COUNTER]++;
    counters[OWNER_REPLIES_COUNTERS + prefix]++;
    return length;
  }

  /**
   * Returns the checksum of an echo reply whose update is 0. Its request lies at `at`. See
   * assembly/wire/icmp.ts, mendZeros.
   */
  function zeroChecksum(at: number, totalLen: number): number {
    return (i32[at + 5] & 0xff00) === 0 && sum((at << 2) + 24, totalLen - 24) === 0 ? 0xffff : 0;
  }

  /** See assembly/wire/ipv4.ts. */
  function allowFragments(at: number): void {
    const from = i32[at + 1];
    if ((from & DONT_FRAGMENT) === 0) return;
    const echo = i32[at + 6];
    const id = from & 0xffff || (echo ^ echo >>> 16) & 0xffff;
    const ttlWord = i32[at + 2];
    i32[at + 1] = (from & 0xffff0000 ^ DONT_FRAGMENT) | id;
    i32[at + 2] = update(update(ttlWord >>> 16, DONT_FRAGMENT >>> 16, 0), from & 0xffff, id) << 16 | ttlWord & 0xffff;
  }

  /** Writes the reply's message; see assembly/respond/timestamp.ts. */
  function timestamp(at: number): void {
    const ms = swap(sinceMidnight());
    const id = i32[at + 6];
    const originate = i32[at + 7];
    i32[at + 8] = ms;
    i32[at + 9] = ms;
    const sum = fold(sum5(TIMESTAMP_REPLY, id, originate, ms, ms));
    i32[at + 5] = (sum ^ 0xffff) << 16 | TIMESTAMP_REPLY;
  }

  /** Returns the milliseconds since midnight UTC. WALL has more bits than a number, so it is divided in two steps. */
  function sinceMidnight(): number {
    const high = i32[WALL_WORD + 1] >>> 0;
    const rest = high % NS_PER_MS * 2 ** 32 + (i32[WALL_WORD] >>> 0);
    return (Math.floor(high / NS_PER_MS) * 2 ** 32 + Math.floor(rest / NS_PER_MS)) % MS_PER_DAY;
  }

  /** Judges an IPv6 packet as ipv4Input() does, without extension headers; see assembly/judge/ipv6.ts. */
  function ipv6Input(ip: number, length: number, table: number): number {
    if (length < 40) return ~Drop.ip_inhdr;
    const at = ip >> 2;
    const word1 = i32[at + 1];
    const payloadLen = word1 << 8 & 0xff00 | word1 >>> 8 & 0xff;
    if (40 + payloadLen > length) return ~Drop.pkt_too_small;
    const prefix = owner6(ip + 24, table);
    if (prefix < FIRST_OWNER) return prefix === NO_HOST ? ~Drop.ip_invalid_dest : ~Drop.not_our_prefix;
    if (owner6(ip + 8, table) !== NO_PREFIX) return ~Drop.martian_source;
    switch (word1 >>> 16 & 0xff) {
      case ICMPV6: break;
      case TCP: return ~Drop.no_socket;
      case FRAGMENT: return ~Drop.ip_fragment;
      case HOP_BY_HOP: case ROUTING: case DESTINATION: return ~Drop.ip_options;
      default: return ~Drop.unhandled_proto;
    }
    if (payloadLen < 8) return ~Drop.pkt_too_small;
    // The addresses lie before the message. The rest of the pseudo-header is the message's length and the next header.
    if (!holds(sum(ip + 8, 32 + payloadLen) + (word1 & 0xffff) + (ICMPV6 << 8))) return ~Drop.icmp_csum;
    const typeWord = i32[at + 10];
    if ((typeWord & 0xff) !== ECHO_REQUEST6) return ~Drop.unhandled_icmp_type;
    const answers = i32[table + ANSWERS_WORDS + prefix];
    if ((answers & ANSWER_ECHO) === 0) return ~Drop.icmp_echo_ignored;
    if (!limiter.permits(answers, table, prefix, i32[at + 2], i32[at + 3] & 0xffffff)) return ~Drop.rate_limited;

    for (let word = at + 2; word < at + 6; word++) {
      const src = i32[word];
      i32[word] = i32[word + 4];
      i32[word + 4] = src;
    }
    i32[at + 1] = word1 & 0xffffff | answers << 24;
    i32[at + 10] = update(typeWord >>> 16, ECHO_REQUEST6, ECHO_REPLY6) << 16 | typeWord & 0xff00 | ECHO_REPLY6;
    counters[ICMPV6_REPLIES_COUNTER]++;
    counters[OWNER_REPLIES_COUNTERS + prefix]++;
    return 40 + payloadLen;
  }

  /** Returns the owner of an address that was read in memory order; see assembly/prefix.ts. */
  function owner(addr: number, table: number): number {
    if (addr === i32[table + HOST_WORD]) return i32[table + HOST_OWNER_WORD];
    let entry = i32[table + TRIE_WORDS + (addr & 0xffff)];
    if (entry >= FIRST) {
      entry = i32[(entry >> 2) + (addr >>> 16 & 0xff)];
      if (entry >= FIRST) entry = i32[(entry >> 2) + (addr >>> 24)];
    }
    return entry;
  }

  /** Returns the owner of the IPv6 address at `addr`. */
  function owner6(addr: number, table: number): number {
    const at = addr >> 2;
    const host = table + HOST6_WORD;
    const own = i32[at + 3] === i32[host + 3] && i32[at + 2] === i32[host + 2] && i32[at + 1] === i32[host + 1]
      && i32[at] === i32[host];
    if (own) return i32[table + HOST6_OWNER_WORD];
    let entry = i32[table + TRIE6_WORDS + u16[addr >> 1]];
    for (let next = addr + 2; entry >= FIRST; next++) {
      const byte = u8[next];
      entry = i32[(entry >> 2) + (byte >>> 4)];
      if (entry >= FIRST) entry = i32[(entry >> 2) + (byte & 15)];
    }
    return entry;
  }

  /**
   * Returns the one's complement sum (RFC 1071) of `len` bytes at `p`, a multiple of 4: in memory
   * order, unfolded, under 2^31.
   *
   * Each load brings two 16-bit words. `all` wraps modulo 2^32, which does no harm. `upper` is the exact sum of the
   * upper words and stays under 2^31 for a packet's length. `all` without them is the sum of the lower words.
   */
  function sum(p: number, len: number): number {
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
    let lower = all - (upper << 16) | 0;
    if (len & 2) lower += u16[at << 1];
    if (len & 1) lower += u8[p + len - 1];
    return lower + upper;
  }

  return { respond };
}

/** Sums five words as sum() does: a header without options. */
function sum5(a: number, b: number, c: number, d: number, e: number): number {
  const upper = (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16) + (e >>> 16) | 0;
  return (a + b + c + d + e - (upper << 16) | 0) + upper | 0;
}

/** Returns whether the sum folds to 0xffff; see assembly/checksum.ts, which has 64 bits for it. */
function holds(sum: number): boolean {
  return Math.imul(sum, 0xfffeffff) - 1 >>> 0 < 0x10001;
}

/** RFC 1624 §3, equation 3; see assembly/checksum.ts. */
function update(checksum: number, from: number, to: number): number {
  return fold((checksum ^ 0xffff) + (from ^ 0xffff) + to) ^ 0xffff;
}

/** Returns a word with its bytes in reverse order. */
function swap(word: number): number {
  return word << 24 | (word & 0xff00) << 8 | word >>> 8 & 0xff00 | word >>> 24;
}

/** Adds the halves of a word with the end-around carry; see assembly/checksum.ts. */
function fold(sum: number): number {
  return sum + (sum << 16 | sum >>> 16) >>> 16;
}
