/**
 * Tests the sending side of TCP: what is sent, and sent again, when. Expected numbers come from the RFCs' formulas as
 * they are written there, in floating point, or from small models in this file.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CWND, DUP_ACKS, RTTVAR, SRTT, SSTHRESH, W_MAX } from "../../abi/tcp.js";
import { TICK_NS } from "../../abi/timers.js";
import { LOST, Link, PASSED } from "../recover/link.js";
import { MARK, Sender, type Sent, type SenderOptions } from "../recover/sender.js";
import { Random } from "../support/random.js";

const MSS = 1460;
const MS = 1000;
const TICK = TICK_NS / 1000;
const NO_THRESHOLD = 0x7fff_ffff;

/** Returns a sender that has sent a whole window, and has more to send. */
async function sending(options: SenderOptions = {}): Promise<Sender> {
  const sender = await Sender.create({ rtt: 20 * MS, ...options });
  sender.offer(100_000_000);
  sender.output();
  return sender;
}

/** Returns segments as numbers: those sent again as negative ones, and the first one again as "-0". */
function numbers(sent: readonly Sent[], mss = MSS): string {
  return sent.map(({ seq, again }) => `${again ? "-" : ""}${seq / mss}`).join(" ");
}

/** Asserts that the timer comes after so many µs, as precise as its ticks are. */
function timerIs(sender: Sender, us: number): void {
  const { timer } = sender;
  assert.ok(timer !== undefined && Math.abs(timer - us) <= 2 * TICK, `the timer comes after ${timer} µs, not ${us}`);
}

/** Waits for the timer, and lets it come. */
function toTimer(sender: Sender): boolean {
  sender.wait(sender.timer ?? assert.fail("no timer"));
  return sender.expire();
}

describe("the initial window", () => {
  for (const [mss, expected] of [
    [536, 5360], [1220, 12200], [1460, 14600], [4000, 14600], [8960, 17920], [65495, 130990],
  ]) {
    test(`is ${expected} bytes for an MSS of ${mss}`, async () => {
      const sender = await Sender.create({ mss, rtt: MS });
      assert.equal(sender.cwnd, expected);
      sender.offer(1_000_000);
      assert.equal(sender.output().length, Math.floor(expected / mss));
    });
  }

  test("is the same if one SYN-ACK was lost", async () => {
    assert.equal((await Sender.create({ again: 1 })).cwnd, 10 * MSS);
  });

  test("is one segment if the SYN-ACK was lost twice, and the timeout is 3 s", async () => {
    const sender = await Sender.create({ again: 2 });
    assert.equal(sender.cwnd, MSS);
    assert.equal(sender.timeout, 3_000_000);
  });
});

describe("the timeout", () => {
  test("is a second before the first sample", async () => {
    const sender = await Sender.create();
    assert.equal(sender.timeout, 1_000_000);
  });

  test("follows RFC 6298, sample by sample, and is 200 ms above the smoothed time at least", async () => {
    const sender = await Sender.create({ rtt: 50 * MS });
    let [srtt, rttvar] = [50_000, 25_000];
    for (const rtt of [50_000, 50_000, 900_000, 60_000, 10, 400_000, 400_000, 2_000_000, 300_000, 300_000, 1]) {
      sender.offer(100);
      sender.output();
      sender.wait(rtt);
      sender.ack({ ack: sender.nxt });
      rttvar = 0.75 * rttvar + 0.25 * Math.abs(srtt - rtt);
      srtt = 0.875 * srtt + 0.125 * rtt;
      const expected = srtt + Math.max(4 * rttvar, 200_000);
      assert.ok(Math.abs(sender.timeout - expected) < 1040, `${sender.timeout} µs, not ${expected}`);
    }
  });

  test("doubles, and stays so, up to 3 s, until something that was sent once is acknowledged", async () => {
    const sender = await Sender.create({ rtt: 20 * MS, sack: false });
    sender.offer(1000);
    sender.output();
    const base = 220_000;
    for (let times = 1; times <= 5; times++) {
      assert.ok(toTimer(sender));
      timerIs(sender, base * 2 ** times);
      assert.deepEqual(sender.output(), [{ seq: 0, len: 1000, again: true }]);
      timerIs(sender, base * 2 ** times);
    }
    // This may be the ACK of any of the six.
    sender.ack({ ack: 1000 });
    assert.equal(sender.timer, undefined);
    assert.equal(sender.timeout, base * 2 ** 3);
    sender.offer(1000);
    sender.output();
    timerIs(sender, base * 2 ** 3);
    sender.wait(20 * MS);
    sender.ack({ ack: 2000 });
    assert.ok(sender.timeout < 250_000);
    assert.equal(sender.pages, 0);
  });

  test("follows one of many samples of a window by less (RFC 7323, appendix G)", async () => {
    const sender = await Sender.create({ rtt: 20 * MS });
    sender.set(CWND, 41 * MSS);
    sender.offer(40 * MSS);
    sender.output();
    sender.wait(MS);
    sender.offer(MSS);
    sender.output();
    sender.wait(99 * MS);
    sender.ack({ ack: MSS });
    const samples = Math.ceil(41 / 2);
    assert.ok(Math.abs(sender.get(SRTT) / 8 - (20_000 + 80_000 / 8 / samples)) < 1);
    assert.ok(Math.abs(sender.get(RTTVAR) / 4 - (10_000 + (80_000 - 10_000) / 4 / samples)) < 1);
  });

  test("takes a sample from a timestamp where Karn's algorithm has none", async () => {
    const sender = await Sender.create({ rtt: 20 * MS, timestamps: true, sack: false });
    sender.offer(1000);
    sender.output();
    toTimer(sender);
    sender.output();
    const stamp = sender.stamp();
    sender.wait(40 * MS);
    sender.ack({ ack: 1000, tsecr: stamp });
    const srtt = 0.875 * 20_000 + 0.125 * 40_000;
    assert.equal(sender.timeout, Math.floor(srtt / 1000) * 1000 + 200_000);
  });

  test("does not grow by timestamps that have timeouts in them, as the ACK was lost", async () => {
    const sender = await Sender.create({ rtt: 20 * MS, timestamps: true });
    for (let round = 1; round <= 20; round++) {
      sender.offer(1000);
      sender.output();
      const stamp = sender.stamp();
      for (let i = 0; i < 6; i++) {
        toTimer(sender);
        sender.output();
      }
      sender.ack({ ack: 1000 * round, tsecr: stamp });
    }
    assert.ok(sender.timeout < 10_000 * MS, `${sender.timeout} µs`);
  });

  for (const rtt of [MS, 400 * MS, 30_000 * MS]) {
    test(`gives up after 100 s and eight retransmissions at least, with a round trip of ${rtt / MS} ms`, async () => {
      const sender = await Sender.create({ rtt, sack: false });
      sender.offer(1000);
      sender.output();
      const start = sender.now;
      let again = 0;
      while (toTimer(sender)) again += sender.output().length;
      assert.ok(again >= 8 && again <= 15, `${again} retransmissions`);
      assert.ok(sender.now - start >= 100_000_000, `after ${(sender.now - start) / 1e6} s`);
      assert.ok(sender.now - start <= 1_200_000_000, `after ${(sender.now - start) / 1e6} s`);
      sender.recover.end(sender.c);
      assert.equal(sender.pages, 0);
    });
  }

  test("takes no sample from the first of several segments, whose time is not known", async () => {
    const sender = await sending();
    sender.wait(300 * MS);
    sender.ack({ ack: MSS });
    assert.equal(sender.timeout, 220 * MS);
  });

  test("restarts with each ACK for new data, and stops when all is acknowledged", async () => {
    const sender = await sending({ sack: false });
    sender.wait(20 * MS);
    timerIs(sender, 200 * MS);
    sender.ack({ ack: MSS });
    timerIs(sender, sender.timeout);
    sender.ack({ ack: sender.nxt });
    assert.equal(sender.timer, undefined);
  });
});

describe("a connection that loses nothing", () => {
  test("takes no page for answers that are sent at once", async () => {
    const sender = await Sender.create({ rtt: 20 * MS });
    for (let round = 0; round < 20; round++) {
      sender.offer(10_000);
      assert.equal(sender.output().length, 7);
      sender.wait(20 * MS);
      sender.ack({ ack: sender.una + 4 * MSS });
      sender.ack({ ack: sender.nxt });
      assert.equal(sender.pages, 0);
    }
    assert.equal(sender.acked, 200_000);
    assert.equal(sender.timer, undefined);
  });

  test("FIN is no byte of the stream, and gets its time", async () => {
    const sender = await Sender.create({ rtt: 20 * MS });
    sender.offer(100);
    sender.output();
    sender.sendFin();
    sender.ack({ ack: 101 });
    assert.equal(sender.acked, 100);
    assert.equal(sender.una, sender.nxt);
    assert.equal(sender.timer, undefined);
  });

  test("FIN alone is sent again", async () => {
    const sender = await Sender.create({ rtt: 20 * MS, sack: false });
    sender.offer(100);
    sender.output();
    sender.ack({ ack: 100 });
    sender.sendFin();
    toTimer(sender);
    assert.deepEqual(sender.output(), [{ seq: 100, len: 1, again: true }]);
    sender.ack({ ack: 101 });
    assert.equal(sender.acked, 100);
  });

  for (const delayedAcks of [false, true]) {
    for (const timestamps of [false, true]) {
      const how = `${delayedAcks ? "delayed" : "immediate"} ACKs, ${timestamps ? "with" : "without"} timestamps`;
      test(`nothing is sent twice, and all pages go back: ${how}`, async () => {
        for (const bytes of [1, 100, 1460, 1461, 2920, 4380, 7300, 14_600, 20_000, 3_000_000]) {
          const sender = await Sender.create({ rtt: 20 * MS, timestamps });
          const link = new Link(sender, { delay: 10 * MS, delayedAcks, timestamps });
          sender.offer(bytes);
          assert.ok(link.run());
          assert.deepEqual([sender.acked, link.retransmitted, sender.pages], [bytes, 0, 0]);
        }
      });
    }
  }
});

describe("slow start", () => {
  test("adds what is acknowledged, by eight segments for an ACK at most (RFC 9406 §4.3)", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    sender.ack({ ack: 2 * MSS });
    assert.equal(sender.cwnd, 12 * MSS);
    assert.equal(numbers(sender.output()), "10 11 12 13");
    sender.wait(MS);
    sender.ack({ ack: 10 * MSS });
    assert.equal(sender.cwnd, 20 * MSS);
    sender.output();
    sender.wait(20 * MS);
    sender.ack({ ack: 22 * MSS });
    assert.equal(sender.cwnd, 28 * MSS);
  });

  test("does not add to a window that is not used", async () => {
    const sender = await Sender.create({ rtt: 20 * MS });
    for (let round = 0; round < 50; round++) {
      sender.offer(4 * MSS);
      sender.output();
      sender.wait(20 * MS);
      sender.ack({ ack: sender.nxt });
    }
    assert.equal(sender.cwnd, 10 * MSS);
  });

  test("begins anew after more than a timeout without anything sent (RFC 5681 §4.1)", async () => {
    const sender = await sending();
    for (let round = 0; round < 5; round++) {
      sender.wait(20 * MS);
      for (const end = sender.nxt; sender.una < end;) {
        sender.ack({ ack: Math.min(sender.una + 2 * MSS, end) });
        if (round < 4) sender.output();
      }
    }
    const { cwnd } = sender;
    assert.ok(cwnd > 100 * MSS);
    assert.equal(sender.una, sender.nxt);
    sender.wait(190 * MS);
    assert.equal(sender.recover.allowance(sender.c), cwnd - cwnd % MSS);
    sender.wait(100 * MS);
    assert.equal(sender.output().length, 10);
    assert.equal(sender.ssthresh, NO_THRESHOLD);
  });

  test("begins anew from no more than the window, and remembers what the path carried (RFC 7661 §4.4.3)", async () => {
    for (const [cwnd, ssthresh, remembered] of [[100, 20, 75], [100, 90, 90], [4, 20, 20]]) {
      const sender = await Sender.create({ rtt: 20 * MS });
      sender.set(CWND, cwnd * MSS);
      sender.set(SSTHRESH, ssthresh * MSS);
      sender.wait(10_000 * MS);
      sender.offer(1000 * MSS);
      assert.equal(sender.output().length, Math.min(cwnd, 10));
      assert.equal(sender.ssthresh, remembered * MSS);
    }
  });

  /**
   * Plays a round trip of so many ms, whose ACKs come at its end. Returns by what share of what it acknowledged each of
   * them let the window grow. The last one is the first sample of the next round.
   */
  function round(sender: Sender, rtt: number): number[] {
    const end = sender.nxt;
    sender.wait(rtt * MS);
    const shares: number[] = [];
    while (sender.una < end) {
      if (sender.una === end - MSS) sender.output();
      const { cwnd } = sender;
      sender.ack({ ack: sender.una + MSS });
      shares.push((sender.cwnd - cwnd) / MSS);
    }
    return shares;
  }

  /** Returns a sender after three round trips of so many ms, the last of which is a whole round. */
  async function started(rtt: number, threshold = NO_THRESHOLD): Promise<Sender> {
    const sender = await sending({ rtt: rtt * MS });
    sender.set(SSTHRESH, threshold);
    sender.wait(rtt * MS);
    for (let acked = 1; acked < 10; acked++) {
      sender.ack({ ack: acked * MSS });
      sender.output();
    }
    sender.ack({ ack: 10 * MSS });
    for (let i = 0; i < 2; i++) assert.ok(round(sender, rtt).every((share) => share === 1));
    return sender;
  }

  test("grows by a quarter for five rounds once the delay has grown, and then it is over (RFC 9406)", async () => {
    const sender = await started(40);
    assert.ok(round(sender, 60).every((share) => share === 1));
    // The eighth sample of the round tells.
    assert.deepEqual(round(sender, 60).slice(0, 8), [1, 1, 1, 1, 1, 1, 0.25, 0.25]);
    for (let rounds = 2; rounds <= 5; rounds++) {
      assert.equal(sender.ssthresh, NO_THRESHOLD);
      const shares = round(sender, 60);
      assert.ok(shares.slice(0, -1).every((share) => share === 0.25));
    }
    assert.ok(Math.abs(sender.ssthresh - sender.cwnd) <= MSS);
    assert.ok(round(sender, 60).every((share) => share < 0.1));
  });

  test("is not cautious any more once a round has less delay (RFC 9406 §4.2)", async () => {
    const sender = await started(40);
    round(sender, 60);
    assert.equal(round(sender, 60).at(-1), 0.25);
    assert.deepEqual(round(sender, 59).slice(0, 8), [0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 1, 1]);
    assert.equal(sender.ssthresh, NO_THRESHOLD);
  });

  for (const [rtt, more, cautious] of [
    [8, 3, false], [8, 5, true], [80, 9, false], [80, 11, true], [400, 15, false], [400, 17, true],
  ] as const) {
    const what = cautious ? "becomes cautious" : "stays as it is";
    test(`${what} as ${rtt} ms become ${rtt + more} (RFC 9406 §4.3: an eighth, 4 to 16 ms)`, async () => {
      const sender = await started(rtt);
      round(sender, rtt + more);
      assert.equal(round(sender, rtt + more).at(-1), cautious ? 0.25 : 1);
    });
  }

  test("is not cautious after a loss (RFC 9406 §4.3)", async () => {
    const sender = await started(40);
    round(sender, 60);
    assert.equal(round(sender, 60).at(-1), 0.25);
    while (!sender.marked(MARK.loss)) toTimer(sender);
    sender.output();
    const { cwnd } = sender;
    sender.wait(60 * MS);
    sender.ack({ ack: sender.una + MSS });
    assert.equal(sender.cwnd, cwnd + MSS);
  });

  test("is not cautious when it is not the first (RFC 9406 §4.3)", async () => {
    const sender = await started(40, 10_000 * MSS);
    round(sender, 60);
    assert.ok(round(sender, 60).every((share) => share === 1));
  });

  test("stops at the threshold", async () => {
    const sender = await sending();
    sender.set(SSTHRESH, 11 * MSS);
    sender.wait(20 * MS);
    sender.ack({ ack: 4 * MSS });
    assert.equal(sender.cwnd, 11 * MSS);
  });

  test("ends before a deep queue is full, as the delay grows (HyStart++)", async () => {
    const sender = await Sender.create({ rtt: 40 * MS });
    // A bandwidth-delay product is 500 kB. Without HyStart++, slow start would go on until the queue overflows.
    const link = new Link(sender, { delay: 20 * MS, rate: 12.5e6, queue: 6e6 });
    let atExit = 0;
    link.watch = () => { if (atExit === 0 && sender.ssthresh !== NO_THRESHOLD) atExit = sender.cwnd; };
    sender.offer(40_000_000);
    assert.ok(link.run());
    assert.equal(link.dropped, 0);
    assert.ok(atExit > 500_000 && atExit < 6_000_000, `${atExit} bytes`);
  });

  test("goes on if the delay was jitter alone", async () => {
    const sender = await Sender.create({ rtt: 40 * MS });
    // All packets of the third and fourth round trip are late.
    const late = (now: number) => now >= 5_080_000 && now < 5_160_000 ? [12 * MS] : PASSED;
    const link = new Link(sender, { delay: 20 * MS, fate: (_segment, _index, now) => late(now) });
    sender.offer(20_000_000);
    assert.ok(link.run());
    assert.equal(sender.ssthresh, NO_THRESHOLD);
    assert.equal(link.retransmitted, 0);
  });
});

describe("congestion avoidance", () => {
  /** Loses one segment when the window is at least so large. Returns the window at each time after recovery. */
  async function afterLoss(atLeast: number, rtt: number, bytes: number): Promise<{
    before: number; after: { t: number; cwnd: number }[];
  }> {
    const sender = await Sender.create({ rtt });
    let [lost, before, recovered] = [false, 0, 0];
    const after: { t: number; cwnd: number }[] = [];
    const link = new Link(sender, {
      delay: rtt / 2,
      fate: () => {
        if (lost || sender.cwnd < atLeast) return PASSED;
        lost = true;
        return LOST;
      },
    });
    let [was, last] = [false, 0];
    link.watch = () => {
      const now = sender.marked(MARK.recovery);
      if (!was && now) before = last;
      if (was && !now) recovered = sender.now;
      if (recovered > 0) after.push({ t: (sender.now - recovered) / 1e6, cwnd: sender.cwnd });
      [was, last] = [now, sender.cwnd];
    };
    sender.offer(bytes);
    assert.ok(link.run());
    assert.equal(link.retransmitted, 1);
    return { before, after };
  }

  test("follows the curve of RFC 9438 §4.2 after a loss", async () => {
    const { before, after } = await afterLoss(400 * MSS, 100 * MS, 60_000_000);
    const [{ cwnd: start }] = after;
    assert.ok(Math.abs(start - 0.7 * before) < 2 * MSS, `${start} is not 0.7 × ${before}`);
    const k = Math.cbrt((before - start) / MSS / 0.4);
    const curve = (t: number) => 0.4 * MSS * (t - k) ** 3 + before;
    let compared = 0;
    for (const { t, cwnd } of after.filter(({ t }) => t > 0.2 && t < 2 * k)) {
      const [low, high] = [curve(t - 0.1), curve(t + 0.1)];
      assert.ok(cwnd > low * 0.98 && cwnd < high * 1.02, `${cwnd} after ${t} s; the curve has ${low} to ${high}`);
      compared++;
    }
    assert.ok(compared > 1000);
  });

  test("is no slower than Reno where windows are small (RFC 9438 §4.3)", async () => {
    const { before, after } = await afterLoss(30 * MSS, 10 * MS, 20_000_000);
    const [{ cwnd: start }] = after;
    // α segments a round trip until the window is what it was, then one.
    const alpha = 3 * 0.3 / 1.7;
    const rounds = (before - start) / MSS / alpha;
    const at = after.find(({ t }) => t >= 0.01 * (rounds + 20)) ?? assert.fail("too short");
    assert.ok(Math.abs(at.cwnd - before - 20 * MSS) < 4 * MSS, `${at.cwnd / MSS} segments, before it ${before / MSS}`);
  });

  /** Returns a sender in congestion avoidance whose window, of so many segments, is used, and in this millisecond. */
  async function avoiding(cwnd: number, most = 0): Promise<Sender> {
    const sender = await sending();
    sender.set(CWND, cwnd * MSS);
    sender.set(SSTHRESH, 2 * MSS);
    sender.set(W_MAX, most * MSS);
    sender.wait(MS);
    sender.output();
    return sender;
  }

  /** Has one segment acknowledged, and returns by how many segments the window grows. */
  function growth(sender: Sender): number {
    const { cwnd } = sender;
    sender.ack({ ack: sender.una + MSS });
    return (sender.cwnd - cwnd) / MSS;
  }

  test("grows by no more than a half in a round trip (RFC 9438 §4.2)", async () => {
    const sender = await avoiding(100);
    sender.wait(20 * MS);
    assert.ok(growth(sender) < 0.011);
    sender.output();
    sender.wait(60_000 * MS);
    assert.ok(Math.abs(growth(sender) - 0.5) < 0.001);
  });

  test("does not shrink where the round trips become shorter (RFC 9438 §4.2)", async () => {
    const sender = await avoiding(100);
    growth(sender);
    sender.set(SRTT, 20_000 * MS * 8);
    sender.wait(2000 * MS);
    for (let i = 0; i < 10; i++) {
      sender.set(SRTT, 20_000 * MS * 8);
      assert.ok(growth(sender) > 0.4);
      sender.output();
    }
    sender.set(SRTT, MS * 8);
    assert.ok(growth(sender) >= 0);
  });

  test("time in which the window was not used does not count (RFC 9438 §5.8)", async () => {
    const sender = await Sender.create({ rtt: 20 * MS });
    sender.set(CWND, 100 * MSS);
    sender.set(SSTHRESH, 2 * MSS);
    sender.offer(60 * MSS);
    sender.output();
    sender.wait(MS);
    sender.offer(40 * MSS);
    sender.output();
    sender.wait(20 * MS);
    growth(sender);
    for (let i = 0; i < 98; i++) growth(sender);
    for (let i = 0; i < 3000; i++) {
      sender.offer(MSS);
      sender.output();
      sender.wait(20 * MS);
      // What was in flight a moment ago still counts at first.
      assert.ok(growth(sender) === 0 || i < 2);
    }
    sender.offer(1000 * MSS);
    sender.output();
    sender.wait(20 * MS);
    assert.ok(growth(sender) < 0.011);
  });

  test("a loss begins a new curve (RFC 9438 §4.2)", async () => {
    const sender = await avoiding(100);
    sender.wait(20 * MS);
    growth(sender);
    sender.output();
    sender.wait(60_000 * MS);
    const end = sender.nxt;
    sender.ack({ ack: sender.una, sacks: [[sender.una + MSS, end]] });
    sender.output();
    sender.wait(20 * MS);
    sender.ack({ ack: end });
    sender.output();
    sender.wait(20 * MS);
    sender.ack({ ack: sender.una + MSS });
    sender.output();
    assert.ok(growth(sender) < 0.02);
  });

  test("grows as Reno from where the window was before the last loss on (RFC 9438 §4.3)", async () => {
    const sender = await avoiding(30);
    sender.wait(20 * MS);
    growth(sender);
    sender.set(CWND, 10 * MSS);
    const end = sender.nxt;
    sender.ack({ ack: sender.una, sacks: [[sender.una + MSS, end]] });
    assert.equal(sender.ssthresh, 7 * MSS);
    sender.output();
    sender.wait(20 * MS);
    sender.ack({ ack: end });
    sender.output();
    for (let rounds = 0; rounds < 20; rounds++) {
      sender.wait(20 * MS);
      for (const last = sender.nxt; sender.una < last;) {
        sender.ack({ ack: sender.una + MSS });
        sender.output();
      }
    }
    const alpha = 3 * 0.3 / 1.7;
    const expected = 10 + 20 - 3 / alpha;
    assert.ok(Math.abs(sender.cwnd / MSS - expected) < 3, `${sender.cwnd / MSS} segments, not ${expected}`);
  });

  test("a loss below the last window leaves room for others (RFC 9438 §4.7)", async () => {
    for (const [most, left] of [[20, 8.5], [11, 8.5], [10, 10], [0, 10]]) {
      const sender = await sending();
      sender.set(W_MAX, most * MSS);
      sender.wait(20 * MS);
      sender.ack({ ack: 0, sacks: [[MSS, 5 * MSS]] });
      assert.deepEqual([sender.ssthresh, sender.get(W_MAX)], [7 * MSS, left * MSS]);
    }
  });

  test("no time and no window is too large for its arithmetic", async () => {
    const sender = await sending({ window: 2 ** 31 - 1 });
    for (const cwnd of [1, 1000, 2 ** 20, 2 ** 30]) {
      for (const wait of [1, MS, 1000 * MS, 4_000_000_000]) {
        sender.set(CWND, cwnd);
        sender.set(SSTHRESH, 2);
        sender.set(W_MAX, 2 ** 32 - 1);
        sender.output(2);
        sender.wait(wait);
        sender.ack({ ack: Math.min(sender.una + MSS, sender.nxt - 1) });
        assert.ok(sender.cwnd >= Math.min(cwnd, 2 ** 30) && sender.cwnd <= 2 ** 30, `${cwnd} became ${sender.cwnd}`);
      }
    }
  });
});

describe("loss, with SACK", () => {
  test("is not told by a block behind all that was sent, nor by one before what is acknowledged", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[5 * MSS, 11 * MSS]] });
    assert.equal(sender.marked(MARK.recovery), false);
    sender.ack({ ack: 4 * MSS, sacks: [[6 * MSS, 7 * MSS], [2 * MSS, 6 * MSS]] });
    sender.checkFlight();
    // Five have arrived, so the window has grown to 15, and five are in flight.
    assert.equal(sender.output().length, 10);
  });

  test("of one segment: sent again once, when three behind it have arrived", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[1 * MSS, 2 * MSS]] });
    assert.equal(numbers(sender.output()), "10");
    sender.ack({ ack: 0, sacks: [[1 * MSS, 3 * MSS]] });
    assert.equal(numbers(sender.output()), "11");
    assert.equal(sender.marked(MARK.recovery), false);
    sender.ack({ ack: 0, sacks: [[1 * MSS, 4 * MSS]] });
    assert.equal(sender.marked(MARK.recovery), true);
    assert.equal(numbers(sender.output()), "-0");
    assert.equal(sender.ssthresh, 7 * MSS);
    timerIs(sender, sender.timeout);
  });

  test("lets out by proportional rate reduction (RFC 9937), and ends with the threshold", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    const model = new Prr(7, 10);
    // Segments 0 and 1 are lost. Each ACK tells of one more that has arrived; two more went out for the first two.
    const lines: string[] = [];
    let [again, fresh] = [0, 2];
    for (let held = 1; held <= 10; held++) {
      sender.ack({ ack: 0, sacks: [[2 * MSS, (2 + held) * MSS]] });
      const sent = sender.output();
      lines.push(numbers(sent));
      if (held < 3) continue;
      const pipe = 10 + fresh - held - (2 - again);
      assert.equal(sent.length, model.ack(1, pipe), `after ${held}`);
      again += sent.filter((one) => one.again).length;
      fresh += sent.filter((one) => !one.again).length;
    }
    assert.deepEqual(lines, ["10", "11", "-0", "", "-1", "12", "13", "14", "15", "16"]);
    sender.wait(20 * MS);
    sender.ack({ ack: 12 * MSS });
    assert.equal(sender.cwnd, 7 * MSS);
    assert.equal(sender.marked(MARK.recovery), false);
  });

  test("lets out in proportion as long as more than the threshold is in flight (RFC 9937)", async () => {
    const sender = await Sender.create({ rtt: 20 * MS });
    sender.set(CWND, 20 * MSS);
    sender.offer(100_000_000);
    sender.output();
    sender.wait(20 * MS);
    // Segment 0 is lost. Before the third ACK tells so, two new ones go out, so then 20 are in flight, and 14 may be.
    for (const held of [1, 2]) {
      sender.ack({ ack: 0, sacks: [[MSS, (1 + held) * MSS]] });
      sender.output();
    }
    for (let delivered = 1, out = 0; delivered <= 10; delivered++) {
      sender.ack({ ack: 0, sacks: [[MSS, (3 + delivered) * MSS]] });
      out += sender.output().length;
      assert.equal(out, Math.max(Math.floor(delivered * 14 / 20), 1), `after ${delivered}`);
    }
  });

  test("of much, and little left: it grows by slow start to the threshold (RFC 9937, SSRB)", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    // Segments 0 to 6 are lost.
    for (const held of [1, 2, 3]) sender.ack({ ack: 0, sacks: [[7 * MSS, (7 + held) * MSS]] });
    // In flight are none of ten and three held, so one may go; no new ones went, as nothing was sent in between.
    assert.equal(numbers(sender.output()), "-0");
    sender.wait(20 * MS);
    const model = new Prr(7, 8);
    model.ack(1, 0);
    for (let acked = 1, out = 0; acked < 7; acked++) {
      sender.ack({ ack: acked * MSS, sacks: [[7 * MSS, 10 * MSS]] });
      const sent = sender.output();
      assert.equal(sent.length, model.ack(1, out, true), `after ${acked}`);
      assert.equal(sent.filter((one) => one.again).length, Math.min(sent.length, 7 - acked - out));
      out += sent.length - 1;
      if (out + acked >= 6) break;
    }
  });

  test("of what was sent again is found by time (RFC 8985), without a timeout", async () => {
    const sender = await Sender.create({ rtt: 20 * MS });
    let lost = 0;
    const link = new Link(sender, {
      delay: 10 * MS,
      // Segment 20 is lost four times.
      fate: ({ seq }) => seq === 20 * MSS && lost++ < 4 ? LOST : PASSED,
    });
    sender.offer(1_000_000);
    let timeouts = 0;
    link.watch = () => { if (sender.marked(MARK.loss)) timeouts++; };
    assert.ok(link.run());
    assert.deepEqual([timeouts, link.retransmitted, link.duplicates], [0, 4, 0]);
  });

  test("waits for what may be late: two segments behind it are no proof, a quarter of a round trip is", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[MSS, 2 * MSS]] });
    assert.equal(sender.marked(MARK.recovery), false);
    timerIs(sender, 5 * MS);
    toTimer(sender);
    assert.equal(sender.marked(MARK.recovery), true);
    assert.deepEqual(sender.output().filter(({ again }) => again), [{ seq: 0, len: MSS, again: true }]);
  });

  test("is waited for by a millisecond at least", async () => {
    const sender = await sending({ rtt: 2 * MS });
    sender.wait(2 * MS);
    sender.ack({ ack: 0, sacks: [[MSS, 2 * MSS]] });
    timerIs(sender, MS);
  });

  test("is waited for once a segment has arrived late, that was sent once (RFC 8985 §6.2)", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[2 * MSS, 3 * MSS]] });
    sender.ack({ ack: 0, sacks: [[MSS, 3 * MSS]] });
    sender.ack({ ack: 0, sacks: [[MSS, 9 * MSS]] });
    assert.equal(sender.marked(MARK.recovery), false);
    timerIs(sender, 5 * MS);
  });

  test("is not waited for because of the order of an ACK's blocks", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[4 * MSS, 5 * MSS], [2 * MSS, 3 * MSS]] });
    sender.ack({ ack: 0, sacks: [[4 * MSS, 6 * MSS], [2 * MSS, 3 * MSS]] });
    assert.equal(sender.marked(MARK.recovery), true);
  });

  test("ends with the threshold, and the ACK that ends it lets nothing grow", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[MSS, 5 * MSS]] });
    sender.output();
    sender.ack({ ack: 0, sacks: [[MSS, 10 * MSS]] });
    sender.output();
    assert.ok(sender.nxt > 12 * MSS);
    sender.wait(20 * MS);
    sender.ack({ ack: sender.nxt - MSS });
    assert.equal(sender.marked(MARK.recovery), false);
    assert.equal(sender.cwnd, 7 * MSS);
  });

  test("ends with no more than an initial window above what is in flight (RFC 9937 §5)", async () => {
    const sender = await Sender.create({ rtt: 20 * MS });
    sender.set(CWND, 100 * MSS);
    sender.offer(100 * MSS);
    sender.output();
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[MSS, 99 * MSS]] });
    assert.equal(numbers(sender.output()), "-0");
    sender.wait(20 * MS);
    sender.ack({ ack: 100 * MSS });
    assert.deepEqual([sender.cwnd, sender.ssthresh], [10 * MSS, 70 * MSS]);
  });

  test("once reordering was seen, nothing late by less than a quarter of a round trip is sent again", async () => {
    const random = Random.fromEnvironment();
    console.log(`SEED=${random.seed}`);
    const sender = await Sender.create({ rtt: 40 * MS });
    const link = new Link(sender, {
      delay: 20 * MS, fate: (_segment, index) => index > 100 && random.oneIn(10) ? [random.below(9000)] : PASSED,
    });
    sender.offer(10_000_000);
    // The first time, three segments behind it are proof enough.
    let again = 0;
    link.watch = () => { if (sender.acked < 3_000_000) again = link.retransmitted; };
    assert.ok(link.run());
    assert.equal(link.retransmitted, again);
    assert.ok(sender.cwnd > 100 * MSS);
  });

  /** Says that the segment behind the first one in flight has arrived, and asserts how many ms the first one has. */
  function waitsFor(sender: Sender, ms: number): void {
    sender.ack({ ack: sender.una, sacks: [[sender.una + MSS, sender.una + 2 * MSS]] });
    assert.equal(sender.marked(MARK.recovery), false);
    timerIs(sender, ms * MS);
  }

  for (const [seconds, ms] of [[299, 5], [301, 50]]) {
    test(`is waited for by the shortest round trip of five minutes, ${seconds} s after it`, async () => {
      const sender = await Sender.create({ rtt: 20 * MS });
      const step = (us: number) => {
        sender.offer(MSS);
        sender.output();
        sender.wait(us);
        sender.ack({ ack: sender.nxt - MSS });
      };
      // Two segments are in flight at a time.
      for (let i = 0; i < 4; i++) step(10 * MS);
      for (let i = 0; i < 5 * seconds; i++) step(200 * MS);
      sender.offer(2 * MSS);
      sender.output();
      sender.ack({ ack: sender.nxt - 2 * MSS });
      sender.wait(400 * MS);
      waitsFor(sender, ms);
    });
  }

  /** Has all that is in flight acknowledged but what is sent now, after 20 ms. */
  function goOn(sender: Sender): void {
    const end = sender.nxt;
    sender.wait(20 * MS);
    sender.ack({ ack: end - MSS });
    sender.output();
    sender.ack({ ack: end });
    sender.output();
    sender.wait(20 * MS);
  }

  /** Has the first two segments in flight sent again in vain, and D-SACKs tell so. */
  function twice(sender: Sender): void {
    const from = sender.una;
    const end = sender.nxt;
    sender.ack({ ack: from, sacks: [[from + 2 * MSS, end]] });
    while (!sender.marked(MARK.recovery)) toTimer(sender);
    sender.output();
    sender.ack({ ack: from, sacks: [[from + 2 * MSS, end]] });
    sender.output();
    sender.wait(5 * MS);
    sender.ack({ ack: end - MSS });
    sender.output();
    sender.ack({ ack: end });
    sender.output();
    sender.wait(15 * MS);
    for (const i of [0, 1]) sender.ack({ ack: end, sacks: [[from + i * MSS, from + (i + 1) * MSS]] });
  }

  test("is waited for by a quarter of a round trip more with each round of D-SACKs (RFC 8985 §6.2)", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    twice(sender);
    goOn(sender);
    waitsFor(sender, 10);
    sender.ack({ ack: sender.una + 2 * MSS });
    for (const quarters of [3, 4, 5, 6]) {
      goOn(sender);
      twice(sender);
      goOn(sender);
      waitsFor(sender, Math.min(5 * quarters, sender.get(SRTT) / 8 / MS));
      sender.ack({ ack: sender.una + 2 * MSS });
    }
  });

  test("is waited for by that much until 16 recoveries have ended (RFC 8985 §6.2)", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    twice(sender);
    // That recovery has ended already; D-SACK came later.
    for (let recoveries = 0; recoveries <= 16; recoveries++) {
      goOn(sender);
      waitsFor(sender, recoveries < 16 ? 10 : 5);
      toTimer(sender);
      assert.equal(sender.marked(MARK.recovery), true);
      sender.output();
      goOn(sender);
      assert.equal(sender.marked(MARK.recovery), false);
    }
  });

  test("a peer that drops what it said it has (RFC 2018 §8) gets it again", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[MSS, 10 * MSS]] });
    sender.output();
    sender.ack({ ack: MSS });
    for (let i = 0; i < 20 && sender.una < 10 * MSS; i++) {
      if (!sender.output().some(({ seq, again }) => again && seq === sender.una)) toTimer(sender);
      else sender.ack({ ack: sender.una + MSS });
    }
    assert.equal(sender.una, 10 * MSS);
  });

  test("after a timeout, an ACK for much lets the window grow by one segment (RFC 3465 §2.3)", async () => {
    const sender = await sending({ sack: false });
    toTimer(sender);
    sender.output();
    assert.equal(sender.cwnd, MSS);
    sender.wait(20 * MS);
    sender.ack({ ack: 5 * MSS });
    assert.equal(sender.cwnd, 2 * MSS);
  });

  test("after a timeout, all is sent again by slow start from one segment on", async () => {
    const sender = await sending();
    // The probe comes first, and is lost too.
    assert.ok(toTimer(sender));
    sender.output();
    assert.ok(toTimer(sender));
    assert.equal(sender.marked(MARK.loss), true);
    assert.equal(sender.cwnd, MSS);
    assert.equal(sender.ssthresh, 7 * MSS);
    assert.equal(numbers(sender.output()), "-0");
    timerIs(sender, sender.timeout);
    sender.wait(20 * MS);
    sender.ack({ ack: MSS });
    assert.equal(numbers(sender.output()), "-1 -2");
    sender.wait(20 * MS);
    sender.ack({ ack: 2 * MSS });
    sender.ack({ ack: 3 * MSS });
    assert.equal(numbers(sender.output()), "-3 -4 -5 -6");
    // Something was acknowledged, so this is another loss.
    assert.deepEqual([sender.cwnd, sender.ssthresh], [4 * MSS, 7 * MSS]);
    toTimer(sender);
    const { ssthresh } = sender;
    assert.ok(Math.abs(ssthresh - 2.8 * MSS) <= 1);
    // The threshold stays while the same is lost again and again.
    toTimer(sender);
    toTimer(sender);
    assert.deepEqual([sender.cwnd, sender.ssthresh], [MSS, ssthresh]);
  });

  test("a timeout leaves alone what was sent a moment ago (RFC 8985 §6.3)", async () => {
    const sender = await sending({ sack: false });
    sender.wait(20 * MS);
    sender.ack({ ack: MSS });
    assert.equal(numbers(sender.output()), "10 11");
    sender.wait(20 * MS);
    sender.ack({ ack: 2 * MSS });
    sender.output();
    sender.wait((sender.timer ?? 0) - 5 * MS);
    sender.ack({ ack: 2 * MSS });
    assert.equal(numbers(sender.output()), "14");
    toTimer(sender);
    assert.equal(sender.cwnd, 2 * MSS);
    assert.equal(numbers(sender.output()), "-2");
  });

  test("after a timeout, nothing is sent again that the peer holds (RFC 6675 §5.1)", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[5 * MSS, 10 * MSS]] });
    while (!sender.marked(MARK.loss)) {
      toTimer(sender);
      sender.output();
    }
    for (let acked = 1; acked < 5; acked++) {
      sender.wait(20 * MS);
      sender.ack({ ack: acked * MSS });
      const again = sender.output().filter((one) => one.again);
      assert.ok(again.every(({ seq, len }) => seq + len <= 5 * MSS), numbers(again));
    }
  });

  test("a timeout within a recovery does not reduce the threshold again", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[MSS, 5 * MSS]] });
    sender.output();
    assert.equal(sender.ssthresh, 7 * MSS);
    toTimer(sender);
    assert.deepEqual([sender.marked(MARK.loss), sender.marked(MARK.recovery)], [true, false]);
    assert.equal(sender.ssthresh, 7 * MSS);
    assert.equal(sender.get(W_MAX), 0);
  });
});

/** RFC 9937 §5, in segments, by its figure. */
class Prr {
  #delivered = 0;
  #out = 0;

  constructor(readonly ssthresh: number, readonly recoverFs: number) {}

  /** Returns how many segments an ACK lets out. `pipe` is in flight. */
  ack(delivered: number, pipe: number, safeAck = false): number {
    this.#delivered += delivered;
    let count: number;
    if (pipe > this.ssthresh) {
      count = Math.ceil(this.#delivered * this.ssthresh / this.recoverFs) - this.#out;
    } else {
      count = Math.max(this.#delivered - this.#out, delivered) + (safeAck ? 1 : 0);
      count = Math.min(this.ssthresh - pipe, count);
    }
    if (this.#out === 0 && count === 0) count = 1;
    count = Math.max(count, 0);
    this.#out += count;
    return count;
  }
}

describe("loss, without SACK", () => {
  test("three duplicate ACKs: sent again; two let out one new segment each (RFC 3042)", async () => {
    const sender = await sending({ sack: false });
    sender.wait(20 * MS);
    const lines = [];
    for (let i = 0; i < 3; i++) {
      sender.ack({ ack: 0 });
      lines.push(numbers(sender.output()));
    }
    assert.deepEqual(lines, ["10", "11", "-0"]);
    assert.equal(sender.ssthresh, 7 * MSS);
  });

  test("an ACK with another window, or with data, is no duplicate (RFC 5681 §2)", async () => {
    const sender = await sending({ sack: false });
    sender.wait(20 * MS);
    for (let i = 0; i < 5; i++) {
      sender.ack({ ack: 0, len: 10 });
      sender.ack({ ack: 0, window: 1_000_000 + i });
    }
    assert.equal(sender.output().length, 0);
    assert.equal(sender.pages, 0);
    assert.equal(sender.byte(DUP_ACKS), 0);
  });

  test("a partial ACK has the next hole sent again, and the last one ends recovery (RFC 6582)", async () => {
    const sender = await sending({ sack: false });
    sender.wait(20 * MS);
    // Segments 0, 3 and 5 are lost.
    for (let i = 0; i < 3; i++) sender.ack({ ack: 0 });
    assert.equal(numbers(sender.output()), "-0");
    for (let i = 0; i < 4; i++) sender.ack({ ack: 0 });
    sender.output();
    sender.wait(20 * MS);
    sender.ack({ ack: 3 * MSS });
    assert.equal(numbers(sender.output().filter(({ again }) => again)), "-3");
    sender.wait(20 * MS);
    sender.ack({ ack: 5 * MSS });
    assert.equal(numbers(sender.output().filter(({ again }) => again)), "-5");
    sender.wait(20 * MS);
    assert.equal(sender.marked(MARK.recovery), true);
    sender.ack({ ack: 10 * MSS });
    assert.equal(sender.marked(MARK.recovery), false);
    assert.equal(sender.cwnd, 7 * MSS);
  });

  test("a duplicate, or a partial ACK, lets out as many as it tells have arrived (RFC 6582)", async () => {
    const sender = await sending({ sack: false });
    sender.wait(20 * MS);
    const lines: string[] = [];
    // Segments 0, 3, 5 and 10 are lost. When the second one is sent again, two of three duplicates are explained.
    for (const ack of [0, 0, 0, 0, 0, 0, 0, 3, 5, 10]) {
      if (ack > 0) sender.wait(20 * MS);
      sender.ack({ ack: ack * MSS });
      lines.push(numbers(sender.output()));
    }
    assert.deepEqual(lines, ["10", "11", "-0", "", "", "12", "13", "-3 14", "-5 15", "-10"]);
  });

  test("duplicates of what a timeout had sent again begin no recovery (RFC 6582 §3.2)", async () => {
    const sender = await sending({ sack: false });
    toTimer(sender);
    sender.output();
    for (let acked = 1; acked <= 7; acked++) {
      sender.wait(20 * MS);
      sender.ack({ ack: acked * MSS });
      sender.output();
    }
    assert.ok(sender.nxt > 10 * MSS);
    sender.ack({ ack: 10 * MSS });
    const { ssthresh } = sender;
    for (let i = 0; i < 5; i++) sender.ack({ ack: 10 * MSS });
    assert.equal(sender.marked(MARK.recovery), false);
    assert.equal(sender.ssthresh, ssthresh);
    // Those of what was sent later do.
    sender.ack({ ack: 11 * MSS });
    for (let i = 0; i < 3; i++) sender.ack({ ack: 11 * MSS });
    assert.equal(sender.marked(MARK.recovery), true);
  });
});

describe("a tail loss probe", () => {
  test("comes after two round trips: the last segment again, and its SACK shows what is lost", async () => {
    const sender = await Sender.create({ rtt: 20 * MS });
    sender.offer(4 * MSS);
    sender.output();
    timerIs(sender, 42 * MS);
    toTimer(sender);
    assert.equal(numbers(sender.output()), "-3");
    timerIs(sender, sender.timeout);
    sender.wait(20 * MS);
    sender.ack({ ack: MSS, sacks: [[3 * MSS, 4 * MSS]] });
    sender.wait(10 * MS);
    if (!sender.marked(MARK.recovery)) toTimer(sender);
    assert.equal(numbers(sender.output()), "-1 -2");
  });

  test("is new data, if there is any that may be sent", async () => {
    const sender = await sending();
    toTimer(sender);
    assert.equal(numbers(sender.output()), "10");
    assert.equal(sender.cwnd, 10 * MSS);
  });

  test("is the last segment where the peer's window has no room", async () => {
    const sender = await sending({ window: 4 * MSS });
    toTimer(sender);
    assert.equal(numbers(sender.output()), "-3");
  });

  test("is followed by no other until what it sent is acknowledged (RFC 8985 §7.2)", async () => {
    const sender = await sending();
    toTimer(sender);
    assert.equal(numbers(sender.output()), "10");
    timerIs(sender, sender.timeout);
    sender.ack({ ack: 4 * MSS });
    sender.output();
    timerIs(sender, sender.timeout);
    sender.ack({ ack: 11 * MSS });
    assert.ok((sender.timer ?? 0) < 100 * MS);
  });

  for (const timestamps of [false, true]) {
    const how = timestamps ? "with" : "without";
    test(`that repairs a loss reduces the window, ${how} timestamps`, async () => {
      const sender = await Sender.create({ rtt: 20 * MS, timestamps, ecn: true });
      const len = sender.segment;
      sender.offer(4 * len);
      sender.output();
      const first = sender.stamp();
      sender.wait(20 * MS);
      sender.ack({ ack: 3 * len, tsecr: timestamps ? first : undefined });
      toTimer(sender);
      assert.equal(sender.output().length, 1);
      const stamp = sender.stamp();
      // Without timestamps only an ACK for what was sent later tells.
      sender.offer(len);
      sender.output();
      sender.wait(20 * MS);
      sender.ack({ ack: 4 * len, tsecr: timestamps ? stamp : undefined });
      if (!timestamps) sender.ack({ ack: 5 * len });
      assert.ok(sender.ssthresh < NO_THRESHOLD);
      assert.equal(sender.cwnd, sender.ssthresh);
      assert.equal(sender.marked(MARK.cwrDue), true);
    });

    test(`that was not needed, as the ACK for more says by D-SACK, does not, ${how} timestamps`, async () => {
      const sender = await Sender.create({ rtt: 20 * MS, timestamps });
      const len = sender.segment;
      sender.offer(4 * len);
      sender.output();
      toTimer(sender);
      assert.equal(sender.output().length, 1);
      sender.offer(len);
      sender.output();
      sender.wait(20 * MS);
      sender.ack({ ack: 5 * len, sacks: [[3 * len, 4 * len]], tsecr: timestamps ? sender.stamp() : undefined });
      assert.equal(sender.ssthresh, NO_THRESHOLD);
    });

    test(`that was not needed does not, ${how} timestamps`, async () => {
      const sender = await Sender.create({ rtt: 20 * MS, timestamps });
      const len = sender.segment;
      sender.offer(4 * len);
      sender.output();
      const first = sender.stamp();
      toTimer(sender);
      assert.equal(sender.output().length, 1);
      sender.offer(len);
      sender.output();
      sender.wait(20 * MS);
      sender.ack({ ack: 4 * len, tsecr: timestamps ? first : undefined });
      sender.ack({ ack: 4 * len, sacks: [[3 * len, 4 * len]], tsecr: timestamps ? first : undefined });
      sender.ack({ ack: 5 * len, tsecr: timestamps ? sender.stamp() : undefined });
      assert.equal(sender.ssthresh, NO_THRESHOLD);
    });
  }

  test("is no larger than the options leave room for", async () => {
    const sender = await Sender.create({ rtt: 20 * MS });
    sender.offer(4 * MSS);
    sender.output();
    toTimer(sender);
    assert.equal(Number(BigInt.asUintN(32, sender.recover.lost(sender.c, 1000))), 1000);
  });

  for (const [segments, us] of [[1, 220], [2, 42], [3, 70], [4, 42]]) {
    test(`comes after ${us} ms where ${segments} segments are in flight: their ACK may be delayed`, async () => {
      const sender = await Sender.create({ rtt: 20 * MS });
      sender.offer(segments * MSS);
      sender.output();
      timerIs(sender, us * MS);
    });
  }
});

describe("a recovery that was not needed is undone", () => {
  for (const sack of [false, true]) {
    test(`by the timestamp of the first ACK (Eifel, RFC 3522), ${sack ? "with" : "without"} SACK`, async () => {
      const sender = await sending({ timestamps: true, sack });
      const len = sender.segment;
      const { cwnd } = sender;
      const stamp = sender.stamp();
      sender.wait(20 * MS);
      // The first segment comes last.
      for (let held = 1; held <= 3; held++) {
        sender.ack({ ack: 0, sacks: sack ? [[len, (1 + held) * len]] : [], tsecr: stamp - 40 });
      }
      assert.deepEqual(sender.output().at(0), { seq: 0, len, again: true });
      assert.ok(sender.ssthresh < NO_THRESHOLD);
      sender.wait(5 * MS);
      sender.ack({ ack: 4 * len, tsecr: stamp });
      assert.equal(sender.marked(MARK.recovery), false);
      assert.equal(sender.ssthresh, NO_THRESHOLD);
      assert.ok(sender.cwnd >= cwnd);
    });
  }

  test("and is not, if the timestamp is that of what was sent again", async () => {
    const sender = await sending({ timestamps: true });
    const len = sender.segment;
    sender.wait(20 * MS);
    for (let held = 1; held <= 3; held++) {
      sender.ack({ ack: 0, sacks: [[len, (1 + held) * len]], tsecr: sender.stamp() });
    }
    sender.output();
    const stamp = sender.stamp();
    sender.wait(20 * MS);
    sender.ack({ ack: 4 * len, tsecr: stamp });
    assert.ok(sender.ssthresh < NO_THRESHOLD);
    assert.equal(sender.marked(MARK.recovery), true);
    // The first one tells, and no later one.
    sender.ack({ ack: 5 * len, tsecr: stamp - 15 });
    assert.equal(sender.marked(MARK.recovery), true);
  });

  test("and is not, if the timestamp is that of the first of several that were sent again", async () => {
    const sender = await sending({ timestamps: true });
    const len = sender.segment;
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[2 * len, 5 * len]], tsecr: sender.stamp() });
    assert.equal(numbers(sender.output(1), len), "-0");
    const stamp = sender.stamp();
    sender.wait(5 * MS);
    sender.ack({ ack: 0, sacks: [[2 * len, 10 * len]], tsecr: sender.stamp() });
    assert.equal(numbers(sender.output(1), len), "-1");
    sender.wait(15 * MS);
    sender.ack({ ack: 10 * len, tsecr: stamp });
    assert.ok(sender.ssthresh < NO_THRESHOLD);
  });

  test("by the timestamp of what was sent before the timeout, if that came within a recovery", async () => {
    const sender = await sending({ timestamps: true });
    const len = sender.segment;
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[len, 10 * len]], tsecr: sender.stamp() });
    sender.output();
    const stamp = sender.stamp();
    while (!sender.marked(MARK.loss)) toTimer(sender);
    assert.ok(sender.output().some(({ seq, again }) => again && seq === 0));
    sender.wait(5 * MS);
    sender.ack({ ack: 10 * len, tsecr: stamp });
    assert.equal(sender.marked(MARK.loss), false);
    assert.equal(sender.ssthresh, NO_THRESHOLD);
  });

  test("and then packets may be late, and a loss is one again", async () => {
    const sender = await sending({ timestamps: true });
    const len = sender.segment;
    const stamp = sender.stamp();
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[len, 4 * len]], tsecr: stamp });
    sender.output();
    sender.wait(5 * MS);
    sender.ack({ ack: 4 * len, tsecr: stamp });
    assert.deepEqual([sender.ssthresh], [NO_THRESHOLD]);
    sender.ack({ ack: 4 * len, sacks: [[5 * len, 9 * len]], tsecr: stamp });
    assert.equal(sender.marked(MARK.recovery), false);
    toTimer(sender);
    assert.equal(sender.marked(MARK.recovery), true);
    assert.ok(sender.ssthresh < NO_THRESHOLD);
  });

  test("by a D-SACK for all that was sent again (RFC 3708)", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    // Segments 0 and 1 come last.
    sender.ack({ ack: 0, sacks: [[2 * MSS, 7 * MSS]] });
    assert.equal(sender.marked(MARK.recovery), true);
    let again = sender.output().filter((one) => one.again).length;
    sender.ack({ ack: 0, sacks: [[2 * MSS, 10 * MSS]] });
    again += sender.output().filter((one) => one.again).length;
    assert.equal(again, 2);
    sender.wait(5 * MS);
    sender.ack({ ack: 10 * MSS });
    sender.output();
    assert.ok(sender.ssthresh < NO_THRESHOLD);
    sender.wait(15 * MS);
    sender.ack({ ack: 10 * MSS, sacks: [[0, MSS]] });
    assert.ok(sender.ssthresh < NO_THRESHOLD);
    // What the path has doubled is none of what was sent again.
    sender.ack({ ack: 10 * MSS, sacks: [[4 * MSS, 5 * MSS]] });
    assert.ok(sender.ssthresh < NO_THRESHOLD);
    sender.ack({ ack: 10 * MSS, sacks: [[MSS, 2 * MSS]] });
    assert.equal(sender.ssthresh, NO_THRESHOLD);
    assert.ok(sender.cwnd >= 10 * MSS);
  });

  test("and what was sent first tells nothing of the time since it was sent again (RFC 8985 §6.2)", async () => {
    const sender = await sending({ timestamps: true });
    const len = sender.segment;
    const stamp = sender.stamp();
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[len, 4 * len]], tsecr: stamp });
    assert.equal(numbers(sender.output().slice(0, 1), len), "-0");
    sender.wait(25 * MS);
    sender.ack({ ack: 4 * len, sacks: [[5 * len, 6 * len]], tsecr: stamp });
    assert.ok(sender.output().every(({ again }) => !again));
  });

  test("but not by a D-SACK for what was sent once, before it", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    sender.ack({ ack: 2 * MSS });
    sender.output();
    sender.ack({ ack: 2 * MSS, sacks: [[3 * MSS, 8 * MSS]] });
    sender.output();
    sender.wait(20 * MS);
    sender.ack({ ack: 10 * MSS, sacks: [[MSS, 2 * MSS]] });
    sender.ack({ ack: 10 * MSS, sacks: [[MSS, 3 * MSS]] });
    assert.ok(sender.ssthresh < NO_THRESHOLD);
  });

  test("by D-SACKs for all of it, in whatever order it was sent", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[2 * MSS, 5 * MSS]] });
    assert.equal(numbers(sender.output(1)), "-0");
    sender.wait(MS);
    sender.ack({ ack: 0, sacks: [[2 * MSS, 9 * MSS]] });
    assert.equal(numbers(sender.output(1)), "-1");
    sender.wait(21 * MS);
    sender.ack({ ack: 0, sacks: [[MSS, 9 * MSS]] });
    assert.equal(numbers(sender.output(1)), "-0");
    sender.wait(20 * MS);
    sender.ack({ ack: 9 * MSS });
    for (const [i, seq] of [1, 0, 0].entries()) {
      assert.ok(sender.ssthresh < NO_THRESHOLD, `after ${i}`);
      sender.ack({ ack: 9 * MSS, sacks: [[seq * MSS, (seq + 1) * MSS]] });
    }
    assert.equal(sender.ssthresh, NO_THRESHOLD);
  });

  test("and the window grows on from where it was, by the curve that it was on", async () => {
    const sender = await sending();
    sender.set(SSTHRESH, 2 * MSS);
    sender.set(W_MAX, 12 * MSS);
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[MSS, 5 * MSS]] });
    sender.output();
    sender.wait(5 * MS);
    sender.ack({ ack: 10 * MSS });
    sender.output();
    sender.wait(20 * MS);
    sender.ack({ ack: 12 * MSS });
    sender.output();
    assert.ok(sender.cwnd < 8 * MSS);
    sender.ack({ ack: 12 * MSS, sacks: [[0, MSS]] });
    assert.deepEqual([sender.cwnd, sender.ssthresh, sender.get(W_MAX)], [10 * MSS, 7 * MSS, 12 * MSS]);
    sender.output();
    sender.wait(20 * MS);
    sender.ack({ ack: 13 * MSS });
    assert.ok(sender.cwnd > 10 * MSS);
  });

  test("by a D-SACK whose second block tells that it is one (RFC 2883 §4.2)", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[2 * MSS, 7 * MSS]] });
    sender.output();
    sender.ack({ ack: 0, sacks: [[2 * MSS, 10 * MSS]] });
    sender.output();
    sender.wait(5 * MS);
    sender.ack({ ack: 0, sacks: [[MSS, 10 * MSS]] });
    sender.ack({ ack: 0, sacks: [[MSS, 2 * MSS], [MSS, 10 * MSS]] });
    sender.ack({ ack: 10 * MSS });
    assert.ok(sender.ssthresh < NO_THRESHOLD);
    sender.ack({ ack: 10 * MSS, sacks: [[0, MSS]] });
    assert.equal(sender.ssthresh, NO_THRESHOLD);
  });

  test("after a timeout, too, and nothing more is sent again", async () => {
    const sender = await sending({ timestamps: true, sack: false });
    const len = sender.segment;
    const { cwnd } = sender;
    const stamp = sender.stamp();
    toTimer(sender);
    assert.equal(sender.output().length, 1);
    sender.wait(5 * MS);
    sender.ack({ ack: 2 * len, tsecr: stamp });
    assert.equal(sender.marked(MARK.loss), false);
    assert.equal(sender.ssthresh, NO_THRESHOLD);
    assert.ok(sender.cwnd >= cwnd);
    assert.ok(sender.output().every(({ again }) => !again));
  });
});

test("a small window halves the threshold to two segments, and no further (RFC 5681 §3.1)", async () => {
  const sender = await Sender.create({ rtt: 20 * MS, sack: false });
  sender.set(CWND, MSS);
  sender.offer(10 * MSS);
  sender.output();
  toTimer(sender);
  assert.equal(sender.ssthresh, 2 * MSS);
});

describe("explicit congestion notification", () => {
  test("reduces the window once for all that was in flight (RFC 3168 §6.1.2)", async () => {
    const sender = await sending({ ecn: true });
    sender.wait(20 * MS);
    sender.ack({ ack: MSS, ece: true });
    assert.equal(sender.cwnd, 7 * MSS);
    assert.equal(sender.marked(MARK.cwrDue), true);
    sender.output();
    for (let acked = 2; acked <= 10; acked++) {
      sender.ack({ ack: acked * MSS, ece: true });
      assert.equal(sender.cwnd, 7 * MSS);
      sender.output();
    }
    sender.wait(20 * MS);
    sender.ack({ ack: 11 * MSS, ece: true });
    assert.equal(sender.cwnd, 49 * MSS / 10);
  });

  test("does not reduce what a timeout has reduced", async () => {
    const sender = await sending({ ecn: true, sack: false });
    toTimer(sender);
    sender.output();
    assert.equal(sender.ssthresh, 7 * MSS);
    sender.wait(20 * MS);
    sender.ack({ ack: 10 * MSS, ece: true });
    assert.equal(sender.ssthresh, 7 * MSS);
  });

  test("a loss in what it reduced the window for does not reduce it again", async () => {
    const sender = await sending({ ecn: true });
    sender.wait(20 * MS);
    sender.ack({ ack: MSS, ece: true });
    sender.output();
    sender.ack({ ack: MSS, sacks: [[2 * MSS, 7 * MSS]] });
    assert.equal(sender.marked(MARK.recovery), true);
    assert.equal(sender.ssthresh, 7 * MSS);
  });

  test("is not undone with a recovery that came before it, nor with one that reduced nothing", async () => {
    const sender = await sending({ ecn: true });
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[MSS, 5 * MSS]] });
    sender.output();
    sender.wait(20 * MS);
    sender.ack({ ack: 10 * MSS });
    sender.output();
    sender.wait(20 * MS);
    sender.ack({ ack: sender.una + MSS, ece: true });
    sender.output();
    const { una, ssthresh } = sender;
    sender.ack({ ack: una, sacks: [[una + MSS, sender.nxt]] });
    while (!sender.marked(MARK.recovery)) toTimer(sender);
    sender.output();
    sender.wait(5 * MS);
    sender.ack({ ack: sender.nxt - MSS });
    for (const seq of [una, 0]) sender.ack({ ack: sender.una, sacks: [[seq, seq + MSS]] });
    assert.equal(sender.ssthresh, ssthresh);
  });

  test("is not believed where it was not agreed", async () => {
    const sender = await sending();
    sender.wait(20 * MS);
    sender.ack({ ack: MSS, ece: true });
    assert.equal(sender.ssthresh, NO_THRESHOLD);
  });

  test("a loss is told, too: CWR goes with new data", async () => {
    const sender = await sending({ ecn: true });
    sender.wait(20 * MS);
    sender.ack({ ack: 0, sacks: [[MSS, 5 * MSS]] });
    assert.equal(sender.marked(MARK.cwrDue), true);
    const { ssthresh } = sender;
    sender.ack({ ack: 0, sacks: [[MSS, 6 * MSS]], ece: true });
    assert.equal(sender.ssthresh, ssthresh);
  });

  test("one answer after another touches no page, and reduces once for each", async () => {
    const sender = await Sender.create({ rtt: 20 * MS, ecn: true });
    sender.offer(5 * MSS);
    sender.output();
    sender.wait(20 * MS);
    sender.ack({ ack: 5 * MSS, ece: true });
    assert.deepEqual([sender.cwnd, sender.pages], [7 * MSS, 0]);
  });
});

describe("a path that became narrower", () => {
  test("has what is too large sent again in smaller segments, with the window as it was", async () => {
    const sender = await sending();
    const { cwnd } = sender;
    sender.setMss(1000);
    sender.recover.narrower(sender.c);
    const sent = sender.output();
    assert.deepEqual(sent[0], { seq: 0, len: 1000, again: true });
    assert.equal(sent.filter(({ again }) => again).reduce((sum, { len }) => sum + len, 0), 10 * MSS);
    assert.ok(sent.every(({ len }) => len <= 1000));
    assert.deepEqual([sender.cwnd, sender.ssthresh], [cwnd, NO_THRESHOLD]);
  });

  test("leaves alone what is small enough", async () => {
    const sender = await Sender.create({ rtt: 20 * MS });
    sender.offer(900);
    sender.output();
    sender.setMss(1000);
    sender.recover.narrower(sender.c);
    assert.deepEqual(sender.output(), []);
  });
});

describe("without a page", () => {
  test("three duplicates have one segment sent again, and each partial ACK the next", async () => {
    const sender = await sending({ pages: 0 });
    sender.wait(20 * MS);
    const lines = [];
    for (const ack of [0, 0, 0, 0, 3, 3, 10]) {
      sender.ack({ ack: ack * MSS });
      lines.push(numbers(sender.output(1)));
    }
    assert.deepEqual(lines, ["10", "11", "-0", "", "-3", "", "-10"]);
    assert.equal(sender.ssthresh, 7 * MSS);
  });

  test("the window grows by a segment in a round trip, if it is used", async () => {
    for (const [offered, growth] of [[100, MSS / 10], [5, 0]]) {
      const sender = await Sender.create({ rtt: 20 * MS, pages: 0 });
      sender.set(SSTHRESH, 2 * MSS);
      sender.offer(offered * MSS);
      sender.output();
      sender.wait(20 * MS);
      sender.ack({ ack: MSS });
      assert.equal(sender.cwnd, 10 * MSS + growth);
    }
  });

  test("duplicates count from the last acknowledgement on", async () => {
    const sender = await sending({ pages: 0 });
    sender.wait(20 * MS);
    for (const ack of [0, 0, 1, 1, 1]) sender.ack({ ack: ack * MSS });
    assert.doesNotMatch(numbers(sender.output()), /-/);
  });

  test("a timeout has all sent again, one by one", async () => {
    const sender = await sending({ pages: 0, sack: false });
    toTimer(sender);
    assert.equal(sender.cwnd, MSS);
    assert.equal(numbers(sender.output()), "-0");
    for (let acked = 1; acked < 10; acked++) {
      sender.wait(20 * MS);
      sender.ack({ ack: acked * MSS });
      assert.equal(numbers(sender.output(1)), `-${acked}`);
    }
    sender.ack({ ack: 10 * MSS });
    assert.ok(sender.output().length > 2);
  });
});

describe("what others had to mend", () => {
  test("a clock of 15 ms and packets that overtake each other do not keep the window small", async () => {
    const random = Random.fromEnvironment();
    console.log(`SEED=${random.seed}`);
    const sender = await Sender.create({ rtt: 20 * MS, granularity: 15 * MS });
    const link = new Link(sender, {
      delay: 10 * MS, fate: () => random.oneIn(20) ? [random.below(4000)] : PASSED,
    });
    sender.offer(10_000_000);
    assert.ok(link.run());
    assert.ok(sender.cwnd > 50 * MSS, `${sender.cwnd / MSS} segments`);
    assert.ok(link.retransmitted < 0.03 * 10_000_000 / MSS, `${link.retransmitted} sent again`);
  });

  test("a policer gets close to what it lets through", async () => {
    const sender = await Sender.create({ rtt: 20 * MS });
    const rate = 1.25;
    let [tokens, at] = [30_000, sender.now];
    const link = new Link(sender, {
      delay: 10 * MS,
      fate: ({ len }, _index, now) => {
        tokens = Math.min(tokens + (now - at) * rate, 30_000);
        at = now;
        if (tokens < len + 52) return LOST;
        tokens -= len + 52;
        return PASSED;
      },
    });
    let [sum, count] = [0, 0];
    link.watch = () => {
      sum += sender.cwnd;
      count++;
    };
    sender.offer(10_000_000);
    const start = sender.now;
    assert.ok(link.run());
    const share = 10_000_000 / (sender.now - start) / rate;
    assert.ok(share > 0.75, `${share.toFixed(2)} of the rate`);
    assert.ok(sum / count > 10 * MSS, `${(sum / count / MSS).toFixed(1)} segments`);
    assert.ok(link.duplicates < 20, `${link.duplicates} in vain`);
  });

  test("jitter that makes recovery begin again and again does not ratchet the window down", async () => {
    const random = Random.fromEnvironment();
    console.log(`SEED=${random.seed}`);
    const sender = await Sender.create({ rtt: 40 * MS, timestamps: true });
    const link = new Link(sender, {
      delay: 20 * MS, timestamps: true, fate: () => random.oneIn(50) ? [random.below(40 * MS)] : PASSED,
    });
    // At the end nothing is in flight for a while, and the window begins anew.
    let [sum, count] = [0, 0];
    link.watch = () => {
      sum += sender.cwnd;
      count++;
    };
    sender.offer(20_000_000);
    assert.ok(link.run());
    assert.ok(sum / count > 100 * MSS, `${sum / count / MSS} segments on average`);
  });

  test("a bottleneck's queue overflows, and no timeout comes of it", async () => {
    const sender = await Sender.create({ rtt: 100 * MS });
    const link = new Link(sender, { delay: 50 * MS, rate: 12.5e6, queue: 400_000 });
    let timeouts = 0;
    link.watch = () => { if (sender.marked(MARK.loss)) timeouts++; };
    sender.offer(50_000_000);
    const start = sender.now;
    assert.ok(link.run());
    const share = 50_000_000 / (sender.now - start) * 1e6 / 12.5e6;
    assert.equal(timeouts, 0);
    assert.ok(link.dropped > 0);
    assert.ok(share > 0.6, `${share.toFixed(2)} of the rate`);
  });
});
