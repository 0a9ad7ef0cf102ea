/** Scripts of how connections end: RFC 9293 §3.6, §3.10.7.4. */
import { PORTS } from "../../support/tcphost.js";
import { chargenByte } from "../../support/tcpscenario.js";
import type { Row, Script } from "../../support/tcpscript.js";
import { alive, CLOSING, gone, OPEN, opened, WAITS } from "./rows.js";

/** Has chargen fill a window of 2000 bytes. */
const FULL: readonly Row[] = [
  ...OPEN.slice(0, 2), [0, "<", ". 1:1(0) ack 1 win 2000"], [0, ">", "p. 1:1001(1000) ack 1"],
  [0, ">", "p. 1001:2001(1000) ack 1"],
];
const CHARGEN = { port: PORTS.chargen, stream: chargenByte, pongdOnly: true };

export const CLOSE: readonly Script[] = [
  {
    name: "a FIN is acknowledged and answered by a FIN; then nothing is left",
    port: PORTS.discard,
    rows: [
      ...OPEN, [0, "<", "F. 1:1(0) ack 1"], [0, ">", "F. 1:1(0) ack 2"], [0, "<", ". 2:2(0) ack 2"], [0.1, "-"],
      ...gone(2, 2),
    ],
  },
  {
    name: "data that comes with a FIN is taken before it",
    rows: [
      ...OPEN, [0, "<", "FP. 1:11(10) ack 1"], [0, ">", "FP. 1:11(10) ack 12"], [0, "<", ". 12:12(0) ack 12"],
      ...gone(12, 12),
    ],
  },
  {
    name: "a FIN before data that is missing does not close, and does when it comes again",
    port: PORTS.discard,
    rows: [
      ...OPEN, [0, "<", "F. 11:11(0) ack 1"], [0, ">", ". 1:1(0) ack 1"], [0, "<", "P. 1:11(10) ack 1"],
      [0, ">", ". 1:1(0) ack 11"], [0, "<", "F. 11:11(0) ack 1"], [0, ">", "F. 1:1(0) ack 12"],
      [0, "<", ". 12:12(0) ack 2"], ...gone(12, 2),
    ],
  },
  {
    name: "a FIN that comes again is acknowledged again",
    port: PORTS.discard,
    rows: [
      ...OPEN, [0, "<", "F. 1:1(0) ack 1"], [0, ">", "F. 1:1(0) ack 2"], [0, "<", "F. 1:1(0) ack 1"],
      [0, ">", ". 2:2(0) ack 2"], [0, "<", ". 2:2(0) ack 2"], ...gone(2, 2),
    ],
  },
  {
    name: "a FIN that is not acknowledged is sent again",
    port: PORTS.discard,
    rows: [
      ...OPEN, [0, "<", "F. 1:1(0) ack 1"], [0, ">", "F. 1:1(0) ack 2"], [0.2, ">", "F. 1:1(0) ack 2"],
      [0.4, ">", "F. 1:1(0) ack 2"], [0, "<", ". 2:2(0) ack 2"], ...gone(2, 2),
    ],
  },
  {
    name: "data behind a FIN is not taken",
    port: PORTS.discard,
    rows: [
      ...OPEN, [0, "<", "F. 1:1(0) ack 1"], [0, ">", "F. 1:1(0) ack 2"], [0, "<", "P. 2:12(10) ack 1"],
      [0, ">", ". 2:2(0) ack 2"], [0, "<", ". 2:2(0) ack 2"], ...gone(2, 2),
    ],
    pongdOnly: true,
  },
  {
    name: "what is in flight is sent again before the FIN, and an echo's FIN comes behind all of its data",
    rows: [
      ...OPEN, [0, "<", "P. 1:11(10) ack 1"], [0, ">", "P. 1:11(10) ack 11"], [0.01, "<", "F. 11:11(0) ack 1"],
      [0, ">", "F. 11:11(0) ack 12"], [0, "<", ". 12:12(0) ack 12"], ...gone(12, 12),
    ],
  },
  {
    name: "a half-closed peer gets the rest of an echo",
    rows: [
      ...opened("mss 1000", 10), [0, "<", "FP. 1:21(20) ack 1 win 10"],
      [0, ">", "p. 1:11(10) ack 22"], [0, "<", ". 22:22(0) ack 11 win 10"], [0, ">", "p. 11:21(10) ack 22"],
      [0, "<", ". 22:22(0) ack 21 win 10"], [0, ">", "Fp. 21:21(0) ack 22"], [0, "<", ". 22:22(0) ack 22"],
      ...gone(22, 22),
    ],
  },
  {
    name: "an acknowledgement of data alone leaves a connection in LAST-ACK",
    rows: [
      ...OPEN, [0, "<", "FP. 1:11(10) ack 1"], [0, ">", "FP. 1:11(10) ack 12"], [0, "<", ". 12:12(0) ack 11"],
      ...alive(12, 12), [0, "<", ". 12:12(0) ack 12"], ...gone(12, 12),
    ],
  },
  {
    name: "several connections end without a trace in each other",
    port: PORTS.discard,
    rows: [
      [0, "<", ["@1 S 0:0(0) <mss 1000>", "@2 S 0:0(0) <mss 1000>"]],
      [0, ">", "@1 S. 0:0(0) ack 1"], [0, ">", "@2 S. 0:0(0) ack 1"],
      [0, "<", ["@1 . 1:1(0) ack 1", "@2 . 1:1(0) ack 1"]],
      [0, "<", "@1 F. 1:1(0) ack 1"], [0, ">", "@1 F. 1:1(0) ack 2"], [0, "<", "@1 . 2:2(0) ack 2"],
      [0, "<", "@2 . 0:0(0) ack 1"], [0, ">", "@2 . 1:1(0) ack 1"],
    ],
  },
  {
    name: "when its peer has closed, chargen sends no more than what is in flight, then FIN",
    ...CHARGEN,
    rows: [
      ...FULL, [0, "<", "F. 1:1(0) ack 1 win 2000"], [0, ">", ". 2001:2001(0) ack 2"],
      [0.01, "<", ". 2:2(0) ack 2001 win 9000"], [0, ">", "F. 2001:2001(0) ack 2"],
      [0, "<", ". 2:2(0) ack 2001 win 20000"], [0.1, "-"], [0, "<", ". 2:2(0) ack 2002 win 20000"], ...gone(2, 2002),
    ],
  },
  {
    name: "when it closes itself, chargen sends no more than what is in flight, then FIN, and nothing in FIN-WAIT-2",
    ...CHARGEN,
    rows: [
      ...FULL, CLOSING, [0.01, "-"], [0, "<", ". 1:1(0) ack 2001 win 9000"], [0, ">", "F. 2001:2001(0) ack 1"],
      [0, "<", ". 1:1(0) ack 2002 win 20000"], [0.1, "-"], [0, "<", "F. 1:1(0) ack 2002 win 20000"],
      [0, ">", ". 2002:2002(0) ack 2"], WAITS,
    ],
  },
  {
    name: "in FIN-WAIT-1 and FIN-WAIT-2 data is acknowledged, and an echo sends none of it (RFC 9293 §3.10.7.4)",
    pongdOnly: true,
    rows: [
      ...OPEN, CLOSING, [0.001, "~", "F. 1:1(0) ack 1"],
      [0, "<", "P. 1:11(10) ack 1"], [0, ">", ". 2:2(0) ack 11"],
      [0, "<", ". 11:11(0) ack 2"], [0, "<", "P. 11:21(10) ack 2"], [0, ">", ". 2:2(0) ack 21"],
      [1, "<", "FP. 21:31(10) ack 2"], [0, ">", ". 2:2(0) ack 32"], WAITS,
    ],
  },
  {
    name: "FINs that cross lead to CLOSING, where nothing is taken, and then to TIME-WAIT (RFC 9293 §3.6)",
    pongdOnly: true,
    rows: [
      ...OPEN, CLOSING, [0.001, "~", "F. 1:1(0) ack 1"],
      [0, "<", "F. 1:1(0) ack 1"], [0, ">", ". 2:2(0) ack 2"],
      [0, "<", "P. 2:12(10) ack 1"], [0, ">", ". 2:2(0) ack 2"],
      [0.3, "~", "F. 1:1(0) ack 2"], [0, "<", ". 2:2(0) ack 2"], WAITS, [0.1, "-"],
      [0, "<", "F. 1:1(0) ack 2"], [0, ">", ". 2:2(0) ack 2"], WAITS,
    ],
  },
  {
    name: "a FIN that acknowledges FIN leads from FIN-WAIT-1 to TIME-WAIT at once (RFC 9293 §3.10.7.4)",
    pongdOnly: true,
    rows: [
      ...OPEN, CLOSING, [0.001, "~", "F. 1:1(0) ack 1"], [0, "<", "F. 1:1(0) ack 2"], [0, ">", ". 2:2(0) ack 2"], WAITS,
    ],
  },
  {
    name: "FIN-WAIT-2 ends by a reset after 60 s, whatever the peer sends",
    pongdOnly: true,
    rows: [
      ...OPEN, CLOSING, [0.001, "~", "F. 1:1(0) ack 1"], [0, "<", ". 1:1(0) ack 2"],
      [20, "<", "P. 1:11(10) ack 2"], [0, ">", ". 2:2(0) ack 11"],
      [20, "<", "P. 11:21(10) ack 2"], [0, ">", ". 2:2(0) ack 21"], [20, ">", "R. 2:2(0) ack 21"],
    ],
  },
];
