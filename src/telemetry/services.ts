/** The metrics of service threads. */
import { Gauge, type Registry } from "prom-client";
import { ReadCounter, type Sample } from "./readcounter.js";
import { ReadHistogram, type Counts } from "./readhistogram.js";
import { DELAY_BUCKETS, DURATION_BUCKETS, ServiceCounts } from "./servicecounts.js";

/** What the threads count. */
export interface CountedServices {
  /** Names of services by their place among what is counted. */
  readonly names: readonly string[];
  /** Memory of each thread's ServiceCounts. */
  readonly threads: readonly SharedArrayBuffer[];
}

/** Adds the metrics of service threads; `now` returns what they are like now. */
export function addServiceMetrics(registry: Registry, now: () => CountedServices): void {
  const threads = () => now().threads.map((buffer, i) => ({ thread: String(i), counts: new ServiceCounts(buffer) }));
  const services = () => {
    const all = threads();
    return now().names.map((service, place) => ({ service, place, all }));
  };
  const counter = (name: string, help: string, samples: () => readonly Sample[]) => {
    return new ReadCounter(registry, { name, help }, samples);
  };
  counter("pongd_http_requests_total", "HTTP requests that were answered, by service and status code.", () =>
    services().flatMap(({ service, place, all }) => {
      const codes = new Map<number, number>();
      for (const { counts } of all) {
        for (const [code, count] of counts.responses(place)) codes.set(code, (codes.get(code) ?? 0) + count);
      }
      return Array.from(codes, ([code, count]) => ({ labels: { service, code: String(code) }, read: () => count }));
    }));
  new ReadHistogram(
    registry, {
      name: "pongd_http_request_duration_seconds", bounds: DURATION_BUCKETS,
      help: "Time from an HTTP request's header to the end of its response, by service.",
    },
    () => services().map(({ service, place, all }) =>
      ({ labels: { service }, ...sumOf(all.map(({ counts }) => counts.durations(place))) }))
      .filter(({ buckets }) => buckets.some((count) => count > 0)),
  );
  new Gauge({
    name: "pongd_service_connections", help: "TCP connections that service threads have, by service.",
    labelNames: ["service"], registers: [registry],
    collect() {
      this.reset();
      for (const { service, place, all } of services()) {
        this.set({ service }, all.reduce((sum, { counts }) => sum + counts.streams(place), 0));
      }
    },
  });
  counter("pongd_service_errors_total", "Times that a service's handler has thrown or rejected.", () =>
    services().map(({ service, place, all }) => ({
      labels: { service }, read: () => all.reduce((sum, { counts }) => sum + counts.errors(place), 0),
    })));
  counter(
    "pongd_service_thread_restarts_total",
    "Times a service thread was started again because it had died or hung.",
    () => threads().map(({ thread, counts }) => ({ labels: { thread }, read: () => counts.restarts })),
  );
  new ReadHistogram(
    registry, {
      name: "pongd_service_thread_delay_seconds", bounds: DELAY_BUCKETS,
      help: "How late a service thread's event loop was, once a second.",
    },
    () => threads().map(({ thread, counts }) => ({ labels: { thread }, ...counts.delays })),
  );
}

function sumOf(all: readonly Counts[]): Counts {
  return all.reduce((one, other) => ({
    buckets: one.buckets.map((count, i) => count + other.buckets[i]), sum: one.sum + other.sum,
  }));
}
