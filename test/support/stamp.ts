/**
 * STAMP as RFC 8762, RFC 8972 and RFC 9503 have it: a sender's packets, and what a reflector has to make of them. This
 * has nothing of assembly/.
 */
import { bytes } from "./packets.js";

/** Octets of a packet without TLVs. */
export const BASE = 44;

export interface SentOptions {
  readonly sequence?: number;
  readonly ssid?: number;
  /** What must be zero. */
  readonly zero?: Uint8Array;
  readonly rest?: Uint8Array;
}

/** A sender's packet, RFC 8762 §4.2.1 with the SSID of RFC 8972 §3; `rest` lies behind its 44 octets. */
export function sent(
  { sequence = 7, ssid = 0xc0de, zero = new Uint8Array(28), rest = new Uint8Array(0) }: SentOptions = {},
): Uint8Array {
  const packet = new Uint8Array(16);
  packet.set([0xe5, 0xf6, 0xa7, 0xb8, 0xc9, 0xda, 0xdb, 0xec, 0x8a, 0x0b], 4);
  const view = new DataView(packet.buffer);
  view.setUint32(0, sequence);
  view.setUint16(14, ssid);
  return bytes(packet, zero, rest);
}

/** A TLV, RFC 8972 §4, or one within another. A sender sets U alone. */
export function tlv(
  type: number, value: Uint8Array | readonly number[], { flags = 0x80, length = value.length } = {},
): Uint8Array {
  return bytes(flags, type, length >> 8, length & 255, Uint8Array.from(value));
}

export const U = 0x80;
export const M = 0x40;

/** What a reflector knows of a packet that comes, and of itself. */
export interface Facts {
  readonly source: readonly number[];
  readonly destination: readonly number[];
  readonly ports: { readonly source: number; readonly destination: number };
  /** The sender's MAC address; undefined where there is none. */
  readonly mac?: readonly number[] | undefined;
  readonly dscp: number;
  readonly ecn: number;
  readonly permitted: readonly number[];
  /** Whether a Location TLV is answered with more than zeros. */
  readonly isTold: boolean;
  readonly isSynchronized: boolean;
}

/** What becomes of TLVs: undefined where no reply is sent. `dscp`: what a Class of Service TLV makes of the reply's. */
export type Reflected = { readonly rest: Uint8Array; readonly dscp: number | undefined } | undefined;

interface Read {
  readonly type: number;
  /** Undefined if it goes beyond the end. */
  readonly value: number[] | undefined;
  /** What is there of it, and all that lies behind. */
  readonly raw: number[];
  readonly behind: number[];
}

/** Reads the TLV with which octets begin; undefined if there is none. */
function read(octets: number[]): Read | undefined {
  if (octets.length < 4) return undefined;
  const [, type, high, low] = octets;
  const end = 4 + 256 * high + low;
  return {
    type, value: end <= octets.length ? octets.slice(4, end) : undefined, raw: octets.slice(4),
    behind: octets.slice(end),
  };
}

function written(flags: number, type: number, value: readonly number[]): number[] {
  return [flags, type, value.length >> 8, value.length & 255, ...value];
}

/** Lengths that the values of known types may have. */
const LENGTHS: Readonly<Record<number, (length: number) => boolean>> = {
  1: () => true, 2: (length) => length >= 4, 3: (length) => length === 4, 4: (length) => length === 4,
  5: (length) => length === 12, 6: (length) => length === 4, 7: (length) => length === 16,
  9: (length) => length === 4 || length === 16, 10: () => true,
};

/** Returns what a stateless reflector makes of the octets behind a base packet. */
export function reflectedTlvs(rest: Uint8Array, facts: Facts): Reflected {
  const out: number[] = [];
  let dscp: number | undefined;
  let paths = 0;
  let octets = [...rest];
  for (;;) {
    const next = octets.slice(0, 4).every((octet) => octet === 0) ? undefined : read(octets);
    if (!next) return { rest: Uint8Array.from([...out, ...octets]), dscp };
    const { type, value, raw, behind } = next;
    const lengthIsRight = (LENGTHS as Partial<typeof LENGTHS>)[type];
    if (!value || lengthIsRight?.(value.length) === false) {
      const length = octets[2] * 256 + octets[3];
      // Erratum 8339: the fields of a Follow-Up Telemetry TLV are zeroed all the same.
      const kept = type === 7 ? raw.map((octet, i) => i < 12 && i < length ? 0 : octet) : raw;
      return { rest: Uint8Array.from([...out, lengthIsRight ? M : M | U, ...octets.slice(1, 4), ...kept]), dscp };
    }
    octets = behind;
    if (type === 10 && paths === 0) {
      const path = returnPath(value);
      if (path.code === 0) return undefined;
      out.push(...written(path.code === undefined ? U : 0, type, path.value));
    } else if (type === 4) {
      const wanted = value[0] >> 2;
      const permitted = facts.permitted.includes(wanted);
      dscp ??= permitted ? wanted : facts.dscp;
      const word = wanted << 10 | facts.dscp << 4 | facts.ecn << 2 | (permitted && wanted === dscp ? 0 : 1);
      out.push(...written(0, type, [word >> 8, word & 255, 0, 0]));
    } else {
      out.push(...other(type, value, facts));
    }
    if (type === 10) paths++;
  }
}

function other(type: number, value: number[], facts: Facts): number[] {
  switch (type) {
    case 1: return written(0, type, value);
    case 2: return written(0, type, location(value, facts));
    case 3: return written(0, type, [facts.isSynchronized ? 1 : 5, 2, facts.isSynchronized ? 1 : 5, 2]);
    case 6: return written([1, 2].includes(value[0] >> 4) ? 0 : U, type, value);
    case 7: return written(0, type, value.map(() => 0));
    case 9: return written(value.join() === facts.destination.join() ? 0 : U, type, value);
    // Direct Measurement needs a session, and others are not known.
    default: return written(U, type, value);
  }
}

function location(value: number[], { source, destination, ports, mac, isTold }: Facts): number[] {
  const out = isTold
    ? [ports.destination >> 8, ports.destination & 255, ports.source >> 8, ports.source & 255]
    : [0, 0, 0, 0];
  let octets = value.slice(4);
  const padded = (told: readonly number[], length: number) =>
    Array.from({ length }, (_, i) => isTold ? told.at(i) ?? 0 : 0);
  const six = source.length === 16;
  for (;;) {
    const next = read(octets);
    if (!next) return [...out, ...octets];
    const wanted = { 1: 8, 4: 16, 7: 16 }[next.type];
    if (!next.value || (wanted !== undefined && next.value.length !== wanted)) {
      return [...out, wanted === undefined ? M | U : M, ...octets.slice(1)];
    }
    octets = next.behind;
    if (next.type === 1) out.push(...written(0, mac && isTold ? 2 : 3, padded(mac ?? [], 8)));
    else if (next.type === 4) out.push(...written(0, six ? 6 : 5, padded(destination, 16)));
    else if (next.type === 7) out.push(...written(0, six ? 9 : 8, padded(source, 16)));
    else out.push(...written(U, next.type, next.value));
  }
}

/** RFC 9503 §4: what becomes of a Return Path TLV's value, and its control code. */
function returnPath(value: number[]): { value: number[]; code: number | undefined } {
  const out: number[] = [];
  let code: number | undefined;
  let octets = value;
  for (;;) {
    const next = read(octets);
    if (!next) return { value: [...out, ...octets], code };
    const isCode = next.type === 1;
    if (!next.value || (isCode && next.value.length !== 4)) {
      return { value: [...out, isCode ? M : M | U, ...octets.slice(1)], code };
    }
    octets = next.behind;
    const isFirst = isCode && code === undefined;
    if (isFirst) code = next.value[3] & 1;
    out.push(...written(isFirst ? 0 : U, next.type, next.value));
  }
}
