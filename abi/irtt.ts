/** IRTT: the sessions of a queue, and the options of a service (assembly/udp/irtt.ts). */
import { SHA_END } from "./sha256.ts";

// ---- options: the bytes of a service (SERVICE_BYTES in tcp.ts) ------------------------------------------------------

/** u64, ns: least time between two requests of a session, 0 for none. */
export const IRTT_MIN_INTERVAL = 0;
/** u64, ns: maximum duration of a session, 0 for none. */
export const IRTT_MAX_DURATION = IRTT_MIN_INTERVAL + 8;
/** u32: maximum length of a request and of a reply, 0 for none. */
export const IRTT_MAX_LENGTH = IRTT_MAX_DURATION + 8;
export const IRTT_OPTIONS_END = IRTT_MAX_LENGTH + 4;

// ---- what a queue has -----------------------------------------------------------------------------------------------

/** u8[16]: key of the hashes that find sessions, and of their tokens. The host writes it. */
export const IRTT_KEY = (SHA_END + 63) & -64;
export const IRTT_KEY_LEN = 16;
/** u32: number of tokens that were made. */
export const IRTT_TOKENS = IRTT_KEY + IRTT_KEY_LEN;
/** i64[]: parameters of the request in hand, by their type; 0 for one that it does not have. */
export const IRTT_PARAMETERS = IRTT_TOKENS + 8;
/** Types of parameters, from 1 on. That of a fill's name is the last. */
export const IRTT_TYPES = 10;

/** Sessions [IRTT_SETS * IRTT_WAYS]. Those of a hash share a set. */
export const IRTT_SESSIONS = (IRTT_PARAMETERS + 8 * IRTT_TYPES + 63) & -64;
export const IRTT_SETS = 512;
export const IRTT_WAYS = 8;
/** A session has two cache lines, of which its fields use most. */
export const IRTT_SESSION_SIZE = 128;
/** u64: its token, as it lies in a packet; 0 where there is no session. */
export const IRTT_TOKEN = 0;
/** u64, ns of NOW: when it was opened, or last used. */
export const IRTT_USED_AT = IRTT_TOKEN + 8;
/** u64, ns of NOW: when it was opened. */
export const IRTT_OPENED_AT = IRTT_USED_AT + 8;
/** u64, ns of NOW: when its first request came; 0 before. */
export const IRTT_BEGAN_AT = IRTT_OPENED_AT + 8;
/** Both addresses as they lie in a packet of the client's, 8 or 32 bytes, the rest 0; then both ports. */
export const IRTT_ADDRESSES = IRTT_BEGAN_AT + 8;
export const IRTT_PORTS = IRTT_ADDRESSES + 32;
/** u8: 1 if the addresses are IPv6. */
export const IRTT_SIX = IRTT_PORTS + 4;
/** u8: which of the optional fields its packets have: RECEIVED_COUNT to WALL_CLOCK. */
export const IRTT_FIELDS = IRTT_SIX + 1;
/** u8: 1 if replies are filled with random bytes. */
export const IRTT_RANDOM = IRTT_FIELDS + 1;
/** u32: length of its packets. */
export const IRTT_LENGTH = IRTT_PORTS + 8;
/** u32: requests that came; the highest sequence number; and u64: a bit for each of the last 64 that came. */
export const IRTT_COUNT = IRTT_LENGTH + 4;
export const IRTT_HIGHEST = IRTT_COUNT + 4;
export const IRTT_WINDOW = (IRTT_HIGHEST + 4 + 7) & -8;
/** A token bucket (limits.ts). */
export const IRTT_BUCKET = IRTT_WINDOW + 8;

export const IRTT_END = IRTT_SESSIONS + IRTT_SESSION_SIZE * IRTT_SETS * IRTT_WAYS;
