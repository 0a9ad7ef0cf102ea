/** Tests the initial window and slow start, with HyStart++ (RFC 9406). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CWND, SSTHRESH } from "../../abi/tcp.js";
import { Link, PASSED } from "./link.js";
import { MARK, Sender } from "./sender.js";
import { MS, MSS, NO_THRESHOLD, numbers, sending, toTimer } from "./steps.js";

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
