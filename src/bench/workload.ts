/** Puts echo requests into slots, as an I/O backend would, and makes requests of them again once they were answered. */
import { MIN_PATH_MTU } from "../../abi/paths.js";
import type { LinearMemory } from "../engine/memory.js";
import type { Slots } from "../engine/slots.js";
import { DEFAULT_ANSWERS } from "../prefix/policy.js";
import { tableOf, type Table } from "../engine/table.js";
import { parseAddress, parsePrefix, serving, type Prefix } from "../prefix/prefixes.js";

const HEADER_WORDS = 5;
const TTL = DEFAULT_ANSWERS.ttl;
const HOST = parseAddress("10.99.0.1");

/** A table, and where packets go. */
export interface Traffic {
  readonly table: Table;
  /** IPv4 addresses that are answered. */
  readonly destinations: readonly Uint8Array[];
}

/** Table of one prefix, as most people run pongd. */
export const TABLE = tableOf(serving([parsePrefix("10.99.0.0/16")]), { hosts: [HOST] });

/**
 * Returns the prefix of TABLE, or several that the seed draws, and `destinationCount` addresses that the seed draws
 * from them.
 */
export function trafficOf(prefixCount: number, destinationCount: number, seed: number): Traffic {
  const random = randomBytes(seed);
  const prefixes = prefixCount === 1 ? [parsePrefix("10.99.0.0/16")] : drawPrefixes(prefixCount, random);
  const draw = (): Uint8Array => {
    const { bytes, length } = prefixes[(random() << 16 | random() << 8 | random()) % prefixes.length];
    const destination = bytes.map((byte, i) => byte | random() & 0xff >> Math.max(0, Math.min(8, length - 8 * i)));
    return destination.every((byte, i) => byte === HOST.bytes[i]) ? draw() : destination;
  };
  const table = prefixCount === 1 ? TABLE : tableOf(serving(prefixes), { hosts: [HOST] });
  return { table, destinations: Array.from({ length: destinationCount }, draw) };
}

/**
 * Draws prefixes of /20 to /32, anywhere that hosts can be. Some nest, most lie alone, so that few share a cache line
 * of the table.
 */
function drawPrefixes(count: number, random: () => number): Prefix[] {
  const prefixes = new Map<string, Prefix>();
  while (prefixes.size < count) {
    const [first, second, third, fourth, length] = [
      random() % 222 + 1, random(), random(), random(), 20 + random() % 13,
    ];
    const mask = -1 << 32 - length;
    const prefix = parsePrefix(
      `${first < 127 ? first : first + 1}.${second}.${third & mask >> 8 & 255}.${fourth & mask & 255}/${length}`,
    );
    prefixes.set(prefix.text, prefix);
  }
  return [...prefixes.values()];
}

export class Workload {
  /** Calls of the engine that it takes to answer all packets. */
  readonly calls: number;
  readonly #batch: number;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #queues: Slots;
  /** Addresses of the packets' slots. */
  readonly #places: readonly number[];
  readonly #requests: readonly Uint8Array[];
  /** IP headers of a request to each destination. */
  readonly #headers: Uint32Array;
  /** Index of the first packet's header. */
  #first = 0;

  /**
   * Takes slots for `calls` batches, and fills each with an echo request of `packetBytes`, 28 to 65535, from the host
   * to the next destination.
   */
  constructor(
    { memory, slots }: LinearMemory, destinations: readonly Uint8Array[], packetBytes: number, batch: number,
    calls: number, seed: number,
  ) {
    this.calls = calls;
    this.#batch = batch;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#queues = slots;
    this.#words = new Uint32Array(memory.buffer);
    this.#places = Array.from({ length: batch * calls }, () => this.#queues.take());
    const random = randomBytes(seed);
    this.#requests = this.#places.map(() => echoRequest(packetBytes, random));
    this.#places.forEach((slot, i) => { this.#bytes.set(this.#requests[i], slot); });
    this.#headers = new Uint32Array(HEADER_WORDS * destinations.length);
    const headers = new Uint8Array(this.#headers.buffer);
    destinations.forEach((destination, i) => {
      const header = headers.subarray(4 * HEADER_WORDS * i, 4 * HEADER_WORDS * (i + 1));
      header.set(this.#requests[0].subarray(0, header.length));
      header.set(destination, 16);
      setChecksum(header, 10);
    });
    this.#writeHeads();
    this.receive(0);
  }

  /** Puts the packets of one call into RECEIVED. */
  receive(call: number): void {
    for (let i = 0; i < this.#batch; i++) {
      this.#queues.receive(i, this.#places[call * this.#batch + i], this.#requests[0].length);
    }
  }

  /** Makes requests of the replies, to the destinations that come next. */
  restore(): void {
    this.#first = (this.#first + this.#places.length) % (this.#headers.length / HEADER_WORDS);
    this.#writeHeads();
  }

  /**
   * Writes each packet's IP header, and the word with the message's type and checksum. A reply changes nothing else.
   */
  #writeHeads(): void {
    for (let i = 0; i < this.#places.length; i++) {
      const at = this.#places[i] / 4;
      const header = (HEADER_WORDS * (this.#first + i)) % this.#headers.length;
      for (let word = 0; word < HEADER_WORDS; word++) this.#words[at + word] = this.#headers[header + word];
      this.#bytes.set(this.#requests[i].subarray(20, 24), this.#places[i] + 20);
    }
  }

  /** @throws Error unless TO_SEND holds the reply to each request of the call, byte for byte. */
  verify(call: number, replies: number): void {
    if (replies !== this.#batch) throw new Error(`answered ${replies} of ${this.#batch} packets`);
    const headers = new Uint8Array(this.#headers.buffer);
    for (let i = 0; i < replies; i++) {
      const slot = this.#queues.toSend(i);
      const length = this.#queues.toSendLength(i);
      const packet = call * this.#batch + i;
      const header = (4 * HEADER_WORDS * (this.#first + packet)) % headers.length;
      const request = this.#requests[packet].slice();
      request.set(headers.subarray(header, header + 4 * HEADER_WORDS));
      if (Buffer.compare(this.#bytes.subarray(slot, slot + length), echoReply(request)) !== 0) {
        throw new Error(`reply ${i} of ${replies} is wrong`);
      }
    }
  }
}

export function echoRequest(length: number, random: () => number): Uint8Array {
  const packet = new Uint8Array(length).map(random);
  packet.set([0x45, 0, length >> 8, length & 0xff]);
  packet[4] |= 1;
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
  if (packet.length > MIN_PATH_MTU) packet[6] = 0;
  return withChecksums(packet);
}

function withChecksums(packet: Uint8Array): Uint8Array {
  setChecksum(packet.subarray(0, 20), 10);
  setChecksum(packet.subarray(20), 2);
  return packet;
}

function setChecksum(bytes: Uint8Array, at: number): void {
  bytes.set([0, 0], at);
  bytes.set(checksum(bytes), at);
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
