/** Scripts of how connections begin: RFC 9293 §3.5, §3.10.7.2 to §3.10.7.4; RFC 5961. */
import { PORTS } from "../../support/tcphost.js";
import type { Row, Script } from "../../support/tcpscript.js";
import { alive, gone } from "./rows.js";

export const HANDSHAKE: readonly Script[] = [
  {
    name: "a SYN is answered by a SYN-ACK with an MSS, and the ACK by nothing (SHLD-5, MAY-3, MUST-14, MUST-67)",
    port: PORTS.discard,
    rows: [
      [0, "<", "S 0:0(0) win 1000 <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 1 <mss MSS>"],
      [0, "<", ". 1:1(0) ack 1 win 1000"],
      [0.5, "-"],
      ...alive(1, 1),
    ],
  },
  {
    name: "connections to several addresses of one port are apart, and each is answered from its own "
      + "(MUST-41, MUST-42, MUST-45)",
    port: PORTS.discard,
    rows: [
      [0, "<", "@1 S 0:0(0) <mss 1000>"],
      [0, ">", "@1 S. 0:0(0) ack 1"],
      [0, "<", "@2 S 0:0(0) <mss 1000>"],
      [0, ">", "@2 S. 0:0(0) ack 1"],
      [0, "<", "@2 . 1:1(0) ack 1"],
      [0, "<", "@3 S 0:0(0) <mss 1000>"],
      [0, ">", "@3 S. 0:0(0) ack 1"],
      [0, "<", "@1 R 1:1(0)"],
      [0, "<", "@3 . 1:1(0) ack 1"],
      [0, "<", "@2 . 0:0(0) ack 1"],
      [0, ">", "@2 . 1:1(0) ack 1"],
      [0, "<", "@3 . 0:0(0) ack 1"],
      [0, ">", "@3 . 1:1(0) ack 1"],
    ],
  },
  {
    name: "a SYN that comes again is answered by the same SYN-ACK",
    port: PORTS.discard,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 1"],
      [0.01, "<", "S 0:0(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 1 <mss MSS>"],
      [0, "<", ". 1:1(0) ack 1"],
      ...alive(1, 1),
    ],
  },
  {
    name: "an older SYN is answered by the SYN-ACK of the one that is known (RFC 9293 §3.10.7.4)",
    port: PORTS.discard,
    rows: [
      [0, "<", "S 100:100(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 101"],
      [0.6, "<", "S 0:0(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 101"],
      [0, "<", ". 101:101(0) ack 1"],
      ...alive(101, 1).map((row): Row => row[1] === "<" ? [0, "<", ". 100:100(0) ack 1"] : row),
    ],
    pongdOnly: true,
  },
  ...["SE", "SW"].map((flags): Script => ({
    name: `a SYN with ${flags.slice(1)} alone does not ask for ECN (RFC 3168 §6.1.1)`,
    port: PORTS.discard,
    rows: [[0, "<", `${flags} 0:0(0) <mss 1000>`], [0, ">", "S. 0:0(0) ack 1"]],
  })),
  {
    name: "data on the acknowledgement of the handshake is taken",
    rows: [
      [0, "<", "S 0:0(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 1"],
      [0, "<", "P. 1:11(10) ack 1"],
      [0, ">", "P. 1:11(10) ack 11"],
      [0, "<", ". 11:11(0) ack 11"],
    ],
  },
  {
    name: "a lost acknowledgement of the handshake is made good by data",
    rows: [
      [0, "<", "S 0:0(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 1"],
      [0.3, "<", "P. 1:11(10) ack 1"],
      [0, ">", "P. 1:11(10) ack 11"],
      [0, "<", ". 11:11(0) ack 11"],
    ],
  },
  {
    name: "data on a SYN is not acknowledged, and is taken when it comes again",
    rows: [
      [0, "<", "S 0:10(10) <mss 1000> \"0123456789\""],
      [0, ">", "S. 0:0(0) ack 1"],
      [0, "<", "P. 1:11(10) ack 1 \"0123456789\""],
      [0, ">", "P. 1:11(10) ack 11 \"0123456789\""],
      [0, "<", ". 11:11(0) ack 11"],
    ],
  },
  {
    name: "a RST at its sequence number ends a connection in SYN-RECEIVED, and the port listens on (MUST-11)",
    port: PORTS.discard,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 1"],
      [0, "<", "R 1:1(0)"],
      [0.1, "-"],
      [0, "?", (player) => { player.forget(); }],
      [0, "<", "S 0:0(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 1"],
      [0, "<", ". 1:1(0) ack 1"],
      ...alive(1, 1),
    ],
  },
  {
    name: "a RST before the window does nothing in SYN-RECEIVED",
    port: PORTS.discard,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 1"],
      [0, "<", "R 0:0(0)"],
      [0, "<", ". 1:1(0) ack 1"],
      ...alive(1, 1),
    ],
  },
  ...[2, 100].map((ack): Script => ({
    name: `an acknowledgement of ${ack}, which was not sent, is answered by a reset in SYN-RECEIVED, and no more`,
    port: PORTS.discard,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 1"],
      [0, "<", `. 1:1(0) ack ${ack}`],
      [0, ">", `R ${ack}:${ack}(0)`],
      [0, "<", ". 1:1(0) ack 1"],
      ...alive(1, 1),
    ],
  })),
  {
    name: "an acknowledgement before there is a connection is answered by a reset at the port that listens",
    port: PORTS.discard,
    rows: gone(1, 1234),
  },
  ...["SF", "SR", "SRF."].map((flags): Script => ({
    name: `a segment with ${flags} opens nothing, and a later SYN is answered`,
    port: PORTS.discard,
    rows: [
      [0, "<", `${flags} 0:0(0)${flags.includes(".") ? " ack 5" : ""}`],
      [0.1, "<", "S 0:0(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 1"],
    ],
  })),
  ...["F", "-", "FPU"].map((flags): Script => ({
    name: `a segment with ${flags === "-" ? "no flags" : flags} to a port that listens is dropped`,
    port: PORTS.discard,
    rows: [
      [0, "<", `${flags} 0:0(0)`],
      [0.1, "<", "S 0:0(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 1"],
    ],
  })),
  ...["SP", "SU", "SPU"].map((flags): Script => ({
    name: `a SYN with ${flags.slice(1)} is a SYN`,
    port: PORTS.discard,
    rows: [
      [0, "<", `${flags} 0:0(0) <mss 1000>`],
      [0, ">", "S. 0:0(0) ack 1"],
    ],
  })),
  {
    name: "a SYN with reserved bits is a SYN",
    port: PORTS.discard,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000> {reserved 14}"],
      [0, ">", "S. 0:0(0) ack 1"],
    ],
  },
  {
    name: "a FIN with the acknowledgement of the handshake closes the connection",
    port: PORTS.discard,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 1"],
      [0, "<", "F. 1:1(0) ack 1"],
      [0, ">", "F. 1:1(0) ack 2"],
      [0, "<", ". 2:2(0) ack 2"],
      ...gone(2, 2),
    ],
  },
  {
    name: "a SYN-ACK is sent again after 1, 2 and 4 s (MUST-22, MUST-19)",
    port: PORTS.discard,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 1"],
      [1, ">", "S. 0:0(0) ack 1 <mss MSS>"],
      [2, ">", "S. 0:0(0) ack 1 <mss MSS>"],
      [4, ">", "S. 0:0(0) ack 1 <mss MSS>"],
      [0, "<", ". 1:1(0) ack 1"],
      ...alive(1, 1),
    ],
  },
  {
    name: "the acknowledgement of a handshake need not have timestamps",
    rows: [
      [0, "<", "S 0:0(0) <mss 1000,sackOK,TS val 100 ecr 0,wscale 7>"],
      [0, ">", "S. 0:0(0) ack 1 <mss MSS,sackOK,TS val 0 ecr 100,wscale *>"],
      [0, "<", ". 1:1(0) ack 1"],
      [0.01, "<", "P. 1:11(10) ack 1 <TS val 110 ecr 0>"],
      [0, ">", "P. 1:11(10) ack 11 <TS val * ecr 110>"],
    ],
  },
  {
    name: "a SYN to a multicast or broadcast address is dropped (MUST-57)",
    only: 4,
    pongdOnly: true,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000> {dst e0000001}"],
      [0, "<", "S 0:0(0) <mss 1000> {dst ffffffff}"],
      [1, "-"],
    ],
  },
  {
    name: "a SYN from an address that no host can have is dropped (MUST-63)",
    only: 4,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000> {src e0000001}"],
      [0, "<", "S 0:0(0) <mss 1000> {src ffffffff}"],
      [0, "<", "S 0:0(0) <mss 1000> {src 00000000}"],
      [0, "<", "S 0:0(0) <mss 1000> {src 7f000001}"],
      [1, "-"],
    ],
  },
  {
    name: "a SYN from an IPv6 address that no host can have is dropped (MUST-63)",
    only: 6,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000> {src ff020000000000000000000000000001}"],
      [0, "<", "S 0:0(0) <mss 1000> {src 00000000000000000000000000000000}"],
      [0, "<", "S 0:0(0) <mss 1000> {src 00000000000000000000000000000001}"],
      [1, "-"],
    ],
  },
  {
    name: "IP options that are not understood are ignored (MUST-50)",
    only: 4,
    port: PORTS.discard,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000> {ipopt 9e040000}"],
      [0, ">", "S. 0:0(0) ack 1"],
    ],
  },
];
