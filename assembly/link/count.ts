// Counters of what a link does.

import { Effect } from "../../abi/links";

/** Counts an effect; `effects` are the counters of a prefix and way. */
export function count(effects: usize, effect: Effect): void {
  const at = effects + (effect << 3);
  store<f64>(at, load<f64>(at) + 1);
}
