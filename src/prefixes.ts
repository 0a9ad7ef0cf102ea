/**
 * Prefixes: read from text, and laid out for the engines as a trie over the bytes of an address. A lookup is then three loads
 * at most, and nesting costs it nothing: the longest match was decided here.
 */
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { FIRST_NODE, FIRST_PREFIX, INVALID, NOBODY, PREFIXES, TRIE } from "./abi.js";
import { EXIT, Failure } from "./failure.js";

export interface Address {
  readonly family: 4 | 6;
  /** 4 or 16 bytes, network order. */
  readonly bytes: Uint8Array;
  readonly text: string;
}

export interface Prefix extends Address {
  /** Prefix length in bits; the bits of `bytes` beyond it are 0. `text` is `address/length`. */
  readonly length: number;
}

/** IPv4 ranges that are no host's, as source or destination (RFC 1122 §3.2.1.3; RFC 6890). */
const NEVER_VALID = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"].map(parseBlock);

/** @throws Failure (usage) for what is no IPv4 or IPv6 address. */
export function parseAddress(text: string): Address {
  if (isIP(text) === 0 || text.includes("%")) throw usage(`"${text}" is not an IP address; write it like 10.99.0.1`);
  return address(ipaddr.parse(text));
}

/**
 * Reads `address/length`, or a bare address for a prefix of one.
 * @throws Failure (usage) for bad syntax, bits beyond the length, IPv6 (not answered yet), and ranges that are no host's.
 */
export function parsePrefix(text: string): Prefix {
  const prefix = parseBlock(text);
  if (prefix.family === 6) throw usage(`prefix "${text}": IPv6 is not answered yet; give IPv4 prefixes`);
  const first = toNumber(prefix);
  const invalid = NEVER_VALID.find((range) => toNumber(range) <= lastOf(prefix) && first <= lastOf(range));
  if (invalid) throw usage(`prefix "${text}" has addresses of ${invalid.text}, which are no host's; choose another prefix`);
  return prefix;
}

/**
 * The host's address as given, for prefixes that have been parsed.
 * @throws Failure (usage) for IPv6, an address that is no host's, and one that leaves no other to answer.
 */
export function parseHostAddress(text: string, prefixes: readonly Prefix[]): Address {
  const host = parseAddress(text);
  if (host.family === 6) throw usage(`host address ${text}: the prefixes are IPv4, and so must it be`);
  const value = toNumber(host);
  const invalid = NEVER_VALID.find((range) => toNumber(range) <= value && value <= lastOf(range));
  if (invalid) throw usage(`host address ${text} lies in ${invalid.text}, whose addresses are no host's; choose another one`);
  if (prefixes.every(({ text: prefix }) => prefix === `${host.text}/32`)) throw usage(`host address ${text} is all there is to answer; choose another one, or "none"`);
  return host;
}

/** `example`: the command as it would be right. @throws Failure (usage) for none, too many, or the same one twice. */
export function checkPrefixes(prefixes: readonly Prefix[], example = "pongd run 10.99.0.0/16"): void {
  if (prefixes.length === 0) throw usage(`no prefix given; try: ${example}`);
  if (prefixes.length > PREFIXES) throw usage(`${prefixes.length} prefixes given; at most ${PREFIXES} fit`);
  const seen = new Set<string>();
  for (const { text } of prefixes) {
    if (seen.has(text)) throw usage(`prefix ${text} is given twice`);
    seen.add(text);
  }
}

/**
 * Blocks that are cut out of the prefixes.
 * @throws Failure (usage) for one that lies in no prefix, and for one that is a prefix as well, or given twice.
 */
export function parseExceptions(texts: readonly string[], prefixes: readonly Prefix[]): Prefix[] {
  const exceptions = texts.map(parsePrefix);
  if (prefixes.length + exceptions.length > PREFIXES) throw usage(`${prefixes.length + exceptions.length} prefixes and exceptions given; at most ${PREFIXES} fit`);
  exceptions.forEach((exception, i) => {
    if (exceptions.findIndex(({ text }) => text === exception.text) < i) throw usage(`exception ${exception.text} is given twice`);
    if (prefixes.some(({ text }) => text === exception.text)) throw usage(`${exception.text} is given as a prefix and as an exception`);
    if (!prefixes.some((prefix) => contains(prefix, exception))) throw usage(`exception ${exception.text} lies in none of the prefixes`);
  });
  return exceptions;
}

/** The first usable address of the first prefix that has room for the host and others, or undefined. */
export function firstUsable(prefixes: readonly Prefix[]): Address | undefined {
  // RFC 3021: a prefix of two addresses has no network address, so both are usable.
  const candidates = prefixes.flatMap((prefix) => sizeOf(prefix) > 2 ? [1, 2, 3].map((offset) => fromNumber(toNumber(prefix) + offset)) : sizeOf(prefix) === 2 ? [prefix] : []);
  const alone = new Set(prefixes.filter((prefix) => sizeOf(prefix) === 1).map(({ text }) => text));
  const found = candidates.find(({ text }) => !alone.has(`${text}/32`));
  return found && fromNumber(toNumber(found));
}

/** How many addresses the prefix spans. */
export function sizeOf(prefix: Prefix): number {
  return 2 ** (prefix.bytes.length * 8 - prefix.length);
}

/** An address that is answered, to try a ping on: the ".1.1" of a /16, where there is one. */
export function exampleOf(prefixes: readonly Prefix[], exceptions: readonly Prefix[], host: Address | undefined): string {
  const examples = prefixes.flatMap((prefix) => [257, 2, 1, 0].filter((offset) => offset < sizeOf(prefix)).map((offset) => fromNumber(toNumber(prefix) + offset)));
  const longest = (blocks: readonly Prefix[], { bytes }: Address) => Math.max(-1, ...blocks.filter((block) => contains(block, { bytes, length: 32 })).map(({ length }) => length));
  const found = examples.find((example) => example.text !== host?.text && longest(prefixes, example) > longest(exceptions, example));
  return (found ?? examples[0]).text;
}

/**
 * The trie over these prefixes, word for word as it is to lie at TRIE (abi.ts). The longest prefix or exception wins;
 * ranges that are no host's and the host's own addresses are cut out of the prefixes that contain them.
 */
export function trieOf(prefixes: readonly Prefix[], exceptions: readonly Prefix[], hosts: readonly Address[]): Uint32Array {
  // Outer before inner: a block covers what shorter ones have put there, and no node.
  const blocks = [
    ...[
      ...prefixes.map((prefix, i) => ({ ...prefix, owner: FIRST_PREFIX + i })),
      ...exceptions.map((exception) => ({ ...exception, owner: NOBODY })),
    ].sort((a, b) => a.length - b.length),
    ...NEVER_VALID.map((range) => ({ ...range, owner: INVALID })),
    ...hosts.filter(({ family }) => family === 4).map((host) => ({ ...host, length: 32, owner: NOBODY })),
  ];
  const trie = new Uint32Array((FIRST_NODE - TRIE) / 4 + 256 * 2 * blocks.length);
  let end = (FIRST_NODE - TRIE) / 4;
  /** The node below an entry; if it is new, all of it belongs to whom the entry did. */
  const below = (entry: number) => {
    if (trie[entry] < FIRST_NODE) {
      trie.fill(trie[entry], end, end + 256);
      trie[entry] = TRIE + 4 * end;
      end += 256;
    }
    return (trie[entry] - TRIE) / 4;
  };
  for (const { bytes, length, owner } of blocks) {
    if (length <= 16) {
      // As loaded from a packet: little-endian.
      for (let first = bytes[0] << 8 | bytes[1], i = first; i < first + 2 ** (16 - length); i++) trie[(i & 0xff) << 8 | i >> 8] = owner;
    } else {
      let node = below(bytes[1] << 8 | bytes[0]);
      if (length > 24) node = below(node + bytes[2]);
      const first = node + bytes[length > 24 ? 3 : 2];
      trie.fill(owner, first, first + 2 ** ((length > 24 ? 32 : 24) - length));
    }
  }
  return trie.subarray(0, end);
}

function parseBlock(text: string): Prefix {
  const [addr, bits, ...rest] = text.split("/") as [string, string?, ...string[]];
  if (isIP(addr) === 0 || addr.includes("%") || rest.length > 0) {
    throw usage(`"${text}" is not a prefix; write it like 10.99.0.0/16`);
  }
  const parsed = address(ipaddr.parse(addr));
  const width = parsed.bytes.length * 8;
  const length = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : NaN;
  if (!(length <= width)) throw usage(`prefix "${text}": the length after "/" must be 0 to ${width}`);
  const bytes = parsed.bytes.map((byte, i) => byte & 0xff << Math.max(0, Math.min(8, 8 * (i + 1) - length)));
  const network = address(ipaddr.fromByteArray([...bytes]));
  if (network.text !== parsed.text) {
    throw usage(`prefix "${text}" has bits set beyond its length; did you mean ${network.text}/${length}?`);
  }
  return { ...network, length, text: `${network.text}/${length}` };
}

function address(parsed: ipaddr.IPv4 | ipaddr.IPv6): Address {
  return { family: parsed.kind() === "ipv4" ? 4 : 6, bytes: Uint8Array.from(parsed.toByteArray()), text: parsed.toString() };
}

/** 4 or 16 bytes as an address is written. */
export function formatBytes(bytes: Uint8Array): string {
  return ipaddr.fromByteArray([...bytes]).toString();
}

function toNumber({ bytes }: Address): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}

function fromNumber(value: number): Address {
  return address(ipaddr.fromByteArray([value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255]));
}

function contains(outer: Prefix, inner: { bytes: Uint8Array; length: number }): boolean {
  if (inner.length < outer.length) return false;
  return outer.bytes.every((byte, i) => ((byte ^ inner.bytes[i]) & 0xff << Math.max(0, Math.min(8, 8 * (i + 1) - outer.length)) & 0xff) === 0);
}

function lastOf(prefix: Prefix): number {
  return toNumber(prefix) + sizeOf(prefix) - 1;
}

function usage(message: string): Failure {
  return new Failure(message, EXIT.USAGE);
}
