/** Tests figures: how they come from the counters, the rates between two of them, and their formats. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  ACCEPTED, Counter, Drop, DROPPED, PREFIX_REPLIES, Protocol, REPLIES, SERVED, TURNAROUND, TURNAROUND_BUCKETS,
} from "../../abi/counters.js";
import { Effect, PREFIX_EFFECTS_SIZE } from "../../abi/links.js";
import { TABLE } from "../../src/bench/workload.js";
import { Directory } from "../support/directory.js";
import { LinearMemory } from "../../src/engine/memory.js";
import {
  LINK_EFFECTS, ratesBetween, sumOf, withSessions, type Figures, type LinkFigures, type ServiceFigures,
  type ThreadFigures,
} from "../../src/telemetry/figures.js";
import { effectsAt } from "../../src/telemetry/linkpackets.js";
import { figuresOf, greatest } from "../../src/telemetry/snapshot.js";
import { ServiceCounts } from "../../src/telemetry/servicecounts.js";
import { number, si, whole } from "../../src/telemetry/numbers.js";
import { parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { version } from "../../src/base/version.js";
import { Random } from "../support/random.js";

const QUEUE = { engine: "wasm", io: "uring", received: 0, replied: 0, dropped: 0, tcp: 0, restarts: 0 };
const NO_TCP = { connections: 0, accepted: 0, opened: 0, retransmitted: 0, bytesIn: 0, bytesOut: 0 };
const NO_UDP = { taken: 0, answered: 0, dropped: 0, unsent: 0 };
const SESSIONS = [
  { protocol: "stamp", sessions: 3, limit: 64 }, { protocol: "irtt", sessions: 5, limit: 4096 },
] as const;
const NONE: Figures = {
  at: 10_000, version, ready: true, queues: [{ ...QUEUE, queue: "0" }, { ...QUEUE, queue: "1" }], dropped: {},
  overrun: 0, tcp: NO_TCP, udp: NO_UDP, sessions: [], turnaround: { replies: 0, seconds: 0 },
  services: [], serviceCount: 0, threads: [], prefixes: [], prefixCount: 0, links: [], linkCount: 0,
};
const OWN: ServiceFigures = { service: "own", protocol: "tcp", taken: 7, responses: [0, 0, 0, 0, 0], errors: 0 };
const WAY: LinkFigures = { prefix: "10.0.0.0/8", direction: "out", effects: [6, 3, 0, 0, 0, 0, 0], affected: 9 };
const THREAD: ThreadFigures = { thread: "0", restarts: 0, beats: 60, late: 0.5 };

describe("figuresOf", () => {
  const memories = [0, 1].map(() => LinearMemory.create({ mtu: 1500, reassembly: 0, table: TABLE }));
  const queues = memories.map(
    ({ counters }, index) => ({
      index, engine: "wasm", io: "uring", counters, restarts: 3 * index,
      sessionLimits: { stamp: 50, irtt: 4096 },
      effects: new Float64Array(3 * PREFIX_EFFECTS_SIZE / 8),
      accepting: [
        { protocol: "tcp", service: "echo", counter: ACCEPTED + 2 },
        { protocol: "tcp", service: "own", counter: ACCEPTED + 9 - index },
        { protocol: "udp", service: "echo", counter: SERVED + 2 },
        { protocol: "udp", service: "dns", counter: SERVED + 9 },
      ],
    }) as const,
  );
  memories.forEach(({ counters }, i) => {
    counters[Counter.packetsReceived] = 1000 + i;
    counters[REPLIES + Protocol.icmp] = 700 + i;
    counters[REPLIES + Protocol.icmpv6] = 200;
    counters[DROPPED + Drop.icmp_csum] = 60;
    counters[DROPPED + Drop.rate_limited] = 40 * i;
    counters[Counter.tcpReceived] = 30 + i;
    counters[Counter.tcpConnections] = 4;
    counters[Counter.tcpRetransmitted] = 2 * i;
    counters[Counter.tcpOpened] = 6 + i;
    counters[Counter.tcpBytesReceived] = 1500;
    counters[Counter.tcpBytesSent] = 2500 + i;
    counters[Counter.stampSessions] = 3 + i;
    counters[Counter.irttSessions] = 5;
    counters[TURNAROUND] = 2;
    counters[TURNAROUND + TURNAROUND_BUCKETS - 1] = 7;
    counters[Counter.turnaroundNs] = 375e6;
    counters[REPLIES + Protocol.udp] = 5;
    counters[DROPPED + Drop.socket_rcvbuff] = 2;
    counters[DROPPED + Drop.udp_loop] = 1;
    counters[Counter.udpSent] = 11;
    counters[Counter.udpUnsent] = 3;
    counters[SERVED + 2] = 6;
    counters[SERVED + 9] = 100 + i;
    counters[ACCEPTED + 2] = 20;
    counters[ACCEPTED + 9 - i] = 3 + i;
    for (const [index, count] of [5, 7, 9].entries()) counters[PREFIX_REPLIES + index] = count;
    const { effects } = queues[i];
    effects[effectsAt(1, 0) + Effect.dropped] = 6;
    effects[effectsAt(1, 0) + Effect.queue_full] = 4 + i;
    effects[effectsAt(2, 1) + Effect.delayed] = 1;
  });

  test("each queue has its own, and reasons and prefixes are of all queues", () => {
    const { prefixes, ...rest } = serving(["10.0.0.0/24", "10.0.1.0/24", "2001:db8::/64"].map(parsePrefix));
    const directory = new Directory(
      { ...rest, prefixes: prefixes.map((prefix, i) => i === 1 ? { ...prefix, name: "<b>" } : prefix) }, [], 2,
    );
    const counts = [new ServiceCounts(), new ServiceCounts()];
    counts[0].restarted();
    for (const seconds of [0.25, 0.5]) counts[0].beat(seconds);
    for (const [thread, statuses] of [[200, 299, 404], [200, 499]].entries()) {
      for (const status of statuses) counts[thread].responded(1, status, 0.01);
      counts[thread].opened(1);
      counts[thread].failed(1);
    }
    counts[1].opened(1);
    counts[1].failed(2);
    const threads = { names: ["gone", "own", "dns"], threads: counts.map(({ buffer }) => buffer) };
    assert.deepEqual(figuresOf(queues, directory, 1234.5, 12, false, threads), {
      at: 1234.5,
      version,
      ready: false,
      queues: [
        { queue: "0", engine: "wasm", io: "uring", received: 1000, replied: 905, dropped: 63, tcp: 30, restarts: 0 },
        { queue: "1", engine: "wasm", io: "uring", received: 1001, replied: 906, dropped: 103, tcp: 31, restarts: 3 },
      ],
      dropped: { icmp_csum: 120, rate_limited: 40, udp_loop: 2, socket_rcvbuff: 4 },
      overrun: 12,
      tcp: { connections: 8, accepted: 47, opened: 13, retransmitted: 2, bytesIn: 3000, bytesOut: 5001 },
      udp: { taken: 213, answered: 32, dropped: 6, unsent: 6 },
      sessions: [{ protocol: "stamp", sessions: 7, limit: 100 }, { protocol: "irtt", sessions: 10, limit: 8192 }],
      turnaround: { replies: 18, seconds: 0.75 },
      services: [
        { service: "dns", protocol: "udp", taken: 201, connections: undefined, responses: [0, 0, 0, 0, 0], errors: 1 },
        { service: "echo", protocol: "tcp", taken: 40, responses: [0, 0, 0, 0, 0], errors: 0 },
        { service: "echo", protocol: "udp", taken: 12, responses: [0, 0, 0, 0, 0], errors: 0 },
        { service: "own", protocol: "tcp", taken: 7, connections: 3, responses: [0, 3, 0, 2, 0], errors: 2 },
      ],
      serviceCount: 4,
      threads: [{ thread: "0", restarts: 1, beats: 2, late: 0.75 }, { thread: "1", restarts: 0, beats: 0, late: 0 }],
      prefixes: [
        { prefix: "2001:db8::/64", name: undefined, replied: 18 }, { prefix: "10.0.1.0/24", name: "<b>", replied: 14 },
        { prefix: "10.0.0.0/24", name: undefined, replied: 10 },
      ],
      prefixCount: 3,
      links: [
        { prefix: "10.0.1.0/24", name: "<b>", direction: "in", effects: [0, 12, 0, 0, 0, 0, 9], affected: 21 },
        {
          prefix: "2001:db8::/64", name: undefined, direction: "out", effects: [2, 0, 0, 0, 0, 0, 0], affected: 2,
        },
      ],
      linkCount: 2,
    });
    // After a change, a prefix that stays keeps its count.
    directory.change(serving(["10.0.1.0/24", "10.9.0.0/24"].map(parsePrefix)));
    const { prefixes: later } = figuresOf(queues, directory, 0, 0, true);
    assert.equal(later.find(({ prefix }) => prefix === "10.0.1.0/24")?.replied, 14);
  });

  test("effects of links have the names that the engine's have", () => {
    assert.deepEqual(LINK_EFFECTS.map((effect) => Effect[effect]), LINK_EFFECTS.map((_, i) => i));
    assert.equal(Object.keys(Effect).length, 2 * LINK_EFFECTS.length);
  });

  test("of more than a hundred services, those that took most", () => {
    const [{ counters }] = memories;
    const accepting = Array.from(
      { length: 120 }, (_, i) => ({ protocol: "udp", service: `s${i}`, counter: SERVED + i }) as const,
    );
    counters.fill(0, SERVED, SERVED + 120);
    for (const { counter } of accepting) counters[counter] = counter - SERVED;
    const { services, serviceCount, udp } = figuresOf(
      [{ ...queues[0], counters, accepting }], new Directory(serving([]), [], 1), 0, 0, true,
    );
    assert.deepEqual(services.map(({ taken }) => taken), Array.from({ length: 100 }, (_, i) => 119 - i));
    assert.deepEqual([serviceCount, udp.taken], [120, 119 * 60]);
  });

  test("of more than a hundred prefixes, those that answered most", () => {
    const prefixes = Array.from({ length: 300 }, (_, i) => parsePrefix(`10.${i % 256}.${Math.floor(i / 256)}.0/24`));
    const directory = new Directory(serving(prefixes), [], 2);
    prefixes.forEach((_, i) => {
      memories[0].counters[PREFIX_REPLIES + i] = memories[1].counters[PREFIX_REPLIES + i] = (i * 7919) % 300;
    });
    const { prefixes: shown, prefixCount } = figuresOf(queues, directory, 0, 0, true);
    assert.equal(prefixCount, 300);
    assert.deepEqual(shown.map(({ replied }) => replied), Array.from({ length: 100 }, (_, i) => 2 * (299 - i)));
  });
});

test("greatest: as sorting all of them finds them, and of equal ones the earlier", () => {
  const random = Random.fromEnvironment();
  for (let round = 0; round < 200; round++) {
    const values = Array.from({ length: random.below(300) }, () => random.below(round % 2 ? 10 : 1e9));
    const most = 1 + random.below(120);
    const sorted = values.map((value, i) => ({ value, i }))
      .sort((a, b) => b.value - a.value || a.i - b.i)
      .slice(0, most)
      .map(({ i }) => i);
    assert.deepEqual(greatest(values.length, most, (i) => values[i]), sorted, `SEED=${random.seed}`);
  }
});

test("protocols with sessions, and those whose sessions were refused, are worth showing", () => {
  const shown = (figures: Partial<Figures>) =>
    withSessions({ ...NONE, ...figures }).map(({ protocol }) => protocol);
  const none = SESSIONS.map((each) => ({ ...each, sessions: 0 }));
  assert.deepEqual(shown({ sessions: SESSIONS }), ["stamp", "irtt"]);
  assert.deepEqual(shown({ sessions: none }), []);
  assert.deepEqual(shown({ sessions: none, dropped: { irtt_sessions: 1, stamp_hmac: 1 } }), ["irtt"]);
  assert.deepEqual(shown({ sessions: none, dropped: { stamp_sessions: 1 } }), ["stamp"]);
});

describe("ratesBetween", () => {
  const older: Figures = {
    ...NONE,
    queues: [
      { ...QUEUE, queue: "0", received: 100, replied: 80, dropped: 20, tcp: 8 },
      { ...QUEUE, queue: "1", received: 10, replied: 10 },
    ],
    dropped: { icmp_csum: 20 }, overrun: 5,
    tcp: { connections: 3, accepted: 10, opened: 6, retransmitted: 4, bytesIn: 100, bytesOut: 1000 },
    udp: { taken: 20, answered: 15, dropped: 4, unsent: 1 }, turnaround: { replies: 10, seconds: 2 },
    services: [OWN, { ...OWN, protocol: "udp", taken: 20 }], serviceCount: 2,
    prefixes: [{ prefix: "10.0.0.0/8", replied: 60 }, { prefix: "::/0", replied: 30 }], prefixCount: 2,
    links: [WAY], linkCount: 1,
  };
  const newer: Figures = {
    ...older, at: older.at + 2000,
    queues: [
      { ...QUEUE, queue: "0", received: 300, replied: 270, dropped: 30, tcp: 14 },
      { ...QUEUE, queue: "1", received: 20, replied: 20 },
    ],
    tcp: { connections: 2, accepted: 12, opened: 9, retransmitted: 5, bytesIn: 140, bytesOut: 3000 },
    udp: { taken: 40, answered: 25, dropped: 6, unsent: 2 }, turnaround: { replies: 14, seconds: 3 },
    services: [
      { ...OWN, taken: 17, responses: [0, 6, 0, 2, 1] }, { ...OWN, protocol: "udp", taken: 40 },
      { ...OWN, service: "new", taken: 9 },
    ],
    dropped: { icmp_csum: 24, ip_csum: 6 }, overrun: 6, prefixes: [
      { prefix: "10.0.0.0/8", replied: 260 }, { prefix: "192.0.2.0/24", replied: 50 },
    ],
    links: [{ ...WAY, effects: [10, 5, 0, 0, 0, 0, 1] }, { ...WAY, direction: "in" }],
  };

  test("a second's share of what came in between, for all queues, by reason and by prefix", () => {
    assert.deepEqual(ratesBetween(older, newer), {
      received: 105, replied: 100, dropped: 5, overrun: 0.5,
      tcp: { segments: 3, accepted: 1, opened: 1.5, retransmitted: 0.5, bytesIn: 20, bytesOut: 1000 },
      udp: { taken: 10, answered: 5, dropped: 1, unsent: 0.5 }, turnaround: 0.25,
      services: {
        "tcp own": { taken: 5, responses: [0, 3, 0, 1, 0.5] }, "udp own": { taken: 10, responses: [0, 0, 0, 0, 0] },
        "tcp new": { taken: 0, responses: [0, 0, 0, 0, 0] },
      },
      threads: {},
      reasons: { icmp_csum: 2, ip_csum: 3 },
      // 192.0.2.0/24 has only now come into the list, so nobody knows since when it has its 50 replies.
      prefixes: { "10.0.0.0/8": 100, "192.0.2.0/24": 0 },
      links: { "10.0.0.0/8 out": [2, 1, 0, 0, 0, 0, 0.5], "10.0.0.0/8 in": [0, 0, 0, 0, 0, 0, 0] },
    });
  });

  test("without a reply of STAMP nobody knows how long one takes", () => {
    assert.equal(ratesBetween(older, { ...older, at: older.at + 1000 }).turnaround, undefined);
  });

  test("what went back began at 0", () => {
    const restarted: Figures = {
      ...NONE, at: older.at + 1000, queues: [{ ...QUEUE, queue: "0", received: 7, replied: 4, dropped: 3 }],
      dropped: { icmp_csum: 3 }, overrun: 1, tcp: { ...NO_TCP, accepted: 3, opened: 2, retransmitted: 1, bytesOut: 7 },
      udp: { ...NO_UDP, answered: 2 }, services: [{ ...OWN, taken: 3 }], turnaround: { replies: 2, seconds: 1 },
      prefixes: [{ prefix: "10.0.0.0/8", replied: 4 }], links: [{ ...WAY, effects: [2, 0, 0, 0, 0, 0, 0] }],
    };
    assert.deepEqual(
      ratesBetween(older, restarted),
      {
        received: 7, replied: 4, dropped: 3, overrun: 1, reasons: { icmp_csum: 3 }, prefixes: { "10.0.0.0/8": 4 },
        // A reload may take a service away, and its count with it.
        tcp: { segments: 0, accepted: 0, opened: 2, retransmitted: 1, bytesIn: 0, bytesOut: 7 },
        udp: { ...NO_UDP, answered: 2 }, turnaround: 0.5,
        services: { "tcp own": { taken: 3, responses: [0, 0, 0, 0, 0] } }, threads: {},
        links: { "10.0.0.0/8 out": [2, 0, 0, 0, 0, 0, 0] },
      },
    );
  });

  test("a thread is as late as it was on average, or else as it was before; when it is silent, it is that late", () => {
    const at = (ms: number, ...threads: ThreadFigures[]): Figures => ({ ...NONE, at: ms, threads });
    const start = at(0, THREAD);
    const other = { ...THREAD, thread: "toString" };
    const first = ratesBetween(start, at(2000, { ...THREAD, beats: 62, late: 0.75 }, other));
    assert.deepEqual(first.threads, {
      0: { late: 0.125, silent: 0 }, toString: { late: undefined, silent: 2 },
    });
    let rates = first;
    const silent = [1000, 2000, 3000, 10_000].map((ms, i, all) => {
      rates = ratesBetween(at(all[i - 1] ?? 0, THREAD), at(ms, THREAD), rates);
      return rates.threads[0].late;
    });
    assert.deepEqual(silent, [0.125, 0.125, 2, 9]);
    // It has been started again, and goes on counting.
    const again = ratesBetween(at(0, THREAD), at(1000, { ...THREAD, restarts: 1, beats: 61 }), rates);
    assert.deepEqual(again.threads[0], { late: 0, silent: 0 });
    // pongd has.
    assert.deepEqual(ratesBetween(start, at(1000, { ...THREAD, beats: 2, late: 0.5 })).threads[0], {
      late: 0.25, silent: 0,
    });
  });

  test("nothing, where no time has passed or the clock was set back", () => {
    for (const at of [older.at, older.at - 5000]) {
      const rates = ratesBetween(older, { ...newer, at });
      assert.deepEqual([
        rates.received, rates.replied, rates.dropped, rates.overrun, rates.reasons.icmp_csum,
        rates.prefixes["10.0.0.0/8"],
      ], [0, 0, 0, 0, 0, 0]);
    }
  });
});

test("sumOf: of all queues", () => {
  assert.equal(sumOf(
    { ...NONE, queues: [{ ...QUEUE, queue: "0", restarts: 2 }, { ...QUEUE, queue: "1", restarts: 3 }] }, "restarts",
  ), 5);
});

test("numbers: three digits, or a count in full, or with a unit", () => {
  assert.deepEqual([1234567, 0.012345, 0].map((value) => number(value)), ["1,230,000", "0.0123", "0"]);
  assert.deepEqual([1234567.4, 2 ** 53, 0].map(whole), ["1,234,567", "9,007,199,254,740,992", "0"]);
  assert.deepEqual([0, 0.5, 7, 999, 999.9, 1000, 12345, 999_999, 12_300_000, 4e15].map((value) => si(value)),
    ["0", "0.5", "7", "999", "1\u00a0k", "1\u00a0k", "12.3\u00a0k", "1\u00a0M", "12.3\u00a0M", "4,000\u00a0T"]);
  assert.equal(si(12_300_000, "B"), "12.3\u00a0MB");
});
