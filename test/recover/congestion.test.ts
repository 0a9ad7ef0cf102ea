/** Tests congestion avoidance by CUBIC (RFC 9438), and explicit congestion notification (RFC 3168). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CWND, SRTT, SSTHRESH, W_MAX } from "../../abi/tcp.js";
import { LOST, Link, PASSED } from "./link.js";
import { MARK, Sender } from "./sender.js";
import { MS, MSS, NO_THRESHOLD, sending, toTimer } from "./steps.js";

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

  for (const timestamps of [false, true]) {
    test(`leaves whole segments, as many as Linux does, with${timestamps ? "" : "out"} timestamps`, async () => {
      for (const [segments, left] of [[10, 7], [11, 7], [14, 9], [14.9, 9], [20, 14], [90, 63], [3, 2], [2, 2]]) {
        const sender = await sending({ timestamps });
        const { segment } = sender;
        sender.set(CWND, Math.round(segments * segment));
        sender.wait(20 * MS);
        sender.ack({ ack: 0, sacks: [[segment, 5 * segment]] });
        assert.equal(sender.ssthresh, left * segment, `${segments} segments`);
      }
    });
  }

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
    assert.equal(sender.cwnd, 4 * MSS);
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
