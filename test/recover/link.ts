/**
 * A path in virtual time between a Sender and a receiver that is honest: it acknowledges as RFC 9293, 2018 and 2883
 * say, and echoes timestamps by RFC 7323. The path has a rate, a queue and a delay, and a fate for each packet.
 */
import type { Sender, Sent } from "./sender.js";

/** What becomes of a packet: lost, or delayed by so many µs more, once or more often. */
export type Fate = readonly number[];
export const LOST: Fate = [];
export const PASSED: Fate = [0];

export interface LinkOptions {
  /** One way, in µs. */
  readonly delay: number;
  /** Bytes a second; unlimited by default. */
  readonly rate?: number;
  /** Bytes that wait for the rate, at most. */
  readonly queue?: number;
  readonly fate?: (segment: Sent, index: number, now: number) => Fate;
  readonly ackFate?: (index: number, now: number) => Fate;
  /** Whether the receiver delays ACKs, by 40 ms or two segments at most. */
  readonly delayedAcks?: boolean;
  readonly timestamps?: boolean;
  readonly sack?: boolean;
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

const ACK_DELAY = 40_000;
/** Bytes of headers. */
const HEADERS = 52;

export class Link {
  readonly #events: Event[] = [];
  #order = 0;
  #busyUntil = 0;
  #sent = 0;
  #acks = 0;
  // The receiver.
  next = 0;
  #ranges: [number, number][] = [];
  #pending = 0;
  #ackAt: number | undefined;
  #recent = 0;
  #lastAck = 0;
  /** Segments that the sender sent again, and those that the receiver had already. */
  retransmitted = 0;
  duplicates = 0;
  dropped = 0;
  /** The largest number of bytes in the queue. */
  queued = 0;
  gaveUp = false;
  /** Called after each event. */
  watch: () => void = () => undefined;

  constructor(readonly sender: Sender, readonly options: LinkOptions) {}

  /** Runs until all is acknowledged and nothing is on its way, or until the time in µs. Returns whether all is. */
  run(until = Infinity): boolean {
    this.#output();
    for (;;) {
      const { sender } = this;
      const timer = sender.timer;
      const next = this.#events.at(0);
      const timerAt = timer === undefined ? Infinity : sender.now + timer;
      const at = Math.min(next?.at ?? Infinity, timerAt, this.#ackAt ?? Infinity);
      if (at === Infinity) return true;
      if (at > until) {
        sender.at(until);
        return false;
      }
      sender.at(Math.max(at, sender.now));
      if (at === next?.at) {
        this.#pop();
        next.run();
      } else if (at === this.#ackAt) {
        this.#acknowledge([]);
      } else if (!sender.expire()) {
        this.gaveUp = true;
        return false;
      }
      this.#output();
      this.watch();
    }
  }

  #output(): void {
    for (const segment of this.sender.output()) this.#send(segment);
  }

  #send(segment: Sent): void {
    const { rate, queue = Infinity, delay, fate = () => PASSED } = this.options;
    const now = this.sender.now;
    if (segment.again) this.retransmitted++;
    const stamp = this.sender.stamp();
    for (const more of fate(segment, this.#sent++, now)) {
      let leaves = now;
      if (rate !== undefined) {
        const waiting = Math.max(this.#busyUntil - now, 0) * rate / 1e6;
        if (waiting + segment.len + HEADERS > queue) {
          this.dropped++;
          continue;
        }
        this.queued = Math.max(this.queued, waiting);
        leaves = Math.max(this.#busyUntil, now) + (segment.len + HEADERS) / rate * 1e6;
        this.#busyUntil = leaves;
      }
      this.#later(leaves + delay + more, () => { this.#receive(segment, stamp); });
    }
  }

  #receive({ seq, len }: Sent, stamp: number): void {
    const end = seq + len;
    if (seq <= this.#lastAck && (stamp - this.#recent | 0) >= 0) this.#recent = stamp;
    if (end <= this.next || this.#ranges.some(([first, last]) => first <= seq && end <= last)) {
      this.duplicates++;
      this.#acknowledge([[seq, end]]);
      return;
    }
    if (seq > this.next) {
      let [first, last] = [seq, end];
      this.#ranges = this.#ranges.filter(([a, b]) => {
        if (b < first || a > last) return true;
        [first, last] = [Math.min(a, first), Math.max(b, last)];
        return false;
      });
      this.#ranges.unshift([first, last]);
      this.#acknowledge([]);
      return;
    }
    this.next = end;
    const hadRanges = this.#ranges.length > 0;
    for (let found; (found = this.#ranges.find(([first]) => first <= this.next)) !== undefined;) {
      this.next = Math.max(this.next, found[1]);
      this.#ranges = this.#ranges.filter((range) => range !== found);
    }
    this.#pending++;
    if (!this.options.delayedAcks || hadRanges || this.#pending >= 2) this.#acknowledge([]);
    else this.#ackAt ??= this.sender.now + ACK_DELAY;
  }

  #acknowledge(dsack: [number, number][]): void {
    const { delay, ackFate = () => PASSED, timestamps = false, sack = true } = this.options;
    this.#pending = 0;
    this.#ackAt = undefined;
    this.#lastAck = this.next;
    const sacks = sack ? [...dsack, ...this.#ranges].slice(0, timestamps ? 3 : 4) : [];
    const ack = { ack: this.next, sacks, tsecr: timestamps ? this.#recent : undefined };
    for (const more of ackFate(this.#acks++, this.sender.now)) {
      this.#later(this.sender.now + delay + more, () => { this.sender.ack(ack); });
    }
  }

  #later(at: number, run: () => void): void {
    const event = { at, order: this.#order++, run };
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = low + high >> 1;
      if (this.#events[middle].at <= at) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, event);
  }

  #pop(): void {
    this.#events.shift();
  }
}
