/** Tests loss that time tells (RACK, RFC 8985). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SRTT } from "../../abi/tcp.js";
import { Random } from "../support/random.js";
import { LOST, Link, PASSED } from "./link.js";
import { MARK, Sender } from "./sender.js";
import { MS, MSS, sending, timerIs, toTimer } from "./steps.js";

describe("loss, told by time", () => {
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
});
