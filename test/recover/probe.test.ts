/** Tests tail loss probes (RFC 8985 §7). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MARK, Sender } from "./sender.js";
import { MS, MSS, NO_THRESHOLD, numbers, sending, timerIs, toTimer } from "./steps.js";

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
