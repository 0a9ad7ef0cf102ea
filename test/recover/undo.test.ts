/** Tests undoing by timestamps (RFC 3522) and by D-SACK (RFC 3708). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SSTHRESH, W_MAX } from "../../abi/tcp.js";
import { MARK } from "./sender.js";
import { MS, MSS, NO_THRESHOLD, numbers, sending, toTimer } from "./steps.js";

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
