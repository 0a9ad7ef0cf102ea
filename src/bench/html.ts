/**
 * Renders a report of `pongd bench` as one self-contained HTML page. uPlot, the data and the code that draws are
 * inside, and the page's Content-Security-Policy lets nothing else in.
 */
import { createHash } from "node:crypto";
import { number, si } from "../telemetry/numbers.js";
import { STYLE } from "../web/style.js";
import { uplotScript, uplotStyle } from "../web/uplot.js";
import { chartsOf, type ChartData, type Series } from "./charts.js";
import { draw } from "./draw.js";
import type { EngineReport, Environment, HttpReport, Report, TunReport } from "./report.js";
import { HTTP_TITLES } from "./text.js";

/** Renders the page. `headline`: the answer, in a sentence. */
export function renderHtml(report: Report, headline: string): string {
  const charts = chartsOf(report);
  const title = escape(`pongd bench ${report.benchmark}, ${report.environment.date.slice(0, 10)}`);
  const script = `${uplotScript()}\n(${draw.toString()})(uPlot, `
    + `JSON.parse(document.getElementById("charts").textContent));\n`;
  const hash = createHash("sha256").update(script).digest("base64");
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash}'; `
    + "base-uri 'none'; form-action 'none'";
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${uplotStyle()}${STYLE}${CHARTS}</style>
</head>
<body>
<header>
<p>${title}</p>
<h1>${escape(headline)}</h1>
${report.complete ? "" : "<p>It was interrupted: this is what had been measured by then.</p>"}
</header>
<main>
<div class="charts">${charts.map(figure).join("")}</div>
${tablesOf(report)}
<h2>Environment</h2>
${definitions(report.environment)}
</main>
<script type="application/json" id="charts">${JSON.stringify(charts).replaceAll("<", "\\u003c")}</script>
<script>${script}</script>
</body>
</html>
`;
}

function tablesOf(report: Report): string {
  switch (report.benchmark) {
    case "engine": return engineTables(report);
    case "tun": return tunTables(report);
    case "http": return httpTables(report);
  }
}

function engineTables({ prefixes, results, cold }: EngineReport): string {
  return table("Results", `Packets to ${prefixes === 1 ? "one prefix" : `${number(prefixes, 6)} prefixes`}. Medians `
    + "of the rounds, in brackets their bounds with 95 % confidence. An engine is not told apart from js where the "
    + "bounds of their ratio enclose 1.", 1,
  [
    "engine", "packet, bytes", "batch", "ns per packet", "least", "most", "95th percentile", "packets per second",
    "GB/s", "times as fast as js",
  ],
  results.map((
    { engine, packetBytes, batch, nsPerPacket: ns, packetsPerSecond, bytesPerSecond, ratioToJs, ratioToJsInterval },
  ) => [
    engine, number(packetBytes, 5), number(batch, 5), within(ns.median, [ns.low, ns.high]), ns.min, ns.max, ns.p95,
    si(packetsPerSecond), bytesPerSecond / 1e9, within(ratioToJs, ratioToJsInterval),
  ])) + table("Cold costs", "Milliseconds in a fresh process, from nothing loaded to the first packet answered: "
  + "medians.", 1,
  ["engine", "load", "compile", "instantiate", "first packet", "total"],
  cold.map((
    { engine, loadMs, compileMs, instantiateMs, firstPacketMs, totalMs },
  ) => [engine, loadMs, compileMs, instantiateMs, firstPacketMs, totalMs]));
}

function tunTables({ results }: TunReport): string {
  return table("Results", "Offered as much as the device takes. Medians of the rounds, in brackets their bounds with "
    + "95 % confidence.", 2,
  [
    "engine", "io", "packet, bytes", "replies per second", "least", "most", "95th percentile", "CPU ns per packet",
    "system calls per packet",
  ],
  results.map(({ engine, io, packetBytes, repliesPerSecond: rate, cpuNsPerPacket, systemCallsPerPacket }) => [
    engine, io, number(packetBytes, 5), within(rate.median, [rate.low, rate.high]), rate.min, rate.max, rate.p95,
    cpuNsPerPacket, systemCallsPerPacket,
  ])) + table("Latency", "Microseconds from sending a ping to receiving its reply.", 2,
    [
      "engine", "io", "packet, bytes", "other packets per second", "pings", "lost", "50 %", "90 %", "99 %", "99.9 %",
      "longest",
    ],
    results.flatMap(({ engine, io, packetBytes, idle, halfLoad }) => [idle, halfLoad]
      .filter((latency) => latency !== null)
      .map((latency) => [
        engine, io, number(packetBytes, 5),
        latency.packetsPerSecond, number(latency.count, 12), number(latency.lost, 12),
        latency.p50Us, latency.p90Us, latency.p99Us, latency.p999Us, latency.maxUs,
      ])));
}

function httpTables({ results }: HttpReport): string {
  return table("Results", `${Object.values(HTTP_TITLES).join("; ")}. Medians of the rounds, in brackets their bounds `
    + "with 95 % confidence. The CPU time is the server's, for each request; for bulk it is for each MiB.", 3,
  [
    "test", "server", "client", "requests, or bytes, per second", "least", "most", "95th percentile",
    "times the kernel's", "CPU µs", "50 %, µs", "99 %, µs",
  ],
  results.map((
    { test, server, client, perSecond: rate, ratioToKernel, ratioToKernelInterval, cpuUs, p50Us, p99Us },
  ) => [
    test, server, client === "wrk" ? "wrk" : "pongd's own", `${si(rate.median)} (${si(rate.low)}–${si(rate.high)})`,
    si(rate.min), si(rate.max), si(rate.p95), within(ratioToKernel, ratioToKernelInterval), cpuUs, p50Us, p99Us,
  ]));
}

function within(value: number | null, bounds: readonly [number, number] | null): string | null {
  return value === null
    ? null
    : `${number(value)}${bounds === null ? "" : ` (${bounds.map((bound) => number(bound)).join("–")})`}`;
}

/** Renders a table whose first `names` columns are text; returns "" if it has no rows. */
function table(
  title: string, note: string, names: number, headings: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
): string {
  if (rows.length === 0) return "";
  const cell = (value: string | number | null, i: number) => {
    const text = escape(typeof value === "number" ? number(value) : value ?? "–");
    return i < names ? `<th scope="row">${text}</th>` : `<td>${text}</td>`;
  };
  const head = headings.map(
    (heading, i) => `<th scope="col"${i < names ? ` class="name"` : ""}>${escape(heading)}</th>`,
  );
  return `<h2>${title}</h2>
<p>${note}</p>
<div class="scroll" role="region" aria-label="${title}" tabindex="0"><table>
<thead><tr>${head.join("")}</tr></thead>
<tbody>${rows.map((row) => `<tr>${row.map(cell).join("")}</tr>`).join("\n")}</tbody>
</table></div>
`;
}

function definitions(environment: Environment): string {
  const rows = Object.entries(environment)
    .map(([name, value]: [string, string | number | readonly string[] | null]) => {
      const text = typeof value === "object" ? value?.join(" ") ?? "" : String(value);
      // nodeFlags becomes "node flags".
      return `<dt>${name.replace(
        /[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`,
      )}</dt><dd>${escape(text === "" ? "–" : text)}</dd>`;
    });
  return `<dl>${rows.join("\n")}</dl>`;
}

function figure({ title, bars, bounded, series }: ChartData): string {
  const entry = (
    { label, look: { colour, dash, shape } }: Series,
  ) => `<li><svg viewBox="-16 -7 32 14" width="32" height="14" aria-hidden="true" style="color: var(${colour})">`
    + `<path d="M-16 0h32" stroke="currentColor" stroke-width="2" stroke-dasharray="${dash.join(" ")}"/><path `
    + `d="${shape}" fill="currentColor"/></svg>`
    + `${escape(label)} <span class="reading"></span></li>`;
  return `<figure>
<figcaption>${escape(title)}</figcaption>
<div class="plot" role="img" aria-label="${escape(title)}: ${escape(
  series.map(({ label }) => label).join(", "),
)}. The tables below have the numbers."></div>
${bars ? "" : `<ul class="legend">${series.map(entry).join("")}<li class="reading"></li></ul>`}
${bounded ? `<p class="bounds">Error bars: bounds of the medians with 95 % confidence.</p>` : ""}
</figure>
`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const CHARTS = `
.plot { height: 18rem; }
.legend {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr));
  gap: 0.1rem 0.5rem; margin: 0.25rem 0 0; padding: 0; list-style: none; font-size: 0.8125rem;
}
.legend li { min-height: 1.5em; }
.legend svg { margin-right: 0.25rem; vertical-align: middle; fill: none; }
.legend .reading { font-weight: 600; }
.bounds { margin: 0.25rem 0 0; font-size: 0.8125rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1rem; margin: 0; }
dt { color: var(--dim); }
`;
