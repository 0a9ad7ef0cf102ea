/**
 * The slots of a memory as the I/O backends and others that feed an engine see them: the free stack, received packets
 * and packets to send. The engines access the same words directly, since their every instruction counts. A place is a
 * byte offset into the memory.
 */
import { FREE_COUNT, SLOT_COUNT, SLOT_SIZE } from "../../abi/control.js";
import { FREE } from "../../abi/pool.js";
import { DESCRIPTOR_SIZE, RECEIVED, SLOT_ALIGN, SLOT_BASE, TO_SEND } from "../../abi/slots.js";

const FREE_COUNT_WORD = FREE_COUNT / 4;
const FREE_WORDS = FREE / 4;
const RECEIVED_WORDS = RECEIVED / 4;
const TO_SEND_WORDS = TO_SEND / 4;
const DESCRIPTOR_WORDS = DESCRIPTOR_SIZE / 4;

export class Slots {
  readonly #words: Uint32Array;

  constructor({ buffer }: WebAssembly.Memory) {
    this.#words = new Uint32Array(buffer);
  }

  /** Number of slots, free or not. */
  get count(): number {
    return this.#words[SLOT_COUNT / 4];
  }

  /** Number of free slots. */
  get free(): number {
    return this.#words[FREE_COUNT_WORD];
  }

  /** The free stack. Its last slot is the next to be taken. */
  get stack(): Uint32Array {
    return this.#words.subarray(FREE_WORDS, FREE_WORDS + this.free);
  }

  /** Frees all slots. */
  freeAll(): void {
    const { count } = this;
    const size = this.#words[SLOT_SIZE / 4];
    for (let i = 0; i < count; i++) this.#words[FREE_WORDS + i] = SLOT_BASE + (count - 1 - i) * size;
    this.#words[FREE_COUNT_WORD] = count;
  }

  /** Takes a slot off the free stack. The caller has checked that there is one. */
  take(): number {
    const words = this.#words;
    return words[FREE_WORDS + --words[FREE_COUNT_WORD]];
  }

  /** Gives back the slot whose first cache line contains `place`. */
  give(place: number): void {
    const words = this.#words;
    words[FREE_WORDS + words[FREE_COUNT_WORD]++] = slotOf(place);
  }

  /** Says where packet `i` of a batch lies. */
  receive(i: number, place: number, length: number): void {
    const at = RECEIVED_WORDS + DESCRIPTOR_WORDS * i;
    this.#words[at] = place;
    this.#words[at + 1] = length;
  }

  /** Returns where received packet `i` lies. receivedLength() returns its length. */
  received(i: number): number {
    return this.#words[RECEIVED_WORDS + DESCRIPTOR_WORDS * i];
  }

  receivedLength(i: number): number {
    return this.#words[RECEIVED_WORDS + DESCRIPTOR_WORDS * i + 1];
  }

  /** Says where packet `i` of those to send lies. */
  send(i: number, place: number, length: number): void {
    const at = TO_SEND_WORDS + DESCRIPTOR_WORDS * i;
    this.#words[at] = place;
    this.#words[at + 1] = length;
  }

  /** Returns where packet `i` of those to send lies. toSendLength() returns its length. */
  toSend(i: number): number {
    return this.#words[TO_SEND_WORDS + DESCRIPTOR_WORDS * i];
  }

  toSendLength(i: number): number {
    return this.#words[TO_SEND_WORDS + DESCRIPTOR_WORDS * i + 1];
  }
}

/** Returns the slot whose first cache line contains `place`. */
export function slotOf(place: number): number {
  return place & -SLOT_ALIGN;
}
