/** Where pongd's answer is not Linux's. A test fails for a difference that is not here, and for one here that is none. */
import { addr6 } from "../support/ipv6.js";
import type { Reply } from "../support/replies.js";

export interface Difference {
  /** Which of HOST_CASES, by their names. */
  readonly cases: RegExp;
  /** The same in words. */
  readonly what: string;
  readonly linux: string;
  readonly pongd: string;
  readonly why: string;
  /** Ids of docs/conformance.md. */
  readonly requirements: string;
  /** From what Linux sends, what pongd does. */
  readonly sends: (linux: readonly Reply[]) => readonly Reply[];
}

const nothing = () => [];

/** Each reply with its bytes changed. */
const changed = (change: (bytes: Uint8Array) => void) => (replies: readonly Reply[]) => replies.map(({ bytes, fault }) => {
  const copy = bytes.slice();
  change(copy);
  return { bytes: copy, fault };
});

const isError4 = (bytes: Uint8Array) => bytes[0] >> 4 === 4 && bytes[9] === 1 && [3, 11, 12].includes(bytes[(bytes[0] & 15) * 4]);

export const DIFFERENCES: readonly Difference[] = [
  {
    cases: /(^IPv4 sources: |from )(0\.0\.0\.1|0\.1\.2\.3|240\.0\.0\.1|254\.1\.2\.3|255\.255\.255\.254)$/,
    what: "a source in 0/8 or in class E", linux: "answers, unless it is 0.0.0.0 or 255.255.255.255", pongd: "drops it as `martian_source`",
    why: "RFC 1122 §3.2.1.3 has no host with such an address", requirements: "V-5", sends: nothing,
  },
  {
    cases: /a timestamp message of 1[2-9] bytes$/,
    what: "a timestamp request of 12 to 19 bytes", linux: "answers with 20 bytes", pongd: "drops it as `pkt_too_small`",
    why: "the message has no room for what is asked, and a reply would be longer than its request", requirements: "T-3, I2", sends: nothing,
  },
  {
    cases: /^IPv4 echo: C-3/,
    what: "an echo request that is zero but for its type", linux: "sends the checksum 0x0000, which does not verify", pongd: "sends 0xffff, which does",
    why: "RFC 1071: a message that is right sums to 0xffff, and zeros alone sum to 0", requirements: "C-3", sends: (replies) => replies.map(({ bytes }) => ({ bytes, fault: "" })),
  },
  {
    cases: /^IPv4 echo: (don't fragment|the reserved flag and don't fragment)/,
    what: "don't-fragment on an echo request", linux: "clears it", pongd: "sends it back",
    why: "the identification goes back too, and is unique only with it", requirements: "E-15", sends: changed((bytes) => { bytes[6] |= 0x40; }),
  },
  {
    cases: /^IPv6 destinations: ff02::1$|unknown: skip, to multicast$/,
    what: "an echo request to all nodes", linux: "answers from an address of its own", pongd: "is silent",
    why: "no address of a prefix is every node's", requirements: "S-3", sends: nothing,
  },
  {
    cases: /^IPv6 next headers: 253 to fd99::7:7$/,
    what: "the source of an ICMPv6 error", linux: "is an address of the host's interfaces", pongd: "is the address that was asked",
    why: "RFC 4443 §2.2: to Linux a prefix routed to lo has no address of its own", requirements: "S-6",
    sends: changed((bytes) => { bytes.set(addr6("fd99::7:7"), 8); }),
  },
  {
    cases: /^IPv4 (protocols|UDP|options|fragments): /,
    what: "the type of service of an error", linux: "is 0xc0, internetwork control, plus bits of what caused it", pongd: "is 0",
    why: "RFC 1122 §3.2.2", requirements: "X-1", sends: changed((bytes) => { if (isError4(bytes)) bytes[1] = 0; }),
  },
];

/** What is not answered yet. A line goes when its cases are answered as Linux does, or as DIFFERENCES has it. */
export const NOT_YET: readonly RegExp[] = [
  /^drops: (NOP and end of options|forty bytes of options|protocol 0)$/,
  // Sent back as it came: it is to be 0 (RFC 791 §3.1).
  /^IPv4 echo: the reserved flag/,
  /^IPv4 options: /,
  /^IPv4 fragments: /,
  /^IPv4 protocols: /,
  /^IPv4 UDP: /,
  /^IPv4 TCP: /,
  /^IPv6 echo: /,
  /^IPv6 lengths: /,
  /^IPv6 header: /,
  /^IPv6 sources: /,
  /^IPv6 destinations: /,
  /^IPv6 ICMP: /,
  /^IPv6 next headers: /,
  /^IPv6 options: /,
  /^IPv6 routing: /,
  /^IPv6 chains: /,
  /^IPv6 fragments: /,
  /^IPv6 UDP: /,
  /^IPv6 TCP: /,
];

/**
 * What a kernel makes of these depends on the modules it has: IPIP, DCCP, 6in4, GRE, ESP, AH, IPComp, L2TP, SCTP, mobility,
 * UDP-Lite, MPLS. Not compared.
 */
export const DEPENDS_ON_MODULES = /^IPv[46] (protocols|next headers): (4|33|41|47|50|51|108|115|132|135|136|137)( behind .*)?$|^IPv6 chains: (AH|ESP|mobility)/;
