import { FRAME_OFFSET, FREE_COUNT, MAC, MAC_POLICY, MacPolicy, QUEUED } from "../../../abi/control.js";
import { Counter, Drop, DROPPED, PREFIX_REPLIES, Protocol, REPLIES } from "../../../abi/counters.js";
import { FREE, RECEIVED, SLOT_ALIGN, TO_SEND } from "../../../abi/slots.js";
import { FIRST_PREFIX, INVALID, NOBODY } from "../../../abi/tables.js";

// Indices into the views; js.ts says why they are here.
const RECEIVED_WORDS = RECEIVED / 4;
const TO_SEND_WORDS = TO_SEND / 4;
const FREE_WORDS = FREE / 4;
const FREE_COUNT_WORD = FREE_COUNT / 4;
const QUEUED_WORD = QUEUED / 4;
const FRAME_OFFSET_WORD = FRAME_OFFSET / 4;
const MAC_POLICY_WORD = MAC_POLICY / 4;
/** Its upper half is where the address begins. */
const MAC_WORD = MAC >> 2;
const SHARED = MacPolicy.shared as number;
const DROPPED_COUNTERS = DROPPED;
const ARP_REPLIES_COUNTER = REPLIES + Protocol.arp;
const NDISC_REPLIES_COUNTER = REPLIES + Protocol.ndisc;
const OWNER_REPLIES_COUNTERS = PREFIX_REPLIES - FIRST_PREFIX;
const FIRST_OWNER = FIRST_PREFIX;
const NO_PREFIX = NOBODY;
const NO_HOST = INVALID;

// EtherTypes in memory order.
const IPV4 = 0x0008;
const ARP = 0x0608;
const IPV6 = 0xdd86;
const CUSTOMER_TAG = 0x0081;
const SERVICE_TAG = 0xa888;
const MOST_TAGS = 2;
/** Of a tag's word, which ends with the next EtherType. */
const VLAN_ID = 0xff0f;
const HEADER_LEN = 14;

// An ARP packet's first two words: Ethernet, IPv4; lengths 6 and 4, opcode.
const ETHERNET_IPV4 = 0x00080100;
const IEEE802_IPV4 = 0x00080600;
const REQUEST = 0x01000406;
const REPLY = 0x02000406;
const ARP_LEN = 28;

const IPV6_HEADER_LEN = 40;
const ICMPV6 = 58;
const HOP_LIMIT = 255;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const SOLICITED = 0x40;
const SOURCE_LINK_ADDRESS = 1;
/** An option's type and length, with a target link-layer address. */
const TARGET_OPTION = 0x0102;
const NDP_LEN = 24;
const OPTION_LEN = 8;

/** What js.ts has. */
export interface Core {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly counters: Float64Array;
  readonly owner: (addr: number, table: number) => number;
  readonly owner6: (addr: number, table: number) => number;
  readonly sum: (p: number, len: number) => number;
  readonly holds: (sum: number) => boolean;
  readonly fold: (sum: number) => number;
}

export interface Ethernet {
  /** `table`: that of this batch, as a word's index. */
  unwrap(count: number, table: number): number;
  wrap(first: number, end: number): void;
}

/**
 * TAP mode; see assembly/ethernet.ts. The words of a frame, `at` being its slot's first one: a MAC address is the upper half of a
 * word and the next word, or a word and the lower half of the next.
 */
export function createEthernet({ u8, i32, counters, owner, owner6, sum, holds, fold }: Core): Ethernet {
  function unwrap(count: number, table: number): number {
    i32[QUEUED_WORD] = 0;
    let packets = 0;
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const frame = i32[RECEIVED_WORDS + 2 * i];
      const length = i32[RECEIVED_WORDS + 2 * i + 1];
      const verdict = judge(frame, length, table);
      if (verdict > 0) {
        i32[RECEIVED_WORDS + 2 * packets] = frame + verdict;
        i32[RECEIVED_WORDS + 2 * packets + 1] = length - verdict;
        packets++;
        bytes += verdict;
      } else {
        if (verdict < 0) {
          i32[FREE_WORDS + i32[FREE_COUNT_WORD]++] = frame & -SLOT_ALIGN;
          counters[DROPPED_COUNTERS + ~verdict]++;
        }
        bytes += length;
      }
    }
    counters[Counter.bytesReceived] += bytes;
    return packets;
  }

  function wrap(first: number, end: number): void {
    const offset = i32[FRAME_OFFSET_WORD];
    for (let i = first; i < end; i++) {
      const packet = i32[TO_SEND_WORDS + 2 * i];
      const frame = (packet & -SLOT_ALIGN) + offset;
      i32[TO_SEND_WORDS + 2 * i] = frame;
      i32[TO_SEND_WORDS + 2 * i + 1] += packet - frame;
    }
  }

  function judge(frame: number, length: number, table: number): number {
    if (length < HEADER_LEN) return ~Drop.pkt_too_small;
    const at = frame >> 2;
    let type = i32[at + 3] >>> 16;
    let tags = 0;
    let reserved = false;
    while (tags < MOST_TAGS && (type === CUSTOMER_TAG || type === SERVICE_TAG)) {
      tags++;
      if (length < HEADER_LEN + 4 * tags) return ~Drop.pkt_too_small;
      reserved ||= (i32[at + 3 + tags] & VLAN_ID) === VLAN_ID;
      type = i32[at + 3 + tags] >>> 16;
    }
    if (reserved) return ~Drop.vlan_reserved;
    if (!isStation(i32[at + 2], i32[at + 3])) return ~Drop.mac_invalid_source;
    const headerLen = HEADER_LEN + 4 * tags;
    const ip = at + 4 + tags;
    if (type === IPV4) {
      if (length < headerLen + 20 || (i32[ip] & 0xf0) !== 0x40) return ~Drop.ip_inhdr;
      const dst = i32[ip + 4];
      return packet(at, headerLen, macStart(), macRest(dst), owner(dst, table));
    }
    if (type === IPV6) {
      if (length < headerLen + IPV6_HEADER_LEN || (i32[ip] & 0xf0) !== 0x60) return ~Drop.ip_inhdr;
      const solicitation = length > headerLen + IPV6_HEADER_LEN && (i32[ip + 1] >>> 16 & 0xff) === ICMPV6 && (i32[ip + 10] & 0xff) === SOLICITATION;
      if (solicitation) return neighbor(frame, headerLen, length, table);
      return packet(at, headerLen, macStart6(), macRest6(ip + 6), owner6(frame + headerLen + 24, table));
    }
    return type === ARP ? arp(frame, headerLen, length, table) : ~Drop.unhandled_proto;
  }

  function packet(at: number, headerLen: number, start: number, rest: number, owner: number): number {
    const word0 = i32[at];
    if (isGroup(word0)) return owner === NO_HOST ? ~Drop.ip_invalid_dest : ~Drop.unicast_in_l2_multicast;
    if (word0 >>> 16 !== start || i32[at + 1] !== rest) return ~Drop.otherhost;
    if (!isPeer(i32[at + 2], i32[at + 3], start, rest)) return ~Drop.mac_invalid_source;
    setMacs(at, i32[at + 2], i32[at + 3], start, rest);
    return headerLen;
  }

  /** See assembly/respond/arp.ts. */
  function arp(frame: number, headerLen: number, length: number, table: number): number {
    if (length < headerLen + ARP_LEN) return ~Drop.pkt_too_small;
    const at = frame >> 2;
    const p = frame + headerLen >> 2;
    if ((i32[p] !== ETHERNET_IPV4 && i32[p] !== IEEE802_IPV4) || i32[p + 1] !== REQUEST) return ~Drop.arp_invalid;
    const senderStart = i32[p + 2];
    const senderEnd = i32[p + 3];
    if (!isStation(senderStart, senderEnd)) return ~Drop.mac_invalid_source;
    const sender = senderEnd >>> 16 | i32[p + 4] << 16;
    const target = i32[p + 6];
    if (sender === 0) return ~Drop.arp_probe;
    if (owner(sender, table) !== NO_PREFIX) return ~Drop.martian_source;
    if (sender === target) return ~Drop.arp_announcement;
    const prefix = owner(target, table);
    if (prefix < FIRST_OWNER) return prefix === NO_HOST ? ~Drop.ip_invalid_dest : ~Drop.not_our_prefix;
    const start = macStart();
    const rest = macRest(target);
    const word0 = i32[at] >>> 16;
    if (!(word0 === 0xffff && i32[at + 1] === -1) && (word0 !== start || i32[at + 1] !== rest)) return ~Drop.otherhost;
    if (!isPeer(i32[at + 2], i32[at + 3], start, rest) || !isPeer(senderStart, senderEnd, start, rest)) return ~Drop.mac_invalid_source;

    setMacs(at, senderStart, senderEnd, start, rest);
    i32[p] = ETHERNET_IPV4;
    i32[p + 1] = REPLY;
    i32[p + 2] = start | rest << 16;
    i32[p + 3] = rest >>> 16 | target << 16;
    i32[p + 4] = target >>> 16 | senderStart << 16;
    i32[p + 5] = senderStart >>> 16 | senderEnd << 16;
    i32[p + 6] = sender;
    counters[ARP_REPLIES_COUNTER]++;
    counters[OWNER_REPLIES_COUNTERS + prefix]++;
    queue(frame, headerLen + ARP_LEN);
    return 0;
  }

  /** See assembly/respond/neighbor.ts. */
  function neighbor(frame: number, headerLen: number, length: number, table: number): number {
    const at = frame >> 2;
    const ip = frame + headerLen >> 2;
    const word1 = i32[ip + 1];
    const msgLen = (word1 & 0xff) << 8 | word1 >>> 8 & 0xff;
    if (msgLen < NDP_LEN || msgLen > length - headerLen - IPV6_HEADER_LEN) return ~Drop.pkt_too_small;
    const msg = ip + 10;
    if (word1 >>> 24 !== HOP_LIMIT) return ~Drop.ipv6_ndisc_hop_limit;
    if (!holds(pseudoSum(ip, msgLen) + sum(msg << 2, msgLen))) return ~Drop.icmp_csum;
    if ((i32[msg] & 0xff00) !== 0) return ~Drop.ipv6_ndisc_bad_code;

    let source = 0;
    for (let option = (msg << 2) + NDP_LEN, end = (msg << 2) + msgLen; option < end;) {
      const optionLen = option + 2 > end ? 0 : u8[option + 1] << 3;
      if (optionLen === 0 || option + optionLen > end) return ~Drop.ipv6_ndisc_bad_options;
      if (u8[option] === SOURCE_LINK_ADDRESS) {
        if (optionLen !== OPTION_LEN) return ~Drop.ipv6_ndisc_bad_options;
        source = option >> 2;
      }
      option += optionLen;
    }
    const src = ip + 2;
    const dst = ip + 6;
    const target = msg + 2;
    const multicast = (i32[dst] & 0xff) === 0xff;
    if (multicast ? !isSolicitedNode(dst, target) : !isSame(dst, target)) return ~Drop.ipv6_ndisc_ns_otherhost;
    const unspecified = (i32[src] | i32[src + 1] | i32[src + 2] | i32[src + 3]) === 0;
    if (multicast && unspecified && source !== 0) return ~Drop.ipv6_ndisc_bad_options;
    if (multicast && unspecified) return ~Drop.ndisc_probe;
    if (owner6(src << 2, table) !== NO_PREFIX) return ~Drop.martian_source;
    const prefix = owner6(target << 2, table);
    if (prefix < FIRST_OWNER) return prefix === NO_HOST ? ~Drop.ip_invalid_dest : ~Drop.not_our_prefix;
    const start = macStart6();
    const rest = macRest6(target);
    const own = i32[at] >>> 16 === start && i32[at + 1] === rest;
    if (!own && !(multicast && i32[at] >>> 16 === 0x3333 && i32[at + 1] === i32[dst + 3])) return ~Drop.otherhost;
    const to = source === 0 ? i32[at + 2] : i32[source] >>> 16 | i32[source + 1] << 16;
    const toEnd = source === 0 ? i32[at + 3] : i32[source + 1] >>> 16;
    if (!isPeer(i32[at + 2], i32[at + 3], start, rest) || !isPeer(to, toEnd, start, rest)) return ~Drop.mac_invalid_source;

    setMacs(at, to, toEnd, start, rest);
    const option = multicast || source !== 0;
    const replyLen = option ? NDP_LEN + OPTION_LEN : NDP_LEN;
    i32[ip] = 0x60;
    i32[ip + 1] = HOP_LIMIT << 24 | ICMPV6 << 16 | replyLen << 8;
    for (let i = 0; i < 4; i++) {
      i32[dst + i] = i32[src + i];
      i32[src + i] = i32[target + i];
    }
    i32[msg] = ADVERTISEMENT;
    i32[msg + 1] = SOLICITED;
    if (option) {
      i32[msg + 6] = start << 16 | TARGET_OPTION;
      i32[msg + 7] = rest;
    }
    i32[msg] |= (fold(pseudoSum(ip, replyLen) + sum(msg << 2, replyLen)) ^ 0xffff) << 16;
    counters[NDISC_REPLIES_COUNTER]++;
    counters[OWNER_REPLIES_COUNTERS + prefix]++;
    queue(frame, headerLen + IPV6_HEADER_LEN + replyLen);
    return 0;
  }

  /** Of the addresses, the length, and ICMPv6, in memory order. */
  function pseudoSum(ip: number, msgLen: number): number {
    return sum((ip << 2) + 8, 32) + ((msgLen & 0xff) << 8 | msgLen >>> 8) + (ICMPV6 << 8);
  }

  function isSolicitedNode(addr: number, target: number): boolean {
    return i32[addr] === 0x2ff && i32[addr + 1] === 0 && i32[addr + 2] === 0x01000000 && i32[addr + 3] === (i32[target + 3] | 0xff);
  }

  function isSame(addr: number, other: number): boolean {
    return i32[addr] === i32[other] && i32[addr + 1] === i32[other + 1] && i32[addr + 2] === i32[other + 2] && i32[addr + 3] === i32[other + 3];
  }

  function queue(frame: number, length: number): void {
    const index = i32[QUEUED_WORD]++;
    i32[TO_SEND_WORDS + 2 * index] = frame;
    i32[TO_SEND_WORDS + 2 * index + 1] = length;
  }

  /** Sends a frame to the address whose parts are a word and the lower half of the next one, from the one whose parts are `start` and `rest`. */
  function setMacs(at: number, to: number, toEnd: number, start: number, rest: number): void {
    i32[at] = i32[at] & 0xffff | to << 16;
    i32[at + 1] = to >>> 16 | toEnd << 16;
    i32[at + 2] = start | rest << 16;
    i32[at + 3] = i32[at + 3] & 0xffff0000 | rest >>> 16;
  }

  // See assembly/mac.ts: the first two bytes, and the others.

  function macStart(): number {
    return i32[MAC_POLICY_WORD] === SHARED ? i32[MAC_WORD] >>> 16 : 0x7002;
  }

  function macRest(addr: number): number {
    return i32[MAC_POLICY_WORD] === SHARED ? i32[MAC_WORD + 1] : addr;
  }

  function macStart6(): number {
    return i32[MAC_POLICY_WORD] === SHARED ? i32[MAC_WORD] >>> 16 : 0x7602;
  }

  function macRest6(at: number): number {
    if (i32[MAC_POLICY_WORD] === SHARED) return i32[MAC_WORD + 1];
    let bits = 0;
    for (let i = 0; i < 4; i++) {
      const product = Math.imul(bits ^ i32[at + i], 0x9e3779b1);
      bits = product << 15 | product >>> 17;
    }
    return bits;
  }

  return { unwrap, wrap };
}

/** Of an address that begins in the upper half of a word. */
function isGroup(word: number): boolean {
  return (word & 0x10000) !== 0;
}

/** Of one that is a word and the lower half of the next; see assembly/wire/ethernet.ts. */
function isStation(word: number, next: number): boolean {
  return (word & 1) === 0 && (word | next & 0xffff) !== 0;
}

/** The same of an interface other than the one whose address' parts are `start` and `rest`. */
function isPeer(word: number, next: number, start: number, rest: number): boolean {
  return isStation(word, next) && !(word === (start | rest << 16) && (next & 0xffff) === rest >>> 16);
}
