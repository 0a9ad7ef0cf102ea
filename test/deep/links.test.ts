/**
 * Tests what a way of a link does against the formulas of its models. The seeds are fixed, so that the same packets
 * meet the same fate in each run; the bounds are those that independent samples exceed once in a thousand times.
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { CROSSED_CORRUPTED, CROSSED_DUPLICATED, CROSSED_MARKED } from "../../abi/links.js";
import { DISTRIBUTIONS, ofSamples } from "../../src/prefix/distribution.js";
import type { LossModel, Way } from "../../src/prefix/link.js";
import { Crossing, FULL, LOST } from "../support/crossing.js";
import {
  autocorrelation, burstOf, type Chain, critical, deviation, distance, inverse, lossesOf, mean, phi,
} from "../support/statistics.js";

const MS = 1_000_000;
const START = 10n ** 12n;
/** Standard deviations that a mean may be off: once in a thousand times by chance. */
const TOLERANCE = 3.3;

let link: Crossing;
before(() => {
  link = Crossing.create();
});

/** Returns how long `n` packets are under way that come every `gap` ns, in ns. */
function delaysOf(way: Partial<Way>, n: number, { gap = MS, seed = 1n, len = 84 } = {}): number[] {
  link.begin(way, seed);
  return Array.from({ length: n }, (_, i) => {
    const came = START + BigInt(i * gap);
    const leaves = link.cross(came, len);
    assert.ok(leaves >= came && leaves < LOST);
    return Number(leaves - came);
  });
}

/** Returns which of `n` packets are lost. */
function lossesBy(way: Partial<Way>, n: number): boolean[] {
  link.begin(way);
  return Array.from({ length: n }, () => link.cross(START) === LOST);
}

/** Returns to which of `n` packets a CROSSED_ bit says that it happened. */
function happensBy(way: Partial<Way>, n: number, bit: number): boolean[] {
  link.begin(way);
  return Array.from({ length: n }, () => {
    link.cross(START);
    return (link.crossed & bit) !== 0;
  });
}

/** Asserts that a share of `n` is the one expected, if values with this lag-1 correlation are a Markov chain's. */
function assertShare(values: readonly boolean[], share: number, correlation = 0): void {
  const found = values.filter(Boolean).length / values.length;
  const error = Math.sqrt(share * (1 - share) / values.length * (1 + correlation) / (1 - correlation));
  assert.ok(Math.abs(found - share) < TOLERANCE * error, `${found} in place of ${share} ± ${TOLERANCE * error}`);
}

function assertNear(found: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(found - expected) < tolerance, `${what}: ${found} in place of ${expected} ± ${tolerance}`);
}

describe("jitter", () => {
  /** Above any jitter, so that none is cut off at 0. */
  const DELAY = 1000 * MS;
  const JITTER = 10 * MS;
  const N = 50_000;
  /** Places at which a quantile function is computed. */
  const STEPS = 20_000;

  const pareto = (u: number) => (1 - u) ** (-1 / 3);
  const normal = (u: number) => inverse(u, phi, -6, 6);
  const paretonormal = (u: number) => 0.25 * normal(u) + 0.75 * (pareto(u) - 1.5) / Math.sqrt(0.75);

  /** Returns the distribution function that has this quantile function, at the place and scale of samples. */
  function shape(samples: readonly number[], quantile: (u: number) => number): (x: number) => number {
    const sorted = Float64Array.from(samples).sort();
    const at = (u: number) => sorted[Math.floor(u * sorted.length)];
    const scale = (at(0.75) - at(0.25)) / (quantile(0.75) - quantile(0.25));
    const place = at(0.5) - scale * quantile(0.5);
    const values = Float64Array.from({ length: STEPS + 1 }, (_, i) => quantile(Math.min(1 - 1e-9, i / STEPS)));
    return (x) => inverse((x - place) / scale, (u) => values[Math.floor(u * STEPS)], 0, 1);
  }

  /** Samples whose quantiles are a broken line, with its mean and deviation. */
  const SAMPLES = [0, 1, 2, 5, 21];
  const lines = SAMPLES.slice(1).map((b, i) => [SAMPLES[i], b] as const);
  const middle = mean(lines.map(([a, b]) => (a + b) / 2));
  const spread = Math.sqrt(mean(lines.map(([a, b]) => (a * a + a * b + b * b) / 3)) - middle ** 2);
  const broken = (x: number) => {
    const raw = middle + spread * x;
    const i = Math.min(lines.length - 1, Math.max(0, lines.findIndex(([, b]) => raw <= b)));
    const [a, b] = raw > 21 ? lines[3] : lines[i];
    return Math.min(1, Math.max(0, (i + (raw - a) / (b - a)) / lines.length));
  };

  const CASES = {
    uniform: { quantiles: undefined, spread: 1 / Math.sqrt(3), cdf: () => (x: number) => (x + 1) / 2 },
    normal: { quantiles: DISTRIBUTIONS.normal, spread: 1, cdf: () => phi },
    pareto: { quantiles: DISTRIBUTIONS.pareto, spread: 1, cdf: (x: readonly number[]) => shape(x, pareto) },
    paretonormal: {
      quantiles: DISTRIBUTIONS.paretonormal, spread: 1, cdf: (x: readonly number[]) => shape(x, paretonormal),
    },
    samples: { quantiles: ofSamples([21, 2, 0, 5, 1]), spread: 1, cdf: () => broken },
  };

  for (const [name, { quantiles, spread, cdf }] of Object.entries(CASES)) {
    const way = { delayNs: DELAY, jitterNs: JITTER, quantiles, mayPass: true };
    const variates = (more: Partial<Way>, n: number) =>
      delaysOf({ ...way, ...more }, n).map((delay) => (delay - DELAY) / JITTER);

    test(`${name}: mean, deviation and distribution`, () => {
      const found = variates({}, N);
      assertNear(mean(found), 0, TOLERANCE * spread / Math.sqrt(N), "mean");
      // The fourth moment of some is large.
      assertNear(deviation(found), spread, 0.05 * spread, "deviation");
      assert.ok(Math.abs(autocorrelation(found)) < TOLERANCE / Math.sqrt(N), "packets do not depend on each other");
      const far = distance(found, cdf(found));
      assert.ok(far < critical(N), `${far} of ${critical(N)}`);
    });

    test(`${name}: correlated as asked, and distributed as without`, () => {
      for (const correlation of [0.3, 0.75, 0.9]) {
        const found = variates({ correlation }, 4 * N);
        assertNear(autocorrelation(found), correlation, 0.02, `correlation of ${correlation}`);
        // Samples that are far from each other are as good as independent.
        const apart = found.filter((_, i) => i % 50 === 0);
        const far = distance(apart, cdf(found));
        assert.ok(far < critical(apart.length), `${far} of ${critical(apart.length)} at ${correlation}`);
        // A few samples, which come together, decide that of some.
        assertNear(deviation(found), spread, 0.1 * spread, `deviation at ${correlation}`);
      }
    });
  }

  test("a delay is never negative: what jitter would make so is 0", () => {
    const delays = delaysOf({ delayNs: 5 * MS, jitterNs: 10 * MS, quantiles: DISTRIBUTIONS.normal, mayPass: true }, N);
    assertShare(delays.map((delay) => delay === 0), phi(-0.5));
    const positive = delays.filter((delay) => delay > 0).map((delay) => (delay / MS - 5) / 10);
    assert.ok(distance(positive, (x) => (phi(x) - phi(-0.5)) / phi(0.5)) < critical(positive.length));
  });

  test("packets keep their order unless they may pass each other", () => {
    const way = { delayNs: 20 * MS, jitterNs: 10 * MS };
    for (const mayPass of [false, true]) {
      const delays = delaysOf({ ...way, mayPass }, 4000);
      const leaves = delays.map((delay, i) => i * MS + delay);
      const passed = leaves.filter((at, i) => i > 0 && at < leaves[i - 1]).length;
      if (mayPass) assert.ok(passed > 1000, `${passed}`);
      else assert.equal(passed, 0);
    }
  });

  test("a link with a correlation begins with the distribution that it goes on with", () => {
    const first: number[] = [];
    for (let seed = 1; seed <= 4000; seed++) {
      link.begin({
        delayNs: DELAY, jitterNs: JITTER, quantiles: DISTRIBUTIONS.normal, correlation: 0.9, mayPass: true,
        loss: { kind: "packets", ranges: [[1, 3]] },
      }, BigInt(seed));
      for (let i = 0; i < 3; i++) assert.equal(link.cross(START), LOST);
      first.push((Number(link.cross(START) - START) - DELAY) / JITTER);
    }
    assertNear(deviation(first), 1, TOLERANCE * Math.sqrt(1 / 2 / first.length), "deviation");
  });
});

describe("loss", () => {
  const N = 100_000;

  test("random: the share asked for, of packets that do not depend on each other", () => {
    for (const probability of [0.001, 0.01, 0.1, 0.5]) {
      const lost = lossesBy({ loss: { kind: "random", probability } }, N);
      assertShare(lost, probability);
      assertNear(autocorrelation(lost.map(Number)), 0, TOLERANCE / Math.sqrt(N), "correlation");
      assert.deepEqual(link.effects, { dropped: lost.filter(Boolean).length });
    }
    assert.ok(lossesBy({ loss: { kind: "random", probability: 1 } }, 1000).every(Boolean));
    assert.ok(!lossesBy({ loss: { kind: "random", probability: 0 } }, 1000).some(Boolean));
  });

  test("with a correlation: the share stays, and a loss follows a loss by p + c (1 - p)", () => {
    for (const [p, c] of [[0.01, 0.25], [0.1, 0.5], [0.3, 0.9]]) {
      const loss: LossModel = {
        kind: "gilbert", toBad: p * (1 - c), toGood: (1 - c) * (1 - p), inGood: 0, inBad: 1,
      };
      const lost = lossesBy({ loss }, N);
      assertShare(lost, p, c);
      const again = lost.filter((_, i) => i > 0 && lost[i - 1]);
      assertShare(again, p + c * (1 - p));
      assertNear(autocorrelation(lost.map(Number)), c, 0.03, "correlation");
    }
  });

  const gilbert = ({ toBad, toGood, inGood, inBad }: Extract<LossModel, { kind: "gilbert" }>): Chain =>
    ({ steps: [[1 - toBad, toBad], [toGood, 1 - toGood]], lost: [inGood, inBad] });

  function assertChain(loss: LossModel, chain: Chain): void {
    const lost = lossesBy({ loss }, 4 * N);
    const { share, burst, correlation } = lossesOf(chain);
    assertShare(lost, share, Math.min(0.95, 1 - (1 - Math.abs(correlation)) / 2));
    assertNear(burstOf(lost), burst, 0.03 * burst, "length of a burst");
    assertNear(autocorrelation(lost.map(Number)), correlation, 0.02, "correlation");
  }

  test("Gilbert-Elliott: share and bursts", () => {
    for (const [toBad, toGood, inGood, inBad] of [
      [0.01, 0.1, 0, 1], [0.01, 0.1, 0.001, 0.7], [0.005, 0.2, 0.0001, 0.6], [0.3, 0.4, 0.05, 0.5], [0.9, 0.8, 0, 1],
    ]) {
      const loss = { kind: "gilbert", toBad, toGood, inGood, inBad } as const;
      const chain = gilbert(loss);
      const bad = toBad / (toBad + toGood);
      assertNear(lossesOf(chain).share, bad * inBad + (1 - bad) * inGood, 1e-9, "the share by the formula");
      assertChain(loss, chain);
      if (inGood === 0 && inBad === 1) assertNear(lossesOf(chain).burst, 1 / toGood, 1e-6, "the burst by the formula");
    }
  });

  test("Gilbert-Elliott begins in either state as often as it is in it", () => {
    const first: boolean[] = [];
    for (let seed = 1; seed <= 4000; seed++) {
      link.begin({ loss: { kind: "gilbert", toBad: 0.02, toGood: 0.06, inGood: 0, inBad: 1 } }, BigInt(seed));
      first.push(link.cross(START) === LOST);
    }
    assertShare(first, 0.25);
  });

  test("four states: share and bursts by power iteration", () => {
    for (const [p13, p31, p32, p23, p14] of [
      [0.01, 0.1, 0.3, 0.4, 0.005], [0.05, 0.95, 0, 0, 0], [0.02, 0.2, 0.5, 0.9, 0], [0, 0, 0, 0, 0.1],
      [0.1, 0.3, 0.7, 1, 0.9],
    ]) {
      // In the order 1, 2, 3, 4.
      const steps = [[1 - p13 - p14, 0, p13, p14], [0, 1 - p23, p23, 0], [p31, p32, 1 - p31 - p32, 0], [1, 0, 0, 0]];
      assertChain({ kind: "states", p13, p31, p32, p23, p14 }, { steps, lost: [0, 0, 1, 1] });
    }
  });

  test("exact packets", () => {
    const ranges = [[3, 3], [7, 7], [20, 25], [4_000, 4_000]] as const;
    const lost = lossesBy({ loss: { kind: "packets", ranges } }, 5000);
    const numbers = lost.flatMap((is, i) => is ? [i + 1] : []);
    assert.deepEqual(numbers, [3, 7, 20, 21, 22, 23, 24, 25, 4000]);
    assert.deepEqual(lossesBy({ loss: { kind: "packets", ranges: [[1, 1]] } }, 3), [true, false, false]);
    assert.deepEqual(lossesBy({ loss: { kind: "packets", ranges: [] } }, 3), [false, false, false]);
  });

  test("a packet that can be marked is marked where it would be lost, and others are lost", () => {
    const way: Partial<Way> = { loss: { kind: "random", probability: 0.2 }, ecn: true };
    const lost = lossesBy(way, N);
    link.begin(way);
    const marked = Array.from({ length: N }, () => {
      assert.equal(link.cross(START, 84, { ecn: true }), START);
      return link.crossed === CROSSED_MARKED;
    });
    assert.deepEqual(marked, lost);
    assert.deepEqual(link.effects, { ecn_marked: lost.filter(Boolean).length });
    lossesBy({ ...way, ecn: false }, 10);
    assert.equal(link.effects.ecn_marked, undefined);
  });
});

describe("duplicates and corruption", () => {
  const N = 100_000;

  test("as often as asked, and correlated as asked", () => {
    for (const [kind, bit] of [["duplicate", CROSSED_DUPLICATED], ["corrupt", CROSSED_CORRUPTED]] as const) {
      for (const [probability, correlation] of [[0.001, 0], [0.1, 0], [0.1, 0.3], [0.3, 0.75], [0.05, 0.9], [1, 0.5]]) {
        const happened = happensBy({ [kind]: { probability, correlation } }, N, bit);
        if (probability === 1) {
          assert.ok(happened.every(Boolean));
          continue;
        }
        assertShare(happened, probability, correlation);
        assertNear(autocorrelation(happened.map(Number)), correlation, 0.03, `correlation of ${kind}`);
        assert.equal(link.effects.corrupted, kind === "corrupt" ? happened.filter(Boolean).length : undefined);
      }
    }
  });

  test("a duplicate has no duplicates", () => {
    link.begin({ duplicate: { probability: 1, correlation: 0 } });
    link.cross(START);
    assert.equal(link.crossed, CROSSED_DUPLICATED);
    link.cross(START, 84, { copy: true });
    assert.equal(link.crossed, 0);
    assert.equal(link.packets, 2n);
  });

  test("one knob changes nothing of what the others decide", () => {
    const loss = { kind: "random", probability: 0.1 } as const;
    const chance = { probability: 0.1, correlation: 0.2 };
    const alone = lossesBy({ loss }, 10_000);
    const all: Partial<Way> = {
      loss, duplicate: chance, corrupt: chance, ahead: { ...chance, gap: 2 }, delayNs: MS, jitterNs: MS, mayPass: true,
      slots: { minNs: MS, maxNs: 2 * MS, packets: 3 },
    };
    assert.deepEqual(lossesBy(all, 10_000), alone);
    assert.deepEqual(
      happensBy({ corrupt: { probability: 0.1, correlation: 0 } }, 10_000, CROSSED_CORRUPTED),
      happensBy({ corrupt: { probability: 0.1, correlation: 0 }, delayNs: MS }, 10_000, CROSSED_CORRUPTED),
    );
  });
});

describe("reordering", () => {
  test("of each gap's packets the last goes ahead: 4, 9, 14 of gap 5", () => {
    const delays = delaysOf({ delayNs: 10 * MS, ahead: { probability: 1, correlation: 0, gap: 5 } }, 20);
    const ahead = delays.flatMap((delay, i) => delay === 0 ? [i] : []);
    assert.deepEqual(ahead, [4, 9, 14, 19]);
    assert.ok(delays.every((delay, i) => delay === (ahead.includes(i) ? 0 : 10 * MS)));
    assert.deepEqual(link.effects, { delayed: 16, reordered: 4 });
  });

  test("without a gap, the share asked for, correlated as asked", () => {
    for (const correlation of [0, 0.5]) {
      const way = { delayNs: 10 * MS, ahead: { probability: 0.25, correlation, gap: 1 } };
      const ahead = delaysOf(way, 50_000).map((delay) => delay === 0);
      assertShare(ahead, 0.25, correlation);
      assertNear(autocorrelation(ahead.map(Number)), correlation, 0.02, "correlation");
    }
  });

  test("with a gap and a share, a packet goes ahead after the gap by that share", () => {
    const ahead = delaysOf({ delayNs: 10 * MS, ahead: { probability: 0.5, correlation: 0, gap: 4 } }, 50_000)
      .flatMap((delay, i) => delay === 0 ? [i] : []);
    const gaps = ahead.slice(1).map((at, i) => at - ahead[i]);
    assert.equal(Math.min(...gaps), 4);
    // 3 packets, and then a geometric distribution with mean 2.
    assertNear(mean(gaps), 5, TOLERANCE * Math.sqrt(2 / gaps.length), "packets from one to the next");
  });
});

describe("rate", () => {
  /** 1 Mbit/s. */
  const byteNs = 8000;
  const rate = { byteNs, overhead: 0, queueNs: Infinity };
  const burst = (n: number, len = 500, came = START) =>
    Array.from({ length: n }, () => link.cross(came, len));
  const timesOf = (leaves: readonly bigint[]) => leaves.map((at) => at < LOST ? Number(at - START) / MS : at);

  test("500 bytes at 1 Mbit/s take 4 ms, one packet after the other", () => {
    link.begin({ rate });
    assert.deepEqual(timesOf(burst(4)), [4, 8, 12, 16]);
    // The sender has been idle since.
    assert.deepEqual(timesOf(burst(2, 500, START + 100n * BigInt(MS))), [104, 108]);
    link.begin({ rate: { ...rate, overhead: 14 } });
    assert.deepEqual(timesOf(burst(2)), [4.112, 8.224]);
    link.begin({ rate: { ...rate, overhead: -100 } });
    assert.deepEqual(timesOf(burst(2)), [3.2, 6.4]);
    assert.deepEqual(timesOf(burst(1, 60)), [6.4], "no packet takes less than no time");
  });

  test("a delay begins when a packet has been sent", () => {
    link.begin({ rate, delayNs: 10 * MS });
    assert.deepEqual(timesOf(burst(3)), [14, 18, 22]);
  });

  test("a packet that would wait for longer than the queue's time is lost", () => {
    link.begin({ rate: { ...rate, queueNs: 20 * MS } });
    const leaves = burst(10);
    assert.deepEqual(timesOf(leaves), [4, 8, 12, 16, 20, 24, FULL, FULL, FULL, FULL]);
    assert.deepEqual(link.effects, { delayed: 6, queue_full: 4 });
    // What was not let in takes no time.
    assert.deepEqual(timesOf(burst(1, 500, START + 4n * BigInt(MS))), [28]);
  });

  test("of a burst, as many packets pass as the queue has places for; each that has left makes room", () => {
    link.begin({ rate: { ...rate, queuePackets: 10 } });
    const leaves = burst(30);
    assert.deepEqual(timesOf(leaves), [...Array.from({ length: 10 }, (_, i) => 4 * i + 4), ...leaves.slice(10)]);
    assert.ok(leaves.slice(10).every((at) => at === FULL));
    // Two have left by then.
    assert.deepEqual(timesOf(burst(3, 500, START + 9n * BigInt(MS))), [44, 48, FULL]);
  });

  test("no more passes in a time than the rate lets pass, whatever comes", () => {
    link.begin({ rate: { ...rate, queueNs: 50 * MS } });
    let [bytes, last] = [0, START];
    for (let i = 0; i < 20_000; i++) {
      const len = 100 + i * 7919 % 1300;
      const leaves = link.cross(START + BigInt(i) * 2n * BigInt(MS), len);
      if (leaves === FULL) continue;
      assert.ok(leaves >= last);
      bytes += len;
      last = leaves;
    }
    // More came than that.
    assertNear(bytes * byteNs / Number(last - START), 1, 0.001, "use of the rate");
  });
});

describe("slots", () => {
  const at = (leaves: readonly bigint[]) => leaves.map((each) => Number(each - START) / MS);
  const every = (n: number, gap: number, len = 100) =>
    Array.from({ length: n }, (_, i) => link.cross(START + BigInt(i * gap), len));

  test("so many packets leave together", () => {
    link.begin({ slots: { minNs: 20 * MS, maxNs: 20 * MS, packets: 5 } });
    assert.deepEqual(at(every(12, 0)), [0, 0, 0, 0, 0, 20, 20, 20, 20, 20, 40, 40]);
  });

  test("or so many bytes", () => {
    link.begin({ slots: { minNs: 20 * MS, maxNs: 20 * MS, bytes: 1000 } });
    assert.deepEqual(at(every(9, 0, 300)), [0, 0, 0, 0, 20, 20, 20, 20, 40]);
    link.begin({ slots: { minNs: 20 * MS, maxNs: 20 * MS, bytes: 1000, packets: 2 } });
    assert.deepEqual(at(every(5, 0, 300)), [0, 0, 20, 20, 40]);
  });

  test("the time from one to the next is uniform between both times", () => {
    link.begin({ slots: { minNs: 10 * MS, maxNs: 30 * MS, packets: 1 } });
    const leaves = at(every(10_000, 0));
    const gaps = leaves.slice(1).map((each, i) => each - leaves[i]);
    assert.ok(gaps.every((gap) => gap >= 10 - 1e-6 && gap < 30 + 1e-6));
    assert.ok(distance(gaps, (gap) => (gap - 10) / 20) < critical(gaps.length));
  });

  test("packets that come seldom are not delayed", () => {
    link.begin({ slots: { minNs: 20 * MS, maxNs: 20 * MS, packets: 1 } });
    assert.deepEqual(at(every(4, 50 * MS)), [0, 50, 100, 150]);
  });
});

describe("trace", () => {
  test("adds the delay that its time has, over and over", () => {
    const delaysNs = Float64Array.of(10 * MS, 30 * MS, 20 * MS);
    const way = { delayNs: 5 * MS, trace: { delaysNs, stepNs: 100 * MS }, mayPass: true };
    link.begin(way);
    for (let ms = 0; ms < 1000; ms += 7) {
      const came = START + BigInt(ms * MS);
      const step = Number(came / BigInt(100 * MS) % 3n);
      assert.equal(link.cross(came) - came, BigInt(5 * MS + delaysNs[step]));
    }
  });
});

describe("seeds", () => {
  test("the same seed decides the same, another one other things", () => {
    const way: Partial<Way> = {
      delayNs: 20 * MS, jitterNs: 10 * MS, quantiles: DISTRIBUTIONS.pareto, correlation: 0.3,
      loss: { kind: "gilbert", toBad: 0.1, toGood: 0.3, inGood: 0, inBad: 0.8 },
    };
    const fates = (seed: bigint) => {
      link.begin(way, seed);
      return Array.from({ length: 1000 }, (_, i) => link.cross(START + BigInt(i * MS)));
    };
    assert.deepEqual(fates(7n), fates(7n));
    const other = fates(8n);
    assert.ok(fates(7n).filter((at, i) => at === other[i]).length < 400);
  });
});
