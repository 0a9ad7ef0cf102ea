/**
 * Path MTUs: what is known of the way to an address; assembly/pmtu.ts. The wasm engine's alone, but for the least one.
 */
import { LIMITS_END } from "./limits.ts";

/**
 * The least path MTU that is reckoned with for IPv4, Linux's net.ipv4.route.min_pmtu: only longer replies go without
 * don't-fragment.
 */
export const MIN_PATH_MTU = 552;
/** The least MTU of IPv6 (RFC 8200 §5): every path has it. */
export const MIN_PATH_MTU6 = 1280;

/** Sets of entries; pmtu.ts draws one. */
export const PATHS = (LIMITS_END + 63) & -64;
/** A power of two. */
export const PATH_SETS = 256;
/** Entries of a set. */
export const PATH_WAYS = 8;
export const PATH_SIZE = 32;

export const PATHS_END = PATHS + PATH_SETS * PATH_WAYS * PATH_SIZE;
