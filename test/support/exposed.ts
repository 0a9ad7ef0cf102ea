/** Metrics as pongd exposes them, of queues and prefixes that a test makes. */
import { createRegistry, type Overrun, type State } from "../../src/telemetry/metrics.js";
import { HopErrors, type Speaks } from "../../src/telemetry/hoperrors.js";
import { LinkPackets } from "../../src/telemetry/linkpackets.js";
import { PrefixReplies, type Serves } from "../../src/telemetry/prefixreplies.js";
import type { Counted } from "../../src/telemetry/verdicts.js";
import { expose, type Metrics } from "../../src/web/exposition.js";

export function metricsOf(
  queues: readonly (Counted & { readonly effects?: Float64Array } & Partial<Speaks>)[], served: Serves,
  device: Overrun = { txDropped: () => 0 }, state: State = {},
): Metrics {
  const impaired = queues.map(({ effects, hopErrors = [] }) => ({ effects, hopErrors }));
  return {
    registry: createRegistry(queues, device, state),
    more: [new PrefixReplies(queues, served), new LinkPackets(impaired, served), new HopErrors(impaired, served)],
  };
}

export async function textOf(metrics: Metrics, openMetrics = false): Promise<string> {
  return Buffer.concat((await expose(metrics, { openMetrics, gzip: false })).pieces).toString();
}
