/** Neighbor discovery in JavaScript; assembly/respond/neighbor.ts has the RFCs. */
import { Drop, Protocol } from "../../../abi/counters.js";
import { FIRST_PREFIX, INVALID, NOBODY } from "../../../abi/tables.js";
import type { Core, Responder } from "./core.js";

// ../js.ts says why imported constants are defined anew.
const FIRST_OWNER = FIRST_PREFIX;
const NO_PREFIX = NOBODY;
const NO_HOST = INVALID;
const PROTOCOL = Protocol.ndisc as number;

// Words of an IPv6 packet with a message.
/** Payload length, next header, hop limit. */
const PAYLOAD = 1;
const SRC = 2;
const DST = 6;
const MESSAGE = 10;
const IPV6_HEADER_LEN = 40;
const VERSION = 0x60;
const ICMPV6 = 58;
const HOP_LIMIT = 255;

// Words of a message.
/** Type, code, checksum. */
const TYPE = 0;
const FLAGS = 1;
const TARGET = 2;
const OPTION = 6;
/** Bytes without options. */
const LEN = 24;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
/** The flag of an answer to a solicitation, in memory order. */
const SOLICITED = 0x40;

/** Bytes of a link-layer address option: its type, its length in units of 8 bytes, and the address. */
const OPTION_LEN = 8;
const SOURCE_LINK_ADDRESS = 1;
/** Type and length of a target link-layer address option, in memory order. */
const TARGET_LINK_ADDRESS = 0x0102;
/** The first two bytes of the MAC address of an IPv6 group (RFC 2464 §7). */
const GROUP_START = 0x3333;

/** Returns whether the packet of `length` bytes at word `ip` is a solicitation. */
export function isSolicitation(i32: Int32Array, ip: number, length: number): boolean {
  return length > IPV6_HEADER_LEN && (i32[ip + PAYLOAD] >>> 16 & 0xff) === ICMPV6
    && (i32[ip + MESSAGE] & 0xff) === SOLICITATION;
}

export function createNeighbor({ u8, i32, frames, owner6, sum, holds, fold, answer }: Core): Responder {
  const {
    lateStart, lateRest, sourceStart, sourceRest, destinationStart, destinationRest, setDestination, setSource, isPeer,
    macStart6, macRest6,
  } = frames;

  function neighbor(frame: number, headerLen: number, length: number, table: number): number {
    const at = frame >> 2;
    const ip = frame + headerLen >> 2;
    const payload = i32[ip + PAYLOAD];
    const msgLen = (payload & 0xff) << 8 | payload >>> 8 & 0xff;
    if (msgLen < LEN || msgLen > length - headerLen - IPV6_HEADER_LEN) return ~Drop.pkt_too_small;
    const msg = ip + MESSAGE;
    if (payload >>> 24 !== HOP_LIMIT) return ~Drop.ipv6_ndisc_hop_limit;
    if (!holds(pseudoSum(ip, msgLen) + sum(msg << 2, msgLen))) return ~Drop.icmp_csum;
    if ((i32[msg + TYPE] & 0xff00) !== 0) return ~Drop.ipv6_ndisc_bad_code;

    // The option with the source's MAC address, which lies late in it; 0 if there is none.
    let source = 0;
    for (let option = (msg << 2) + LEN, end = (msg << 2) + msgLen; option < end;) {
      const optionLen = option + 2 > end ? 0 : u8[option + 1] << 3;
      if (optionLen === 0 || option + optionLen > end) return ~Drop.ipv6_ndisc_bad_options;
      if (u8[option] === SOURCE_LINK_ADDRESS) {
        if (optionLen !== OPTION_LEN) return ~Drop.ipv6_ndisc_bad_options;
        source = option >> 2;
      }
      option += optionLen;
    }
    const src = ip + SRC;
    const dst = ip + DST;
    const target = msg + TARGET;
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
    const toStart = destinationStart(at);
    const toRest = destinationRest(at);
    const isGroups = multicast && toStart === GROUP_START && toRest === i32[dst + 3];
    if (!isGroups && (toStart !== start || toRest !== rest)) return ~Drop.otherhost;
    if (!isPeer(sourceStart(at), sourceRest(at), start, rest)) return ~Drop.mac_invalid_source;
    const replyStart = source === 0 ? sourceStart(at) : lateStart(source);
    const replyRest = source === 0 ? sourceRest(at) : lateRest(source);
    if (!isPeer(replyStart, replyRest, start, rest)) return ~Drop.mac_invalid_source;

    setDestination(at, replyStart, replyRest);
    setSource(at, start, rest);
    const withOption = multicast || source !== 0;
    const replyLen = withOption ? LEN + OPTION_LEN : LEN;
    i32[ip] = VERSION;
    i32[ip + PAYLOAD] = HOP_LIMIT << 24 | ICMPV6 << 16 | replyLen << 8;
    for (let i = 0; i < 4; i++) {
      i32[dst + i] = i32[src + i];
      i32[src + i] = i32[target + i];
    }
    i32[msg + TYPE] = ADVERTISEMENT;
    i32[msg + FLAGS] = SOLICITED;
    if (withOption) {
      i32[msg + OPTION] = start << 16 | TARGET_LINK_ADDRESS;
      i32[msg + OPTION + 1] = rest;
    }
    // The checksum is the upper half of the word, and is zero up to here.
    i32[msg + TYPE] |= (fold(pseudoSum(ip, replyLen) + sum(msg << 2, replyLen)) ^ 0xffff) << 16;
    return answer(PROTOCOL, prefix, frame, headerLen + IPV6_HEADER_LEN + replyLen);
  }

  /** Sums the pseudo-header: both addresses, the length and ICMPv6, in memory order. */
  function pseudoSum(ip: number, msgLen: number): number {
    return sum((ip + SRC) << 2, 32) + ((msgLen & 0xff) << 8 | msgLen >>> 8) + (ICMPV6 << 8);
  }

  /**
   * Returns whether the address is the group in which the owner of `target` listens: ff02::1:ff and the last three
   * bytes (RFC 4291 §2.7.1).
   */
  function isSolicitedNode(addr: number, target: number): boolean {
    return i32[addr] === 0x2ff && i32[addr + 1] === 0 && i32[addr + 2] === 0x01000000
      && i32[addr + 3] === (i32[target + 3] | 0xff);
  }

  function isSame(addr: number, other: number): boolean {
    return i32[addr] === i32[other] && i32[addr + 1] === i32[other + 1] && i32[addr + 2] === i32[other + 2]
      && i32[addr + 3] === i32[other + 3];
  }

  return neighbor;
}
