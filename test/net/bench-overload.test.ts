/** Overloads pongd with the sender of `pongd bench tun`. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { affinity } from "../../src/bench/affinity.js";
import { median, medianInterval } from "../../src/bench/stats.js";
import { Station } from "../../src/bench/tun.js";
import { COMBINATIONS, needs } from "../support/netns.js";

const [, ...others] = affinity();
const twoCpus = others.length > 0 ? needs("taskset") : { skip: "needs a CPU for the sender, and one for pongd" };
for (const { engine, io } of COMBINATIONS) {
  test("overload: beyond what it can take, replies stay at 95 % of the peak, and the device counts the rest "
    + `(${engine}, ${io})`, twoCpus, async () => {
    const station = await Station.start({ engine, io, mtu: 1500, offload: false, seed: 1 });
    // The rivals leave pongd an eighth of its CPU. With a whole CPU it may take all that a sender can offer.
    const rivals = Array.from(
      { length: 7 }, () => spawn("taskset", ["-c", String(others.at(-1)), process.execPath, "-e", "for (;;);"]),
    );
    try {
      const flood = async (packetsPerSecond: number) => (await station.flood(
        { kind: "flood", packetBytes: 84, seconds: 0.2, packetsPerSecond },
      )).flood;
      const rate = ({ replies, seconds }: Awaited<ReturnType<typeof flood>>) => replies / seconds;
      const capacity = median([rate(await flood(Infinity)), rate(await flood(Infinity)), rate(await flood(Infinity))]);
      const loads = [0.9 * capacity, capacity, Infinity];
      const rounds: number[][] = [];
      const offered: number[] = [];
      while (rounds.length < 9) {
        const round: number[] = [];
        for (const load of loads) {
          const result = await flood(load);
          round.push(rate(result));
          if (load === Infinity) offered.push((result.taken + result.dropped) / result.seconds / capacity);
          // Packets that were taken before the clock started may be answered after, and the reverse: a queue's length
          // and a batch.
          assert.ok(
            Math.abs(result.replies - result.taken) < 5000, `${result.taken} taken, ${result.replies} answered`,
          );
        }
        rounds.push(round);
      }
      assert.ok(
        median(offered) > 1.2, `no overload: the sender has offered ${median(offered)} times what pongd can take`,
      );
      // Rates are compared within a round, because a machine drifts,
      // and by the interval of the median, because it is disturbed.
      for (const [i, load] of loads.slice(0, -1).entries()) {
        const ratios = rounds.map((round) => round[2] / round[i]);
        const [, high] = medianInterval(ratios);
        assert.ok(high >= 0.95, `replies when overloaded, to those at ${load / capacity} times capacity: `
        + ratios.map((ratio) => ratio.toFixed(3)).join(", "));
      }
    } finally {
      for (const rival of rivals) rival.kill();
      station.end();
    }
  });
}
