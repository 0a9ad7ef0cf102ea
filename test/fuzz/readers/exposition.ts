/**
 * Fuzzes how `pongd top` reads somebody's /metrics. It makes figures of them, or an error with words. Samples written
 * down again read back the same. No line that is shown has a control in it, or is wider than the screen.
 */
import assert from "node:assert/strict";
import { ratesBetween } from "../../../src/telemetry/figures.js";
import { toOpenMetrics } from "../../../src/web/exposition.js";
import { figuresOf } from "../../../src/top/collect.js";
import { samplesOf, type Sample } from "../../../src/top/parse.js";
import { jsonLine, line } from "../../../src/top/lines.js";
import { screen } from "../../../src/top/screen.js";
import { widthOf } from "../../../src/top/text.js";
import { viewOf } from "../../../src/top/view.js";
import type { Reader } from "../guided.js";

const METRICS = `# HELP pongd_build_info "What" runs.
# TYPE pongd_build_info gauge
pongd_build_info{version="0.1.0",node="v20.20.2"} 1
pongd_ready 1
pongd_queue_info{queue="0",engine="wasm",io="uring"} 1
pongd_packets_received_total{queue="0"} 12345
pongd_replies_total{protocol="icmp",queue="0"} 12000
pongd_packets_dropped_total{reason="ip_csum",queue="0"} 345
pongd_worker_restarts_total{queue="0"} 1
pongd_device_tx_dropped_total 2
pongd_tcp_accepted_total{service="api",queue="0"} 5
pongd_udp_datagrams_total{service="dns",queue="0"} 7
pongd_udp_handler_datagrams_total{direction="out",queue="0"} 6
pongd_http_requests_total{service="api",code="200"} 4
pongd_service_connections{service="api"} 1
pongd_service_errors_total{service="dns"} 1
pongd_service_thread_restarts_total{thread="0"} 1
pongd_service_thread_delay_seconds_sum{thread="0"} 0.5
pongd_service_thread_delay_seconds_count{thread="0"} 60
pongd_prefix_replies_total{prefix="10.99.0.0/16",name="lab"} 12000
pongd_prefix_replies_total{prefix="2001:db8::/64"} 0
`;
/** Builtin errors that come of a mistake, and never of a message. */
const MISTAKES = [TypeError, RangeError, SyntaxError, ReferenceError];

export const exposition: Reader = {
  covers: ["/build/src/"],
  dictionary: [
    ...METRICS.split(/(?<=[\n{},=" ])/), "__proto__", "constructor", "\\n", "\\\\", "\\\"", "NaN", "+Inf", "-inf",
    "1e308", "1e-400", "# HELP ", "# TYPE ", "# EOF\n", "\u001b[2J", "\u202e", "\u4e2d", "\ufe0f", "\u200d",
  ],
  seeds: [
    METRICS, "a 1\nb{c=\"d\\\\\\n\\\"\",} +Inf 1700000000000\n",
    "pongd_build_info{version=\"\"} 1\npongd_replies_total{queue=\"\"} 1e308\npongd_replies_total{queue=\"\"} 1e308\n",
  ],
  feed(input) {
    const text = new TextDecoder().decode(input);
    const samples = tried(() => [...samplesOf(text)]);
    if (samples) assert.deepEqual([...samplesOf(samples.map(written).join(""))], samples);
    toOpenMetrics(text);
    const figures = tried(() => figuresOf(text, 1_700_000_000_000));
    if (!figures) return;
    const older = {
      ...figures, at: figures.at - 1000,
      queues: figures.queues.map((queue) => ({ ...queue, received: queue.received / 2 })),
      prefixes: figures.prefixes.slice(1), services: figures.services.slice(1), threads: figures.threads.slice(1),
    };
    for (const rate of Object.values(ratesBetween(older, figures).reasons)) assert.equal(rate, 0);
    for (const view of [
      viewOf("http://a", undefined, figures), viewOf("http://a", older, figures),
      { ...viewOf("http://a", older, figures), trouble: text },
    ]) {
      assert.doesNotMatch(line(view, figures.at), /[\p{Cc}\p{Zl}\p{Zp}]/u);
      const json = jsonLine(view, figures.at);
      assert.doesNotMatch(json, /[\p{C}\p{Zl}\p{Zp}]/u);
      JSON.parse(json);
      const [columns, rows] = [1 + input.length % 130, 1 + input.length % 53];
      const lines = screen(view, { columns, rows }, figures.at + 1500, false);
      assert.ok(lines.length <= rows);
      for (const shown of lines) {
        assert.doesNotMatch(shown, /[\p{Cc}\p{Zl}\p{Zp}]/u);
        assert.ok(widthOf(shown) <= columns, `${widthOf(shown)} columns of ${columns}`);
      }
    }
  },
};

/** Returns what `read` does, or undefined where it says what is wrong. */
function tried<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Error) || MISTAKES.some((mistake) => error instanceof mistake)) throw error;
    return undefined;
  }
}

function written({ name, labels, value }: Sample): string {
  const escaped = (text: string) => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\"", "\\\"");
  const number = Object.is(value, -0)
    ? "-0"
    : Number.isFinite(value) ? String(value) : Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  return `${name}{${Array.from(labels, ([label, text]) => `${label}="${escaped(text)}"`).join(",")}} ${number}\n`;
}
