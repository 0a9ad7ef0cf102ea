/** Scripts of receiving and acknowledging: RFC 9293 §3.8.6.3, §3.10.7.4; RFC 5681 §4.2; RFC 2018. */
import { PORTS } from "../../support/tcphost.js";
import type { Row, Script } from "../../support/tcpscript.js";
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
    name: "a segment of 536 bytes counts as full: the way here may have no room for more (SHLD-19)",
    port,
    rows: [
      ...OPEN, [0, "<", [". 1:537(536) ack 1", ". 537:1073(536) ack 1"]], [0, ">", ". 1:1(0) ack 1073"],
      [0, "<", [". 1073:1608(535) ack 1", ". 1608:2143(535) ack 1"]], [0.04, ">", ". 1:1(0) ack 2143"],
    ],
    pongdOnly: true,
  },
  {
    name: "an acknowledgement waits 40 ms, and what comes meanwhile does not put it off (MUST-40)",
    port,
    rows: [
      ...OPEN, [0, "<", ". 1:11(10) ack 1"], [0.03, "<", ". 11:21(10) ack 1"], [0.01, ">", ". 1:1(0) ack 21"],
      [0, "<", ". 21:1021(1000) ack 1"], [0.04, ">", ". 1:1(0) ack 1021"],
      [0, "<", ". 1021:2021(1000) ack 1"], [0.04, ">", ". 1:1(0) ack 2021"],
    ],
    pongdOnly: true,
  },
  {
    name: "a mark of congestion is told at once (RFC 3168 §6.1.3)",
    port,
    rows: [
      [0, "<", "SEW 0:0(0) <mss 1000>"], [0, ">", "SE. 0:0(0) ack 1"], [0, "<", ". 1:1(0) ack 1"],
      [0, "<", ". 1:11(10) ack 1 {tos 3}"], [0, ">", "E. 1:1(0) ack 11"],
    ],
    pongdOnly: true,
  },
  {
    name: "an older segment than that which the window is from does not change it (RFC 9293 §3.10.7.4)",
    port: PORTS.chargen,
    rows: [
      [0, "<", "S 0:0(0) win 0 <mss 1000>"], [0, ">", "S. 0:0(0) ack 1"], [0, "<", ". 1:1(0) ack 1 win 0"],
      [0, "<", "P. 11:21(10) ack 1 win 0"], [0, ">", ". 1:1(0) ack 1"],
      [0, "<", "P. 1:11(10) ack 1 win 1000"], [0, ">", ". 1:1(0) ack 21"],
    ],
    pongdOnly: true,
  },
  {
    name: "four pieces that came early are kept, and a fifth only if it joins one (RFC 2018 §4)",
    port,
    rows: [
      ...SACKED,
      ...[101, 301, 501].map((first): Row => [0, "<", `. ${first}:${first + 10}(10) ack 1`]).flatMap(
        (row, i): Row[] => [row, [0, ">", `. 1:1(0) ack 1 <sack ${["501:511", "301:311", "101:111"].slice(2 - i).join(" ")}>`]],
      ),
      [0, "<", ". 701:711(10) ack 1"], [0, ">", ". 1:1(0) ack 1 <sack 701:711 501:511 301:311 101:111>"],
      [0, "<", ". 901:911(10) ack 1"], [0, ">", ". 1:1(0) ack 1 <sack 701:711 501:511 301:311 101:111>"],
      [0, "<", ". 311:321(10) ack 1"], [0, ">", ". 1:1(0) ack 1 <sack 301:321 701:711 501:511 101:111>"],
    ],
    pongdOnly: true,
  },
  {
    name: "beside timestamps there is room for three pieces (RFC 2018 §3)",
    port,
    rows: [
      ...opened("mss 1000,sackOK,TS val 100 ecr 0"),
      [0, "<", [101, 301, 501, 701].map((first) => `. ${first}:${first + 10}(10) ack 1 <TS val 100 ecr last>`)],
      [0, ">", ". 1:1(0) ack 1 <TS val * ecr 100,sack 701:711 501:511 301:311>"],
    ],
    pongdOnly: true,
  },
  {
    name: "a peer with a small MSS is told by SACK, too",
    port,
    rows: [
      ...opened("mss 100,sackOK"), [0, "<", ". 101:111(10) ack 1"], [0, ">", ". 1:1(0) ack 1 <sack 101:111>"],
    ],
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
