/**
 * Builds the Prometheus registry. Nothing is counted here: each scrape reads the counters that the packet loops keep in
 * shared memory.
 */
import { Counter as PromCounter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import {
  BATCH_BUCKETS, BATCH_SIZES, Counter, Drop, DROPPED, ERRORS, ERRORS6, IcmpError, PREFIX_REPLIES, Protocol, REPLIES,
} from "../../abi/counters.js";
import type { EngineName } from "../engine/contract.js";
import type { PrefixList } from "../prefix/list.js";
import type { IoName } from "../io/contract.js";
import { version } from "../base/version.js";

/**
 * Interval in ms at which the process metrics sample the event loop's delay. Their timer is nearly all that wakes the
 * main thread.
 */
const EVENT_LOOP_PRECISION_MS = 1000;

/**
 * Process metrics that are left out: those of the event loop's delay, which include the sampling interval of a second,
 * and gauges with a counter's name.
 */
const MISLEADING = [
  ...["min", "max", "mean", "stddev", "p50", "p90", "p99"].map((what) => `nodejs_eventloop_lag_${what}_seconds`),
  ...["handles", "requests", "resources"].map((what) => `nodejs_active_${what}_total`),
];

export const DROP_REASONS = namesOf(Drop);
export const PROTOCOLS = namesOf(Protocol);
export const ICMP_ERRORS = namesOf(IcmpError);

/** A queue's counters and labels. */
export interface Counted {
  readonly index: number;
  readonly engine: EngineName;
  readonly io: IoName;
  /** Counters by the indices of abi/counters.ts. */
  readonly counters: Float64Array;
  /** Times that its worker was started again. */
  readonly restarts: number;
}

/** The prefixes that are served now. */
export interface Indexed {
  readonly prefixes: PrefixList;
}

/** The device, whose own queues hold packets until pongd reads them. */
export interface Overrun {
  /** Returns how many packets found no room in those queues. */
  txDropped(): number;
}

/** Result of the last reload. */
export interface Reloaded {
  readonly successful: boolean;
  /** Unix time in seconds of the last successful load; the start counts. */
  readonly succeededAt: number;
}

/** Other sources of metrics, each optional. */
export interface State {
  readonly reach?: { readonly answering: boolean } | undefined;
  readonly config?: Reloaded | undefined;
  /** The web configuration. */
  readonly web?: { readonly successful: boolean } | undefined;
  /** The log's lines. */
  readonly log?: { readonly dropped: number } | undefined;
}

/** Builds the registry for the running queues. */
export function createRegistry(
  queues: readonly Counted[], served: Indexed, device: Overrun, state: State = {},
): Registry {
  const { reach, config = { successful: true, succeededAt: Date.now() / 1000 }, web, log } = state;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_PRECISION_MS });
  for (const name of MISLEADING) registry.removeSingleMetric(name);

  const info = (name: string, help: string, labels: Record<string, string>[]) => {
    const gauge = new Gauge({ name, help, labelNames: Object.keys(labels[0] ?? {}), registers: [registry] });
    for (const set of labels) gauge.set(set, 1);
  };
  info("pongd_build_info", "Version of pongd and of the Node.js that runs it.", [{ version, node: process.version }]);
  info(
    "pongd_queue_info",
    "Engine and I/O backend of each queue.",
    queues.map(({ index, engine, io }) => ({ queue: String(index), engine, io })),
  );

  const counter = (name: string, help: string, samples: () => readonly Sample[]) => {
    return new ReadCounter(registry, { name, help }, samples);
  };
  const perQueue = (name: string, help: string, places: number | readonly Place[]) => {
    const sets = typeof places === "number" ? [{ labels: {}, index: places }] : places;
    const samples = queues.flatMap((queue) => sets.map(
      ({ labels, index }) => ({ labels: { ...labels, queue: String(queue.index) }, read: () => queue.counters[index] }),
    ));
    counter(name, help, () => samples);
  };
  perQueue("pongd_packets_received_total", "Packets read from the device.", Counter.packetsReceived);
  perQueue("pongd_bytes_received_total", "Bytes read from the device.", Counter.bytesReceived);
  perQueue(
    "pongd_replies_total",
    "Packets answered, by the protocol of the answer.",
    PROTOCOLS.map((protocol, i) => ({ labels: { protocol }, index: REPLIES + i })),
  );
  // The worker counts bytes as sent when it submits them and takes them back if the device refuses. Prometheus would
  // read that decrease as a reset, so each series keeps its maximum.
  const bytesSent = queues.map((queue) => {
    let most = 0;
    return {
      labels: { queue: String(queue.index) }, read: () => most = Math.max(most, queue.counters[Counter.bytesSent]),
    };
  });
  counter("pongd_bytes_sent_total", "Bytes of replies and errors that the device took.", () => bytesSent);
  const errors = Object.entries({ icmp: ERRORS, icmpv6: ERRORS6 }).flatMap(([protocol, base]) => {
    return ICMP_ERRORS.map((error, i) => ({ labels: { protocol, error }, index: base + i }));
  });
  perQueue("pongd_icmp_errors_sent_total", "ICMP errors about packets that were dropped.", errors);
  perQueue("pongd_icmp_errors_limited_total", "ICMP errors that were not sent, for their rate.", Counter.errorsLimited);
  perQueue(
    "pongd_packets_dropped_total",
    "Packets not answered, by reason; docs/reference.md says what each means.",
    DROP_REASONS.map((reason, i) => ({ labels: { reason }, index: DROPPED + i })),
  );
  const overruns = [{ labels: {}, read: () => device.txDropped() }];
  counter(
    "pongd_device_tx_dropped_total",
    "Packets that the device's queues had no room for, before pongd could read them.",
    () => overruns,
  );
  new Gauge({
    name: "pongd_fragments_held", help: "Fragments that wait for the rest of their datagrams.", labelNames: ["queue"],
    registers: [registry],
    collect() {
      for (const { index, counters } of queues) this.set({ queue: String(index) }, counters[Counter.held]);
    },
  });
  perQueue("pongd_write_errors_total", "Replies that the device refused.", Counter.writeErrors);
  perQueue("pongd_syscalls_total", "System calls of the packet loop.", Counter.syscalls);
  counter(
    "pongd_prefix_replies_total",
    "Packets answered, by the prefix of the address that answered.",
    prefixSamples(queues, served),
  );
  const restarts = queues.map((queue) => ({ labels: { queue: String(queue.index) }, read: () => queue.restarts }));
  counter(
    "pongd_worker_restarts_total", "Times a queue's worker was started again because it had crashed.", () => restarts,
  );
  const lines = log && [{ labels: {}, read: () => log.dropped }];
  if (lines) counter(
    "pongd_log_lines_dropped_total",
    "Lines of the log that were dropped, since nobody read standard error.",
    () => lines,
  );
  const gauge = (name: string, help: string, value: () => number) => {
    new Gauge({ name, help, registers: [registry], collect() { this.set(value()); } });
  };
  if (reach) {
    gauge("pongd_ready", "Whether all that is served can be reached, as /-/ready says.", () => reach.answering ? 1 : 0);
  }
  gauge(
    "pongd_config_last_reload_successful",
    "Whether the last reload of the configuration was successful, the start included.",
    () => config.successful ? 1 : 0,
  );
  gauge(
    "pongd_config_last_reload_success_timestamp_seconds",
    "When the configuration was last loaded successfully, as Unix time.",
    () => config.succeededAt,
  );
  if (web) gauge(
    "pongd_web_config_last_reload_successful",
    "Whether the web configuration is served as its files have it.",
    () => web.successful ? 1 : 0,
  );
  new BatchHistogram(registry, queues);
  return registry;
}

/** Totals by what became of the packets. */
export interface Verdicts {
  readonly received: number;
  readonly replied: number;
  /** Counts by reason; only reasons that occurred. */
  readonly dropped: Record<string, number>;
  /** Fragments that wait for the rest of their datagram and have no verdict yet. */
  readonly held: number;
}

/** Sums the verdicts on all packets that these queues have received so far. */
export function verdicts(queues: readonly Pick<Counted, "counters">[]): Verdicts {
  const dropped = DROP_REASONS.map((reason, i) => [reason, total(queues, DROPPED + i)] as const);
  return {
    received: total(queues, Counter.packetsReceived),
    replied: PROTOCOLS.reduce((sum, _, i) => sum + total(queues, REPLIES + i), 0),
    dropped: Object.fromEntries(dropped.filter(([, count]) => count > 0)),
    held: total(queues, Counter.held),
  };
}

/** Sums one counter over all queues. */
export function total(queues: readonly Pick<Counted, "counters">[], index: number): number {
  return queues.reduce((sum, { counters }) => sum + counters[index], 0);
}

type Labels = Readonly<Record<string, string>>;

/** Index of a sample in a queue's counters. */
interface Place {
  readonly labels: Labels;
  readonly index: number;
}

interface Sample {
  /** Labels, the same object at each scrape: prom-client caches the text of it. */
  readonly labels: Labels;
  readonly read: () => number;
}

/** Returns a function that reads the prefixes' samples. It rebuilds them after a reload has changed the prefixes. */
function prefixSamples(queues: readonly Counted[], served: Indexed): () => readonly Sample[] {
  let prefixes: PrefixList | undefined;
  let samples: readonly Sample[] = [];
  return () => {
    if (prefixes === served.prefixes) return samples;
    prefixes = served.prefixes;
    samples = Array.from(prefixes, (prefix) => {
      const index = PREFIX_REPLIES + prefix.index;
      return {
        labels: { prefix: prefix.text, ...prefix.name !== undefined && { name: prefix.name } },
        read: () => total(queues, index),
      };
    });
    return samples;
  };
}

/**
 * A counter that is read, not incremented. prom-client's own looks each sample up by a hash of its labels and validates
 * them; here both would be wasted, since samples and labels are fixed.
 */
class ReadCounter extends PromCounter {
  /** Name without the _total suffix where the registry strips it: OpenMetrics has the suffix on the sample only. */
  declare readonly name: string;
  readonly #help: string;
  readonly #samples: () => readonly Sample[];

  constructor(
    registry: Registry, { name, help }: { readonly name: string; readonly help: string },
    samples: () => readonly Sample[],
  ) {
    super({ name, help, registers: [registry] });
    this.#help = help;
    this.#samples = samples;
  }

  /** Called by the registry to read the samples; prom-client's types leave it out. */
  getForPromString(): Promise<unknown> {
    const values = this.#samples().map(({ labels, read }) => ({ sharedLabels: labels, value: read() }));
    return Promise.resolve({ name: this.name, help: this.#help, type: "counter", values });
  }
}

const BATCH_PACKETS = {
  name: "pongd_batch_packets",
  help: "Packets a round of the packet loop took from the device.",
};

/** A histogram whose buckets the packet loops have counted; prom-client's own would count observations itself. */
class BatchHistogram extends Histogram {
  readonly #queues: readonly Counted[];

  constructor(registry: Registry, queues: readonly Counted[]) {
    super(
      { ...BATCH_PACKETS, buckets: Array.from({ length: BATCH_BUCKETS }, (_, i) => 2 ** i), registers: [registry] },
    );
    this.#queues = queues;
  }

  /** Called by Histogram.get() and the registry to read the samples; prom-client's types leave it out. */
  getForPromString(): Promise<unknown> {
    const { name } = BATCH_PACKETS;
    let count = 0;
    const buckets = Array.from({ length: BATCH_BUCKETS }, (_, i) => {
      count += total(this.#queues, BATCH_SIZES + i);
      return { metricName: `${name}_bucket`, labels: { le: 2 ** i }, value: count };
    });
    const values = [
      ...buckets,
      { metricName: `${name}_bucket`, labels: { le: "+Inf" }, value: count },
      { metricName: `${name}_sum`, labels: {}, value: total(this.#queues, Counter.packetsReceived) },
      { metricName: `${name}_count`, labels: {}, value: count },
    ];
    return Promise.resolve({ ...BATCH_PACKETS, type: "histogram", values });
  }
}

/** Returns the names of a numeric enum, in the order of its values, which begin at 0. */
function namesOf(enumeration: Record<string, string | number>): string[] {
  return Object.keys(enumeration).filter((key) => Number.isNaN(Number(key)));
}
