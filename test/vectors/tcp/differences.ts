/** Where pongd's TCP differs from Linux's, and why: what test/net/tcp-linux.test.ts finds must be here. */

export interface TcpDifference {
  /** The scripts in whose names this is found. */
  readonly scripts: RegExp;
  readonly what: string;
  readonly linux: string;
  readonly pongd: string;
}

/**
 * For every script an acknowledgement may come before data or FIN that also acknowledges: Linux does not know yet what
 * the server will answer, and pongd does.
 */
export const TCP_DIFFERENCES: readonly TcpDifference[] = [
  {
    scripts: /data that comes with a FIN|acknowledgement of data alone/,
    what: "data and FIN in one segment",
    linux: "sends FIN in a segment of its own: the server closes after it has written",
    pongd: "sends FIN with the last data (SHLD-28)",
  },
  {
    scripts: /a FIN before data that is missing/,
    what: "a FIN that comes before data that is missing",
    linux: "keeps it",
    pongd: "waits until it comes again, as the peer has to send it until it is acknowledged",
  },
  {
    scripts: /a window that opens|too big about what is not|too big with a larger/,
    what: "a segment as long as the largest window there was",
    linux: "halves it (tcp_bound_to_half_wnd)",
    pongd: "fills it (RFC 9293 §3.8.6.2.1)",
  },
  {
    scripts: /an MSS below 88/,
    what: "a peer that says that it takes hardly any data",
    linux: "sends it segments of 48 bytes (TCP_MIN_SND_MSS)",
    pongd: "sends it segments of 88 bytes, which have room for data beside all options",
  },
  {
    scripts: /a reset has nothing in its type of service/,
    what: "a reset of a segment that belongs to no connection",
    linux: "has the type of service of that segment",
    pongd: "has 0, as all that it sends",
  },
  {
    scripts: /IPv6 address that no host can have/,
    what: "a SYN from ::1 that comes by a link",
    linux: "answers it with a SYN-ACK, which goes nowhere",
    pongd: "drops it (RFC 4291 §2.5.3, MUST-63)",
  },
];
