/**
 * TCP: what is fixed of it. Connections, the table that finds them, TIME-WAIT and pages lie at the end of memory, at
 * the addresses in the words below; assembly/tcp/ has the code.
 */
import { SOURCES } from "./limits.ts";
import { PREFIX_INDICES } from "./tables.ts";
import { TIMER_SIZE, TIMERS_END } from "./timers.ts";

// ---- what holds from the start on; the host writes it ---------------------------------------------------------------
export const HASH_KEY = (TIMERS_END + 63) & -64;
export const ISN_KEY = HASH_KEY + 16;
export const COOKIE_KEY = ISN_KEY + 16;
/** u32: added to the milliseconds of timestamps, so that they do not tell for how long the machine has run. */
export const TS_OFFSET = COOKIE_KEY + 16;
/** u32: maximum number of connections; 0 where there is no TCP. */
export const MAX_CONNECTIONS = TS_OFFSET + 4;
/** u32: address of the control blocks. */
export const CONNECTIONS = MAX_CONNECTIONS + 4;
/** u32: address of the table: u32[HASH_MASK + 1], each the first block or TIME-WAIT record of a chain, or 0. */
export const HASH = CONNECTIONS + 4;
/** u32: number of the table's entries, a power of two, less one. */
export const HASH_MASK = HASH + 4;
/** u32: maximum number of TIME-WAIT records. */
export const MAX_WAITS = HASH_MASK + 4;
/** u32: address of the TIME-WAIT records. */
export const WAITS = MAX_WAITS + 4;
/** u32: maximum number of pages. */
export const MAX_PAGES = WAITS + 4;
/** u32: address of the pages. */
export const PAGES = MAX_PAGES + 4;
/** u32: address of u32[MAX_PAGES]: for each page the next one of its list, 0 for none. */
export const PAGE_NEXT = PAGES + 4;
/** u32: maximum number of connections of one source (an IPv4 address, an IPv6 /64); 0 for no limit. */
export const MAX_BY_SOURCE = PAGE_NEXT + 4;

/** u32, a Drain: what is to become of connections. Written by the main thread while the loop runs. */
export const DRAIN = MAX_BY_SOURCE + 4;

export enum Drain {
  none,
  /** No connection is accepted, and those that there are end when all has been sent. */
  close,
  /** No connection is accepted, and those that there are are reset. */
  reset,
}

/** u64, ns of NOW: when a SYN cookie was last sent; 0 for never. Only assembly/ writes it. A crash leaves it. */
export const COOKIE_SENT_AT = (DRAIN + 4 + 7) & -8;

// ---- state; zero at the start and after a crash ---------------------------------------------------------------------

/** u32: control blocks that have ever been used. Those behind them have never been touched. */
export const CONNECTIONS_TOUCHED = COOKIE_SENT_AT + 8;
/** u32: first block of the free list, chained by NEXT; 0 for none. */
export const CONNECTIONS_FREE = CONNECTIONS_TOUCHED + 4;
/** u32: connections there are, and how many of them are in SYN-RECEIVED. */
export const CONNECTION_COUNT = CONNECTIONS_FREE + 4;
export const HALF_OPEN = CONNECTION_COUNT + 4;
/** u32: index of the oldest TIME-WAIT record, and how many there are. They are a ring, in the order of their end. */
export const WAIT_FIRST = HALF_OPEN + 4;
export const WAIT_COUNT = WAIT_FIRST + 4;
/** u32: pages that have ever been used; first free page; pages in use. */
export const PAGES_TOUCHED = WAIT_COUNT + 4;
export const PAGES_FREE = PAGES_TOUCHED + 4;
export const PAGE_COUNT = PAGES_FREE + 4;
/** u32: connections in TOUCHED (slots.ts). */
export const TOUCHED_COUNT = PAGE_COUNT + 4;
/** u32: letters in OUTBOX and in INBOX. */
export const OUTBOX_COUNT = TOUCHED_COUNT + 4;
export const INBOX_COUNT = OUTBOX_COUNT + 4;
/** u32: blocks that the sweep has looked at; see assembly/tcp/sweep.ts. */
export const SWEPT = INBOX_COUNT + 4;
/** u32, a Drain: what the sweep was last begun for. */
export const SWEPT_FOR = SWEPT + 4;
/** u32: local ports that were tried for connections opened from here. */
export const EPHEMERAL = SWEPT_FOR + 4;
/** Timer of the oldest TIME-WAIT record, and that of the sweep. */
export const WAIT_TIMER = (EPHEMERAL + 4 + 7) & -8;
export const SWEEP_TIMER = WAIT_TIMER + TIMER_SIZE;
/** u32[SOURCES]: connections by a hash of their source. */
export const SOURCE_CONNECTIONS = SWEEP_TIMER + TIMER_SIZE;
/** u32[PREFIX_INDICES]: connections by prefix. */
export const PREFIX_CONNECTIONS = SOURCE_CONNECTIONS + 4 * SOURCES;
export const TCP_STATE_END = PREFIX_CONNECTIONS + 4 * PREFIX_INDICES;

/** The segment in hand; assembly/tcp/segment.ts has its fields. */
export const SEGMENT = TCP_STATE_END;
export const SEGMENT_SIZE = 128;

// ---- letters --------------------------------------------------------------------------------------------------------

/**
 * An ICMP error may come to another queue than the connection that it is about, so it is handed on by a letter: {u8[32]
 * addresses and u32 ports as in a packet of the peer's, u32 sequence number, u32 MTU, u32 family}. In place of an MTU,
 * which is never that small, it may have an Unopened (streams.ts), with HARD_ERROR if no attempt is to go on. The host
 * takes letters out of OUTBOX and puts those of other queues into INBOX.
 */
export const LETTER_SIZE = 48;
export const LETTER_PORTS = 32;
export const LETTER_SEQ = LETTER_PORTS + 4;
export const LETTER_MTU = LETTER_SEQ + 4;
export const LETTER_FAMILY = LETTER_MTU + 4;
export const HARD_ERROR = 32;
/** Letters of a round. More are lost, as ICMP errors may be. */
export const MAX_LETTERS = 16;
export const OUTBOX = SEGMENT + SEGMENT_SIZE;
export const INBOX = OUTBOX + LETTER_SIZE * MAX_LETTERS;
export const LETTERS_END = INBOX + LETTER_SIZE * MAX_LETTERS;

// ---- services -------------------------------------------------------------------------------------------------------

/** A port's treatment, of TCP or UDP. The members' names are the flags' values; refuse is unreachable with UDP. */
export enum Service {
  /** A reset. */
  refuse,
  /** Nothing. */
  silent,
  /** RFC 862. */
  echo,
  /** RFC 863. */
  discard,
  /** RFC 864. */
  chargen,
  /** Accepts, and never takes or sends a byte. */
  tarpit,
  /** Sends bytes when a connection is accepted; takes any and does nothing with them. */
  banner,
  /** Sends bytes for each end of a request. */
  reply,
  /** A service thread has it, from when it is accepted on (streams.ts). */
  stream,
  /** The same, from the first byte on that comes: without a request there is nothing to do. */
  http,
  /** A service thread has its datagrams. `bytes` are its id, and 1 if any source port may ask (datagrams.ts). */
  datagram,
  /** RFC 8762. */
  stamp,
  /** RFC 7880. `bytes`, if there are any, are as in sbfd.ts. */
  sbfd,
  /** IRTT. `bytes` are its options (irtt.ts). */
  irtt,
}
/** The first services of the table below are those that have the name of their kind, each at its number. */
export const NAMED_SERVICES = 14;
export const MAX_SERVICES = 256;
/** A service; its fields follow. */
export const SERVICE_SIZE = 32;
/** u32, a Service. */
export const SERVICE_KIND = 0;
/** u32: address of the bytes that it sends, and how many there are. */
export const SERVICE_BYTES = 4;
export const SERVICE_BYTES_LEN = 8;
/** u32: address of the end of a request, and its length, 1 to MAX_AFTER. */
export const SERVICE_AFTER = 12;
export const SERVICE_AFTER_LEN = 16;
/** u32: connections and sessions that use it. Only assembly/ writes it. */
export const SERVICE_USERS = 20;
/** u32: address of the name, in ASCII, and its length, up to MAX_SERVICE_NAME. Only the host reads it. */
export const SERVICE_NAME = 24;
export const SERVICE_NAME_LEN = 28;
export const MAX_SERVICE_NAME = 64;
export const MAX_AFTER = 64;

/** Services [MAX_SERVICES]. Their bytes lie at the end of memory, at the address in SERVICE_ROOM. */
export const SERVICES = (LETTERS_END + 63) & -64;
/** u32: address of the room for services' bytes, and its size. */
export const SERVICE_ROOM = SERVICES + SERVICE_SIZE * MAX_SERVICES;
export const SERVICE_ROOM_SIZE = SERVICE_ROOM + 4;

export const TCP_END = (SERVICE_ROOM_SIZE + 4 + 63) & -64;

// ---- a control block ------------------------------------------------------------------------------------------------

/** RFC 9293 §3.3.2. TIME-WAIT is a record of its own. CLOSED is a block
 * that is not used, or that a service thread still has (streams.ts).
 */
export enum State {
  CLOSED,
  SYN_SENT,
  SYN_RECEIVED,
  ESTABLISHED,
  FIN_WAIT_1,
  FIN_WAIT_2,
  CLOSING,
  CLOSE_WAIT,
  LAST_ACK,
  TIME_WAIT,
}

/**
 * A control block has four cache lines. It begins with its timer. NEXT, STATE and the key lie at the same offsets in a
 * TIME-WAIT record, so that one table finds both.
 */
export const CONNECTION_SIZE = 256;
/** u32: next of the chain, or of the free list. */
export const NEXT = TIMER_SIZE;
/** u8, a State. */
export const STATE = NEXT + 4;
/** u8: bits, SIX to IN_TOUCHED. */
export const FLAGS = STATE + 1;
/** u8: bits, ACK_NOW to PROBED. */
export const MARKS = FLAGS + 1;
/** u8: bytes of LINK. */
export const LINK_LEN = MARKS + 1;
/** The key: both addresses as they lie in a packet of the peer's, 8 or 32 bytes, the rest 0; then both ports. */
export const ADDRESSES = LINK_LEN + 1;
export const PORTS = ADDRESSES + 32;
/** i32: owner of the local address. */
export const OWNER = PORTS + 4;
/** u32: address of the service's record. */
export const SERVICE = OWNER + 4;
/** u32: what the service remembers; of a stream, the Unopened that an ICMP error has told of. */
export const SERVICE_STATE = SERVICE + 4;
/** u8[22]: link header of what is sent. */
export const LINK = SERVICE_STATE + 4;
/** u8: TTL, or hop limit, of what is sent. */
export const TTL = LINK + 22;

// Sending. Names as in RFC 9293 §3.3.1; sequence numbers are u32.
export const SND_UNA = TTL + 2;
export const SND_NXT = SND_UNA + 4;
/** u32: the peer's window in bytes, from SND_UNA on. */
export const SND_WND = SND_NXT + 4;
/** u32: sequence number of the segment that the window is from. */
export const SND_WL1 = SND_WND + 4;
/** u32: the largest window there was. */
export const MAX_WND = SND_WL1 + 4;
/** u32: end of what the service has to send so far; FIN comes behind it. */
export const SND_END = MAX_WND + 4;
/** u64: bytes of the stream that the peer has acknowledged, so the position in the stream of SND_UNA. */
export const ACKED = SND_END + 4;
// Receiving.
/** u64: bytes of the stream that came, in order, so the position in the stream of RCV_NXT. */
export const CAME = ACKED + 8;
export const RCV_NXT = CAME + 8;
/** u32: right edge of the window that the peer was told. */
export const RCV_EDGE = RCV_NXT + 4;
/** {u32 first, u32 end}[4]: what came out of order, the latest first (RFC 2018 §4). */
export const RANGES = RCV_EDGE + 4;
export const MAX_RANGES = 4;
/** u16: most bytes of payload in a segment that is sent, without options. */
export const MSS = RANGES + 8 * MAX_RANGES;
/** u8: shift of the windows that the peer sends, and of those that it gets. */
export const SND_SCALE = MSS + 2;
export const RCV_SCALE = SND_SCALE + 1;
/** u32: RFC 7323 §4.3; and when it was set, in seconds. */
export const TS_RECENT = RCV_SCALE + 1;
export const TS_RECENT_AGE = TS_RECENT + 4;
/** u32: RCV_NXT when an acknowledgement was last sent (Last.ACK.sent). */
export const LAST_ACK_SENT = TS_RECENT_AGE + 4;
// Time.
/** u32: smoothed round-trip time in µs times 8, and its variation in µs times 4; 0 before the first sample. */
export const SRTT = LAST_ACK_SENT + 4;
export const RTTVAR = SRTT + 4;
/** u32, ticks of the clock: when to retransmit, or to probe; 0 for never. */
export const RETRANSMIT_AT = RTTVAR + 4;
/** u32, ticks: when an acknowledgement that is delayed has to leave; 0 for never. */
export const ACK_AT = RETRANSMIT_AT + 4;
/** u32, ticks: when the peer was last heard. */
export const HEARD_AT = ACK_AT + 4;
/** u32, ticks: when the last challenge ACK was sent. */
export const CHALLENGED_AT = HEARD_AT + 4;
/**
 * u8: times that the retransmission timer has expired in a row; once a connection is established, times that the
 * timeout has doubled in the upper four bits, and expirations in a row in the lower ones.
 */
export const BACKOFF = CHALLENGED_AT + 4;
/** u8: window or keepalive probes since the peer was last heard. */
export const PROBES = BACKOFF + 1;
/** u8: duplicate acknowledgements in a row. */
export const DUP_ACKS = PROBES + 1;
/** u8: full segments that are not acknowledged yet. */
export const UNACKED = DUP_ACKS + 1;
// Congestion control.
/** u32, bytes: congestion window, slow start threshold, and the window before the last reduction (RFC 9438). */
export const CWND = UNACKED + 1;
export const SSTHRESH = CWND + 4;
export const W_MAX = SSTHRESH + 4;
/** u32, µs of the clock: when the data in flight was sent, if FLIGHT is 0. */
export const SENT_AT = W_MAX + 4;
/** u32: page that says what is in flight; see assembly/tcp/flight.ts. 0 if it was all sent at once, and never again. */
export const FLIGHT = SENT_AT + 4;
// Data.
/** u32: first page of what is kept of the stream; 0 for none. */
export const FIRST_PAGE = FLIGHT + 4;
/** u32, ticks: when the connection ends whatever its peer does; 0 for never. */
export const END_AT = FIRST_PAGE + 4;
export const CONNECTION_END = END_AT + 4;

// Bits of FLAGS: what was agreed, and what has been done. A TIME-WAIT record has SIX and TIMESTAMPS.
/** The addresses are IPv6. */
export const SIX = 1;
/** Both sides send timestamps (RFC 7323). */
export const TIMESTAMPS = 2;
/** The peer understands SACK (RFC 2018). */
export const SACK = 4;
/** Both sides scale their windows. */
export const SCALED = 8;
/** Both sides understand ECN (RFC 3168). */
export const ECN = 16;
/** The service has closed: FIN comes behind SND_END. */
export const CLOSING = 32;
/** FIN has been sent, and SND_NXT is behind it. */
export const FIN_SENT = 64;
/** It is in TOUCHED. */
export const IN_TOUCHED = 128;

// Bits of MARKS: what holds for now.
/** An acknowledgement is to leave with this batch. */
export const ACK_NOW = 1;
/** Lost data is being sent again (RFC 6675); until SND_UNA has come to the recovery point. */
export const RECOVERY = 2;
/** Everything is sent again, since the retransmission timer expired (RFC 5681 §3.1). */
export const LOSS = 4;
/** RETRANSMIT_AT is that of a tail loss probe (RFC 8985 §7), not of a retransmission. */
export const TAIL_PROBE = 8;
/** RETRANSMIT_AT is that of a window probe (RFC 9293 §3.8.6.1). */
export const PERSIST = 16;
/** A packet came with Congestion Experienced: ECE is set until the peer says CWR. */
export const ECHO_CONGESTION = 32;
/** The congestion window was reduced for ECN: CWR goes with the next new data. */
export const CWR_DUE = 64;
/** A tail loss probe is in flight. */
export const PROBED = 128;

// Times that follow from those fields.
/**
 * µs: the retransmission timeout without a sample, the least that is added to the smoothed time for it, as in Linux
 * (TCP_RTO_MIN), since an ACK may be delayed, and the most that it may be.
 */
export const INITIAL_RTO_US = 1_000_000;
export const MIN_VARIANCE_US = 200_000;
export const MAX_RTO_US = 120_000_000;
/** Seconds of silence after which the peer is asked whether it is there, and from one such probe to the next. */
export const KEEPALIVE_S = 7200;
export const KEEPALIVE_INTERVAL_S = 75;

// ---- TIME-WAIT ------------------------------------------------------------------------------------------------------

/** A TIME-WAIT record has one cache line and begins at its NEXT: the address in the table is TIMER_SIZE before it. */
export const WAIT_SIZE = 64;
/** u8: whether the peer's FIN came again, so that it waits anew when its time is over. */
export const WAIT_AGAIN = FLAGS + 1;
/** u32: what is sent and expected in this state. */
export const WAIT_SND_NXT = PORTS + 4;
export const WAIT_RCV_NXT = WAIT_SND_NXT + 4;
/** u32: TS_RECENT. */
export const WAIT_TS_RECENT = WAIT_RCV_NXT + 4;
/** u32, ticks: when it ends. */
export const WAIT_UNTIL = WAIT_TS_RECENT + 4;

// ---- pages ----------------------------------------------------------------------------------------------------------

export const PAGE_BITS = 12;
export const PAGE_SIZE = 1 << PAGE_BITS;
