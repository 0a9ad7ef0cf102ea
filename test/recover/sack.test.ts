/** Tests recovery with SACK: proportional rate reduction (RFC 9937), and timeouts. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CWND, W_MAX } from "../../abi/tcp.js";
import { MARK, Sender } from "./sender.js";
import { MS, MSS, numbers, sending, timerIs, toTimer } from "./steps.js";

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
    assert.equal(ssthresh, 2 * MSS);
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
