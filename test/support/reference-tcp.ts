/**
 * A simple TCP that opens connections, or waits for one, written from RFC 9293 §3.10.7 and no code: the peer of pongd's
 * in tests. It sends a few segments at a time, and repeats them all when its timer expires. It keeps what comes out of
 * order, tells it by SACK (RFC 2018), scales windows and has timestamps (RFC 7323). Positions count from the SYN, which
 * is 0, and do not wrap: data begins at 1. Time is in microseconds, and whoever uses it says what time it is.
 *
 * As it reads, it also judges: what comes must be the stream that was expected, within the window and the MSS that were
 * offered.
 */
import assert from "node:assert/strict";
import {
  ACK, decode, encode, FIN, isIntact, isTcp, PSH, RST, spanOf, SYN, type Segment, type TcpOptions,
} from "./tcp.js";

export interface ReferenceOptions {
  readonly local: Uint8Array;
  readonly remote: Uint8Array;
  readonly localPort: number;
  /** 0 for whichever a SYN comes from. */
  readonly remotePort: number;
  readonly isn: number;
  /** The MSS that is offered; undefined sends no option, which means 536 or 1220. */
  readonly mss?: number | undefined;
  /** Most bytes of payload in what is sent. */
  readonly segmentSize: number;
  /** Bytes that may wait to be read. */
  readonly buffer: number;
  readonly scale?: number | undefined;
  readonly timestamps: boolean;
  readonly sack: boolean;
  /** Tells of duplicates, too (RFC 2883). */
  readonly duplicateSack: boolean;
  /** Most segments in flight. */
  readonly segments: number;
  readonly rtoUs: number;
  /** 0 acknowledges at once. */
  readonly delayedAckUs: number;
  /** The longest that nothing may come while something is awaited. */
  readonly patienceUs: number;
  /** Bytes of the stream that has to come, from position 0 on; undefined behind its end. */
  readonly expected: (position: number) => number | undefined;
  /** Takes a packet that is sent. */
  readonly transmit: (packet: Uint8Array) => void;
}

export type ReferenceState
  = "closed" | "listen" | "syn-sent" | "syn-received" | "established" | "fin-wait-1" | "fin-wait-2" | "closing"
    | "time-wait" | "close-wait" | "last-ack";

/** How a connection ended. */
export type Outcome = "closed" | "reset" | "timed out" | "aborted";

const MAX_RTO_US = 8e6;
const TIME_WAIT_US = 2e6;
const MAX_SYNS = 8;

export class ReferenceTcp {
  state: ReferenceState = "closed";
  outcome: Outcome | undefined;
  /** Bytes that came in order, and those of them that have been read. */
  came = 0;
  read = 0;
  /** True if the peer has ended its stream. */
  finished = false;
  readonly #options: ReferenceOptions;
  #remotePort: number;
  #now = 0;
  /** What is to be sent; its end is sent too once `#shut` is set. */
  #stream = new Uint8Array(0);
  #shut = false;
  #una = 0;
  #nxt = 0;
  #max = 0;
  #window = 0;
  #windowSeq = 0;
  #sendScale = 0;
  #scaled = false;
  #timestamps = false;
  #sack = false;
  #remoteIsn = 0;
  /** Position that is expected next, the right edge that was told, and what came behind a gap, the latest first. */
  #rcvNxt = 0;
  #edge = 0;
  #ranges: { first: number; end: number }[] = [];
  #duplicate: { first: number; end: number } | undefined;
  #finAt: number | undefined;
  #tsRecent = 0;
  #lastAckSent = 0;
  #unacked = 0;
  #ackAt = Infinity;
  #timerAt = Infinity;
  #endAt = Infinity;
  #heardAt = 0;
  #backoff = 0;
  #syns = 0;

  constructor(options: ReferenceOptions) {
    this.#options = options;
    this.#remotePort = options.remotePort;
  }

  /** The time at which tick() has to be called; Infinity for never. */
  get deadline(): number {
    const patience = this.#waits() ? this.#heardAt + this.#options.patienceUs : Infinity;
    return Math.min(this.#ackAt, this.#timerAt, this.#endAt, patience);
  }

  /** The position up to which the peer has acknowledged the data. */
  get acknowledged(): number {
    return Math.max(0, Math.min(this.#una - 1, this.#stream.length));
  }

  get sequence(): number {
    return this.#options.isn + this.#nxt >>> 0;
  }

  /** The right edge of the window that the peer offers, as a sequence number. */
  get expectedSequence(): number {
    return this.#remoteIsn + this.#rcvNxt >>> 0;
  }

  get options(): ReferenceOptions {
    return this.#options;
  }

  connect(now: number): void {
    this.#now = this.#heardAt = now;
    this.state = "syn-sent";
    this.#nxt = this.#max = 1;
    this.#sendSyn();
    this.#arm();
  }

  /** Waits for a SYN. */
  listen(): void {
    this.state = "listen";
  }

  write(bytes: Uint8Array, now: number): void {
    assert.ok(!this.#shut, "the stream has not ended");
    this.#now = now;
    const longer = new Uint8Array(this.#stream.length + bytes.length);
    longer.set(this.#stream);
    longer.set(bytes, this.#stream.length);
    this.#stream = longer;
    this.#push();
  }

  /** Ends the stream that is sent. */
  shutdown(now: number): void {
    this.#now = now;
    this.#shut = true;
    this.#push();
  }

  /** Reads up to so many bytes, which opens the window again. */
  consume(bytes: number, now: number): void {
    this.#now = now;
    this.read = Math.min(this.came, this.read + bytes);
    const { buffer } = this.#options;
    // RFC 9293 §3.8.6.2.2.
    const gain = this.#rcvNxt + this.#room() - this.#edge;
    const worth = gain > 0 && gain >= Math.min(buffer / 2, this.#options.mss ?? 536);
    if (worth && this.#isOpen() && !this.finished) this.#acknowledge();
  }

  /** Resets the connection. */
  abort(now: number): void {
    this.#now = now;
    if (this.#isOpen()) this.#send(RST | ACK, this.#nxt, new Uint8Array(0));
    this.#end("aborted");
  }

  /** Does what is due. */
  tick(now: number): void {
    this.#now = now;
    if (now >= this.#endAt) {
      this.#end("closed");
      return;
    }
    if (this.#waits() && now >= this.#heardAt + this.#options.patienceUs) {
      if (this.#isOpen()) this.#send(RST | ACK, this.#nxt, new Uint8Array(0));
      this.#end("timed out");
      return;
    }
    if (now >= this.#ackAt) this.#acknowledge();
    if (now >= this.#timerAt) this.#expire();
  }

  #expire(): void {
    this.#backoff++;
    if (this.state === "syn-sent") {
      if (++this.#syns > MAX_SYNS) {
        this.#end("timed out");
        return;
      }
      this.#sendSyn();
      this.#arm();
      return;
    }
    if (this.state === "syn-received") {
      this.#sendSyn(ACK);
      this.#arm();
      return;
    }
    // All that was in flight is sent again, and a window of zero is probed by a byte.
    this.#nxt = this.#una;
    this.#push(true);
  }

  /** Sends a SYN with all that this side has, or a SYN-ACK with what of it has been agreed. */
  #sendSyn(ack = 0): void {
    const { mss, scale, timestamps, sack } = this.#options;
    const agreed = (is: boolean) => ack === 0 || is;
    this.#transmit(SYN | ack, 0, new Uint8Array(0), Math.min(this.#options.buffer, 65535), {
      ...mss === undefined ? {} : { mss }, ...scale === undefined || !agreed(this.#scaled) ? {} : { scale },
      ...sack && agreed(this.#sack) ? { sackPermitted: true } : {},
      ...timestamps && agreed(this.#timestamps) ? { timestamps: { val: this.#clock(), ecr: this.#tsRecent } } : {},
    });
  }

  input(packet: Uint8Array, now: number): void {
    this.#now = now;
    if (!isTcp(packet) || !isIntact(packet)) return;
    const segment = decode(packet);
    const { local, remote, localPort } = this.#options;
    if (this.state === "listen" && this.#remotePort === 0) this.#remotePort = segment.srcPort;
    if (segment.dstPort !== localPort || ![0, segment.srcPort].includes(this.#remotePort)) return;
    if (Buffer.compare(segment.dst, local) !== 0 || Buffer.compare(segment.src, remote) !== 0) return;
    if (this.state === "closed") {
      this.#refuse(segment);
    } else if (this.state === "listen") {
      this.#listen(segment);
    } else if (this.state === "syn-sent") {
      this.#synSent(segment);
    } else {
      this.#segment(segment);
    }
  }

  /** RFC 9293 §3.10.7.1. */
  #refuse({ flags, seq, ack, data, srcPort: dstPort }: Segment): void {
    if (flags & RST) return;
    const { local: src, remote: dst, localPort: srcPort } = this.#options;
    this.#options.transmit(encode(flags & ACK
      ? { src, dst, srcPort, dstPort, seq: ack, flags: RST }
      : { src, dst, srcPort, dstPort, ack: seq + spanOf({ data, flags }) >>> 0, flags: RST | ACK }));
  }

  /** RFC 9293 §3.10.7.2. */
  #listen(segment: Segment): void {
    const { flags, data } = segment;
    if (flags & RST) return;
    if (flags & ACK) {
      this.#refuse(segment);
      return;
    }
    assert.equal(flags & SYN, SYN, "a connection begins with a SYN");
    assert.equal(data.length, 0, "a SYN without data");
    this.#agree(segment);
    this.#nxt = this.#max = 1;
    this.#una = 0;
    this.state = "syn-received";
    this.#sendSyn(ACK);
    this.#arm();
  }

  /** RFC 9293 §3.10.7.3. */
  #synSent(segment: Segment): void {
    const { flags, ack, options } = segment;
    const isn = this.#options.isn;
    if (flags & ACK && (ack - isn >>> 0) !== 1) {
      this.#refuse(segment);
      return;
    }
    if (flags & RST) {
      if (flags & ACK) this.#end("reset");
      return;
    }
    if (!(flags & SYN) || !(flags & ACK)) return;
    assert.equal(segment.data.length, 0, "a SYN-ACK without data");
    const { scale, timestamps, sack } = this.#options;
    if (options.scale !== undefined) assert.ok(scale !== undefined, "wscale only in answer to one (RFC 7323 §2.2)");
    if (options.sackPermitted) assert.ok(sack, "SACK-permitted only in answer to one");
    if (options.timestamps) assert.ok(timestamps, "timestamps only in answer to some (RFC 7323 §3.2)");
    this.#agree(segment);
    this.#una = 1;
    this.state = "established";
    this.#backoff = 0;
    this.#timerAt = Infinity;
    if (!this.#push()) this.#acknowledge();
  }

  /** Takes what a SYN or SYN-ACK says. */
  #agree({ seq, options, window }: Segment): void {
    this.#heardAt = this.#now;
    const { scale, timestamps, sack } = this.#options;
    assert.ok(options.mss !== undefined, "it has an MSS (MAY-3)");
    assert.ok(options.mss > 0, "the MSS is not 0");
    assert.equal(options.sacks, undefined, "no SACK on a SYN");
    this.#remoteIsn = seq;
    this.#rcvNxt = this.#edge = 1;
    this.#sendMss = options.mss;
    this.#scaled = options.scale !== undefined && scale !== undefined;
    this.#sendScale = this.#scaled ? Math.min(14, options.scale ?? 0) : 0;
    this.#timestamps = options.timestamps !== undefined && timestamps;
    this.#sack = options.sackPermitted === true && sack;
    if (options.timestamps) this.#tsRecent = options.timestamps.val;
    this.#window = window;
    this.#windowSeq = 0;
  }

  #sendMss = 536;

  /** RFC 9293 §3.10.7.4. */
  #segment(segment: Segment): void {
    const { flags, options, data } = segment;
    const first = this.#rcvNxt + (segment.seq - (this.#remoteIsn + this.#rcvNxt) | 0);
    const length = spanOf(segment);
    // A forged SYN may have begun another connection once pongd has forgotten this one.
    if (this.#timestamps && !(flags & (RST | SYN)) && this.state !== "time-wait") {
      assert.ok(options.timestamps, "timestamps on each segment once they are agreed (RFC 7323 §3.2)");
      // PAWS, RFC 7323 §5.3 R1.
      if ((options.timestamps.val - this.#tsRecent | 0) < 0) {
        this.#acknowledge();
        return;
      }
    } else if (!this.#timestamps && !(flags & SYN)) {
      assert.equal(options.timestamps, undefined, "no timestamps unless they were agreed");
    }
    if (options.sacks) assert.ok(this.#sack, "no SACK unless it was agreed");
    assert.equal(options.mss === undefined || (flags & SYN) !== 0, true, "MSS only on a SYN (MUST-65)");
    if (!this.#isAcceptable(first, length)) {
      if (!(flags & RST)) {
        if (length > 0) this.#duplicate = { first, end: Math.min(first + data.length, this.#rcvNxt) };
        this.#acknowledge();
      }
      return;
    }
    this.#judge(segment, first);
    if (flags & RST) {
      // RFC 5961 §3.2.
      // A late duplicate may be answered so once pongd has forgotten the connection (RFC 1337 §2).
      if (first !== this.#rcvNxt) this.#acknowledge();
      else this.#end(this.state === "time-wait" ? "closed" : "reset");
      return;
    }
    if (flags & SYN) {
      this.#acknowledge();
      return;
    }
    if (!(flags & ACK)) return;
    const ack = this.#una + (segment.ack - (this.#options.isn + this.#una) | 0);
    if (ack > this.#max) {
      assert.fail(`an acknowledgement of ${ack}, and ${this.#max} was sent`);
    }
    this.#heardAt = this.#now;
    if (this.state === "syn-received" && ack === 1) {
      this.state = "established";
      this.#backoff = 0;
    }
    if (this.#timestamps && options.timestamps && first <= this.#lastAckSent) this.#tsRecent = options.timestamps.val;
    this.#takeAck(segment, first, ack);
    // TIME-WAIT and a closed connection take nothing more.
    if (this.outcome !== undefined) return;
    this.#takeData(segment, first);
  }

  #isAcceptable(first: number, length: number): boolean {
    const window = Math.max(0, this.#edge - this.#rcvNxt);
    if (length === 0) return window === 0 ? first === this.#rcvNxt : first >= this.#rcvNxt && first <= this.#edge;
    if (window === 0) return false;
    return first + length > this.#rcvNxt && first < this.#edge;
  }

  /** Judges a segment as a correct sender's. */
  #judge({ data, flags, options }: Segment, first: number): void {
    const { mss, local, expected } = this.#options;
    const most = (mss ?? (local.length === 4 ? 536 : 1220)) - (options.timestamps ? 12 : 0)
      - (options.sacks ? 4 + 8 * options.sacks.length : 0);
    assert.ok(data.length <= most, `${data.length} bytes of data, and the MSS leaves room for ${most} (MUST-16)`);
    assert.ok(
      first + data.length <= this.#edge + 1, `data up to ${first + data.length}, and the window ends at ${this.#edge}`,
    );
    for (let i = 0; i < data.length; i++) {
      const position = first + i - 1;
      if (data[i] !== expected(position)) {
        assert.fail(`byte ${position} of the stream is ${data[i]}, and should be ${expected(position)}`);
      }
    }
    if (flags & FIN) {
      const end = first + data.length;
      assert.ok(this.#finAt === undefined || this.#finAt === end, `FIN is at ${end}, and was at ${this.#finAt}`);
      this.#finAt = end;
    } else if (this.#finAt !== undefined && data.length > 0) {
      assert.ok(first + data.length <= this.#finAt, "nothing is behind FIN");
    }
  }

  #takeAck({ window }: Segment, first: number, ack: number): void {
    if (ack > this.#una) {
      this.#una = ack;
      this.#nxt = Math.max(this.#nxt, ack);
      this.#backoff = 0;
      this.#timerAt = Infinity;
      if (this.#nxt > this.#una) this.#arm();
    }
    const right = ack + window * 2 ** this.#sendScale;
    if (ack >= this.#una && (first >= this.#windowSeq || right > this.#una + this.#window)) {
      this.#window = right - this.#una;
      this.#windowSeq = first;
      if (this.#window > 0 && this.#nxt === this.#una) this.#timerAt = Infinity;
    }
    const finAcked = this.#shut && this.#una === this.#stream.length + 2;
    if (finAcked) {
      if (this.state === "fin-wait-1") this.state = "fin-wait-2";
      else if (this.state === "closing") this.#timeWait();
      else if (this.state === "last-ack") this.#end("closed");
    }
    this.#push();
  }

  #timeWait(): void {
    this.state = "time-wait";
    this.#timerAt = Infinity;
    this.#endAt = this.#now + TIME_WAIT_US;
  }

  #takeData({ data, flags }: Segment, first: number): void {
    if (data.length === 0 && !(flags & FIN)) return;
    const end = Math.min(first + data.length, this.#edge);
    const old = this.#rcvNxt;
    const came = this.#ranges.some((range) => range.first <= first && range.end >= end);
    if (came || (end <= this.#rcvNxt && data.length > 0)) {
      this.#duplicate = { first, end };
    }
    if (end > this.#rcvNxt) this.#insert(Math.max(first, this.#rcvNxt), end);
    this.came = Math.max(0, this.#rcvNxt - 1);
    if (this.#finAt === this.#rcvNxt && !this.finished) {
      this.finished = true;
      this.#rcvNxt++;
      if (this.state === "established") this.state = "close-wait";
      else if (this.state === "fin-wait-1") this.state = "closing";
      else if (this.state === "fin-wait-2") this.#timeWait();
    } else if (this.state === "time-wait") {
      this.#endAt = this.#now + TIME_WAIT_US;
    }
    this.#unacked++;
    const gaps = this.#ranges.length > 0 || first !== old || this.#rcvNxt === old;
    if (gaps || this.finished || this.#unacked >= 2 || this.#options.delayedAckUs === 0) this.#acknowledge();
    else if (this.#ackAt === Infinity) this.#ackAt = this.#now + this.#options.delayedAckUs;
  }

  /** Puts a range among those that came, and moves on where it closes the gap. */
  #insert(first: number, end: number): void {
    let range = { first, end };
    this.#ranges = this.#ranges.filter((other) => {
      if (other.end < range.first || other.first > range.end) return true;
      range = { first: Math.min(range.first, other.first), end: Math.max(range.end, other.end) };
      return false;
    });
    if (range.first <= this.#rcvNxt) this.#rcvNxt = Math.max(this.#rcvNxt, range.end);
    else this.#ranges.unshift(range);
  }

  /** Sends what may be sent, and returns whether that was anything. */
  #push(expired = false): boolean {
    if (!["established", "close-wait", "fin-wait-1", "closing", "last-ack"].includes(this.state)) return false;
    const { segments, segmentSize } = this.#options;
    const size = Math.max(1, Math.min(segmentSize, this.#sendMss - 40));
    const end = this.#stream.length + 1;
    let sent = false;
    const edge = Math.max(this.#una + this.#window, expired ? this.#una + 1 : 0);
    while (this.#nxt < end && this.#nxt < edge && this.#nxt - this.#una < segments * size) {
      const to = Math.min(end, edge, this.#nxt + size);
      const last = this.#shut && to === end && edge > end;
      this.#sendData(this.#nxt, to, last);
      sent = true;
    }
    if (this.#shut && this.#nxt === end && (this.#window > 0 || expired)) {
      this.#sendData(end, end, true);
      sent = true;
    }
    const waits = this.#nxt > this.#una || (this.#una < end && this.#window <= 0);
    if (waits && (this.#timerAt === Infinity || expired)) this.#arm();
    return sent;
  }

  #sendData(first: number, end: number, fin: boolean): void {
    if (fin) {
      if (this.state === "established") this.state = "fin-wait-1";
      else if (this.state === "close-wait") this.state = "last-ack";
    }
    const data = this.#stream.subarray(first - 1, end - 1);
    this.#nxt = end + (fin ? 1 : 0);
    this.#max = Math.max(this.#max, this.#nxt);
    this.#send(ACK | (fin ? FIN : 0) | (end === this.#stream.length + 1 && data.length > 0 ? PSH : 0), first, data);
  }

  #acknowledge(): void {
    this.#send(ACK, this.#nxt, new Uint8Array(0));
  }

  #send(flags: number, first: number, data: Uint8Array): void {
    const room = this.#room();
    const scale = this.#scaled ? this.#options.scale ?? 0 : 0;
    const window = Math.min(65535, Math.floor(room / 2 ** scale));
    this.#edge = Math.max(this.#edge, this.#rcvNxt + window * 2 ** scale);
    const sacks = this.#sack ? this.#blocks() : [];
    this.#ackAt = Infinity;
    this.#unacked = 0;
    this.#lastAckSent = this.#rcvNxt;
    this.#duplicate = undefined;
    this.#transmit(flags, first, data, window, {
      ...this.#timestamps ? { timestamps: { val: this.#clock(), ecr: this.#tsRecent } } : {},
      ...sacks.length > 0 ? { sacks } : {},
    });
  }

  #blocks(): (readonly [number, number])[] {
    const duplicate = this.#options.duplicateSack && this.#duplicate && this.#duplicate.end > this.#duplicate.first
      ? [this.#duplicate]
      : [];
    return [...duplicate, ...this.#ranges].slice(0, this.#timestamps ? 3 : 4).map(
      ({ first, end }) => [this.#remoteIsn + first >>> 0, this.#remoteIsn + end >>> 0] as const,
    );
  }

  /** Bytes that the window may have: never fewer than were told before. */
  #room(): number {
    return Math.max(this.#edge - this.#rcvNxt, this.#options.buffer - (this.came - this.read), 0);
  }

  #transmit(flags: number, first: number, data: Uint8Array, window: number, options: TcpOptions): void {
    const { local, remote, localPort, isn } = this.#options;
    this.#options.transmit(encode({
      src: local, dst: remote, srcPort: localPort, dstPort: this.#remotePort, seq: isn + first >>> 0,
      ack: flags & ACK ? this.#remoteIsn + this.#rcvNxt >>> 0 : 0, flags, window, options, data,
    }));
  }

  #clock(): number {
    return Math.floor(this.#now / 1000) + this.#options.isn >>> 0;
  }

  #arm(): void {
    this.#timerAt = this.#now + Math.min(MAX_RTO_US, this.#options.rtoUs * 2 ** this.#backoff);
  }

  #isOpen(): boolean {
    return !["closed", "listen", "syn-sent"].includes(this.state);
  }

  /** True while it waits for something of the peer's. */
  #waits(): boolean {
    return !["closed", "listen", "time-wait"].includes(this.state);
  }

  #end(outcome: Outcome): void {
    this.state = "closed";
    this.outcome ??= outcome;
    this.#ackAt = this.#timerAt = this.#endAt = Infinity;
  }
}
