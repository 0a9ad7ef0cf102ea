import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { Counter as PromCounter, Gauge, Registry } from "prom-client";
import { BATCH_SIZES, Counter, PREFIX_REPLIES } from "../../abi/counters.js";
import { TABLE } from "../../src/bench/workload.js";
import { Directory } from "../support/directory.js";
import { LinearMemory } from "../../src/engine/memory.js";
import {
  expose, formatFor, toOpenMetrics, wantsGzip, wantsOpenMetrics, type Metrics,
} from "../../src/web/exposition.js";
import { parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { metricsOf, textOf } from "../support/exposed.js";
import { parseOpenMetrics } from "../support/openmetrics.js";

const OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC = "text/plain; version=0.0.4; charset=utf-8";
/** Accept headers, as Prometheus sends them (scrape/scrape.go). */
const SCRAPERS = {
  "Prometheus 2.42": "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
  "Prometheus 3": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    + "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    + "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
  "Prometheus 3 with protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
    + "encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    + "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
};

async function exposed(name = "lab"): Promise<Metrics> {
  const memory = LinearMemory.create({ mtu: 1500, reassembly: 0, table: TABLE });
  const { prefixes, ...rest } = serving(["10.99.0.0/16", "192.0.2.0/24"].map(parsePrefix));
  const served = { ...rest, prefixes: prefixes.map((prefix, i) => i === 0 ? { ...prefix, name } : prefix) };
  memory.counters[Counter.packetsReceived] = 1234;
  memory.counters[PREFIX_REPLIES] = 900;
  memory.counters[BATCH_SIZES] = 3;
  memory.counters[BATCH_SIZES + 8] = 4;
  const metrics = metricsOf(
    [{ index: 0, engine: "wasm", io: "readwrite", counters: memory.counters, restarts: 0 }],
    new Directory(served, [], 1),
  );
  // Garbage collections leave traces in Node.js's own metrics.
  await textOf(metrics);
  return metrics;
}

describe("the format of /metrics", () => {
  for (const [who, accept] of Object.entries(SCRAPERS)) {
    test(`${who} gets OpenMetrics`, () => { assert.ok(wantsOpenMetrics(accept)); });
  }

  test("it is what is preferred of both; classic where neither is asked for", () => {
    for (const [accept, open] of [
      [undefined, false], ["", false], ["*/*", false], [
        "text/html,application/xhtml+xml,*/*;q=0.8", false,
      ], ["text/plain", false],
      ["application/openmetrics-text", true], ["Application/OpenMetrics-Text; Version=1.0.0", true], [
        "application/openmetrics-text;version=2.0.0,text/plain", false,
      ],
      ["application/openmetrics-text;q=0.2, text/plain;q=0.3", false], [
        "text/plain;q=0.2 , application/openmetrics-text ; q=0.3", true,
      ],
      ["application/openmetrics-text;q=0", false], ["application/openmetrics-text;q=x", false], [
        "text/plain,application/openmetrics-text", false,
      ], [",;=,", false],
    ] as const) assert.equal(wantsOpenMetrics(accept), open, accept);
  });

  test("compressed where gzip is acceptable", () => {
    for (const [accept, yes] of [
      [undefined, false], ["gzip", true], ["deflate, GZIP;q=0.5", true], ["gzip;q=0", false], ["identity", false],
      ["br", false],
    ] as const) assert.equal(wantsGzip(accept), yes, accept);
  });

  test("both say the same, in either order, compressed or not", async () => {
    const metrics = await exposed();
    for (const accept of [SCRAPERS["Prometheus 3"], undefined, SCRAPERS["Prometheus 2.42"], undefined]) {
      const { pieces, length, headers } = await expose(metrics, formatFor({ accept, "accept-encoding": "gzip" }));
      const body = Buffer.concat(pieces);
      const text = gunzipSync(body).toString();
      assert.equal(length, body.length);
      assert.deepEqual(headers, {
        "Content-Type": accept === undefined ? CLASSIC : OPENMETRICS, Vary: "Accept, Accept-Encoding",
        "Content-Encoding": "gzip",
      });
      assert.match(text, accept === undefined
        ? /^# TYPE pongd_packets_received_total counter$/m
        : /^# TYPE pongd_packets_received counter$/m);
      assert.match(text, /^pongd_packets_received_total\{queue="0"\} 1234$/m);
    }
    const { pieces, headers } = await expose(metrics, formatFor({}));
    assert.match(Buffer.concat(pieces).toString(), /^pongd_packets_received_total\{queue="0"\} 1234$/m);
    assert.deepEqual(headers, { "Content-Type": CLASSIC, Vary: "Accept, Accept-Encoding" });
  });

  test("OpenMetrics is what its grammar allows, and has every sample that the classic text has", async () => {
    const metrics = await exposed("a \"quoted\" \\ name");
    const classic = await textOf(metrics);
    const families = parseOpenMetrics(await textOf(metrics, true));
    const samples = [...families.values()].flatMap(({ samples }) => [...samples.keys()]);
    assert.deepEqual(samples, classic.split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.slice(0, line.lastIndexOf(" "))));
    assert.equal(families.get("pongd_packets_received")?.type, "counter");
    assert.equal(families.get("pongd_prefix_replies")?.samples.get(
      "pongd_prefix_replies_total{prefix=\"10.99.0.0/16\",name=\"a \\\"quoted\\\" \\\\ name\"}",
    ), 900);
    assert.equal(families.get("pongd_batch_packets")?.type, "histogram");
    assert.equal(families.get("pongd_batch_packets")?.samples.get("pongd_batch_packets_bucket{le=\"+Inf\"}"), 7);
    assert.equal(families.get("process_cpu_seconds")?.type, "counter");
  });

  test("what OpenMetrics has otherwise: quotation marks in a help text are escaped, and a gauge "
    + "keeps its name", async () => {
    const own = new Registry();
    new PromCounter({ name: "a_total", help: "Says \"a\".", registers: [own] }).inc(2);
    new Gauge({ name: "b_total", help: "b", registers: [own] }).set(-Infinity);
    new Gauge({ name: "c", help: "c", registers: [own] }).set(NaN);
    assert.equal(toOpenMetrics(await own.metrics()), "# HELP a Says \\\"a\\\".\n# TYPE a counter\na_total 2\n# HELP "
    + "b_total b\n# TYPE b_total gauge\nb_total -Inf\n# HELP c c\n# TYPE c gauge\nc Nan\n# EOF\n");
  });
});
