/**
 * Sessions of UDP services: what is kept of a peer that sends to a service, from one datagram to the next. The records
 * and the table that finds them lie at the end of memory, at the addresses in the words below; assembly/udp/sessions.ts
 * has the code. They outlast a crash of the packet loop.
 */
import { DATAGRAMS_END } from "./datagrams.ts";
import { SOURCES } from "./limits.ts";
import { TIMER_SIZE } from "./timers.ts";

// ---- what holds from the start on; the host writes it ---------------------------------------------------------------

/** u32: maximum number of sessions; 0 where there are none. */
export const MAX_SESSIONS = (DATAGRAMS_END + 63) & -64;
/** u32: address of the records. */
export const SESSIONS = MAX_SESSIONS + 4;
/** u32: address of the table: u32[SESSION_HASH_MASK + 1], each the first record of a chain, or 0. */
export const SESSION_HASH = SESSIONS + 4;
/** u32: number of the table's entries, a power of two, less one. */
export const SESSION_HASH_MASK = SESSION_HASH + 4;
/** u32: not 0 after a crash: only the records hold, and the rest is made anew of them. */
export const SESSIONS_SPOILT = SESSION_HASH_MASK + 4;

// ---- state ----------------------------------------------------------------------------------------------------------

/** u32: records that have ever been used. Those behind them have never been touched. */
export const SESSIONS_TOUCHED = SESSIONS_SPOILT + 4;
/** u32: first record of the free list, chained by SESSION_NEXT; 0 for none. */
export const SESSIONS_FREE = SESSIONS_TOUCHED + 4;
/** u32: sessions that there are. */
export const SESSION_COUNT = SESSIONS_FREE + 4;
/** u32: records that the sweep has looked at. */
export const SESSIONS_SWEPT = SESSION_COUNT + 4;
/** Timer of the sweep. */
export const SESSION_TIMER = (SESSIONS_SWEPT + 4 + 7) & -8;
/** u32[SOURCES]: sessions by a hash of their source's network. */
export const SOURCE_SESSIONS = SESSION_TIMER + TIMER_SIZE;
export const SESSIONS_END = SOURCE_SESSIONS + 4 * SOURCES;

// ---- a record -------------------------------------------------------------------------------------------------------

/** Bytes of a record, three cache lines. */
export const SESSION_SIZE = 192;
/** u32: next of the chain, or of the free list. */
export const SESSION_NEXT = 0;
/** u32: address of the service's record (tcp.ts); 0 in a record that is free. It is the last that is written. */
export const SESSION_SERVICE = SESSION_NEXT + 4;
/** u32: what tells a peer's sessions with a service from each other, as an SSID does. */
export const SESSION_DISCRIMINATOR = SESSION_SERVICE + 4;
/** {u16 remote, u16 local}, in network order. */
export const SESSION_PORTS = SESSION_DISCRIMINATOR + 4;
/** The remote address, and the local one, 4 or 16 bytes each. */
export const SESSION_ADDRESSES = SESSION_PORTS + 4;
/** u32: 4 or 6. */
export const SESSION_FAMILY = SESSION_ADDRESSES + 32;
/** u32, ms: how long it may be silent. */
export const SESSION_IDLE_MS = SESSION_FAMILY + 4;
/** u64, ns of NOW: when it began, and when a datagram of it last came. */
export const SESSION_SINCE = SESSION_IDLE_MS + 4;
export const SESSION_USED = SESSION_SINCE + 8;
/** Holds what the service remembers; zeros in a session that begins. */
export const SESSION_DATA = SESSION_USED + 8;
export const SESSION_DATA_SIZE = SESSION_SIZE - SESSION_DATA;
