/**
 * Letters between the packet loops (abi/tcp.ts). Each loop writes its own letters into a ring that all share, and reads
 * those of the others when its next round begins. It need not be woken: what a letter is about is in flight, so a
 * retransmission is due soon. A letter is lost if somebody reads too late, as the ICMP error in it might have been.
 */
import { INBOX, INBOX_COUNT, LETTER_SIZE, MAX_LETTERS, OUTBOX, OUTBOX_COUNT } from "../../abi/tcp.js";

/** Letters of each ring. */
const RING = 64;
const LETTER_WORDS = LETTER_SIZE / 4;
/** The first word counts all letters that were ever written. Then each ring has its own count, and its letters. */
const RINGS = 1;
const RING_WORDS = 1 + RING * LETTER_WORDS;

/** Makes the memory of the rings of so many queues. */
export function mailFor(queues: number): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * (RINGS + queues * RING_WORDS));
}

export class Mail {
  readonly #words: Int32Array;
  readonly #memory: Int32Array;
  readonly #own: number;
  /** Number of letters that there were when this loop last looked, and those of each ring. */
  #seen: number;
  readonly #read: number[];

  /** The mail of queue `own`, whose linear memory this is. Letters that were written earlier are not read. */
  constructor(shared: SharedArrayBuffer, own: number, { buffer }: WebAssembly.Memory) {
    this.#words = new Int32Array(shared);
    this.#memory = new Int32Array(buffer);
    this.#own = own;
    this.#seen = Atomics.load(this.#words, 0);
    const queues = (this.#words.length - RINGS) / RING_WORDS;
    this.#read = Array.from({ length: queues }, (_, queue) => Atomics.load(this.#words, ringOf(queue)));
  }

  /** Puts the letters of other queues into INBOX, if there are any. */
  fetch(): void {
    if (Atomics.load(this.#words, 0) !== this.#seen) this.#fetch();
  }

  /** Takes what is in OUTBOX to the others, if there is anything. */
  post(): void {
    if (this.#memory[OUTBOX_COUNT / 4] > 0) this.#post();
  }

  #fetch(): void {
    const words = this.#words;
    this.#seen = Atomics.load(words, 0);
    let count = 0;
    for (const [queue, read] of this.#read.entries()) {
      const written = Atomics.load(words, ringOf(queue));
      this.#read[queue] = written;
      if (queue === this.#own) continue;
      // Counts wrap.
      for (let left = Math.min(written - read >>> 0, RING); left > 0 && count < MAX_LETTERS; left--) {
        const letter = letterOf(queue, written - left);
        this.#memory.set(words.subarray(letter, letter + LETTER_WORDS), INBOX / 4 + count++ * LETTER_WORDS);
      }
    }
    this.#memory[INBOX_COUNT / 4] = count;
  }

  #post(): void {
    const words = this.#words;
    const count = this.#memory[OUTBOX_COUNT / 4];
    this.#memory[OUTBOX_COUNT / 4] = 0;
    const ring = ringOf(this.#own);
    for (let i = 0; i < count; i++) {
      const from = OUTBOX / 4 + i * LETTER_WORDS;
      words.set(this.#memory.subarray(from, from + LETTER_WORDS), letterOf(this.#own, words[ring]));
      Atomics.add(words, ring, 1);
    }
    Atomics.add(words, 0, count);
  }
}

/** Returns the index of the word that counts a queue's letters. */
function ringOf(queue: number): number {
  return RINGS + queue * RING_WORDS;
}

/** Returns the index of the first word of a queue's letter. */
function letterOf(queue: number, index: number): number {
  return ringOf(queue) + 1 + (index >>> 0) % RING * LETTER_WORDS;
}
