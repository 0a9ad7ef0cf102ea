/**
 * Builds the Prometheus registry. Nothing is counted here: each scrape reads the counters that the packet loops keep in
 * shared memory.
 */
import { Gauge, Registry, collectDefaultMetrics } from "prom-client";
import {
  BATCH_BUCKETS, BATCH_SIZES, Counter, DROPPED, ERRORS, ERRORS6, LATENESS, LATENESS_BUCKETS, REPLIES, TLV_FLAGS,
  TURNAROUND, TURNAROUND_BUCKETS,
} from "../../abi/counters.js";
import { version } from "../base/version.js";
import { ReadCounter, type Place, type Sample } from "./readcounter.js";
import { ReadHistogram, type HistogramOptions } from "./readhistogram.js";
import { addServiceMetrics, type CountedServices } from "./services.js";
import { addTcpMetrics } from "./tcp.js";
import { byService } from "./byservice.js";
import { DROP_REASONS, ICMP_ERRORS, PROTOCOLS, TLV_FLAGS as TLV_FLAG_NAMES, total, type Counted } from "./verdicts.js";

/**
 * Interval in ms at which the process metrics sample the event loop's delay. Their timer is nearly all that wakes the
 * thread that serves them.
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
  /** The service threads. */
  readonly services?: (() => CountedServices) | undefined;
}

/** Builds the registry for the running queues. The samples of the prefixes are apart from it (prefixreplies.ts). */
export function createRegistry(queues: readonly Counted[], device: Overrun, state: State = {}): Registry {
  const { reach, config = { successful: true, succeededAt: Date.now() / 1000 }, web, log, services } = state;
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
  const gauges = (name: string, help: string, read: (queue: Counted) => number) => {
    new Gauge({
      name, help, labelNames: ["queue"], registers: [registry],
      collect() { for (const queue of queues) this.set({ queue: String(queue.index) }, read(queue)); },
    });
  };
  const counted = (index: Counter) => ({ counters }: Counted) => counters[index];
  gauges("pongd_fragments_held", "Fragments that wait for the rest of their datagrams.", counted(Counter.held));
  addTcpMetrics(registry, queues, { perQueue, counter });
  counter("pongd_udp_datagrams_total", "Datagrams that UDP services took, by service.", byService(queues, "udp"));
  const ways = { in: Counter.udpHandled, out: Counter.udpSent, lost: Counter.udpUnsent };
  perQueue(
    "pongd_udp_handler_datagrams_total", "Datagrams that UDP handlers were given, sent, and could not send.",
    Object.entries(ways).map(([direction, index]) => ({ labels: { direction }, index })),
  );
  perQueue(
    "pongd_stamp_tlv_flags_total", "Flags that were set in TLVs of STAMP, which say what was not understood.",
    TLV_FLAG_NAMES.map((flag, i) => ({ labels: { flag }, index: TLV_FLAGS + i })),
  );
  gauges("pongd_stamp_sessions", "Sessions of stateful STAMP reflectors.", counted(Counter.stampSessions));
  gauges(
    "pongd_stamp_sessions_limit", "Sessions of stateful STAMP reflectors that there may be.",
    ({ sessionLimits }) => sessionLimits?.stamp ?? 0,
  );
  gauges("pongd_irtt_sessions", "Sessions of IRTT.", counted(Counter.irttSessions));
  gauges(
    "pongd_irtt_sessions_limit", "Sessions of IRTT that there may be.", ({ sessionLimits }) => sessionLimits?.irtt ?? 0,
  );
  perQueue(
    "pongd_link_copies_total", "Copies that ways in of links made and that came, each with a verdict.",
    Counter.linkCopies,
  );
  gauges("pongd_held_packets", "Packets that links delay now.", counted(Counter.keptAll));
  new Gauge({
    name: "pongd_link_seed", help: "Seed of what links leave to chance.", registers: [registry],
    collect() { for (const { counters } of queues) this.set(counters[Counter.linkSeed]); },
  });
  gauges(
    "pongd_offload", "Whether the kernel cuts packets and computes checksums for the queue.", counted(Counter.offload),
  );
  perQueue(
    "pongd_offload_refused_packets_total",
    "Packets that the kernel refused to cut or to complete, which was then done here.",
    Counter.offloadRefused,
  );
  perQueue("pongd_write_errors_total", "Replies that the device refused.", Counter.writeErrors);
  perQueue("pongd_syscalls_total", "System calls of the packet loop.", Counter.syscalls);
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
  for (const { first, counters, sum, unit, ...options } of [BATCH_PACKETS, RELEASE_LATENESS, STAMP_TURNAROUND]) {
    new ReadHistogram(registry, options, () => [{
      buckets: Array.from({ length: counters }, (_, i) => total(queues, first + i)), sum: total(queues, sum) / unit,
    }]);
  }
  if (services) addServiceMetrics(registry, services);
  return registry;
}

/** A histogram that the packet loops count, and the engines. */
interface CountedBuckets extends HistogramOptions {
  /** Index of the first bucket's counter. */
  readonly first: number;
  readonly counters: number;
  /** Index of the counter of the sum, and the metric's unit in its terms. */
  readonly sum: number;
  readonly unit: number;
}

const BATCH_PACKETS: CountedBuckets = {
  name: "pongd_batch_packets",
  help: "Packets a round of the packet loop took from the device.",
  first: BATCH_SIZES, bounds: powersOf2(BATCH_BUCKETS, 1), counters: BATCH_BUCKETS,
  sum: Counter.packetsReceived, unit: 1,
};

const RELEASE_LATENESS: CountedBuckets = {
  name: "pongd_release_lateness_seconds",
  help: "By how much what waits in the engine was late, such as the end of a datagram's time in reassembly.",
  first: LATENESS, bounds: powersOf2(LATENESS_BUCKETS - 1, 1e6), counters: LATENESS_BUCKETS,
  sum: Counter.latenessNs, unit: 1e9,
};

const STAMP_TURNAROUND: CountedBuckets = {
  name: "pongd_stamp_turnaround_seconds",
  help: "Time from when STAMP's packets were read to when their replies were about to be sent.",
  first: TURNAROUND, bounds: powersOf2(TURNAROUND_BUCKETS - 1, 1e6), counters: TURNAROUND_BUCKETS,
  sum: Counter.turnaroundNs, unit: 1e9,
};

/** Returns 1, 2, 4 and so on, in parts of 1 / `unit`. */
function powersOf2(count: number, unit: number): number[] {
  return Array.from({ length: count }, (_, i) => 2 ** i / unit);
}
