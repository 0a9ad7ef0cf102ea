/** Room in which SHA-256 is computed, and its constants (assembly/sha256.ts). */
import { SESSIONS_END } from "./sessions.ts";

/** u32[64]: the constants of its rounds, which the host writes. */
export const SHA_K = (SESSIONS_END + 63) & -64;
/** u32[64]: the message schedule of the block in hand. */
export const SHA_SCHEDULE = SHA_K + 256;
export const SHA_SCHEDULE_SIZE = 256;
/** u8[128]: the last bytes of a text, and its padding. */
export const SHA_LAST = SHA_SCHEDULE + SHA_SCHEDULE_SIZE;
/** u32[8]: the state. */
export const SHA_STATE = SHA_LAST + 128;
export const SHA_END = SHA_STATE + 32;

/** Bytes of a block, and of a hash. */
export const SHA_BLOCK = 64;
export const SHA_LEN = 32;
/** Bytes of what is kept of a key: the states of its two pads. */
export const PADS_LEN = 2 * SHA_LEN;
