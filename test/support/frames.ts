/** Builds Ethernet frames and ARP packets for tests, field by field, as packets.ts does for IPv4. */
import { MacPolicy } from "../../abi/control.js";
import type { Ethernet } from "../../src/tun/mac.js";
import { addr6, HOST6, icmpv6Packet, TARGET6, type Icmpv6Options } from "./ipv6.js";
import { addr, expectedReply, HOST, TARGET } from "./packets.js";

/** The MAC address of every address, where all share one. */
export const SHARED_MAC = "06:11:22:33:44:55";
/** The MAC address of the requester. */
export const PEER_MAC = "52:54:00:12:34:56";
export const BROADCAST = "ff:ff:ff:ff:ff:ff";

export const SHARED: Ethernet = { policy: MacPolicy.shared, address: macBytes(SHARED_MAC) };
export const PER_ADDRESS: Ethernet = { policy: MacPolicy.per_address, address: macBytes(SHARED_MAC) };

export interface FrameOptions {
  dst?: string;
  src?: string;
  /** TPID and TCI each, the outer one first. */
  tags?: readonly (readonly [tpid: number, tci: number])[];
  type?: number;
  /** Bytes behind the payload. */
  padding?: number;
}

/** Builds a frame from PEER_MAC to SHARED_MAC, with IPv4 in it, unless told otherwise. */
export function frame(
  payload: Uint8Array, { dst = SHARED_MAC, src = PEER_MAC, tags = [], type = 0x0800, padding = 0 }: FrameOptions = {},
): Uint8Array {
  const words = [...tags.flat(), type].flatMap((word) => [word >> 8, word & 255]);
  return Uint8Array.from(
    [...macBytes(dst), ...macBytes(src), ...words, ...payload, ...new Uint8Array(padding).fill(0xee)],
  );
}

export interface ArpOptions {
  hardware?: number;
  protocol?: number;
  lengths?: readonly [number, number];
  opcode?: number;
  senderMac?: string;
  sender?: string;
  targetMac?: string;
  target?: string;
}

/** Builds an ARP request from HOST for TARGET unless told otherwise. */
export function arpPacket(options: ArpOptions = {}): Uint8Array {
  const {
    hardware = 1, protocol = 0x0800, lengths = [6, 4], opcode = 1, senderMac = PEER_MAC, sender = HOST,
    targetMac = "00:00:00:00:00:00", target = TARGET,
  } = options;
  const words = [hardware, protocol].flatMap((word) => [word >> 8, word & 255]);
  return Uint8Array.from([
    ...words, ...lengths, opcode >> 8, opcode & 255, ...macBytes(senderMac), ...addr(sender), ...macBytes(targetMac),
    ...addr(target),
  ]);
}

/** Builds a broadcast ARP request in its frame unless told otherwise. */
export function arpFrame(packet: ArpOptions = {}, options: FrameOptions = {}): Uint8Array {
  return frame(arpPacket(packet), { dst: BROADCAST, type: 0x0806, ...options });
}

/**
 * Returns the expected answer to an echo request in a frame: the header turned around, with its tags, and the reply
 * without padding.
 */
export function expectedEcho(request: Uint8Array, tags = 0): Uint8Array {
  const headerLen = 14 + 4 * tags;
  return Uint8Array.from([
    ...request.subarray(6, 12), ...request.subarray(0, 6), ...request.subarray(12, headerLen),
    ...expectedReply(request.slice(headerLen)),
  ]);
}

export interface SolicitationOptions extends Icmpv6Options {
  target?: string;
  /** Options behind the target. */
  options?: Uint8Array;
}

/** Builds an option with a MAC address: source (1) or target (2) link-layer address. */
export function linkOption(mac: string, type = 1): Uint8Array {
  return Uint8Array.of(type, 1, ...macBytes(mac));
}

/** Returns ff02::1:ff00:0/104 with the address's last 24 bits (RFC 4291 §2.7.1). */
export function solicitedNode(target: string): string {
  return `ff02::1:ff${Buffer.from(addr6(target).subarray(13)).toString("hex").replace(/^../, "$&:")}`;
}

/** Builds a neighbor solicitation from HOST6 for TARGET6, to its solicited-node address, unless told otherwise. */
export function solicitation(options: SolicitationOptions = {}): Uint8Array {
  const {
    target = TARGET6, src = HOST6, dst = solicitedNode(target), options: behind = linkOption(PEER_MAC),
  } = options;
  return icmpv6Packet({
    type: 135, hopLimit: 255, identifier: 0, sequence: 0, ...options, src, dst,
    data: Uint8Array.of(...addr6(target), ...behind),
  });
}

/**
 * Builds a neighbor solicitation in a frame to the group of its destination, or to SHARED_MAC, unless told otherwise.
 */
export function solicitationFrame(packet: SolicitationOptions = {}, options: FrameOptions = {}): Uint8Array {
  const bytes = solicitation(packet);
  const dst = bytes[24] === 0xff
    ? `33:33:${[...bytes.subarray(36, 40)].map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`
    : SHARED_MAC;
  return frame(bytes, { dst, type: 0x86dd, ...options });
}

export function macBytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(":"), (byte) => parseInt(byte, 16));
}
