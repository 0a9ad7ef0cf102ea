/**
 * Tests pongd top: it parses the text format, computes figures, draws a screen, and copes with servers of every kind.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createServer as createTcpServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { ACCEPTED, SERVED } from "../../abi/counters.js";
import { MAX_WAITING } from "../../src/base/bounded.js";
import { EXIT, Failure } from "../../src/base/failure.js";
import { PrefixList } from "../../src/prefix/list.js";
import { parseMetricsAddress } from "../../src/top/address.js";
import { figuresOf } from "../../src/top/collect.js";
import { samplesOf } from "../../src/top/parse.js";
import { HEADER, jsonLine, line } from "../../src/top/lines.js";
import { keyOf, wayOf, type Figures, type Rates } from "../../src/telemetry/figures.js";
import { explain } from "../../src/telemetry/reasons.js";
import { Scraper } from "../../src/top/scraper.js";
import { screen } from "../../src/top/screen.js";
import { fit, widthOf } from "../../src/top/text.js";
import { viewOf } from "../../src/top/view.js";
import { ServiceCounts } from "../../src/telemetry/servicecounts.js";
import { figuresOf as snapshotOf } from "../../src/telemetry/snapshot.js";
import { parsePrefix } from "../../src/prefix/prefixes.js";
import { Folder } from "../support/certificates.js";
import { metricsOf, textOf } from "../support/exposed.js";
import { CLI, needsCommands, type Result, said } from "../support/netns.js";
import { certificate } from "../support/x509.js";

const BUILD = "pongd_build_info{version=\"1.2.3\"} 1\n";
const QUEUE = "pongd_queue_info{queue=\"0\",engine=\"wasm\",io=\"uring\"} 1\n";
const replies = (count: number) => `${BUILD}${QUEUE}pongd_packets_received_total{queue="0"} `
  + `${count}\npongd_replies_total{protocol="icmp_echo",queue="0"} ${count}\n`;

describe("the text exposition format", () => {
  const read = (text: string) => [...samplesOf(text)].map(
    ({ name, labels, value }) => [name, Object.fromEntries(labels), value],
  );

  test("samples with and without labels, timestamps, blanks and every kind of number", () => {
    assert.deepEqual(read([
      "# HELP a What it is.", "# TYPE a counter", "#", "", "  \t", "a 1", "a{} 2", "a{b=\"c\"} 3 1700000000000",
      "a{b=\"c\",d=\"e\",} 1e3",
      " a \t{ b = \"c\" , d=\"e\" }\t-1.5e-3 -1 ", "a +Inf", "a -Inf", "a NaN", "a:b_9 .5", "a 5.",
    ].map((text) => `${text}\n`).join("")), [
      ["a", {}, 1], ["a", {}, 2], ["a", { b: "c" }, 3], ["a", { b: "c", d: "e" }, 1000],
      ["a", { b: "c", d: "e" }, -0.0015], ["a", {}, Infinity], ["a", {}, -Infinity], ["a", {}, NaN], ["a:b_9", {}, 0.5],
      ["a", {}, 5],
    ]);
  });

  test("escapes in the value of a label: \\\\, \\\" and \\n; } and = and , are nothing but themselves there", () => {
    assert.deepEqual(read("a{b=\"\\\\ \\\" \\n {}=, # \\\\\"} 1\n"), [["a", { b: "\\ \" \n {}=, # \\" }, 1]]);
  });

  for (const [text, message] of [
    ["a 1\nb 2", /line 2: it does not end/],
    ["a 1\n<html>\n", /line 2: expected the name of a metric, found "<html>"/],
    ["a\n", /expected a value, found its end/],
    ["a one\n", /expected a value, found "one"/],
    ["a 0x10\n", /expected a value/],
    ["a 1 2 3\n", /expected the end of the line, found "3"/],
    ["a 1 now\n", /expected a timestamp, found "now"/],
    ["a{b=\"c\" 1\n", /expected , or }, found "1"/],
    ["a{b=c} 1\n", /expected ", found "c} 1"/],
    [`a{b="${"c".repeat(5000)}"} 1\n`, /the value of a label is longer than 4096 characters/],
    ["a{b=\"c} 1\n", /the value of a label does not end/],
    ["a{b=\"\\t\"} 1\n", /expected \\, " or n behind \\, found "t/],
    ["a{b=\"c\",b=\"d\"} 1\n", /label b is there twice/],
    ["a{,} 1\n", /expected the name of a label, or }/],
    ["\n".repeat(1_000_001), /there are more than 1000000 lines/],
  ] as const) {
    test(`refused: ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.throws(() => read(text), message);
    });
  }

  test("lines that are long and wrong take no longer than long lines", () => {
    for (const hostile of [
      "a{b=\"" + "\\\\".repeat(1 << 20), "a" + "} x".repeat(1 << 20), "a" + " ".repeat(1 << 21) + "{",
      `a{${"b=\"\",".repeat(1 << 20)}`,
    ]) assert.throws(() => read(`${hostile}\n`));
  });
});

describe("figures", () => {
  test("they are those of pongd's own registry", async () => {
    const counters = new Float64Array(1 << 16).fill(1);
    const [lab, six] = ["10.99.0.0/16", "fd00::/64"].map(parsePrefix);
    const served = { prefixes: PrefixList.of([{ ...lab, name: "lab" }, six], [0, 0]) };
    const metrics = metricsOf(
      [0, 1].map((index) => ({ index, engine: "wasm", io: "uring", counters, restarts: index })),
      served,
      { txDropped: () => 3 },
    );
    const figures = figuresOf(await textOf(metrics), 7);
    assert.equal(figures.at, 7);
    assert.equal(figures.version, (JSON.parse(
      readFileSync(new URL("../../../package.json", import.meta.url), "utf8"),
    ) as { version: string }).version);
    assert.deepEqual(
      figures.queues.map(({ queue, engine, io, received, restarts }) => [queue, engine, io, received, restarts]),
      [["0", "wasm", "uring", 1, 0], ["1", "wasm", "uring", 1, 1]],
    );
    assert.equal(figures.dropped.rate_limited, 2);
    assert.equal(figures.queues[0].dropped, Object.keys(figures.dropped).length);
    assert.deepEqual(
      figures.prefixes,
      [{ prefix: "10.99.0.0/16", name: "lab", replied: 2 }, { prefix: "fd00::/64", name: undefined, replied: 2 }],
    );
  });

  test("connections are shown where there are any, and segments that TCP took beside the other packets", () => {
    const tcp = (n: number) => `${BUILD}pongd_tcp_connections{queue="0"} ${n}\npongd_tcp_connections{queue="1"} 2\n`
      + `pongd_tcp_accepted_total{service="echo",queue="0"} ${10 * n}\npongd_tcp_bytes_total{direction="in",queue="0"} `
      + `${1000 * n}\npongd_tcp_bytes_total{direction="out",queue="0"} ${3000 * n}\n`
      + `pongd_tcp_segments_total{direction="in",queue="0"} ${100 * n}\n`
      + `pongd_tcp_segments_total{direction="out",queue="0"} 7\npongd_tcp_retransmitted_segments_total{queue="0"} ${n}\n`
      + `pongd_tcp_opened_total{queue="0"} ${4 * n}\n`;
    const [older, newer] = [figuresOf(tcp(1), 0), figuresOf(tcp(3), 2000)];
    assert.deepEqual(
      newer.tcp, { connections: 5, accepted: 30, opened: 12, retransmitted: 3, bytesIn: 3000, bytesOut: 9000 },
    );
    assert.deepEqual(newer.queues.map(({ tcp }) => tcp), [300]);
    const lines = screen(viewOf("http://a/", older, newer), { columns: 100, rows: 40 }, 2000, false);
    assert.ok(lines.some((shown) => /^taken by TCP +100 +300$/.test(shown)), lines.join("\n"));
    assert.ok(lines.some((shown) => /^connections +5 +10 +4 +1 +1,000 +3,000$/.test(shown)), lines.join("\n"));
    assert.match(line(viewOf("http://a/", older, newer), 0), / 100 +5$/);
    assert.match(HEADER, / TCP\/S +CONNECTIONS$/);
    const none = screen(viewOf("http://a/", undefined, figuresOf(BUILD, 0)), { columns: 100, rows: 40 }, 0, false);
    assert.ok(!none.some((shown) => shown.includes("TCP")));
  });

  test("services, their threads and UDP are as the page has them", async () => {
    const counters = new Float64Array(1 << 16).fill(2);
    const accepting = [
      { protocol: "tcp", service: "api", counter: ACCEPTED + 9 },
      { protocol: "tcp", service: "echo", counter: ACCEPTED },
      { protocol: "udp", service: "echo", counter: SERVED }, { protocol: "udp", service: "dns", counter: SERVED + 9 },
    ] as const;
    const sessionLimits = { stamp: 16, irtt: 9 };
    const queues = [0, 1].map(
      (index) => ({ index, engine: "wasm", io: "uring", counters, restarts: 0, accepting, sessionLimits }) as const,
    );
    const counts = [new ServiceCounts(), new ServiceCounts()];
    for (const status of [200, 200, 304, 500]) counts[1].responded(0, status, 0.01);
    for (const seconds of [0.25, 0.5]) counts[1].beat(seconds);
    counts[0].opened(0);
    counts[1].failed(1);
    counts[1].restarted();
    const services = { names: ["api", "dns"], threads: counts.map(({ buffer }) => buffer) };
    const served = { prefixes: PrefixList.of([], []) };
    const text = await textOf(metricsOf(queues, served, { txDropped: () => 0 }, { services: () => services }));
    const parts = ({ services, serviceCount, threads, udp, sessions, turnaround }: Figures) => {
      const sorted = [...services].sort((a, b) => keyOf(a) < keyOf(b) ? -1 : 1);
      return JSON.parse(JSON.stringify([sorted, serviceCount, threads, udp, sessions, turnaround])) as unknown;
    };
    const figures = figuresOf(text, 7);
    assert.deepEqual(parts(figures), parts(snapshotOf(queues, served, 7, 0, true, services)));
    assert.deepEqual(figures.services.map(keyOf), ["tcp api", "tcp echo", "udp echo", "udp dns"]);
    assert.deepEqual(
      figures.sessions, [{ protocol: "stamp", sessions: 4, limit: 32 }, { protocol: "irtt", sessions: 4, limit: 18 }],
    );
    assert.equal(figures.turnaround.replies, 96);
  });

  describe("services", () => {
    const at = (n: number) => figuresOf(`${BUILD}pongd_tcp_accepted_total{service="api",queue="0"} ${n}
pongd_tcp_accepted_total{service="api",queue="1"} ${n}\npongd_tcp_accepted_total{service="echo",queue="0"} 1000
pongd_udp_datagrams_total{service="dns",queue="0"} ${10 * n}
pongd_udp_handler_datagrams_total{direction="in",queue="0"} ${10 * n}
pongd_udp_handler_datagrams_total{direction="out",queue="0"} ${6 * n}
pongd_udp_handler_datagrams_total{direction="lost",queue="0"} ${n}
pongd_packets_dropped_total{reason="socket_rcvbuff",queue="0"} ${2 * n}
pongd_packets_dropped_total{reason="stamp_sessions",queue="0"} ${6 * n}
pongd_stamp_sessions{queue="0"} ${3 * n}\npongd_stamp_sessions_limit{queue="0"} 16\npongd_irtt_sessions{queue="0"} ${n}
pongd_irtt_sessions_limit{queue="0"} 4096
pongd_stamp_turnaround_seconds_sum ${n / 8000}\npongd_stamp_turnaround_seconds_count ${n}
pongd_http_requests_total{service="api",code="200"} ${4 * n}\npongd_http_requests_total{service="api",code="204"} ${n}
pongd_http_requests_total{service="api",code="503"} ${n}\npongd_service_connections{service="api"} 12
pongd_service_errors_total{service="api"} ${n}\npongd_service_errors_total{service="dns"} 0
pongd_service_thread_restarts_total{thread="0"} ${n}
pongd_service_thread_delay_seconds_sum{thread="0"} ${n / 4}\npongd_service_thread_delay_seconds_count{thread="0"} ${n}
`, 1000 * n);
    const [older, newer] = [at(2), at(4)];
    const view = viewOf("http://a/", older, newer);
    const shown = (rows: number, columns = 100) => screen(view, { columns, rows }, 4000, false);

    test("they are on the screen, the busiest first", () => {
      const lines = shown(50).filter((line) => !line.startsWith("0 ") || /^0 +\d+ +\d+$/.test(line));
      const rows = ["api", "dns", "echo", "0", "datagrams", "stamp", "irtt"];
      assert.deepEqual(lines.map((line) => line.split(/ +/)).filter(([first]) => rows.includes(first)), [
        ["datagrams", "10", "6", "2", "1"], ["stamp", "12", "16", "6", "125"], ["irtt", "4", "4,096", "0", "-"],
        ["dns", "udp", "-", "10", "-", "-", "-", "-", "0"],
        ["api", "tcp", "12", "2", "5", "0", "0", "1", "4"],
        ["echo", "tcp", "-", "0", "-", "-", "-", "-", "0"],
        ["0", "250", "4"],
      ]);
    });

    test("a screen that is short has some of each, and says how many more there are", () => {
      const lines = shown(30);
      assert.ok(lines.length <= 30);
      for (const heading of ["UDP", "SERVICE", "SERVICE THREAD", "QUEUE", "DROPPED FOR"]) {
        assert.ok(lines.some((line) => line.startsWith(`${heading} `)), `${heading}\n${lines.join("\n")}`);
      }
      assert.ok(lines.includes("and 1 more"), lines.join("\n"));
    });

    test("a line of JSON has them, with their rates", () => {
      const parsed = JSON.parse(jsonLine(view, 0)) as Figures & { rates: Rates };
      const { rates, services, serviceCount, threads, udp } = parsed;
      assert.deepEqual(services.map(keyOf), ["udp dns", "tcp api", "tcp echo"]);
      assert.deepEqual(rates.services["tcp api"], { taken: 2, responses: [0, 5, 0, 0, 1] });
      assert.deepEqual(rates.threads, { 0: { late: 0.25, silent: 0 } });
      assert.deepEqual([serviceCount, threads[0].restarts, udp.dropped], [3, 4, 8]);
    });

    test("a thread that hangs is late, and has not been restarted yet", () => {
      const silent = viewOf("http://a/", newer, { ...newer, at: newer.at + 9000 }, view.rates);
      const lines = screen(silent, { columns: 100, rows: 50 }, 0, false);
      assert.ok(lines.some((line) => /^0 +8,000 +4$/.test(line)), lines.join("\n"));
    });

    test("where there are none, there is nothing about them", () => {
      const lines = screen(viewOf("http://a/", undefined, figuresOf(BUILD, 0)), { columns: 100, rows: 40 }, 0, false);
      assert.ok(!lines.some((line) => /SERVICE|UDP/.test(line)), lines.join("\n"));
    });
  });

  describe("links", () => {
    const at = (n: number) => figuresOf(`${BUILD}pongd_prefix_replies_total{prefix="10.99.0.0/16"} ${n}
pongd_link_packets_total{prefix="10.99.0.0/16",direction="in",effect="dropped"} ${n}
pongd_link_packets_total{prefix="10.99.0.0/16",direction="out",effect="delayed"} ${8 * n}
pongd_link_packets_total{prefix="10.99.0.0/16",direction="out",effect="ecn_marked"} ${2 * n}
pongd_link_packets_total{prefix="fd99::/64",name="far",direction="out",effect="dropped"} 10000
pongd_link_packets_total{prefix="fd99::/64",name="far",direction="out",effect="unheard_of"} 1
`, 1000 * n);
    const [older, newer] = [at(2), at(4)];
    const view = viewOf("http://a/", older, newer);

    test("what they do is on the screen, by prefix and way, the busiest first", () => {
      const lines = screen(view, { columns: 140, rows: 40 }, 4000, false);
      const heading = lines.findIndex((line) => line.startsWith("LINK OF"));
      assert.deepEqual(lines.slice(heading, heading + 4).map((line) => line.split(/ {2,}/)), [
        [
          "LINK OF", "WAY", "DELAYED/S", "DROPPED/S", "CORRUPTED/S", "DUPLICATED/S", "REORDERED/S", "ECN MARKED/S",
          "QUEUE FULL/S",
        ],
        ["10.99.0.0/16", "out", "8", "0", "0", "0", "0", "2", "0"],
        ["10.99.0.0/16", "in", "0", "1", "0", "0", "0", "0", "0"],
        ["fd99::/64", "out", "0", "0", "0", "0", "0", "0", "0"],
      ]);
    });

    test("a line of JSON has it, with the rates", () => {
      const { rates, links, linkCount } = JSON.parse(jsonLine(view, 0)) as Figures & { rates: Rates };
      assert.deepEqual(links.map(wayOf), ["10.99.0.0/16 out", "10.99.0.0/16 in", "fd99::/64 out"]);
      assert.deepEqual([links[0].affected, linkCount], [40, 3]);
      assert.deepEqual(rates.links["10.99.0.0/16 out"], [8, 0, 0, 0, 0, 2, 0]);
    });

    test("where there are none, there is nothing about them", () => {
      const lines = screen(viewOf("http://a/", undefined, figuresOf(BUILD, 0)), { columns: 140, rows: 40 }, 0, false);
      assert.ok(!lines.some((line) => line.startsWith("LINK OF")));
    });
  });

  test("overruns of the device are counted where they are told, and 0 where not", () => {
    assert.equal(figuresOf(BUILD, 0).overrun, 0);
    assert.equal(figuresOf(`${BUILD}pongd_device_tx_dropped_total 5\n`, 0).overrun, 5);
  });

  test("a pongd that is not ready is shown as one, and one that does not say is", () => {
    const lines = (text: string) => screen(
      viewOf("http://a/", undefined, figuresOf(text, 0)), { columns: 80, rows: 24 }, 0, false,
    );
    assert.ok(lines(`${BUILD}pongd_ready 0\n`).some((shown) => shown.startsWith("not ready:")));
    for (const text of [`${BUILD}pongd_ready 1\n`, BUILD]) {
      assert.ok(!lines(text).some((shown) => shown.startsWith("not ready:")));
    }
  });

  test("labels of any name are but names", () => {
    const { dropped } = figuresOf(
      `${BUILD}${["__proto__", "constructor"]
        .map((reason) => `pongd_packets_dropped_total{reason="${reason}",queue="0"} 1\n`)
        .join("")}`,
      0,
    );
    assert.deepEqual(Object.keys(dropped), ["__proto__", "constructor"]);
    assert.equal(Object.getPrototypeOf(dropped), null);
  });

  for (const [text, message] of [
    ["up 1\n", /there is no pongd_build_info in it/],
    [`${BUILD}pongd_packets_received_total 1\n`, /pongd_packets_received_total has no label queue/],
    [`${BUILD}pongd_packets_received_total{queue="0"} NaN\n`, /pongd_packets_received_total is NaN/],
    [`${BUILD}pongd_packets_received_total{queue="0"} -1\n`, /pongd_packets_received_total is -1/],
  ] as const) {
    test(`refused: ${text.slice(0, 80).trim()}`, () => { assert.throws(() => figuresOf(text, 0), message); });
  }

  test("the prefixes that answer most now come first, of however many", () => {
    const text = (
      busy: number,
    ) => `${BUILD}${Array.from(
      { length: 2000 },
      (_, i) => `pongd_prefix_replies_total{prefix="10.0.${i >> 8}.${i & 255}/32"} ${i + (i === 7 ? busy : 0)}\n`,
    ).join("")}`;
    const { figures, rates } = viewOf("", figuresOf(text(0), 0), figuresOf(text(100), 1000));
    assert.deepEqual(figures.prefixes.slice(0, 2).map(({ prefix }) => prefix), ["10.0.0.7/32", "10.0.7.207/32"]);
    assert.equal(rates?.prefixes["10.0.0.7/32"], 100);
    assert.equal(figures.prefixCount, 2000);
  });
});

describe("an address", () => {
  for (const [text, href] of [
    ["http://127.0.0.1:7664", "http://127.0.0.1:7664/metrics"],
    ["127.0.0.1:7664", "http://127.0.0.1:7664/metrics"],
    ["pong.example", "http://pong.example:7664/metrics"],
    [":9000", "http://127.0.0.1:9000/metrics"],
    ["[::1]:7664", "http://[::1]:7664/metrics"],
    ["localhost:80", "http://localhost/metrics"],
    ["https://pong.example", "https://pong.example/metrics"],
    ["https://pong.example:7664/metrics?a=b#c", "https://pong.example:7664/metrics?a=b"],
    ["https://proxy.example/pong/", "https://proxy.example/pong/metrics"],
  ] as const) {
    test(`${text} is ${href}`, () => { assert.equal(parseMetricsAddress(text).url.href, href); });
  }

  test("a socket's file, and an address of one interface, are connected to, and are called what "
    + "they were called", () => {
    const { url, name, connection } = parseMetricsAddress("unix:/run/pongd.sock");
    assert.deepEqual(
      [url.href, name, connection],
      ["http://localhost/metrics", "unix:/run/pongd.sock", { socketPath: "/run/pongd.sock" }],
    );
    for (const text of ["[fe80::1%eth0]:7664", "http://[fe80::1%25eth0]:7664/"]) {
      const { url, name, connection } = parseMetricsAddress(text);
      assert.deepEqual(
        [url.href, name, connection],
        ["http://[fe80::1]:7664/metrics", "http://[fe80::1%25eth0]:7664/metrics", { hostname: "fe80::1%eth0" }],
      );
    }
  });

  test("user and password are decoded, and in nothing that is shown", () => {
    const { url, user, password } = parseMetricsAddress("https://ad%40min:s%3Acret%@pong.example:7664");
    assert.deepEqual([url.href, user, password], ["https://pong.example:7664/metrics", "ad@min", "s:cret%"]);
  });

  for (const [text, message] of [
    ["1.2.3", "\"1.2.3\" is not an IPv4 address; write four numbers from 0 to 255, like 127.0.0.1"],
    [
      "https://ada:secret@10.0.0.256:7664/metrics",
      "\"10.0.0.256\" is not an IPv4 address; write four numbers from 0 to 255, like 127.0.0.1",
    ],
    ["0x7f.1", "\"0x7f.1\" is not an IPv4 address; write four numbers from 0 to 255, like 127.0.0.1"],
    ["::1", "\"::1\" is an IPv6 address; put it in brackets, like [::1]:7664"],
  ] as const) {
    test(
      `${text} is refused: ${message}`,
      () => { assert.throws(() => parseMetricsAddress(text), { message, exitStatus: EXIT.USAGE }); },
    );
  }

  test("what is none is refused without repeating it: a password may be in it", () => {
    for (const text of ["ftp://a:secret@b", "", "http://", "a b", "host:99999", "[x%y]:1"]) {
      assert.throws(() => parseMetricsAddress(text), (error) => error instanceof Failure
        && error.exitStatus === EXIT.USAGE && !error.message.includes("secret"), text);
    }
  });
});

describe("what is shown", () => {
  const HOSTILE = "\x1b]0;owned\x07\u202e\u2028\x9b31m\r\n";
  const escaped = HOSTILE.replaceAll("\n", "\\n");
  const text = (n: number) => `${replies(n)}pongd_build_info{version="${escaped}"} `
    + `1\npongd_queue_info{queue="1",engine="${escaped}",io="${escaped}"} 1\n`
    + `pongd_packets_dropped_total{reason="${escaped}",queue="0"} `
    + `${n}\npongd_prefix_replies_total{prefix="10.0.0.0/8",name="${escaped}"} ${n}\n`
    + Array.from({ length: 50 }, (_, i) => `pongd_prefix_replies_total{prefix="10.0.0.${i}/32",name="東京${i}"} ${i}\n`)
      .join("");
  const view = viewOf(`http://pong.example/${HOSTILE}`, figuresOf(text(1000), 0), figuresOf(text(3000), 2000));

  test("nothing from the network steers the terminal", () => {
    const size = { columns: 500, rows: 40 };
    const troubled = { ...view, trouble: HOSTILE };
    for (const lines of [
      screen(view, size, 2000, false), screen(troubled, size, 0, false), [line(view, 2000)], [jsonLine(view, 0)],
      [jsonLine(troubled, 0)],
    ]) {
      for (const shown of lines) assert.match(shown, /^[^\p{C}\p{Zl}\p{Zp}]*$/u);
    }
    assert.ok(screen(view, size, 2000, false)[0].includes("\\u001b]0;owned\\u0007\\u202e"));
  });

  test("it fits screens of every size, wide characters and all", () => {
    for (let columns = 1; columns < 130; columns += 3) {
      for (let rows = 1; rows < 70; rows += 3) {
        const lines = screen(view, { columns, rows }, 2000, false);
        assert.ok(lines.length <= rows, `${columns}x${rows}`);
        for (const shown of lines) assert.ok(widthOf(shown) <= columns, `${columns}x${rows}: ${shown}`);
      }
    }
    assert.equal(
      screen(view, { columns: 100, rows: 100 }, 2000, false).filter((shown) => shown.includes("東京")).length, 50,
    );
    assert.ok(screen(view, { columns: 100, rows: 30 }, 2000, false).some((shown) => /^and \d+ more$/.test(shown)));
  });

  describe("figures stay whole", () => {
    const LONG = { latin: "x".repeat(200), wide: "東京".repeat(100), one: "lab" };
    const prefixes = [
      ["2001:db8:1234:5678:9abc:def0:1:0/112", LONG.latin], ["10.1.0.0/16", LONG.wide], ["10.2.0.0/16", LONG.one],
    ];
    const drops = ["ipv6_ndisc_ns_otherhost", "x".repeat(60)];
    const metrics = (
      n: number,
    ) => `${replies(123_456_000 + n)}${drops.map(
      (reason) => `pongd_packets_dropped_total{reason="${reason}",queue="0"} ${98_700_000 + n}\n`,
    ).join("")}`
    + prefixes.map(
      ([prefix, name]) => `pongd_prefix_replies_total{prefix="${prefix}",name="${name}"} ${45_600_000 + n}\n`,
    ).join("");
    const named = viewOf("http://x/", figuresOf(metrics(0), 0), figuresOf(metrics(1234), 1000));
    const linesOf = (columns: number, rows: number) => screen(named, { columns, rows }, 1000, false);

    test("where there is no room for both, names are cut", () => {
      for (const [columns, rows] of [[80, 24], [60, 20], [132, 40]] as const) {
        const lines = linesOf(columns, rows);
        const ending = (start: string, end: RegExp) => {
          assert.ok(
            lines.some((line) => line.startsWith(start) && end.test(line)),
            `${columns}x${rows}: ${start}\n${lines.join("\n")}`,
          );
        };
        ending("2001:db8:1234:5678:9abc:def0:1:0/112 ", / 1,234 +45,601,234$/);
        if (rows < 24) continue;
        ending("10.1.0.0/16 ", columns < 132 ? / 東京[東京]*… +1,234 +45,601,234$/ : / 東京[東京]{20,}… +1,234 +45,601,234$/);
        ending("10.2.0.0/16 ", / lab +1,234 +45,601,234$/);
        ending("ipv6_ndisc_ns_otherhost ", / 1,234 +98,701,234( {2}A neighbor solicitation .*)?$/);
        ending("x", /^x+…? +1,234 +98,701,234$/);
        ending("0 ", /^0 +wasm +uring +1,234 +1,234 +2,468 +0$/);
      }
    });

    test("where there is no room for a column, all of it is left out", () => {
      const cells = linesOf(55, 60).filter((line) => / {2}/.test(line)).map((line) => line.trim().split(/ {2,}/));
      assert.deepEqual(
        cells.filter(([first]) => first === "QUEUE" || first === "0"),
        [["QUEUE", "RECEIVED/S", "REPLIED/S", "DROPPED/S", "RESTARTS"], ["0", "1,234", "1,234", "2,468", "0"]],
      );
      assert.deepEqual(
        cells.filter(([first]) => first === "PREFIX" || first === "10.2.0.0/16"),
        [["PREFIX", "REPLIED/S", "IN ALL"], ["10.2.0.0/16", "1,234", "45,601,234"]],
      );
      for (let columns = 8; columns < 140; columns++) {
        const numbers = linesOf(columns, 60).slice(1).flatMap((line) => line.match(/\d[\d,]*…/g) ?? []);
        assert.deepEqual(numbers.filter((number) => number.includes(",")), [], `${columns} columns`);
      }
    });

    test("where there is room, a reason has its sentence", () => {
      const shown = (columns: number) => linesOf(columns, 40).find((line) => line.startsWith("ipv6_ndisc_ns_otherhost"))
        ?? "";
      assert.ok(shown(200).endsWith(`98,701,234  ${explain("ipv6_ndisc_ns_otherhost") ?? assert.fail()}`));
      assert.ok(shown(80).endsWith("98,701,234"));
    });
  });

  test("rates, totals, queues, drops, prefixes, version and age are on it", () => {
    const shown = screen(viewOf(
      "http://x", figuresOf(text(1000), 0), figuresOf(text(3000).replaceAll(escaped, "E"), 2000),
    ), { columns: 100, rows: 30 }, 5000, false).join("\n");
    for (const expected of [
      /^pongd E {2}http:\/\/x {2,}3 s old {2}q: quit$/m, /^received +1,000 +3,000$/m,
      /^replied +1,000 +3,000$/m, /^dropped +1,000 +3,000$/m, /^overrun in the device +0 +0$/m,
      /^0 +wasm +uring +1,000 +1,000 +1,000 +0$/m, /^E +1,500 +3,000$/m, /^10\.0\.0\.0\/8 +E +1,000 +3,000$/m,
    ]) {
      assert.match(shown, expected);
    }
  });

  test("colours are for terminals that want them", () => {
    const size = { columns: 100, rows: 30 };
    assert.ok(screen(view, size, 2000, true)[0].startsWith("\x1b[1m"));
    assert.equal(
      screen(view, size, 2000, true).join("\n").replaceAll(/\x1b\[\d+m/g, ""),
      screen(view, size, 2000, false).join("\n"),
    );
  });

  test("lines have columns that stay where they are", () => {
    assert.equal(line(view, 0).length, HEADER.length);
    assert.equal(line({ ...view, trouble: "x" }, 0).length, HEADER.length);
    assert.match(line(view, 0), /^1970-01-01T00:00:00Z +1000 +1000 +1000 +0 +3000 +3000 +0 +0 +0 +0$/);
    assert.match(line({ ...view, trouble: "x" }, 0), /^1970-01-01T00:00:00Z( +-){10}$/);
  });

  test("text is measured and cut as a terminal shows it", () => {
    assert.deepEqual(["", "abc", "東京", "e\u0301"].map(widthOf), [0, 3, 4, 1]);
    assert.deepEqual(
      [fit("東京", 4), fit("東京", 3), fit("東京", 2), fit("abc", 1), fit("abc", 0)], ["東京", "東…", "…", "…", ""],
    );
  });
});

/** Runs pongd top to its end. */
async function top(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Result> {
  const child = spawn(
    process.execPath, [CLI, "top", ...args], { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } },
  );
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => { stdout += String(chunk); });
  child.stderr.on("data", (chunk) => { stderr += String(chunk); });
  const [status] = await once(child, "close") as [number | null];
  return { status, stdout, stderr };
}

async function listening(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Calls `use` with the address of a server that answers so, and closes it afterwards. */
async function withServer<T>(answer: RequestListener, use: (address: string) => Promise<T>): Promise<T> {
  const server = createServer(answer);
  try {
    return await use(await listening(server));
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const FAST = ["--interval", "0.1"];

describe("a server", () => {
  test("rates are of what is between two answers; one that begins anew has none below 0", async () => {
    const counts = [1000, 1500, 40, 90];
    const { status, stdout, stderr } = await withServer(
      (_, response) => response.end(replies(counts.shift() ?? 0)),
      (address) => top([address, ...FAST, "--count", "3", "--json"]),
    );
    assert.deepEqual([status, stderr], [0, ""]);
    const lines = stdout.trimEnd()
      .split("\n")
      .map((text) => JSON.parse(text) as { rates: { replied: number }; queues: { replied: number }[] });
    assert.deepEqual(lines.map(({ queues }) => queues[0].replied), [1500, 40, 90]);
    for (const { rates } of lines) assert.ok(rates.replied > 0);
  });

  test("plain: the header, and a line a refresh", async () => {
    const { status, stdout, stderr } = await withServer(
      (_, response) => response.end(replies(5)),
      (address) => top([`http://${address}/metrics`, ...FAST, "--count", "2"]),
    );
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, /^TIME [^\n]+\n(\S+Z +0 +0 +0 +0 +5 +0 +0 +0 +0 +0\n){2}$/);
  });

  test("nobody reads what it prints: what waits is bounded, and SIGTERM ends it", async () => {
    const longNames = Array.from(
      { length: 40 }, (_, i) => `pongd_prefix_replies_total{prefix="10.${i}.0.0/16",name="${"n".repeat(4000)}"} ${i}\n`,
    ).join("");
    let requests = 0;
    let onEnough: () => void = () => undefined;
    const enough = new Promise<void>((resolve) => { onEnough = resolve; });
    const [status, unread] = await withServer((_, response) => {
      response.end(replies(5) + longNames);
      if (++requests === 50) onEnough();
    }, async (address) => {
      const child = spawn(
        process.execPath, [CLI, "top", address, "--json", ...FAST], { stdio: ["ignore", "pipe", "inherit"] },
      );
      await enough;
      child.kill("SIGTERM");
      const [ended] = await once(child, "exit", { signal: AbortSignal.timeout(60_000) }) as [number | null];
      let bytes = 0;
      for await (const chunk of child.stdout as AsyncIterable<Buffer>) bytes += chunk.length;
      return [ended, bytes];
    });
    assert.equal(status, 0);
    assert.ok(unread > 0 && unread < 2 * MAX_WAITING, `${unread} bytes`);
  });

  test("one that goes away is waited for, in a line of its own, and found again", async () => {
    let requests = 0;
    const { status, stdout, stderr } = await withServer((request, response) => {
      requests++;
      if (requests === 2 || requests === 3) request.socket.destroy();
      else response.end(replies(requests));
    }, (address) => top([address, ...FAST, "--count", "3"]));
    assert.match(
      stderr, /^pongd: http:[^\n]*: the connection was closed before the answer's end[^\n]*; trying again\n$/,
    );
    assert.match(stdout, /^TIME .*\n\S+( +-){10}\n\S+( +-){10}\n\S+Z +\d+ .* 4 +0 +0 +0 +0 +0\n$/);
    assert.equal(status, 0);
  });

  test("where the last refresh failed the status is 1", async () => {
    let requests = 0;
    const { status } = await withServer(
      (request, response) => requests++ === 0 ? response.end(replies(1)) : request.socket.destroy(),
      (address) => top([address, ...FAST, "--count", "1"]),
    );
    assert.equal(status, 1);
  });

  test("none: one line and status 1", async () => {
    const server = createTcpServer();
    const address = await listening(server);
    server.close();
    await once(server, "close");
    assert.deepEqual(await top([address]), {
      status: 1, stdout: "",
      stderr: `pongd: http://${address}/metrics: nothing listens there; is pongd running, and with which --listen?\n`,
    });
  });

  for (const [what, answer, message] of [
    [
      "another page", (_, response) => response.end("<!doctype html>\n"),
      /line 1: expected the name of a metric, found "<!doctype html>"/,
    ],
    ["another's metrics", (_, response) => response.end("up 1\n"), /there is no pongd_build_info in it/],
    ["one that is not up", (_, response) => response.writeHead(503).end("Not Ready\n"), /503: pongd is not up yet/],
    [
      "no metrics", (_, response) => response.writeHead(404).end(),
      /404 Not Found: no metrics are there; is it a pongd\?/,
    ],
    [
      "a reference", (_, response) => response.writeHead(301, { location: "https://x/\x85" }).end(),
      /301: it refers to https:\/\/x\/\\u0085; give that address/,
    ],
    ["a body without an end", (_, response) => {
      const chunk = Buffer.alloc(1 << 20, "\n");
      const more = () => { while (!response.destroyed && response.write(chunk)); };
      response.on("drain", more);
      more();
    }, /the answer is longer than 64 MiB; is it a pongd\?/],
    ["a refusal without an end", (_, response) => {
      response.writeHead(500, "\x85");
      const more = () => { while (!response.destroyed && response.write("no\n")); };
      response.on("drain", more);
      more();
    }, /500 \\u0085: no metrics are there/],
    ["half a line", (_, response) => response.end(`${BUILD}a 1`), /line 2: it does not end/],
  ] as readonly [string, RequestListener, RegExp][]) {
    test(`${what}: one line and status 1`, async () => {
      const { status, stdout, stderr } = await withServer(answer, (address) => top([address]));
      assert.match(stderr, message);
      assert.match(stderr, /^pongd: [^\n]+\n$/);
      assert.deepEqual([status, stdout], [1, ""]);
    });
  }

  for (const [what, answer] of [
    ["begun", () => undefined],
    ["ended", (_, response) => response.write(BUILD)],
  ] as readonly [string, RequestListener][]) {
    test(`an answer that is never ${what} is waited for no longer than the timeout`, async () => {
      await withServer(answer, async (address) => {
        const scraper = new Scraper(parseMetricsAddress(address), {}, 50);
        await assert.rejects(scraper.scrape(new AbortController().signal), /\/metrics: no answer within 0\.05 s$/);
        scraper.close();
      });
    });
  }

  test("whoever wants to leave does not wait for an answer", async () => {
    const stop = new AbortController();
    await withServer(() => { stop.abort(new Error("enough")); }, async (address) => {
      const scraper = new Scraper(parseMetricsAddress(address), {});
      await assert.rejects(scraper.scrape(stop.signal), /^Error: enough$/);
      scraper.close();
    });
  });

  test("another protocol: one line and status 1", async () => {
    const server = createTcpServer((socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n"));
    const address = await listening(server);
    const { status, stderr } = await top([address]);
    server.close();
    assert.match(stderr, /: it does not speak HTTP; with TLS, write https:\/\/\n$/);
    assert.equal(status, 1);
  });

  test("TLS, where HTTP is spoken to it: one line that says to write https://", async () => {
    const folder = new Folder();
    const server = createTlsServer(certificate("IP:127.0.0.1"));
    const address = await listening(server);
    const { status, stderr } = await top([address]);
    server.close();
    await folder.remove();
    assert.match(stderr, /^pongd: [^\n]+; with TLS, write https:\/\/\n$/);
    assert.equal(status, 1);
  });

  test("100,000 prefixes are shown like one", async () => {
    const body = `${replies(1)}${Array.from({ length: 100_000 }, (_, i) => {
      return `pongd_prefix_replies_total{prefix="2001:db8:${i.toString(16)}::/48",name="customer number ${i}"} ${i}\n`;
    }).join("")}`;
    const { status, stdout } = await withServer(
      (_, response) => response.end(body), (address) => top([address, "--count", "2", "--json"]),
    );
    assert.equal(status, 0);
    const [first] = stdout.trimEnd()
      .split("\n")
      .map((text) => JSON.parse(text) as { prefixCount: number; prefixes: unknown[] });
    assert.deepEqual([first.prefixCount, first.prefixes.length], [100_000, 10]);
  });

  test("whoever reads the lines may leave: it ends", async () => {
    await withServer((_, response) => response.end(replies(1)), async (address) => {
      const child = spawn(process.execPath, [CLI, "top", address, ...FAST], { stdio: ["ignore", "pipe", "inherit"] });
      await said(child.stdout, /\n/);
      child.stdout.destroy();
      assert.deepEqual(await once(child, "exit"), [0, null]);
    });
  });
});

describe("credentials", () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-top-"));
  after(() => { rmSync(dir, { recursive: true }); });
  const file = (name: string, content = "") => {
    if (content !== "") writeFileSync(join(dir, name), content);
    return join(dir, name);
  };
  const guarded: RequestListener = ({ headers: { authorization } }, response) => {
    if (authorization === `Basic ${Buffer.from("admin:s3cret é").toString("base64")}`) response.end(replies(1));
    else response.writeHead(401, { "www-authenticate": "Basic" }).end();
  };

  for (const [what, user, args, env, expected] of [
    ["a password in a file", "admin@", ["--password-file", file("password", "s3cret é\n")], {}, 0],
    ["a password in PONGD_PASSWORD", "admin@", [], { PONGD_PASSWORD: "s3cret é" }, 0],
    ["a password in the URL", "admin:s3cret%20%C3%A9@", [], { PONGD_PASSWORD: "wrong" }, 0],
    ["a wrong password", "admin:wr0ng@", [], {}, 1],
    ["no password", "admin@", [], {}, 1],
    ["nothing", "", [], { PONGD_PASSWORD: "s3cret é" }, 1],
  ] as const) {
    test(`${what}: status ${expected}, and no password is printed`, async () => {
      const { status, stdout, stderr } = await withServer(
        guarded, (address) => top([`http://${user}${address}`, ...FAST, "--count", "1", ...args], env),
      );
      assert.equal(status, expected, stderr);
      assert.doesNotMatch(stdout + stderr, /s3cret|wr0ng/);
      assert.match(stderr, expected === 0
        ? /^$/
        : /^pongd: http:\/\/127\.0\.0\.1:\d+\/metrics: it wants another user or password; write https:\/\/USER@host:port and give --password-file FILE or PONGD_PASSWORD\n$/);
    });
  }

  test("TLS: of a private authority only with --ca; a client certificate where one is wanted", needsCommands(
    "openssl",
  ), async () => {
    const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: dir, stdio: "pipe" });
    openssl(
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out",
      "ca.pem", "-subj", "/CN=test authority",
    );
    for (const [name, subject] of [["server", "IP:127.0.0.1"], ["client", "DNS:client"]]) {
      writeFileSync(join(dir, "ext"), `subjectAltName=${subject}`);
      openssl(
        "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", `${name}.key`, "-out",
        `${name}.csr`, "-subj", `/CN=${name}`,
      );
      openssl(
        "x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext",
        "-out", `${name}.pem`,
      );
    }
    const pem = (name: string) => readFileSync(join(dir, name));
    for (const [requestCert, args, message] of [
      [false, [], /; give the certificate of its authority: --ca FILE\n$/],
      [false, ["--ca", file("ca.pem")], /^$/],
      [true, ["--ca", file("ca.pem")], /certificate required|the connection was closed/],
      [true, ["--ca", file("ca.pem"), "--cert", file("client.pem"), "--key", file("client.key")], /^$/],
    ] as const) {
      const options = {
        cert: pem("server.pem"), key: pem("server.key"), ca: pem("ca.pem"), requestCert,
        rejectUnauthorized: requestCert,
      };
      const server = createTlsServer(options, (_, response) => response.end(replies(1)));
      const address = await listening(server);
      const { stderr } = await top([`https://${address}`, ...FAST, "--count", "1", ...args]);
      assert.match(stderr, message);
      server.closeAllConnections();
      server.close();
    }
  });

  test("TLS to what speaks none: it says so", async () => {
    const { stderr } = await withServer((_, response) => response.end(), (address) => top([`https://${address}`]));
    assert.match(stderr, /: it does not speak TLS; write http:\/\/\n$/);
  });

  for (const [args, message] of [
    [["ftp://x"], /the address is no URL of a pongd; write it like http:\/\/127\.0\.0\.1:7664/],
    [["unix:pongd.sock"], /unix: wants the whole path of a socket; write it like unix:\/run\/pongd\.sock/],
    [["--interval", "0"], /seconds from 0\.1 to 3600/],
    [["--count", "0"], /1 to 999999999/],
    [["--plain", "--json"], /'--json' cannot be used with option '--plain'/],
    [["--password-file", "/no/such/file", "http://a@x"], /--password-file: ENOENT/],
    [["--password-file", CLI], /--password-file: the URL has no user/],
    [["--ca", CLI], /--ca: for TLS alone; write https:\/\/ before the host/],
    [["--ca", CLI, "--key", CLI, "https://x"], /--key needs --cert/],
    [["--ca", "/no/such/file", "https://x"], /--ca: ENOENT/],
    [["--cert", CLI, "https://x"], /--cert: .*; give files in PEM/],
    [["a", "b"], /too many arguments/],
  ] as const) {
    test(`top ${args.join(" ")}: status 2 and one line`, async () => {
      const { status, stdout, stderr } = await top(args);
      assert.match(stderr, message);
      assert.match(stderr, /^pongd: [^\n]*[^.\n]\n$/);
      assert.deepEqual([status, stdout], [2, ""]);
    });
  }
});
