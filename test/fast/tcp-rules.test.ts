/** Plays scripts of TCP to engines that have limits, a time or a past of their own, and looks at what they count. */
import "../support/process.js";
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ACCEPTED, Closed, CLOSED, Cookie, COOKIES, Counter, Reset, RESETS } from "../../abi/counters.js";
import { BATCH, TX_QUEUE_LEN } from "../../abi/slots.js";
import { Drain, PAGE_SIZE, Service } from "../../abi/tcp.js";
import { tableOf } from "../../src/engine/table.js";
import { parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { decode } from "../support/tcp.js";
import { type Family, type HostOptions, PORTS, SERVICES, TcpHost, TICK_US } from "../support/tcphost.js";
import { chargenByte } from "../support/tcpscenario.js";
import { play, type Row, type Script } from "../support/tcpscript.js";
import { checkState, stateOf } from "../support/tcpstate.js";
import { alive, CLOSING, gone, OPEN, opened } from "../vectors/tcp/rows.js";

interface Rule extends HostOptions, Omit<Script, "rows"> {
  readonly rows: readonly Row[] | ((host: TcpHost, family: Family) => readonly Row[]);
  /** What is counted in the end, by index. */
  readonly counted?: Readonly<Record<number, number>>;
}

function rule({ rows, counted = {}, port, isn, stream, only, name, ...options }: Rule): void {
  for (const family of [4, 6] as const) {
    if ((only ?? family) !== family) continue;
    test(`IPv${family}: ${name}`, async () => {
      const host = await TcpHost.create(options);
      const script = { name, ...port && { port }, ...isn && { isn }, ...stream && { stream } };
      play({ ...script, rows: typeof rows === "function" ? rows(host, family) : rows }, family, host);
      const { counters } = host.rig.linear;
      for (const [index, value] of Object.entries(counted)) assert.equal(counters[Number(index)], value, `[${index}]`);
      checkState(host.rig);
    });
  }
}

/** Has pongd begin to end, or go on after all. */
function drain(host: TcpHost, how: Drain): Row {
  return [0, "?", () => {
    host.rig.linear.drain(how);
    host.inject();
  }];
}

/** The time at which the clock's ticks wrap. */
const WRAP_US = 2 ** 32 * TICK_US;
/** Looks how many pages are in use. */
function pages(host: TcpHost, count: number): Row {
  return [0, "?", () => { assert.equal(stateOf(host.rig).pages, count); }];
}

const CHARGEN = { port: PORTS.chargen, stream: chargenByte };
const HOURS = 3600;

describe("a handshake", () => {
  rule({
    name: "after a SYN-ACK that was sent again there is no round-trip time, and the timeout is 3 s (RFC 6298 §5.7)",
    rows: [
      ...OPEN.slice(0, 2), [1, ">", "S. 0:0(0) ack 1"], [0.5, "<", "P. 1:11(10) ack 1"], [0, ">", "P. 1:11(10) ack 11"],
      [3, ">", "P. 1:11(10) ack 11"], [0, "<", ". 11:11(0) ack 11"],
    ],
    counted: { [Counter.tcpRetransmitted]: 2, [ACCEPTED + Service.echo]: 1 },
  });
  rule({
    name: "the peer counts as heard from its SYN on",
    port: PORTS.discard, startUs: 10 * HOURS * 1e6,
    rows: [...OPEN.slice(0, 2), [0.9, "-"], [0, "<", ". 1:1(0) ack 1"], ...alive(1, 1)],
  });
  rule({
    name: "a reset, and each other end, is counted as what it is",
    port: PORTS.discard,
    rows: (host) => [
      [0, "<", "@1 S 0:0(0)"], [0, ">", "@1 S. 0:0(0) ack 1"], [0, "<", "@1 R 1:1(0)"],
      [0, "<", "@2 S 0:0(0)"], [0, ">", "@2 S. 0:0(0) ack 1"], [0, "<", "@2 . 1:1(0) ack 1"], [0, "<", "@2 R 1:1(0)"],
      [0, "<", "@3 S 0:0(0)"], [0, ">", "@3 S. 0:0(0) ack 1"], [0, "<", "@3 . 1:1(0) ack 1"],
      [0, "<", "@3 F. 1:1(0) ack 1"], [0, ">", "@3 F. 1:1(0) ack 2"], [0, "<", "@3 . 2:2(0) ack 2"],
      [0, "<", "@4 . 1:1(0) ack 5"], [0, ">", "@4 R 5:5(0)"],
      [0, "<", "@5 S 0:0(0)"], [0, ">", "@5 S. 0:0(0) ack 1"], [0, "<", "@5 . 1:1(0) ack 1"],
      drain(host, Drain.reset), [0.01, "~", "@5 R. 1:1(0) ack 1"],
    ],
    counted: {
      [CLOSED + Closed.half_open]: 1, [CLOSED + Closed.reset_by_peer]: 1, [CLOSED + Closed.closed]: 1,
      [CLOSED + Closed.reset]: 1, [RESETS + Reset.no_connection]: 1, [RESETS + Reset.ended]: 1,
    },
  });
  rule({
    name: "from 2048 half-open connections on, cookies answer",
    port: PORTS.discard, limits: { connections: 10_000 },
    rows: (host) => [
      [0, "?", (player) => {
        for (let flow = 2; flow < 2 + 2048; flow += 256) {
          const syns = Array.from({ length: 256 }, (_, i) => player.packet(`@${flow + i} S 0:0(0)`));
          host.inject(...syns);
          assert.equal(host.outputs.splice(0).length, 256);
        }
        assert.equal(host.rig.linear.counters[COOKIES + Cookie.sent], 0);
      }],
      [0, "<", "S 0:0(0)"], [0, ">", "S. 0:0(0) ack 1"],
    ],
    counted: { [COOKIES + Cookie.sent]: 1, [Counter.tcpConnections]: 2048 },
  });
});

describe("a sweep", () => {
  rule({
    name: "begins once where pongd changes its mind within a tick", port: PORTS.discard,
    rows: (host) => [
      ...OPEN, drain(host, Drain.close), drain(host, Drain.reset), [0.01, "~", "R. 1:1(0) ack 1"], [1, "-"],
    ],
    counted: { [CLOSED + Closed.reset]: 1 },
  });
  rule({
    name: "resets each connection, however many there are", port: PORTS.discard, limits: { connections: 2000 },
    rows: (host) => [
      [0, "?", (player) => {
        for (let flow = 1; flow <= 700; flow++) {
          host.inject(player.packet(`@${flow} S 0:0(0)`));
          const { seq } = decode(host.outputs.splice(0)[0].packet);
          host.inject(player.packet(`@${flow} . 1:1(0) ack ${seq + 1}`));
        }
      }],
      drain(host, Drain.reset), [0, "?", () => {
        host.advance(1e5);
        assert.equal(host.outputs.splice(0).length, 700);
      }],
    ],
    counted: { [CLOSED + Closed.reset]: 700, [RESETS + Reset.ended]: 700 },
  });
  rule({
    name: "ends all that is half-open when pongd is about to stop, however much that is",
    port: PORTS.discard, limits: { connections: 10_000 },
    rows: (host) => [
      [0, "?", (player) => {
        for (let flow = 1; flow <= 6 * 250; flow += 250) {
          host.inject(...Array.from({ length: 250 }, (_, i) => player.packet(`@${flow + i} S 0:0(0)`)));
        }
        assert.equal(host.outputs.splice(0).length, 6 * 250);
      }],
      drain(host, Drain.close), [0, "?", () => {
        const left = [1, 2].map(() => {
          host.sleepTo(host.us + 100);
          return stateOf(host.rig).halfOpen;
        });
        assert.deepEqual(left, [6 * 250 - 1024, 0], "1024 in a round");
      }], [0.1, "-"],
    ],
    counted: { [Counter.tcpConnections]: 0, [CLOSED + Closed.half_open]: 6 * 250 },
  });
});

describe("a worker that had no processor when a timeout was due", () => {
  /** Ten bytes are in flight, and their timeout has passed. */
  function late(host: TcpHost, readBefore = 0): readonly Row[] {
    return [
      ...OPEN, [0, "<", "P. 1:11(10) ack 1"], [0, ">", "P. 1:11(10) ack 11"],
      [0, "?", () => {
        host.inject();
        readMore(host, readBefore);
        host.awayTo(host.us + 0.25e6);
      }],
    ];
  }
  const other: Row = [0, "<", "@2 . 1:1(0) ack 5"];
  const refused: Row = [0, ">", "@2 R 5:5(0)"];

  rule({
    name: "reads first what came meanwhile: an acknowledgement makes the retransmission needless",
    rows: (host) => [...late(host), other, refused, [0, "<", ". 11:11(0) ack 11"], [0.1, "-"]],
    counted: { [Counter.tcpRetransmitted]: 0 },
  });
  rule({
    name: "sends again once nothing is left to read",
    rows: (host) => [...late(host), other, refused, [TICK_US / 1e6, "~", "P. 1:11(10) ack 11"]],
  });
  rule({
    name: "sends again after as many packets as the queue holds, however much is left to read",
    rows: (host) => [
      ...late(host), [0, "?", () => { readMore(host, TX_QUEUE_LEN - 1); }], [0, "-"],
      other, [0, ">", "P. 1:11(10) ack 11"], refused,
    ],
  });
  rule({
    name: "looks for as many that came meanwhile, whatever it had read before",
    rows: (host) => [
      ...late(host, TX_QUEUE_LEN - 8), [0, "?", () => { readMore(host, 16); }],
      [0, "<", ". 11:11(0) ack 11"], [0.1, "-"],
    ],
    counted: { [Counter.tcpRetransmitted]: 0 },
  });
});

/** Has the worker read that many packets, each of which is dropped, while what is due comes up again and again. */
function readMore(host: TcpHost, packets: number): void {
  for (let left = packets; left > 0; left -= BATCH) {
    host.inject(...new Array<Uint8Array>(Math.min(left, BATCH)).fill(new Uint8Array(20)));
    host.awayTo(host.us + 2 * TICK_US);
  }
}

describe("a limit", () => {
  rule({
    name: "of a source is that of its /64", port: PORTS.discard, only: 6, limits: { bySource: 1 },
    rows: [
      ...OPEN, [0, "<", "@2 S 0:0(0) {src 20010db8000000000000000000001234}"],
      [0, "<", "@3 S 0:0(0) {src 20010db8000000001234567800000007}"], [0.5, "-"],
    ],
  });
  rule({
    name: "of a prefix is what it says, and no more", port: PORTS.discard,
    policy: { tcp: { ports: SERVICES, connections: 2 } },
    rows: [
      [0, "<", "@1 S 0:0(0)"], [0, ">", "@1 S. 0:0(0) ack 1"], [0, "<", "@2 S 0:0(0)"], [0, ">", "@2 S. 0:0(0) ack 1"],
      [0, "<", "@3 S 0:0(0)"], [0.5, "-"], [0, "<", "@1 R 1:1(0)"],
      [0, "<", "@3 S 0:0(0)"], [0, ">", "@3 S. 0:0(0) ack 1"],
    ],
  });
  rule({
    name: "of answers holds for SYN-ACKs", port: PORTS.discard, policy: { limit: { rate: 1, burst: 1 } },
    rows: [...OPEN, [0, "<", "@2 S 0:0(0)"], [0.5, "-"]],
    counted: { [Counter.tcpConnections]: 1 },
  });
  rule({
    name: "of what a prefix answers holds for resets, too", port: PORTS.refuse, policy: { errors: false },
    rows: [[0, "<", "S 0:0(0)"], [0, "<", ". 1:1(0) ack 5"], [0.5, "-"]],
  });
  rule({
    name: "of answers holds for resets, too", port: PORTS.refuse, policy: { limit: { rate: 1, burst: 2 } },
    rows: [
      [0, "<", "S 0:0(0)"], [0, ">", "R. 0:0(0) ack 1"], [0, "<", ". 1:1(0) ack 5"], [0, ">", "R 5:5(0)"],
      [0, "<", "S 0:0(0)"], [0.5, "-"],
    ],
    counted: { [RESETS + Reset.closed_port]: 2 },
  });
});

/** What a cookie is the answer to: the only half-open connection that there may be is another one. */
function flooded(syn: string, answer = "S."): readonly Row[] {
  return [
    [0, "<", "@2 S 0:0(0)"], [0, ">", "@2 S. 0:0(0) ack 1"], [0, "<", syn], [0, ">", `${answer} 0:0(0) ack 1`],
  ];
}

const FLOODED = { limits: { connections: 2 }, counted: { [COOKIES + Cookie.accepted]: 1 } };

describe("a cookie", () => {
  rule({
    name: "comes without a window scale if the SYN had none", ...FLOODED,
    rows: [
      ...flooded("S 0:0(0) <mss 1000>").slice(0, 3), [0, ">", "S. 0:0(0) ack 1 <mss MSS>"], [0, "<", ". 1:1(0) ack 1"],
    ],
  });
  rule({
    name: "has the MSS of RFC 9293 if the SYN had none, whatever came before it (MUST-15)", ...CHARGEN, ...FLOODED,
    only: 4,
    rows: [
      [0, "<", "@2 S 0:0(0) <mss 1460>"], [0, ">", "@2 S. 0:0(0) ack 1"], [0, "<", "S 0:0(0)"],
      [0, ">", "S. 0:0(0) ack 1"], [0, "<", ". 1:1(0) ack 1 win 1072"],
      [0, ">", "p. 1:537(536) ack 1"], [0, ">", "p. 537:1073(536) ack 1"],
    ],
  });
  rule({
    name: "makes no connection beyond a limit", port: PORTS.discard, limits: { connections: 4, bySource: 3 },
    rows: [
      ...[2, 3].flatMap((flow): Row[] => [[0, "<", `@${flow} S 0:0(0)`], [0, ">", `@${flow} S. 0:0(0) ack 1`]]),
      [0, "<", "S 0:0(0)"], [0, ">", "S. 0:0(0) ack 1"], [0, "<", "@2 . 1:1(0) ack 1"],
      [0, "<", "@4 S 0:0(0)"], [0, ">", "@4 S. 0:0(0) ack 1"], [0, "<", ". 1:1(0) ack 1"], [0, ">", "R 1:1(0)"],
    ],
    counted: { [COOKIES + Cookie.sent]: 1, [COOKIES + Cookie.accepted]: 0, [Counter.tcpConnections]: 3 },
  });
  rule({
    name: "is not looked for where none was ever sent, also in the first seconds of the clock", port: PORTS.discard,
    startUs: 1e6, rows: [[0, "<", ". 1:1(0) ack 5"], [0, ">", "R 5:5(0)"]], counted: { [COOKIES + Cookie.failed]: 0 },
  });
  const sizes: readonly (readonly [only: Family, mss: number, kept: number])[] = [
    [4, 536, 536], [4, 1219, 536], [4, 1220, 1220], [4, 1419, 1220], [4, 1420, 1420], [4, 1459, 1420], [4, 1460, 1460],
    [6, 1220, 1220], [6, 1359, 1220], [6, 1360, 1360], [6, 1419, 1360], [6, 1420, 1420], [6, 1439, 1420],
    [6, 1440, 1440],
  ];
  for (const [only, mss, kept] of sizes) {
    rule({
      name: `keeps an MSS of ${mss} as ${kept}`, ...CHARGEN, ...FLOODED, only,
      rows: [
        ...flooded(`S 0:0(0) <mss ${mss}>`), [0, "<", `. 1:1(0) ack 1 win ${2 * kept}`],
        [0, ">", `p. 1:${1 + kept}(${kept}) ack 1`], [0, ">", `p. ${1 + kept}:${1 + 2 * kept}(${kept}) ack 1`],
      ],
    });
  }
  const shifts = [
    [0, 0], [1, 0], [2, 2], [3, 2], [4, 4], [6, 6], [7, 7], [8, 8], [9, 8], [10, 10], [14, 10],
  ];
  for (const [shift, kept] of shifts) {
    const window = 1 << kept;
    rule({
      name: `keeps a shift of ${shift} as ${kept}`, ...CHARGEN, ...FLOODED,
      rows: [
        ...flooded(`S 0:0(0) <mss 1440,wscale ${shift}>`), [0, "<", ". 1:1(0) ack 1 win 1"],
        [0, ">", `p. 1:${1 + window}(${window}) ack 1`],
      ],
    });
  }
  rule({
    name: "keeps ECN apart from SACK", ...FLOODED,
    rows: [
      ...flooded("SEW 0:0(0) <mss 1000>", "SE."), [0, "<", "P. 1:11(10) ack 1 {tos 3}"],
      [0, ">", "PE. 1:11(10) ack 11 {tos 2}"],
    ],
  });
  rule({
    name: "keeps SACK apart from ECN", ...FLOODED,
    rows: [
      ...flooded("S 0:0(0) <mss 1000,sackOK>"), [0, "<", "P. 1:11(10) ack 1 {tos 3}"],
      [0, ">", "P. 1:11(10) ack 11 {tos 0}"],
    ],
  });
  rule({
    name: "says nothing of the round-trip time, and the timeout is 3 s", ...FLOODED,
    rows: [
      ...flooded("S 0:0(0) <mss 1000>"), [0, "<", "@2 R 1:1(0)"], [0.1, "<", "P. 1:11(10) ack 1"],
      [0, ">", "P. 1:11(10) ack 11"], [3, ">", "P. 1:11(10) ack 11"],
    ],
  });
  rule({
    name: "has the first timestamp echoed, wherever the peer's numbers begin (RFC 7323 §4.3)", ...FLOODED, isn: 5000,
    rows: [
      ...flooded("S 0:0(0) <mss 1000,TS val 100 ecr 0>"), [0, "<", ". 1:1(0) ack 1 <TS val 110 ecr last>"],
      [0, "<", "P. 1:11(10) ack 1 <TS val 120 ecr last>"], [0, ">", "P. 1:11(10) ack 11 <TS val * ecr 120>"],
    ],
  });
});

/** Lets days go by, in which the peer is heard, but without timestamps. */
function days(count: number): readonly Row[] {
  return Array.from({ length: 24 * count }, (): Row => [HOURS, "<", ". 1:1(0) ack 1"]);
}

describe("timestamps that are 24 days old may have wrapped, and reject nothing (RFC 7323 §5.5)", () => {
  const first = opened("mss 1000,TS val 100 ecr 0").slice(0, 2);
  const late = "P. 1:11(10) ack 1 <TS val 50 ecr last>";
  const dropped: readonly Row[] = [[0, "<", late], [0, ">", ". 1:1(0) ack 1 <TS val * ecr 100>"]];
  // Far from the time at which the clock began.
  const options = { port: PORTS.discard, startUs: 40 * 24 * HOURS * 1e6 };
  rule({ name: "at first they count", ...options, rows: [...first, [0, "<", ". 1:1(0) ack 1"], ...dropped] });
  rule({
    name: "after 23 days they do, too", ...options,
    rows: [...first, [0, "<", ". 1:1(0) ack 1"], ...days(23), ...dropped],
  });
  rule({
    name: "after 25 days they do not", ...options,
    rows: [
      ...first, [0, "<", ". 1:1(0) ack 1"], ...days(25), [0, "<", late], [0, ">", ". 1:1(0) ack 11 <TS val * ecr 50>"],
    ],
  });
  rule({
    name: "they are as old as the last one", ...options,
    rows: [
      ...first, [0, "<", ". 1:1(0) ack 1"], ...days(13), [0, "<", ". 1:1(0) ack 1 <TS val 100 ecr last>"], ...days(13),
      ...dropped,
    ],
  });
});

describe("the side that closed first", () => {
  /** Opens a connection, and has pongd close it. */
  const fin = (host: TcpHost, options = "mss 1000"): readonly Row[] => [
    ...opened(options).slice(0, 2), [0, "<", ". 1:1(0) ack 1"], drain(host, Drain.close),
    [0.001, "~", "F. 1:1(0) ack 1"], drain(host, Drain.none),
  ];
  const waiting = (host: TcpHost, options = "mss 1000", last = ""): readonly Row[] => [
    ...fin(host, options), [0, "<", `F. 1:1(0) ack 2${last}`], [0, ">", ". 2:2(0) ack 2"],
  ];
  const stays: Row = [0, ">", ". 2:2(0) ack 2"];
  const begins: Row = [0, ">", "S. 65539:65539(0) ack 70001"];

  rule({
    name: "waits for the peer's FIN for 60 s",
    port: PORTS.discard,
    rows: (host) => [...fin(host), [0, "<", ". 1:1(0) ack 2"], [60, ">", "R. 2:2(0) ack 1"], ...gone(1, 2)],
    counted: { [RESETS + Reset.ended]: 1 },
  });
  rule({
    name: "takes nothing behind the peer's FIN in CLOSING, and the FIN once",
    port: PORTS.discard,
    rows: (host) => [
      ...fin(host), [0, "<", "F. 1:1(0) ack 1"], [0, ">", ". 2:2(0) ack 2"], [0, "<", "P. 2:12(10) ack 1"],
      [0, ">", ". 2:2(0) ack 2"], [0, "<", "F. 1:1(0) ack 1"], [0, ">", ". 2:2(0) ack 2"],
      [0, "<", ". 2:2(0) ack 2"],
    ],
    counted: { [Counter.tcpTimeWait]: 1, [Counter.tcpConnections]: 0 },
  });
  rule({
    name: "answers nothing in TIME-WAIT that takes no room, so that two who wait do not talk for ever",
    port: PORTS.discard,
    rows: (host) => [...waiting(host), [0, "<", ". 2:2(0) ack 2"], [0, "<", ". 9:9(0) ack 9"], [1, "-"]],
  });
  rule({
    name: "begins nothing in TIME-WAIT by a SYN-ACK", port: PORTS.discard,
    rows: (host) => [...waiting(host), [0, "<", "S. 70000:70000(0) ack 2"], stays],
    counted: { [Counter.tcpTimeWait]: 1 },
  });
  rule({
    name: "begins nothing in TIME-WAIT when pongd is about to stop", port: PORTS.discard,
    rows: (host) => [...waiting(host), drain(host, Drain.close), [0, "<", "S 70000:70000(0)"], stays],
    counted: { [Counter.tcpTimeWait]: 1 },
  });
  for (const kind of [Service.refuse, Service.silent] as const) {
    rule({
      name: `begins nothing in TIME-WAIT where a reload has made the port ${Service[kind]}`, port: PORTS.discard,
      reloadable: true,
      rows: (host) => [
        ...waiting(host), [0, "?", () => {
          const service = { name: Service[kind], kind };
          const ports = [{ first: PORTS.discard, last: PORTS.discard, service }];
          const prefixes = ["10.99.0.0/16", "fd99::/64"].map(parsePrefix);
          host.rig.linear.serve(tableOf(serving(prefixes, { tcp: { ports } }), { indices: [7, 8] }));
          host.inject();
        }], [0, "<", "S 70000:70000(0)"], stays,
      ],
      counted: { [Counter.tcpTimeWait]: 1, [Counter.tcpConnections]: 0 },
    });
  }
  rule({
    name: "forgets the oldest record of TIME-WAIT where there is no room for another", port: PORTS.discard,
    limits: { connections: 2 },
    rows: (host) => [
      ...[1, 2, 3].flatMap((flow): Row[] => [
        [0, "<", `@${flow} S 0:0(0)`], [0, ">", `@${flow} S. 0:0(0) ack 1`], [0, "<", `@${flow} . 1:1(0) ack 1`],
        drain(host, Drain.close), [0.001, "~", `@${flow} F. 1:1(0) ack 1`], drain(host, Drain.none),
        [0, "<", `@${flow} F. 1:1(0) ack 2`], [0, ">", `@${flow} . 2:2(0) ack 2`],
      ]),
      [0, "<", "@1 F. 1:1(0) ack 2"], [0, ">", "@1 R 2:2(0)"],
      ...[2, 3].flatMap((flow): Row[] => [[0, "<", `@${flow} F. 1:1(0) ack 2`], [0, ">", `@${flow} . 2:2(0) ack 2`]]),
    ],
    counted: { [Counter.tcpTimeWait]: 2 },
  });
  rule({
    name: "begins nothing in TIME-WAIT by a SYN that has FIN, too", port: PORTS.discard,
    rows: (host) => [...waiting(host), [0, "<", "SF 70000:70000(0)"], [0, ">", ". 2:2(0) ack 2 win 0"]],
    counted: { [Counter.tcpTimeWait]: 1 },
  });
  rule({
    name: "waits no longer in TIME-WAIT for a FIN elsewhere, or for data that ends where FIN did", port: PORTS.discard,
    rows: (host) => [
      ...waiting(host), [50, "<", "F. 5:5(0) ack 2"], stays, [0, "<", "P. 0:2(2) ack 2"], stays, [10.1, "-"],
    ],
    counted: { [Counter.tcpTimeWait]: 0 },
  });
  rule({
    name: "waits in TIME-WAIT for 60 s, also if that ends at tick 0, which stands for never", port: PORTS.discard,
    startUs: WRAP_US - 60.1e6,
    rows: (host) => [
      ...fin(host), [0, "?", () => { host.advanceTo(WRAP_US - TICK_US * Math.ceil(60e6 / TICK_US) + 5); }],
      [0, "<", "F. 1:1(0) ack 2"], [0, ">", ". 2:2(0) ack 2"], [60.1, "-"],
    ],
    counted: { [Counter.tcpTimeWait]: 0 },
  });
  rule({
    name: "ends 1024 records of TIME-WAIT in a round, and the others in the next one", port: PORTS.discard,
    limits: { connections: 4096 },
    rows: (host) => [
      [0, "?", (player) => {
        const flows = Array.from({ length: 1100 }, (_, i) => 1 + i);
        const isns: number[] = [];
        for (const flow of flows) {
          host.inject(player.packet(`@${flow} S 0:0(0)`));
          isns.push(decode(host.outputs.splice(0)[0].packet).seq);
          host.inject(player.packet(`@${flow} . 1:1(0) ack ${isns[flow - 1] + 1}`));
        }
        host.rig.linear.drain(Drain.close);
        host.inject();
        host.advance(1e5);
        assert.equal(host.outputs.splice(0).length, 1100);
        for (const flow of flows) host.inject(player.packet(`@${flow} F. 1:1(0) ack ${isns[flow - 1] + 2}`));
        assert.equal(host.outputs.splice(0).length, 1100);
        const left = [1, 2].map((seconds) => {
          host.sleepTo(host.us + 60e6 * seconds);
          return host.rig.linear.counters[Counter.tcpTimeWait];
        });
        assert.deepEqual(left, [76, 0]);
      }],
    ],
  });
  rule({
    name: "is not reset in TIME-WAIT by any other number than the next (RFC 5961 §3)", port: PORTS.discard,
    rows: (host) => [
      ...waiting(host), [0, "<", "R 3:3(0)"], [0, "<", "R 1:1(0)"],
      [0, "?", () => { assert.equal(host.rig.linear.counters[Counter.tcpTimeWait], 1); }], [0, "<", "R 2:2(0)"],
    ],
    counted: { [Counter.tcpTimeWait]: 0 },
  });
  const last = " <TS val 4294967295 ecr last>";
  for (const [what, value, answer] of [
    ["an older timestamp begins none", 4294967294, stays], ["a newer one, which has wrapped, does", 5, begins],
    ["with the same one, the sequence number decides", 4294967295, begins],
  ] as const) {
    rule({
      name: `a SYN in TIME-WAIT begins a connection by its timestamp: ${what} (RFC 6191 §2)`, port: PORTS.discard,
      rows: (host) => [
        ...waiting(host, "mss 1000,TS val 4294967200 ecr 0", last),
        [0, "<", `S 70000:70000(0) <mss 1000,TS val ${value} ecr 0>`], answer,
      ],
    });
  }
  rule({
    name: "a SYN in TIME-WAIT begins a connection by its sequence number if the one that was had no timestamps",
    port: PORTS.discard,
    rows: (host) => [...waiting(host), [0, "<", "S 70000:70000(0) <mss 1000,TS val 4294967295 ecr 0>"], begins],
  });
  rule({
    name: "a SYN in TIME-WAIT begins a connection by its sequence number if it has no timestamps", port: PORTS.discard,
    rows: (host) => [
      ...waiting(host, "mss 1000,TS val 4294967200 ecr 0", last),
      [0, "<", "P. 0:1(1) ack 2 <TS val 4294967000 ecr last>"], stays, [0, "<", "S 70000:70000(0) <mss 1000>"], begins,
    ],
  });
});

describe("a segment", () => {
  const big = {
    port: 80, limits: { memory: 1 << 22 },
    ports: [{
      first: 80, last: 80,
      service: { name: "big", kind: Service.reply, bytes: Buffer.alloc(300_000, "x"), after: Buffer.from("\n") },
    }],
  };
  const SHUT: readonly Row[] = [
    [0, "<", "S 0:0(0) win 0 <mss 1000>"], [0, ">", "S. 0:0(0) ack 1"], [0, "<", ". 1:1(0) ack 1 win 0"],
  ];
  rule({
    name: "of which a part is taken is acknowledged at once", ...big,
    rows: [...SHUT, [0, "<", ". 1:6(5) ack 1 win 0 \"\\n\\n\\n\\n\\n\""], [0, ">", ". 1:1(0) ack 5"]],
  });
  rule({
    name: "for which there is no page is not taken, nor FIN behind it", limits: { memory: PAGE_SIZE },
    rows: [
      [0, "<", "@2 S 0:0(0) win 0 <mss 1000>"], [0, ">", "@2 S. 0:0(0) ack 1"],
      [0, "<", "@2 P. 1:2(1) ack 1 win 0"], [0, ">", "@2 . 1:1(0) ack 2"],
      ...OPEN, [0, "<", "FP. 1:11(10) ack 1"], [0, ">", ". 1:1(0) ack 1"], [0, "<", "@2 R 2:2(0)"],
      [0, "<", "FP. 1:11(10) ack 1"], [0, ">", "FP. 1:11(10) ack 12"],
    ],
  });
  rule({
    name: "that comes early and for which there are not enough pages is not told by SACK",
    limits: { memory: 4 * PAGE_SIZE },
    rows: (host) => [
      ...opened("mss 1000,sackOK"), [0, "<", "P. 60001:60011(10) ack 1"], [0, ">", ". 1:1(0) ack 1 <>"],
      [0, "<", "P. 1:11(10) ack 1"], [0, ">", "P. 1:11(10) ack 11"], [0, "<", ". 11:11(0) ack 11"],
      pages(host, 0),
    ],
  });
  rule({
    name: "is cut where the window ends, also if it comes early", port: PORTS.discard,
    rows: [
      ...opened("mss 1000,sackOK"), [0, "<", ". 65001:66001(1000) ack 1"],
      [0, ">", ". 1:1(0) ack 1 <sack 65001:65536>"],
    ],
  });
  for (const port of [PORTS.discard, PORTS.echo]) {
    rule({
      name: `with what came early and more replaces it at port ${port}`, port,
      rows: [
        ...OPEN, [0, "<", "P. 11:21(10) ack 1"], [0, ">", ". 1:1(0) ack 1"], [0, "<", "P. 1:31(30) ack 1"],
        [0, ">", port === PORTS.echo ? "P. 1:31(30) ack 31" : ". 1:1(0) ack 31"],
        [0, "<", `P. 31:41(10) ack ${port === PORTS.echo ? 31 : 1}`],
        [0, ">", port === PORTS.echo ? "P. 31:41(10) ack 41" : ". 1:1(0) ack 41"],
      ],
    });
  }
  rule({
    name: "that came early leaves its pages when it is taken, not before", ...big,
    rows: (host) => [
      ...SHUT, [0, "<", ". 2:4(2) ack 1 win 0 \"ab\""], [0, ">", ". 1:1(0) ack 1"],
      [0, "<", ". 5:7(2) ack 1 win 0 \"\\nc\""], [0, ">", ". 1:1(0) ack 1"],
      [0, "<", ". 1:2(1) ack 1 win 0 \"-\""], [0, ">", ". 1:1(0) ack 4"],
      pages(host, 1),
      [0, "<", ". 4:5(1) ack 1 win 0 \"-\""], [0, ">", ". 1:1(0) ack 7"],
      pages(host, 0),
      [0, "<", ". 7:7(0) ack 1 win 10"], [0, ">", ". 1:11(10) ack 7 \"xxxxxxxxxx\""],
    ],
  });
  rule({
    name: "that came early leaves its pages if it cannot be taken", ...big,
    rows: (host) => [
      ...SHUT, [0, "<", ". 2:12(10) ack 1 win 0 \"\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\""], [0, ">", ". 1:1(0) ack 1"],
      [0, "<", ". 1:2(1) ack 1 win 0 \"\\n\""], [0, ">", ". 1:1(0) ack 5"],
      pages(host, 0),
    ],
  });
  rule({
    name: "of which a part came already is acknowledged at once", port: PORTS.discard,
    rows: [...OPEN, [0, "<", ". 1:11(10) ack 1"], [0, "<", ". 1:21(20) ack 1"], [0, ">", ". 1:1(0) ack 21"]],
  });
  rule({
    name: "that is several in one counts as such, whatever its options take (RFC 5681 §4.2)", port: PORTS.discard,
    rows: [...opened("mss 500"), [0, "<", ". 1:977(976) ack 1"], [0, ">", ". 1:1(0) ack 977"]],
  });
  rule({
    name: "is full where the peer's MSS is small, too (RFC 5681 §4.2)", port: PORTS.discard,
    rows: [
      ...opened("mss 200"), [0, "<", ". 1:201(200) ack 1"], [0, "<", ". 201:401(200) ack 1"],
      [0, ">", ". 1:1(0) ack 401"],
    ],
  });
  rule({
    name: "that acknowledges one number too many is challenged, as it is no probe's (RFC 5961 §5.2)",
    rows: [
      ...OPEN, [0, "<", ". 1:1(0) ack 2"], [0, ">", ". 1:1(0) ack 1"], [0, "<", "P. 1:11(10) ack 1"],
      [0, ">", "P. 1:11(10) ack 11"],
    ],
  });
  rule({
    name: "is not answered if a reset follows in the batch",
    rows: [...OPEN, [0, "<", ["P. 1:11(10) ack 1", "R 11:11(0)"]], [1, "-"]],
    counted: { [Counter.tcpConnections]: 0 },
  });
  rule({
    name: "has FIN only if it has the last of the data",
    rows: [
      ...OPEN, [0, "<", ["P. 1:1001(1000) ack 1", "FP. 1001:1501(500) ack 1"]], [0, ">", "p. 1:1001(1000) ack 1502"],
      [0, ">", "FP. 1001:1501(500) ack 1502"],
    ],
  });
  rule({
    name: "has CWR if it has data, and is ECN-capable only then (RFC 3168 §6.1.2, §6.1.4)",
    rows: [
      [0, "<", "SEW 0:0(0) <mss 1000>"], [0, ">", "SE. 0:0(0) ack 1 {tos 0}"], [0, "<", "P. 1:11(10) ack 1"],
      [0, ">", "P. 1:11(10) ack 11 {tos 2}"], [0, "<", "E. 11:11(0) ack 11"], [0, "<", "F. 11:11(0) ack 11"],
      [0, ">", "F. 11:11(0) ack 12 {tos 0}"],
    ],
  });
  rule({
    name: "has CWR beside FIN (RFC 3168 §6.1.2)",
    rows: [
      [0, "<", "SEW 0:0(0) <mss 1000>"], [0, ">", "SE. 0:0(0) ack 1"], [0, "<", "P. 1:11(10) ack 1"],
      [0, ">", "P. 1:11(10) ack 11"], [0, "<", "E. 11:11(0) ack 11"], [0, "<", "FP. 11:21(10) ack 11"],
      [0, ">", "FPW. 11:21(10) ack 22 {tos 2}"],
    ],
  });
});

describe("a small window", () => {
  rule({
    name: "is small by the one that the SYN told, too", ...CHARGEN,
    rows: [...opened("mss 1000", 3000).slice(0, 2), [0, "<", ". 1:1(0) ack 1 win 600"], [0.19, "-"]],
  });
  const small: readonly Row[] = [
    ...opened("mss 1000", 3000).slice(0, 2), [0, "<", ". 1:1(0) ack 1 win 600"], [0.2, ">", ". 1:601(600) ack 1"],
  ];
  rule({
    name: "is filled after a retransmission timeout, and what that sends is sent again as anything (§3.8.6.2.1)",
    ...CHARGEN, rows: [...small, [0.2, ">", "p. 1:601(600) ack 1"], [0.4, ">", "p. 1:601(600) ack 1"]],
  });
  rule({
    name: "is not filled while something is in flight, which is sent again", ...CHARGEN,
    rows: [
      ...OPEN.slice(0, 2), [0, "<", ". 1:1(0) ack 1 win 1400"], [0, ">", "p. 1:1001(1000) ack 1"],
      [0.2, ">", "p. 1:1001(1000) ack 1"],
    ],
  });
  rule({
    name: "is not probed any more once FIN has gone into it", ...CHARGEN,
    rows: [
      ...opened("mss 1000", 3000).slice(0, 2), [0, "<", ". 1:1(0) ack 1 win 600"], CLOSING,
      [0.001, "~", "F. 1:1(0) ack 1"], [0.2, ">", "F. 1:1(0) ack 1"], [0.4, ">", "F. 1:1(0) ack 1"],
    ],
  });
  rule({
    name: "for want of pages opens when there are enough again, in a segment of its own",
    limits: { memory: 64 * PAGE_SIZE },
    rows: [
      ...[2, 3, 1].flatMap((flow): Row[] => [
        [0, "<", `@${flow} S 0:0(0) win 0 <mss 1000>`], [0, ">", `@${flow} S. 0:0(0) ack 1`],
        [0, "<", Array.from({ length: 64 }, (_, i) => `@${flow} . ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1 win 0`)],
        [0, ">", `@${flow} . 1:1(0) ack 64001`],
      ]),
      [0, "<", ". 64001:64001(0) ack 1 win 0"], [0, "<", ["@2 R 64001:64001(0)", "@3 R 64001:64001(0)"]],
      [0, "<", ". 64001:64001(0) ack 1 win 0"], [0, ">", ". 1:1(0) ack 64001 win 65535"],
    ],
  });
});

describe("a peer that is silent", () => {
  for (const [what, keepalive] of [["no data", ". 1:1(0) ack 1"], ["a byte", ". 1:2(1) ack 1"]] as const) {
    rule({
      name: `but for keepalives with ${what} counts as heard, and is asked two hours later (RFC 9293 §3.8.4, MUST-26)`,
      port: PORTS.discard,
      rows: [
        ...opened("mss 1000"), [0, "<", ". 1:2(1) ack 1"], [0.04, ">", ". 1:1(0) ack 2"],
        [2 * HOURS - 100, "<", keepalive], [0, ">", ". 1:1(0) ack 2"], [2 * HOURS - 1, "-"], [1, ">", ". 0:0(0) ack 2"],
        [10, "<", keepalive], [0, ">", ". 1:1(0) ack 2"], [2 * HOURS, ">", ". 0:0(0) ack 2"],
      ],
    });
  }
  rule({
    name: "but for old segments does not count as heard", port: PORTS.discard,
    rows: [
      ...OPEN, [0, "<", ". 1:3(2) ack 1"], [0.04, ">", ". 1:1(0) ack 3"], [2 * HOURS - 100, "<", ". 1:1(0) ack 1"],
      [0, ">", ". 1:1(0) ack 3"], [99.96, ">", ". 0:0(0) ack 3"],
    ],
  });
  rule({
    name: "but for answers to probes of its window is reset ten minutes after the service has closed (RFC 6429)",
    rows: [
      [0, "<", "S 0:0(0) win 0 <mss 1000>"], [0, ">", "S. 0:0(0) ack 1"], [0, "<", "FP. 1:11(10) ack 1 win 0"],
      [0, ">", ". 1:1(0) ack 12"],
      ...[0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60, 60, 60, 60, 60, 60].flatMap((seconds): Row[] => [
        [seconds, ">", ". 1:2(1) ack 12"], [0, "<", ". 12:12(0) ack 1 win 0"],
      ]),
      [60, ">", "R. 1:1(0) ack 12"],
    ],
    counted: { [CLOSED + Closed.timed_out]: 1, [Counter.tcpPages]: 0 },
  });
});
