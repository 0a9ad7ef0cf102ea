/**
 * A network in virtual time between an engine and peers of its own (reference-tcp.ts):
 *
 *     ReferenceTcp ── loss, duplicates, delay and so another order, damage ──► engine
 *     ReferenceTcp ◄── the same, and an MTU whose changes ICMP tells ────────── engine
 *
 * What happens to each packet is drawn from a seed, so that a run can be had again. Besides, somebody off the path may
 * forge segments, and the engine's worker may be held up. After each call of the engine, what it sent is judged by what
 * a sender owes to anybody (Monitor).
 */
import assert from "node:assert/strict";
import type { Random } from "./random.js";
import type { ReferenceTcp } from "./reference-tcp.js";
import type { TcpHost } from "./tcphost.js";
import {
  ACK, decode, encode, FIN, flagsText, ipPacket, isTcp, PSH, remainder, RST, spanOf, SYN,
} from "./tcp.js";

/** What happens to packets; probabilities are of 0 to 1. */
export interface Impairments {
  readonly delayUs: number;
  /** Most of what is added to the delay, which changes the order. */
  readonly jitterUs: number;
  readonly loss: number;
  readonly duplicate: number;
  readonly corrupt: number;
  /** Packets that arrive within such a time reach the engine in one batch. */
  readonly batchUs: number;
  /** For each packet to the engine: how often a forged one comes with it. */
  readonly forged: number;
  /** For each packet to the engine: how often its worker is then held up, up to 2 s. */
  readonly stalls: number;
  /** MTUs of the path from the engine, of which another one holds after each change; in the beginning the first. */
  readonly mtus: readonly number[];
  /** How often a packet that is too long is told about; the others vanish. */
  readonly told: number;
}

interface Event {
  readonly us: number;
  readonly order: number;
  /** A peer's number; -1 is the engine. */
  readonly to: number;
  readonly packet: Uint8Array;
}

/** Most packets of a batch. */
const MAX_BATCH = 128;
/** Bytes of a packet that an ICMP error quotes. */
const QUOTED = { 4: 28, 6: 80 };
const MTU_TIME_US = 3e6;

export class Network {
  readonly host: TcpHost;
  readonly peers: ReferenceTcp[] = [];
  /** What the scenario does, at each step; it may use its peers. */
  act: (now: number) => void = () => undefined;
  now: number;
  /** When the scenario wants to act next. */
  wakeUs = Infinity;
  readonly monitor = new Monitor();
  #random: Random;
  #impairments: Impairments;
  #events: Event[] = [];
  #order = 0;
  #mtu: number;
  #mtuUntil = Infinity;
  readonly #silent = new Set<ReferenceTcp>();

  constructor(host: TcpHost, random: Random, impairments: Impairments) {
    this.host = host;
    this.now = host.us;
    this.#random = random;
    this.#impairments = impairments;
    this.#mtu = impairments.mtus[0];
    if (impairments.mtus.length > 1) this.#mtuUntil = this.now + MTU_TIME_US;
  }

  /** Ends all impairments but the delay. */
  heal(): void {
    const { delayUs, batchUs } = this.#impairments;
    this.#impairments = {
      delayUs, batchUs, jitterUs: 0, loss: 0, duplicate: 0, corrupt: 0, forged: 0, stalls: 0, mtus: [65535], told: 1,
    };
    this.#mtu = 65535;
    this.#mtuUntil = Infinity;
  }

  /** Lets a peer be never heard again. */
  silence(peer: number): void {
    this.#silent.add(this.peers[peer]);
  }

  /** Takes a packet of a peer's. */
  fromPeer(packet: Uint8Array): void {
    this.#trace(">", packet);
    this.monitor.came(packet);
    this.#convey(packet, -1);
    if (this.#chance(this.#impairments.forged)) this.#forge(packet);
  }

  /**
   * Runs until `done` returns true, or until that time.
   * @throws AssertionError if something does not hold
   */
  run(untilUs: number, done: () => boolean): boolean {
    this.#collect();
    for (;;) {
      this.act(this.now);
      this.#collect();
      if (done()) return true;
      const next = Math.min(
        this.#events[0]?.us ?? Infinity, this.host.deadlineUs, this.wakeUs,
        ...this.#heard.map(({ deadline }) => deadline),
      );
      if (next > untilUs) {
        this.now = Math.max(this.now, untilUs);
        this.host.advanceTo(untilUs);
        return done();
      }
      this.#step(Math.max(next, this.now));
    }
  }

  get #heard(): ReferenceTcp[] {
    return this.peers.filter((peer) => !this.#silent.has(peer));
  }

  #step(now: number): void {
    this.now = now;
    if (now >= this.#mtuUntil) {
      this.#mtu = this.#random.pick(this.#impairments.mtus);
      this.#mtuUntil = now + MTU_TIME_US;
    }
    if (this.host.us <= now) this.host.advanceTo(now);
    this.#collect();
    const batch: Uint8Array[] = [];
    while (this.#events.length > 0 && this.#events[0].us <= now) {
      const [{ to, packet }] = this.#events.splice(0, 1);
      if (to >= 0 && !this.#silent.has(this.peers[to])) this.peers[to].input(packet, now);
      else if (to < 0 && batch.length < MAX_BATCH) batch.push(packet);
    }
    if (batch.length > 0) this.host.inject(...batch);
    this.#collect();
    for (const peer of this.#heard) if (peer.deadline <= now) peer.tick(now);
    if (batch.length > 0 && this.#chance(this.#impairments.stalls)) {
      this.host.sleepTo(now + this.#random.below(2_000_000));
      this.now = this.host.us;
    }
    this.#collect();
  }

  /** Conveys what the engine has sent. */
  #collect(): void {
    for (const { packet } of this.host.take()) {
      if (!isTcp(packet)) continue;
      const segment = decode(packet);
      this.#trace("<", packet);
      this.monitor.sent(packet);
      const to = this.peers.findIndex(({ options }) => {
        return options.localPort === segment.dstPort && options.remotePort === segment.srcPort
          && Buffer.compare(options.local, segment.dst) === 0 && Buffer.compare(options.remote, segment.src) === 0;
      });
      if (packet.length > this.#mtu) {
        if (this.#chance(this.#impairments.told)) this.#tooBig(packet);
      } else if (to >= 0) {
        this.#convey(packet, to);
      }
    }
  }

  /** With TRACE in the environment, prints what is sent, with plain numbers. */
  #trace(direction: string, packet: Uint8Array): void {
    if (process.env.TRACE === undefined) return;
    const { srcPort, dstPort, flags, seq, ack, window, data, options } = decode(packet);
    console.log(`${this.now.toFixed(0)} ${direction} ${srcPort} ${dstPort} ${flagsText(flags)} ${seq} (${data.length}) ack ${ack} `
      + `win ${window} ${JSON.stringify(options)}`);
  }

  #convey(packet: Uint8Array, to: number): void {
    const { loss, duplicate, corrupt } = this.#impairments;
    if (this.#chance(loss)) return;
    this.#schedule(this.#chance(corrupt) ? this.#damaged(packet) : packet, to);
    if (this.#chance(duplicate)) this.#schedule(packet, to);
  }

  #schedule(packet: Uint8Array, to: number): void {
    const { delayUs, jitterUs, batchUs } = this.#impairments;
    let us = this.now + delayUs + (jitterUs > 0 ? this.#random.below(jitterUs) : 0);
    if (to < 0 && batchUs > 0) us = Math.ceil(us / batchUs) * batchUs;
    const event = { us, order: this.#order++, to, packet };
    let at = this.#events.length;
    while (at > 0 && this.#events[at - 1].us > us) at--;
    this.#events.splice(at, 0, event);
  }

  /** Changes one bit of what a checksum covers; a length of IPv6 is not among that. */
  #damaged(packet: Uint8Array): Uint8Array {
    const damaged = packet.slice();
    const from = packet[0] >> 4 === 4 ? 12 : 8;
    damaged[from + this.#random.below(packet.length - from)] ^= 1 << this.#random.below(8);
    return damaged;
  }

  /** Sends the engine what somebody might who knows addresses and ports, but no sequence numbers to the byte. */
  #forge(packet: Uint8Array): void {
    const random = this.#random;
    const segment = decode(packet);
    const near = segment.seq + spanOf(segment) + 40_000 + random.below(20_000) >>> 0;
    const far = random.next();
    const stolen = { src: segment.src, dst: segment.dst, srcPort: segment.srcPort, dstPort: segment.dstPort };
    // A RST or SYN within the window is challenged; data is dropped for its acknowledgement.
    const forged = random.pick([
      { ...stolen, flags: RST, seq: near },
      { ...stolen, flags: RST | ACK, seq: far === segment.seq ? near : far, ack: random.next() },
      { ...stolen, flags: SYN, seq: near },
      { ...stolen, flags: ACK | PSH, seq: near, ack: segment.ack + 0x4000_0000 >>> 0, data: Buffer.from("forged") },
      { ...stolen, flags: ACK | FIN, seq: near, ack: segment.ack + 0x5000_0000 >>> 0 },
      { ...stolen, flags: 0, seq: near },
    ]);
    // Before there is a connection, a SYN would make one and a RST end it.
    if (!(segment.flags & SYN)) this.#schedule(encode(forged), -1);
  }

  #tooBig(packet: Uint8Array): void {
    const four = packet[0] >> 4 === 4;
    const quoted = packet.subarray(0, four ? QUOTED[4] : QUOTED[6]);
    const message = new Uint8Array(8 + quoted.length);
    message[0] = four ? 3 : 2;
    message[1] = four ? 4 : 0;
    new DataView(message.buffer).setUint32(4, this.#mtu);
    message.set(quoted, 8);
    const dst = four ? packet.slice(12, 16) : packet.slice(8, 24);
    const src = four ? packet.slice(16, 20) : packet.slice(24, 40);
    const start = four ? 0 : remainder(dst, remainder(src, 58 + message.length));
    new DataView(message.buffer).setUint16(2, (65535 - remainder(message, start)) % 65535);
    this.#schedule(ipPacket(four ? 1 : 58, message, { src, dst }), -1);
  }

  #chance(probability: number): boolean {
    return probability > 0 && this.#random.next() < probability * 2 ** 32;
  }
}

/** What was seen of one direction of a connection. */
interface Seen {
  ack: number;
  edge: number;
  scale: number;
  /** Offered a scale itself, in its SYN. */
  offered: boolean;
}

/**
 * Judges what the engine sends, whatever happens to it afterwards: acknowledgements and the right edge of the window
 * never go back (RFC 9293 §3.8.6, SHLD-14).
 */
export class Monitor {
  readonly #seen = new Map<string, Seen>();
  readonly #offered = new Set<string>();

  came(packet: Uint8Array): void {
    const { src, srcPort, dstPort, flags, options } = decode(packet);
    if (!(flags & SYN)) return;
    const key = `${Buffer.from(src).toString("hex")} ${srcPort} ${dstPort}`;
    if (options.scale === undefined) this.#offered.delete(key); else this.#offered.add(key);
  }

  sent(packet: Uint8Array): void {
    const { dst, srcPort, dstPort, flags, ack, window, options } = decode(packet);
    const key = `${Buffer.from(dst).toString("hex")} ${dstPort} ${srcPort}`;
    if (flags & RST) return;
    assert.ok(flags & ACK, `${flagsText(flags)}: all but a RST acknowledges`);
    const before = this.#seen.get(key);
    if (flags & SYN || !before) {
      // A connection may be cut off behind a SYN that was lost on its way back.
      const scale = flags & SYN ? options.scale ?? 0 : before?.scale ?? 0;
      if (flags & SYN) this.#seen.set(key, { ack, edge: ack + window, scale, offered: this.#offered.has(key) });
      return;
    }
    assert.ok((ack - before.ack | 0) >= 0, `the acknowledgement goes back by ${before.ack - ack}`);
    const edge = ack + window * 2 ** before.scale;
    const shrunk = before.edge - edge | 0;
    assert.ok(shrunk <= 0, `the window's right edge goes back by ${shrunk} (SHLD-14)`);
    before.ack = ack;
    before.edge = edge;
  }
}
