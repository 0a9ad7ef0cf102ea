/** Makes random configurations of links and paths, which are all valid. Each is a file's text; JSON is YAML. */
import fc from "fast-check";
import { PREFIX6 } from "./ipv6.js";
import { PREFIX } from "./packets.js";

export interface Kind {
  /** True if no packet may pass another, come twice or change. */
  readonly orderly?: boolean;
  /** File with delays in milliseconds. */
  readonly delays: string;
}

type Map = Record<string, unknown>;

const percent = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 100 })).map((n) => `${n}%`);
const half = fc.integer({ min: 0, max: 50 }).map((n) => `${n}%`);
const ms = (max: number, min = 0) => fc.integer({ min: 1000 * min, max: 1000 * max }).map((us) => `${us}us`);
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
/** For what would leave little to look at if it were always there. */
const seldom = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
const chance = fc.oneof(percent, fc.record({ probability: percent, correlation: some(percent) }));

const loss = fc.oneof(
  percent, fc.record({ probability: percent, correlation: half }),
  fc.record({ burst: fc.record({ loss: half, length: fc.integer({ min: 2, max: 9 }) }) }),
  fc.record({ gemodel: fc.record({ p: percent, r: some(percent), bad: some(percent), good: some(percent) }) }),
  fc.record({ state: fc.record({ p13: half, p31: half, p32: some(half), p23: some(percent), p14: some(half) }) }),
  fc.constant({ packets: [2, "4-6", "10-20"] }),
);

function way({ orderly = false, delays }: Kind): fc.Arbitrary<Map> {
  const gap = some(fc.integer({ min: 1, max: 5 }));
  const reorder = fc.record({ probability: percent, correlation: some(percent), gap });
  const unless = <T>(arbitrary: fc.Arbitrary<T>) => orderly ? fc.constant(undefined) : arbitrary;
  return fc.record({
    delay: some(fc.oneof(ms(200), fc.constant({ file: delays, step: "10ms" }))),
    jitter: some(ms(50)), distribution: some(fc.constantFrom("uniform", "normal", "pareto", "paretonormal")),
    correlation: some(percent),
    reorder: some(orderly ? fc.constant(false) : fc.oneof(fc.boolean(), reorder)),
    loss: seldom(loss), ecn: some(fc.boolean()), duplicate: unless(some(chance)), corrupt: unless(seldom(chance)),
    rate: some(fc.integer({ min: 100, max: 1_000_000 }).map((kbit) => `${kbit}kbit`)),
    overhead: some(fc.integer({ min: -20, max: 40 })),
    queue: some(fc.oneof(
      ms(100), fc.integer({ min: 1, max: 50 }).map((packets) => `${packets}packets`), fc.constant("20kb"),
    )),
    slot: some(fc.record({
      min: ms(5, 1), max: some(ms(9, 5)), packets: some(fc.integer({ min: 1, max: 20 })),
      bytes: fc.integer({ min: 1, max: 5000 }),
    })),
  }).map(({ jitter, distribution, correlation, ecn, rate, overhead, queue, ...rest }) => ({
    ...rest, jitter, ...jitter === undefined ? {} : { distribution, correlation },
    ...rest.loss === undefined ? {} : { ecn }, ...rate === undefined ? {} : { rate, overhead, queue },
  }));
}

const words = fc.record({
  delay: fc.tuple(ms(100), some(fc.tuple(ms(60), percent))), distribution: fc.boolean(),
  loss: seldom(fc.oneof(percent, fc.constant("gemodel 5% 30% 80% 1%"), fc.constant("state 5% 30% 20% 40% 2%"))),
  duplicate: some(percent), corrupt: seldom(percent), reorder: some(fc.tuple(percent, percent)),
  rate: some(fc.integer({ min: 100, max: 1_000_000 })), limit: fc.integer({ min: 1, max: 60 }),
}).map(({ delay: [delay, jitter], distribution, loss, duplicate, corrupt, reorder, rate, limit }) => [
  `delay ${delay}`, ...jitter ? [jitter.join(" "), ...distribution ? ["distribution normal"] : []] : [],
  ...loss === undefined ? [] : [`loss ${loss}`], ...duplicate === undefined ? [] : [`duplicate ${duplicate}`],
  ...corrupt === undefined ? [] : [`corrupt ${corrupt}`], ...reorder ? [`reorder ${reorder.join(" ")}`] : [],
  ...rate === undefined ? [] : [`rate ${rate}kbit`], `limit ${limit}`,
].join(" "));

function link(kind: Kind): fc.Arbitrary<Map> {
  const own = fc.record({ rtt: some(ms(100)), in: some(way(kind)), out: some(way(kind)) });
  const netem = fc.record({ netem: words, compat: some(fc.constant("netem")), in: some(way(kind)) });
  return kind.orderly ? own : fc.oneof({ weight: 3, arbitrary: own }, { weight: 1, arbitrary: netem });
}

function hop(kind: Kind): fc.Arbitrary<Map> {
  const mtu = fc.integer({ min: 1280, max: 1500 });
  return fc.record({
    families: fc.constantFrom([4], [6], [4, 6], [4, 6], [4, 6]), number: fc.integer({ min: 1, max: 30 }),
    isOurs: fc.boolean(), silent: fc.constantFrom(undefined, false, true),
    // Packets that take one link twice pass each other on it.
    link: some(kind.orderly ? link(kind) : fc.oneof(link(kind), fc.constant("own"))),
    mtu: seldom(mtu), black_hole: some(fc.boolean()),
    ttl: some(fc.integer({ min: 10, max: 255 })),
    icmp: some(fc.record({ rate: fc.integer({ min: 1, max: 1000 }), burst: fc.integer({ min: 1, max: 50 }) })),
    mpls: some(fc.array(fc.nat(0xf_ffff), { minLength: 1, maxLength: 16 })),
    interface: some(fc.record({
      name: some(fc.constantFrom("xe-0/0/1", "e")), index: fc.integer({ min: 1, max: 0xffff_ffff }), mtu: some(mtu),
      address: fc.boolean(),
    })),
  }).map(({ families, number, isOurs, black_hole: hole, ...rest }) => ({
    ...rest, ...rest.mtu === undefined ? {} : { black_hole: hole },
    hop: families.map((family) => family === 4
      ? `10.${isOurs ? 99 : 98}.7.${number}`
      : `fd${isOurs ? 99 : 98}::7:${number}`),
  }));
}

function path(kind: Kind): fc.Arbitrary<Map[]> {
  const one = hop(kind);
  const hops = fc.array(one, { minLength: 1, maxLength: 2 });
  const fork = fc.record({
    any: fc.array(hops, { minLength: 2, maxLength: 3 }),
    // The checksums of pings differ, and with them their flows.
    hash: kind.orderly ? fc.constant("destination") : some(fc.constantFrom("flow", "destination", "packet")),
  });
  const step = fc.oneof({ weight: 3, arbitrary: one }, { weight: 1, arbitrary: fork });
  return fc.tuple(
    fc.array(step, { minLength: 1, maxLength: 4 }), some(fc.integer({ min: 0, max: 20 })),
  ).map(([steps, back]) => [...steps, ...back === undefined ? [] : [{ back }]]);
}

/** Returns texts of configurations in which both prefixes of the tests stand behind the same. */
export function configurations(kind: Kind): fc.Arbitrary<string> {
  return fc.record({
    seed: fc.nat(1000), own: link(kind), isShared: fc.boolean(), link: some(fc.oneof(link(kind), fc.constant("own"))),
    path: some(path(kind)), isNamed: fc.boolean(),
  }).map(({ seed, own, isShared, link, path, isNamed }) => {
    const [paths, place] = path && isNamed ? [{ far: path }, "far"] : [{}, path];
    return JSON.stringify({
      seed, links: { own: { ...own, shared: isShared } }, paths,
      prefixes: [PREFIX, PREFIX6].map((prefix) => ({ prefix, link, path: place })),
    }, undefined, 1);
  });
}
