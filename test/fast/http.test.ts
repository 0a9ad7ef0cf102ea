import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  ATTEMPT_FAILS, BATCH_SIZES, Counter, Drop, DROPPED, LATENESS, LATENESS_BUCKETS, PREFIX_REPLIES, Protocol, REPLIES,
  TLV_FLAGS, TlvFlag, TURNAROUND,
} from "../../abi/counters.js";
import { Unopened } from "../../abi/streams.js";
import { TABLE } from "../../src/bench/workload.js";
import { Directory } from "../support/directory.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { EXIT, Failure } from "../../src/base/failure.js";
import { ENDPOINT_EXAMPLES, parseEndpoint } from "../../src/prefix/endpoints.js";
import { Events } from "../../src/web/events.js";
import { parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { metricsOf, textOf } from "../support/exposed.js";
import { noReload, serveAt, serveLocally } from "../support/served.js";
import "../support/process.js";

const events = new Events(() => undefined);

describe("pages", () => {
  test("health, readiness, metrics and the page that links them, before and after it runs", async () => {
    let ready = false;
    const metrics = metricsOf([], new Directory(serving([]), [], 1));
    const http = await serveLocally({
      metrics: () => ready ? metrics : undefined, list: () => undefined,
      obstacle: () => ready ? undefined : "pongd is starting",
      reload: noReload, events,
    });
    const get = async (path: string, method = "GET") => {
      const response = await fetch(http.url + path, { method });
      return {
        status: response.status, type: response.headers.get("content-type"), allow: response.headers.get("allow"),
        body: await response.text(),
      };
    };
    assert.equal((await get("/-/ready")).status, 503);
    assert.equal((await get("/metrics")).status, 503);
    assert.equal((await get("/-/healthy")).status, 200);
    ready = true;
    assert.equal((await get("/-/ready")).status, 200);
    const scraped = await get("/metrics?a=b");
    assert.equal(scraped.status, 200);
    assert.equal(scraped.type, "text/plain; version=0.0.4; charset=utf-8");
    const page = await get("/");
    assert.equal(page.type, "text/html; charset=utf-8");
    for (const link of ["/metrics", "/-/healthy", "/-/ready"]) {
      assert.ok(page.body.includes(`href="${link.slice(1)}"`), link);
    }
    assert.equal((await get("/nothing")).status, 404);
    assert.deepEqual(await get("/metrics", "POST").then(({ status, allow }) => [status, allow]), [405, "GET, HEAD"]);
    assert.equal((await get("/metrics", "HEAD")).body, "");
    await http.close();
    await assert.rejects(fetch(http.url));
  });

  test("a port in use is a failure that says so", async () => {
    const http = await serveLocally(
      {
        metrics: () => undefined, list: () => undefined,
        obstacle: () => "pongd is starting", reload: noReload, events,
      },
    );
    const port = Number(new URL(http.url).port);
    await assert.rejects(
      serveAt(
        [{ host: "127.0.0.1", port }],
        {
          metrics: () => undefined, list: () => undefined,
          obstacle: () => "pongd is starting", reload: noReload, events,
        },
      ),
      (error) => error instanceof Failure && error.exitStatus === EXIT.RUNTIME
        && error.message.includes(`127.0.0.1:${port} is in use`),
    );
    await http.close();
  });
});

for (const [text, advice] of [
  ["7664", "write a colon before the port, :7664, or an address and the port, 127.0.0.1:7664"],
  ["127.0.0.1", "add a port: 127.0.0.1:7664"],
  ["[::1]", "add a port: [::1]:7664"],
  ["::1", "put the IPv6 address in brackets, and its port behind it, like [::1]:7664"],
  ["fe80::1%eth0", "put the IPv6 address in brackets, and its port behind it, like [::1]:7664"],
  ["::1:7664", "put the IPv6 address in brackets, and its port behind it, like [::1]:7664"],
  ["http://127.0.0.1:7664", "leave out the scheme, and write it like 127.0.0.1:7664"],
  ["1.2.3:7664", "write the address as four numbers from 0 to 255, like 127.0.0.1:7664"],
  ["0x7f.1:7664", "write the address as four numbers from 0 to 255, like 127.0.0.1:7664"],
  ["localhost:70000", "write a port from 0 to 65535"],
  ["localhost", `write it like ${ENDPOINT_EXAMPLES}`],
] as const) {
  test(`a listen address that is wrong: ${text}: ${advice}`, () => {
    assert.throws(
      () => parseEndpoint(text),
      (error) => error instanceof Failure && error.message === `listen address "${text}": ${advice}`,
    );
  });
}

test("metrics: each counter of the memory is a sample, with bounded labels", async () => {
  const memories = [
    LinearMemory.create({ mtu: 1500, reassembly: 0, table: TABLE }),
    LinearMemory.create({ mtu: 1500, reassembly: 0, table: TABLE, sessions: 9 }),
  ];
  const queues = memories.map((memory, index) => ({
    index, engine: "wasm", io: "readwrite", counters: memory.counters, restarts: index,
    sessionLimits: memory.sessionLimits,
  }) as const);
  const { prefixes, ...rest } = serving(["10.99.0.0/16", "192.0.2.0/24"].map(parsePrefix));
  const served = { ...rest, prefixes: prefixes.map((prefix, i) => i === 0 ? { ...prefix, name: "lab" } : prefix) };
  const metrics = metricsOf(queues, new Directory(served, [], 2), { txDropped: () => 33 }, {
    reach: { answering: false }, config: { successful: false, succeededAt: 1234.5 }, web: { successful: false },
    log: { dropped: 44 },
  });
  memories.forEach(({ counters }, i) => {
    counters[Counter.packetsReceived] = 1000 + i;
    counters[Counter.bytesReceived] = 84000 + i;
    counters[Counter.bytesSent] = 83000 + i;
    counters[Counter.writeErrors] = 5 + i;
    counters[Counter.held] = 7 + i;
    counters[Counter.tcpActiveOpens] = 60 + i;
    counters[Counter.tcpOpened] = 50 + i;
    counters[ATTEMPT_FAILS + Unopened.refused] = 10 + i;
    counters[REPLIES + Protocol.icmp] = 900 + i;
    counters[DROPPED + Drop.icmp_csum] = 100 + i;
    counters[PREFIX_REPLIES + 1] = 900 + i;
    counters[Counter.stampSessions] = 20 + i;
    counters[Counter.irttSessions] = 40 + i;
    counters[TLV_FLAGS + TlvFlag.malformed] = 30 + i;
    counters[BATCH_SIZES] = 3;
    counters[BATCH_SIZES + 8] = 4;
  });
  memories[0].counters[LATENESS + 4] = 5;
  memories[1].counters[LATENESS + LATENESS_BUCKETS - 1] = 1;
  memories[0].counters[Counter.latenessNs] = 9_000_040_000;
  memories[1].counters[TURNAROUND + 6] = 3;
  memories[1].counters[Counter.turnaroundNs] = 150_000;
  const text = await textOf(metrics);
  for (const sample of [
    "pongd_packets_received_total{queue=\"0\"} 1000", "pongd_packets_received_total{queue=\"1\"} 1001",
    "pongd_bytes_received_total{queue=\"1\"} 84001", "pongd_bytes_sent_total{queue=\"1\"} 83001",
    "pongd_write_errors_total{queue=\"1\"} 6",
    "pongd_replies_total{protocol=\"icmp\",queue=\"1\"} 901",
    "pongd_packets_dropped_total{reason=\"icmp_csum\",queue=\"1\"} 101",
    "pongd_packets_dropped_total{reason=\"ip_csum\",queue=\"0\"} 0",
    "pongd_fragments_held{queue=\"1\"} 8",
    "pongd_tcp_active_opens_total{queue=\"1\"} 61", "pongd_tcp_opened_total{queue=\"1\"} 51",
    "pongd_tcp_attempt_fails_total{reason=\"refused\",queue=\"1\"} 11",
    "pongd_tcp_attempt_fails_total{reason=\"given_up\",queue=\"0\"} 0",
    "pongd_stamp_sessions{queue=\"1\"} 21", "pongd_stamp_sessions_limit{queue=\"1\"} 9",
    "pongd_irtt_sessions{queue=\"1\"} 41", "pongd_irtt_sessions_limit{queue=\"0\"} 4096",
    "pongd_stamp_tlv_flags_total{flag=\"malformed\",queue=\"1\"} 31",
    "pongd_stamp_tlv_flags_total{flag=\"unrecognized\",queue=\"0\"} 0",
    "pongd_stamp_turnaround_seconds_bucket{le=\"0.000032\"} 0",
    "pongd_stamp_turnaround_seconds_bucket{le=\"0.000064\"} 3", "pongd_stamp_turnaround_seconds_sum 0.00015",
    "pongd_prefix_replies_total{prefix=\"10.99.0.0/16\",name=\"lab\"} 0",
    "pongd_prefix_replies_total{prefix=\"192.0.2.0/24\"} 1801",
    "pongd_batch_packets_bucket{le=\"1\"} 6", "pongd_batch_packets_bucket{le=\"128\"} 6",
    "pongd_batch_packets_bucket{le=\"256\"} 14", "pongd_batch_packets_bucket{le=\"+Inf\"} 14",
    "pongd_worker_restarts_total{queue=\"1\"} 1", "pongd_config_last_reload_successful 0",
    "pongd_web_config_last_reload_successful 0", "pongd_ready 0",
    "pongd_config_last_reload_success_timestamp_seconds 1234.5",
    "pongd_device_tx_dropped_total 33", "pongd_log_lines_dropped_total 44", "pongd_batch_packets_sum 2001",
    "pongd_batch_packets_count 14",
    "pongd_release_lateness_seconds_bucket{le=\"0.000001\"} 0",
    "pongd_release_lateness_seconds_bucket{le=\"0.000016\"} 5",
    "pongd_release_lateness_seconds_bucket{le=\"4.194304\"} 5",
    "pongd_release_lateness_seconds_bucket{le=\"+Inf\"} 6", "pongd_release_lateness_seconds_sum 9.00004",
    "pongd_release_lateness_seconds_count 6",
    "pongd_queue_info{queue=\"1\",engine=\"wasm\",io=\"readwrite\"} 1",
  ]) {
    assert.ok(text.includes(`${sample}\n`), sample);
  }
  assert.match(text, /pongd_build_info\{version="\d+\.\d+\.\d+",node="v\d+/);
  assert.match(text, /process_resident_memory_bytes \d+/);
  memories[0].counters[Counter.packetsReceived]++;
  assert.ok(
    (await textOf(metrics)).includes("pongd_packets_received_total{queue=\"0\"} 1001\n"),
    "a scrape reads what is there now",
  );
});

test("metrics: bytes sent do not go back when the device refuses what was on its way", async () => {
  const { counters } = LinearMemory.create({ mtu: 1500, reassembly: 0, table: TABLE });
  const queue = { index: 0, engine: "wasm", io: "uring", counters, restarts: 0 } as const;
  const metrics = metricsOf([queue], new Directory(serving([]), [], 1));
  for (const [sent, shown] of [[84, 84], [168, 168], [84, 168], [252, 252]]) {
    counters[Counter.bytesSent] = sent;
    assert.match(await textOf(metrics), new RegExp(`^pongd_bytes_sent_total\\{queue="0"\\} ${shown}$`, "m"));
  }
});
