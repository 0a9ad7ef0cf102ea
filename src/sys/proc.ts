/** What the kernel says in files of /proc and /sys, from their text. */

/**
 * The set of capabilities of that name ("CapEff", "CapPrm" …) in /proc/PID/status, a bit each; undefined where it is
 * not there.
 */
export function capabilitySet(status: string, name: string): bigint | undefined {
  const digits = new RegExp(`^${name}:[ \\t]*([0-9a-f]{1,32})$`, "m").exec(status)?.[1];
  return digits === undefined ? undefined : BigInt(`0x${digits}`);
}

/** Nanoseconds that a thread has been on a CPU, from its schedstat; 0 where that does not say. */
export function ranNs(schedstat: string): number {
  return Number(/^\d{1,20}(?=[ \n]|$)/.exec(schedstat)?.[0] ?? 0);
}
