/** Plays scripts of TCP to engines that have limits, a time or a past of their own, and looks at what they count. */
import "../support/process.js";
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ACCEPTED, Closed, CLOSED, Cookie, COOKIES, Counter, Reset, RESETS } from "../../abi/counters.js";
import { Drain, Service } from "../../abi/tcp.js";
import { type Family, type HostOptions, PORTS, SERVICES, TcpHost, TICK_US } from "../support/tcphost.js";
import { chargenByte } from "../support/tcpscenario.js";
import { play, type Row, type Script } from "../support/tcpscript.js";
import { checkState } from "../support/tcpstate.js";
import { alive, gone, OPEN, opened } from "../vectors/tcp/rows.js";

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
    name: "ends all that is half-open when pongd is about to stop, however much that is",
    port: PORTS.discard, limits: { connections: 10_000 },
    rows: (host) => [
      [0, "?", (player) => {
        for (let flow = 1; flow <= 6 * 250; flow += 250) {
          host.inject(...Array.from({ length: 250 }, (_, i) => player.packet(`@${flow + i} S 0:0(0)`)));
        }
        assert.equal(host.outputs.splice(0).length, 6 * 250);
      }],
      drain(host, Drain.close), [0.1, "-"],
    ],
    counted: { [Counter.tcpConnections]: 0, [CLOSED + Closed.half_open]: 6 * 250 },
  });
});

describe("a worker that had no processor when a timeout was due", () => {
  /** Ten bytes are in flight, and their timeout has passed. */
  function late(host: TcpHost): readonly Row[] {
    return [
      ...OPEN, [0, "<", "P. 1:11(10) ack 1"], [0, ">", "P. 1:11(10) ack 11"],
      [0, "?", () => {
        host.inject();
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
    name: "sends again after sixteen batches, however much is left to read",
    rows: (host) => [
      ...late(host), ...Array.from({ length: 15 }, () => {
        return [other, refused, [0, "?", () => { host.awayTo(host.us + 2 * TICK_US); }] satisfies Row];
      }).flat(),
      other, [0, ">", "P. 1:11(10) ack 11"], refused,
    ],
  });
});

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
});
