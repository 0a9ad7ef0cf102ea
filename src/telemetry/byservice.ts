/** Samples of what the services of ports count. */
import type { Accepting } from "../engine/services.js";
import type { Sample } from "./readcounter.js";
import type { Counted } from "./verdicts.js";

/**
 * Returns a function that returns the samples of a protocol's services: the same ones until a reload changes the
 * services.
 */
export function byService(queues: readonly Counted[], protocol: Accepting["protocol"]): () => readonly Sample[] {
  let known: (readonly Accepting[] | undefined)[] = [];
  let samples: readonly Sample[] = [];
  return () => {
    const now = queues.map(({ accepting }) => accepting);
    if (now.some((accepting, i) => accepting !== known[i])) {
      known = now;
      samples = queues.flatMap((queue) => (queue.accepting ?? []).filter((each) => each.protocol === protocol)
        .map(({ service, counter }) =>
          ({ labels: { service, queue: String(queue.index) }, read: () => queue.counters[counter] })));
    }
    return samples;
  };
}
