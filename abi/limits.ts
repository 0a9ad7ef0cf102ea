/**
 * Token buckets: {f64 missing tokens, u64 time of the last update on the clock of NOW} each; see assembly/limit.ts.
 * Zeroed memory is a row of full buckets.
 */
import { COUNTERS_END, MAX_ERRORS } from "./counters.ts";
import { PREFIX_INDICES } from "./tables.ts";

export const BUCKET_SIZE = 16;

/** One bucket for each kind of ICMP error, at its index from ERRORS. */
export const ERROR_BUCKETS = COUNTERS_END;
/**
 * Errors of one kind that may be sent at once. Each millisecond adds ERRORS_PER_MS (RFC 1812 §4.3.2.8,
 * RFC 4443 §2.4 f).
 */
export const ERROR_BURST = 50;
export const ERRORS_PER_MS = 1;

/** One bucket for each prefix, at its index. */
export const PREFIX_BUCKETS = ERROR_BUCKETS + BUCKET_SIZE * 2 * MAX_ERRORS;

/** One bucket for each hash of a source network (IPv4 /24, IPv6 /56). Networks with the same hash share it. */
export const SOURCE_BUCKETS = PREFIX_BUCKETS + BUCKET_SIZE * PREFIX_INDICES;
/** Number of these buckets, a power of two. */
export const SOURCES = 8192;

export const LIMITS_END = SOURCE_BUCKETS + BUCKET_SIZE * SOURCES;
