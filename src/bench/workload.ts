/** Echo requests in slots, as an I/O backend would have put them there, and back again once they were answered. */
import { FREE, FREE_COUNT, RECEIVED } from "../abi.js";
import type { LinearMemory } from "../engine/memory.js";

const HEADERS_LEN = 28;

export class Workload {
  readonly #bytes: Uint8Array;
  readonly #slots: number[];
  readonly #headers: Uint8Array[];

  /** Takes `batch` slots and fills each with an echo request of `packetBytes`, 28 and more, from 10.99.0.1 to 10.99.1.x. */
  constructor({ memory }: LinearMemory, packetBytes: number, batch: number) {
    const words = new Uint32Array(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.#slots = Array.from({ length: batch }, () => words[FREE / 4 + --words[FREE_COUNT / 4]]);
    this.#slots.forEach((slot, i) => {
      this.#bytes.set(echoRequest(packetBytes, i), slot);
      words[RECEIVED / 4 + 2 * i] = slot;
      words[RECEIVED / 4 + 2 * i + 1] = packetBytes;
    });
    this.#headers = this.#slots.map((slot) => this.#bytes.slice(slot, slot + HEADERS_LEN));
  }

  /** Makes requests of the replies again: all that a reply changed lies in the headers. */
  restore(): void {
    this.#slots.forEach((slot, i) => { this.#bytes.set(this.#headers[i], slot); });
  }
}

function echoRequest(length: number, sequence: number): Uint8Array {
  const packet = new Uint8Array(length);
  const view = new DataView(packet.buffer);
  view.setUint16(0, 0x4500);
  view.setUint16(2, length);
  view.setUint16(8, 0x4001);
  packet.set([10, 99, 0, 1, 10, 99, 1, sequence & 255], 12);
  view.setUint16(10, checksum(packet.subarray(0, 20)));
  packet[20] = 8;
  view.setUint16(26, sequence);
  for (let i = HEADERS_LEN; i < length; i++) packet[i] = i;
  view.setUint16(22, checksum(packet.subarray(20)));
  return packet;
}

function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i] << 8 | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
