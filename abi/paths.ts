/**
 * Path MTUs: what is known of the path to an address; see assembly/pmtu.ts. Only the wasm engine uses the table. Both
 * engines use the minimum for IPv4.
 */
import { LIMITS_END } from "./limits.ts";

/**
 * Smallest path MTU that is taken into account for IPv4, Linux's net.ipv4.route.min_pmtu. Only longer replies
 * are sent without don't-fragment.
 */
export const MIN_PATH_MTU = 552;
/** Smallest MTU of IPv6 (RFC 8200 §5). Every path has it. */
export const MIN_PATH_MTU6 = 1280;

/** Sets of entries; assembly/pmtu.ts draws one. */
export const PATHS = (LIMITS_END + 63) & -64;
/** Number of sets, a power of two. */
export const PATH_SETS = 256;
/** Entries in a set. */
export const PATH_WAYS = 8;
export const PATH_SIZE = 32;

/** Room for an IPv4 address as one of IPv6, which the table has (RFC 4291 §2.5.5.2). */
export const MAPPED = PATHS + PATH_SETS * PATH_WAYS * PATH_SIZE;

export const PATHS_END = MAPPED + 16;
