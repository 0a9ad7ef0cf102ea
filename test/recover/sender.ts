/** The sending side of TCP in assembly/ over one control block, whose clock, ACKs and timer a test makes. */
import assert from "node:assert/strict";
import { NOW } from "../../abi/control.js";
import { SLOT_BASE } from "../../abi/slots.js";
import * as tcp from "../../abi/tcp.js";
import { TICK_BITS } from "../../abi/timers.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { SECRETS } from "../../src/engine/tcp.js";
import { asc } from "../support/assembly.js";

interface Recover {
  begin(c: number, us: number): void;
  acknowledge(c: number, segment: number, windowChanged: boolean): void;
  allowance(c: number): number;
  lost(c: number, most: number): bigint;
  sent(c: number, seq: number, end: number, again: boolean): void;
  expired(c: number): number;
  narrower(c: number): void;
  end(c: number): void;
  timeout(c: number): number;
  parse(segment: number, header: number, len: number, congested: boolean): void;
}

/** Bits of FLAGS and MARKS; assembly/tcp/connection.ts. */
export const FLAG = { timestamps: 2, sack: 4, ecn: 16, finSent: 64 } as const;
export const MARK = { recovery: 2, loss: 4, tailProbe: 8, cwrDue: 64, probed: 128 } as const;

export const ISS = 0xffff_f000;
const ECE = 64;
const ACK = 16;
/** Where the block's timestamps begin. */
const TS_OFFSET = 0x1234_5678;

export interface SenderOptions {
  readonly mss?: number;
  readonly sack?: boolean;
  readonly timestamps?: boolean;
  readonly ecn?: boolean;
  readonly pages?: number;
  readonly iss?: number;
  /** Round-trip time of the handshake in µs. */
  readonly rtt?: number;
  readonly window?: number;
  /** Times that the SYN-ACK was sent again. */
  readonly again?: number;
  /** The clock shows multiples of so many µs alone. */
  readonly granularity?: number;
}

export interface Ack {
  readonly ack: number;
  readonly sacks?: readonly (readonly [first: number, end: number])[];
  readonly tsecr?: number;
  readonly ece?: boolean;
  readonly window?: number;
  readonly len?: number;
}

export interface Sent {
  readonly seq: number;
  readonly len: number;
  readonly again: boolean;
}

export class Sender {
  static #module: Promise<WebAssembly.Module> | undefined;
  readonly #words: Uint32Array;
  readonly #times: BigUint64Array;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly recover: Recover;
  readonly c: number;
  readonly iss: number;
  readonly #options: SenderOptions;
  #us = 5_000_000;

  private constructor(linear: LinearMemory, recover: Recover, options: SenderOptions) {
    this.recover = recover;
    this.#options = options;
    this.#words = new Uint32Array(linear.memory.buffer);
    this.#times = new BigUint64Array(linear.memory.buffer);
    this.#bytes = new Uint8Array(linear.memory.buffer);
    this.#view = new DataView(linear.memory.buffer);
    this.c = this.#words[tcp.CONNECTIONS / 4];
    this.iss = options.iss ?? ISS;
    this.#words[tcp.TS_OFFSET / 4] = TS_OFFSET;
    const { mss = 1460, sack = true, timestamps = false, ecn = false, window = 1 << 30, rtt = 0 } = options;
    this.#bytes.fill(0xa5, this.c, this.c + tcp.CONNECTION_SIZE);
    this.#bytes[this.c + tcp.STATE] = tcp.State.ESTABLISHED;
    const flags = [sack && FLAG.sack, timestamps && FLAG.timestamps, ecn && FLAG.ecn];
    this.#bytes[this.c + tcp.FLAGS] = flags.reduce<number>((all, flag) => all | Number(flag), 0);
    this.#bytes[this.c + tcp.MARKS] = 0;
    this.#bytes[this.c + tcp.BACKOFF] = options.again ?? 0;
    this.set(tcp.SERVICE, tcp.SERVICES);
    for (const field of [tcp.SND_UNA, tcp.SND_NXT, tcp.SND_END]) this.set(field, this.iss);
    this.set(tcp.SND_WND, window);
    this.#view.setBigUint64(this.c + tcp.ACKED, 0n, true);
    this.setMss(mss);
    this.at(this.#us);
    recover.begin(this.c, rtt);
  }

  static async create(options: SenderOptions = {}): Promise<Sender> {
    this.#module ??= WebAssembly.compile(asc("test/recover/assembly/index.ts", "release"));
    const { pages = 8 } = options;
    const linear = LinearMemory.create({
      mtu: 1500, reassembly: 0, kept: 512,
      tcp: { connections: 1, memory: pages * tcp.PAGE_SIZE, bySource: 0, secrets: new Uint8Array(SECRETS) },
    });
    const { exports } = await WebAssembly.instantiate(await this.#module, { env: { memory: linear.memory } });
    return new Sender(linear, exports as unknown as Recover, options);
  }

  get(field: number): number {
    return this.#words[(this.c + field) / 4];
  }

  set(field: number, value: number): void {
    this.#words[(this.c + field) / 4] = value;
  }

  byte(field: number): number {
    return this.#bytes[this.c + field];
  }

  marked(mark: number): boolean {
    return (this.byte(tcp.MARKS) & mark) !== 0;
  }

  /** Time in µs. */
  get now(): number {
    return this.#us;
  }

  at(us: number): void {
    this.#us = us;
    const { granularity = 1 } = this.#options;
    this.#times[NOW / 8] = BigInt(Math.floor(us / granularity) * granularity) * 1000n;
  }

  wait(us: number): void {
    this.at(this.#us + us);
  }

  /** Timestamp that a segment sent `us` µs ago had. */
  stamp(us = 0): number {
    return (Number((this.#times[NOW / 8] - BigInt(us) * 1000n) / 1_000_000n) + TS_OFFSET) >>> 0;
  }

  get acked(): number {
    return Number(this.#view.getBigUint64(this.c + tcp.ACKED, true));
  }

  /** Sequence numbers, counted from the first byte of the stream. */
  get una(): number {
    return this.get(tcp.SND_UNA) - this.iss >>> 0;
  }

  get nxt(): number {
    return this.get(tcp.SND_NXT) - this.iss >>> 0;
  }

  get cwnd(): number {
    return this.get(tcp.CWND);
  }

  get ssthresh(): number {
    return this.get(tcp.SSTHRESH);
  }

  /** Bytes of a full segment. */
  get segment(): number {
    return this.#view.getUint16(this.c + tcp.MSS, true) - (this.#options.timestamps ? 12 : 0);
  }

  setMss(mss: number): void {
    this.#view.setUint16(this.c + tcp.MSS, mss, true);
  }

  get pages(): number {
    return this.#words[tcp.PAGE_COUNT / 4];
  }

  /** µs until the retransmission timer, undefined if it does not run. */
  get timer(): number | undefined {
    const at = this.get(tcp.RETRANSMIT_AT);
    if (at === 0) return undefined;
    const ticks = at - Number(BigInt.asUintN(32, this.#times[NOW / 8] >> BigInt(TICK_BITS))) | 0;
    return Math.max(ticks, 0) * (1 << TICK_BITS) / 1000;
  }

  get timeout(): number {
    return this.recover.timeout(this.c);
  }

  /** Asserts that the runs of the flight add up (assembly/tcp/runs.ts, fields.ts). */
  checkFlight(): void {
    const page = this.get(tcp.FLIGHT);
    if (page === 0) return;
    const field = (index: number) => this.#words[page / 4 + index];
    const [first, last, sacked, lost] = [0, 1, 2, 3].map(field);
    let [start, held, missing] = [this.get(tcp.SND_UNA), 0, 0];
    for (let run = first; run < last; run += 8) {
      const end = this.#words[run / 4];
      const flags = this.#words[run / 4 + 1] & 7;
      const len = end - start | 0;
      assert.ok(len > 0, `a run of ${len} bytes`);
      if (flags & 1) held += len;
      if (flags & 2) missing += len;
      assert.ok((flags & 3) < 3);
      start = end;
    }
    assert.equal(start, this.get(tcp.SND_NXT));
    assert.equal(lost, missing);
    const out = this.nxt - this.una;
    if ((this.byte(tcp.FLAGS) & FLAG.sack) !== 0) assert.equal(sacked, held);
    else assert.ok(sacked + lost <= out);
    assert.ok(last <= page + tcp.PAGE_SIZE);
  }

  /** Sends FIN, behind everything. */
  sendFin(): void {
    const next = this.get(tcp.SND_NXT);
    this.#bytes[this.c + tcp.FLAGS] |= FLAG.finSent;
    this.set(tcp.SND_NXT, next + 1);
    this.recover.sent(this.c, next, next + 1 >>> 0, false);
  }

  /** Has so many more bytes to send. */
  offer(bytes: number): void {
    this.set(tcp.SND_END, this.get(tcp.SND_END) + bytes);
  }

  /** Sends all that may be sent now, as assembly/tcp/output.ts does, at most `most` segments. */
  output(most = Infinity): Sent[] {
    const all: Sent[] = [];
    while (all.length < most) {
      const one = this.#sendOne();
      if (!one) break;
      all.push(one);
    }
    return all;
  }

  #sendOne(): Sent | undefined {
    const range = BigInt.asUintN(64, this.recover.lost(this.c, this.segment));
    if (range !== 0n) {
      const seq = Number(range >> 32n);
      const len = Number(range & 0xffff_ffffn);
      this.recover.sent(this.c, seq, seq + len >>> 0, true);
      return { seq: seq - this.iss >>> 0, len, again: true };
    }
    const next = this.get(tcp.SND_NXT);
    const data = this.get(tcp.SND_END) - next >>> 0;
    const usable = Math.max(this.get(tcp.SND_WND) - (next - this.get(tcp.SND_UNA) >>> 0), 0);
    const len = Math.min(data, this.segment, usable, this.recover.allowance(this.c) >>> 0);
    if (len === 0 || (len < this.segment && len < data)) return undefined;
    this.set(tcp.SND_NXT, next + len);
    this.recover.sent(this.c, next, next + len >>> 0, false);
    return { seq: next - this.iss >>> 0, len, again: false };
  }

  /** An ACK comes; its numbers count from the first byte of the stream. */
  ack({ ack, sacks = [], tsecr, ece = false, window, len = 0 }: Ack): void {
    const header = SLOT_BASE;
    const options: number[] = [];
    const put = (value: number) => options.push(value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255);
    if (tsecr !== undefined) {
      put(0x0101_080a);
      put(1);
      put(tsecr);
    }
    if (sacks.length > 0) {
      put(0x0101_0500 + 2 + 8 * sacks.length);
      for (const [first, end] of sacks) {
        put(this.iss + first);
        put(this.iss + end);
      }
    }
    const headerLen = 20 + options.length;
    this.#bytes.fill(0, header, header + 20);
    this.#view.setUint32(header + 8, this.iss + ack >>> 0);
    this.#bytes[header + 12] = headerLen << 2;
    this.#bytes[header + 13] = ACK | (ece ? ECE : 0);
    this.#bytes.set(options, header + 20);
    this.recover.parse(tcp.SEGMENT, header, headerLen + len, false);
    const before = this.get(tcp.SND_WND);
    if (this.una !== this.nxt) this.recover.acknowledge(this.c, tcp.SEGMENT, (window ?? before) !== before);
    this.set(tcp.SND_WND, window ?? before);
  }

  /** The timer has come. Returns whether the connection goes on. */
  expire(): boolean {
    this.set(tcp.RETRANSMIT_AT, 0);
    return this.recover.expired(this.c) !== 0;
  }
}
