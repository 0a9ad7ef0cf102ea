/** What a STAMP reflector does, as a configuration says it, and as its service's bytes have it (abi/stamp.ts). */
import {
  ANSWERS_SHORT, ANY_SOURCE, AUTHENTICATED, DSCP_REFLECTED, KEY_BY_SSID, LOCATION, PTP, STAMP_COS, STAMP_DSCP,
  STAMP_FLAGS, STAMP_IDLE_MS, STAMP_KEY_COUNT, STAMP_KEY_PADS, STAMP_KEY_SIZE, STAMP_KEYS, STAMP_OPTIONS_END, STAMP_TTL,
  STATEFUL,
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

/** Keys of authenticated packets, as padsOf() in ../base/sha256.ts makes them: one for all, or one for each SSID. */
export type StampKeys = Uint8Array | ReadonlyMap<number, Uint8Array>;

/** Returns the bytes of a service with these options and keys. */
export function withKeys(options: Uint8Array, keys: StampKeys): Buffer {
  const bySsid = !(keys instanceof Uint8Array);
  const sorted = [...bySsid ? keys : [[0, keys] as const]].sort(([a], [b]) => a - b);
  const bytes = Buffer.alloc(STAMP_KEYS + STAMP_KEY_SIZE * sorted.length);
  bytes.set(options);
  bytes[STAMP_FLAGS] |= AUTHENTICATED | (bySsid ? KEY_BY_SSID : 0);
  bytes.writeUInt32LE(sorted.length, STAMP_KEY_COUNT);
  for (const [i, [ssid, pads]] of sorted.entries()) {
    const at = STAMP_KEYS + STAMP_KEY_SIZE * i;
    bytes.writeUInt32LE(ssid, at);
    bytes.set(pads, at + STAMP_KEY_PADS);
  }
  return bytes;
}

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
