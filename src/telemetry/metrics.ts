/**
 * The Prometheus registry. Nothing is counted here: each scrape reads the counters that the packet loops keep in shared
 * memory.
 */
import { Counter as PromCounter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import {
  BATCH_BUCKETS, BATCH_SIZES, Counter, Drop, DROPPED, ERRORS, ERRORS6, IcmpError, PREFIX_REPLIES, Protocol, REPLIES,
} from "../../abi/counters.js";
import type { EngineName } from "../engine/contract.js";
import type { ServedPrefix } from "../prefix/prefixes.js";
import type { IoName } from "../io/contract.js";
import { version } from "../base/version.js";

/**
 * How often the process metrics sample the event loop's delay, in ms: a timer that is otherwise the main thread's only
 * work.
 */
const EVENT_LOOP_PRECISION_MS = 1000;

/**
 * Of the process metrics, those of the event loop's delay, which begin at that very second, and gauges with a counter's
 * name.
 */
const MISLEADING = [
  ...["min", "max", "mean", "stddev", "p50", "p90", "p99"].map((what) => `nodejs_eventloop_lag_${what}_seconds`),
  ...["handles", "requests", "resources"].map((what) => `nodejs_active_${what}_total`),
];

export const DROP_REASONS = namesOf(Drop);
export const PROTOCOLS = namesOf(Protocol);
export const ICMP_ERRORS = namesOf(IcmpError);

/** What of a queue is counted and named. */
export interface Counted {
  readonly index: number;
  readonly engine: EngineName;
  readonly io: IoName;
  /** By the indices of abi/counters.ts. */
  readonly counters: Float64Array;
  /** How often its worker was started again. */
  readonly restarts: number;
}

/** The prefixes that are served now, and at which index each is counted. */
export interface Indexed {
  readonly prefixes: readonly ServedPrefix[];
  readonly indices: readonly number[];
}

/** The device, whose queues lie before pongd's. */
export interface Overrun {
  /** Packets that they had no room for. */
  txDropped(): number;
}

/** How the last reload went. */
export interface Reloaded {
  readonly successful: boolean;
  /** Of the last one that did, or of the start: Unix time in seconds. */
  readonly succeededAt: number;
}

/** What is asked besides, where there is it. */
export interface State {
  readonly reach?: { readonly answering: boolean } | undefined;
  readonly config?: Reloaded | undefined;
  /** The web configuration. */
  readonly web?: { readonly successful: boolean } | undefined;
  /** The log's lines. */
  readonly log?: { readonly dropped: number } | undefined;
}

/** Builds the registry over the queues that run. */
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

  const counter = (
    name: string, help: string, samples: () => readonly Sample[],
  ) => new ReadCounter(registry, { name, help }, samples);
  const perQueue = (name: string, help: string, places: number | readonly Place[]) => {
    const sets = typeof places === "number" ? [{ labels: {}, index: places }] : places;
    const samples = queues.flatMap((queue) => sets.map(
      ({ labels, index }) => ({ labels: { ...labels, queue: String(queue.index) }, read: () => queue.counters[index] }),
    ));
    counter(name, help, () => samples);
  };
  perQueue("pongd_packets_received_total", "Packets read from the device.", Counter.packetsReceived);
  perQueue("pongd_bytes_received_total", "Bytes read from the device.", Counter.bytesReceived);
  perQueue("pongd_replies_total", "Packets answered, by the protocol of the answer.", PROTOCOLS
    .map((protocol, i) => ({ labels: { protocol }, index: REPLIES + i })));
  // What a system call takes along counts as sent until the device has refused it; a counter that went back then would
  // be a reset.
  const bytesSent = queues.map((queue) => {
    let most = 0;
    return {
      labels: { queue: String(queue.index) }, read: () => most = Math.max(most, queue.counters[Counter.bytesSent]),
    };
  });
  counter("pongd_bytes_sent_total", "Bytes of replies and errors that the device took.", () => bytesSent);
  perQueue("pongd_icmp_errors_sent_total", "ICMP errors about packets that were dropped.", Object.entries(
    { icmp: ERRORS, icmpv6: ERRORS6 },
  ).flatMap(
    ([protocol, base]) => ICMP_ERRORS.map((error, i) => ({ labels: { protocol, error }, index: base + i })),
  ));
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
    name: "pongd_fragments_held", help: "Fragments that wait for the rest of their datagrams.", labelNames: [
      "queue",
    ], registers: [registry],
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

/** What became of packets. */
export interface Verdicts {
  readonly received: number;
  readonly replied: number;
  /** By reason, those that occurred. */
  readonly dropped: Record<string, number>;
  /** Fragments that wait, and have no verdict. */
  readonly held: number;
}

/** The verdicts on what these queues have taken so far. */
export function verdicts(queues: readonly Pick<Counted, "counters">[]): Verdicts {
  const dropped = DROP_REASONS.map((reason, i) => [reason, total(queues, DROPPED + i)] as const);
  return {
    received: total(queues, Counter.packetsReceived),
    replied: PROTOCOLS.reduce((sum, _, i) => sum + total(queues, REPLIES + i), 0),
    dropped: Object.fromEntries(dropped.filter(([, count]) => count > 0)),
    held: total(queues, Counter.held),
  };
}

/** Sum of one counter over all queues. */
export function total(queues: readonly Pick<Counted, "counters">[], index: number): number {
  return queues.reduce((sum, { counters }) => sum + counters[index], 0);
}

type Labels = Readonly<Record<string, string>>;

/** Where in a queue's counters a sample is. */
interface Place {
  readonly labels: Labels;
  readonly index: number;
}

interface Sample {
  /** The same object at each scrape: prom-client keeps the text of it. */
  readonly labels: Labels;
  readonly read: () => number;
}

/** Made anew when other prefixes are served. */
function prefixSamples(queues: readonly Counted[], served: Indexed): () => readonly Sample[] {
  let prefixes: readonly ServedPrefix[] = [];
  let samples: readonly Sample[] = [];
  return () => {
    if (prefixes === served.prefixes) return samples;
    prefixes = served.prefixes;
    const { indices } = served;
    samples = prefixes.map((prefix, i) => {
      const index = PREFIX_REPLIES + indices[i];
      return {
        labels: { prefix: prefix.text, ...prefix.name !== undefined && { name: prefix.name } },
        read: () => total(queues, index),
      };
    });
    return samples;
  };
}

/**
 * prom-client's counter finds each sample by a hash of its labels, and checks these; this one has its samples, and
 * their labels are good.
 */
class ReadCounter extends PromCounter {
  /** The registry's to change: OpenMetrics has the suffix with the sample. */
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

  /** What the registry reads the samples from; prom-client's types leave it out. */
  getForPromString(): Promise<unknown> {
    const values = this.#samples().map(({ labels, read }) => ({ sharedLabels: labels, value: read() }));
    return Promise.resolve({ name: this.name, help: this.#help, type: "counter", values });
  }
}

const BATCH_PACKETS = {
  name: "pongd_batch_packets",
  help: "Packets a round of the packet loop took from the device.",
};

/** prom-client's histogram counts observations itself; this one has its buckets counted already. */
class BatchHistogram extends Histogram {
  readonly #queues: readonly Counted[];

  constructor(registry: Registry, queues: readonly Counted[]) {
    super(
      { ...BATCH_PACKETS, buckets: Array.from({ length: BATCH_BUCKETS }, (_, i) => 2 ** i), registers: [registry] },
    );
    this.#queues = queues;
  }

  /** What Histogram.get() and the registry read the samples from; its types leave it out. */
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

/** The names of a numeric enum, in the order of its values, which begin at 0. */
function namesOf(enumeration: Record<string, string | number>): string[] {
  return Object.keys(enumeration).filter((key) => Number.isNaN(Number(key)));
}
