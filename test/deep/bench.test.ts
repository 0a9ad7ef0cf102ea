/** Tests the foundations of a benchmark's figures: its statistics, its histogram, its packets and its reports. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { chartsOf } from "../../src/bench/charts.js";
import { compare, differences, parseReport } from "../../src/bench/compare.js";
import { Histogram } from "../../src/bench/histogram.js";
import { createEngine } from "../../src/bench/engines.js";
import { renderHtml } from "../../src/bench/html.js";
import {
  BENCH_ENGINES, type EngineReport, type EngineResult, type HttpReport, type HttpResult, type TunReport,
} from "../../src/bench/report.js";
import { median, medianInterval, percentile, spreadOf } from "../../src/bench/stats.js";
import { headline, renderChanges, renderText } from "../../src/bench/text.js";
import { trafficOf, Workload } from "../../src/bench/workload.js";
import { parseWrk } from "../../src/bench/wrk.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { CLI } from "../support/netns.js";
import { Random } from "../support/random.js";

describe("statistics", () => {
  test("median and percentile of odd, even and single values", () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.equal(median([7]), 7);
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
    assert.deepEqual([0, 0.01, 0.5, 0.95, 1].map((fraction) => percentile(hundred, fraction)), [1, 1, 50, 95, 100]);
  });

  test("the interval holds the true median in 95 of 100 samples, and not in all", () => {
    const random = new Random(1);
    for (const size of [25, 60]) {
      let held = 0;
      const samples = 4000;
      for (let i = 0; i < samples; i++) {
        // Skewed, as times are: the median of u² is 1/4.
        const [low, high] = medianInterval(Array.from({ length: size }, () => ((random.next() >>> 0) / 2 ** 32) ** 2));
        if (low <= 0.25 && 0.25 <= high) held++;
      }
      assert.ok(held / samples > 0.94 && held / samples < 0.99, `${size} values: ${held} of ${samples}`);
    }
  });
});

test("histogram: every percentile is within a 32nd of the sorted values'", () => {
  const random = new Random(2);
  const histogram = new Histogram();
  const values = Array.from({ length: 20_000 }, (_, i) => (random.next() >>> 0) >>> i % 32);
  for (const value of values) histogram.record(value);
  assert.equal(histogram.count, values.length);
  assert.equal(histogram.max, Math.max(...values));
  assert.equal([...histogram.buckets()].reduce((sum, [, count]) => sum + count, 0), values.length);
  for (const fraction of [0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1]) {
    const exact = percentile(values, fraction);
    const found = histogram.percentile(fraction);
    assert.ok(found >= exact && found <= exact * (1 + 1 / 32), `${fraction}: ${found} for ${exact}`);
  }
  assert.equal(new Histogram().percentile(0.5), 0);
});

describe("the packets", () => {
  test("the seed decides on the prefixes and on the destinations", () => {
    const [first, again, other] = [5, 5, 6].map((seed) => trafficOf(2000, 500, seed));
    assert.deepEqual(first, again);
    assert.notDeepEqual(first, other);
    assert.ok(new Set(first.destinations.map(String)).size > 490);
  });

  for (const name of BENCH_ENGINES) {
    test(`${name} answers them right, of every size, and again once they are requests again`, async () => {
      for (const [packetBytes, prefixes] of [[28, 1], [29, 100], [84, 1], [84, 1000], [1500, 1], [65535, 1]]) {
        const { table, destinations } = trafficOf(prefixes, 20, 3);
        const linear = LinearMemory.create({ mtu: 65535, reassembly: 0, table });
        const engine = await createEngine(name, linear);
        const workload = new Workload(linear, destinations, packetBytes, 8, 1, 3);
        for (let i = 0; i < 2; i++) {
          workload.verify(0, engine.respond(8));
          workload.restore();
        }
      }
    });
  }

  test("a wrong byte, a wrong length and a missing reply are found", async () => {
    const { table, destinations } = trafficOf(1, 8, 4);
    const linear = LinearMemory.create({ mtu: 1500, reassembly: 0, table });
    const engine = await createEngine("js-naive", linear);
    const workload = new Workload(linear, destinations, 84, 8, 1, 4);
    const replies = engine.respond(8);
    workload.verify(0, replies);
    assert.throws(() => { workload.verify(0, replies - 1); }, /answered 7 of 8/);
    const bytes = new Uint8Array(linear.memory.buffer);
    const { slots } = linear;
    bytes[slots.toSend(3) + 83] ^= 1;
    assert.throws(() => { workload.verify(0, replies); }, /reply 3 of 8 is wrong/);
    bytes[slots.toSend(3) + 83] ^= 1;
    slots.send(3, slots.toSend(3), 83);
    assert.throws(() => { workload.verify(0, replies); }, /reply 3 of 8 is wrong/);
  });
});

function report(ns: Record<string, number>): EngineReport {
  const results = Object.entries(ns).map(([key, value]): EngineResult => {
    const [engine, bytes] = key.split(" ") as [EngineResult["engine"], string];
    const js = ns[`js ${bytes}`] as number | undefined;
    return {
      engine,
      packetBytes: Number(bytes),
      batch: 64,
      nsPerPacket: spreadOf([-2, -1, 0, 1, 2].map((offset) => value + offset / 10)),
      packetsPerSecond: 1e9 / value,
      bytesPerSecond: Number(bytes) * 1e9 / value,
      ratioToJs: js === undefined ? null : js / value,
      ratioToJsInterval: js === undefined ? null : [js / value * 0.9, js / value * 1.1],
    };
  });
  const environment = {
    date: "2026-01-01T00:00:00.000Z", pongd: "1.2.3", commit: "abc", node: "20.20.2", v8: "11.3", kernel: "6.18.0",
    cpu: "A CPU", cores: 2, governor: null,
    arguments: ["bench", "engine"], nodeFlags: [], seed: 1,
  };
  return { benchmark: "engine", complete: true, environment, prefixes: 1, results, cold: [] };
}

/** Makes a report of tests in which pongd does so many times what the kernel's sockets do. */
function http(...tests: readonly (readonly [test: HttpResult["test"], ratio: number])[]): HttpReport {
  const results = tests.flatMap(([test, ratio]) => ([["pongd", ratio], ["kernel", 1]] as const).map(
    ([server, times]): HttpResult => ({
      test, server, client: test === "keepalive" || test === "lone" ? "wrk" : "own",
      perSecond: spreadOf([times * (test === "bulk" ? 1e9 : 1000)]), ratioToKernel: times,
      ratioToKernelInterval: server === "kernel" ? [1, 1] : [times * 0.9, times * 1.1], cpuUs: 38.4,
      p50Us: test === "bulk" ? null : 51.2, p99Us: test === "bulk" ? null : 987,
    }),
  ));
  return { ...report({}), benchmark: "http", results };
}

describe("wrk", () => {
  const said = `Running 11s test @ http://10.99.1.1:80/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.43ms    4.09ms  38.28ms   94.25%
    Req/Sec    14.30k     8.52k   28.85k    60.00%
  Latency Distribution
     50%   65.00us
     75%    1.05ms
     90%    3.16ms
     99%    1.02s
  14299 requests in 1.01s, 1.94MB read
Requests/sec:  14299.00
Transfer/sec:      1.93MB
`;

  test("its figures are read, in their units", () => {
    assert.deepEqual(parseWrk(said), { count: 14_299, seconds: 1, p50Us: 65, p99Us: 1_020_000 });
  });

  test("requests that have failed are an error, and so is a wrk without figures", () => {
    const failures = ["Non-2xx or 3xx responses: 14299", "Socket errors: connect 0, read 3, write 0, timeout 0"];
    for (const failure of failures) {
      const failed = said.replace("Requests/sec", `  ${failure}\nRequests/sec`);
      assert.throws(() => parseWrk(failed), { message: `wrk: ${failure}` });
    }
    const refused = "unable to connect to 10.99.1.1:80 Connection refused";
    assert.throws(() => parseWrk(`${refused}\n`), { message: `wrk: no figures, but "${refused}"` });
  });
});

describe("what it says", () => {
  test("the headline names the winner, whichever it is", () => {
    assert.match(
      headline(report({ "js 84": 25, "wasm 84": 10, "js 1500": 200, "wasm 1500": 40 })),
      /^WebAssembly answers 84-byte pings 2\.5 × as fast as JavaScript, and 1500-byte ones 5\.0 ×\.$/,
    );
    assert.match(
      headline(report({ "js 84": 10, "wasm 84": 25 })),
      /^JavaScript answers 84-byte pings 2\.5 × as fast as WebAssembly\.$/,
    );
    assert.match(headline(report({ "wasm 84": 25 })), /^wasm answers 84-byte pings in 25\.0 ns each\.$/);
  });

  test("where the bounds of a ratio enclose 1, the headline tells nobody apart", () => {
    assert.match(
      headline(report({ "js 84": 25, "wasm 84": 24 })),
      /^WebAssembly and JavaScript are not told apart by 84-byte pings\.$/,
    );
    assert.match(
      headline(report({ "js 84": 25, "wasm 84": 26, "js 1500": 200, "wasm 1500": 201 })),
      /^WebAssembly and JavaScript are not told apart by 84-byte and 1500-byte pings\.$/,
    );
    assert.match(headline(report({ "js 84": 25, "wasm 84": 24, "js 1500": 200, "wasm 1500": 40 })),
      /^WebAssembly answers 1500-byte pings 5\.0 × as fast as JavaScript; by 84-byte ones the two are not told apart\.$/);
    assert.match(headline(report({ "js 84": 10, "wasm 84": 25, "js 1500": 200, "wasm 1500": 201 })),
      /^JavaScript answers 84-byte pings 2\.5 × as fast as WebAssembly; by 1500-byte ones the two are not told apart\.$/);
  });

  test("through a device, too", () => {
    const tun = (
      ...ratios: readonly (readonly [engine: "wasm" | "js", io: "uring" | "readwrite", ratio: number])[]
    ): TunReport => ({
      ...report({}), benchmark: "tun", results: ratios.map(([engine, io, ratio]) => ({
        engine, io, packetBytes: 84, repliesPerSecond: spreadOf([500_000 * ratio]), ratioToFirst: ratio,
        ratioToFirstInterval: [ratio * 0.9, ratio * 1.1],
        cpuNsPerPacket: 1000, systemCallsPerPacket: 2, idle: null, halfLoad: null,
      })),
    });
    const first = "Through a TUN device, WebAssembly with uring answers 500,000 84-byte pings a second";
    assert.equal(
      headline(tun(["wasm", "uring", 1], ["wasm", "readwrite", 0.5], ["js", "uring", 0.95])),
      `${first}, 2.00 × as many as with readwrite; it is not told apart from JavaScript.`,
    );
    assert.equal(
      headline(tun(["wasm", "uring", 1], ["wasm", "readwrite", 0.5], ["js", "uring", 0.8])),
      `${first}, 2.00 × as many as with readwrite and 1.25 × as many as JavaScript.`,
    );
    assert.equal(
      headline(tun(["wasm", "uring", 1], ["wasm", "readwrite", 1], ["js", "uring", 1])),
      `${first}; it is not told apart from readwrite nor JavaScript.`,
    );
    assert.equal(headline(tun(["wasm", "uring", 1])), `${first}.`);
    assert.match(
      headline(tun(["js", "readwrite", 1], ["js", "uring", 2], ["wasm", "readwrite", 1.01])),
      /JavaScript with readwrite .*, 0\.50 × as many as with uring; it is not told apart from WebAssembly\.$/,
    );
  });

  test("pongd's TCP and the kernel's sockets, too", () => {
    const than = "as the kernel's sockets under the same http.Server";
    assert.equal(
      headline(http(["keepalive", 1.9], ["lone", 0.8], ["connect", 2.25], ["bulk", 1.01])),
      `pongd serves 1.90 times as many requests a second ${than}, answers 0.80 times as many requests one after the `
      + "other and takes 2.25 times as many connections a second; by bulk the two are not told apart.",
    );
    assert.equal(headline(http(["bulk", 0.5])), `pongd sends 0.50 times as many bytes a second ${than}.`);
    assert.equal(
      headline(http(["lone", 1.05], ["connect", 0.95])),
      "Under the same http.Server, pongd and the kernel's sockets are not told apart by lone and connect.",
    );
    const one = http(["keepalive", 1.9]).results[0];
    assert.equal(
      headline({ ...http(), results: [{ ...one, ratioToKernel: null, ratioToKernelInterval: null }] }),
      "pongd serves 1,900 requests a second (keepalive).",
    );
    assert.equal(headline(http()), "Nothing was measured.");
  });

  test("figures of http have their units, and say who has measured", () => {
    const text = renderText(http(["keepalive", 1.9], ["bulk", 0.5]), false);
    assert.match(text, /^keepalive: .* \(measured by wrk\)\nserver  requests\/s .* CPU µs\/request  p50 µs  p99 µs\npongd +1,900 .* 1\.90  1\.71–2\.09 +38\.4 +51\.2 +987\nkernel +1,000 .* 1\.00  1\.00–1\.00 /m);
    assert.match(text, /^bulk: .* \(measured by a client of pongd's own\)\nserver +MB\/s .* CPU µs\/MiB\npongd +500 .* 38\.4\nkernel +1,000 .* 38\.4$/m);
    assert.doesNotMatch(text, /^(lone|connect): /m);
    const { environment } = http();
    const alone = { ...http(["lone", 1]), environment: { ...environment, cores: 1 } };
    assert.match(renderText(alone, false), /^There is one CPU, and the client takes its share of it/m);
    assert.deepEqual(
      chartsOf(http(["keepalive", 1.9], ["bulk", 0.5])).map(({ title, bars, series }) => [
        title, bars, series.map(({ label, points }) => [label, points.map((point) => point?.text)]),
      ]),
      [
        ["Requests per second on 64 connections", true,
          [["pongd", ["1.9\u00a0k", undefined]], ["kernel", [undefined, "1\u00a0k"]]]],
        ["Bytes per second of a long response", true,
          [["pongd", ["500\u00a0M", undefined]], ["kernel", [undefined, "1\u00a0G"]]]],
      ],
    );
    assert.match(renderHtml(http(["lone", 2]), ""),
      /<th scope="row">lone<\/th><th scope="row">pongd<\/th><th scope="row">wrk<\/th><td>2\u00a0k /);
  });

  test("figures of http that different clients have measured are not compared", () => {
    const wrk = http(["keepalive", 1.9], ["connect", 2]);
    const names = compare(wrk, wrk).map(({ what }) => what);
    assert.deepEqual(names, [
      "keepalive, pongd, by wrk, requests/s", "keepalive, pongd, by wrk, × kernel",
      "keepalive, kernel, by wrk, requests/s",
      "connect, pongd, requests/s", "connect, pongd, × kernel", "connect, kernel, requests/s",
    ]);
    const own = { ...wrk, results: wrk.results.map((result) => ({ ...result, client: "own" as const })) };
    assert.deepEqual(compare(wrk, own).map(({ what }) => what), names.slice(3));
    assert.deepEqual(parseReport(JSON.stringify(wrk), "old.json", "http"), wrk);
  });

  test("headline and charts are of one batch, and in the terminal's units", () => {
    const of64 = report({ "js 84": 25, "wasm 84": 10 });
    const of1 = report({ "js 84": 50, "wasm 84": 40, "js 1500": 250, "wasm 1500": 200 }).results
      .map((result) => ({ ...result, batch: 1 }));
    const both = { ...of64, results: [...of1, ...of64.results] };
    assert.equal(headline(both), "WebAssembly answers 84-byte pings 2.5 × as fast as JavaScript (batches of 64).");
    const charts = chartsOf(both);
    assert.deepEqual(charts.map(({ title }) => title), ["Packets per second", "GB/s", "Times as fast as js"]
      .map((what) => `${what} by packet size in bytes, batches of 64`));
    assert.deepEqual(
      charts.map(({ series }) => series[1].points.map((point) => point?.text)), [["100\u00a0M"], ["8.4"], ["2.5"]],
    );
    // The page's table has the same figures as the terminal's.
    assert.match(renderHtml(both, ""), /<th scope="col">packets per second<\/th><th scope="col">GB\/s<\/th>/);
    assert.match(
      renderHtml(both, ""), /<th scope="row">wasm<\/th><td>84<\/td><td>64<\/td>.*<td>100\u00a0M<\/td><td>8\.4<\/td>/,
    );
    assert.match(renderText(both, false), /^ +84 +64 .*\n +wasm .* 100 M +8\.40 /m);
    // Without a comparison, the headline and the charts show the one engine that there is.
    const alone = { ...of64, results: both.results
      .filter(({ engine }) => engine === "wasm")
      .map((result) => ({ ...result, ratioToJs: null, ratioToJsInterval: null })) };
    assert.equal(headline(alone), "wasm answers 84-byte pings in 10.0 ns each (batches of 64).");
    assert.match(chartsOf(alone)[0].title, /batches of 64$/);
  });

  test("the number of prefixes is said where there are several, and keeps figures apart", () => {
    const one = report({ "js 84": 25, "wasm 84": 10 });
    const many = { ...one, prefixes: 100_000 };
    assert.match(headline(many), /2\.5 × as fast as JavaScript, spread over 100,000 prefixes\.$/);
    assert.match(renderText(many, false), /^Warm: packets in memory, to 100,000 prefixes, /m);
    assert.deepEqual(compare(one, many), []);
    assert.equal(compare(many, many).length, 3);
  });

  test("columns are aligned, and the environment is there", () => {
    const lines = renderText(report({ "js 84": 25, "wasm 84": 10, "js-naive 65535": 123_456 }), false).split("\n");
    const rows = lines.filter((line) => /^ *\d+ +64 |^ {14}(js|wasm|js-naive) /.test(line));
    assert.equal(rows.length, 3, rows.join("\n"));
    assert.equal(new Set(rows.map((row) => row.indexOf(" M"))).size, 1);
    assert.match(lines.join("\n"), /123,456/);
    assert.match(lines.join("\n"), /A CPU, 2 CPUs/);
  });

  test("colour is for terminals", () => {
    assert.match(renderText(report({ "js 84": 25 }), true), /\x1b\[1m/);
    assert.doesNotMatch(renderText(report({ "js 84": 25 }), false), /\x1b/);
  });

  test("a comparison names what changed by more than the noise, by how much more, and what else differs", () => {
    const before = report({ "js 84": 25, "wasm 84": 10 });
    const now = report({ "js 84": 25.01, "wasm 84": 12 });
    const changes = compare(before, now);
    assert.deepEqual(
      changes.map(({ what, timesNoise }) => [what.split(", ").at(-1), timesNoise > 1]),
      [["ns/packet", false], ["ns/packet", true], ["× js", false]],
    );
    const text = renderChanges(changes, differences(before.environment, { ...now.environment, node: "24.0.0" }));
    assert.match(text, /^1 of 3 figures changed by more than the noise\.$/m);
    assert.match(text, /^wasm, 84 bytes, batches of 64, ns\/packet +10\.0 +12\.0 +\+20\.0 % +7\.07$/m);
    assert.match(text, /^ {2}node: 20\.20\.2 → 24\.0\.0$/m);
    assert.equal(compare(before, before).every(({ timesNoise }) => timesNoise === 0), true);
  });
});

test("what is no report of the same benchmark is refused before anything is measured", () => {
  const right = report({ "js 84": 25 });
  assert.deepEqual(parseReport(JSON.stringify(right), "old.json", "engine"), right);
  const refused = /^old\.json is not a report of pongd bench; give a file that --json wrote$/;
  for (const wrong of ["", "null", "[]", "{}", JSON.stringify({ ...right, results: [{}] }), JSON.stringify(
    { ...right, results: 3 },
  ), JSON.stringify({ ...right, environment: undefined }), JSON.stringify({ ...right, environment: {} }),
  JSON.stringify(right).replace("\"A CPU\"", "\"A \\u001b[31m CPU\""), JSON.stringify(
    { ...right, results: [{ ...right.results[0], nsPerPacket: { median: null, min: 1, p95: 2 } }] },
  )]) {
    assert.throws(() => { parseReport(wrong, "old.json", "engine"); }, { message: refused, exitStatus: 2 }, wrong);
  }
  const tun = { ...right, benchmark: "tun", results: [] };
  assert.throws(
    () => { parseReport(JSON.stringify(tun), "old.json", "engine"); },
    { message: /^old\.json is a report of bench tun, and cannot be compared with one of bench engine$/ },
  );
});

describe("pongd bench engine", () => {
  const args = [CLI, "bench", "engine", "--size", "84", "--seconds", "0.05"];

  test("writes its report, and compares itself with it", () => {
    const folder = mkdtempSync(join(tmpdir(), "pongd-"));
    try {
      const file = join(folder, "report.json");
      const { status, stdout, stderr } = spawnSync(
        process.execPath, [...args, "--engine", "js,wasm", "--batch", "1,64", "--json", file], { encoding: "utf8" },
      );
      assert.equal(stderr, "");
      assert.equal(status, 0);
      assert.match(
        stdout,
        /^((WebAssembly|JavaScript) answers 84-byte pings \d+\.\d × as fast as|WebAssembly and JavaScript are not told apart by 84-byte pings)/,
      );
      const written = JSON.parse(readFileSync(file, "utf8")) as EngineReport;
      assert.deepEqual(
        written.results.map(({ engine, packetBytes, batch }) => `${engine} ${packetBytes} ${batch}`),
        ["js 84 1", "wasm 84 1", "js 84 64", "wasm 84 64"],
      );
      assert.ok(written.complete);
      for (const {
        nsPerPacket: { min, low, median, high, max, p95 }, packetsPerSecond, bytesPerSecond, ratioToJs, engine,
      } of written.results) {
        assert.ok(0 < min && min <= low && low <= median && median <= high && high <= max && p95 <= max);
        assert.equal(packetsPerSecond, 1e9 / median);
        assert.equal(bytesPerSecond, 84 * 1e9 / median);
        assert.ok(engine === "js" ? ratioToJs === 1 : ratioToJs !== null && ratioToJs > 0);
      }
      assert.deepEqual(written.cold.map(({ engine }) => engine), ["js", "wasm"]);
      assert.ok(
        written.cold.every(({ loadMs, firstPacketMs, totalMs }) => loadMs > 0 && firstPacketMs > 0 && totalMs > 0),
      );

      const again = spawnSync(process.execPath, [...args, "--engine", "js", "--compare", file], { encoding: "utf8" });
      assert.match(again.stdout, /^[01] of 1 figures changed by more than the noise\.$/m);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("--json - is JSON and nothing else", () => {
    const { stdout } = spawnSync(
      process.execPath, [...args, "--engine", "wasm-scalar", "--prefixes", "1000", "--json", "-"], { encoding: "utf8" },
    );
    const { prefixes, results, environment } = JSON.parse(stdout) as EngineReport;
    assert.equal(prefixes, 1000);
    assert.equal(results[0].ratioToJs, null);
    assert.deepEqual(
      environment.arguments, [...args.slice(1), "--engine", "wasm-scalar", "--prefixes", "1000", "--json", "-"],
    );
  });

  test("Ctrl-C: what has been measured, and no error", async () => {
    const sayWhenReady = "data:text/javascript,process.on('newListener',(name)=>{"
      + "if(name==='SIGINT')setImmediate(()=>process.stderr.write('ready'))})";
    const child = spawn(process.execPath, [
      "--import", sayWhenReady, CLI, "bench", "engine", "--engine", "js", "--size", "28,84", "--seconds", "600",
      "--json", "-",
    ]);
    let stdout = "";
    child.stdout.on("data", (chunk) => { stdout += String(chunk); });
    const [ready] = await once(child.stderr, "data") as [Buffer];
    assert.equal(String(ready), "ready");
    child.kill("SIGINT");
    const [status] = await once(child, "close") as [number];
    assert.equal(status, 0);
    assert.equal((JSON.parse(stdout) as EngineReport).complete, false);
  });
});
