/** IPv6 packets for tests: built field by field, as packets.ts does for IPv4. */
import ipaddr from "ipaddr.js";
import { checksum, pattern } from "./packets.js";

/** The host's own address in tests; it lies in the prefix, and is the usual source. */
export const HOST6 = "fd99::1";
export const TARGET6 = "fd99::1:1";
export const PREFIX6 = "fd99::/64";

export interface Ipv6Options {
  src?: string;
  dst?: string;
  hopLimit?: number;
  trafficClass?: number;
  flowLabel?: number;
  /** Of what the payload starts with. */
  nextHeader?: number;
  /** Before the message, the first one first. */
  extensions?: readonly Extension[];
}

export interface Icmpv6Options extends Ipv6Options {
  type?: number;
  code?: number;
  identifier?: number;
  sequence?: number;
  data?: Uint8Array;
}

/** An extension header but for its first byte, which says what follows. */
export interface Extension {
  /** Its own number. */
  readonly number: number;
  readonly rest: Uint8Array;
}

/** A correct ICMPv6 packet; an echo request from HOST6 to TARGET6 unless told otherwise. */
export function icmpv6Packet(options: Icmpv6Options = {}): Uint8Array {
  return ipv6Packet(icmpv6Message(options), options);
}

/** Its message alone, with the checksum that the addresses ask for. */
export function icmpv6Message(options: Icmpv6Options = {}): Uint8Array {
  const { type = 128, code = 0, identifier = 0x1234, sequence = 1, data = pattern(56) } = options;
  const msg = new Uint8Array(8 + data.length);
  const view = new DataView(msg.buffer);
  msg[0] = type;
  msg[1] = code;
  view.setUint16(4, identifier);
  view.setUint16(6, sequence);
  msg.set(data, 8);
  view.setUint16(2, checksum6(msg, 58, options));
  return msg;
}

export function ipv6Packet(payload: Uint8Array, options: Ipv6Options = {}): Uint8Array {
  const { src = HOST6, dst = TARGET6, hopLimit = 64, trafficClass = 0, flowLabel = 0, nextHeader = 58, extensions = [] } = options;
  const numbers = [...extensions.map(({ number }) => number), nextHeader];
  const chain = extensions.flatMap(({ rest }, i) => [Uint8Array.of(numbers[i + 1]), rest]);
  const header = new Uint8Array(40);
  const view = new DataView(header.buffer);
  view.setUint32(0, 6 * 2 ** 28 + trafficClass * 2 ** 20 + flowLabel);
  view.setUint16(4, chain.reduce((sum, part) => sum + part.length, payload.length));
  header[6] = numbers[0];
  header[7] = hopLimit;
  header.set(addr6(src), 8);
  header.set(addr6(dst), 24);
  return new Uint8Array(Buffer.concat([header, ...chain, payload]));
}

/** RFC 8200 §8.1: over the pseudo-header and the message, whose checksum field is 0. */
export function checksum6(msg: Uint8Array, nextHeader: number, { src = HOST6, dst = TARGET6 }: Ipv6Options = {}): number {
  const tail = new Uint8Array(8);
  const view = new DataView(tail.buffer);
  view.setUint32(0, msg.length);
  view.setUint32(4, nextHeader);
  return checksum(Buffer.concat([addr6(src), addr6(dst), tail, msg]));
}

export function addr6(text: string): Uint8Array {
  return Uint8Array.from(ipaddr.parse(text).toByteArray());
}
