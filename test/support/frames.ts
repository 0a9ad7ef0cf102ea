/** Ethernet frames for tests, and ARP: built field by field, as packets.ts does for IPv4. */
import { MacPolicy } from "../../src/abi.js";
import type { Link } from "../../src/engine/link.js";
import { addr, expectedReply, HOST, TARGET } from "./packets.js";

/** The one that all addresses share, where they do. */
export const SHARED_MAC = "06:11:22:33:44:55";
/** Of whoever asks. */
export const PEER_MAC = "52:54:00:12:34:56";
export const BROADCAST = "ff:ff:ff:ff:ff:ff";

export const SHARED: Link = { policy: MacPolicy.shared, address: macBytes(SHARED_MAC) };
export const PER_ADDRESS: Link = { policy: MacPolicy.per_address, address: macBytes(SHARED_MAC) };

export interface FrameOptions {
  dst?: string;
  src?: string;
  /** TPID and TCI each, the outer one first. */
  tags?: readonly (readonly [tpid: number, tci: number])[];
  type?: number;
  /** Bytes behind the payload. */
  padding?: number;
}

/** A frame from PEER_MAC to SHARED_MAC, of IPv4, unless told otherwise. */
export function frame(payload: Uint8Array, { dst = SHARED_MAC, src = PEER_MAC, tags = [], type = 0x0800, padding = 0 }: FrameOptions = {}): Uint8Array {
  const words = [...tags.flat(), type].flatMap((word) => [word >> 8, word & 255]);
  return Uint8Array.from([...macBytes(dst), ...macBytes(src), ...words, ...payload, ...new Uint8Array(padding).fill(0xee)]);
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

/** A request of HOST for TARGET unless told otherwise. */
export function arpPacket(options: ArpOptions = {}): Uint8Array {
  const { hardware = 1, protocol = 0x0800, lengths = [6, 4], opcode = 1, senderMac = PEER_MAC, sender = HOST, targetMac = "00:00:00:00:00:00", target = TARGET } = options;
  const words = [hardware, protocol].flatMap((word) => [word >> 8, word & 255]);
  return Uint8Array.from([...words, ...lengths, opcode >> 8, opcode & 255, ...macBytes(senderMac), ...addr(sender), ...macBytes(targetMac), ...addr(target)]);
}

/** A broadcast ARP request unless told otherwise. */
export function arpFrame(packet: ArpOptions = {}, options: FrameOptions = {}): Uint8Array {
  return frame(arpPacket(packet), { dst: BROADCAST, type: 0x0806, ...options });
}

/** What must come back for an echo request in a frame: the header turned around, with its tags, and the reply without padding. */
export function expectedEcho(request: Uint8Array, tags = 0): Uint8Array {
  const headerLen = 14 + 4 * tags;
  return Uint8Array.from([...request.subarray(6, 12), ...request.subarray(0, 6), ...request.subarray(12, headerLen), ...expectedReply(request.slice(headerLen))]);
}

export function macBytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(":"), (byte) => parseInt(byte, 16));
}
