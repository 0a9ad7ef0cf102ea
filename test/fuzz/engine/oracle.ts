/**
 * Checks whatever the engine sends, as the RFCs and the invariants of docs/develop/conformance.md have it. Nothing here
 * knows how a packet came about. A violation is thrown as an Error. A packet has to be
 *
 *   I1  sent by an address of the prefixes
 *   I2  no longer than what asked for it; an error bounded
 *   I3  sent to one host, about nothing that is itself an answer
 *   and well-formed: lengths, checksums, TTL
 *
 * A hop of a path may send errors, too. Whatever comes by a path is no longer than it has room for, and has a TTL that
 * fits the way back.
 */
import { Unreachable } from "../../../abi/tables.js";
import type { Between } from "./between.js";
import { isInvalid, isInvalid6, isMacOf, isOurs, isOurs6, mayBeEcho, type World } from "./world.js";

/** A packet that was sent. */
export interface Sent {
  /** Where the IP or ARP packet begins, behind the link's header. */
  readonly at: number;
  readonly isError: boolean;
  /** True if it is an error that a hop may have sent. */
  readonly isHops: boolean;
  /**
   * Bytes that it may have more than what asked for it: for one more header where a narrow path asks for parts, and for
   * one option.
   */
  readonly extra: number;
}

/** Checks a packet or a frame, at `from` to `end` of `b`. @throws Error that says what is wrong with it. */
export function examine(world: World, b: Uint8Array, from: number, end: number): Sent {
  if (!world.tap) return end > from && b[from] >> 4 === 6 ? ipv6(world, b, from, end) : ipv4(world, b, from, end);
  if (end - from < 14) fail("a frame without a header");
  let at = from + 12;
  while (at < from + 20 && (type(b, at) === 0x8100 || type(b, at) === 0x88a8)) at += 4;
  at += 2;
  if (b[from] & 1 || isZero(b, from, 6)) fail("to a MAC address that is no station's");
  switch (type(b, at - 2)) {
    case 0x0800: {
      const sent = ipv4(world, b, at, end);
      if (!isMac(world, b, from + 6, at + 12, false, sent)) fail("from another MAC address than the IPv4 address has");
      // Each part has a frame of its own.
      return sent.extra > 0 ? { ...sent, extra: sent.extra + at - from } : sent;
    }
    case 0x86dd: {
      const sent = ipv6(world, b, at, end);
      if (!isMac(world, b, from + 6, at + 8, true, sent)) fail("from another MAC address than the IPv6 address has");
      return sent;
    }
    case 0x0806: {
      if (end - at !== 28 || type(b, at) !== 1 || type(b, at + 2) !== 0x0800 || type(b, at + 4) !== 0x0604
        || type(b, at + 6) !== 2) fail("no ARP reply");
      if (!isOurs(b, at + 14)) fail("I1: ARP for an address that is not ours");
      if (!isMacOf(world, b, at + 8, at + 14, false) || !isMacOf(world, b, from + 6, at + 14, false)) {
        fail("ARP with another MAC address than the address has");
      }
      if (isInvalid(b, at + 24) || isOurs(b, at + 24)) fail("I3: ARP reply to no host");
      return { at, isError: false, isHops: false, extra: 0 };
    }
    default: return fail("a frame of no known type");
  }
}

/**
 * True if the MAC address at `mac` is that of the source. A hop's error comes from that of what was asked, as does a
 * reply from an address that a link has changed.
 */
function isMac(world: World, b: Uint8Array, mac: number, address: number, six: boolean, { isHops }: Sent): boolean {
  return isMacOf(world, b, mac, address, six)
    || (world.perAddress && (isHops || world.between?.spoilsIn === true));
}

function ipv4(world: World, b: Uint8Array, at: number, end: number): Sent {
  const length = end - at;
  const headerLen = (b[at] & 15) * 4;
  if (length < 20 || b[at] >> 4 !== 4 || headerLen < 20 || headerLen > length) fail("no IPv4 header");
  if (length > most(world)) fail("longer than the MTU");
  if (type(b, at + 2) !== length) fail("IPv4 total length");
  if (sum(b, at, headerLen) !== 0xffff) fail("IPv4 header checksum");
  const hops = hopsAt(world, b, at + 12, false);
  const [ttl, probeTtl] = [
    isTtl(world, b[at + 8], world.ttl, hops), world.interfaces !== undefined && isTtl(world, b[at + 8], 255, hops),
  ];
  if (!ttl && !probeTtl) fail("TTL");
  const isUdp = b[at + 9] === 17;
  if (b[at + 9] !== 1 && !isUdp) fail("IPv4 protocol");
  const isHop = hops.length > 0;
  if (!isOurs(b, at + 12) && !isHop) fail("I1: from an IPv4 address that is not ours");
  if (isInvalid(b, at + 16) || isOurs(b, at + 16)) fail("I3: to an IPv4 address that is no host's, or ours");
  const fragment = type(b, at + 6) & 0x3fff;
  if (fragment) {
    if (world.reassembly === 0 && !world.path) fail("a fragment where none are put together");
    // A path asks for parts that are smaller than those that came.
    return { at, isError: false, isHops: false, extra: world.path ? headerLen : 0 };
  }
  if (isUdp) {
    const datagramLen = length - headerLen;
    if (datagramLen < 8 || type(b, at + headerLen + 4) !== datagramLen) fail("UDP length");
    const isSummed = type(b, at + headerLen + 6) !== 0;
    // RFC 1122 §4.1.3.4: the pseudo-header has the final destination, which may be the end of a source route.
    const pseudo = sum(b, at + 12, 4, sum(b, finalDestination(b, at, headerLen), 4, 17 + datagramLen));
    if (isSummed && sum(b, at + headerLen, datagramLen, pseudo) !== 0xffff) fail("UDP checksum");
    datagram(world, b, at + headerLen, b[at + 1] & 3);
    return { at, isError: false, isHops: false, extra: 0 };
  }
  if (length < headerLen + 8 || sum(b, at + headerLen, length - headerLen) !== 0xffff) fail("ICMP checksum");
  const icmp = b[at + headerLen];
  const isError = icmp === 3 || icmp === 11 || icmp === 12;
  if (icmp === 43) {
    probed(world, b, at + headerLen, probeTtl, b[at + 1]);
    // What came in fragments is answered without don't-fragment.
    const whole = length <= 552 && world.reassembly === 0;
    if (whole && type(b, at + 6) !== 0x4000) fail("a reply of PROBE's without don't-fragment");
    return { at, isError: false, isHops: false, extra: 0 };
  }
  if (!isError && icmp !== 0 && icmp !== 14) fail("ICMP type");
  if (!ttl) fail("TTL");
  const code = b[at + headerLen + 1];
  const isHops = isHop && ((icmp === 11 && code === 0) || (icmp === 3 && code === 4));
  if (!isOurs(b, at + 12) && !isHops) fail("I1: from a hop, and no error of its");
  if (isError) {
    if (length > world.mtu) fail("an error longer than the MTU");
    if (length > 576) fail("I2: an ICMP error of more than 576 bytes");
    if (!world.errors) fail("an ICMP error where there are to be none");
    if (isErrorAt(b, at + headerLen + 8, end)) fail("I3: an error about an error");
    const { udp, other } = world.unreachable;
    if (icmp === 3 && !isHops && udp !== Unreachable.on && other !== Unreachable.on) {
      fail("unreachable where that is not to be said");
    }
  }
  if (icmp === 0 && !world.echo) fail("an echo reply where there are to be none");
  if (icmp === 14 && !world.timestamp) fail("a timestamp reply where there are to be none");
  return { at, isError, isHops, extra: 0 };
}

/** Returns the hops whose address is at `addr`, each with its place. */
function hopsAt({ between }: World, b: Uint8Array, addr: number, six: boolean): Between["hops"] {
  return between?.hops.filter(({ hop }) => {
    const bytes = (six ? hop.ipv6 : hop.ipv4)?.bytes;
    return bytes !== undefined && !hop.silent && same(b, addr, bytes, 0, bytes.length);
  }) ?? [];
}

/** True if a packet that starts with the TTL `first`, or at one of these hops with its own, may come with this one. */
function isTtl({ between }: World, ttl: number, first: number, hops: Between["hops"]): boolean {
  if (!between) return ttl === first;
  const isBack = between.backs.some((back) => ttl === first - back);
  return ttl > 0 && (isBack || hops.some(({ hop, place }) => ttl === hop.ttl - place));
}

/** True if the packet that is quoted is an ICMP error, as far as the quote goes. */
export function isErrorAt(b: Uint8Array, at: number, end: number): boolean {
  const headerLen = (b[at] & 15) * 4;
  if (b[at] >> 4 === 6) return b[at + 6] === 58 && at + 40 < end && type(b, at + 4) > 0 && b[at + 40] < 128;
  if (b[at] >> 4 !== 4 || b[at + 9] !== 1 || at + headerLen >= end || headerLen >= type(b, at + 2)) return false;
  return [3, 4, 5, 11, 12].includes(b[at + headerLen]);
}

/** Checks a reply of PROBE's, RFC 8335 §3 and §4. */
function probed({ interfaces }: World, b: Uint8Array, msg: number, ttl: boolean, trafficClass: number): void {
  if (interfaces === undefined) fail("a reply of PROBE's where there are to be none");
  if (!ttl) fail("TTL of a reply of PROBE's");
  if (trafficClass !== 0) fail("a reply of PROBE's with a traffic class");
  const [code, state] = [b[msg + 1], b[msg + 7]];
  if (code > 4 || (code !== 0 && state !== 0) || ![0, 7, 6 << 5].includes(state)) fail("a code or a state of PROBE's");
}

/** Returns where the final destination's address is. */
function finalDestination(b: Uint8Array, at: number, headerLen: number): number {
  const end = at + headerLen;
  for (let option = at + 20; option < end && b[option] !== 0; option += b[option] === 1 ? 1 : b[option + 1]) {
    if (b[option] === 131 || b[option] === 137) return option + b[option + 1] - 4;
  }
  return at + 16;
}

/** Checks the ports, and the ECN codepoint, of an answer by UDP. */
function datagram(world: World, b: Uint8Array, at: number, ecn: number): void {
  if (!mayBeEcho(world, type(b, at), type(b, at + 2))) fail("UE-2: an echo from or to a port that has none");
  if (ecn !== 0) fail("UE-5: an ECN codepoint");
}

function ipv6(world: World, b: Uint8Array, at: number, end: number): Sent {
  const length = end - at;
  if (length < 40 || b[at] >> 4 !== 6) fail("no IPv6 header");
  if (length > most(world)) fail("longer than the MTU");
  if (40 + type(b, at + 4) !== length) fail("IPv6 payload length");
  const hops = hopsAt(world, b, at + 8, true);
  if (!isOurs6(b, at + 8) && hops.length === 0) fail("I1: from an IPv6 address that is not ours");
  if (isInvalid6(b, at + 24) || isOurs6(b, at + 24)) fail("I3: to an IPv6 address that is no host's, or ours");
  const ttl = isTtl(world, b[at + 7], world.ttl, hops);
  const probeTtl = world.interfaces !== undefined && isTtl(world, b[at + 7], 255, hops);
  if (b[at + 6] === 44) {
    if (world.reassembly === 0 && most(world) <= 1280 && !world.path) {
      fail("a fragment where none are put together, and the path is wide enough");
    }
    if (!ttl && !probeTtl) fail("hop limit");
    return { at, isError: false, isHops: false, extra: 48 + 8 };
  }
  if (b[at + 6] === 17) {
    if (!ttl) fail("hop limit");
    const datagramLen = length - 40;
    if (datagramLen < 8 || type(b, at + 44) !== datagramLen) fail("UDP length");
    if (type(b, at + 46) === 0) fail("no UDP checksum");
    if (sum(b, at + 8, length - 8, 17 + datagramLen) !== 0xffff) fail("UDP checksum");
    datagram(world, b, at + 40, b[at + 1] >> 4 & 3);
    return { at, isError: false, isHops: false, extra: 0 };
  }
  if (b[at + 6] !== 58) fail("IPv6 next header");
  if (length < 48 || sum6(b, at, length) !== 0xffff) fail("ICMPv6 checksum");
  const icmp = b[at + 40];
  if (icmp === 136 && world.tap) {
    if (b[at + 7] !== 255) fail("hop limit of an advertisement");
    if (length < 64 || !isOurs6(b, at + 48)) fail("I1: an advertisement of an address that is not ours");
    return { at, isError: false, isHops: false, extra: 8 };
  }
  if (icmp === 161) {
    probed(world, b, at + 40, probeTtl, type(b, at) >> 4 & 255);
    return { at, isError: false, isHops: false, extra: 0 };
  }
  if (!ttl) fail("hop limit");
  const isError = icmp < 128;
  const isHops = hops.length > 0 && (icmp === 2 || (icmp === 3 && b[at + 41] === 0));
  if (!isOurs6(b, at + 8) && !isHops) fail("I1: from a hop, and no error of its");
  if (isError && !isHops && icmp !== 1 && icmp !== 3 && icmp !== 4) fail("ICMPv6 type");
  if (isError && isErrorAt(b, at + 48, end)) fail("I3: an error about an error");
  if (isError && length > 1280) fail("I2: an ICMPv6 error of more than 1280 bytes");
  if (isError && !world.errors) fail("an ICMPv6 error where there are to be none");
  if (!isError && icmp !== 129) fail("ICMPv6 type");
  if (icmp === 129 && !world.echo) fail("an echo reply where there are to be none");
  return { at, isError, isHops, extra: 0 };
}

/**
 * Checks an answer that ends at `to` of `b` against the only packet that was given, at `from` to `end` of `asked`,
 * where neither is in fragments.
 * @throws Error that says what is wrong with it.
 */
export function compare(
  world: World, b: Uint8Array, { at, isError, isHops }: Sent, to: number, asked: Uint8Array, from: number, end: number,
): void {
  const length = to - at;
  const six = b[at] >> 4 === 6;
  const [src, dst, count] = six ? [8, 24, 16] : [12, 16, 4];
  const advertisement = six && b[at + 40] === 136;
  // An advertisement may have one option more, because it must have that one.
  if (!isError && length > end - from + (advertisement ? 8 : 0)) fail("I2: longer than what asked for it");
  if (!advertisement && !isHops && !same(b, at + src, asked, from + dst, count)) {
    fail("I1: from another address than was asked");
  }
  if (isError) {
    const quoted = at + (six ? 48 : 28);
    // RFC 4884: where there is an extension, the length of what is before it.
    const fieldLen = six ? 8 * b[at + 44] : 4 * b[at + 25];
    const askedLen = six ? 40 + type(asked, from + 4) : type(asked, from + 2);
    const quotedLen = fieldLen > 0 && isHops ? Math.min(fieldLen, askedLen) : to - quoted;
    if (quotedLen > to - quoted || !isQuote(world, b, quoted, asked, from, quotedLen)) {
      fail("an error quotes something else");
    }
    if (!same(b, at + dst, asked, from + src, count)) fail("an error to somebody else");
  } else if ((six ? b[at + 6] : b[at + 9]) === 17) {
    const headerLen = six ? 40 : (b[at] & 15) * 4;
    // The request may have more headers than the answer: its datagram is looked for.
    const [ports, swapped] = [at + headerLen, [type(b, at + headerLen + 2), type(b, at + headerLen)]];
    for (let i = from; i + length - headerLen <= end; i++) {
      if (type(asked, i) === swapped[0] && type(asked, i + 2) === swapped[1]
        && same(b, ports + 4, asked, i + 4, length - headerLen - 4)) return;
    }
    fail("an echo of something else");
  } else if (six ? b[at + 40] === 129 || b[at + 40] === 161 : [0, 43].includes(b[at + (b[at] & 15) * 4])) {
    const headerLen = six ? 40 : (b[at] & 15) * 4;
    const messageLen = length - headerLen;
    const total = six ? 40 + type(asked, from + 4) : type(asked, from + 2);
    const begin = from + total - messageLen;
    // In a reply of PROBE's, the byte at 7 is the state.
    const probe = b[at + headerLen] === (six ? 161 : 43);
    if (!same(b, at + headerLen + 4, asked, begin + 4, 3)
      || (!probe && b[at + headerLen + 7] !== asked[begin + 7])
      || !same(b, at + headerLen + 8, asked, begin + 8, messageLen - 8)) fail("an echo of something else");
  }
}

/** True if bytes are those of a packet, but for what changes of its header on the way. */
function isQuote(
  { between }: World, b: Uint8Array, at: number, asked: Uint8Array, from: number, length: number,
): boolean {
  if (!between) return same(b, at, asked, from, length);
  const six = asked[from] >> 4 === 6;
  // The TTL, IPv4's checksum, and the ECN codepoint.
  const masks = six ? { 1: 0xcf, 7: 0 } : { 1: 0xfc, 8: 0, 10: 0, 11: 0 };
  const options = six ? 0 : (asked[from] & 15) * 4;
  for (let i = 0; i < length; i++) {
    // Hops write into options, and nowhere else.
    if (i >= 20 && i < options) continue;
    const mask = masks[i as keyof typeof masks] ?? 0xff;
    if ((b[at + i] ^ asked[from + i]) & mask) return false;
  }
  return true;
}

/**
 * True if nobody may answer the IP packet, because of its source, or because it is an error or an answer (RFC 1122
 * §3.2.2, RFC 4443 §2.4 e). `link`: on a link, where there is neighbor discovery and ARP.
 */
export function isSilent(b: Uint8Array, from: number, end: number, link: boolean): boolean {
  const version = b[from] >> 4;
  if (version === 4) {
    if (end - from < 20 || isInvalid(b, from + 12) || isOurs(b, from + 12) || !isOurs(b, from + 16)) return true;
    const headerLen = (b[from] & 15) * 4;
    if (b[from + 9] !== 1 || headerLen >= type(b, from + 2) || type(b, from + 6) & 0x3fff) return false;
    const icmp = b[from + headerLen];
    return [3, 4, 5, 11, 12].includes(icmp) || (headerLen === 20 && ![8, 13, 42].includes(icmp));
  }
  if (version !== 6) return !link;
  if (end - from < 40) return true;
  const icmpv6 = b[from + 6] === 58 && end - from > 40 && type(b, from + 4) > 0 ? b[from + 40] : undefined;
  if (isInvalid6(b, from + 8) || isOurs6(b, from + 8)) return true;
  if (link && icmpv6 === 135) return false;
  return !isOurs6(b, from + 24) || (icmpv6 !== undefined && icmpv6 !== 128 && icmpv6 !== 160);
}

/**
 * Returns the most bytes that a packet may have. A frame without tags may have as many bytes more of its packet, and an
 * answer in place is as long as its request was.
 */
function most({ mtu, tap, between, path }: World): number {
  if (between && path) return between.room;
  return tap ? mtu + 8 : mtu;
}

export function type(b: Uint8Array, at: number): number {
  return b[at] << 8 | b[at + 1];
}

/** Returns the ones' complement sum of RFC 1071, by words. */
export function sum(b: Uint8Array, at: number, length: number, start = 0): number {
  let total = start;
  const even = at + (length & ~1);
  for (let i = at; i < even; i += 2) total += b[i] << 8 | b[i + 1];
  if (length & 1) total += b[even] << 8;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

/** Returns the sum of an ICMPv6 message right behind the IPv6 header, with its pseudo-header. */
export function sum6(b: Uint8Array, at: number, length: number): number {
  return sum(b, at + 8, length - 8, length - 40 + 58);
}

function same(a: Uint8Array, at: number, b: Uint8Array, from: number, count: number): boolean {
  for (let i = 0; i < count; i++) if (a[at + i] !== b[from + i]) return false;
  return true;
}

function isZero(b: Uint8Array, at: number, count: number): boolean {
  for (let i = at; i < at + count; i++) if (b[i] !== 0) return false;
  return true;
}

function fail(what: string): never {
  throw new Error(what);
}
