/** Scripts of ICMP errors about segments: RFC 9293 §3.9.2.2; RFC 5927; RFC 1191, RFC 8201. */
import assert from "node:assert/strict";
import { PORTS } from "../../support/tcphost.js";
import { chargenByte } from "../../support/tcpscenario.js";
import type { Player, Row, Script } from "../../support/tcpscript.js";
import { alive, OPEN, opened } from "./rows.js";

const SENT: readonly Row[] = [
  ...opened("mss 1400", 4000).slice(0, 2), [0, "<", ". 1:1(0) ack 1 win 1400"], [0, ">", "p. 1:1401(1400) ack 1"],
];
const CHARGEN = { port: PORTS.chargen, stream: chargenByte };

/** Asserts that what has come is no shorter than 100 bytes. */
function noneShort({ stage }: Player): void {
  for (const { packet } of stage.outputs.splice(0)) assert.ok(packet.length >= 100, `${packet.length} bytes`);
}

export const ICMP: readonly Script[] = [
  ...["net_unreachable", "host_unreachable", "source_route_failed", "time_exceeded", "parameter_problem"].map(
    (what): Script => ({
      name: `${what} about a segment in flight does not end its connection (MUST-54, MUST-56)`,
      rows: [
        ...OPEN, [0, "<", "P. 1:11(10) ack 1"], [0, ">", "P. 1:11(10) ack 11"], [0, "<", `icmp ${what} about 1:11(10)`],
        [0, "<", ". 11:11(0) ack 11"], ...alive(11, 11),
      ],
    })),
  ...["port_unreachable", "protocol_unreachable"].map((what): Script => ({
    name: `${what} about a segment in flight does not end a connection that is established (SHLD-26, RFC 5927 §4.2)`,
    rows: [
      ...OPEN, [0, "<", "P. 1:11(10) ack 1"], [0, ">", "P. 1:11(10) ack 11"], [0, "<", `icmp ${what} about 1:11(10)`],
      [0, "<", ". 11:11(0) ack 11"], ...alive(11, 11),
    ],
  })),
  {
    name: "source quench is discarded (MUST-55)",
    only: 4,
    rows: [
      ...OPEN, [0, "<", "P. 1:11(10) ack 1"], [0, ">", "P. 1:11(10) ack 11"],
      [0, "<", "icmp source_quench about 1:11(10)"], [0, "<", ". 11:11(0) ack 11"], ...alive(11, 11),
    ],
  },
  {
    name: "a link with a smaller MTU makes segments shorter, and what was too long is sent again (RFC 1191, MUST-54)",
    ...CHARGEN, only: 4,
    rows: [
      ...SENT, [0, "<", "icmp too_big mtu 1240 about 1:1401(1400)"], [0, ">", "p. 1:1201(1200) ack 1"],
      [0, ">", "p. 1201:1401(200) ack 1"], [0.01, "<", ". 1:1(0) ack 1401 win 1200"],
      [0, ">", "p. 1401:2601(1200) ack 1"],
    ],
    pongdOnly: true,
  },
  {
    name: "a link with a smaller MTU makes segments shorter in IPv6 (RFC 8201, MUST-54)",
    ...CHARGEN, only: 6,
    rows: [
      ...SENT, [0, "<", "icmp too_big mtu 1300 about 1:1401(1400)"], [0, ">", "p. 1:1241(1240) ack 1"],
      [0, ">", "p. 1241:1401(160) ack 1"], [0.01, "<", ". 1:1(0) ack 1401 win 1240"],
      [0, ">", "p. 1401:2641(1240) ack 1"],
    ],
    pongdOnly: true,
  },
  ...([[4, 1240, 1200], [6, 1300, 1240]] as const).map(([only, mtu, fits]): Script => ({
    name: `connections to where a link has an MTU of ${mtu} begin with it, for ten minutes (RFC 1191, RFC 8201 §4)`,
    ...CHARGEN, only, pongdOnly: true,
    rows: [
      ...SENT, [0, "<", `icmp too_big mtu ${mtu} about 1:1401(1400)`],
      [0, ">", `p. 1:${fits + 1}(${fits}) ack 1`], [0, ">", `p. ${fits + 1}:1401(${1400 - fits}) ack 1`],
      [0, "<", "R 1:1(0)"],
      [0, "<", "@1 S 0:0(0) <mss 1400>"], [0, ">", "@1 S. 0:0(0) ack 1"], [0, "<", "@1 . 1:1(0) ack 1 win 1400"],
      [0, ">", `@1 p. 1:${fits + 1}(${fits}) ack 1`], [0, "<", "@1 R 1:1(0)"],
      [600, "<", "@2 S 0:0(0) <mss 1400>"], [0, ">", "@2 S. 0:0(0) ack 1"], [0, "<", "@2 . 1:1(0) ack 1 win 1400"],
      [0, ">", "@2 p. 1:1401(1400) ack 1"],
    ],
  })),
  {
    name: "too big about what is not in flight is not believed (RFC 5927 §7)",
    ...CHARGEN,
    rows: [
      ...SENT, [0, "<", "icmp too_big mtu 1300 about 5001:6401(1400)"], [0.01, "<", ". 1:1(0) ack 1401 win 1400"],
      [0, ">", "p. 1401:2801(1400) ack 1"], [0, "<", "icmp too_big mtu 1300 about 1:1401(1400)"],
      [0.01, "<", ". 1:1(0) ack 2801 win 1400"], [0, ">", "p. 2801:4201(1400) ack 1"],
    ],
  },
  ...[0, 1, 28, 39, 40, 41, 60, 68, 100].map((mtu): Script => ({
    name: `too big with an MTU of ${mtu}, which no link has, makes segments no shorter than 100 bytes`,
    ...CHARGEN, pongdOnly: true,
    rows: [
      ...SENT, [0, "<", `icmp too_big mtu ${mtu} about 1:1401(1400)`],
      [0, "?", noneShort],
      [0.01, "<", ". 1:1(0) ack 1401 win 1400"],
      [0, "?", noneShort],
    ],
  })),
  {
    name: "too big with a larger MTU changes nothing",
    ...CHARGEN,
    rows: [
      ...SENT, [0, "<", "icmp too_big mtu 9000 about 1:1401(1400)"], [0.01, "<", ". 1:1(0) ack 1401 win 1400"],
      [0, ">", "p. 1401:2801(1400) ack 1"],
    ],
  },
  {
    name: "too big about the next number, which is not in flight yet, is not believed (RFC 5927 §7)",
    ...CHARGEN,
    rows: [
      ...SENT, [0, "<", "icmp too_big mtu 1300 about 1401:2801(1400)"], [0.01, "<", ". 1:1(0) ack 1401 win 1400"],
      [0, ">", "p. 1401:2801(1400) ack 1"],
    ],
    pongdOnly: true,
  },
  ...[["the one before", -1], ["the one behind", 1]].map(([which, number]): Script => ({
    name: `too big about ${which} the number of a SYN-ACK is not believed (RFC 5927 §7)`,
    ...CHARGEN, pongdOnly: true,
    rows: [
      ...SENT.slice(0, 2), [0, "?", (player) => {
        // The grammar has no negative numbers.
        const flow = player.flow(1);
        const isn = flow.isn ?? 0;
        flow.isn = isn + Number(number) >>> 0;
        player.stage.inject(player.packet("icmp too_big mtu 1300 about 0:0(0)"));
        flow.isn = isn;
      }],
      ...SENT.slice(2),
    ],
  })),
  ...([[4, 1260], [6, 1240]] as const).map(([only, length]): Script => ({
    name: `too big about a SYN-ACK makes segments shorter in IPv${only} (RFC 1191, RFC 8201)`,
    ...CHARGEN, only, pongdOnly: true,
    rows: [
      ...SENT.slice(0, 2), [0, "<", "icmp too_big mtu 1300 about 0:0(0)"], [0.5, "-"], [0.5, ">", "S. 0:0(0) ack 1"],
      [0, "<", `. 1:1(0) ack 1 win ${3 * length}`],
      ...[0, 1, 2].map((i): Row => [0, ">", `p. ${1 + length * i}:${1 + length * (i + 1)}(${length}) ack 1`]),
    ],
  })),
];
