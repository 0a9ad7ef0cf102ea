/**
 * The engine that one writes first, and the gist that pongd grew from: a packet is an array of bytes, its checksums are
 * loops over them, and the reply's are computed anew. It answers as the other engines do, byte for byte, but knows no
 * prefixes, no counters and no drop reasons.
 */
import { MIN_PATH_MTU } from "../../abi/paths.js";
import { DEFAULT_ANSWERS } from "../prefix/policy.js";
import type { Engine } from "../engine/contract.js";
import { Slots } from "../engine/slots.js";

export function createNaiveEngine(memory: WebAssembly.Memory): Engine {
  const { buffer } = memory;
  const slots = new Slots(memory);
  return {
    respond(count) {
      let replies = 0;
      for (let i = 0; i < count; i++) {
        const slot = slots.received(i);
        const length = slots.receivedLength(i);
        if (answer(new Uint8Array(buffer, slot, length), DEFAULT_ANSWERS.ttl)) {
          slots.send(replies, slot, length);
          replies++;
        } else {
          slots.give(slot);
        }
      }
      return replies;
    },
  };
}

function answer(packet: Uint8Array, ttl: number): boolean {
  const header = packet.subarray(0, 20);
  const message = packet.subarray(20);
  const isEcho = packet.length >= 28 && header[0] === 0x45 && header[9] === 1 && message[0] === 8;
  if (!isEcho || checksum(header) !== 0 || checksum(message) !== 0) return false;

  for (let i = 12; i < 16; i++) {
    const byte = header[i];
    header[i] = header[i + 4];
    header[i + 4] = byte;
  }
  header[8] = ttl;
  message[0] = 0;
  if (packet.length > MIN_PATH_MTU) allowFragments(header, message);
  setChecksum(header, 10);
  setChecksum(message, 2);
  return true;
}

/** Clears DF, so that routers on the way back may fragment the reply, and gives it an identification if it has none. */
function allowFragments(header: Uint8Array, message: Uint8Array): void {
  if ((header[6] & 0x40) === 0) return;
  header[6] ^= 0x40;
  if (header[4] === 0 && header[5] === 0) for (const i of [0, 1]) header[4 + i] = message[4 + i] ^ message[6 + i];
}

function setChecksum(bytes: Uint8Array, at: number): void {
  bytes[at] = 0;
  bytes[at + 1] = 0;
  const sum = checksum(bytes);
  bytes[at] = sum >> 8;
  bytes[at + 1] = sum & 0xff;
}

/** RFC 1071. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum += i & 1 ? bytes[i] : bytes[i] << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
