/** Scripts of receiving and acknowledging: RFC 9293 §3.8.6.3, §3.10.7.4; RFC 5681 §4.2; RFC 2018. */
import { PORTS } from "../../support/tcphost.js";
import type { Script } from "../../support/tcpscript.js";
import { OPEN, opened } from "./rows.js";

const port = PORTS.discard;
const SACKED = opened("mss 1000,sackOK");

export const ACKS: readonly Script[] = [
  {
    name: "an acknowledgement waits for a little while, and less than 0.5 s (MUST-40, SHLD-18)",
    port,
    rows: [...OPEN, [0, "<", ". 1:101(100) ack 1"], [0.499, "~", ". 1:1(0) ack 101"]],
  },
  {
    name: "every second full segment is acknowledged at once (SHLD-19)",
    port,
    rows: [...OPEN, [0, "<", [". 1:1001(1000) ack 1", ". 1001:2001(1000) ack 1"]], [0, ">", ". 1:1(0) ack 2001"]],
    pongdOnly: true,
  },
  {
    name: "all that is queued is processed before one acknowledgement is sent (MUST-58, MUST-59)",
    port, pongdOnly: true,
    rows: [
      ...OPEN,
      [0, "<", Array.from({ length: 10 }, (_, i) => `. ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1`)],
      [0, ">", ". 1:1(0) ack 10001"],
      [0.6, "-"],
    ],
  },
  {
    name: "what comes out of order is acknowledged at once and kept (SHLD-31, MAY-13)",
    port,
    rows: [
      ...OPEN, [0, "<", ". 101:201(100) ack 1"], [0, ">", ". 1:1(0) ack 1"], [0, "<", ". 201:301(100) ack 1"],
      [0, ">", ". 1:1(0) ack 1"], [0, "<", ". 1:101(100) ack 1"], [0, ">", ". 1:1(0) ack 301"],
    ],
  },
  {
    name: "what comes out of order is told by SACK, the latest first (RFC 2018 §4)",
    port,
    rows: [
      ...SACKED,
      [0, "<", ". 101:201(100) ack 1"], [0, ">", ". 1:1(0) ack 1 <sack 101:201>"],
      [0, "<", ". 301:401(100) ack 1"], [0, ">", ". 1:1(0) ack 1 <sack 301:401 101:201>"],
      [0, "<", ". 501:601(100) ack 1"], [0, ">", ". 1:1(0) ack 1 <sack 501:601 301:401 101:201>"],
      [0, "<", ". 401:501(100) ack 1"], [0, ">", ". 1:1(0) ack 1 <sack 301:601 101:201>"],
      [0, "<", ". 1:101(100) ack 1"], [0, ">", ". 1:1(0) ack 201 <sack 301:601>"],
      [0, "<", ". 201:301(100) ack 1"], [0, ">", ". 1:1(0) ack 601 <>"],
    ],
  },
  {
    name: "an echo sends what closes a gap and what had come behind it",
    rows: [
      ...OPEN, [0, "<", "P. 11:21(10) ack 1"], [0, ">", ". 1:1(0) ack 1"], [0, "<", "P. 1:11(10) ack 1"],
      [0, ">", "P. 1:21(20) ack 21"], [0, "<", ". 21:21(0) ack 21"],
    ],
  },
  {
    name: "what came already is acknowledged at once",
    port,
    rows: [
      ...OPEN, [0, "<", "P. 1:11(10) ack 1"], [0.499, "~", ". 1:1(0) ack 11"],
      [0, "<", "P. 1:11(10) ack 1"], [0, ">", ". 1:1(0) ack 11"],
    ],
  },
  {
    name: "of a segment that came in part, the rest is taken",
    rows: [
      ...OPEN, [0, "<", "P. 1:11(10) ack 1"], [0, ">", "P. 1:11(10) ack 11"], [0, "<", "P. 6:21(15) ack 11"],
      [0, ">", "P. 11:21(10) ack 21"],
    ],
  },
  {
    name: "ranges that overlap are one",
    rows: [
      ...OPEN, [0, "<", ". 11:31(20) ack 1"], [0, ">", ". 1:1(0) ack 1"], [0, "<", ". 21:41(20) ack 1"],
      [0, ">", ". 1:1(0) ack 1"], [0, "<", "P. 1:21(20) ack 1"], [0, ">", "P. 1:41(40) ack 41"],
    ],
  },
  {
    name: "a segment behind the window is acknowledged and dropped",
    port,
    rows: [...OPEN, [0, "<", "P. 9000000:9000010(10) ack 1"], [0, ">", ". 1:1(0) ack 1"]],
  },
  {
    name: "a keepalive of the peer's is answered",
    port,
    rows: [...OPEN, [1, "<", ". 0:0(0) ack 1"], [0, ">", ". 1:1(0) ack 1"]],
  },
  {
    name: "a keepalive of the peer's with a byte is answered",
    port,
    rows: [...OPEN, [1, "<", ". 0:1(1) ack 1"], [0, ">", ". 1:1(0) ack 1"]],
  },
  {
    name: "a segment without ACK is dropped",
    rows: [...OPEN, [0, "<", "P 1:11(10)"], [0, "<", "- 1:11(10)"], [0.1, "-"], [0, "<", "P. 1:11(10) ack 1"],
      [0, ">", "P. 1:11(10) ack 11"]],
  },
  {
    name: "an older acknowledgement than the last is passed over, and its data is taken",
    rows: [
      ...OPEN, [0, "<", "P. 1:11(10) ack 1"], [0, ">", "P. 1:11(10) ack 11"], [0, "<", ". 11:11(0) ack 11"],
      [0, "<", "P. 11:21(10) ack 1"], [0, ">", "P. 11:21(10) ack 21"],
    ],
  },
  {
    name: "urgent data is delivered in line, wherever the pointer points (MUST-30, MUST-31, MUST-62)",
    rows: [
      ...OPEN, [0, "<", "PU. 1:11(10) ack 1 urg 5"], [0, ">", "P. 1:11(10) ack 11"],
      [0, "<", "PU. 11:21(10) ack 11 urg 60000"], [0, ">", "P. 11:21(10) ack 21"],
    ],
    pongdOnly: true,
  },
  {
    name: "PSH has data passed on at once, and what is sent ends with PSH (MUST-60, MUST-61, SHLD-27)",
    rows: [
      ...OPEN, [0, "<", [". 1:501(500) ack 1", "P. 501:1501(1000) ack 1"]], [0, ">", ". 1:1001(1000) ack 1501"],
      [0, ">", "P. 1001:1501(500) ack 1501"],
    ],
    pongdOnly: true,
  },
];
