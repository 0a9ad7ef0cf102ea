/** Renders a report for people: the answer in a sentence, then the figures behind it. */
import { styleText } from "node:util";
import type { Change } from "./compare.js";
import {
  HTTP_TESTS, isToldApart, resultsOfOneBatch, type EngineReport, type EngineResult, type Environment, type HttpReport,
  type HttpResult, type HttpTest, type Latency, type Report, type TunReport, type TunResult,
} from "./report.js";

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

type Cell = string | undefined;

/** Returns the report's answer, in a sentence or two. */
export function headline(report: Report): string {
  switch (report.benchmark) {
    case "engine": return engineHeadline(report);
    case "tun": return tunHeadline(report);
    case "http": return httpHeadline(report);
  }
}

function sectionsOf(report: Report): Section[] {
  switch (report.benchmark) {
    case "engine": return engineSections(report);
    case "tun": return tunSections(report);
    case "http": return httpSections(report);
  }
}

/** Renders the report. `colour`: whether to use a terminal's escapes. */
export function renderText(report: Report, colour: boolean): string {
  const bold = (text: string) => colour ? styleText("bold", text, { validateStream: false }) : text;
  const dim = (text: string) => colour ? styleText("dim", text, { validateStream: false }) : text;
  const sender = report.benchmark === "http" ? "client" : "sender";
  return [
    bold(headline(report)),
    ...report.complete ? [] : ["Interrupted: this is what had been measured."],
    ...report.benchmark !== "engine" && report.environment.cores < 2
      ? [`There is one CPU, and the ${sender} takes its share of it: compare with runs on one CPU alone.`]
      : [],
    ...sectionsOf(report).flatMap(({ title, rows }) => rows.length > 1
      ? ["", title, ...table(rows).map((line, i) => i === 0 ? dim(line) : line)]
      : []),
    "",
    ...describe(report.environment).map(dim),
    "",
  ].join("\n");
}

/** Renders the changes since another report that are beyond the noise of both. */
export function renderChanges(changes: readonly Change[], differences: readonly string[]): string {
  const beyond = changes.filter(({ timesNoise }) => timesNoise > 1);
  const rows: Cell[][] = [["", "before", "now", "change", "× the noise"], ...beyond.map((
    { what, before, now, timesNoise },
  ) => [what, figure(before), figure(now), percent(now / before - 1), figure(timesNoise)])];
  return [
    changes.length === 0
      ? "Nothing in the two reports can be compared."
      : `${beyond.length} of ${changes.length} figures changed by more than the noise.`,
    ...beyond.length > 0 ? ["", ...table(rows)] : [],
    ...differences.length > 0
      ? ["", "The runs differ in more than that:", ...differences.map((difference) => `  ${difference}`)]
      : [],
    "",
  ].join("\n");
}

function engineHeadline({ prefixes, results, cold }: EngineReport): string {
  const shown = resultsOfOneBatch(results);
  const only = shown.at(0);
  if (!only) return "Nothing was measured.";
  const spread = prefixes > 1 ? `, spread over ${WHOLE.format(prefixes)} prefixes` : "";
  const batch = results.some(({ batch }) => batch !== only.batch) ? ` (batches of ${only.batch})` : "";
  const wasm = shown.filter(({ engine, ratioToJs }) => engine === "wasm" && ratioToJs !== null);
  if (wasm.length === 0) return `${only.engine} answers ${only.packetBytes}-byte pings in `
    + `${figure(only.nsPerPacket.median)} ns each${batch}${spread}.`;
  const small = wasm.find(({ packetBytes }) => packetBytes === 84) ?? wasm[0];
  const large = wasm.find(({ packetBytes }) => packetBytes === 1500) ?? wasm[wasm.length - 1];
  const sentence = `${comparison([...new Set([small, large])])}${batch}${spread}.`;

  const starts = cold.filter(({ engine }) => engine === "js" || engine === "wasm")
    .toSorted((a, b) => a.totalMs - b.totalMs);
  if (starts.length < 2) return sentence;
  const [first, second] = starts;
  return `${sentence} From a cold start, ${nameOf(first.engine)} has answered its first packet after `
    + `${figure(first.totalMs)} ms, ${nameOf(second.engine)} after ${figure(second.totalMs)} ms.`;
}

/** Compares WebAssembly with JavaScript, from the results of WebAssembly. */
function comparison(results: readonly EngineResult[]): string {
  const told = results.filter(({ ratioToJsInterval }) => isToldApart(ratioToJsInterval));
  const alike = results.filter((result) => !told.includes(result))
    .map(({ packetBytes }) => `${packetBytes}-byte`)
    .join(" and ");
  if (told.length === 0) return `WebAssembly and JavaScript are not told apart by ${alike} pings`;
  const [first, ...others] = told;
  const wins = (first.ratioToJs ?? 1) >= 1;
  const [winner, other] = wins ? ["WebAssembly", "JavaScript"] : ["JavaScript", "WebAssembly"];
  const lead = ({ ratioToJs }: EngineResult) => times(wins ? ratioToJs ?? 1 : 1 / (ratioToJs ?? 1));
  return [
    `${winner} answers ${first.packetBytes}-byte pings ${lead(first)} as fast as ${other}`,
    ...others.map((result) => `, and ${result.packetBytes}-byte ones ${lead(result)}`),
    ...alike === "" ? [] : [`; by ${alike} ones the two are not told apart`],
  ].join("");
}

function tunHeadline({ results }: TunReport): string {
  const best = results.at(0);
  if (!best) return "Nothing was measured.";
  const { engine, io, packetBytes, repliesPerSecond: { median } } = best;
  const [otherIo, otherEngine] = [
    io === "uring" ? "readwrite" : "uring", engine === "wasm" ? "JavaScript" : "WebAssembly",
  ];
  const rivals = [
    {
      name: otherIo, as: `with ${otherIo}`, result: results.find((other) => other.engine === engine && other.io !== io),
    },
    { name: otherEngine, as: otherEngine, result: results.find((other) => other.engine !== engine && other.io === io) },
  ].flatMap(({ result, ...rival }) => result?.ratioToFirst && result.ratioToFirstInterval
    ? [{ ...rival, ratio: result.ratioToFirst, interval: result.ratioToFirstInterval }]
    : []);
  const told = rivals.filter(({ interval }) => isToldApart(interval));
  const alike = rivals.filter((rival) => !told.includes(rival)).map(({ name }) => name).join(" nor ");
  const others = told.map(({ as, ratio }) => `${(1 / ratio).toFixed(2)} × as many as ${as}`).join(" and ");
  const answer = `Through a TUN device, ${nameOf(engine)} with ${io} answers ${WHOLE.format(median)} `
    + `${packetBytes}-byte pings a second`;
  const idle = best.idle ? [`A ping to an idle one is back after ${figure(best.idle.p50Us)} µs.`] : [];
  return [
    `${answer}${others === "" ? "" : `, ${others}`}${alike === "" ? "" : `; it is not told apart from ${alike}`}.`,
    ...idle,
  ].join(" ");
}

/** What a server does in a test: more of something than another. */
const DOES: Readonly<Record<HttpTest, readonly [verb: string, many: string]>> = {
  keepalive: ["serves", "as many requests a second"],
  lone: ["answers", "as many requests one after the other"],
  connect: ["takes", "as many connections a second"],
  bulk: ["sends", "as many bytes a second"],
};

function httpHeadline({ results }: HttpReport): string {
  const first = results.at(0);
  if (!first) return "Nothing was measured.";
  const compared = results.filter(({ server, ratioToKernel }) => server === "pongd" && ratioToKernel !== null);
  if (compared.length === 0) {
    return `${first.server} serves ${WHOLE.format(first.perSecond.median)} requests a second (${first.test}).`;
  }
  const told = compared.filter(({ ratioToKernelInterval }) => isToldApart(ratioToKernelInterval));
  const alike = compared.filter((result) => !told.includes(result)).map(({ test }) => test).join(" and ");
  if (told.length === 0) {
    return `Under the same http.Server, pongd and the kernel's sockets are not told apart by ${alike}.`;
  }
  const than = " as the kernel's sockets under the same http.Server";
  const parts = told.map(({ test, ratioToKernel }, i) => {
    const [verb, many] = DOES[test];
    return `${verb} ${(ratioToKernel ?? 1).toFixed(2)} times ${many}${i === 0 ? than : ""}`;
  });
  const list = parts.length > 1 ? `${parts.slice(0, -1).join(", ")} and ${parts[parts.length - 1]}` : parts[0];
  return `pongd ${list}${alike === "" ? "" : `; by ${alike} the two are not told apart`}.`;
}

interface Section {
  readonly title: string;
  /** Rows of the table; the first is the head. */
  readonly rows: Cell[][];
}

function engineSections({ prefixes, results, cold }: EngineReport): Section[] {
  const head = ["bytes", "batch", "engine", "ns/packet", "min", "p95", "packets/s", "GB/s", "× js", "95 %"];
  const row = (result: EngineResult, i: number): Cell[] => {
    const {
      engine, packetBytes, batch, nsPerPacket, packetsPerSecond, bytesPerSecond, ratioToJs, ratioToJsInterval,
    } = result;
    const repeats = results.at(i - 1)?.packetBytes === packetBytes && results.at(i - 1)?.batch === batch && i > 0;
    return [
      repeats ? "" : String(packetBytes), repeats ? "" : String(batch), engine,
      figure(nsPerPacket.median), figure(nsPerPacket.min), figure(nsPerPacket.p95), millions(packetsPerSecond), figure(
        bytesPerSecond / 1e9,
      ),
      ratioToJs === null ? "" : ratioToJs.toFixed(2), ratioToJsInterval?.map((bound) => bound.toFixed(2)).join("–"),
    ];
  };
  return [
    { title: `Warm: packets in memory${prefixes > 1 ? `, to ${WHOLE.format(prefixes)} prefixes` : ""}, medians of `
      + "rounds in which the engines take turns", rows: [head, ...results.map(row)] },
    {
      title: "Cold: from a process that has loaded nothing to its first packet answered, ms",
      rows: [["engine", "load", "compile", "instantiate", "first packet", "total"], ...cold.map((
        { engine, loadMs, compileMs, instantiateMs, firstPacketMs, totalMs },
      ) => [engine, ...[loadMs, compileMs, instantiateMs, firstPacketMs, totalMs].map(figure)])],
    },
  ];
}

function tunSections({ results }: TunReport): Section[] {
  const latencies = (of: (result: TunResult) => Latency | null): Cell[][] => results.flatMap((result) => {
    const latency = of(result);
    if (!latency) return [];
    const { packetsPerSecond, p50Us, p90Us, p99Us, p999Us, maxUs, count, lost } = latency;
    return [[
      result.engine, result.io, WHOLE.format(packetsPerSecond), ...[p50Us, p90Us, p99Us, p999Us, maxUs].map(figure),
      WHOLE.format(count), String(lost),
    ]];
  });
  const head = ["engine", "io", "load/s", "p50", "p90", "p99", "p99.9", "max", "pings", "lost"];
  return [
    {
      title: "As many packets as the device takes",
      rows: [
        ["engine", "io", "bytes", "replies/s", "min", "max", "× first", "CPU ns/packet", "syscalls/packet"],
        ...results.map(({
          engine, io, packetBytes, repliesPerSecond: { median, min, max }, ratioToFirst, cpuNsPerPacket,
          systemCallsPerPacket,
        }) => [
          engine, io, String(packetBytes), ...[median, min, max].map((value) => WHOLE.format(value)),
          ratioToFirst?.toFixed(2),
          WHOLE.format(cpuNsPerPacket), systemCallsPerPacket.toFixed(3),
        ]),
      ],
    },
    { title: "Round trips when idle, µs", rows: [head, ...latencies(({ idle }) => idle)] },
    { title: "Round trips at half of that load, µs", rows: [head, ...latencies(({ halfLoad }) => halfLoad)] },
  ];
}

/** What each test of `bench http` is, for a title. */
export const HTTP_TITLES: Readonly<Record<HttpTest, string>> = {
  keepalive: "keepalive: 64 connections, each with one request after the other",
  lone: "lone: one connection, one request after the other",
  connect: "connect: a connection for each request, 64 at a time, to 60,000 addresses",
  bulk: "bulk: one long response",
};

function httpSections({ results }: HttpReport): Section[] {
  return HTTP_TESTS.map((test) => {
    const shown = results.filter((result) => result.test === test);
    const one = test === "bulk" ? "MiB" : test === "connect" ? "connection" : "request";
    const many = test === "bulk" ? "MB/s" : `${one}s/s`;
    const latencies = test === "bulk" ? [] : ["p50 µs", "p99 µs"];
    const client = shown.at(0)?.client === "wrk" ? "wrk" : "a client of pongd's own";
    return {
      title: `${HTTP_TITLES[test]} (measured by ${client})`,
      rows: [
        ["server", many, "min", "max", "× kernel", "95 %", `CPU µs/${one}`, ...latencies],
        ...shown.map(httpRow),
      ],
    };
  });
}

function httpRow(
  { test, server, perSecond, ratioToKernel, ratioToKernelInterval, cpuUs, p50Us, p99Us }: HttpResult,
): Cell[] {
  const { median, min, max } = perSecond;
  const unit = test === "bulk" ? 1e6 : 1;
  return [
    server, ...[median, min, max].map((value) => WHOLE.format(value / unit)), ratioToKernel?.toFixed(2),
    ratioToKernelInterval?.map((bound) => bound.toFixed(2)).join("–"), figure(cpuUs),
    ...test === "bulk" ? [] : [p50Us, p99Us].map((value) => value === null ? "" : figure(value)),
  ];
}

function describe(
  { date, pongd, commit, node, v8, kernel, cpu, cores, governor, arguments: args, nodeFlags, seed }: Environment,
): string[] {
  return [
    `pongd ${pongd}${commit ? ` (${commit})` : ""} · ${args.join(" ")} · seed ${seed} · ${date}`,
    `Node.js ${node}${nodeFlags.length > 0 ? ` ${nodeFlags.join(" ")}` : ""} · V8 ${v8} · Linux ${kernel} · ${cpu}, `
    + `${cores} CPU${cores === 1 ? "" : "s"}${governor ? `, governor ${governor}` : ""}`,
  ];
}

/** Lays out columns as wide as they need to be; those of figures are aligned right. */
function table(rows: readonly Cell[][]): string[] {
  const columns = rows[0].map((_, c) => ({
    width: Math.max(...rows.map((row) => row[c]?.length ?? 0)),
    right: rows.slice(1).every((row) => /^[+−]?[\d.,–]*( M)?( %)?$/.test(row[c] ?? "")),
  }));
  return rows.map((row) => columns.map(
    ({ width, right }, c) => right ? (row[c] ?? "").padStart(width) : (row[c] ?? "").padEnd(width),
  ).join("  ").trimEnd());
}

function nameOf(engine: string): string {
  return engine.startsWith("wasm") ? "WebAssembly" : "JavaScript";
}

function times(ratio: number): string {
  return `${ratio.toFixed(1)} ×`;
}

function millions(value: number): string {
  return `${figure(value / 1e6)} M`;
}

function percent(change: number): string {
  return `${change < 0 ? "−" : "+"}${figure(Math.abs(change) * 100)} %`;
}

/** Formats a number with three significant digits. */
function figure(value: number): string {
  return value >= 1000
    ? WHOLE.format(value)
    : value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(Math.max(value, 0.01)))));
}
