/** Room in which MD5 is computed, and its constants (assembly/md5.ts). */
import { SHA_END } from "./sha256.ts";

/** u32[64]: the constants of its steps, which the host writes. */
export const MD5_T = (SHA_END + 63) & -64;
/** u8[128]: the last bytes of a text, and its padding. */
export const MD5_LAST = MD5_T + 256;
/** u32[4]: the state. */
export const MD5_STATE = MD5_LAST + 128;
export const MD5_END = MD5_STATE + 16;

/** Bytes of a block, and of a hash. */
export const MD5_BLOCK = 64;
export const MD5_LEN = 16;
/** Bytes of what is kept of a key: the states of its two pads. */
export const MD5_PADS_LEN = 2 * MD5_LEN;
