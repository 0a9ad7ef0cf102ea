/**
 * Makes packets as a hostile neighbour would: by the formats' own grammar, with one thing or another about each that is
 * not as it should be. They are written where the journal has room, and nothing is allocated for one.
 */
import { addr6 } from "../../support/ipv6.js";
import { macBytes, SHARED_MAC } from "../../support/frames.js";
import { addr } from "../../support/packets.js";
import type { Random } from "../../support/random.js";
import { entries, MAX_LEN, TIME, type Journal } from "./journal.js";
import { sum, type } from "./oracle.js";
import { macOf6, type Family, type World } from "./world.js";

// The first OURS addresses are of the prefixes, those from there up to HOSTS are of others; the rest are no host's.
const V4 = ["10.99.1.1", "10.99.7.7", "10.99.255.255", "192.0.2.200", "203.0.113.9", "10.99.0.1",
  "198.51.100.77", "192.0.2.1",
  "10.99.9.9", "203.0.113.10",
  "127.0.0.1", "0.0.0.0", "224.0.0.251", "255.255.255.255"].map(addr);
const V6 = ["fd99::1:1", "fd99::7:7", "fd99::ffff:ffff:ffff:ffff", "2001:db8::9", "fd99::9:1", "fd99::1",
  "2001:db8::1", "fe80::7",
  "fd99::9:9", "2001:db8::8",
  "::", "::1", "ff02::1", "::ffff:10.99.1.1"].map(addr6);
const OURS = 5;
const HOSTS = 10;
const MACS = ["52:54:00:12:34:56", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01", "00:00:00:00:00:00"]
  .map(macBytes);
const SHARED = macBytes(SHARED_MAC);
const PROTOCOLS = [1, 17, 6, 0, 2, 4, 41, 47, 50, 58, 132, 255];
const NEXT_HEADERS = [58, 58, 17, 6, 59, 50, 51, 135, 253, 4, 41];
const EXTENSIONS = [0, 60, 60, 43, 44, 51];
const BORDERS = [0, 1, 2, 3, 4, 7, 8, 15, 16, 19, 20, 21, 27, 28, 39, 40, 47, 48, 63, 64, 127, 128, 255];
const OPTIONS = [0, 1, 7, 7, 68, 68, 68, 131, 137, 148, 30, 158];
/** The room in which a fragmented datagram is made. */
const MAX_DATAGRAM = 1 << 16;
const MAX_PIECES = 2000;
const POOL = 1 << 15;

export class Generator {
  readonly #random: Random;
  readonly #family: Family;
  readonly #world: World;
  readonly #journal: Journal;
  readonly #b: Buffer;
  readonly #pool: Buffer;
  readonly #datagram = Buffer.alloc(MAX_DATAGRAM + 64);
  readonly #cuts = new Uint32Array(MAX_PIECES + 1);

  constructor(random: Random, family: Family, world: World, journal: Journal) {
    this.#random = random;
    this.#family = family;
    this.#world = world;
    this.#journal = journal;
    this.#b = journal.bytes;
    this.#pool = Buffer.alloc(POOL);
    for (let i = 0; i < POOL; i += 4) this.#pool.writeUInt32LE(random.next(), i);
  }

  /** Writes a few packets that belong together, or not, and time that goes by. */
  train(): void {
    const random = this.#random;
    const together = random.oneIn(12);
    if (random.oneIn(24)) this.#journal.time(random.below(random.oneIn(8) ? 18 : 12), random.oneIn(16));
    if (random.oneIn(12)) {
      this.#fragments(together);
      return;
    }
    for (let left = 1 + random.below(together ? 40 : 8); left > 0; left--) {
      const at = this.#journal.open();
      this.#journal.packet(this.#any(at), together && left > 1);
    }
  }

  /** Writes a train that was of use once more, changed here and there. */
  again(kept: Uint8Array): void {
    const random = this.#random;
    for (const { from, to } of entries(kept, 0)) {
      const word = kept[from] | kept[from + 1] << 8;
      if (random.oneIn(12)) continue;
      if (word & TIME) {
        this.#journal.time(word & 127, (word & 128) !== 0);
        continue;
      }
      const at = this.#journal.open();
      const length = Math.min(to - from - 2, this.#most);
      this.#b.set(kept.subarray(from + 2, from + 2 + length), at);
      this.#journal.packet(
        random.oneIn(2) ? this.#mutated(at, length) : length, (word & ~MAX_LEN) !== 0 && !random.oneIn(4),
      );
    }
  }

  get #most(): number {
    return this.#world.mtu + (this.#world.tap ? 22 : 0);
  }

  #any(at: number): number {
    const length = this.#family === "frames"
      ? this.#frame(at)
      : this.#family === "ipv6" && !this.#random.oneIn(64) ? this.#ipv6(at) : this.#ipv4(at);
    return this.#random.oneIn(3) ? this.#mutated(at, length) : Math.min(length, this.#most);
  }

  /**
   * Changes bits, bytes and lengths of a packet, and makes its
   * checksums right again more often than not. Returns its length.
   */
  #mutated(at: number, before: number): number {
    const random = this.#random;
    const b = this.#b;
    let length = Math.min(before, this.#most);
    if (length === 0) return 0;
    if (random.oneIn(6)) length = 1 + random.below(length);
    if (random.oneIn(6)) {
      const more = random.below(Math.min(32, this.#most - length) + 1);
      this.#noise(at + length, more);
      length += more;
    }
    const near = Math.min(length, 64);
    for (let count = random.below(3); count > 0; count--) {
      b[at + random.below(random.oneIn(4) ? length : near)] ^= 1 << random.below(8);
    }
    for (let count = random.below(3); count > 0; count--) b[at + random.below(near)] = random.pick(BORDERS);
    if (random.oneIn(8) && length > 1) {
      const to = random.below(length - 1);
      b.copyWithin(at + to, at + random.below(length), at + length);
    }
    if (!random.oneIn(6)) this.#mend(at, length);
    return length;
  }

  /** Makes the checksums of a packet, or of one in a frame, right where they can be found. */
  #mend(at: number, length: number): void {
    const b = this.#b;
    let ip = at;
    if (this.#world.tap) {
      ip = at + 14;
      while (ip < at + 22 && (type(b, ip - 2) === 0x8100 || type(b, ip - 2) === 0x88a8)) ip += 4;
    }
    const left = at + length - ip;
    if (left >= 40 && b[ip] >> 4 === 6) {
      const payloadLen = type(b, ip + 4);
      if (40 + payloadLen <= left) this.#mend6(ip, payloadLen);
    } else if (left >= 20 && b[ip] >> 4 === 4) {
      const headerLen = (b[ip] & 15) * 4;
      if (headerLen < 20 || headerLen > left) return;
      const totalLen = type(b, ip + 2);
      if (totalLen >= headerLen && totalLen <= left && !(type(b, ip + 6) & 0x3fff)) {
        this.#mendPayload(b, ip, headerLen, totalLen);
      }
      this.#setSum(b, ip + 10, ip, headerLen, 0);
    }
  }

  #mendPayload(b: Uint8Array, ip: number, headerLen: number, totalLen: number): void {
    const length = totalLen - headerLen;
    const at = ip + headerLen;
    if (b[ip + 9] === 1 && length >= 4) this.#setSum(b, at + 2, at, length, 0);
    if (b[ip + 9] === 17 && length >= 8) {
      const udpLen = type(b, at + 4);
      if (udpLen >= 8 && udpLen <= length) this.#setSum(b, at + 6, at, udpLen, sum(b, ip + 12, 8, 17 + udpLen));
    }
  }

  /** Makes the checksums of ICMPv6 and UDP right, behind whatever extension headers there are. */
  #mend6(ip: number, payloadLen: number): void {
    const b = this.#b;
    const end = ip + 40 + payloadLen;
    let number = b[ip + 6];
    let at = ip + 40;
    while ((number === 0 || number === 43 || number === 60 || number === 51 || number === 44) && at + 8 <= end) {
      if (number === 44 && type(b, at + 2) & 0xfff9) return;
      const len = number === 44 ? 8 : number === 51 ? (b[at + 1] + 2) * 4 : (b[at + 1] + 1) * 8;
      number = b[at];
      at += len;
    }
    const length = end - at;
    if (number === 58 && length >= 4) this.#setSum(b, at + 2, at, length, sum(b, ip + 8, 32, 58 + length));
    if (number === 17 && length >= 8) {
      const udpLen = type(b, at + 4);
      if (udpLen >= 8 && udpLen <= length) this.#setSum(b, at + 6, at, udpLen, sum(b, ip + 8, 32, 17 + udpLen));
    }
  }

  #setSum(b: Uint8Array, field: number, at: number, length: number, start: number): void {
    b[field] = b[field + 1] = 0;
    const value = ~sum(b, at, length, start) & 0xffff || 0xffff;
    b[field] = value >> 8;
    b[field + 1] = value & 255;
  }

  #noise(at: number, length: number): void {
    const from = this.#random.below(POOL - length);
    this.#pool.copy(this.#b, at, from, from + length);
  }

  /** Returns a TTL, or a hop limit. On a path, half of the packets end, or nearly. */
  #ttl(): number {
    const random = this.#random;
    return this.#world.path && random.oneIn(2) ? random.below(8) : random.next();
  }

  /** Returns a length of data that is short more often than not. */
  #dataLen(room: number): number {
    const isLong = this.#random.oneIn(this.#world.path ? 6 : 24);
    return this.#random.below(Math.max(0, isLong ? room : Math.min(room, 64)) + 1);
  }

  #address(pool: readonly Uint8Array[], ours: boolean): Uint8Array {
    const random = this.#random;
    if (random.oneIn(16)) return random.pick(pool);
    return ours ? pool[random.below(OURS)] : pool[OURS + random.below(HOSTS - OURS)];
  }

  #ipv4(ip: number): number {
    const random = this.#random;
    const b = this.#b;
    const headerLen = random.oneIn(6) ? this.#options(ip) : 20;
    const at = ip + headerLen;
    const protocol = random.oneIn(8)
      ? (random.oneIn(2) ? random.pick(PROTOCOLS) : random.next() & 255)
      : random.oneIn(8) ? 17 : 1;
    let length = Math.min(8 + this.#dataLen(this.#world.mtu - headerLen - 8), this.#world.mtu - headerLen);
    this.#noise(at, length);
    if (protocol === 1) {
      b[at] = random.oneIn(6) ? random.next() & (random.oneIn(2) ? 255 : 15) : 8;
      if (random.oneIn(12)) {
        b[at] = 13;
        length = Math.min(random.oneIn(4) ? length : 20, this.#world.mtu - headerLen);
      }
      if (this.#world.interfaces && random.oneIn(6)) this.#probe(at, length, 42);
    } else if (protocol === 17) {
      const udpLen = random.oneIn(8) ? random.below(length + 9) : length;
      b[at + 4] = udpLen >> 8;
      b[at + 5] = udpLen & 255;
    }
    const totalLen = headerLen + length;
    b[ip] = 0x40 | headerLen >> 2;
    b[ip + 1] = random.next();
    b[ip + 2] = totalLen >> 8;
    b[ip + 3] = totalLen & 255;
    this.#noise(ip + 4, 2);
    const fragment = random.oneIn(16)
      ? random.next() & 0xffff
      : random.oneIn(32) ? 0x8000 : random.oneIn(2) ? 0x4000 : 0;
    b[ip + 6] = fragment >> 8;
    b[ip + 7] = fragment & 255;
    b[ip + 8] = this.#ttl();
    b[ip + 9] = protocol;
    b.set(this.#address(V4, false), ip + 12);
    b.set(this.#address(V4, true), ip + 16);
    if (!random.oneIn(24)) this.#mendPayload(b, ip, headerLen, totalLen);
    if (protocol === 17 && random.oneIn(8)) b[at + 6] = b[at + 7] = 0;
    if (!random.oneIn(24)) this.#setSum(b, ip + 10, ip, headerLen, 0);
    return random.oneIn(16) ? Math.min(totalLen + random.below(20), this.#most) : totalLen;
  }

  /** Writes options, and returns the length that the header then has. */
  #options(ip: number): number {
    const random = this.#random;
    const b = this.#b;
    const most = ip + Math.min(60, this.#world.mtu - 8 & ~3);
    let at = ip + 20;
    while (at < most && !random.oneIn(4)) {
      const kind = random.oneIn(16) ? random.next() & 255 : random.pick(OPTIONS);
      b[at] = kind;
      if (kind < 2) {
        at++;
        continue;
      }
      const room = most - at;
      if (room < 4) break;
      const header = kind === 68 ? 4 : 3;
      const flag = random.pick([0, 1, 3, 3, random.below(16)]);
      const slotLen = kind === 68 && (flag === 1 || flag === 3) ? 8 : 4;
      const slots = random.below(Math.floor((room - header) / slotLen) + 1);
      const length = Math.min(room, header + slots * slotLen + (random.oneIn(10) ? random.below(5) : 0));
      b[at + 1] = random.oneIn(16) ? random.next() & 63 : length;
      b[at + 2] = random.oneIn(16) ? random.next() & 63 : header + 1 + random.below(slots + 1) * slotLen;
      if (kind === 68) b[at + 3] = flag | (random.oneIn(4) ? random.pick([14, 15, 3]) << 4 : 0);
      for (let slot = at + header; slot + 4 <= at + length; slot += 4) b.set(random.pick(V4), slot);
      at += length;
    }
    while ((at - ip) & 3 && at < most) b[at++] = 0;
    const headerLen = Math.min(60, (at - ip + 3) & ~3);
    return Math.max(20, headerLen);
  }

  #ipv6(ip: number): number {
    const random = this.#random;
    const b = this.#b;
    const most = ip + this.#world.mtu;
    b[ip] = 0x60 | random.next() & 15;
    this.#noise(ip + 1, 3);
    b[ip + 7] = this.#ttl();
    b.set(this.#address(V6, false), ip + 8);
    b.set(this.#address(V6, true), ip + 24);
    let field = ip + 6;
    let at = ip + 40;
    if (random.oneIn(4)) {
      for (let count = 1 + random.below(random.oneIn(8) ? 12 : 3); count > 0 && at + 64 < most; count--) {
        const number = random.pick(EXTENSIONS);
        b[field] = number;
        field = at;
        at += this.#extension(at, number, most);
      }
    }
    const next = random.oneIn(5) ? random.pick(NEXT_HEADERS) : 58;
    b[field] = next;
    const length = Math.max(0, Math.min(8 + this.#dataLen(most - at - 8), most - at));
    this.#noise(at, length);
    if (next === 58) b[at] = random.oneIn(6) ? random.next() : 128;
    if (next === 58 && this.#world.interfaces && random.oneIn(6)) this.#probe(at, length, 160);
    if (next === 58 && length >= 64 && random.oneIn(8)) this.#tooBig(at, ip);
    if (next === 17 && length >= 8) {
      const udpLen = random.oneIn(8) ? random.below(length + 9) : length;
      b[at + 4] = udpLen >> 8;
      b[at + 5] = udpLen & 255;
    }
    const payloadLen = at + length - ip - 40;
    b[ip + 4] = payloadLen >> 8;
    b[ip + 5] = payloadLen & 255;
    if (!random.oneIn(24)) this.#mend6(ip, payloadLen);
    return 40 + payloadLen;
  }

  /** Writes a query of PROBE's, or something like it, as far as the message has room for it. */
  #probe(msg: number, length: number, type: number): void {
    const random = this.#random;
    const b = this.#b;
    b[msg] = type;
    if (length < 40) return;
    const cType = 1 + random.below(random.oneIn(8) ? 5 : 3);
    const afi = random.oneIn(8) ? random.pick([0, 6, 16389, 16390]) : 1 + random.below(2);
    const payloadLen = cType === 3 ? 4 + (afi === 1 ? 4 : 16) : 4;
    b[msg + 7] = random.oneIn(8) ? random.next() : random.below(2);
    const classNum = random.oneIn(16) ? 2 : 3;
    b.set([random.oneIn(16) ? random.next() : 0x20, 0, 0, 0, 0, 4 + payloadLen, classNum, cType], msg + 8);
    if (random.oneIn(12)) b[msg + 13] = random.next();
    b.fill(0, msg + 16, msg + 36);
    if (cType === 1) b.write(random.pick(["a", "bb", "c"]), msg + 16);
    if (cType === 2) b[msg + 19] = random.below(3);
    if (cType === 3) b.set([afi >> 8, afi & 255, random.oneIn(16) ? random.next() & 31 : payloadLen - 4, 0], msg + 16);
    if (random.oneIn(8)) b[msg + 20] = random.next();
    if (!random.oneIn(4)) this.#setSum(b, msg + 10, msg + 8, Math.min(4 + b[msg + 13], length - 8), 0);
  }

  /** Writes a Packet Too Big about what the packet's destination may have sent, or something like it. */
  #tooBig(msg: number, ip: number): void {
    const random = this.#random;
    const b = this.#b;
    const word = (at: number, value: number) => { b.writeUInt16BE(value, at); };
    const sent = msg + 8;
    b[msg] = 2;
    b.writeUInt32BE(
      random.oneIn(8) ? random.below(2 ** 32) : random.pick([1279, 1280, 1281, 1400, 1492, 1500]), msg + 4,
    );
    b[sent] = random.oneIn(16) ? random.next() : 0x60;
    word(sent + 4, random.oneIn(16) ? random.below(65536) : 1200 + random.below(300));
    b[sent + 6] = random.oneIn(16) ? random.next() : random.pick([58, 58, 44]);
    b.set(random.oneIn(8) ? this.#address(V6, true) : b.subarray(ip + 24, ip + 40), sent + 8);
    b.set(this.#address(V6, false), sent + 24);
    b[sent + 40] = b[sent + 6] === 44 ? 58 : 129;
    if (b[sent + 6] === 44) word(sent + 42, random.oneIn(2) ? 1 : 8 * random.below(200));
    if (!random.oneIn(16)) b[sent + 48] = 129;
  }

  /** Writes an extension header but for its next header, and returns its length. */
  #extension(at: number, number: number, most: number): number {
    const random = this.#random;
    const b = this.#b;
    if (number === 44) {
      this.#noise(at, 8);
      const offset = random.oneIn(3) ? random.next() & 0xffff : random.oneIn(2) ? random.next() & 6 : 0;
      b[at + 2] = offset >> 8;
      b[at + 3] = offset & 255;
      return 8;
    }
    if (number === 43 || number === 51) {
      const units = random.below(3);
      const length = number === 43 ? (units + 1) * 8 : (units + 2) * 4;
      this.#noise(at, length);
      b[at + 1] = random.oneIn(16) ? random.next() : units;
      b[at + 2] = random.below(5);
      b[at + 3] = random.oneIn(3) ? random.below(4) : 0;
      return length;
    }
    const units = random.below(random.oneIn(16) ? Math.min(8, Math.max(1, most - at >> 3) - 1) + 1 : 2);
    const end = at + (units + 1) * 8;
    b[at + 1] = random.oneIn(16) ? random.next() : units;
    for (let option = at + 2; option < end;) {
      const left = end - option - 2;
      if (left < 0 || random.oneIn(8)) {
        b[option++] = 0;
        continue;
      }
      const length = random.oneIn(3) ? random.below(Math.min(left, 6) + 1) : left;
      b[option] = random.oneIn(3) ? random.pick([1, 5, 30, 0x3e, 0x7e, 0xbe, 0xc2, 0xfe]) : 1;
      b[option + 1] = random.oneIn(24) ? random.next() : length;
      if (b[option] === 1 && !random.oneIn(16)) b.fill(0, option + 2, option + 2 + length);
      else this.#noise(option + 2, length);
      option += 2 + length;
    }
    return end - at;
  }

  #frame(at: number): number {
    const random = this.#random;
    const b = this.#b;
    const tags = random.oneIn(4) ? 1 + random.below(3) : 0;
    for (let i = 0; i < tags; i++) {
      b[at + 12 + 4 * i] = random.oneIn(2) ? 0x81 : 0x88;
      b[at + 13 + 4 * i] = b[at + 12 + 4 * i] === 0x81 ? 0 : 0xa8;
      this.#noise(at + 14 + 4 * i, 2);
    }
    const packet = at + 14 + 4 * tags;
    b.set(random.oneIn(16) ? random.pick(MACS) : MACS[0], at + 6);
    let kind = random.pick([0x0800, 0x0800, 0x86dd, 0x86dd, 0x0806, 0x86de]);
    let length: number;
    if (kind === 0x0806) length = this.#arp(packet);
    else if (kind === 0x0800) length = this.#ipv4(packet);
    else if (kind === 0x86dd) length = this.#ipv6(packet);
    else {
      kind = 0x86dd;
      length = this.#solicitation(packet);
    }
    if (random.oneIn(32)) kind = random.next() & 0xffff;
    b[packet - 2] = kind >> 8;
    b[packet - 1] = kind & 255;
    this.#setMac(at, packet, kind);
    if (random.oneIn(12)) b.set(random.pick(MACS), at);
    return Math.min(14 + 4 * tags + length + (random.oneIn(4) ? random.below(20) : 0), this.#most);
  }

  /** Sets the destination of the frame to the MAC address that the packet's destination has. */
  #setMac(at: number, packet: number, kind: number): void {
    const b = this.#b;
    const solicited = kind === 0x86dd && b[packet + 6] === 58 && b[packet + 40] === 135;
    if (solicited && b[packet + 24] === 0xff) {
      b[at] = b[at + 1] = 0x33;
      b.copyWithin(at + 2, packet + 36, packet + 40);
    } else if (kind === 0x0806) {
      b.fill(0xff, at, at + 6);
    } else if (!this.#world.perAddress) {
      b.set(SHARED, at);
    } else if (kind === 0x86dd) {
      b.set(macOf6(b, packet + 24), at);
    } else {
      b[at] = 0x02;
      b[at + 1] = 0x70;
      b.copyWithin(at + 2, packet + 16, packet + 20);
    }
  }

  #arp(at: number): number {
    const random = this.#random;
    const b = this.#b;
    b.set([0, 1, 8, 0, 6, 4, 0, random.oneIn(8) ? random.below(4) : 1], at);
    b.set(random.oneIn(12) ? random.pick(MACS) : MACS[0], at + 8);
    b.set(this.#address(V4, false), at + 14);
    this.#noise(at + 18, 6);
    b.set(this.#address(V4, true), at + 24);
    return 28;
  }

  #solicitation(ip: number): number {
    const random = this.#random;
    const b = this.#b;
    const target = this.#address(V6, true);
    b[ip] = 0x60;
    b.fill(0, ip + 1, ip + 8);
    b[ip + 6] = 58;
    b[ip + 7] = random.oneIn(12) ? random.next() : 255;
    b.set(random.oneIn(8) ? V6[10] : this.#address(V6, false), ip + 8);
    b.set(target, ip + 24);
    if (!random.oneIn(4)) {
      b.fill(0, ip + 24, ip + 37);
      b.set([0xff, 0x02], ip + 24);
      b.set([1, 0xff], ip + 35);
    }
    const msg = ip + 40;
    b.fill(0, msg, msg + 8);
    b[msg] = 135;
    b[msg + 1] = random.oneIn(24) ? 1 : 0;
    b.set(target, msg + 8);
    let at = msg + 24;
    for (let count = random.oneIn(4) ? random.below(4) : 1; count > 0; count--) {
      const units = random.oneIn(8) ? random.below(4) : 1;
      b[at] = random.oneIn(6) ? random.below(16) : 1;
      b[at + 1] = units;
      this.#noise(at + 2, Math.max(6, 8 * units - 2));
      b.set(random.oneIn(12) ? random.pick(MACS) : MACS[0], at + 2);
      at += Math.max(8, 8 * units);
    }
    const payloadLen = at - msg;
    b[ip + 4] = payloadLen >> 8;
    b[ip + 5] = payloadLen & 255;
    if (!random.oneIn(24)) this.#mend6(ip, payloadLen);
    return 40 + payloadLen;
  }

  /** Writes a datagram in pieces, in any order; some are missing, come again, or overlap. */
  #fragments(together: boolean): void {
    const random = this.#random;
    const journal = this.#journal;
    const b = this.#b;
    // The datagram is made where the journal has room, with its checksums, and taken from there.
    const room = Math.min(MAX_DATAGRAM, journal.room - MAX_DATAGRAM);
    const six = this.#family === "ipv6" || (this.#family === "frames" && random.oneIn(2));
    const header = this.#world.tap ? 14 : 0;
    const ip = journal.open();
    const headerLen = six ? 40 : random.oneIn(4) ? this.#options(ip) : 20;
    const length = Math.min(8 + random.below(random.oneIn(16) ? 65600 : random.oneIn(4) ? 4000 : 400), room - 128);
    for (let at = 0; at < length; at += POOL / 2) this.#noise(ip + headerLen + at, Math.min(POOL / 2, length - at));
    const echo = !random.oneIn(8);
    const [src, dst] = six
      ? [this.#address(V6, false), this.#address(V6, true)]
      : [this.#address(V4, false), this.#address(V4, true)];
    const protocol = six ? (echo ? 58 : random.pick([17, 58, 60, 0, 43])) : echo ? 1 : random.pick([1, 17, 6]);
    if (echo) b[ip + headerLen] = six ? 128 : 8;
    if (six) {
      b.fill(0, ip, ip + 40);
      b[ip] = 0x60;
      b[ip + 1] = random.oneIn(4) ? random.next() & 0x30 : 0;
      b[ip + 6] = protocol;
      b[ip + 7] = 64;
      b.set(src, ip + 8);
      b.set(dst, ip + 24);
      if (length < 65536) this.#mend6(ip, length);
    } else {
      b[ip] = 0x40 | headerLen >> 2;
      b[ip + 1] = random.oneIn(4) ? random.next() & 3 : 0;
      b[ip + 8] = 64;
      b[ip + 9] = protocol;
      b.set(src, ip + 12);
      b.set(dst, ip + 16);
      b[ip + 6] = b[ip + 7] = 0;
      this.#mendPayload(b, ip, headerLen, headerLen + length);
    }
    b.copy(this.#datagram, 0, ip, ip + headerLen + length);
    const id = random.next() & (random.oneIn(2) ? 3 : 0xffff);

    const extension = six ? 8 : 0;
    const fits = this.#world.mtu - headerLen - extension & ~7;
    if (fits < 8) return;
    let pieces = 0;
    let offset = 0;
    while (offset < length && pieces < MAX_PIECES) {
      this.#cuts[pieces++] = offset;
      offset += Math.min(fits, random.oneIn(2) && length < 8 * fits ? 8 + (random.below(fits) & ~7) : fits);
    }
    this.#cuts[pieces] = Math.min(offset, length);
    const order = random.below(3);
    for (let i = 0; i < pieces && journal.room > 4 * MAX_LEN; i++) {
      const piece = order === 0 ? i : order === 1 ? pieces - 1 - i : random.below(pieces);
      if (random.oneIn(pieces > 8 ? 200 : 24)) continue;
      let from = this.#cuts[piece];
      const to = Math.min(this.#cuts[piece + 1], from + fits);
      if (random.oneIn(32)) from = Math.max(0, from - 8);
      const more = (to < length) !== random.oneIn(40);
      const at = journal.open();
      const packet = at + header;
      const payload = packet + headerLen + extension;
      this.#datagram.copy(b, packet, 0, headerLen);
      const len = Math.min(to - from, this.#world.mtu - headerLen - extension);
      this.#datagram.copy(b, payload, headerLen + from, headerLen + from + len);
      if (six) {
        b[packet + 4] = len + 8 >> 8;
        b[packet + 5] = len + 8 & 255;
        b[packet + 6] = 44;
        const extensionAt = packet + 40;
        b[extensionAt] = protocol;
        b[extensionAt + 1] = 0;
        b[extensionAt + 2] = from >> 8;
        b[extensionAt + 3] = from & 0xf8 | (more ? 1 : 0);
        b.writeUInt32BE(id, extensionAt + 4);
      } else {
        const totalLen = headerLen + len;
        b[packet + 2] = totalLen >> 8;
        b[packet + 3] = totalLen & 255;
        b.writeUInt16BE(id & 0xffff, packet + 4);
        b[packet + 6] = (more ? 0x20 : 0) | from >> 11;
        b[packet + 7] = from >> 3 & 255;
        this.#setSum(b, packet + 10, packet, headerLen, 0);
      }
      if (header > 0) {
        b.set(MACS[0], at + 6);
        b[at + 12] = six ? 0x86 : 0x08;
        b[at + 13] = six ? 0xdd : 0x00;
        this.#setMac(at, packet, six ? 0x86dd : 0x0800);
      }
      const end = header + headerLen + extension + len;
      journal.packet(random.oneIn(40) ? this.#mutated(at, end) : end, together && !random.oneIn(8));
    }
  }
}
