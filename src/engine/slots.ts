/**
 * The slots of a memory as whoever feeds an engine sees them: the free stack, what was received and what is to be sent.
 * The engines themselves, whose every instruction counts, read the same words by hand. A place is a byte offset into
 * the memory.
 */
import { FREE_COUNT } from "../../abi/control.js";
import { DESCRIPTOR_SIZE, FREE, RECEIVED, SLOT_ALIGN, SLOT_BASE, SLOTS, TO_SEND } from "../../abi/slots.js";

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

  /** How many are free. */
  get free(): number {
    return this.#words[FREE_COUNT_WORD];
  }

  /** The free stack; its last slot is the next to be taken. */
  get stack(): Uint32Array {
    return this.#words.subarray(FREE_WORDS, FREE_WORDS + this.free);
  }

  /** Frees all of them; each takes `slotSize` bytes. */
  freeAll(slotSize: number): void {
    for (let i = 0; i < SLOTS; i++) this.#words[FREE_WORDS + i] = SLOT_BASE + (SLOTS - 1 - i) * slotSize;
    this.#words[FREE_COUNT_WORD] = SLOTS;
  }

  /** A slot off the free stack; the caller knows that there is one. */
  take(): number {
    const words = this.#words;
    return words[FREE_WORDS + --words[FREE_COUNT_WORD]];
  }

  /** Gives back the slot in whose first cache line `place` lies. */
  give(place: number): void {
    const words = this.#words;
    words[FREE_WORDS + words[FREE_COUNT_WORD]++] = slotOf(place);
  }

  /** Says that packet `i` of a batch lies there. */
  receive(i: number, place: number, length: number): void {
    const at = RECEIVED_WORDS + DESCRIPTOR_WORDS * i;
    this.#words[at] = place;
    this.#words[at + 1] = length;
  }

  /** Where packet `i` of those received lies, and how long it is. */
  received(i: number): number {
    return this.#words[RECEIVED_WORDS + DESCRIPTOR_WORDS * i];
  }

  receivedLength(i: number): number {
    return this.#words[RECEIVED_WORDS + DESCRIPTOR_WORDS * i + 1];
  }

  /** Says that packet `i` of those to be sent lies there. */
  send(i: number, place: number, length: number): void {
    const at = TO_SEND_WORDS + DESCRIPTOR_WORDS * i;
    this.#words[at] = place;
    this.#words[at + 1] = length;
  }

  /** Where packet `i` of those to be sent lies, and how long it is. */
  toSend(i: number): number {
    return this.#words[TO_SEND_WORDS + DESCRIPTOR_WORDS * i];
  }

  toSendLength(i: number): number {
    return this.#words[TO_SEND_WORDS + DESCRIPTOR_WORDS * i + 1];
  }
}

/** The slot in whose first cache line `place` lies. */
export function slotOf(place: number): number {
  return place & -SLOT_ALIGN;
}
