/** Prefixes, read from text and checked. */
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { PREFIXES } from "../../abi/tables.js";
import type { Address, Family } from "./address.js";
import { DEFAULT_ANSWERS, DEFAULT_POLICY, type Answers, type Policy } from "./policy.js";
import { EXIT, Failure } from "../base/failure.js";

export type { Address, Family };
export const FAMILIES: readonly Family[] = [4, 6];

/** A block of addresses, which begin with the first `length` bits of `bytes`. */
export interface Block {
  /** 4 or 16 bytes, in network order. */
  readonly bytes: Uint8Array;
  readonly length: number;
}

export interface Prefix extends Address {
  /** Prefix length in bits. The bits of `bytes` beyond it are 0. `text` is `address/length`. */
  readonly length: number;
}

/** A prefix that pongd answers for. */
export interface ServedPrefix extends Prefix {
  readonly answers: Answers;
  /** Value of the metrics' label. */
  readonly name?: string | undefined;
}

/** Everything that a reload may change. */
export interface Serving {
  readonly prefixes: readonly ServedPrefix[];
  /** Prefixes inside these that are not answered. */
  readonly exceptions: readonly Prefix[];
  readonly policy: Policy;
}

/** Makes a configuration whose prefixes all answer alike, by default as DEFAULT_ANSWERS says. */
export function serving(
  prefixes: readonly Prefix[],
  { exceptions = [], policy, ...answers }: Partial<Answers> & Partial<Omit<Serving, "prefixes">> = {},
): Serving {
  const alike = { ...DEFAULT_ANSWERS, ...answers };
  return {
    prefixes: prefixes.map((prefix) => ({ ...prefix, answers: alike })), exceptions, policy: policy ?? DEFAULT_POLICY,
  };
}

/**
 * Ranges that no host can have, neither as source nor as destination. IPv4: RFC 1122 §3.2.1.3, RFC 6890. IPv6: the
 * unspecified address, loopback, IPv4-mapped addresses and multicast (RFC 4291 §2.5.2, §2.5.3, §2.5.5.2, §2.7).
 */
export const NEVER_VALID = [
  "0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/128", "::1/128", "::ffff:0.0.0.0/96", "ff00::/8",
].map(parseBlock);
/** Link-local addresses. Each link has them to itself, and no router forwards them (RFC 4291 §2.5.6). */
const LINK_LOCAL = parseBlock("fe80::/10");

/** @throws Failure (usage) where the text is no IPv4 or IPv6 address. */
export function parseAddress(text: string): Address {
  checkZone(text, text);
  if (isIP(text) === 0) throw usage(`"${text}" is not an IP address; write it like 10.99.0.1 or 2001:db8::1`);
  return address(ipaddr.parse(text));
}

/**
 * Reads `address/length`, or a bare address as a prefix of one.
 * @throws Failure (usage) for bad syntax, bits beyond the length, and ranges that no host can have
 * or that are never routed.
 */
export function parsePrefix(text: string): Prefix {
  const prefix = parseBlock(text);
  const problem = problemOf(prefix);
  if (problem !== undefined) throw usage(`prefix "${text}" has addresses of ${problem}; choose another prefix`);
  return prefix;
}

/**
 * Returns the host's own addresses for prefixes that have been parsed. `texts` are addresses, at most one of
 * each family, or "none". A family without a given address gets the first usable one, outside the
 * exceptions, which belong to others.
 * @throws Failure (usage) for an address that cannot be the host's, and where no other address is left to answer.
 */
export function parseHostAddresses(
  texts: readonly string[], prefixes: readonly Prefix[], exceptions: readonly Prefix[] = [],
): Address[] {
  if (texts.includes("none")) {
    if (texts.length > 1) throw usage(`host address "none" leaves no room for `
      + `${texts.find((text) => text !== "none") ?? "a second one"}; give one or the other`);
    return [];
  }
  const given = texts.map((text) => parseHostAddress(text, prefixes));
  const hosts = FAMILIES.flatMap((family) => {
    const own = given.filter((host) => host.family === family);
    if (own.length > 1) throw usage(`host addresses ${own[0].text} and ${own[1].text} are both IPv${family}; give one`);
    return own.at(0) ?? firstUsable(prefixes, exceptions, family) ?? [];
  });
  const own = new Set(hosts.map(({ text, bytes }) => `${text}/${8 * bytes.length}`));
  if (prefixes.every(({ text }) => own.has(text))) {
    throw usage(`host address ${given[0].text} is all there is to answer; choose another one, or "none"`);
  }
  return hosts;
}

function parseHostAddress(text: string, prefixes: readonly Prefix[]): Address {
  const host = parseAddress(text);
  const problem = rangeProblemOf(host);
  if (problem !== undefined) throw usage(`host address ${text} lies in ${problem}; choose another one`);
  if (prefixes.every(({ family }) => family !== host.family)) {
    throw usage(`host address ${text}: the prefixes are IPv${prefixes[0].family}, and so must it be`);
  }
  return host;
}

/**
 * A prefix or exception that conflicts with the others. `index` is its position among the prefixes,
 * followed by the exceptions.
 */
export interface Misfit {
  readonly index: number;
  readonly message: string;
  /** Position of the one that it repeats. */
  readonly first?: number;
}

/**
 * Yields what is wrong with prefixes and exceptions taken together. An entry that is invalid by itself is undefined.
 */
export function* misfits(
  prefixes: readonly (Prefix | undefined)[], exceptions: readonly (Prefix | undefined)[],
): Generator<Misfit, void, undefined> {
  const count = prefixes.length + exceptions.length;
  if (count > PREFIXES) yield {
    index: PREFIXES,
    message: `${count} prefixes${exceptions.length > 0 ? " and exceptions" : ""} given; at most ${PREFIXES} fit`,
  };
  const seen = new Map<string, number>();
  const containers = exceptions.length > 0
    ? new BlockMap(prefixes.filter((prefix) => prefix !== undefined))
    : undefined;
  for (let index = 0; index < count; index++) {
    const exception = index >= prefixes.length;
    const block = exception ? exceptions[index - prefixes.length] : prefixes[index];
    if (!block) continue;
    const first = seen.get(block.text);
    if (first === undefined) {
      seen.set(block.text, index);
      if (exception && !containers?.around(block)) {
        yield { index, message: `exception ${block.text} lies in none of the prefixes` };
      }
    } else if (exception && first < prefixes.length) {
      yield { index, first, message: `${block.text} is given as a prefix and as an exception` };
    } else {
      yield { index, first, message: `${exception ? "exception" : "prefix"} ${block.text} is given twice` };
    }
  }
}

/**
 * Returns the first usable address of the first prefix of the family that has room for the host
 * and others, or undefined.
 */
function firstUsable(prefixes: readonly Prefix[], exceptions: readonly Prefix[], family: Family): Address | undefined {
  const own = prefixes.filter((prefix) => prefix.family === family);
  // Exceptions belong to others, and a prefix of one address is there to answer.
  const taken = new BlockMap(
    [...exceptions.filter((exception) => exception.family === family), ...own.filter((prefix) => sizeOf(prefix) === 1)],
  );
  for (const prefix of own.filter((prefix) => sizeOf(prefix) > 1)) {
    // The first address is the network's, and the Subnet-Router anycast address (RFC 4291 §2.6.1). RFC 3021, RFC 6164:
    // a prefix of two addresses has neither, so both are usable, but one has to be left to answer.
    let candidate = plus(prefix, sizeOf(prefix) > 2 ? 1 : 0);
    for (;;) {
      const block = { ...candidate, length: 8 * candidate.bytes.length };
      if (!contains(prefix, block)) break;
      const whose = taken.get(block) ?? taken.around(block);
      if (!whose) return candidate;
      if (sizeOf(prefix) === 2) break;
      candidate = plus({ ...whose, bytes: lastOf(whose) }, 1);
    }
  }
  return undefined;
}

/** Returns how many addresses the prefix spans: a power of two, and so exact. */
export function sizeOf(prefix: Prefix): number {
  return 2 ** (prefix.bytes.length * 8 - prefix.length);
}

/**
 * Reads `address/length`, or a bare address, of any range. Prefixes in their plain form are parsed by hand, since there
 * may be 100,000. ipaddr.js reads all others, or parseAny() says why not. @throws Failure (usage)
 */
export function parseBlock(text: string): Prefix {
  const read = text.includes(":") ? parsePlain6(text) : parsePlain4(text);
  const length = read && lengthAt(text, read.end, 8 * read.bytes.length);
  if (!read || length === undefined || hasBitsBeyond(read.bytes, length)) return parseAny(text);
  return { family: read.bytes.length === 4 ? 4 : 6, bytes: read.bytes, length, text: `${read.text}/${length}` };
}

interface Plain {
  readonly bytes: Uint8Array;
  /** The address as ipaddr.js would write it. */
  readonly text: string;
  /** Offset in the text behind the address. */
  readonly end: number;
}

/** Parses four numbers without leading zeros. */
function parsePlain4(text: string): Plain | undefined {
  const bytes = new Uint8Array(4);
  let at = 0;
  for (let i = 0; i < 4; i++) {
    if (i > 0 && text[at++] !== ".") return undefined;
    const first = at;
    let byte = 0;
    for (; at < first + 3 && digitAt(text, at) < 10; at++) byte = 10 * byte + digitAt(text, at);
    if (at === first || byte > 255 || (at > first + 1 && text[first] === "0")) return undefined;
    bytes[i] = byte;
  }
  return { bytes, text: text.slice(0, at), end: at };
}

/** Parses groups of hexadecimal digits with or without "::". The first group must not be 0. */
function parsePlain6(text: string): Plain | undefined {
  const groups: number[] = [];
  let gap = -1;
  let at = 0;
  for (;;) {
    const first = at;
    let group = 0;
    for (; at < first + 4 && digitAt(text, at) < 16; at++) group = 16 * group + digitAt(text, at);
    if (at === first || groups.push(group) > 8) return undefined;
    if (text[at] !== ":") break;
    if (text[++at] !== ":") continue;
    if (gap !== -1) return undefined;
    gap = groups.length;
    at++;
    if (at === text.length || text[at] === "/") break;
  }
  if (groups[0] === 0 || (gap === -1 ? groups.length !== 8 : groups.length > 7)) return undefined;
  if (gap !== -1) groups.splice(gap, 0, ...new Array<number>(8 - groups.length).fill(0));
  const bytes = new Uint8Array(16);
  for (let i = 0; i < 8; i++) {
    bytes[2 * i] = groups[i] >> 8;
    bytes[2 * i + 1] = groups[i];
  }
  return { bytes, text: formatGroups(groups), end: at };
}

/** RFC 5952 §4.2: "::" replaces the longest run of zeros, the first of several, if it is longer than one. */
function formatGroups(groups: readonly number[]): string {
  let start = 0;
  let longest = 1;
  for (let i = 0, run = 0; i < 8; i++) {
    run = groups[i] === 0 ? run + 1 : 0;
    if (run > longest) [start, longest] = [i + 1 - run, run];
  }
  let text = "";
  for (let i = 0; i < 8; i++) {
    if (longest > 1 && i === start) {
      text += "::";
      i += longest - 1;
    } else {
      text += `${text === "" || text.endsWith(":") ? "" : ":"}${groups[i].toString(16)}`;
    }
  }
  return text;
}

/** Returns a digit's value, up to 15, or Infinity. */
function digitAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : Infinity;
}

/**
 * Returns the number of up to three digits behind the "/" at `at`, or `width` if the text ends there;
 * undefined for anything else.
 */
function lengthAt(text: string, at: number, width: number): number | undefined {
  if (at === text.length) return width;
  let length = 0;
  for (let i = at + 1; i < text.length; i++) {
    length = 10 * length + (digitAt(text, i) < 10 ? digitAt(text, i) : Infinity);
  }
  return text[at] === "/" && at + 1 < text.length && at + 4 >= text.length && length <= width ? length : undefined;
}

function parseAny(text: string): Prefix {
  const [addr, bits, ...rest] = text.split("/") as [string, string?, ...string[]];
  checkZone(text, addr);
  if (isIP(addr) === 0 || rest.length > 0) {
    throw usage(`"${text}" is not a prefix; write it like 10.99.0.0/16 or 2001:db8::/64`);
  }
  const parsed = address(ipaddr.parse(addr));
  const width = parsed.bytes.length * 8;
  const length = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : NaN;
  if (!(length <= width)) {
    const meant = width === 32 && ipaddr.IPv4.isValidFourPartDecimal(bits ?? "")
      ? ipaddr.IPv4.parse(bits ?? "").prefixLengthFromSubnetMask()
      : null;
    throw usage(
      `prefix "${text}": `
      + (meant === null
        ? `write a whole number from 0 to ${width} after "/"`
        : `write its netmask as a length: ${addr}/${meant}`),
    );
  }
  if (hasBitsBeyond(parsed.bytes, length)) {
    throw usage(`prefix "${text}" has bits set beyond its length; did you mean `
      + `${formatBytes(masked(parsed.bytes, length))}/${length}?`);
  }
  return { ...parsed, length, text: `${parsed.text}/${length}` };
}

/**
 * Refuses a zone. It names an interface of one host, so no address that others ping has one. @throws Failure (usage)
 */
function checkZone(text: string, addr: string): void {
  const [, zone] = (/^[^%]*(%.*)$/s.exec(addr) ?? []) as (string | undefined)[];
  if (zone !== undefined && isIP(addr) !== 0) throw usage(`"${text}" has a zone; write it without ${zone}`);
}

function hasBitsBeyond(bytes: Uint8Array, length: number): boolean {
  for (let i = length >> 3; i < bytes.length; i++) {
    if ((bytes[i] & ~maskOf(length, i)) !== 0) return true;
  }
  return false;
}

function address(parsed: ipaddr.IPv4 | ipaddr.IPv6): Address {
  return {
    family: parsed.kind() === "ipv4" ? 4 : 6, bytes: Uint8Array.from(parsed.toByteArray()), text: parsed.toString(),
  };
}

/** Formats the 4 or 16 bytes of an address. */
export function formatBytes(bytes: Uint8Array): string {
  return ipaddr.fromByteArray([...bytes]).toString();
}

/** Returns the address that lies `offset` behind another one of the same prefix. */
export function plus({ family, bytes }: Address, offset: number): Address {
  const sum = sumOf(bytes, offset);
  return { family, bytes: sum, text: formatBytes(sum) };
}

/** Adds `offset` to an address's bytes. The first address follows the last one. */
export function sumOf(bytes: Uint8Array, offset: number): Uint8Array {
  const sum = bytes.slice();
  for (let i = sum.length - 1, carry = offset; carry > 0 && i >= 0; i--, carry >>>= 8) {
    carry += sum[i];
    sum[i] = carry;
  }
  return sum;
}

/** Returns the last address of a block. */
export function lastOf({ bytes, length }: Block): Uint8Array {
  return bytes.map((byte, i) => byte | ~maskOf(length, i));
}

/** Says why an address can be no host's, as a range and a reason; undefined where it can. */
export function rangeProblemOf(address: Address): string | undefined {
  return problemOf({ ...address, length: 8 * address.bytes.length });
}

/** Says what is wrong with a prefix's addresses, as a range and a reason. */
function problemOf(block: Prefix): string | undefined {
  const overlaps = (range: Prefix) => range.bytes.length === block.bytes.length
    && (contains(range, block) || contains(block, range));
  const invalid = NEVER_VALID.find(overlaps);
  if (invalid) return `${invalid.text}, where no address is a host's`;
  return overlaps(LINK_LOCAL) ? `${LINK_LOCAL.text}, which is never routed` : undefined;
}

/** Returns whether `outer` contains `inner`. Both have the same length in bytes. */
function contains(outer: Block, inner: Block): boolean {
  if (outer.length > inner.length) return false;
  for (let i = 0; 8 * i < outer.length; i++) {
    if (((outer.bytes[i] ^ inner.bytes[i]) & maskOf(outer.length, i)) !== 0) return false;
  }
  return true;
}

/** Blocks by the addresses that they span. A lookup's cost does not depend on how many there are. */
export class BlockMap<T extends Block> {
  /** Blocks by length, then by bytes, whose number tells the family. */
  readonly #lengths = new Map<number, Map<string, T>>();

  constructor(blocks: Iterable<T>) {
    for (const block of blocks) {
      const { bytes, length } = block;
      let all = this.#lengths.get(length);
      if (!all) this.#lengths.set(length, all = new Map<string, T>());
      all.set(keyOf(bytes), block);
    }
  }

  /** Returns the block that spans the same addresses. */
  get({ bytes, length }: Block): T | undefined {
    return this.#lengths.get(length)?.get(keyOf(bytes));
  }

  /** Returns a larger block that contains it. */
  around({ bytes, length: inner }: Block): T | undefined {
    for (const [length, blocks] of this.#lengths) {
      const found = length < inner ? blocks.get(keyOf(masked(bytes, length))) : undefined;
      if (found) return found;
    }
    return undefined;
  }
}

function keyOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function masked(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.map((byte, i) => byte & maskOf(length, i));
}

/** Returns a mask of the bits of byte `i` within the length. */
function maskOf(length: number, i: number): number {
  return 0xff << Math.max(0, Math.min(8, 8 * (i + 1) - length)) & 0xff;
}

function usage(message: string): Failure {
  return new Failure(message, EXIT.USAGE);
}
