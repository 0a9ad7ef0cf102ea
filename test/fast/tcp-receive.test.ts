/** Tests what is taken of what a peer sends: the window that it is told, and what is kept of data behind a gap. */
import "../support/process.js";
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PAGE_SIZE } from "../../abi/tcp.js";
import { ACK, FIN, PSH, RST, type Segment, SYN } from "../support/tcp.js";
import { type Family, PORTS, TcpHost } from "../support/tcphost.js";
import { Peer } from "../support/tcppeer.js";
import { checkState, stateOf } from "../support/tcpstate.js";

const MSS = 1000;
/** The shift of pongd's windows where both sides scale. */
const SHIFT = 7;
/** A length with which a scaled window need not be rounded. */
const EXACT = 7 << SHIFT;
/** Bytes behind a gap that are kept at most. */
const MAX_EARLY = 65_536;

/** A peer that sends what the window has room for, and looks at each window that it is told. */
class Sender {
  readonly peer: Peer;
  readonly #shift: number;
  /** Numbers that count from the initial ones, which are small enough not to wrap. */
  next = 1;
  #edge = 0;
  readonly #isn: number;
  /** How far the stream that pongd sends has come, and what is acknowledged of it. */
  #came: number;
  acked: number;
  /** Changes of the edge. */
  readonly moves: number[] = [];
  /** Segments without data that came. */
  bare = 0;

  constructor(host: TcpHost, family: Family, port: number, srcPort: number, scaled: boolean) {
    this.peer = new Peer(host, family, port, srcPort);
    this.#shift = scaled ? SHIFT : 0;
    const options = { mss: MSS, ...scaled ? { scale: 0 } : {} };
    const [answer] = this.peer.say({ seq: 0, flags: SYN, window: 0, options });
    this.#isn = answer.seq;
    this.#edge = 1 + answer.window;
    this.#came = this.acked = 1;
    this.say(0, 0);
  }

  /** Bytes that may be sent. */
  get room(): number {
    return this.#edge - this.next;
  }

  /** Bytes that have come and are not acknowledged. */
  get unacknowledged(): number {
    return this.#came - this.acked;
  }

  /** Sends data, and tells of a window of so many bytes behind what is acknowledged. */
  say(length: number, window: number): void {
    const flags = ACK | (length > 0 ? PSH : 0);
    const segment = { seq: this.next, ack: this.#isn + this.acked >>> 0, flags, window };
    this.next += length;
    this.look(this.peer.say({ ...segment, data: new Uint8Array(length) }));
  }

  /** Sends FIN, and returns what came. */
  close(): Segment[] {
    return this.peer.say({ seq: this.next, ack: this.#isn + this.acked >>> 0, flags: ACK | FIN, window: 0 });
  }

  /** Looks at what came. */
  look(segments: readonly Segment[]): void {
    for (const { seq, ack, window, data } of segments) {
      const edge = ack + (window << this.#shift);
      assert.ok(edge >= this.#edge, `the window's edge moves from ${this.#edge} to ${edge}`);
      if (edge > this.#edge) this.moves.push(edge - this.#edge);
      if (data.length === 0) this.bare++;
      this.#edge = edge;
      this.#came = Math.max(this.#came, (seq - this.#isn >>> 0) + data.length);
    }
  }
}

for (const family of [4, 6] as const satisfies readonly Family[]) {
  describe(`IPv${family}`, () => {
    for (const scaled of [false, true]) {
      const how = scaled ? "scaled" : "not scaled";
      test(`the right edge of a window that is ${how} never moves to the left, also when pages become scarce `
        + "(RFC 9293 §3.8.6.2.2, SHLD-14)", async () => {
        // 128 pages: a window is smaller while half of them are in use.
        const host = await TcpHost.create({ limits: { memory: 128 * PAGE_SIZE } });
        const senders = [0, 1, 2].map((i) => new Sender(host, family, PORTS.echo, 40_000 + i, scaled));
        const [first] = senders;
        let most = 0;
        for (const sender of [...senders, ...senders]) {
          // Odd lengths, so that a scaled window has to be rounded. Nothing of the echo is taken.
          for (let i = 0; i < 400 && sender.room > 0; i++) {
            sender.say(Math.min(sender.room, [999, 1, 1000, 37][i % 4]), 0);
          }
          most = Math.max(most, stateOf(host.rig).pages);
          for (const other of senders) if (other !== sender) other.say(Math.min(1, other.room), 0);
        }
        assert.ok(most > 64, `${most} pages`);
        // All is echoed, in pieces.
        for (let i = 0; i < 3000 && stateOf(host.rig).pages > 0; i++) {
          for (const sender of senders) {
            sender.acked += Math.min(sender.unacknowledged, [1000, 333, 1, 2000][i % 4]);
            sender.say(0, 2 * MSS);
          }
          host.advance(1000);
          host.outputs.length = 0;
        }
        assert.ok(first.moves.length > 0, "it moves to the right");
        for (const sender of senders) sender.peer.say({ seq: 0, flags: RST });
        checkState(host.rig);
      });
    }

    for (const scaled of [false, true]) {
      const how = scaled ? "scaled" : "not scaled";
      test(`a window that is ${how} and closed opens by a full segment at least, however little is taken, and nothing `
        + "is sent before it does (MUST-39)", async () => {
        const host = await TcpHost.create();
        const sender = new Sender(host, family, PORTS.echo, 40_000, scaled);
        while (sender.room > 0) sender.say(Math.min(sender.room, EXACT), 0);
        sender.moves.length = 0;
        sender.bare = 0;
        for (let i = 0; i < 2000; i++) {
          sender.acked += Math.min(sender.unacknowledged, 10);
          sender.say(0, 2 * MSS);
        }
        assert.ok(sender.moves.length > 1, "it opens");
        assert.ok(Math.min(...sender.moves) >= MSS, `it opens by ${sender.moves.slice(0, 5).join(", ")} bytes`);
        assert.ok(sender.bare <= sender.moves.length, `${sender.bare} segments without data`);
      });
    }

    test("an echo keeps no more than 512 KiB in order, also if small segments push its window on", async () => {
      const host = await TcpHost.create();
      const sender = new Sender(host, family, PORTS.echo, 40_000, true);
      const pages: number[] = [];
      for (let i = 0; i < 8000; i++) {
        sender.say(100, 0);
        if (i % 1000 === 999) pages.push(stateOf(host.rig).pages);
      }
      assert.ok(pages[7] <= ((1 << 19) + MAX_EARLY) / PAGE_SIZE, `${pages.join(", ")} pages`);
    });

    test("FIN into a window that is just full is taken, and the window stays closed (SHLD-14)", async () => {
      const host = await TcpHost.create();
      const sender = new Sender(host, family, PORTS.echo, 40_000, true);
      while (sender.room > 0) sender.say(Math.min(sender.room, EXACT), 0);
      // Some room, but too little to tell of.
      sender.say(0, 500);
      sender.acked += sender.unacknowledged;
      sender.say(0, 0);
      assert.equal(sender.room, 0);
      const [answer] = sender.close();
      assert.deepEqual([answer.ack, answer.window], [sender.next + 1, 0]);
    });

    for (const port of [PORTS.echo, PORTS.reply]) {
      test(`port ${port}: of what comes behind a gap, 64 KiB are kept and told by SACK, and no more`, async () => {
        const host = await TcpHost.create();
        const peer = new Peer(host, family, port);
        const [{ seq }] = peer.say({ seq: 0, flags: SYN, options: { mss: MSS, sackPermitted: true, scale: SHIFT } });
        const ack = seq + 1 >>> 0;
        peer.say({ seq: 1, ack, flags: ACK });
        const say = (first: number, length: number) => {
          return peer.say({ seq: first, ack, flags: ACK, data: new Uint8Array(length) });
        };
        // The window of the SYN-ACK is not scaled. That of what follows is.
        const [{ window }] = say(1, MSS).concat(say(1 + MSS, MSS)).slice(-1);
        assert.ok(window << SHIFT > MAX_EARLY + 10 * MSS, "the window has room for more than that");
        const next = 1 + 2 * MSS;
        const before = stateOf(host.rig).pages;
        const [fits] = say(next + MAX_EARLY - MSS, MSS);
        assert.deepEqual(fits.options.sacks, [[next + MAX_EARLY - MSS, next + MAX_EARLY]]);
        const pages = stateOf(host.rig).pages;
        assert.ok(pages - before <= MAX_EARLY / PAGE_SIZE + 1, `${pages - before} pages`);
        for (const first of [next + MAX_EARLY - MSS + 1, next + MAX_EARLY, next + MAX_EARLY + 5 * MSS]) {
          const [refused] = say(first, MSS);
          assert.deepEqual([refused.ack, refused.options.sacks], [next, fits.options.sacks]);
        }
        // Each gap has its pieces, of which all lie in the same pages.
        for (let first = next + 1; first < next + MAX_EARLY; first += 2 * MSS) say(first, MSS);
        assert.equal(stateOf(host.rig).pages, pages);
        peer.say({ seq: next, flags: RST });
        assert.deepEqual([stateOf(host.rig).pages, stateOf(host.rig).connections], [0, 0]);
        checkState(host.rig);
      });
    }

    test("peers that leave gaps get half of all pages and no more, and others are served on", async () => {
      const host = await TcpHost.create({ limits: { memory: 64 * PAGE_SIZE } });
      const open = (port: number) => {
        const peer = new Peer(host, family, PORTS.echo, port);
        return [peer, peer.open(0) + 1 >>> 0] as const;
      };
      for (let i = 0; i < 20; i++) {
        const [peer, ack] = open(50_000 + i);
        for (let first = 2; first < MAX_EARLY - 2 * MSS; first += 10 * MSS) {
          peer.say({ seq: first, ack, flags: ACK, data: new Uint8Array(MSS) });
        }
      }
      const { pages } = stateOf(host.rig);
      // The last piece may take all of its connection's pages.
      assert.ok(pages >= 32 && pages < 32 + MAX_EARLY / PAGE_SIZE + 1, `${pages} pages`);
      const [peer, ack] = open(40_000);
      const [echo] = peer.say({ seq: 1, ack, flags: ACK | PSH, data: Buffer.from("hello") });
      assert.equal(Buffer.from(echo.data).toString(), "hello");
      checkState(host.rig);
    });
  });
}
