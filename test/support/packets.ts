/** Builds packets for tests field by field, and checks them by a checksum written as plainly as RFC 1071 puts it. */

export interface EchoOptions {
  src?: string;
  dst?: string;
  /** ICMP type and code. */
  type?: number;
  code?: number;
  identifier?: number;
  sequence?: number;
  data?: Uint8Array;
  ttl?: number;
  tos?: number;
  id?: number;
  /** Flags and fragment offset, the word at 6. */
  fragment?: number;
  protocol?: number;
  /** IP options, padded by the caller to a multiple of 4. */
  options?: Uint8Array;
}

/** The host's own address in tests; it lies in the prefix, and is the usual source. */
export const HOST = "10.99.0.1";
export const TARGET = "10.99.1.1";
export const PREFIX = "10.99.0.0/16";

/** Builds a correct ICMP over IPv4 packet; an echo request from HOST to TARGET unless told otherwise. */
export function icmpPacket(options: EchoOptions = {}): Uint8Array {
  const { type = 8, code = 0, identifier = 0x1234, sequence = 1, data = pattern(56) } = options;
  const msg = new Uint8Array(8 + data.length);
  const view = new DataView(msg.buffer);
  msg[0] = type;
  msg[1] = code;
  view.setUint16(4, identifier);
  view.setUint16(6, sequence);
  msg.set(data, 8);
  setIcmpChecksum(msg);
  return ipv4Packet(msg, options);
}

/** Builds a correct IPv4 packet around any payload. */
export function ipv4Packet(payload: Uint8Array, options: EchoOptions = {}): Uint8Array {
  const {
    src = HOST, dst = TARGET, ttl = 64, tos = 0, id = 0xbeef, fragment = 0x4000, protocol = 1,
    options: ipOptions = new Uint8Array(0),
  } = options;
  const headerLen = 20 + ipOptions.length;
  const packet = new Uint8Array(headerLen + payload.length);
  const view = new DataView(packet.buffer);
  packet[0] = 0x40 | headerLen / 4;
  packet[1] = tos;
  view.setUint16(2, packet.length);
  view.setUint16(4, id);
  view.setUint16(6, fragment);
  packet[8] = ttl;
  packet[9] = protocol;
  packet.set(addr(src), 12);
  packet.set(addr(dst), 16);
  packet.set(ipOptions, 20);
  packet.set(payload, headerLen);
  setHeaderChecksum(packet);
  return packet;
}

export interface UdpOptions extends EchoOptions {
  sourcePort?: number;
  destinationPort?: number;
  /** Values for the header where it is to be wrong. */
  length?: number;
  checksum?: number;
}

/** Builds a correct UDP over IPv4 packet from HOST to TARGET unless told otherwise. */
export function udpPacket(options: UdpOptions = {}): Uint8Array {
  const { data = pattern(16), sourcePort = 40000, destinationPort = 33434 } = options;
  const datagram = new Uint8Array(8 + data.length);
  const view = new DataView(datagram.buffer);
  view.setUint16(0, sourcePort);
  view.setUint16(2, destinationPort);
  view.setUint16(4, options.length ?? datagram.length);
  datagram.set(data, 8);
  const packet = ipv4Packet(datagram, { ...options, protocol: 17 });
  const pseudoHeader = Uint8Array.of(...packet.subarray(12, 20), 0, 17, datagram.length >> 8, datagram.length & 255);
  view.setUint16(6, options.checksum ?? (checksum(Uint8Array.of(...pseudoHeader, ...datagram)) || 0xffff));
  packet.set(datagram.subarray(6, 8), packet.length - data.length - 2);
  return packet;
}

/** Returns the reply that pongd must send, written from the RFCs, not from the engines. */
export function expectedReply(request: Uint8Array, ttl = 64): Uint8Array {
  const headerLen = (request[0] & 15) * 4;
  const totalLen = new DataView(request.buffer, request.byteOffset).getUint16(2);
  const reply = request.slice(0, totalLen);
  reply.set(request.subarray(12, 16), 16);
  reply.set(request.subarray(16, 20), 12);
  reply[8] = ttl;
  reply[headerLen] = 0;
  setIcmpChecksum(reply.subarray(headerLen));
  const view = new DataView(reply.buffer);
  allowFragments(reply, view.getUint16(headerLen + 4) ^ view.getUint16(headerLen + 6));
  setHeaderChecksum(reply);
  return reply;
}

/** E-16: a packet longer than the least path MTU goes without don't-fragment, but never without an identification. */
function allowFragments(packet: Uint8Array, identity: number): void {
  const view = new DataView(packet.buffer);
  if (packet.length <= 552 || (packet[6] & 0x40) === 0) return;
  packet[6] ^= 0x40;
  if (view.getUint16(4) === 0) view.setUint16(4, identity);
}

/** Returns the error about a packet, written from RFC 792 and RFC 1812 §4.3.2.3; `parameter`: its fifth byte. */
export function expectedError(
  packet: Uint8Array, type: number, code: number, { ttl = 64, most = 576, parameter = 0 } = {},
): Uint8Array {
  const msg = new Uint8Array(8 + Math.min(packet.length, most - 28));
  msg.set([type, code, 0, 0, parameter]);
  msg.set(packet.subarray(0, msg.length - 8), 8);
  setIcmpChecksum(msg);
  const error = ipv4Packet(msg, { ttl, id: 0, fragment: 0x4000 });
  error.set(packet.subarray(16, 20), 12);
  error.set(packet.subarray(12, 16), 16);
  allowFragments(error, new DataView(msg.buffer).getUint16(2));
  setHeaderChecksum(error);
  return error;
}

export function setHeaderChecksum(packet: Uint8Array): void {
  const header = packet.subarray(0, (packet[0] & 15) * 4);
  header[10] = header[11] = 0;
  new DataView(packet.buffer, packet.byteOffset).setUint16(10, checksum(header));
}

export function setIcmpChecksum(msg: Uint8Array): void {
  msg[2] = msg[3] = 0;
  new DataView(msg.buffer, msg.byteOffset).setUint16(2, checksum(msg));
}

/** Computes the checksum by the letter of RFC 1071 §1. */
export function checksum(bytes: Uint8Array): number {
  return ~plainSum(bytes) & 0xffff;
}

/** Sums the 16-bit words, and adds each carry again. Only zeros have the sum 0. */
export function plainSum(bytes: Uint8Array): number {
  const even = bytes.length & ~1;
  let sum = even < bytes.length ? bytes[even] << 8 : 0;
  for (let i = 0; i < even; i += 2) sum += bytes[i] << 8 | bytes[i + 1];
  while (sum > 0xffff) sum = sum % 0x10000 + Math.floor(sum / 0x10000);
  return sum;
}

export function addr(text: string): Uint8Array {
  return Uint8Array.from(text.split("."), Number);
}

/** Joins numbers and arrays, one behind the other. */
export function bytes(...parts: (number | Uint8Array)[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts.map((part) => typeof part === "number" ? Uint8Array.of(part) : part)));
}

/** Returns bytes that differ from their neighbours. */
export function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i * 7 + 1;
  return bytes;
}

/**
 * Cuts a packet into fragments at these offsets of its payload. The first offset is 0, the last is the payload's
 * length. Each fragment begins with a copy of the header.
 */
export function fragmentsOf(packet: Uint8Array, offsets: readonly number[]): Uint8Array[] {
  const headerLen = (packet[0] & 15) * 4;
  const flags = packet[6] & 0xc0;
  return offsets.slice(1).map((end, i) => {
    const fragment = new Uint8Array(headerLen + end - offsets[i]);
    fragment.set(packet.subarray(0, headerLen));
    fragment.set(packet.subarray(headerLen + offsets[i], headerLen + end), headerLen);
    const view = new DataView(fragment.buffer);
    view.setUint16(2, fragment.length);
    view.setUint16(6, flags << 8 | (end < packet.length - headerLen ? 0x2000 : 0) | offsets[i] >> 3);
    setHeaderChecksum(fragment);
    return fragment;
  });
}
