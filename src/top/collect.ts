/** Turns the text of /metrics into the figures to show. */
import {
  DIRECTIONS, keyOf, LINK_EFFECTS, STATUS_CLASSES, UDP_DROPS, UDP_PROTOCOLS, wayOf, type Figures, type LinkFigures,
  type PrefixFigures, type QueueFigures, type ServiceFigures, type SessionFigures, type TcpFigures, type ThreadFigures,
  type TurnaroundFigures, type UdpFigures,
} from "../telemetry/figures.js";
import { samplesOf, type Sample } from "./parse.js";

/** What service threads count of a service, whatever its protocol. */
interface ServiceCounts {
  connections?: number;
  readonly responses: number[];
  errors: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Returns the figures with all prefixes. `at`: when the text was fetched, in ms.
 * @throws ExpositionError if the text is not in the format; Error if it is not pongd's.
 */
export function figuresOf(text: string, at: number): Figures {
  let version: string | undefined;
  let overrun = 0;
  let ready = true;
  const tcp: Mutable<TcpFigures> = {
    connections: 0, accepted: 0, opened: 0, retransmitted: 0, bytesIn: 0, bytesOut: 0,
  };
  const stamp: Mutable<SessionFigures> = { protocol: "stamp", sessions: 0, limit: 0 };
  const irtt: Mutable<SessionFigures> = { protocol: "irtt", sessions: 0, limit: 0 };
  const turnaround: Mutable<TurnaroundFigures> = { replies: 0, seconds: 0 };
  const udp: Mutable<UdpFigures> = { taken: 0, answered: 0, dropped: 0, unsent: 0 };
  const queues = new Map<string, Mutable<QueueFigures>>();
  const services = new Map<string, ServiceFigures>();
  const counted = new Map<string, ServiceCounts>();
  const threads = new Map<string, Mutable<ThreadFigures>>();
  const dropped = new Map<string, number>();
  const prefixes: PrefixFigures[] = [];
  const links = new Map<string, Omit<LinkFigures, "affected"> & { readonly effects: number[] }>();

  const queueOf = (sample: Sample) => {
    const name = labelOf(sample, "queue");
    let queue = queues.get(name);
    if (!queue) {
      queue = { queue: name, engine: "", io: "", received: 0, replied: 0, dropped: 0, tcp: 0, restarts: 0 };
      queues.set(name, queue);
    }
    return queue;
  };
  const take = (sample: Sample, protocol: "tcp" | "udp") => {
    const service = labelOf(sample, "service");
    const key = keyOf({ protocol, service });
    const taken = (services.get(key)?.taken ?? 0) + countOf(sample);
    services.set(key, { service, protocol, taken, responses: STATUS_CLASSES.map(() => 0), errors: 0 });
  };
  const countsOf = (sample: Sample) => {
    const name = labelOf(sample, "service");
    const counts = counted.get(name) ?? { responses: STATUS_CLASSES.map(() => 0), errors: 0 };
    counted.set(name, counts);
    return counts;
  };
  const threadOf = (sample: Sample) => {
    const name = labelOf(sample, "thread");
    const thread = threads.get(name) ?? { thread: name, restarts: 0, beats: 0, late: 0 };
    threads.set(name, thread);
    return thread;
  };
  const affect = (sample: Sample) => {
    const direction = DIRECTIONS.find((direction) => direction === labelOf(sample, "direction"));
    const effect = LINK_EFFECTS.findIndex((effect) => effect === labelOf(sample, "effect"));
    // A newer pongd may know others.
    if (direction === undefined || effect < 0) return;
    const way = { prefix: labelOf(sample, "prefix"), name: sample.labels.get("name"), direction };
    const link = links.get(wayOf(way)) ?? { ...way, effects: LINK_EFFECTS.map(() => 0) };
    link.effects[effect] += countOf(sample);
    links.set(wayOf(way), link);
  };
  for (const sample of samplesOf(text)) {
    switch (sample.name) {
      case "pongd_build_info":
        version = labelOf(sample, "version");
        break;
      case "pongd_queue_info": {
        const queue = queueOf(sample);
        queue.engine = labelOf(sample, "engine");
        queue.io = labelOf(sample, "io");
        break;
      }
      case "pongd_packets_received_total":
        queueOf(sample).received += countOf(sample);
        break;
      case "pongd_replies_total":
        queueOf(sample).replied += countOf(sample);
        if (UDP_PROTOCOLS.includes(labelOf(sample, "protocol"))) udp.answered += countOf(sample);
        break;
      case "pongd_packets_dropped_total": {
        const count = countOf(sample);
        const reason = labelOf(sample, "reason");
        queueOf(sample).dropped += count;
        if (UDP_DROPS.includes(reason)) udp.dropped += count;
        if (count > 0) dropped.set(reason, (dropped.get(reason) ?? 0) + count);
        break;
      }
      case "pongd_worker_restarts_total":
        queueOf(sample).restarts += countOf(sample);
        break;
      case "pongd_device_tx_dropped_total":
        overrun += countOf(sample);
        break;
      case "pongd_tcp_segments_total":
        if (labelOf(sample, "direction") === "in") queueOf(sample).tcp += countOf(sample);
        break;
      case "pongd_tcp_connections":
        tcp.connections += countOf(sample);
        break;
      case "pongd_tcp_accepted_total":
        tcp.accepted += countOf(sample);
        take(sample, "tcp");
        break;
      case "pongd_udp_datagrams_total":
        udp.taken += countOf(sample);
        take(sample, "udp");
        break;
      case "pongd_udp_handler_datagrams_total": {
        const direction = labelOf(sample, "direction");
        if (direction === "out") udp.answered += countOf(sample);
        if (direction === "lost") udp.unsent += countOf(sample);
        break;
      }
      case "pongd_stamp_sessions":
        stamp.sessions += countOf(sample);
        break;
      case "pongd_stamp_sessions_limit":
        stamp.limit += countOf(sample);
        break;
      case "pongd_irtt_sessions":
        irtt.sessions += countOf(sample);
        break;
      case "pongd_irtt_sessions_limit":
        irtt.limit += countOf(sample);
        break;
      case "pongd_stamp_turnaround_seconds_count":
        turnaround.replies += countOf(sample);
        break;
      case "pongd_stamp_turnaround_seconds_sum":
        turnaround.seconds += countOf(sample);
        break;
      case "pongd_http_requests_total": {
        const place = STATUS_CLASSES.indexOf(Number(labelOf(sample, "code")[0]));
        if (place >= 0) countsOf(sample).responses[place] += countOf(sample);
        break;
      }
      case "pongd_service_connections": {
        const counts = countsOf(sample);
        counts.connections = (counts.connections ?? 0) + countOf(sample);
        break;
      }
      case "pongd_service_errors_total":
        countsOf(sample).errors += countOf(sample);
        break;
      case "pongd_service_thread_restarts_total":
        threadOf(sample).restarts += countOf(sample);
        break;
      case "pongd_service_thread_delay_seconds_count":
        threadOf(sample).beats += countOf(sample);
        break;
      case "pongd_service_thread_delay_seconds_sum":
        threadOf(sample).late += countOf(sample);
        break;
      case "pongd_tcp_opened_total":
        tcp.opened += countOf(sample);
        break;
      case "pongd_tcp_retransmitted_segments_total":
        tcp.retransmitted += countOf(sample);
        break;
      case "pongd_tcp_bytes_total":
        tcp[labelOf(sample, "direction") === "in" ? "bytesIn" : "bytesOut"] += countOf(sample);
        break;
      case "pongd_link_packets_total":
        affect(sample);
        break;
      case "pongd_ready":
        ready = sample.value !== 0;
        break;
      case "pongd_prefix_replies_total":
        prefixes.push({ prefix: labelOf(sample, "prefix"), name: sample.labels.get("name"), replied: countOf(sample) });
        break;
    }
  }
  if (version === undefined) throw new Error("there is no pongd_build_info in it");
  return {
    at, version, ready, queues: [...queues.values()], dropped: recordOf(dropped), overrun, tcp, udp,
    sessions: [stamp, irtt], turnaround,
    services: Array.from(services.values(), (service) => {
      const { connections, ...counts } = counted.get(service.service) ?? {};
      return { ...service, ...counts, ...service.protocol === "tcp" && { connections } };
    }),
    serviceCount: services.size, threads: [...threads.values()], prefixes, prefixCount: prefixes.length,
    links: Array.from(links.values(), (link) => {
      return { ...link, affected: link.effects.reduce((sum, count) => sum + count, 0) };
    }),
    linkCount: links.size,
  };
}

function labelOf({ name, labels }: Sample, label: string): string {
  const value = labels.get(label);
  if (value === undefined) throw new Error(`${name} has no label ${label}`);
  return value;
}

function countOf({ name, value }: Sample): number {
  if (!(value >= 0 && value < Infinity)) throw new Error(`${name} is ${value}`);
  return value;
}

/** Makes a record without a prototype, so that any name may be looked up in it. */
function recordOf<T>(entries: Iterable<[string, T]>): Record<string, T> {
  return Object.assign(Object.create(null) as Record<string, T>, Object.fromEntries(entries));
}
