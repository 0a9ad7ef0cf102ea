/** Tests recovery as in NewReno (RFC 6582): without SACK, and without a page. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DUP_ACKS, SSTHRESH } from "../../abi/tcp.js";
import { MARK, Sender } from "./sender.js";
import { MS, MSS, numbers, sending, toTimer } from "./steps.js";

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
