/** Scripts of damage: RFC 9293 §3.1. */
import { PORTS } from "../../support/tcphost.js";
import type { Script } from "../../support/tcpscript.js";
import { alive, OPEN } from "./rows.js";

const port = PORTS.discard;

export const CHECKSUM: readonly Script[] = [
  {
    name: "a segment with a wrong checksum is dropped, whatever it is (MUST-3)",
    port,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000> {bad 1}"], [0.1, "-"], ...OPEN, [0, "<", "P. 1:11(10) ack 1 {bad 256}"],
      [0, "<", "R 1:1(0) {bad 65534}"], [0, "<", "F. 1:1(0) ack 1 {bad 2}"], [0.1, "-"], ...alive(1, 1),
    ],
  },
  {
    name: "a closed port answers nothing that has a wrong checksum (MUST-3)",
    port: PORTS.refuse,
    rows: [[0, "<", "S 0:0(0) {bad 1}"], [0.1, "-"]],
  },
  {
    name: "what is sent has a right checksum, with an odd number of bytes too (MUST-2)",
    rows: [
      ...OPEN, [0, "<", "P. 1:2(1) ack 1"], [0, ">", "P. 1:2(1) ack 2"], [0, "<", "P. 2:5(3) ack 2"],
      [0, ">", "P. 2:5(3) ack 5"], [0, "<", "P. 5:1004(999) ack 5"], [0, ">", "P. 5:1004(999) ack 1004"],
    ],
  },
  {
    name: "a data offset below 5 or behind the segment is dropped",
    port,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000> {offset 4}"], [0, "<", "S 0:0(0) <mss 1000> {offset 0}"],
      [0, "<", "S 0:0(0) <mss 1000> {offset 15}"], [0, "<", "S 0:0(0) <mss 1000> {offset 7}"], [0.1, "-"], ...OPEN,
    ],
  },
];
