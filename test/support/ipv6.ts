/** Builds IPv6 packets for tests field by field, as packets.ts does for IPv4. */
import ipaddr from "ipaddr.js";
import { bytes, checksum, pattern, type EchoOptions, type UdpOptions } from "./packets.js";

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
  /** The number of the header that the payload starts with. */
  nextHeader?: number;
  /** Headers before the message, the first one first. */
  extensions?: readonly Extension[];
}

export interface Icmpv6Options extends Ipv6Options {
  type?: number;
  code?: number;
  identifier?: number;
  sequence?: number;
  data?: Uint8Array;
}

/** An extension header without its first byte, which says what follows. */
export interface Extension {
  /** The header's own number. */
  readonly number: number;
  readonly rest: Uint8Array;
}

/** Builds a correct ICMPv6 packet; an echo request from HOST6 to TARGET6 unless told otherwise. */
export function icmpv6Packet(options: Icmpv6Options = {}): Uint8Array {
  return ipv6Packet(icmpv6Message(options), options);
}

/** Builds only the ICMPv6 message, with the checksum that the addresses ask for. */
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
  const {
    src = HOST6, dst = TARGET6, hopLimit = 64, trafficClass = 0, flowLabel = 0, nextHeader = 58, extensions = [],
  } = options;
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

/** Builds a correct UDP over IPv6 packet, unless told otherwise. */
export function udpPacket6(
  options: Ipv6Options & Omit<UdpOptions, keyof EchoOptions> & Pick<EchoOptions, "data"> = {},
): Uint8Array {
  const { data = pattern(16), sourcePort = 40000, destinationPort = 33434 } = options;
  const datagram = bytes(new Uint8Array(8), data);
  const view = new DataView(datagram.buffer);
  view.setUint16(0, sourcePort);
  view.setUint16(2, destinationPort);
  view.setUint16(4, options.length ?? datagram.length);
  view.setUint16(6, options.checksum ?? (checksum6(datagram, 17, options) || 0xffff));
  return ipv6Packet(datagram, { ...options, nextHeader: 17 });
}

/**
 * Cuts a packet without extension headers into fragments at these offsets of its payload, with `extensions` before the
 * fragment header of each.
 */
export function fragmentsOf6(
  packet: Uint8Array, offsets: readonly number[], id = 0xdeadbeef, extensions: readonly Extension[] = [],
): Uint8Array[] {
  return offsets.slice(1).map((end, i) => {
    const header = fragmentHeader(offsets[i], end < packet.length - 40 ? 1 : 0, id);
    const fragment = ipv6Packet(
      packet.subarray(40 + offsets[i], 40 + end), { nextHeader: packet[6], extensions: [...extensions, header] },
    );
    // Copies the header but for the payload's length and what comes next.
    fragment.set(packet.subarray(0, 4));
    fragment.set(packet.subarray(7, 40), 7);
    return fragment;
  });
}

/**
 * Returns the reply that pongd must send to an echo request, written from RFC 4443. `extensions` is the length of its
 * extension headers, which do not come back.
 */
export function expectedReply6(request: Uint8Array, { hopLimit = 64, extensions = 0 } = {}): Uint8Array {
  const payloadLen = new DataView(request.buffer, request.byteOffset).getUint16(4);
  const msg = request.slice(40 + extensions, 40 + payloadLen);
  msg.set([129, request[41 + extensions], 0, 0]);
  const reply = bytes(
    request.subarray(0, 4), msg.length >> 8, msg.length & 255, 58, hopLimit, request.subarray(24, 40),
    request.subarray(8, 24), msg,
  );
  setIcmpv6Checksum(reply);
  return reply;
}

/** Returns the error about a packet, written from RFC 4443 §3. */
export function expectedError6(
  packet: Uint8Array, type: number, code: number, { pointer = 0, hopLimit = 64, most = 1280 } = {},
): Uint8Array {
  const msg = bytes(type, code, new Uint8Array(6), packet.subarray(0, most - 48));
  new DataView(msg.buffer).setUint32(4, pointer);
  const error = bytes(
    0x60, 0, 0, 0, msg.length >> 8, msg.length & 255, 58, hopLimit, packet.subarray(24, 40), packet.subarray(8, 24),
    msg,
  );
  setIcmpv6Checksum(error);
  return error;
}

/** Sets the checksum of a packet without extension headers, which is as long as it says. */
export function setIcmpv6Checksum(packet: Uint8Array): void {
  const view = new DataView(packet.buffer, packet.byteOffset);
  const msg = packet.subarray(40, 40 + view.getUint16(4));
  msg.set([0, 0], 2);
  view.setUint16(
    42, checksum(bytes(packet.subarray(8, 40), 0, 0, msg.length >> 8, msg.length & 255, 0, 0, 0, 58, msg)),
  );
}

/** Computes the checksum over the pseudo-header and the message, whose checksum field is 0 (RFC 8200 §8.1). */
export function checksum6(
  msg: Uint8Array, nextHeader: number, { src = HOST6, dst = TARGET6 }: Ipv6Options = {},
): number {
  const tail = new Uint8Array(8);
  const view = new DataView(tail.buffer);
  view.setUint32(0, msg.length);
  view.setUint32(4, nextHeader);
  return checksum(Buffer.concat([addr6(src), addr6(dst), tail, msg]));
}

export function addr6(text: string): Uint8Array {
  return Uint8Array.from(ipaddr.parse(text).toByteArray());
}

export const HOP_BY_HOP = 0;
export const ROUTING = 43;
export const FRAGMENT = 44;
export const DESTINATION = 60;

/** Builds an options header, filled up with PadN to a multiple of 8. */
function optionsHeader(number: number, ...options: (number | Uint8Array)[]): Extension {
  const content = bytes(...options);
  const missing = -(content.length + 2) & 7;
  const padding = missing === 0
    ? new Uint8Array(0)
    : missing === 1 ? new Uint8Array(1) : bytes(1, missing - 2, new Uint8Array(missing - 2));
  const all = bytes(content, padding);
  return { number, rest: bytes((all.length + 2) / 8 - 1, all) };
}

export const hopByHop = (...options: (number | Uint8Array)[]) => optionsHeader(HOP_BY_HOP, ...options);
export const destination = (...options: (number | Uint8Array)[]) => optionsHeader(DESTINATION, ...options);
export const raw = (number: number, ...rest: (number | Uint8Array)[]): Extension => ({ number, rest: bytes(...rest) });
/** Builds a routing header with one address, like those of type 0 and 2. */
export const routing = (type: number, segmentsLeft: number) => raw(
  ROUTING, 2, type, segmentsLeft, new Uint8Array(4), addr6("2001:db8::7"),
);
export const shortRouting = (type: number, segmentsLeft: number) => raw(
  ROUTING, 0, type, segmentsLeft, new Uint8Array(4),
);

/** Builds a fragment header. `flags`: the reserved two bits and M. */
export function fragmentHeader(offset: number, flags: number, id: number, reserved = 0): Extension {
  const rest = new Uint8Array(7);
  rest[0] = reserved;
  const view = new DataView(rest.buffer);
  view.setUint16(1, offset | flags);
  view.setUint32(3, id);
  return { number: FRAGMENT, rest };
}
