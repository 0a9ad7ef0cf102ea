/** IRTT: the sessions of a queue, and the options of a service (assembly/udp/irtt.ts). */
import { BUCKET_SIZE } from "./limits.ts";
import { MD5_END, MD5_PADS_LEN } from "./md5.ts";
import { TIMER_SIZE } from "./timers.ts";

/** Time in s after which a silent session is over, as irtt's server has it. */
export const IRTT_IDLE_S = 65;

// ---- options: the bytes of a service (SERVICE_BYTES in tcp.ts) ------------------------------------------------------

/** u64, ns: least time between two requests of a session, 0 for none. */
export const IRTT_MIN_INTERVAL = 0;
/** u64, ns: maximum duration of a session, 0 for none. */
export const IRTT_MAX_DURATION = IRTT_MIN_INTERVAL + 8;
/** u32: maximum length of a request and of a reply, 0 for none. */
export const IRTT_MAX_LENGTH = IRTT_MAX_DURATION + 8;
/** u32: 1 if there is a key, whose pads (assembly/md5.ts) then follow. */
export const IRTT_IS_KEYED = IRTT_MAX_LENGTH + 4;
export const IRTT_OPTIONS_END = IRTT_IS_KEYED + 4;
export const IRTT_PADS = IRTT_OPTIONS_END;
export const IRTT_KEYED_END = IRTT_PADS + MD5_PADS_LEN;

// ---- what a queue has -----------------------------------------------------------------------------------------------

/** u8[16]: key of the hashes that find sessions, and of their tokens. The host writes it. */
export const IRTT_KEY = (MD5_END + 63) & -64;
export const IRTT_KEY_LEN = 16;
/** u32: number of tokens that were made. */
export const IRTT_TOKENS = IRTT_KEY + IRTT_KEY_LEN;
/** u32: sessions that the sweep has looked at. */
export const IRTT_SWEPT = IRTT_TOKENS + 4;
/** i64[]: parameters of the request in hand, by their type; 0 for one that it does not have. */
export const IRTT_PARAMETERS = IRTT_SWEPT + 4;
/** Types of parameters, from 1 on. That of a fill's name is the last. */
export const IRTT_TYPES = 10;
/** Timer of the sweep. */
export const IRTT_TIMER = IRTT_PARAMETERS + 8 * IRTT_TYPES;
/** u32: sessions that there are. */
export const IRTT_OPEN = IRTT_TIMER + TIMER_SIZE;
/** u32: not 0 after a crash: the sessions hold, but are not counted, and nobody sweeps them. The host writes it. */
export const IRTT_SPOILT = IRTT_OPEN + 4;

/** Sessions [IRTT_SETS * IRTT_WAYS]. Those of a hash share a set. */
export const IRTT_SESSIONS = (IRTT_SPOILT + 4 + 63) & -64;
export const IRTT_SETS = 512;
export const IRTT_WAYS = 8;
/** A session has two cache lines, of which its fields use most. Its token is the last that is written. */
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
/** u32: address of the service's record (tcp.ts) by which it was last answered. */
export const IRTT_SERVICE = IRTT_BUCKET + BUCKET_SIZE;

export const IRTT_END = IRTT_SESSIONS + IRTT_SESSION_SIZE * IRTT_SETS * IRTT_WAYS;
