/** Tests that a configuration is refused at the prefix for which an engine has no room, and at no other. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { firstWithoutRoom } from "../../src/config/room.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { tableOf } from "../../src/engine/table.js";
import { CLEAR_WAY, type Link, type Way } from "../../src/prefix/link.js";
import type { Hop, RouterPath } from "../../src/prefix/path.js";
import { DEFAULT_ANSWERS, DEFAULT_POLICY } from "../../src/prefix/policy.js";
import { parseAddress, parsePrefix, type ServedPrefix } from "../../src/prefix/prefixes.js";
import { read } from "../support/config.js";

interface Behind {
  readonly link?: Link | undefined;
  readonly path?: RouterPath | undefined;
}

const linkWith = (out: Partial<Way>): Link => ({ in: CLEAR_WAY, out: { ...CLEAR_WAY, ...out } });
const rate = (queuePackets: number) => ({ rate: { byteNs: 8000, overhead: 0, queueNs: 1e9, queuePackets } });
const QUEUED = linkWith(rate(10));
const NETEM = read("prefixes: [10.99.0.0/16]\nlink: { netem: delay 10ms limit 10000, compat: netem }\n")
  .options.serving.prefixes[0].answers.link;
const RANGES = Array.from({ length: 9999 }, (_, i) => [i + 1, i + 1] as const);
const DELAYS = new Float64Array(10_001);

const HOP: Hop = {
  ipv4: parseAddress("10.98.0.1"), silent: false, blackHole: false, ttl: 64, icmp: { rate: 1000, burst: 50 }, mpls: [],
};
/** Its errors say more, in sizes that are no multiples of 8. */
const WORDY: Hop = {
  ...HOP, name: "gw", ipv6: parseAddress("fd98::1"), mpls: [1, 2, 3],
  interface: { name: "xe-0", address: true, index: 5 },
};
const hops = (count: number, hop = HOP) => Array.from({ length: count }, () => ({ ...hop }));
const forks = (count: number, hop = HOP) => Array.from(
  { length: count }, () => ({ by: "flow", branches: [hops(1, hop), hops(1, hop)] } as const),
);
const MANY_WAYS = [...forks(8, WORDY), ...hops(51, WORDY)];

for (const [what, behind, message] of [
  ["links that differ", (i) => ({ link: linkWith({ delayNs: i }) }), /4097 links/],
  ["a link with a queue in packets", () => ({ link: QUEUED }), /4097 links/],
  [
    "paths without a link of the prefix, and links that differ",
    (i) => i === 0 ? { path: { name: "far", steps: hops(1) } } : { link: linkWith({ delayNs: i }) }, /4097 links/,
  ],
  ["queues of a hop's link", () => ({ path: { steps: [{ ...HOP, link: linkWith(rate(999)) }] } }), /links need more/],
  ["netem's queues", () => ({ link: NETEM && { ...NETEM } }), /links need more/],
  ["lists of packets", () => ({ link: linkWith({ loss: { kind: "packets", ranges: RANGES } }) }), /links need more/],
  [
    "traces, of which half are shared",
    (i) => ({ link: linkWith({ trace: { delaysNs: i % 2 === 0 ? DELAYS : DELAYS.slice(), stepNs: 1 } }) }),
    /links need more/,
  ],
  ["hops and branches", () => ({ path: { steps: [...hops(20), ...forks(1)] } }), /hops and branching points/],
  [
    "paths of which half have a name in common",
    (i) => ({ path: { name: i % 2 === 0 ? "far" : `far${i}`, steps: hops(50) } }), /hops and branching points/,
  ],
  ["paths of many ways", () => ({ path: { steps: MANY_WAYS } }), /paths need more/],
  ["paths of many ways with names", (i) => ({ path: { name: `way-${i}`, steps: MANY_WAYS } }), /paths need more/],
] as readonly (readonly [string, (i: number) => Behind, RegExp])[]) {
  test(`${what}: the first that is refused is the first for which there is no room`, () => {
    const all = Array.from({ length: 5000 }, (_, i) => behind(i));
    const excess = firstWithoutRoom(all.map(({ link }) => link), all.map(({ path }) => path));
    assert.ok(excess);
    const linear = LinearMemory.create({ mtu: 1500, reassembly: 0, reloadable: true, kept: 1 });
    const write = (count: number) => {
      const prefixes = all.slice(0, count).map((own, i): ServedPrefix => ({
        ...parsePrefix(`10.${i >> 8}.${i & 255}.0/24`), answers: { ...DEFAULT_ANSWERS, ...own },
      }));
      linear.write(tableOf({ prefixes, exceptions: [], policy: DEFAULT_POLICY }));
    };
    write(excess.index);
    assert.throws(() => { write(excess.index + 1); }, message);
  });
}
