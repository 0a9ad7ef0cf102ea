/** Tests the sending side over whole paths: those that lose nothing, become narrower, or gave others trouble. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Random } from "../support/random.js";
import { LOST, Link, PASSED } from "./link.js";
import { MARK, Sender } from "./sender.js";
import { MS, MSS, NO_THRESHOLD, sending, toTimer } from "./steps.js";

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
    // One transfer in about 500 stays a little below the bound by chance: the median of three counts.
    const averages: number[] = [];
    for (let i = 0; i < 3; i++) {
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
      averages.push(sum / count / MSS);
    }
    assert.ok(averages.sort((a, b) => a - b)[1] > 100, `${averages.join(", ")} segments on average`);
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
