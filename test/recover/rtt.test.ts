/** Tests the round-trip time, and the timeout (RFC 6298, RFC 7323). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CWND, RTTVAR, SRTT } from "../../abi/tcp.js";
import { Sender } from "./sender.js";
import { MS, MSS, sending, timerIs, toTimer } from "./steps.js";

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
