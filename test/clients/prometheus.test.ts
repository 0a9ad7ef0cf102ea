/**
 * Runs a Prometheus that scrapes a pongd with real traffic, configured by what deploy/prometheus/ ships. Its rates are
 * those of what was sent, each alert fires for a real cause, and Grafana's dashboard finds all that it asks for.
 */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import { source } from "../support/assembly.js";
import { expressionsOf, readDashboard } from "../support/dashboard.js";
import { icmpv6Packet } from "../support/ipv6.js";
import { ended, needs, Netns, poll, Pongd, sum } from "../support/netns.js";
import { icmpPacket, udpPacket } from "../support/packets.js";
import { namedIn } from "../support/promql.js";

interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

interface Sent {
  readonly began: number;
  readonly sent: number;
  readonly refused: number;
}

const CONFIG = `
device: { offload: off }
services:
  api: { http: { handler: ./api.mjs } }
  dns: { udp: { handler: ./dns.mjs } }
tcp: { 7: echo, 80: api }
udp: { 53: dns }
prefixes:
  - { prefix: 10.99.0.0/16, name: lab }
  - { prefix: 10.99.7.0/24, name: dark, answer: [] }
  - { prefix: 10.99.8.0/24, name: limited, rate_limit: { rate: 1, burst: 1 } }
  - { prefix: "fd99::/64", name: six }
`;

/** A handler that fails when it is asked to. */
const API = `export default (request, response) => {
  if (request.url === "/wrong") throw new Error("as asked");
  response.end("right");
};
`;

/** Packets of each kind that are sent a second, in turn. */
const EACH = 300;
const damaged = icmpPacket();
damaged[damaged.length - 1] ^= 1;
const PACKETS = [
  icmpPacket(), icmpv6Packet(), damaged, icmpPacket({ dst: "10.99.7.1" }), icmpPacket({ dst: "10.99.8.1" }),
  udpPacket(),
];
/**
 * The window in seconds, and the error that is allowed in it. rate() extrapolates to the ends of its window from the
 * samples within it, by half an interval on average. It does so for the time and for the increase alike, so its result
 * is the slope between the first sample and the last. The error left is that one of these two was read some ms later
 * than Prometheus notes, in a window of so many seconds.
 */
const WINDOW = 20;
const TOLERANCE = 0.01;

describe("prometheus", needs("prometheus", "strace"), () => {
  const folder = mkdtempSync(join(tmpdir(), "pongd-prometheus-"));
  const config = join(folder, "pongd.yaml");
  let ns: Netns;
  let pongd: Pongd;
  let prometheus: ReturnType<Netns["spawn"]>;

  before(async () => {
    ns = await Netns.open();
    writeFileSync(config, CONFIG);
    writeFileSync(join(folder, "api.mjs"), API);
    writeFileSync(join(folder, "dns.mjs"), "export default (message, remote, reply) => { reply(message); };\n");
    const web = join(folder, "web.yml");
    writeFileSync(web, "http_server_config: { headers: { X-Frame-Options: deny } }\n");
    pongd = await Pongd.start(ns, "--config", config, "--web-config", web, "--io", "readwrite");
    // The queue holds seconds of packets: on a busy machine pongd may get no time for as long as the usual queue lasts.
    await ns.ok("ip", "link", "set", "pong0", "txqueuelen", "10000");
    for (const path of ["", "wrong"]) await ns.ok("curl", "-s", `http://10.99.1.1/${path}`);
    cpSync(source("deploy/prometheus"), folder, { recursive: true });
    // Only times are replaced, so that the test takes less of it.
    const substitute = (file: string, pattern: RegExp, text: string) => {
      writeFileSync(join(folder, file), readFileSync(join(folder, file), "utf8").replaceAll(pattern, text));
    };
    substitute("prometheus.yml", /_interval: 15s$/gm, "_interval: 500ms");
    substitute("pongd.alerts.yml", /for: \d+m$/gm, "for: 0s");
    prometheus = ns.spawn(
      "prometheus", "--config.file", join(folder, "prometheus.yml"), "--storage.tsdb.path", join(folder, "data"),
      "--web.listen-address", "127.0.0.1:9090", "--log.level", "error",
    );
    await until("up == 1");
  });
  after(async () => {
    prometheus.kill();
    await ended(prometheus);
    await pongd.stop();
    await ns.close();
    rmSync(folder, { recursive: true });
  });

  /** Asks Prometheus' API for each of these paths, and returns its answers: undefined while it is not ready. */
  const ask = async <T>(...paths: string[]): Promise<(T | undefined)[]> => {
    const answers = await Promise.all(paths.map(async (path) => {
      const { stdout } = await ns.run("curl", "-s", `http://127.0.0.1:9090/api/v1/${path}`);
      return (stdout.startsWith("{") ? JSON.parse(stdout) : {}) as { status?: string; data?: T; error?: string };
    }));
    return answers.map(({ status, data, error }, i) => {
      if (status === "error") throw new Error(`${paths[i]}: ${error ?? ""}`);
      return data;
    });
  };
  const queries = async (expressions: readonly string[], time?: number) => {
    const answers = await ask<{ result: Series[] }>(
      ...expressions.map(
        (
          expr,
        ) => `query?${new URLSearchParams({ query: expr, ...time !== undefined && { time: time.toFixed(3) } })
          .toString()}`,
      ),
    );
    return answers.map((data) => data?.result ?? []);
  };
  const query = async (expr: string, time?: number) => (await queries([expr], time))[0];
  /** Waits until the expression has a result. */
  const until = (expr: string) => poll(() => query(expr), (series) => series.length > 0);
  const firing = async () => {
    const [{ alerts } = { alerts: [] }] = await ask<{
      alerts: { labels: { alertname: string }; state: string }[];
    }>("alerts");
    return [...new Set(alerts.filter(({ state }) => state === "firing").map(({ labels }) => labels.alertname))].sort();
  };
  const fires = (alert: string, does = true) => poll(firing, (alerts) => alerts.includes(alert) === does);
  /** Starts to send, and returns a function that ends it and says what was sent. */
  const send = () => {
    const sender = ns.spawn(
      process.execPath,
      source("build/test/support/steady.js"),
      "pong0",
      String(EACH * PACKETS.length),
      ...PACKETS.map((packet) => Buffer.from(packet).toString("hex")),
    );
    let said = "";
    sender.stdout.on("data", (chunk) => { said += String(chunk); });
    return async (): Promise<Sent> => {
      sender.stdin.end();
      await ended(sender);
      return JSON.parse(said) as Sent;
    };
  };

  test("its rates are those of what was sent, within 1 %; drops and limits fire their alerts, and "
    + "no other fires", async (context) => {
    const before = await pongd.metrics();
    const stop = send();
    // The test does not wait for a time: the window lies between two samples that Prometheus itself has.
    await until("rate(pongd_packets_received_total[2s]) > 0");
    const [{ value: [start] }] = await query("rate(pongd_packets_received_total[2s]) > 0");
    const end = start + WINDOW + 2;
    await until(`pongd_packets_received_total and timestamp(pongd_packets_received_total) > ${end}`);

    const within = async (expr: string, expected: number) => {
      const [{ value }, ...others] = await query(expr.replace("WINDOW", `${WINDOW}s`), end);
      assert.deepEqual(others, []);
      const off = Number(value[1]) / expected - 1;
      context.diagnostic(`${expr}: ${(100 * off).toFixed(2)} % off`);
      assert.ok(Math.abs(off) < TOLERANCE, `${expr}: ${value[1]}, and ${expected} were sent`);
    };
    await within("sum(rate(pongd_packets_received_total[WINDOW]))", EACH * PACKETS.length);
    await within("sum by (protocol) (rate(pongd_replies_total{protocol=\"icmp\"}[WINDOW]))", EACH + 1);
    await within("sum by (protocol) (rate(pongd_replies_total{protocol=\"icmpv6\"}[WINDOW]))", EACH);
    for (const reason of ["icmp_csum", "icmp_echo_ignored", "no_socket"]) {
      await within(`rate(pongd_packets_dropped_total{reason="${reason}"}[WINDOW])`, EACH);
    }
    await within("rate(pongd_packets_dropped_total{reason=\"rate_limited\"}[WINDOW])", EACH - 1);
    for (const name of ["lab", "six"]) await within(`rate(pongd_prefix_replies_total{name="${name}"}[WINDOW])`, EACH);
    await within(
      "8 * rate(pongd_bytes_received_total[WINDOW])",
      8 * EACH * PACKETS.reduce((bytes, { length }) => bytes + length, 0),
    );
    assert.deepEqual(await firing(), ["PongdDropRatio", "PongdRateLimited"]);
    const asked = expressionsOf(
      readDashboard(), { job: "pongd", instance: ".*", __range: "30s", __rate_interval: "5s" },
    );
    const results = await queries(asked.map(({ expr }) => expr), end);
    const missing = asked.flatMap(({ where, expr, legend }, i) => [
      ...results[i].length === 0 ? [`${where}: ${expr}`] : [],
      ...results[i].flatMap(({ metric }) => legend.filter((label) => !(label in metric))
        .map((label) => `${where}: {{${label}}} of ${JSON.stringify(metric)}`)),
    ]);
    assert.deepEqual(missing, [], "what the dashboard asks for, and does not get");

    const { sent, refused } = await stop();
    assert.equal(refused, 0);
    const after = await pongd.until(
      (metrics) => sum(metrics, "pongd_packets_received_total") >= sum(before, "pongd_packets_received_total") + sent,
    );
    assert.equal(sum(after, "pongd_packets_received_total") - sum(before, "pongd_packets_received_total"), sent);
  });

  test("every metric, label and label's value that the dashboard, the rules and the alerts name is there", async () => {
    const rules = ["rules", "alerts"].flatMap((file) => {
      const { groups } = parse(readFileSync(source(`deploy/prometheus/pongd.${file}.yml`), "utf8")) as {
        groups: { rules: { record?: string; alert?: string; expr: string }[] }[];
      };
      return groups.flatMap((group) => group.rules);
    });
    const { body } = await pongd.get("/metrics");
    const values = new Map<string, Map<string, Set<string>>>();
    const add = (metric: string, labels: Iterable<readonly [string, string]>) => {
      const known = values.get(metric) ?? new Map<string, Set<string>>();
      values.set(metric, known);
      for (const [label, value] of labels) known.set(label, (known.get(label) ?? new Set()).add(value));
    };
    for (const [, metric, labels = ""] of body.matchAll(/^(\w+)(?:\{(.*)\})? /gm)) {
      add(metric, [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, value]) => [label, value] as const));
    }
    // Prometheus has metrics of its own. The rules make others, whose labels are those of what they are made of.
    for (const metric of ["up", "scrape_duration_seconds"]) add(metric, []);
    for (const { record, expr } of rules.filter(({ record }) => record !== undefined)) {
      const made = namedIn(expr).selectors.flatMap(({ metric }) => [...values.get(metric) ?? []]);
      add(record ?? "", made.flatMap(([label, known]) => [...known].map((value) => [label, value] as const)));
    }
    for (const [metric] of values) add(metric, [["job", "pongd"], ["instance", "127.0.0.1:7664"]]);

    const asked = expressionsOf(
      readDashboard(), { job: "pongd", instance: "127.0.0.1:7664", __range: "30s", __rate_interval: "5s" },
    );
    for (const { where, expr } of [
      ...asked, ...rules.map(({ record, alert, expr }) => ({ where: record ?? alert ?? "", expr })),
    ]) {
      const { selectors, grouping } = namedIn(expr);
      for (const { metric, matchers } of selectors) {
        const labels = values.get(metric);
        assert.ok(labels, `${where}: ${metric}`);
        for (const { label, operator, value } of matchers) {
          for (const one of operator.includes("~") ? value.split("|") : [value]) {
            const known = [...labels.get(label) ?? []];
            const pattern = new RegExp(`^(?:${one})$`);
            assert.ok(
              known.some((value) => operator.includes("~") ? pattern.test(value) : value === one),
              `${where}: ${metric}{${label}="${one}"}`,
            );
          }
        }
      }
      for (const label of grouping) {
        assert.ok(selectors.some(({ metric }) => values.get(metric)?.has(label)), `${where}: ${label}`);
      }
    }
  });

  test("a pongd that is paused while packets come is down, and then, once it runs again, its "
    + "device was overrun", async () => {
    await ns.ok("ip", "link", "set", "pong0", "txqueuelen", "100");
    const overrun = sum(await pongd.metrics(), "pongd_device_tx_dropped_total");
    const stop = send();
    process.kill(pongd.pid, "SIGSTOP");
    await fires("PongdDown");
    // The alert is about more than a few dropped packets.
    await poll(
      () => ns.ip<{ stats64: { tx: { dropped: number } } }>("-s", "link", "show", "pong0"),
      ([{ stats64 }]) => stats64.tx.dropped > overrun + 100,
    );
    const { refused } = await stop();
    process.kill(pongd.pid, "SIGCONT");
    await fires("PongdDeviceOverrun");
    await fires("PongdDown", false);
    assert.ok(refused > 0);
    const [{ value: [, dropped] }] = await query("pongd_device_tx_dropped_total");
    assert.equal(Number(dropped) - overrun, refused);
  });

  test("a reload of a file that is wrong fires an alert, until one is right", async () => {
    assert.ok(!(await firing()).includes("PongdReloadFailed"));
    writeFileSync(config, CONFIG.replace("answer: []", "answer: [nothing]"));
    process.kill(pongd.pid, "SIGHUP");
    await fires("PongdReloadFailed");
    writeFileSync(config, CONFIG);
    process.kill(pongd.pid, "SIGHUP");
    await fires("PongdReloadFailed", false);
  });

  test("a worker that crashes and is started again fires an alert", async () => {
    assert.ok(!(await firing()).includes("PongdWorkerRestarted"));
    const stop = send();
    await pongd.crash();
    await stop();
    await fires("PongdWorkerRestarted");
  });
});
