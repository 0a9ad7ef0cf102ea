/** What an IRTT server allows, as a configuration says it, and as its service's bytes have it (abi/irtt.ts). */
import {
  IRTT_IS_KEYED, IRTT_KEYED_END, IRTT_MAX_DURATION, IRTT_MAX_LENGTH, IRTT_MIN_INTERVAL, IRTT_OPTIONS_END, IRTT_PADS,
} from "../../abi/irtt.js";

export interface IrttOptions {
  /** Least time between two requests of a session, 0 for none. */
  readonly minIntervalMs: number;
  /** Maximum duration of a session, 0 for none. */
  readonly maxDurationMs: number;
  /** Maximum bytes of a request, 0 for none. */
  readonly maxLength: number;
}

/** Those of irtt's own server. */
export const DEFAULT_IRTT: IrttOptions = { minIntervalMs: 10, maxDurationMs: 0, maxLength: 0 };
export const MAX_IRTT_LENGTH = 65_527;

/** Returns the bytes of a service with these options. */
export function irttBytes({ minIntervalMs, maxDurationMs, maxLength }: IrttOptions): Buffer {
  const bytes = Buffer.alloc(IRTT_OPTIONS_END);
  bytes.writeBigUInt64LE(BigInt(minIntervalMs) * 1_000_000n, IRTT_MIN_INTERVAL);
  bytes.writeBigUInt64LE(BigInt(maxDurationMs) * 1_000_000n, IRTT_MAX_DURATION);
  bytes.writeUInt32LE(maxLength, IRTT_MAX_LENGTH);
  return bytes;
}

/** Returns the bytes of a service with these options, and a key's pads as md5PadsOf() in ../base/md5.ts makes them. */
export function withPads(options: Uint8Array, pads: Uint8Array): Buffer {
  const bytes = Buffer.alloc(IRTT_KEYED_END);
  bytes.set(options);
  bytes.writeUInt32LE(1, IRTT_IS_KEYED);
  bytes.set(pads, IRTT_PADS);
  return bytes;
}
