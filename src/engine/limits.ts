/** Limits in the form in which an engine reads them. */
import type { Limit } from "../prefix/policy.js";

/** Returns tokens a millisecond and at once, for each of so many engines that share a limit. */
export function bucketOf({ rate, burst }: Limit, shares: number): readonly [rate: number, burst: number] {
  return [rate / 1000 / shares, Math.max(1, burst / shares)];
}
