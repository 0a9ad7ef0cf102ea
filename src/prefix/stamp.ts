/** What a STAMP reflector does, as a configuration says it, and as its service's bytes have it (abi/stamp.ts). */
import {
  ANSWERS_SHORT, ANY_SOURCE, DSCP_REFLECTED, LOCATION, PTP, STAMP_COS, STAMP_DSCP, STAMP_FLAGS, STAMP_IDLE_MS,
  STAMP_OPTIONS_END, STAMP_TTL, STATEFUL,
} from "../../abi/stamp.js";
import type { Sources } from "./streams.js";

export const STAMP_MODES = ["stateless", "stateful"] as const;
export const STAMP_TIMESTAMPS = ["ntp", "ptp"] as const;
export const STAMP_SHORT = ["drop", "answer"] as const;
/** DSCPs have 6 bits. */
export const MAX_DSCP = 63;

export interface StampOptions {
  readonly mode: typeof STAMP_MODES[number];
  readonly timestamp: typeof STAMP_TIMESTAMPS[number];
  /** DSCPs that a sender may ask for. */
  readonly cos: "none" | "any" | readonly number[];
  /** DSCP of replies. */
  readonly dscp: "reflect" | number;
  /** TTL, or hop limit, of replies. */
  readonly ttl: number;
  /** What becomes of a packet that is shorter than a reply. */
  readonly short: typeof STAMP_SHORT[number];
  readonly sources: Sources;
  /** True if senders are told at which addresses and ports their packets came. */
  readonly location: boolean;
  /** How long a session may be silent. */
  readonly idleMs: number;
}

export const DEFAULT_STAMP: StampOptions = {
  mode: "stateless", timestamp: "ntp", cos: "none", dscp: "reflect", ttl: 255, short: "drop", sources: "unprivileged",
  location: true, idleMs: 15 * 60_000,
};

/** Returns the bytes of a service with these options. */
export function stampBytes(
  { mode, timestamp, cos, dscp, ttl, short, sources, location, idleMs }: StampOptions,
): Buffer {
  const bytes = Buffer.alloc(STAMP_OPTIONS_END);
  bytes[STAMP_FLAGS] = (mode === "stateful" ? STATEFUL : 0) | (timestamp === "ptp" ? PTP : 0)
    | (short === "answer" ? ANSWERS_SHORT : 0) | (sources === "any" ? ANY_SOURCE : 0) | (location ? LOCATION : 0);
  bytes[STAMP_DSCP] = dscp === "reflect" ? DSCP_REFLECTED : dscp;
  bytes[STAMP_TTL] = ttl;
  bytes.writeUInt32LE(idleMs, STAMP_IDLE_MS);
  bytes.writeBigUInt64LE(maskOf(cos), STAMP_COS);
  return bytes;
}

/** Returns a bit for each DSCP. */
function maskOf(cos: StampOptions["cos"]): bigint {
  if (cos === "any") return (1n << BigInt(MAX_DSCP + 1)) - 1n;
  return cos === "none" ? 0n : cos.reduce((mask, dscp) => mask | 1n << BigInt(dscp), 0n);
}
