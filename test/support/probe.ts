/** Builds PROBE's messages, RFC 8335, from scratch. */
import assert from "node:assert/strict";
import { InterfaceLists } from "../../src/config/interfaces.js";
import type { InterfaceMap } from "../../src/config/types.js";
import { icmpv6Packet, setIcmpv6Checksum, type Icmpv6Options } from "./ipv6.js";
import { bytes, checksum, icmpPacket, setHeaderChecksum, setIcmpChecksum, type EchoOptions } from "./packets.js";

export interface ProbeOptions {
  /** The byte behind the sequence number: reserved bits, and L as the lowest. */
  readonly flags?: number;
  /** The extension header's checksum where it is to be wrong. */
  readonly sum?: number;
  /** The extension header's first byte. */
  readonly version?: number;
  /** What follows the object. */
  readonly data?: Uint8Array;
}

/** Returns the list of these interfaces, as an engine has it. */
export function interfacesOf(maps: readonly InterfaceMap[]): Uint8Array | undefined {
  return new InterfaceLists().of(maps, (path, message) => { assert.fail(`${path.join(".")}: ${message}`); });
}

/** Returns an Interface Identification Object. */
export function object(
  cType: number, payload: Uint8Array, { classNum = 3, len = 4 + payload.length } = {},
): Uint8Array {
  return bytes(len >> 8, len & 255, classNum, cType, payload);
}

/** A name, padded with NULs. */
export function byName(name: string): Uint8Array {
  const padded = new Uint8Array(Buffer.byteLength(name) + 3 & ~3);
  padded.set(Buffer.from(name));
  return object(1, padded);
}

export function byIndex(index: number): Uint8Array {
  const value = new Uint8Array(4);
  new DataView(value.buffer).setUint32(0, index);
  return object(2, value);
}

/** An address of a family, padded with zeros up to a multiple of 4 bytes. */
export function byAddress(afi: number, address: Uint8Array, len = address.length): Uint8Array {
  return object(3, bytes(afi >> 8, afi & 255, len, 0, address, new Uint8Array(-address.length & 3)));
}

/** Returns what follows the first 8 bytes of a request: the extension structure with this object, and data. */
export function structure(
  object: Uint8Array, { sum, version = 0x20, data = new Uint8Array(0) }: ProbeOptions = {},
): Uint8Array {
  const right = checksum(bytes(version, 0, 0, 0, object));
  const written = sum ?? right;
  return bytes(version, 0, written >> 8, written & 255, object, data);
}

export function probe4(
  object: Uint8Array, { flags = 1, ...options }: ProbeOptions = {}, packet: EchoOptions = {},
): Uint8Array {
  return icmpPacket({ type: 42, sequence: 7 << 8 | flags, data: structure(object, options), ...packet });
}

export function probe6(
  object: Uint8Array, { flags = 1, ...options }: ProbeOptions = {}, packet: Icmpv6Options = {},
): Uint8Array {
  return icmpv6Packet({ type: 160, sequence: 7 << 8 | flags, data: structure(object, options), ...packet });
}

/** Returns the reply to a request of either family, written from RFC 8335 §4. It has no extension headers. */
export function expectedProbe(request: Uint8Array, code: number, state = 0): Uint8Array {
  const reply = request.slice();
  const six = request[0] >> 4 === 6;
  const at = six ? 40 : (request[0] & 15) * 4;
  reply.set([six ? 161 : 43, code], at);
  reply[at + 7] = state;
  const [source, length] = six ? [8, 16] : [12, 4];
  reply.set(request.subarray(source, source + length), source + length);
  reply.set(request.subarray(source + length, source + 2 * length), source);
  if (six) {
    reply[0] = 0x60;
    reply[1] &= 0x0f;
    reply[7] = 255;
    setIcmpv6Checksum(reply);
  } else {
    reply[1] = 0;
    reply[6] |= 0x40;
    reply[8] = 255;
    setIcmpChecksum(reply.subarray(at));
    setHeaderChecksum(reply);
  }
  return reply;
}
