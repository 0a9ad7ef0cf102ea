/** The metrics of TCP. */
import { Gauge, type Registry } from "prom-client";
import { ATTEMPT_FAILS, CLOSED, COOKIES, Counter, RESETS } from "../../abi/counters.js";
import { PAGE_SIZE } from "../../abi/tcp.js";
import { byService } from "./byservice.js";
import type { Place, Sample } from "./readcounter.js";
import { TCP_COOKIES, TCP_ENDS, TCP_RESETS, TCP_UNOPENED, type Counted } from "./verdicts.js";

/** Functions that add a counter to the registry. */
interface Adding {
  readonly counter: (name: string, help: string, samples: () => readonly Sample[]) => void;
  readonly perQueue: (name: string, help: string, places: number | readonly Place[]) => void;
}

/** Adds the metrics of TCP. */
export function addTcpMetrics(registry: Registry, queues: readonly Counted[], { counter, perQueue }: Adding): void {
  const gauge = (name: string, help: string, read: (queue: Counted) => number) => {
    new Gauge({
      name, help, labelNames: ["queue"], registers: [registry],
      collect() { for (const queue of queues) this.set({ queue: String(queue.index) }, read(queue)); },
    });
  };
  const counted = (index: Counter) => ({ counters }: Counted) => counters[index];
  gauge("pongd_tcp_connections", "TCP connections that there are.", counted(Counter.tcpConnections));
  gauge(
    "pongd_tcp_connections_limit",
    "TCP connections that there may be.",
    ({ tcpLimits }) => tcpLimits?.connections ?? 0,
  );
  gauge(
    "pongd_tcp_half_open_connections",
    "Those TCP connections whose handshake is not complete.",
    counted(Counter.tcpHalfOpen),
  );
  gauge(
    "pongd_tcp_time_wait",
    "TCP connections that wait for late segments after their end.",
    counted(Counter.tcpTimeWait),
  );
  gauge(
    "pongd_tcp_memory_bytes",
    "Memory for the data of TCP connections that is in use.",
    ({ counters }) => counters[Counter.tcpPages] * PAGE_SIZE,
  );
  gauge(
    "pongd_tcp_memory_limit_bytes",
    "Memory for the data of TCP connections that there is.",
    ({ tcpLimits }) => tcpLimits?.memory ?? 0,
  );
  counter("pongd_tcp_accepted_total", "TCP connections that were accepted, by service.", byService(queues, "tcp"));
  const labelled = (label: string, names: readonly string[], first: number) =>
    names.map((name, i) => ({ labels: { [label]: name }, index: first + i }));
  const [ends, resets, cookies] = [
    labelled("how", TCP_ENDS, CLOSED), labelled("reason", TCP_RESETS, RESETS), labelled("what", TCP_COOKIES, COOKIES),
  ];
  perQueue("pongd_tcp_active_opens_total", "TCP connections that were to be opened from here.", Counter.tcpActiveOpens);
  perQueue("pongd_tcp_opened_total", "Those of them that were established.", Counter.tcpOpened);
  perQueue(
    "pongd_tcp_attempt_fails_total",
    "Those of them that never were, by reason.",
    labelled("reason", TCP_UNOPENED.slice(1), ATTEMPT_FAILS + 1),
  );
  perQueue("pongd_tcp_closed_total", "TCP connections that ended, by how.", ends);
  const ways = (received: Counter, sent: Counter) => [
    { labels: { direction: "in" }, index: received }, { labels: { direction: "out" }, index: sent },
  ];
  perQueue(
    "pongd_tcp_segments_total",
    "TCP segments that were taken and sent.",
    ways(Counter.tcpReceived, Counter.tcpSent),
  );
  perQueue("pongd_tcp_retransmitted_segments_total", "TCP segments that were sent again.", Counter.tcpRetransmitted);
  perQueue("pongd_tcp_resets_sent_total", "TCP resets that were sent, by reason.", resets);
  perQueue("pongd_tcp_syn_cookies_total", "SYN cookies, by what became of them.", cookies);
  perQueue(
    "pongd_tcp_bytes_total",
    "Bytes of TCP connections, each once: received in order, and acknowledged.",
    ways(Counter.tcpBytesReceived, Counter.tcpBytesSent),
  );
}
