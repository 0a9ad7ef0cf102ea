/** Scripts of what is sent again: RFC 6298, RFC 5681, RFC 6675, RFC 9293 §3.8.3. */
import assert from "node:assert/strict";
import { PORTS } from "../../support/tcphost.js";
import { chargenByte } from "../../support/tcpscenario.js";
import type { Row, Script } from "../../support/tcpscript.js";
import { gone, OPEN, opened } from "./rows.js";

const CHARGEN = { port: PORTS.chargen, stream: chargenByte };
const ECHOED: readonly Row[] = [
  ...OPEN, [0, "<", "P. 1:11(10) ack 1"], [0, ">", "P. 1:11(10) ack 11"],
];

export const RETRANSMIT: readonly Script[] = [
  {
    name: "what is not acknowledged is sent again, each time after twice as long (MUST-19)",
    pongdOnly: true,
    rows: [
      ...ECHOED, [0.2, ">", "P. 1:11(10) ack 11"], [0.4, ">", "P. 1:11(10) ack 11"], [0.8, ">", "P. 1:11(10) ack 11"],
      [1.6, ">", "P. 1:11(10) ack 11"], [0, "<", ". 11:11(0) ack 11"], [10, "-"],
    ],
  },
  {
    name: "what is sent again gives no round-trip time, and the timeout stays doubled until there is one (MUST-18)",
    pongdOnly: true,
    rows: [
      ...ECHOED, [0.2, ">", "P. 1:11(10) ack 11"], [0.39, "<", ". 11:11(0) ack 11"],
      [0, "<", "P. 11:21(10) ack 11"], [0, ">", "P. 11:21(10) ack 21"], [0.4, ">", "P. 11:21(10) ack 21"],
    ],
  },
  {
    name: "a peer that is silent is given up after 100 s at least, and gets a reset (MUST-20, SHLD-10, SHLD-11)",
    pongdOnly: true,
    rows: [
      ...ECHOED,
      ...[0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2].map((seconds): Row => [seconds, ">", "P. 1:11(10) ack 11"]),
      [102.4, ">", "R. 11:11(0) ack 11"],
      ...gone(11, 1),
    ],
  },
  {
    name: "a peer that closes its window over what is in flight, and is silent, is given up, too (SHLD-17)",
    pongdOnly: true,
    rows: [
      ...ECHOED, [0, "<", ". 11:11(0) ack 1 win 0"],
      ...[0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2].map((seconds): Row => [seconds, ">", "P. 1:11(10) ack 11"]),
      [102.4, ">", "R. 11:11(0) ack 11"],
    ],
  },
  {
    name: "a peer that answers, but never acknowledges, is given up (MUST-20)",
    pongdOnly: true,
    rows: [
      ...ECHOED,
      ...[0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2].flatMap((seconds): Row[] => [
        [seconds, ">", "P. 1:11(10) ack 11"], [0, "<", ". 11:11(0) ack 1"],
      ]),
      [102.4, ">", "R. 11:11(0) ack 11"],
    ],
  },
  {
    name: "what is sent again leaves room for SACK that was not told before (MUST-16)",
    pongdOnly: true,
    rows: [
      ...opened("mss 1000,sackOK,TS val 100 ecr 0").slice(0, 2), [0.05, "<", ". 1:1(0) ack 1 <TS val 150 ecr last>"],
      [0, "<", ["P. 1:989(988) ack 1 <TS val 150 ecr last>", "P. 989:1977(988) ack 1 <TS val 150 ecr last>"]],
      [0, ">", ". 1:989(988) ack 1977"], [0, ">", "P. 989:1977(988) ack 1977"],
      [0.01, "<", "P. 2965:2975(10) ack 1 <TS val 160 ecr last>"],
      [0, ">", ". 1977:1977(0) ack 1977 <TS val * ecr 150,sack 2965:2975>"],
      [5, "?", ({ stage, family }) => {
        const lengths = stage.outputs.splice(0).map(({ packet }) => packet.length);
        assert.ok(lengths.length > 2 && Math.max(...lengths) <= (family === 4 ? 1040 : 1060), lengths.join(" "));
      }],
    ],
  },
  {
    name: "what is sent again is not ECN-capable (RFC 3168 §6.1.5)",
    pongdOnly: true,
    rows: [
      [0, "<", "SEW 0:0(0) <mss 1000>"], [0, ">", "SE. 0:0(0) ack 1"], [0, "<", ". 1:1(0) ack 1"],
      [0, "<", "P. 1:11(10) ack 1"], [0, ">", "P. 1:11(10) ack 11 {tos 2}"], [0.2, ">", "P. 1:11(10) ack 11 {tos 0}"],
    ],
  },
  {
    name: "ten segments go first (RFC 6928)",
    ...CHARGEN,
    rows: [
      ...OPEN, ...Array.from({ length: 10 }, (_, i): Row => [0, ">", `p. ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1`]),
      [0.1, "-"],
    ],
  },
  {
    name: "three duplicate acknowledgements have the lost segment sent again at once (RFC 5681 §3.2, RFC 3042)",
    ...CHARGEN, pongdOnly: true,
    rows: [
      ...opened("mss 1000").slice(0, 2), [0.05, "<", ". 1:1(0) ack 1"],
      ...Array.from({ length: 10 }, (_, i): Row => [0, ">", `. ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1`]),
      [0.05, "<", ". 1:1(0) ack 1"], [0, ">", ". 10001:11001(1000) ack 1"], [0, "<", ". 1:1(0) ack 1"],
      [0, ">", ". 11001:12001(1000) ack 1"], [0, "<", ". 1:1(0) ack 1"], [0, ">", ". 1:1001(1000) ack 1"],
    ],
  },
  {
    name: "SACK tells what is lost, and only that is sent again (RFC 6675)",
    ...CHARGEN, pongdOnly: true,
    rows: [
      ...opened("mss 1000,sackOK").slice(0, 2), [0.05, "<", ". 1:1(0) ack 1 win 10000"],
      ...Array.from({ length: 10 }, (_, i): Row => [0, ">", `p. ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1`]),
      [0.05, "<", ". 1:1(0) ack 1 win 10000 <sack 1001:4001>"], [0, ">", ". 1:1001(1000) ack 1"],
    ],
  },
];
