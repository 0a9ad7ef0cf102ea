/** Scripts of the services: RFC 862, RFC 863, RFC 864, and those that are pongd's own. */
import { BANNER, PORTS, REPLY } from "../../support/tcphost.js";
import { chargenByte } from "../../support/tcpscenario.js";
import type { Script } from "../../support/tcpscript.js";
import { alive, gone, OPEN } from "./rows.js";

const b = BANNER.length;
const r = REPLY.length;

export const SERVICES: readonly Script[] = [
  {
    name: "echo sends back what came",
    rows: [
      ...OPEN, [0, "<", "P. 1:11(10) ack 1"], [0, ">", "P. 1:11(10) ack 11"], [0, "<", "P. 11:1011(1000) ack 11"],
      [0, ">", "P. 11:1011(1000) ack 1011"], [0, "<", ". 1011:1011(0) ack 1011"],
    ],
  },
  {
    name: "discard takes anything and sends nothing",
    port: PORTS.discard, pongdOnly: true,
    rows: [
      ...OPEN, [0, "<", [". 1:1001(1000) ack 1", ". 1001:2001(1000) ack 1"]], [0, ">", ". 1:1(0) ack 2001"],
      [0, "<", "F. 2001:2001(0) ack 1"], [0, ">", "F. 1:1(0) ack 2002"],
    ],
  },
  {
    name: "chargen sends its lines as far as the window goes",
    port: PORTS.chargen, stream: chargenByte,
    rows: [
      ...OPEN.slice(0, 2), [0, "<", ". 1:1(0) ack 1 win 2000"], [0, ">", "p. 1:1001(1000) ack 1"],
      [0, ">", "p. 1001:2001(1000) ack 1"], [0, "<", ". 1:1(0) ack 2001 win 2000"],
      [0, ">", "p. 2001:3001(1000) ack 1"],
      [0, ">", "p. 3001:4001(1000) ack 1"],
    ],
  },
  {
    name: "a banner is sent when the connection is accepted",
    port: PORTS.banner,
    rows: [
      ...OPEN, [0, ">", `P. 1:${1 + b}(${b}) ack 1 ${JSON.stringify(BANNER.toString())}`],
      [0, "<", `P. 1:11(10) ack ${1 + b}`],
      [0.499, "~", `. ${1 + b}:${1 + b}(0) ack 11`],
      [0, "<", `F. 11:11(0) ack ${1 + b}`], [0, ">", `F. ${1 + b}:${1 + b}(0) ack 12`],
      [0, "<", `. 12:12(0) ack ${2 + b}`], ...gone(12, 2 + b),
    ],
  },
  {
    name: "a reply is sent for each end of a request, also where it comes in pieces",
    port: PORTS.reply,
    rows: [
      ...OPEN,
      [0, "<", "P. 1:19(18) ack 1 \"GET / HTTP/1.0\\r\\n\\r\\n\""],
      [0, ">", `P. 1:${1 + r}(${r}) ack 19 ${JSON.stringify(REPLY.toString())}`],
      [0, "<", `P. 19:22(3) ack ${1 + r} "a\\r\\n"`],
      [0.499, "~", `. ${1 + r}:${1 + r}(0) ack 22`],
      [0, "<", `P. 22:24(2) ack ${1 + r} "\\r\\n"`],
      [0, ">", `P. ${1 + r}:${1 + 2 * r}(${r}) ack 24 ${JSON.stringify(REPLY.toString())}`],
      [0, "<", `. 24:24(0) ack ${1 + 2 * r}`],
    ],
  },
  {
    name: "a reply is sent twice for two requests in one segment",
    port: PORTS.reply, pongdOnly: true,
    rows: [
      ...OPEN,
      [0, "<", "P. 1:11(10) ack 1 \"a\\r\\n\\r\\nb\\r\\n\\r\\n\""],
      [0, ">", `P. 1:${1 + 2 * r}(${2 * r}) ack 11 ${JSON.stringify(REPLY.toString().repeat(2))}`],
    ],
  },
  {
    name: "a reply finds an end of a request in what came out of order, behind more than a page",
    port: PORTS.reply,
    rows: [
      ...OPEN,
      [0, "<", "P. 5001:5014(13) ack 1 \"GET /\\r\\n\\r\\nabcd\""],
      [0, ">", ". 1:1(0) ack 1"],
      [0, "<", Array.from({ length: 5 }, (_, i) => `P. ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1`)],
      [0, ">", `P. 1:${1 + r}(${r}) ack 5014 ${JSON.stringify(REPLY.toString())}`],
    ],
    pongdOnly: true,
  },
  {
    name: "a tarpit accepts, and then takes nothing",
    port: PORTS.tarpit, pongdOnly: true,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 1"],
      [0, "<", ". 1:1(0) ack 1"],
      [0.1, "-"],
      ...alive(1, 1),
    ],
  },
  {
    name: "a small answer goes at once, whatever is in flight: Nagle's algorithm is off (RFC 9293 §3.7.4, MUST-17)",
    pongdOnly: true,
    rows: [
      ...OPEN, [0, "<", "P. 1:11(10) ack 1"], [0, ">", "P. 1:11(10) ack 11"], [0, "<", "P. 11:12(1) ack 1"],
      [0, ">", "P. 11:12(1) ack 12"], [0, "<", "P. 12:15(3) ack 1"], [0, ">", "P. 12:15(3) ack 15"],
    ],
  },
  {
    name: "what is sent has a TTL of 64 and nothing in its type of service, whatever the peer's (RFC 9293 §3.9.2)",
    rows: [
      [0, "<", "S 0:0(0) <mss 1000> {ttl 33,tos 72}"], [0, ">", "S. 0:0(0) ack 1 {ttl 64,tos 0}"],
      [0, "<", ". 1:1(0) ack 1 {ttl 33,tos 72}"],
      [0, "<", "P. 1:11(10) ack 1 {ttl 33,tos 72}"], [0, ">", "P. 1:11(10) ack 11 {ttl 64,tos 0}"],
      [0, "<", ". 0:0(0) ack 11 {ttl 33,tos 72}"], [0, ">", ". 11:11(0) ack 11 {ttl 64,tos 0}"],
      [0, "<", "F. 11:11(0) ack 11 {ttl 33,tos 72}"], [0, ">", "F. 11:11(0) ack 12 {ttl 64,tos 0}"],
      [0, "<", ". 12:12(0) ack 12 {ttl 33,tos 72}"],
      [0, "<", ". 12:12(0) ack 12 {ttl 33}"], [0, ">", "R 12:12(0) {ttl 64,tos 0}"],
    ],
  },
  {
    name: "a reset has nothing in its type of service, whatever it answers",
    rows: [[0, "<", ". 1:1(0) ack 5 {tos 72}"], [0, ">", "R 5:5(0) {tos 0}"]],
  },
];
