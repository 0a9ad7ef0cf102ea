/** Turns the text of /metrics into the figures to show. */
import type { Figures, PrefixFigures, QueueFigures, TcpFigures } from "../telemetry/figures.js";
import { samplesOf, type Sample } from "./parse.js";

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
  const queues = new Map<string, Mutable<QueueFigures>>();
  const dropped = new Map<string, number>();
  const prefixes: PrefixFigures[] = [];

  const queueOf = (sample: Sample) => {
    const name = labelOf(sample, "queue");
    let queue = queues.get(name);
    if (!queue) {
      queue = { queue: name, engine: "", io: "", received: 0, replied: 0, dropped: 0, tcp: 0, restarts: 0 };
      queues.set(name, queue);
    }
    return queue;
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
        break;
      case "pongd_packets_dropped_total": {
        const count = countOf(sample);
        const reason = labelOf(sample, "reason");
        queueOf(sample).dropped += count;
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
    at, version, ready, queues: [...queues.values()], dropped: recordOf(dropped), overrun, tcp, prefixes,
    prefixCount: prefixes.length,
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
