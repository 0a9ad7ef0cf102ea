/**
 * Token buckets: {f64 tokens that are missing, f64 when in ms} each; assembly/limit.ts. Memory that is all zero is full
 * buckets.
 */
import { COUNTERS_END, MAX_ERRORS } from "./counters.ts";
import { PREFIX_INDICES } from "./tables.ts";

export const BUCKET_SIZE = 16;

/** A bucket for each kind of ICMP error, at its index from ERRORS. */
export const ERROR_BUCKETS = COUNTERS_END;
/** Errors of a kind at once, and one more for each millisecond after (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f). */
export const ERROR_BURST = 50;
export const ERRORS_PER_MS = 1;

/** A bucket for each prefix, at its index. */
export const PREFIX_BUCKETS = ERROR_BUCKETS + BUCKET_SIZE * 2 * MAX_ERRORS;

/** A bucket for the sources (IPv4 /24, IPv6 /56) of one hash each. */
export const SOURCE_BUCKETS = PREFIX_BUCKETS + BUCKET_SIZE * PREFIX_INDICES;
/** A power of two. */
export const SOURCES = 8192;

export const LIMITS_END = SOURCE_BUCKETS + BUCKET_SIZE * SOURCES;
