/**
 * Prefixes in their plain form, parsed by hand: IPv4 without leading zeros, and IPv6 in hexadecimal digits alone. What
 * is not parsed here may be a prefix all the same.
 */

/** A prefix. `text` is `address/length` as ipaddr.js would write it. */
export interface Plain {
  /** 4 or 16 bytes, in network order. There may be bits set beyond the length. */
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly text: string;
}

interface PlainAddress {
  readonly bytes: Uint8Array;
  /** The address as ipaddr.js would write it. */
  readonly text: string;
  /** Offset in the text behind the address. */
  readonly end: number;
}

/** Parses `address/length`, or a bare address as a prefix of one; undefined for anything else. */
export function parsePlain(text: string): Plain | undefined {
  const read = text.includes(":") ? parsePlain6(text) : parsePlain4(text);
  if (!read) return undefined;
  const { bytes, end } = read;
  const length = lengthAt(text, end, 8 * bytes.length);
  return length === undefined ? undefined : { bytes, length, text: `${read.text}/${length}` };
}

/** Parses four numbers without leading zeros. */
function parsePlain4(text: string): PlainAddress | undefined {
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
function parsePlain6(text: string): PlainAddress | undefined {
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
