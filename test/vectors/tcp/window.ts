/** Scripts of windows, the peer's and pongd's own: RFC 9293 §3.8.6. */
import { PORTS } from "../../support/tcphost.js";
import { chargenByte } from "../../support/tcpscenario.js";
import type { Row, Script } from "../../support/tcpscript.js";
import { gone, opened } from "./rows.js";

const CHARGEN = { port: PORTS.chargen, stream: chargenByte };
/** Opens a connection to chargen whose peer takes nothing yet. */
const SHUT: readonly Row[] = [
  [0, "<", "S 0:0(0) win 0 <mss 1000>"], [0, ">", "S. 0:0(0) ack 1"], [0, "<", ". 1:1(0) ack 1 win 0"],
];

export const WINDOW: readonly Script[] = [
  {
    name: "a window of zero is probed after a retransmission timeout, then after twice as long each time, and stays "
      + "for as long as the peer answers (MUST-35, MUST-36, MUST-37, SHLD-29, SHLD-30)",
    ...CHARGEN, pongdOnly: true,
    rows: [
      ...SHUT,
      ...[0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60, 60].flatMap((seconds): Row[] => [
        [seconds, ">", ". 1:2(1) ack 1"], [0, "<", ". 1:1(0) ack 1 win 0"],
      ]),
    ],
  },
  {
    name: "a window that opens is used at once, also when its update alone tells of it",
    ...CHARGEN,
    rows: [...SHUT, [0.05, "<", ". 1:1(0) ack 1 win 1000"], [0, ">", "p. 1:1001(1000) ack 1"]],
  },
  {
    name: "a probe that is taken counts as sent",
    ...CHARGEN, pongdOnly: true,
    rows: [
      ...SHUT, [0.2, ">", ". 1:2(1) ack 1"], [0, "<", ". 1:1(0) ack 2 win 0"], [0.2, ">", ". 2:3(1) ack 1"],
      [0, "<", ". 1:1(0) ack 3 win 1000"], [0, ">", "p. 3:1003(1000) ack 1"],
    ],
  },
  {
    name: "a peer that stops to answer probes is given up",
    ...CHARGEN, pongdOnly: true,
    rows: [
      ...SHUT,
      ...[0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2].map((seconds): Row => [seconds, ">", ". 1:2(1) ack 1"]),
      ...Array.from({ length: 8 }, (): Row => [60, ">", ". 1:2(1) ack 1"]), [60, ">", "R. 1:1(0) ack 1"],
    ],
  },
  {
    name: "a window that shrinks harms nothing: what is in flight may be acknowledged (MUST-34, SHLD-15)",
    ...CHARGEN,
    rows: [
      ...opened("mss 1000", 3000).slice(0, 2), [0, "<", ". 1:1(0) ack 1 win 3000"], [0, ">", "p. 1:1001(1000) ack 1"],
      [0, ">", "p. 1001:2001(1000) ack 1"], [0, ">", "p. 2001:3001(1000) ack 1"],
      [0.01, "<", ". 1:1(0) ack 1 win 1000"], [0.02, "-"], [0, "<", ". 1:1(0) ack 3001 win 1000"],
      [0, ">", "p. 3001:4001(1000) ack 1"],
    ],
  },
  {
    name: "no small segments are sent into a window that is not much larger (MUST-38)",
    ...CHARGEN, pongdOnly: true,
    rows: [
      ...opened("mss 1000", 3000).slice(0, 2), [0, "<", ". 1:1(0) ack 1 win 3000"], [0, ">", "p. 1:1001(1000) ack 1"],
      [0, ">", "p. 1001:2001(1000) ack 1"], [0, ">", "p. 2001:3001(1000) ack 1"],
      [0, "<", ". 1:1(0) ack 3001 win 300"], [0.19, "-"], [0, "<", ". 1:1(0) ack 3001 win 1000"],
      [0, ">", "p. 3001:4001(1000) ack 1"],
    ],
  },
  {
    name: "a peer with a small window is served in pieces of half of it, at once",
    ...CHARGEN,
    rows: [
      ...opened("mss 1000", 100).slice(0, 2), [0, "<", ". 1:1(0) ack 1 win 100"], [0, "~", "p. 1:101(100) ack 1"],
      [0, "<", ". 1:1(0) ack 101 win 50"], [0, "~", "p. 101:151(50) ack 1"],
    ],
    pongdOnly: true,
  },
  {
    name: "the window is as large as the service has room, and stays while bytes are taken (SHLD-14)",
    port: PORTS.discard,
    rows: [
      ...opened("mss 1000"), [0, "<", [". 1:1001(1000) ack 1", ". 1001:2001(1000) ack 1"]],
      [0, ">", ". 1:1(0) ack 2001 win 65535"],
    ],
    pongdOnly: true,
  },
  {
    name: "an echo whose peer takes nothing takes as much as its window has room for",
    pongdOnly: true,
    rows: [
      [0, "<", "S 0:0(0) win 0 <mss 1000>"], [0, ">", "S. 0:0(0) ack 1"],
      [0, "<", Array.from({ length: 64 }, (_, i) => `. ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1 win 0`)],
      [0, ">", ". 1:1(0) ack 64001 win *"],
    ],
  },
  {
    name: "a byte behind the window is acknowledged and dropped",
    port: PORTS.tarpit, pongdOnly: true,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000>"], [0, ">", "S. 0:0(0) ack 1 win 0"], [0, "<", ". 1:1(0) ack 1"],
      [0, "<", ". 1:2(1) ack 1"], [0, ">", ". 1:1(0) ack 1 win 0"], [1, "<", ". 1:2(1) ack 1"],
      [0, ">", ". 1:1(0) ack 1 win 0"],
    ],
  },
  {
    name: "the window's edge moves by a full segment at least, and never back for rounding (MUST-39, SHLD-14)",
    port: PORTS.discard,
    rows: [
      ...opened("mss 1000,wscale 7"), [0, "<", "P. 1:11(10) ack 1"], [0, ">", ". 1:1(0) ack 11 win 4096"],
      [0, "<", "P. 11:511(500) ack 1"], [0, ">", ". 1:1(0) ack 511 win 4093"],
      [0, "<", "P. 511:1011(500) ack 1"], [0, ">", ". 1:1(0) ack 1011 win 4090"],
      [0, "<", "P. 1011:1511(500) ack 1"], [0, ">", ". 1:1(0) ack 1511 win 4096"],
    ],
    pongdOnly: true,
  },
  {
    name: "an echo's window is smaller by what its peer has not taken",
    rows: [
      [0, "<", "S 0:0(0) win 0 <mss 1000,wscale 7>"], [0, ">", "S. 0:0(0) ack 1"],
      [0, "<", [". 1:1001(1000) ack 1 win 0", ". 1001:2001(1000) ack 1 win 0"]], [0, ">", ". 1:1(0) ack 2001 win 2033"],
    ],
    pongdOnly: true,
  },
  {
    name: "a FIN is taken into a window of zero, too: a tarpit does not keep whoever has closed",
    port: PORTS.tarpit, pongdOnly: true,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000>"], [0, ">", "S. 0:0(0) ack 1 win 0"], [0, "<", ". 1:1(0) ack 1"],
      // Data before it is not taken, and then neither is the FIN.
      [0, "<", "FP. 1:11(10) ack 1"], [0, ">", ". 1:1(0) ack 1 win 0"],
      [0, "<", "F. 1:1(0) ack 1"], [0, ">", "F. 1:1(0) ack 2 win 0"], [0, "<", ". 2:2(0) ack 2"], ...gone(2, 2),
    ],
  },
  {
    name: "a FIN for which the peer has no window is its probe (RFC 9293 §3.8.6.1)",
    port: PORTS.discard, pongdOnly: true,
    rows: [
      ...SHUT, [0, "<", "F. 1:1(0) ack 1 win 0"], [0, ">", ". 1:1(0) ack 2"], [0.2, ">", "F. 1:1(0) ack 2"],
      [0.4, ">", "F. 1:1(0) ack 2"], [0, "<", ". 2:2(0) ack 2 win 0"], ...gone(2, 2),
    ],
  },
];
