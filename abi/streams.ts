/**
 * Streams: connections whose bytes a service thread has. The packet loop and the thread share a record for each stream,
 * and three rings for each thread, none of which can overflow:
 *
 *  NEWS    loop → thread   blocks whose streams to look at, each at most once
 *  ORDERS  thread → loop   pages to send, streams to look at, each at most once, streams that are let go, each once,
 *                          and connections that are asked for, each in a page
 *  LENT    loop → thread   empty pages that the thread may fill, also those of connections that are refused at once
 *
 * So whatever is told twice before it is read is told once, and a thread that hangs costs what it already has.
 */
import { TCP_END } from "./tcp.ts";

export const MAX_SERVICE_THREADS = 16;
/** Maximum number of pages that a thread has on loan, a power of two. */
export const MAX_LENT = 1024;

// ---- what holds from the start on; the host writes it ---------------------------------------------------------------
/** u32: address of the records, one for each control block, in the same order; 0 where there are none. */
export const STREAMS = TCP_END;
/** u32: address of u16[MAX_PAGES]: how many bytes of a page a thread has filled. */
export const PAGE_FILLED = STREAMS + 4;
/** u32: number of service threads. */
export const THREAD_COUNT = PAGE_FILLED + 4;

// ---- state ----------------------------------------------------------------------------------------------------------
/** u32: how many streams there were, so that they go to each thread in turn. */
export const STREAM_SERIAL = THREAD_COUNT + 4;
/** u32: how often the packet loop has crashed, and so has lost all streams. */
export const STREAM_EPOCH = STREAM_SERIAL + 4;
/** u32: a bit for each thread that there was news for since the host last looked. */
export const NEWS_FOR = STREAM_EPOCH + 4;
/** u32: a bit for each thread that has no page on loan, since there was none to lend. */
export const STARVED = NEWS_FOR + 4;
/** u32: not 0 while there may be orders. Threads write it. */
export const ORDERED = (STARVED + 4 + 63) & -64;
/** u32: not 0 while the packet loop sleeps, and has to be woken for an order. The host sets it (src/io/direct.ts). */
export const ASLEEP = ORDERED + 4;

/** Threads [MAX_SERVICE_THREADS]; a thread's fields follow. Each cache line has one writer. */
export const THREADS = ORDERED + 64;
export const THREAD_SIZE = 192;
/** u32: addresses of the rings; u32 number of their entries, less one, which is a power of two. */
export const NEWS_AT = 0;
export const NEWS_MASK = NEWS_AT + 4;
export const ORDERS_AT = NEWS_MASK + 4;
export const ORDERS_MASK = ORDERS_AT + 4;
export const LENT_AT = ORDERS_MASK + 4;
/** u32: address of the ring of datagrams; that of answers follows it (datagrams.ts). */
export const DATAGRAMS_AT = LENT_AT + 4;
/** u32: entries that the packet loop has written, or read, so far. */
export const NEWS_TAIL = DATAGRAMS_AT + 4;
export const LENT_TAIL = NEWS_TAIL + 4;
export const ORDERS_HEAD = LENT_TAIL + 4;
/** u32: pages that the thread has on loan. */
export const LENT_COUNT = ORDERS_HEAD + 4;
/** u32: positions up to which the packet loop has written datagrams, and read answers. */
export const DATAGRAMS_TAIL = LENT_COUNT + 4;
export const ANSWERS_HEAD = DATAGRAMS_TAIL + 4;
/** u32: streams that the thread was told of so far. */
export const TOLD = ANSWERS_HEAD + 4;
/** u32: entries that the thread has read, or written, so far. */
export const NEWS_HEAD = 64;
export const LENT_HEAD = NEWS_HEAD + 4;
export const ORDERS_TAIL = LENT_HEAD + 4;
/** u32: positions up to which the thread has read datagrams, and written answers. */
export const DATAGRAMS_HEAD = ORDERS_TAIL + 4;
export const ANSWERS_TAIL = DATAGRAMS_HEAD + 4;
/** u32: streams that the thread has made its own so far. */
export const TAKEN = ANSWERS_TAIL + 4;
/** u32: not 0 while the thread sleeps, and has to be woken for news. */
export const DOZES = TAKEN + 4;
/** u32: STREAM_EPOCH as the thread knows it. After a crash it has no streams, and orders nothing, until it does. */
export const EPOCH_SEEN = DOZES + 4;
/** u32, a ThreadState. The main thread writes the first three, the packet loop the others. */
export const THREAD_STATE = 128;

export enum ThreadState {
  none,
  serving,
  /** It has ended, and the packet loop does not know yet. */
  gone,
  /** Its streams are being reset. */
  ending,
  /** Nothing is left of it. Another one may begin. */
  ended,
}

export const STREAMS_END = THREADS + THREAD_SIZE * MAX_SERVICE_THREADS;

// ---- a ring's entry -------------------------------------------------------------------------------------------------

/** An entry of NEWS: u32 index of the control block. */
export const NEWS_ENTRY = 4;
/**
 * An entry of ORDERS: {u32 index of the control block, u32 what}: LOOK, LET_GO, or else the address of a page, plus how
 * many bytes of it are to be sent, less one. With CONNECT, the first word is the address of a page.
 */
export const ORDERS_ENTRY = 8;
/** The stream's record is to be looked at. */
export const LOOK = 0;
/** The thread lets go of the stream: it reads and writes nothing of it any more. */
export const LET_GO = 1;
/** The thread asks for the connection that the page describes (REQUEST_SIZE). */
export const CONNECT = 2;
/**
 * An entry of LENT: u32 address of a page, plus an Unopened if that is one with a request, which is all that becomes of
 * it. A page whose request is granted is the packet loop's.
 */
export const LENT_ENTRY = 4;
/**
 * Entry of PAGE_NEXT of a page that thread 0 has on loan; those of the other threads follow. They are no multiples of
 * PAGE_SIZE, as the addresses of pages are.
 */
export const ON_LOAN = 1;

// ---- a record -------------------------------------------------------------------------------------------------------

export const STREAM_SIZE = 128;
// The packet loop writes the first line. Positions in a stream are the lower half of a u64.
/**
 * u32: a bit for each thread in whose NEWS the block is. The next stream of the block has the record's bits: what the
 * last one's thread has not read yet stays in its ring.
 */
export const IN_NEWS = 0;
/** u32: position up to which bytes have come, and up to which the peer has acknowledged. */
export const STREAM_CAME = IN_NEWS + 4;
export const STREAM_ACKED = STREAM_CAME + 4;
/** u32: first page of what has come, and how many lists of pages there were. */
export const STREAM_FIRST = STREAM_ACKED + 4;
export const STREAM_LISTS = STREAM_FIRST + 4;
/**
 * u32: EVENT_ bits; with EVENT_ENDED, a Closed in bits 16 to 23, and an Unopened in the upper ones if the connection
 * was asked for and never established.
 */
export const STREAM_EVENTS = STREAM_LISTS + 4;
/** u32: a number that no other stream of the queue has had lately, not 0; and the thread's. */
export const STREAM_NUMBER = STREAM_EVENTS + 4;
export const STREAM_THREAD = STREAM_NUMBER + 4;
/** u32: position up to which the thread has read, as far as the loop knows. */
export const STREAM_TAKEN = STREAM_THREAD + 4;
/** u32: with EVENT_ASKED, the thread's number of the request. */
export const STREAM_REQUEST = STREAM_TAKEN + 4;
/** u64: position from which on bytes that came are kept. */
export const STREAM_KEPT = (STREAM_REQUEST + 4 + 7) & -8;
/** u32: pages to be sent, the first and the last; bytes of the first that are acknowledged; bytes of all so far. */
export const SEND_FIRST = STREAM_KEPT + 8;
export const SEND_LAST = SEND_FIRST + 4;
export const SEND_SKIP = SEND_LAST + 4;
export const SEND_TOTAL = SEND_SKIP + 4;
// The thread writes the second line.
/** u32: 1 while the stream is in ORDERS to be looked at. */
export const IN_ORDERS = 64;
/** u32: position up to which the thread has read. */
export const STREAM_READ = IN_ORDERS + 4;
/** u32: bytes that the thread has sent in all, if WISH_SHUT is set. */
export const STREAM_END = STREAM_READ + 4;
/** u32: WISH_ bits. */
export const STREAM_WISHES = STREAM_END + 4;

/** The thread has the stream. */
export const EVENT_OPENED = 1;
/** The peer has closed: nothing comes after STREAM_CAME. */
export const EVENT_FINISHED = 2;
/** The connection is over. Its block, record and pages stay until the thread lets go of it. */
export const EVENT_ENDED = 4;
/** pongd stops, or the address is not served any more: the thread should end the stream. */
export const EVENT_CLOSING = 8;
/** The thread has let go of it. Only the loop reads that. */
export const EVENT_LET_GO = 16;
/** The thread has asked for it, and has it from then on; EVENT_OPENED comes when it is established. */
export const EVENT_ASKED = 32;

/** The thread wants to know when more is acknowledged. */
export const WISH_ROOM = 1;
/** FIN is to be sent behind STREAM_END. */
export const WISH_SHUT = 2;
/** The connection is to be reset. */
export const WISH_RESET = 4;

// ---- a request for a connection -------------------------------------------------------------------------------------

/** The request is at the beginning of its page. u32: the thread's number of it. */
export const REQUEST_NUMBER = 0;
/** u32: 4 or 6. */
export const REQUEST_FAMILY = REQUEST_NUMBER + 4;
/** As in a control block: the remote address and the local one, 8 or 32 bytes. */
export const REQUEST_ADDRESSES = REQUEST_FAMILY + 4;
/** {u16 remote, u16 local}, in network order: the ports; 0 has the local one chosen. */
export const REQUEST_PORTS = REQUEST_ADDRESSES + 32;
export const REQUEST_SIZE = REQUEST_PORTS + 4;

/** Why a connection that was asked for was not opened. */
export enum Unopened {
  /** It was. */
  not,
  // Known at once.
  /** There are as many connections as there may be. */
  no_room,
  /** The local address is no prefix's, or not one of IP's. */
  no_address,
  /** The remote address is no host's, or pongd's own, or the port is 0. */
  no_destination,
  /** There is a connection with these addresses and ports, or one that waits in TIME-WAIT. */
  in_use,
  /** No local port was found that is free. */
  no_port,
  /** The device's MAC address is not known. */
  no_link,
  // Known later, or at once.
  /** pongd stops, or the address is not served any more. */
  ended,
  /** The peer has not answered. */
  timed_out,
  /** The peer has refused it. */
  refused,
  /** A router has said that it knows no way to the network, or to the host, or that it must not. */
  net_unreachable,
  host_unreachable,
  /** Nobody wants it any more. */
  given_up,
}
