/**
 * Datagrams between the packet loop and service threads. For each thread a queue's memory has two rings of bytes, one
 * behind the other, in which records follow each other. Whoever reads one copies it out before doing anything with it.
 *
 *  DATAGRAMS  loop → thread  what came; one for which there is no room is dropped
 *  ANSWERS    thread → loop  what is to be sent; the loop believes nothing of it
 *
 * A record is a header of DATAGRAM_HEADER bytes, and the data, filled up to a multiple of that. A header never goes
 * round the end of a ring; data may. Positions count bytes, and go on where the ring begins again.
 */
import { CONTEXT_SIZE } from "./control.ts";
import { STREAMS_END } from "./streams.ts";

/** Bytes of each ring, a power of two. It holds 15 of the largest datagrams, or 5,000 of 256 bytes. */
export const DATAGRAM_RING = 1 << 20;
export const DATAGRAM_HEADER = 128;
/** Most bytes of data, by the length in UDP's header and in that of IP. */
export const MAX_DATA4 = 65_507;
export const MAX_DATA6 = 65_527;

// A header. In an answer, addresses and ports are as in the datagram that it answers.
/** u32: bytes of data. */
export const DATA_LEN = 0;
/** i32: owner of the local address. Not read in an answer. */
export const DATAGRAM_OWNER = DATA_LEN + 4;
/** u8[8]: id of the service (src/prefix/streams.ts). Not read in an answer. */
export const DATAGRAM_SERVICE = DATAGRAM_OWNER + 4;
/** {u16 remote, u16 local}, in network order. */
export const DATAGRAM_PORTS = DATAGRAM_SERVICE + 8;
/** u8: 4 or 6. */
export const DATAGRAM_FAMILY = DATAGRAM_PORTS + 4;
/** u8: bytes of the link header that an answer has; u8[22]: that header. */
export const DATAGRAM_LINK_LEN = DATAGRAM_FAMILY + 1;
export const DATAGRAM_LINK = DATAGRAM_LINK_LEN + 1;
/** The remote address, and the local one, 4 or 16 bytes each. */
export const DATAGRAM_ADDRESSES = DATAGRAM_LINK + 22;

// The answer in hand. Threads never look at it.
/** Its header, copied. */
export const ANSWER = (STREAMS_END + 63) & -64;
/** What lies before it in its slot. */
export const ANSWER_LINK = ANSWER + DATAGRAM_HEADER;
/** Its context (assembly/packet.ts). */
export const ANSWER_CONTEXT = ANSWER_LINK + 64;
/** u32: identifications that were used so far. */
export const ANSWER_ID = ANSWER_CONTEXT + CONTEXT_SIZE;
export const DATAGRAMS_END = ANSWER_ID + 4;
