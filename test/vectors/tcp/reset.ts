/** Scripts of resets: RFC 9293 §3.5.2, §3.5.3, §3.10.7.1; RFC 5961 §3 and §4. */
import { PORTS } from "../../support/tcphost.js";
import type { Script } from "../../support/tcpscript.js";
import { alive, gone, OPEN, opened } from "./rows.js";

function closed(name: string, segment: string, answer: string): Script {
  return { name, port: PORTS.refuse, rows: [[0, "<", segment], [0, ">", answer]] };
}

export const RESET: readonly Script[] = [
  closed("a closed port answers a SYN by a reset (P-2)",
    "S 0:0(0) <mss 1000,sackOK,TS val 1 ecr 0>", "R. 0:0(0) ack 1 <>"),
  closed("a closed port's reset acknowledges a SYN's data", "S 0:10(10)", "R. 0:0(0) ack 11"),
  closed("a closed port answers an acknowledgement by a reset at its number", ". 1:1(0) ack 1234", "R 1234:1234(0) <>"),
  closed("a closed port answers data by a reset at its number", "P. 1:11(10) ack 77", "R 77:77(0)"),
  closed("a closed port answers a FIN without ACK by a reset", "F 5:5(0)", "R. 0:0(0) ack 6"),
  closed("a closed port answers a segment without flags by a reset", "- 5:15(10)", "R. 0:0(0) ack 15"),
  closed("a closed port answers a SYN-ACK by a reset", "S. 0:0(0) ack 4321", "R 4321:4321(0)"),
  closed("a closed port's reset counts SYN and FIN", "SF 0:0(0)", "R. 0:0(0) ack 2"),
  {
    name: "no reset answers a reset",
    port: PORTS.refuse,
    rows: [
      [0, "<", "R 0:0(0)"], [0, "<", "R. 0:0(0) ack 5"], [0, "<", "SR 0:0(0)"], [0, "<", "R 0:10(10)"], [0.2, "-"],
    ],
  },
  {
    name: "a silent port answers nothing",
    port: PORTS.silent,
    pongdOnly: true,
    rows: [[0, "<", "S 0:0(0) <mss 1000>"], [0, "<", ". 1:1(0) ack 1"], [1, "-"]],
  },
  {
    name: "a RST at the next number ends a connection, and is not answered",
    port: PORTS.discard,
    rows: [...OPEN, [0, "<", "R 1:1(0)"], [0.1, "-"], ...gone(1, 1)],
  },
  {
    name: "a RST with data at the next number ends a connection (SHLD-2)",
    port: PORTS.discard,
    rows: [...OPEN, [0, "<", "R 1:10(9) \"no memory\""], [0.1, "-"], ...gone(1, 1)],
  },
  {
    name: "a RST elsewhere in the window is challenged, and the one that follows the challenge ends it (P-3, "
      + "RFC 5961 §3.2)",
    port: PORTS.discard,
    rows: [
      ...OPEN, [0, "<", "R 2:2(0)"], [0, ">", ". 1:1(0) ack 1"], [0.1, "-"], [0, "<", "R 1:1(0)"], ...gone(1, 1),
    ],
  },
  {
    name: "a RST outside of the window is dropped (RFC 5961 §3.2)",
    port: PORTS.discard,
    rows: [...OPEN, [0, "<", "R 0:0(0)"], [0, "<", "R 2000000:2000000(0)"], [0.1, "-"], ...alive(1, 1)],
  },
  {
    name: "a RST whose data came already is outside of the window (RFC 9293 §3.10.7.4)",
    port: PORTS.discard,
    rows: [...OPEN, [0, "<", "R 0:1(1)"], [0.1, "-"], ...alive(1, 1)],
    pongdOnly: true,
  },
  {
    name: "a SYN in a connection is challenged, wherever it is (P-4, RFC 5961 §4.2)",
    port: PORTS.discard,
    rows: [
      ...OPEN, [0, "<", "S 1:1(0)"], [0, ">", ". 1:1(0) ack 1"], [0.6, "<", "S 5000000:5000000(0)"],
      [0, ">", ". 1:1(0) ack 1"], [0.6, "<", "S. 0:0(0) ack 1"], [0, ">", ". 1:1(0) ack 1"],
    ],
  },
  {
    name: "challenges are limited to one in half a second for each connection (P-6, RFC 5961 §7)",
    port: PORTS.discard,
    rows: [
      ...OPEN,
      [0, "<", "R 2:2(0)"],
      [0, ">", ". 1:1(0) ack 1"],
      [0.2, "<", "R 2:2(0)"],
      [0.1, "<", "S 1:1(0)"],
      [0, "<", "S 0:0(0)"],
      [0.4, "<", "R 2:2(0)"],
      [0, ">", ". 1:1(0) ack 1"],
    ],
  },
  {
    name: "a RST in CLOSE-WAIT or LAST-ACK ends it",
    port: PORTS.discard,
    rows: [...OPEN, [0, "<", "F. 1:1(0) ack 1"], [0, ">", "F. 1:1(0) ack 2"], [0, "<", "R 2:2(0)"], ...gone(2, 1)],
  },
  {
    name: "URG and RST count in a window of zero, too (MUST-66)",
    port: PORTS.discard,
    pongdOnly: true,
    rows: [...OPEN, [0, "<", "RU 1:1(0) urg 5"], ...gone(1, 1)],
  },
  {
    name: "an acknowledgement of what was never sent is answered by one, and no more (RFC 9293 §3.10.7.4)",
    port: PORTS.discard,
    rows: [...OPEN, [0, "<", "P. 1:11(10) ack 1000"], [0, ">", ". 1:1(0) ack 1"]],
  },
  {
    name: "an acknowledgement far in the past is challenged, and dropped with its data (P-5, MAY-12, RFC 5961 §5.2)",
    port: PORTS.discard,
    rows: [
      ...OPEN, [0, "?", (player) => { player.flow(1).isn = (player.flow(1).isn ?? 0) - 3_000_000 >>> 0; }],
      [0, "<", "P. 1:11(10) ack 1"],
      [0, ">", ". 3000001:3000001(0) ack 1"],
    ],
    pongdOnly: true,
  },
  {
    name: "an acknowledgement is too old if it is further back than the largest window (RFC 5961 §5.2)",
    port: PORTS.discard,
    rows: [
      ...opened("mss 1000", 1000),
      [0, "?", (player) => { player.flow(1).isn = (player.flow(1).isn ?? 0) - 1000 >>> 0; }],
      [0, "<", "P. 1:11(10) ack 1 win 1000"], [0, ">", ". 1001:1001(0) ack 11"],
      [0, "?", (player) => { player.flow(1).isn = (player.flow(1).isn ?? 0) - 1 >>> 0; }],
      [0, "<", "P. 11:21(10) ack 1 win 1000"], [0, ">", ". 1002:1002(0) ack 11"],
    ],
    pongdOnly: true,
  },
];
