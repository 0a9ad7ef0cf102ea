/**
 * Tests the sending side of TCP against random paths with an honest receiver, and against a peer that sends whatever it
 * likes.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CWND } from "../../abi/tcp.js";
import { type Fate, Link, LOST, PASSED } from "../recover/link.js";
import { ISS, MARK, Sender } from "../recover/sender.js";
import { Random } from "../support/random.js";

const MS = 1000;
const PATHS = 150;
const ACKS = 40_000;

describe("the sending side of TCP", () => {
  test(`gets every byte through ${PATHS} random paths, and gives its pages back`, async () => {
    const random = Random.fromEnvironment();
    console.log(`SEED=${random.seed}`);
    for (let i = 0; i < PATHS; i++) {
      const timestamps = random.oneIn(2);
      const sack = !random.oneIn(3);
      const delay = random.pick([50, 500, 5 * MS, 50 * MS, 300 * MS]);
      const mss = random.pick([536, 1220, 1460, 8960]);
      const pages = random.pick([0, 1, 1, 8]);
      const [loss, ackLoss, reorder, double] = [0, 0, 0, 0].map(() => random.pick([0, 0, 0.001, 0.02, 0.1]));
      const rate = random.pick([undefined, 1e5, 1e6, 1e7]);
      const bytes = random.pick([1, 1000, 30_000, 300_000, rate === 1e5 ? 300_000 : 2_000_000]);
      const chance = (p: number) => random.next() / 2 ** 32 < p;
      const fate = (): Fate => {
        if (chance(loss)) return LOST;
        const late = chance(reorder) ? random.below(delay) : 0;
        return chance(double) ? [late, late + random.below(delay)] : [late];
      };
      const iss = random.pick([0, 1, ISS, 0xffff_ffff, 0x7fff_f000, 0x8000_0000]);
      const what = JSON.stringify({
        i, timestamps, sack, delay, mss, pages, loss, ackLoss, reorder, double, rate, bytes, iss,
      });
      // Of a full segment: where a slow link needs several times what the handshake took, a probe is right to be early.
      const rtt = 2 * delay + (rate === undefined ? 0 : mss / rate * 1e6);
      const sender = await Sender.create({ mss, timestamps, sack, pages, iss, rtt: random.oneIn(4) ? 0 : rtt });
      const link = new Link(sender, {
        delay, timestamps, sack, fate, rate, queue: random.pick([20_000, 200_000]),
        delayedAcks: random.oneIn(2), ackFate: () => chance(ackLoss) ? LOST : PASSED,
      });
      link.watch = () => {
        assert.ok(sender.cwnd >= Math.min(sender.segment, 536) && sender.cwnd <= 2 ** 30, `window ${sender.cwnd}: ${what}`);
        assert.ok(sender.pages <= 1, `${sender.pages} pages: ${what}`);
      };
      sender.offer(bytes);
      assert.ok(link.run(sender.now + 3600e6), `${link.gaveUp ? "given up" : "not done"}: ${what}`);
      assert.deepEqual([sender.acked, link.next, sender.pages], [bytes, bytes, 0], what);
      // Nothing is sent again where nothing was lost or late. An ACK that is lost or late is a reason, too.
      const clean = loss + ackLoss + reorder + double === 0 && link.dropped === 0;
      if (clean) assert.equal(link.retransmitted, 0, what);
    }
  });

  test(`stays sound whatever ${ACKS} ACKs say`, async () => {
    const random = Random.fromEnvironment();
    console.log(`SEED=${random.seed}`);
    for (const [sack, pages] of [[true, 1], [false, 1], [true, 0], [true, 8]] as const) {
      const sender = await Sender.create({ sack, pages, timestamps: true, ecn: true, rtt: 10 * MS, mss: 536 });
      const somewhere = () => random.pick([
        sender.una, sender.nxt, sender.una - 1, sender.nxt + 1, sender.una + random.below(sender.nxt - sender.una + 1),
        random.next(),
      ]);
      for (let i = 0; i < ACKS; i++) {
        sender.offer(random.below(20_000));
        if (random.oneIn(1000)) sender.set(CWND, 1 << 20);
        for (const { seq, len } of sender.output(random.below(200))) {
          const from = seq - sender.una | 0;
          const inFlight = from >= 0 && from + len <= sender.nxt - sender.una;
          assert.ok(inFlight && len > 0 && len <= 524, `[${seq}, +${len}) of [${sender.una}, ${sender.nxt})`);
        }
        if (random.oneIn(5)) sender.wait(random.pick([1, 100, MS, 20 * MS]));
        if (sender.timer === 0) {
          // A connection that is given up ends; this one goes on.
          if (!sender.expire()) sender.ack({ ack: sender.nxt });
          continue;
        }
        const out = sender.nxt - sender.una;
        const ack = sender.una + random.pick([0, 0, 0, 1, 524, random.below(out + 1), out]);
        const sacks = Array.from({ length: random.below(5) }, () => {
          const first = somewhere();
          return [first, random.oneIn(3) ? somewhere() : first + random.pick([1, 524, 5240])] as const;
        });
        sender.ack({
          ack: Math.min(ack, sender.nxt), sacks: sacks.slice(0, 3), ece: random.oneIn(50), window: 1 << 20,
          tsecr: random.oneIn(2) ? sender.stamp(random.below(100 * MS)) : random.next(),
        });
        assert.ok(sender.cwnd > 0 && sender.cwnd <= 2 ** 30, `window ${sender.cwnd}`);
        assert.ok(sender.pages <= 1);
        assert.ok(sender.una !== sender.nxt || (sender.timer === undefined && sender.pages === 0));
        assert.ok(sender.una === sender.nxt || sender.timer !== undefined);
        sender.checkFlight();
      }
      sender.ack({ ack: sender.nxt });
      assert.equal(sender.pages, 0);
      assert.equal(sender.marked(MARK.recovery), false);
    }
  });
});
