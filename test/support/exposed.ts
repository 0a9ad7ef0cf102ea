/** Metrics as pongd exposes them, of queues and prefixes that a test makes. */
import { PrefixList } from "../../src/prefix/list.js";
import type { ServedPrefix } from "../../src/prefix/prefixes.js";
import { createRegistry, type Overrun, type State } from "../../src/telemetry/metrics.js";
import { PrefixReplies, type Serves } from "../../src/telemetry/prefixreplies.js";
import type { Counted } from "../../src/telemetry/verdicts.js";
import { expose, type Metrics } from "../../src/web/exposition.js";

/** Prefixes, and the index at which each is counted. */
interface Indexed {
  readonly prefixes: readonly ServedPrefix[];
  readonly indices: readonly number[];
}

/** Returns the prefixes as they are listed for other threads, whatever they change to. */
export function listed(served: Indexed): Serves {
  let of: readonly ServedPrefix[] | undefined;
  let list = PrefixList.of([], []);
  return {
    get prefixes() {
      if (of !== served.prefixes) list = PrefixList.of(of = served.prefixes, served.indices);
      return list;
    },
  };
}

export function metricsOf(
  queues: readonly Counted[], served: Indexed, device: Overrun = { txDropped: () => 0 }, state: State = {},
): Metrics {
  return { registry: createRegistry(queues, device, state), prefixes: new PrefixReplies(queues, listed(served)) };
}

export async function textOf(metrics: Metrics, openMetrics = false): Promise<string> {
  return Buffer.concat((await expose(metrics, { openMetrics, gzip: false })).pieces).toString();
}
