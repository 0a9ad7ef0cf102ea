/** Scripts of options and the MSS: RFC 9293 §3.2, §3.7.1; RFC 7323; RFC 2018; RFC 6691. */
import { PORTS, type Family } from "../../support/tcphost.js";
import { chargenByte } from "../../support/tcpscenario.js";
import type { Row, Script } from "../../support/tcpscript.js";
import { alive, opened } from "./rows.js";

/** Opens a connection whose SYN has these options as they lie in its header. */
function raw(name: string, bytes: string): Script {
  return {
    name, port: PORTS.discard,
    rows: [
      [0, "<", `S 0:0(0) <raw ${bytes}>`],
      [0, ">", "S. 0:0(0) ack 1"],
      [0, "<", ". 1:1(0) ack 1"],
      ...alive(1, 1),
    ],
  };
}

/** Shows the size of what chargen sends to a peer that said this. */
function sends(name: string, syn: string, size: number, only?: Family): Script {
  const ts = syn.includes("TS");
  return {
    name, port: PORTS.chargen, stream: chargenByte, ...only === undefined ? {} : { only },
    rows: [
      [0, "<", syn],
      [0, ">", "S. 0:0(0) ack 1"],
      [0, "<", `. 1:1(0) ack 1 win ${2 * size}${ts ? " <TS val 101 ecr last>" : ""}`],
      [0, ">", `p. 1:${1 + size}(${size}) ack 1`],
      [0, ">", `p. ${1 + size}:${1 + 2 * size}(${size}) ack 1`],
    ],
  };
}

const TIMESTAMPED: readonly Row[] = opened("mss 1000,TS val 100 ecr 0");

export const OPTIONS: readonly Script[] = [
  raw("EOL ends the options (MUST-4)", "020403e800fd0400"),
  raw("NOPs may be anywhere, and options need no alignment (MUST-4, MUST-64)", "01020403e8010101"),
  raw("an option that is unknown is passed over by its length (MUST-6)", "fd06aabbccdd020403e80000"),
  raw("an option of length 0 does no harm (MUST-7)", "fd00000000000000"),
  raw("an option of length 1 does no harm (MUST-7)", "fd01020403e80000"),
  raw("an option longer than the header does no harm (MUST-7)", "020403e8fd280000"),
  raw("an MSS of the wrong length does no harm (MUST-7)", "020503e800000000"),
  raw("an option whose length is cut off does no harm (MUST-7)", "010101fd"),
  raw("a header may have 40 bytes of options", "020403e8" + "01".repeat(36)),
  {
    name: "options may come in any segment, and those of a SYN mean nothing there (MUST-5, MUST-65)",
    rows: [
      ...opened("mss 1000"),
      [0, "<", "P. 1:11(10) ack 1 <raw 020400640303070104020101fd040000>"],
      [0, ">", "P. 1:11(10) ack 11 <>"],
      [0, "<", ". 11:11(0) ack 11 <raw fd00000000000000>"],
      [0, "<", "P. 11:21(10) ack 11"],
      [0, ">", "P. 11:21(10) ack 21 <>"],
    ],
  },
  sends("without an MSS, segments have 536 bytes in IPv4 (MUST-15)", "S 0:0(0)", 536, 4),
  sends("without an MSS, segments have 1220 bytes in IPv6 (MUST-15)", "S 0:0(0)", 1220, 6),
  sends("segments are as long as the peer's MSS (MUST-14, MUST-16, SHLD-28)", "S 0:0(0) <mss 1000>", 1000),
  sends("an MSS beyond the link's is no longer than the link allows (MUST-16)", "S 0:0(0) <mss 9000>", 1460, 4),
  sends("an MSS beyond the link's is no longer than the link allows in IPv6 (MUST-16)", "S 0:0(0) <mss 9000>", 1440, 6),
  sends("an MSS below 88 counts as 88", "S 0:0(0) <mss 20>", 88),
  sends("behind an option of length 1, nothing is read (MUST-7)", "S 0:0(0) <raw fd01020403e80000>", 536, 4),
  sends("timestamps take from a segment's data (MUST-16)", "S 0:0(0) <mss 1000,TS val 100 ecr 0>", 988),
  {
    name: "what a SYN does not offer, the SYN-ACK does not have",
    port: PORTS.discard,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000>"],
      [0, ">", "S. 0:0(0) ack 1 <mss MSS>"],
    ],
  },
  {
    name: "what a SYN offers, the SYN-ACK has",
    port: PORTS.discard,
    rows: [
      [0, "<", "S 0:0(0) <mss 1000,sackOK,TS val 7 ecr 0,wscale 3>"],
      [0, ">", "S. 0:0(0) ack 1 <mss MSS,sackOK,TS val 0 ecr 7,wscale *>"],
      [0.01, "<", ". 1:1(0) ack 1 <TS val 17 ecr 0>"],
    ],
  },
  ...[["scale", "03040700"], ["timestamps", "080c0000000700000000" + "0000"], ["SACK permitted", "04030000"]].map(
    ([what, bytes]): Script => ({
      name: `${what} of the wrong length is none (MUST-7)`,
      port: PORTS.discard,
      rows: [[0, "<", `S 0:0(0) <raw 020403e8${bytes}>`], [0, ">", "S. 0:0(0) ack 1 <mss MSS>"]],
      pongdOnly: true,
    })),
  ...["sackOK", "wscale 2", "TS val 7 ecr 0"].map((option): Script => ({
    name: `${option.split(" ")[0]} alone is answered alone`,
    port: PORTS.discard,
    rows: [
      [0, "<", `S 0:0(0) <mss 1000,${option}>`],
      [0, ">", `S. 0:0(0) ack 1 <mss MSS,${option.startsWith("wscale")
        ? "wscale *"
        : option.startsWith("TS")
          ? "TS val 0 ecr 7"
          : option}>`],
    ],
  })),
  {
    name: "the peer's window is scaled but on a SYN",
    port: PORTS.chargen, stream: chargenByte,
    rows: [
      [0, "<", "S 0:0(0) win 100 <mss 1000,wscale 3>"],
      [0, ">", "S. 0:0(0) ack 1"],
      [0, "<", ". 1:1(0) ack 1 win 250"],
      [0, ">", "p. 1:1001(1000) ack 1"],
      [0, ">", "p. 1001:2001(1000) ack 1"],
    ],
  },
  {
    name: "a shift beyond 14 counts as 14 (RFC 7323 §2.3)",
    port: PORTS.chargen, stream: chargenByte,
    rows: [
      [0, "<", "S 0:0(0) win 100 <mss 1000,wscale 255>"],
      [0, ">", "S. 0:0(0) ack 1"],
      [0, "<", ". 1:1(0) ack 1 win 0"],
      [0, "<", ". 1:1(0) ack 1 win 1"],
      ...Array.from({ length: 10 }, (_, i): Row => [0, ">", `p. ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1`]),
    ],
    pongdOnly: true,
  },
  {
    name: "a shift of 40 counts as 14, and not as 8 (RFC 7323 §2.3)",
    port: PORTS.chargen, stream: chargenByte,
    rows: [
      [0, "<", "S 0:0(0) win 0 <mss 1000,wscale 40>"],
      [0, ">", "S. 0:0(0) ack 1"],
      [0, "<", ". 1:1(0) ack 1 win 1"],
      ...Array.from({ length: 10 }, (_, i): Row => [0, ">", `p. ${1 + 1000 * i}:${1001 + 1000 * i}(1000) ack 1`]),
    ],
    pongdOnly: true,
  },
  {
    name: "the first timestamp behind the SYN's is echoed, wherever the peer's numbers begin (RFC 7323 §4.3)",
    isn: 5000,
    rows: [
      ...TIMESTAMPED.slice(0, 2),
      [0, "<", "P. 1:11(10) ack 1 <TS val 120 ecr last>"],
      [0, ">", "P. 1:11(10) ack 11 <TS val * ecr 120>"],
    ],
  },
  {
    name: "a timestamp is echoed, and the next one is the clock's in milliseconds",
    rows: [
      ...TIMESTAMPED,
      [1, "<", "P. 1:11(10) ack 1 <TS val 200 ecr last>"],
      [0, ">", "P. 1:11(10) ack 11 <TS val 1000 ecr 200>"],
      [0.1, "<", ". 11:11(0) ack 11 <TS val 201 ecr last>"],
      [0.4, "<", "P. 11:21(10) ack 11 <TS val 202 ecr last>"],
      [0, ">", "P. 11:21(10) ack 21 <TS val 1500 ecr 202>"],
    ],
    pongdOnly: true,
  },
  {
    name: "PAWS: a segment with an older timestamp is answered by an acknowledgement and dropped (P-11, RFC 7323 §5.3)",
    port: PORTS.discard,
    rows: [
      ...TIMESTAMPED,
      [0.02, "<", "P. 1:11(10) ack 1 <TS val 50 ecr last>"],
      [0, ">", ". 1:1(0) ack 1 <TS val * ecr 100>"],
    ],
  },
  {
    name: "PAWS: a RST with an older timestamp is a RST (RFC 7323 §5.2)",
    port: PORTS.discard,
    rows: [
      ...TIMESTAMPED,
      [0, "<", "R. 1:1(0) ack 1 <TS val 50 ecr last>"],
      [0, "<", ". 1:1(0) ack 1 <TS val 101 ecr last>"],
      [0, ">", "R 1:1(0)"],
    ],
  },
  {
    name: "a segment whose acknowledgement cannot be leaves its timestamp unused (RFC 7323 §4.3, RFC 9293 §3.10.7.4)",
    rows: [
      ...TIMESTAMPED,
      [0.02, "<", "P. 1:11(10) ack 1000 <TS val 300 ecr last>"],
      [0, ">", ". 1:1(0) ack 1 <TS val * ecr 100>"],
      [0.02, "<", "P. 1:11(10) ack 1 <TS val 200 ecr last>"],
      [0, ">", "P. 1:11(10) ack 11 <TS val * ecr 200>"],
    ],
  },
  {
    name: "in SYN-RECEIVED, too, a segment whose acknowledgement cannot be leaves its timestamp unused (RFC 7323 §4.3)",
    rows: [
      ...TIMESTAMPED.slice(0, 2),
      [0.02, "<", ". 1:1(0) ack 1000 <TS val 300 ecr last>"],
      [0, ">", "R 1000:1000(0)"],
      [0.02, "<", "P. 1:11(10) ack 1 <TS val 200 ecr last>"],
      [0, ">", "P. 1:11(10) ack 11 <TS val * ecr 200>"],
    ],
  },
  {
    name: "a timestamp of a segment behind a gap is not echoed (RFC 7323 §4.3)",
    rows: [
      ...TIMESTAMPED,
      [0.02, "<", "P. 11:21(10) ack 1 <TS val 200 ecr last>"],
      [0, ">", ". 1:1(0) ack 1 <TS val * ecr 100>"],
      [0.02, "<", "P. 1:11(10) ack 1 <TS val 150 ecr last>"],
      [0, ">", "P. 1:21(20) ack 21 <TS val * ecr 150>"],
    ],
  },
];
