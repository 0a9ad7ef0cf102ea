/** Readers of the text of files in /proc and /sys. */

/**
 * Returns the set of capabilities of that name ("CapEff", "CapPrm" …) in /proc/PID/status, one bit each; undefined
 * where it is missing.
 */
export function capabilitySet(status: string, name: string): bigint | undefined {
  const digits = new RegExp(`^${name}:[ \\t]*([0-9a-f]{1,32})$`, "m").exec(status)?.[1];
  return digits === undefined ? undefined : BigInt(`0x${digits}`);
}

/** Returns the nanoseconds that a thread has been on a CPU, from its schedstat; 0 where that does not say. */
export function ranNs(schedstat: string): number {
  return Number(/^\d{1,20}(?=[ \n]|$)/.exec(schedstat)?.[0] ?? 0);
}
