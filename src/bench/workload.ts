/** Echo requests in slots, as an I/O backend would have put them there, and back again once they were answered. */
import { FREE, FREE_COUNT, RECEIVED, TO_SEND } from "../abi.js";
import type { LinearMemory } from "../engine/memory.js";
import { DEFAULT_POLICY } from "../engine/policy.js";
import { parseAddress, parsePrefix, trieOf } from "../prefixes.js";

const HEADERS_LEN = 28;
const TTL = DEFAULT_POLICY.ttl;

/** Whose the addresses are, as most people run it. */
export const TRIE = trieOf([parsePrefix("10.99.0.0/16")], [], [parseAddress("10.99.0.1")]);

export class Workload {
  /** Calls of the engine that it takes to answer all of the packets. */
  readonly calls: number;
  readonly #batch: number;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #slots: number[];
  readonly #headers: Uint8Array[];
  readonly #replies: Uint8Array[];
  readonly #packetBytes: number;

  /** Takes slots for `calls` batches and fills each with an echo request of `packetBytes`, 28 to 65535, from 10.99.0.1 into the prefix. */
  constructor({ memory }: LinearMemory, packetBytes: number, batch: number, calls: number, seed: number) {
    this.calls = calls;
    this.#batch = batch;
    this.#packetBytes = packetBytes;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.#slots = Array.from({ length: batch * calls }, () => this.#words[FREE / 4 + --this.#words[FREE_COUNT / 4]]);
    const random = randomBytes(seed);
    const requests = this.#slots.map(() => echoRequest(packetBytes, random));
    this.#headers = requests.map((request) => request.slice(0, HEADERS_LEN));
    this.#replies = requests.map(echoReply);
    this.#slots.forEach((slot, i) => { this.#bytes.set(requests[i], slot); });
    this.receive(0);
  }

  /** Puts the packets of one call into RECEIVED. */
  receive(call: number): void {
    for (let i = 0; i < this.#batch; i++) {
      this.#words[RECEIVED / 4 + 2 * i] = this.#slots[call * this.#batch + i];
      this.#words[RECEIVED / 4 + 2 * i + 1] = this.#packetBytes;
    }
  }

  /** Makes requests of the replies again: all that a reply changed lies in the headers. */
  restore(): void {
    for (let i = 0; i < this.#slots.length; i++) this.#bytes.set(this.#headers[i], this.#slots[i]);
  }

  /** @throws Error unless what lies in TO_SEND is the reply to each request of the call, byte for byte. */
  verify(call: number, replies: number): void {
    if (replies !== this.#batch) throw new Error(`answered ${replies} of ${this.#batch} packets`);
    for (let i = 0; i < replies; i++) {
      const slot = this.#words[TO_SEND / 4 + 2 * i];
      const length = this.#words[TO_SEND / 4 + 2 * i + 1];
      const expected = this.#replies[call * this.#batch + i];
      if (Buffer.compare(this.#bytes.subarray(slot, slot + length), expected) !== 0) throw new Error(`reply ${i} of ${replies} is wrong`);
    }
  }
}

export function echoRequest(length: number, random: () => number): Uint8Array {
  const packet = new Uint8Array(length).map(random);
  packet.set([0x45, 0, length >> 8, length & 0xff]);
  packet.set([0x40, 0, TTL, 1], 6);
  packet.set([10, 99, 0, 1, 10, 99, 1], 12);
  packet.set([8, 0], 20);
  return withChecksums(packet);
}

function echoReply(request: Uint8Array): Uint8Array {
  const packet = request.slice();
  packet.set(request.subarray(12, 16), 16);
  packet.set(request.subarray(16, 20), 12);
  packet[8] = TTL;
  packet[20] = 0;
  return withChecksums(packet);
}

function withChecksums(packet: Uint8Array): Uint8Array {
  packet.set([0, 0], 10);
  packet.set(checksum(packet.subarray(0, 20)), 10);
  packet.set([0, 0], 22);
  packet.set(checksum(packet.subarray(20)), 22);
  return packet;
}

function checksum(bytes: Uint8Array): [number, number] {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i] << 8 | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return [~sum >> 8 & 0xff, ~sum & 0xff];
}

/** Bytes of a run that the seed names: a linear congruential generator modulo 2^32, its upper byte. */
export function randomBytes(seed: number): () => number {
  let state = seed;
  return () => (state = Math.imul(state, 1664525) + 1013904223 | 0) >>> 24;
}
