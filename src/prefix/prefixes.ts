/** Prefixes, read from text and checked. */
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import type { Address, Family } from "./address.js";
import { parsePlain } from "./plain.js";
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

/** Returns how many addresses the prefix spans: a power of two, and so exact. */
export function sizeOf(prefix: Prefix): number {
  return 2 ** (prefix.bytes.length * 8 - prefix.length);
}

/**
 * Reads `address/length`, or a bare address, of any range. Prefixes in their plain form are parsed by hand, since there
 * may be 100,000. ipaddr.js reads all others, or parseAny() says why not. @throws Failure (usage)
 */
export function parseBlock(text: string): Prefix {
  const plain = parsePlain(text);
  if (!plain || hasBitsBeyond(plain.bytes, plain.length)) return parseAny(text);
  const { bytes, length } = plain;
  return { family: bytes.length === 4 ? 4 : 6, bytes, length, text: plain.text };
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
export function contains(outer: Block, inner: Block): boolean {
  if (outer.length > inner.length) return false;
  for (let i = 0; 8 * i < outer.length; i++) {
    if (((outer.bytes[i] ^ inner.bytes[i]) & maskOf(outer.length, i)) !== 0) return false;
  }
  return true;
}

export function masked(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.map((byte, i) => byte & maskOf(length, i));
}

/** Returns a mask of the bits of byte `i` within the length. */
function maskOf(length: number, i: number): number {
  return 0xff << Math.max(0, Math.min(8, 8 * (i + 1) - length)) & 0xff;
}

export function usage(message: string): Failure {
  return new Failure(message, EXIT.USAGE);
}
