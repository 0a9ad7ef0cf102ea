/**
 * STAMP: the options of a service, at the beginning of its bytes (SERVICE_BYTES in tcp.ts). The service `stamp`, which
 * needs no entry, has those that hold by default.
 */
import { PADS_LEN } from "./sha256.ts";

/** u8: bits, STATEFUL to LOCATION. */
export const STAMP_FLAGS = 0;
/** u8: DSCP of replies, or DSCP_REFLECTED for that of the request. */
export const STAMP_DSCP = STAMP_FLAGS + 1;
export const DSCP_REFLECTED = 255;
/** u8: TTL, or hop limit, of replies. */
export const STAMP_TTL = STAMP_DSCP + 1;
/** u32, ms: how long a session may be silent. */
export const STAMP_IDLE_MS = (STAMP_TTL + 1 + 3) & -4;
/** u64: a bit for each DSCP that a sender may ask for (RFC 8972 §4.4). */
export const STAMP_COS = (STAMP_IDLE_MS + 4 + 7) & -8;
export const STAMP_OPTIONS_END = STAMP_COS + 8;

// Behind them, where packets are authenticated:
/** u32: number of keys. */
export const STAMP_KEY_COUNT = STAMP_OPTIONS_END;
/** Keys, by ascending SSID: {u32 SSID, u8[PADS_LEN] what assembly/sha256.ts knows of it}. */
export const STAMP_KEYS = STAMP_KEY_COUNT + 4;
export const STAMP_KEY_PADS = 4;
export const STAMP_KEY_SIZE = STAMP_KEY_PADS + PADS_LEN;
// A session of the stateful mode remembers this, at its SESSION_DATA (sessions.ts).
/** u32: packets that came, and replies to them. The next reply has that number. */
export const STAMP_RECEIVED = 0;
export const STAMP_SENT = STAMP_RECEIVED + 4;
/** {u32 sequence number, u64 T3} of the last reply that was completed, as it had them; 0 before the first one. */
export const STAMP_LAST_SEQUENCE = STAMP_SENT + 4;
export const STAMP_LAST_TIME = STAMP_LAST_SEQUENCE + 4;

// Bits of STAMP_FLAGS.
/** Sessions count their replies (RFC 8762 §4). */
export const STATEFUL = 1;
/** Times are in PTP's format, not in NTP's (RFC 8762 §4.2.1). */
export const PTP = 2;
/** Packets that are too short get a reply of full length (RFC 8762 §4.6). */
export const ANSWERS_SHORT = 4;
/** Any source port may ask. */
export const ANY_SOURCE = 8;
/** A Location TLV is told the addresses and ports (RFC 8972 §4.2). */
export const LOCATION = 16;
/** Packets are authenticated (RFC 8762 §4.4). */
export const AUTHENTICATED = 64;
/** Each session has the key of its SSID. Else there is one key for all, whatever SSID it lies at. */
export const KEY_BY_SSID = 128;
