/** Tests links in the configuration: what each key of a file and --link make of a link, and what is refused. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { EXIT } from "../../src/base/failure.js";
import { DISTRIBUTIONS } from "../../src/prefix/distribution.js";
import { CLEAR_WAY, type Link, type LossModel, type Way } from "../../src/prefix/link.js";
import { tableOf, type Netem } from "../../src/prefix/netem.js";
import { read, refusal } from "../support/config.js";

const P = "prefixes: [10.99.0.0/16]\n";
const MS = 1e6;

const folder = mkdtempSync(join(tmpdir(), "pongd-links-"));
after(() => { rmSync(folder, { recursive: true }); });

function file(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

/** Returns the links of the prefixes of a file. */
function linksOf(text: string, args: readonly string[] = []): (Link | undefined)[] {
  return read(text, args).options.serving.prefixes.map(({ answers }) => answers.link);
}

/** Returns the link of a file's `link:`, without what is undefined. */
function linkOf(text: string, args: readonly string[] = []): Link {
  const [link] = linksOf(text === "" ? P : `${P}link: ${text}\n`, args);
  assert.ok(link);
  return plain(link);
}

function plain<T>(value: T): T {
  if (typeof value !== "object" || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== undefined).map(([key, item]) => [key, plain<unknown>(item)]),
  ) as T;
}

function way(more: Partial<Way> = {}): Way {
  return { ...CLEAR_WAY, ...more };
}

/** Asserts shares to a part in 10^12, since percentages are divided. */
function isAbout(actual: unknown, expected: unknown, message: string): void {
  const round = (value: unknown): unknown => typeof value === "number" && Number.isFinite(value)
    ? Number(value.toPrecision(12))
    : Array.isArray(value) || ArrayBuffer.isView(value) || typeof value !== "object" || value === null
      ? value
      : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, round(item)]));
  assert.deepEqual(round(actual), round(expected), message);
}

describe("each key of a link", () => {
  const trace = file("trace.csv", "# ms\n10\n20.5\n\n0,1;2\n");
  for (const [text, expected] of [
    ["{ delay: 20ms }", { delayNs: 20 * MS }],
    ["{ delay: 1.5s, jitter: 250us }", { delayNs: 1500 * MS, jitterNs: 250_000 }],
    ["{ delay: 100ns }", { delayNs: 100 }],
    ["{ jitter: 2ms, distribution: uniform, correlation: 25% }", { jitterNs: 2 * MS, correlation: 0.25 }],
    ["{ jitter: 2ms, distribution: normal }", { jitterNs: 2 * MS, quantiles: DISTRIBUTIONS.normal }],
    ["{ jitter: 2ms, distribution: pareto }", { jitterNs: 2 * MS, quantiles: DISTRIBUTIONS.pareto }],
    ["{ jitter: 2ms, distribution: paretonormal }", { jitterNs: 2 * MS, quantiles: DISTRIBUTIONS.paretonormal }],
    [
      `{ delay: { file: ${trace}, step: 10ms } }`,
      { trace: { delaysNs: Float64Array.of(10, 20.5, 0, 1, 2).map((ms) => ms * MS), stepNs: 10 * MS } },
    ],
    ["{ reorder: true }", { mayPass: true }],
    ["{ reorder: false }", {}],
    ["{ reorder: { probability: 25% } }", { ahead: { probability: 0.25, correlation: 0, gap: 1 } }],
    [
      "{ reorder: { probability: 25%, correlation: 50%, gap: 5 } }",
      { ahead: { probability: 0.25, correlation: 0.5, gap: 5 } },
    ],
    ["{ loss: 1%, ecn: true }", { loss: { kind: "random", probability: 0.01 }, ecn: true }],
    ["{ duplicate: 0.1% }", { duplicate: { probability: 0.001, correlation: 0 } }],
    ["{ duplicate: { probability: 1%, correlation: 2% } }", { duplicate: { probability: 0.01, correlation: 0.02 } }],
    ["{ corrupt: 100.0% }", { corrupt: { probability: 1, correlation: 0 } }],
    ["{ rate: 8bit }", { rate: { byteNs: 1e9, overhead: 0, queueNs: Infinity, queuePackets: 1000 } }],
    ["{ rate: 8kbit }", { rate: { byteNs: 1e6, overhead: 0, queueNs: Infinity, queuePackets: 1000 } }],
    ["{ rate: 8mbit, overhead: 14 }", { rate: { byteNs: 1e3, overhead: 14, queueNs: Infinity, queuePackets: 1000 } }],
    ["{ rate: 8gbit, overhead: -4 }", { rate: { byteNs: 1, overhead: -4, queueNs: Infinity, queuePackets: 1000 } }],
    ["{ rate: 0.008tbit }", { rate: { byteNs: 1, overhead: 0, queueNs: Infinity, queuePackets: 1000 } }],
    ["{ rate: 1mbps, queue: 50packets }", { rate: { byteNs: 1e3, overhead: 0, queueNs: Infinity, queuePackets: 50 } }],
    ["{ rate: 1bps, queue: 100ms }", { rate: { byteNs: 1e9, overhead: 0, queueNs: 100 * MS } }],
    ["{ delay: 20 ms, jitter: 1.5 us }", { delayNs: 20 * MS, jitterNs: 1500 }],
    ["{ loss: 3 % }", { loss: { kind: "random", probability: 0.03 } }],
    ...["1 Mbit/s", "1Mbit", "1 mbit", "125kB/s", "125 KB/s", "125000 B/s", "125 kbps"].map((rate) =>
      [`{ rate: ${rate} }`, { rate: { byteNs: 8000, overhead: 0, queueNs: Infinity, queuePackets: 1000 } }] as const),
    ["{ rate: 1Gbit/s, queue: 50 packets }", { rate: { byteNs: 8, overhead: 0, queueNs: Infinity, queuePackets: 50 } }],
    ["{ rate: 8 Tbit/s, queue: 1 MB }", { rate: { byteNs: 0.001, overhead: 0, queueNs: 1000 } }],
    ["{ rate: 8gbit, queue: 2 kB }", { rate: { byteNs: 1, overhead: 0, queueNs: 2000 } }],
    ["{ rate: 8gbit, queue: 5 ms }", { rate: { byteNs: 1, overhead: 0, queueNs: 5 * MS } }],
    ["{ rate: 1mbps, queue: 64kb }", { rate: { byteNs: 1e3, overhead: 0, queueNs: 64_000e3 } }],
    ["{ slot: { min: 1ms, packets: 42 } }", { slots: { minNs: MS, maxNs: MS, packets: 42 } }],
    ["{ slot: { min: 1ms, max: 10ms, bytes: 9 } }", { slots: { minNs: MS, maxNs: 10 * MS, bytes: 9 } }],
  ] as readonly (readonly [string, Partial<Way>])[]) {
    test(`in and out: ${text.replace(folder, "")}`, () => {
      isAbout(linkOf(`{ in: ${text} }`), { in: way(expected), out: way() }, "in");
      isAbout(linkOf(`{ out: ${text} }`), { in: way(), out: way(expected) }, "out");
    });
  }

  test("rtt is halved, and added to the delays", () => {
    assert.deepEqual(linkOf("{ rtt: 50ms }"), { in: way({ delayNs: 25 * MS }), out: way({ delayNs: 25 * MS }) });
    assert.deepEqual(
      linkOf("{ rtt: 50ms, in: { delay: 1ms }, out: { delay: 2ms } }"),
      { in: way({ delayNs: 26 * MS }), out: way({ delayNs: 27 * MS }) },
    );
  });

  test("loss, duplicate and corrupt of a link are those of out", () => {
    const chance = { probability: 0.02, correlation: 0 };
    isAbout(
      linkOf("{ loss: 1%, duplicate: 2%, corrupt: 2%, out: { delay: 1ms } }"),
      {
        in: way(),
        out: way({ delayNs: MS, loss: { kind: "random", probability: 0.01 }, duplicate: chance, corrupt: chance }),
      },
      "out",
    );
  });

  test("a file of a distribution yields its quantiles, the same for the same samples", () => {
    const samples = Array.from({ length: 1000 }, (_, i) => i).join("\n");
    const [one, two] = ["one.dist", "two.dist"].map((name) => file(name, `# made\n${samples}\n`));
    const [first, second] = linksOf("prefixes:\n" + [one, two].map((path, i) =>
      `  - { prefix: 10.0.${i}.0/24, link: { out: { jitter: 1ms, distribution: { file: ${path} } } } }\n`).join(""));
    assert.ok(first?.out.quantiles && first.out.quantiles.length > 4000);
    assert.equal(first.out.quantiles, second?.out.quantiles);
  });

  test("samples far from 0 yield the quantiles of those near it", () => {
    const quantiles = [0, 1e15].map((by) => {
      const path = file(`far-${by}.dist`, [1, 2, 5].map((sample) => by + sample).join("\n"));
      return linksOf(`prefixes: [{ prefix: 10.0.0.0/24, link: { out: { jitter: 1ms, distribution: { file: ${path} } } } }]`)[0]
        ?.out.quantiles;
    });
    assert.deepEqual(quantiles[1], quantiles[0]);
  });
});

describe("models of loss", () => {
  const gilbert = (toBad: number, toGood: number, inBad = 1, inGood = 0): LossModel =>
    ({ kind: "gilbert", toBad, toGood, inBad, inGood });
  for (const [text, expected] of [
    ["0.5%", { kind: "random", probability: 0.005 }],
    ["{ probability: 10% }", { kind: "random", probability: 0.1 }],
    // Lost again: 25 % + 10 % of 75 %. The share stays: 0.075 / (0.075 + 0.675) = 10 %.
    ["{ probability: 10%, correlation: 25% }", gilbert(0.075, 0.675)],
    // 1 % in bursts of 8: one in 8 ends, and 99 good ones come for each bad one.
    ["{ burst: { loss: 1%, length: 8 } }", gilbert(0.125 / 99, 0.125)],
    ["{ burst: { loss: 100%, length: 8 } }", gilbert(1, 0)],
    ["{ burst: { loss: 50%, length: 1 } }", gilbert(1, 1)],
    // tc-netem(8): 1-h is 100 %, 1-k is 0, and r is 1-p by default.
    ["{ gemodel: { p: 1% } }", gilbert(0.01, 0.99)],
    ["{ gemodel: { p: 1%, r: 10% } }", gilbert(0.01, 0.1)],
    ["{ gemodel: { p: 1%, r: 10%, bad: 70%, good: 0.1% } }", gilbert(0.01, 0.1, 0.7, 0.001)],
    // p32 is 0, p31 is 1-p13, p23 is 100 % and p14 is 0 by default.
    ["{ state: { p13: 1% } }", { kind: "states", p13: 0.01, p31: 0.99, p32: 0, p23: 1, p14: 0 }],
    [
      "{ state: { p13: 1%, p31: 10%, p32: 30%, p23: 40%, p14: 0.5% } }",
      { kind: "states", p13: 0.01, p31: 0.1, p32: 0.3, p23: 0.4, p14: 0.005 },
    ],
    ["{ packets: [3, 7, 20-25] }", { kind: "packets", ranges: [[3, 3], [7, 7], [20, 25]] }],
  ] as readonly (readonly [string, LossModel])[]) {
    test(text, () => {
      isAbout(linkOf(`{ loss: ${text} }`).out.loss, expected, "of the link");
      isAbout(linkOf(`{ in: { loss: ${text} } }`).in.loss, expected, "in");
    });
  }
});

describe("netem's words", () => {
  const random = (probability: number): LossModel => ({ kind: "random", probability });
  for (const [words, expected] of [
    ["delay 100ms", { delayNs: 100 * MS }],
    ["delay 100", { delayNs: 100_000 }],
    ["latency 1.5s", { delayNs: 1500 * MS }],
    ["delay 2msecs", { delayNs: 2 * MS }],
    ["delay 2usecs 1usec", { delayNs: 2000, jitterNs: 1000, mayPass: true }],
    ["delay 1secs", { delayNs: 1000 * MS }],
    ["delay 100ms 10ms", { delayNs: 100 * MS, jitterNs: 10 * MS, mayPass: true }],
    [
      "delay 100ms 10ms 25% distribution normal",
      { delayNs: 100 * MS, jitterNs: 10 * MS, correlation: 0.25, quantiles: DISTRIBUTIONS.normal, mayPass: true },
    ],
    ["loss 1%", { loss: random(0.01) }],
    ["loss 0.3", { loss: random(0.003) }],
    ["drop random 1%", { loss: random(0.01) }],
    ["loss 10% 25%", { loss: { kind: "gilbert", toBad: 0.075, toGood: 0.675, inBad: 1, inGood: 0 } }],
    ["loss state 1%", { loss: { kind: "states", p13: 0.01, p31: 0.99, p32: 0, p23: 1, p14: 0 } }],
    [
      "loss state 1% 10% 30% 40% 0.5%",
      { loss: { kind: "states", p13: 0.01, p31: 0.1, p32: 0.3, p23: 0.4, p14: 0.005 } },
    ],
    ["loss gemodel 1%", { loss: { kind: "gilbert", toBad: 0.01, toGood: 0.99, inBad: 1, inGood: 0 } }],
    [
      "loss gemodel 1% 10% 70% 0.1%",
      { loss: { kind: "gilbert", toBad: 0.01, toGood: 0.1, inBad: 0.7, inGood: 0.001 } },
    ],
    ["loss 1% ecn", { loss: random(0.01), ecn: true }],
    ["duplicate 1% 50%", { duplicate: { probability: 0.01, correlation: 0.5 } }],
    ["corrupt 0.1%", { corrupt: { probability: 0.001, correlation: 0 } }],
    ["delay 10ms reorder 25% 50%", { delayNs: 10 * MS, ahead: { probability: 0.25, correlation: 0.5, gap: 1 } }],
    ["delay 10ms reorder 100% gap 5", { delayNs: 10 * MS, ahead: { probability: 1, correlation: 0, gap: 5 } }],
    ["gap 5 delay 10ms reorder 100%", { delayNs: 10 * MS, ahead: { probability: 1, correlation: 0, gap: 5 } }],
    [
      "delay 10ms 5ms reorder 25%",
      { delayNs: 10 * MS, jitterNs: 5 * MS, mayPass: true, ahead: { probability: 0.25, correlation: 0, gap: 1 } },
    ],
    ["rate 1Mbps", { rate: { byteNs: 1e3, overhead: 0, queueNs: Infinity, queuePackets: 1000 } }],
    ["rate 8000", { rate: { byteNs: 1e6, overhead: 0, queueNs: Infinity, queuePackets: 1000 } }],
    ["rate 8kbit 14 limit 50", { rate: { byteNs: 1e6, overhead: 14, queueNs: Infinity, queuePackets: 50 } }],
    ["limit 1000 delay 1ms", { delayNs: MS }],
    ["delay .5ms loss .5%", { delayNs: MS / 2, loss: random(0.005) }],
    ["slot 5ms", { slots: { minNs: 5 * MS, maxNs: 5 * MS, packets: 0x7fff_ffff } }],
    ["slot 1ms packets 3", { slots: { minNs: MS, maxNs: MS, packets: 3 } }],
    ["slot 1ms 2ms packets 3 bytes 4", { slots: { minNs: MS, maxNs: 2 * MS, packets: 3, bytes: 4 } }],
  ] as readonly (readonly [string, Partial<Way>])[]) {
    test(words, () => {
      const { in: inward, out } = linkOf(`{ netem: "${words}" }`);
      isAbout({ in: inward, out }, { in: way(), out: way(expected) }, words);
    });
  }

  describe("with compat", () => {
    const ALL = 0xffff_ffff;
    const never = { probability: 0, correlation: 0 };
    const netem: Netem = {
      latencyNs: 0, jitterNs: 0, delayCorrelation: 0, limit: 1000, gap: 0, loss: never, duplicate: never,
      corrupt: never, reorder: never, rate: 0, overhead: 0,
    };
    const half = 0x8000_0000;
    for (const [words, expected] of [
      ["delay 100ms 10ms 50%", { latencyNs: 100 * MS, jitterNs: 10 * MS, delayCorrelation: half }],
      ["delay 1ms 1us distribution pareto", { latencyNs: MS, jitterNs: 1000, table: tableOf("pareto") }],
      ["loss 100% 50%", { loss: { probability: ALL, correlation: half } }],
      ["loss 25%", { loss: { probability: 0x4000_0000, correlation: 0 } }],
      ["loss state 50%", { model: { kind: "states", parameters: [half, ALL - half, 0, 0, ALL] } }],
      ["loss state 0% 50% 50% 50% 25%", { model: { kind: "states", parameters: [0, half, half, 0x4000_0000, half] } }],
      ["loss gemodel 50%", { model: { kind: "gilbert", parameters: [half, ALL - half, 0, 0] } }],
      ["loss gemodel 0% 100% 50% 50%", { model: { kind: "gilbert", parameters: [0, ALL, ALL - half, half] } }],
      ["duplicate 50% 25%", { duplicate: { probability: half, correlation: 0x4000_0000 } }],
      ["corrupt 50%", { corrupt: { probability: half, correlation: 0 } }],
      ["delay 1ms reorder 50% gap 5", { latencyNs: MS, gap: 5, reorder: { probability: half, correlation: 0 } }],
      ["delay 1ms reorder 50%", { latencyNs: MS, gap: 1, reorder: { probability: half, correlation: 0 } }],
      ["rate 10mbit -4 limit 7", { rate: 1_250_000, overhead: -4, limit: 7 }],
      ["limit 5 seed 18446744073709551615", { limit: 5, seed: 2n ** 64n - 1n }],
    ] as readonly (readonly [string, Partial<Netem>])[]) {
      test(words, () => {
        const { out } = linkOf(`{ netem: "${words}", compat: netem }`);
        assert.deepEqual(out.netem, { ...netem, ...expected });
        assert.equal(out.rate?.queuePackets, undefined, "netem's queue is the only one");
      });
    }
  });

  test("go with rtt, in, and what they do not say", () => {
    isAbout(
      linkOf("{ netem: delay 1ms, rtt: 2ms, in: { delay: 3ms }, loss: 1% }"),
      { in: way({ delayNs: 4 * MS }), out: way({ delayNs: 2 * MS, loss: random(0.01) }) }, "together",
    );
  });
});

describe("whose a link is", () => {
  const links = "links: { dsl: { rtt: 2ms }, own: { rtt: 4ms, shared: false } }\n";

  test("prefixes that name a link share it, unless it says otherwise; one of a prefix's own has no name", () => {
    const found = linksOf(`${links}prefixes:\n  - { prefix: 10.0.0.0/24, link: dsl }\n`
      + "  - { prefix: 10.0.1.0/24, link: dsl }\n"
      + "  - { prefix: 10.0.2.0/24, link: own }\n  - { prefix: 10.0.3.0/24, link: { rtt: 2ms } }\n");
    assert.deepEqual(found.map((link) => [link?.name, link?.in.delayNs]), [
      ["dsl", MS], ["dsl", MS], [undefined, 2 * MS], [undefined, MS],
    ]);
    assert.equal(found[0], found[1]);
  });

  test("a prefix's own is before that of all, which is for those that have none; none is none", () => {
    const found = linksOf(`${links}link: own\nprefixes:\n  - 10.0.0.0/24\n  - { prefix: 10.0.1.0/24, link: dsl }\n`
      + "  - { prefix: 10.0.2.0/24, link: none }\n  - { prefix: 10.0.3.0/24, ttl: 9 }\n");
    assert.deepEqual(found.map((link) => link?.in.delayNs), [2 * MS, MS, undefined, 2 * MS]);
    assert.deepEqual(linksOf(`${links}${P}`), [undefined]);
  });

  test("packets are kept where a file may bring links, or --link does", () => {
    const kept = (...given: Parameters<typeof read>) => read(...given).options.kept;
    assert.deepEqual([
      kept(undefined, ["10.99.0.0/16"]), kept(undefined, ["10.99.0.0/16", "--link", "rtt=1ms"]), kept(P),
      kept(`${P}held_packets: 5\n`), kept(`${P}engine: js\n`),
    ], [0, 16_384, 16_384, 5, 0]);
  });

  test("20,000 prefixes may have links of their own, if they are the same ones", () => {
    const entries = Array.from({ length: 20_000 }, (_, i) =>
      `  - { prefix: 10.${i >> 16}.${(i >> 8) & 255}.${i & 255}, link: { rtt: ${i % 1000 + 1}ms } }\n`);
    const found = linksOf(`prefixes:\n${entries.join("")}`);
    assert.equal(new Set(found).size, 1000);
    assert.equal(found[19_999]?.out.delayNs, 500 * MS);
  });
});

describe("a link that is wrong: where, what, and what was expected", () => {
  const empty = file("empty", "# nothing\n");
  const text = file("words", "1\ntwo\n");
  const alike = file("alike", "1\n1\n");
  const vast = file("vast", "1e308\n1\n");
  const early = file("early", "5\n-1\n");
  const many = file("many", "1 ".repeat(200_001));
  const huge = file("huge", "1".repeat((4 << 20) + 1));
  const time = "expected a time like 100us, 5ms or 1.5s, at most an hour";
  const percentage = "expected a percentage like 0.5%, at most 100%";

  for (const [link, ...lines] of [
    [
      "{ delay: 5ms }",
      "2:16: link.delay is \"5ms\"; expected rtt, for the time there and back, or one in `in` or `out`",
    ],
    ["{ jitter: 5ms }", "2:17: link.jitter is \"5ms\"; expected one in `in` or `out`"],
    ["{ rt: 5ms }", "2:9: unknown key \"rt\" in link; did you mean rtt?"],
    ["{ out: { dely: 5ms } }", "2:16: unknown key \"dely\" in link.out; did you mean delay?"],
    ["{ rtt: 5 }", `2:14: link.rtt is 5; ${time}`],
    ["{ rtt: 2h }", `2:14: link.rtt is "2h"; ${time}`],
    ["{ rtt: 3601s }", `2:14: link.rtt is "3601s"; ${time}`],
    ["{ rtt: -5ms }", `2:14: link.rtt is "-5ms"; ${time}`],
    ["{ out: { jitter: 1ms, correlation: 101% } }", `2:42: link.out.correlation is "101%"; ${percentage}`],
    ["{ loss: 1 }", `2:15: link.loss is 1; ${percentage}, or a map like { burst: { loss: 1%, length: 8 } }`],
    ["dsl", "2:7: \"dsl\" is no link's name; expected one under links, which has none, or none"],
    ["{ out: { correlation: 1% } }", "2:29: link.out.correlation is of the jitter; give jitter, too"],
    ["{ out: { distribution: normal } }", "2:30: link.out.distribution is of the jitter; give jitter, too"],
    ["{ out: { ecn: true } }", "2:21: link.out.ecn marks packets in place of a loss; give loss, too"],
    ["{ loss: { probability: 1%, burst: { loss: 1%, length: 2 } } }",
      "2:15: link.loss: expected exactly one of probability, burst, gemodel, state and packets"],
    ["{ loss: {} }", "2:15: link.loss: expected exactly one of probability, burst, gemodel, state and packets"],
    ["{ loss: { gemodel: { p: 1% }, correlation: 1% } }",
      "2:50: link.loss.correlation goes with probability alone; leave it out"],
    ["{ loss: { probability: 1%, correlation: 100% } }",
      "2:47: link.loss.correlation is 100%, by which all are lost or none; expected less"],
    ["{ loss: { burst: { loss: 60%, length: 1 } } }",
      "2:24: link.loss.burst: 60% cannot be lost in bursts of 1, since at least one packet comes between two bursts; "
      + "raise length"],
    ["{ loss: { burst: { loss: 60%, length: 1e7 } } }",
      "2:45: link.loss.burst.length is 10000000; expected a number of packets from 1 to 1000000"],
    ["{ loss: { state: { p13: 60%, p14: 50% } } }", "2:24: link.loss.state: p13 + p14 and p31 + p32 are at most 100%"],
    ["{ loss: { packets: [3, 2] } }",
      "2:30: link.loss.packets[1] is 2; expected numbers of packets, from 1 on, or ranges like 20-25, in "
      + "ascending order"],
    [
      "{ out: { slot: { min: 1ms } } }",
      "2:22: link.out.slot: expected packets or bytes, of which so many leave together",
    ],
    ["{ out: { slot: { min: 0ms, packets: 1 } } }", "2:29: link.out.slot.min is 0; expected a time above 0"],
    ["{ out: { slot: { min: 2ms, max: 1ms, packets: 1 } } }",
      "2:39: link.out.slot.max is 1ms, which is less than min; expected more"],
    ["{ out: { queue: 100ms } }", "2:23: link.out.queue is for a rate; give rate, too"],
    ["{ in: { overhead: 14 } }", "2:25: link.in.overhead is for a rate; give rate, too"],
    [
      "{ in: { rate: 0bit } }",
      "2:21: link.in.rate is \"0bit\"; expected a rate like 56kbit or 10mbit, or of bytes like 1MB/s, at least 1bit",
    ],
    ...["Mbps", "MBps", "Mb/s"].map((unit) => [
      `{ in: { rate: 2.5 ${unit} } }`,
      `2:21: link.in.rate is "2.5 ${unit}"; expected 2.5Mbit for bits, or 2.5MB/s for bytes, which tc calls mbps`,
    ]),
    ["{ in: { rate: 1mb/s } }",
      "2:21: link.in.rate is \"1mb/s\"; expected 1mbit for bits, or 1mB/s for bytes, which tc calls mbps"],
    ["{ in: { rate: 1  mbit } }",
      "2:21: link.in.rate is \"1  mbit\"; expected a rate like 56kbit or 10mbit, or of bytes like 1MB/s, at least "
      + "1bit"],
    [
      "{ in: { rate: 0.124bps } }", "2:21: link.in.rate is \"0.124bps\"; expected a rate like 56kbit or 10mbit, or of "
      + "bytes like 1MB/s, at least 1bit",
    ],
    ["{ in: { rate: 1bit, queue: 10001packets } }", "2:34: link.in.queue is \"10001packets\"; expected what may wait, "
    + "like 100ms, 64kb or 50packets, at most 10000 packets"],
    [`{ out: { delay: { file: ${folder}/none, step: 1ms } } }`, "2:31: link.out.delay.file: DIR/none: cannot be read: "
    + "ENOENT: no such file or directory, open 'DIR/none'"],
    [
      `{ out: { delay: { file: ${empty}, step: 1ms } } }`,
      "2:31: link.out.delay.file: DIR/empty: no number; expected at least one",
    ],
    [
      `{ out: { delay: { file: ${text}, step: 1ms } } }`,
      "2:31: link.out.delay.file: DIR/words:2: \"two\"; expected numbers alone",
    ],
    [`{ out: { delay: { file: ${early}, step: 1ms } } }`,
      "2:31: link.out.delay.file: DIR/early: -1; expected milliseconds from 0 to 3600000"],
    [
      `{ out: { delay: { file: ${many}, step: 1ms } } }`,
      "2:31: link.out.delay.file: DIR/many: 200001 numbers; at most 200000 fit",
    ],
    [
      `{ out: { delay: { file: ${huge}, step: 1ms } } }`,
      "2:31: link.out.delay.file: DIR/huge: larger than 4 MiB, which no table of numbers is",
    ],
    [`{ out: { jitter: 1ms, distribution: { file: ${alike} } } }`,
      "2:51: link.out.distribution.file: DIR/alike: expected samples that differ"],
    [`{ out: { jitter: 1ms, distribution: { file: ${vast} } } }`,
      "2:51: link.out.distribution.file: DIR/vast: expected smaller numbers"],
    ["{ loss: 1%, out: { loss: 2% } }", "2:15: link.loss is given here and in out; give one of them"],
    ["{ loss: 1%, netem: loss 2% }", "2:15: link.loss is given here and in netem; give one of them"],
    ["{ netem: delay 1ms, out: {} }", "2:16: link.netem says what out does, which is given, too; give one"],
    ["{ netem: delay 1parsec }", `2:16: link.netem: delay is "1parsec"; ${time}`],
    [
      `{ netem: loss ${"1".repeat(4091)} }`,
      `2:16: link.netem: loss.probability is "${"1".repeat(39)}…; ${percentage}`,
    ],
    [`{ netem: loss ${"1".repeat(4092)} }`, "2:16: link.netem has 4097 characters; at most 4096 fit"],
    [`{ loss: { packets: [${"x".repeat(99)}] } }`, `2:27: link.loss.packets[0] is "${"x".repeat(39)}…; expected numbers of `
    + "packets, from 1 on, or ranges like 20-25, in ascending order"],
    ["{ netem: delay }", "2:16: link.netem: \"delay\" takes a time, a jitter and a correlation"],
    [
      "{ netem: loss 1% 2% 3% }",
      "2:16: link.netem: \"loss\" takes a percentage and a correlation, or state, or gemodel",
    ],
    ["{ netem: loss 1% bogus }", "2:16: link.netem: \"bogus\" is no percentage of \"loss\""],
    ["{ netem: loss 1% ecn now }", "2:16: link.netem: \"ecn\" takes nothing; there is \"now\""],
    ["{ netem: reorder 1% }", "2:16: link.netem: \"reorder\" needs a delay, as in netem"],
    ["{ netem: delay 1ms gap 5 }", "2:16: link.netem: \"gap\" goes with reorder"],
    ["{ netem: delay 1ms reorder 1% gap x }", "2:16: link.netem: \"gap\" takes a number of packets"],
    ["{ netem: delay 1ms limit many }", "2:16: link.netem: \"limit\" takes a number of packets"],
    ["{ netem: rate 1mbit limit 20000 }",
      "2:16: link.netem: \"limit\" is 20000; expected 1 to 10000 packets, or compat: netem beside it"],
    ["{ netem: rate 1mbit much }", "2:16: link.netem: \"rate\" takes an overhead in whole bytes"],
    ["{ netem: slot distribution normal 1ms 2ms }",
      "2:16: link.netem: \"slot\" takes a time, a second one, packets and "
      + "bytes; distributions are not known"],
    ["{ netem: delay 1ms distribution normal }", "2:16: link.netem: distribution is of the jitter; give jitter, too"],
    [
      "{ netem: delay 1ms seed 5 }",
      "2:16: link.netem: \"seed\" is the seed of all links: give it as seed, outside of links",
    ],
    ["{ compat: netem }", "2:17: link.compat is for netem's words; give netem, too"],
    ["{ netem: loss 1%, compat: netem, loss: 1% }",
      "2:46: link.loss is to be among netem's words where compat is given"],
    ["{ netem: loss 1% seed x, compat: netem }", "2:16: link.netem: \"seed\" takes a whole number of 64 bits"],
    ["{ netem: loss 1% seed 18446744073709551616, compat: netem }",
      "2:16: link.netem: \"seed\" takes a whole number of 64 bits"],
    ...["tc qdisc add dev eth0 root netem", "netem"].map((before) => [`{ netem: ${before} delay 1ms }`,
      "2:16: link.netem: leave out what a tc command has up to the word netem, and that word"]),
    ["{ netem: jam 1ms }",
      "2:16: link.netem: \"jam\" is no word of netem's that is known here; expected delay, latency, loss, "
      + "drop, duplicate, corrupt, reorder, gap, rate, slot, limit, distribution, ecn"],
  ]) {
    test(link.replace(folder, "").slice(0, 80), () => {
      const found = refusal(`${P}link: ${link}\n`);
      assert.deepEqual(
        { ...found, lines: found?.lines.map((line) => line.replaceAll(folder, "DIR")) },
        { lines: lines.map((line) => `FILE:${line}`), status: EXIT.CONFIG },
      );
    });
  }

  test("under links, and of a prefix", () => {
    assert.deepEqual(refusal("links:\n  dsl: { out: { queue: 1ms } }\n  none: { rtt: 1ms }\nprefixes:\n"
      + "  - { prefix: 10.0.0.0/24, link: dls }\n  - { prefix: 10.0.1.0/24, link: { in: { ecn: true } } }\n")?.lines, [
      "FILE:2:24: links.dsl.out.queue is for a rate; give rate, too",
      "FILE:3:3: \"none\" is no name of a link; expected a letter, then up to 63 letters, digits, \"_\" or \"-\"; none "
      + "stands for no link",
      "FILE:5:34: \"dls\" is no link's name; expected one under links, which has dsl, none, or none",
      "FILE:6:47: prefixes[1].link.in.ecn marks packets in place of a loss; give loss, too",
    ]);
  });

  test("there are none if no packet may be held", () => {
    const told = "is 0, so there can be no links and no paths: raise it, or leave them out";
    assert.deepEqual(refusal(`${P}link: { loss: 1% }\nheld_packets: 0\n`)?.lines, [`FILE:3:15: held_packets ${told}`]);
    assert.deepEqual(
      refusal(`${P}path: [{ hop: 10.98.0.1 }]\n`, ["--held-packets", "0"])?.lines, [`--held-packets ${told}`],
    );
    assert.equal(refusal(`${P}links: { dsl: { rtt: 1ms } }\nheld_packets: 0\n`), undefined);
  });

  test("the engine js has none", () => {
    assert.match(refusal(`${P}link: { rtt: 1ms }\nengine: js\n`)?.lines.join() ?? "", /^FILE:2:7: .*has no links/);
    assert.match(refusal("prefixes: [{ prefix: 10.0.0.0/24, link: { rtt: 1ms } }]\nengine: js\n")?.lines.join() ?? "",
      /^FILE:1:41: .*has no links/);
    assert.deepEqual(linksOf(`${P}links: { dsl: { rtt: 1ms } }\nengine: js\n`), [undefined]);
  });

  /** Returns a file with so many prefixes, each with a link of its own. */
  const different = (count: number, linkAt: (i: number) => string) => `prefixes:\n${Array.from({ length: count }, (_, i) =>
    `  - { prefix: 10.0.${i >> 8}.${i & 255}, link: ${linkAt(i)} }\n`).join("")}`;

  const tooMany = "prefixes have more than 4096 links, of which one that has no name, but a queue in packets, counts "
    + "for each prefix; have prefixes share a link by its name under links";

  test("more links than fit", () => {
    assert.equal(refusal(different(4096, (i) => `{ rtt: ${i}us }`)), undefined);
    assert.deepEqual(
      refusal(different(5000, (i) => `{ rtt: ${i}us }`)), { lines: [`FILE:4098:15: ${tooMany}`], status: EXIT.CONFIG },
    );
  });

  test("a link without a name that has a queue in packets for more prefixes than fit", () => {
    const queue = (name: string, count: number) => `${name}: { out: { rate: 1mbit, queue: 10packets } }`
      + `\n${different(count, () => "none").replaceAll(", link: none", "")}`;
    assert.equal(refusal(queue("link", 4096)), undefined);
    assert.deepEqual(refusal(queue("link", 4100))?.lines, [`FILE:4099:15: ${tooMany}`]);
    assert.equal(refusal(queue("link: dsl\nlinks:\n  dsl", 4100)), undefined);
    assert.equal(refusal(queue("link", 4100).replace("10packets", "10ms")), undefined);
  });

  test("5,000 links with names fit, if no more than 4,096 of them are a prefix's", () => {
    const names = Array.from({ length: 5000 }, (_, i) => `  l${i}: { rtt: 1ms }\n`).join("");
    assert.deepEqual(linksOf(`links:\n${names}${P}link: l4999\n`).map((link) => link?.name), ["l4999"]);
  });

  test("more data of links than fits", () => {
    // A queue of 10,000 packets takes 80,008 bytes, and 104 of them are the last that fit in 8 MiB.
    const queue = (i: number) => `{ out: { delay: ${i}us, rate: 1mbit, queue: 10000packets } }`;
    assert.equal(refusal(different(104, queue)), undefined);
    const tooMuch = "prefixes have links whose queues in packets, tables, traces and lists of packets need more than 8 "
      + "MiB; have prefixes share a link by its name under links, shorten queues, or give them in time or bytes";
    for (const link of [queue, () => "{ in: { rate: 1mbit, queue: 10000packets } }"]) {
      assert.deepEqual(refusal(different(200, link))?.lines, [`FILE:106:15: ${tooMuch}`]);
    }
  });
});

describe("--link", () => {
  for (const [spec, expected] of [
    ["rtt=50ms", { in: way({ delayNs: 25 * MS }), out: way({ delayNs: 25 * MS }) }],
    [
      "rtt=2ms, loss=1%",
      { in: way({ delayNs: MS }), out: way({ delayNs: MS, loss: { kind: "random", probability: 0.01 } }) },
    ],
    ["in.delay=1ms,out.delay=2ms", { in: way({ delayNs: MS }), out: way({ delayNs: 2 * MS }) }],
    [
      "out.loss.burst.loss=50%,out.loss.burst.length=1",
      { in: way(), out: way({ loss: { kind: "gilbert", toBad: 1, toGood: 1, inBad: 1, inGood: 0 } }) },
    ],
    ["rtt=50 ms,loss=3 %", {
      in: way({ delayNs: 25 * MS }), out: way({ delayNs: 25 * MS, loss: { kind: "random", probability: 0.03 } }),
    }],
    ["out.jitter=1ms,out.reorder=true", { in: way(), out: way({ jitterNs: MS, mayPass: true }) }],
    [
      "out.rate=8kbit,out.overhead=-4,out.queue=5packets",
      { in: way(), out: way({ rate: { byteNs: 1e6, overhead: -4, queueNs: Infinity, queuePackets: 5 } }) },
    ],
    ["netem=delay 1ms loss 1%", { in: way(), out: way({ delayNs: MS, loss: { kind: "random", probability: 0.01 } }) }],
  ] as readonly (readonly [string, Link])[]) {
    test(spec, () => {
      isAbout(linkOf("", ["--link", spec]), expected, spec);
    });
  }

  test("a name is of a link in the file", () => {
    const [link] = linksOf(`${P}links: { dsl: { rtt: 2ms } }\n`, ["--link", "dsl"]);
    assert.equal(link?.name, "dsl");
  });

  for (const [spec, line] of [
    ["dsl", "--link: \"dsl\" is no link's name; expected one under links, which has none, or none"],
    ["delay=5ms", "--link: delay: unknown key; expected in.delay or out.delay, or rtt for there and back"],
    ["jitter=5ms", "--link: jitter: unknown key; expected in.jitter or out.jitter"],
    [
      `rtt=${"5".repeat(300)}`,
      `--link: rtt is "${"5".repeat(39)}…; expected a time like 100us, 5ms or 1.5s, at most an hour`,
    ],
    ["out.rate=1Mbps",
      "--link: out.rate is \"1Mbps\"; expected 1Mbit for bits, or 1MB/s for bytes, which tc calls mbps"],
    ["rtt=5", "--link: rtt is \"5\"; expected a time like 100us, 5ms or 1.5s, at most an hour"],
    ["netem=delay 1ms,compat=tc", "--link: compat is \"tc\"; expected netem"],
    ["out.delay=2h", "--link: out.delay is \"2h\"; expected a time like 100us, 5ms or 1.5s, at most an hour"],
    ["out.foo=1",
      "--link: out.foo: unknown key; expected delay, jitter, distribution, correlation, reorder, loss, ecn, "
      + "duplicate, corrupt, rate, overhead, queue, slot"],
    [
      "constructor.keys=1",
      "--link: constructor: unknown key; expected rtt, in, out, loss, duplicate, corrupt, netem, compat, shared",
    ],
    ["in=5", "--link: in is \"5\"; expected a map of delay, jitter, distribution, correlation, reorder, loss, ecn, "
    + "duplicate, corrupt, rate, overhead, queue, slot"],
    [
      "out.reorder=5%",
      "--link: out.reorder is \"5%\"; expected true or false, or a map of probability, correlation, gap",
    ],
    ["out.ecn=5", "--link: out.ecn is \"5\"; expected true or false"],
    ["netem=true", "--link: netem is true; expected text"],
    ["out.loss.packets=3", "--link: out.loss.packets is 3; expected a list"],
    [
      "out.loss.burst.loss=1%",
      "--link: out.loss.burst.length is missing; expected a number of packets from 1 to 1000000",
    ],
    ["out.delay.file=/x", "--link: out.delay.file: /x: cannot be read: ENOENT: no such file or directory, open '/x'"],
    ["out.slot.packets=3", "--link: out.slot.min is missing; expected a time like 100us, 5ms or 1.5s, at most an hour"],
    ["out.jitter=1ms,out.distribution=constructor",
      "--link: out.distribution is \"constructor\"; expected uniform, normal, "
      + "pareto or paretonormal, or a map with file"],
  ]) {
    test(`refused: ${spec.slice(0, 80)}`, () => {
      assert.deepEqual(
        refusal(undefined, ["10.99.0.0/16", "--link", spec]), { lines: [line], status: EXIT.USAGE },
      );
    });
  }

  for (const spec of [
    "rtt=1ms,rtt=2ms", "rtt=1ms,rtt.a.b=2", "rtt=1ms,,", "=5", "rtt=", "rtt=1ms,rtt.x=2", "in.__proto__.delay=5ms",
    "in.__proto__=5ms",
  ]) {
    test(`cannot be read: ${spec}`, () => {
      assert.throws(() => read(undefined, ["10.99.0.0/16", "--link", spec]), /is given twice|is not a part of a link/);
    });
  }

  test("its variable is named", () => {
    assert.deepEqual(
      refusal(undefined, ["10.99.0.0/16"], { PONGD_LINK: "rtt=5" })?.lines,
      ["PONGD_LINK: rtt is \"5\"; expected a time like 100us, 5ms or 1.5s, at most an hour"],
    );
  });

  test("the engine js has none", () => {
    const { lines } = refusal(undefined, ["10.99.0.0/16", "--link", "rtt=5ms", "--engine", "js"]) ?? { lines: [] };
    assert.match(lines.join(), /has no links/);
  });
});
