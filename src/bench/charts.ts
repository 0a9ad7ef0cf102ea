/** Prepares a report's charts: series, axes, ticks and texts, ready to be drawn. */
import { ENGINE_NAMES } from "../engine/contract.js";
import { IO_NAMES } from "../io/contract.js";
import { number, si } from "../telemetry/numbers.js";
import {
  BENCH_ENGINES, HTTP_SERVERS, HTTP_TESTS, resultsOfOneBatch, type EngineReport, type EngineResult, type HttpReport,
  type HttpTest, type Latency, type Report, type TunReport, type TunResult,
} from "./report.js";

/**
 * Look of a series. Colour, dashes and point each tell it from the others, so that people who see no colours can read
 * the chart, too. `colour` is a custom property of the style sheet.
 */
export interface Look {
  readonly colour: string;
  readonly dash: number[];
  /** Point, as an SVG path around (0, 0). */
  readonly shape: string;
}

export interface Point {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly text: string;
}

export interface Series {
  readonly label: string;
  readonly look: Look;
  /** Points, one for each of the chart's `xs`; null where nothing was measured. */
  readonly points: readonly (Point | null)[];
}

export interface Axis {
  readonly log: boolean;
  readonly range: [min: number, max: number];
  readonly ticks: number[];
  readonly labels: readonly string[];
}

export interface ChartData {
  readonly title: string;
  readonly bars: boolean;
  /** True if points have bounds. Each series is then drawn a little beside the others, and so are its error bars. */
  readonly bounded: boolean;
  readonly xs: number[];
  /** Texts of the `xs`, for the legend. */
  readonly xTexts: readonly string[];
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

const LOOKS: readonly Look[] = [
  { colour: "--series-0", dash: [], shape: "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z" },
  { colour: "--series-1", dash: [8, 4], shape: "M-4-4h8v8h-8z" },
  { colour: "--series-2", dash: [2, 3], shape: "M0-5.5L5.5 0L0 5.5L-5.5 0z" },
  { colour: "--series-3", dash: [8, 3, 2, 3], shape: "M0-5L5.5 4.5h-11z" },
];

const TUN_SERIES = ENGINE_NAMES.flatMap((engine) => IO_NAMES.map((io) => `${engine} ${io}`));

export function chartsOf(report: Report): ChartData[] {
  switch (report.benchmark) {
    case "engine": return engineCharts(report);
    case "tun": return tunCharts(report);
    case "http": return httpCharts(report);
  }
}

function engineCharts({ prefixes, results }: EngineReport): ChartData[] {
  const shown = resultsOfOneBatch(results);
  if (shown.length === 0) return [];
  const perSecond = (
    title: string, format: (value: number) => string, factor: (result: EngineResult) => number,
  ) => sizeChart(title, shown, logAxis, format, (result) => {
    const { median, low, high } = result.nsPerPacket;
    const [value, least, most] = [median, high, low].map((ns) => factor(result) * 1e9 / ns);
    return { value, low: least, high: most, text: format(value) };
  });
  const of = "by packet size in bytes, batches of "
    + `${number(shown[0].batch)}${prefixes > 1 ? `, ${number(prefixes, 6)} prefixes` : ""}`;
  return [
    perSecond(`Packets per second ${of}`, si, () => 1),
    perSecond(`GB/s ${of}`, number, ({ packetBytes }) => packetBytes / 1e9),
    ...shown.some(({ ratioToJs }) => ratioToJs !== null)
      ? [sizeChart(`Times as fast as js ${of}`, shown, linearAxis, number, ratioPoint)]
      : [],
  ];
}

function ratioPoint({ ratioToJs, ratioToJsInterval }: EngineResult): Point | null {
  if (ratioToJs === null) return null;
  const [low, high] = ratioToJsInterval ?? [ratioToJs, ratioToJs];
  return { value: ratioToJs, low, high, text: number(ratioToJs) };
}

function sizeChart(
  title: string, results: readonly EngineResult[], axis: typeof logAxis, format: (value: number) => string,
  point: (result: EngineResult) => Point | null,
): ChartData {
  const xs = distinct(results.map(({ packetBytes }) => packetBytes)).toSorted((a, b) => a - b);
  const xTexts = xs.map((bytes) => `${number(bytes, 5)} bytes`);
  const series = BENCH_ENGINES.map((engine, i) => ({
    label: engine,
    look: LOOKS[i],
    points: xs.map((bytes) => {
      const result = results.find((one) => one.engine === engine && one.packetBytes === bytes);
      return result === undefined ? null : point(result);
    }),
  })).filter(({ points }) => points.some((point) => point !== null));
  const x = { log: true, range: around(xs), ticks: xs, labels: xs.map((bytes) => number(bytes, 5)) };
  return { title, bars: false, bounded: true, xs, xTexts, x, y: axis(extent(series), format), series };
}

function tunCharts({ results }: TunReport): ChartData[] {
  return distinct(results.map(({ packetBytes }) => packetBytes)).flatMap((bytes) => {
    const shown = results.filter(({ packetBytes }) => packetBytes === bytes);
    const of = `packets of ${number(bytes, 5)} bytes`;
    return [
      repliesChart(`Replies per second, ${of}`, shown),
      ...latencyChart(`Round trip in microseconds by percentile, idle, ${of}`, shown, ({ idle }) => idle),
      ...latencyChart(
        `Round trip in microseconds by percentile, at half load, ${of}`, shown, ({ halfLoad }) => halfLoad,
      ),
    ];
  });
}

function repliesChart(title: string, results: readonly TunResult[]): ChartData {
  const xs = results.map((_, i) => i);
  const series = results.map((result, i) => {
    const { median, low, high } = result.repliesPerSecond;
    return tunSeries(result, xs.map((x) => x === i ? { value: median, low, high, text: si(median) } : null));
  });
  return barChart(title, results.map(({ engine, io }) => `${engine}\n${io}`), series);
}

/** Titles of charts. */
const HTTP_CHARTS: Readonly<Record<HttpTest, string>> = {
  keepalive: "Requests per second on 64 connections",
  lone: "Requests per second, one after the other",
  connect: "Connections per second, each with a request",
  bulk: "Bytes per second of a long response",
};

function httpCharts({ results }: HttpReport): ChartData[] {
  return HTTP_TESTS.flatMap((test) => {
    const shown = results.filter((result) => result.test === test);
    if (shown.length === 0) return [];
    const xs = shown.map((_, i) => i);
    const series = shown.map(({ server, perSecond: { median, low, high } }, i): Series => ({
      label: server,
      look: LOOKS[HTTP_SERVERS.indexOf(server)],
      points: xs.map((x) => x === i ? { value: median, low, high, text: si(median) } : null),
    }));
    return [barChart(HTTP_CHARTS[test], shown.map(({ server }) => server), series)];
  });
}

function barChart(title: string, labels: readonly string[], series: readonly Series[]): ChartData {
  const xs = labels.map((_, i) => i);
  const x = { log: false, range: [-0.5, xs.length - 0.5] satisfies [number, number], ticks: xs, labels };
  return { title, bars: true, bounded: true, xs, xTexts: [], x, y: linearAxis(extent(series), si), series };
}

/**
 * Makes a chart of latencies, or none if there are no pings. Every x is one over the share of pings that took longer:
 * 10 is the 90th percentile, 100 the 99th.
 */
function latencyChart(
  title: string, results: readonly TunResult[], of: (result: TunResult) => Latency | null,
): ChartData[] {
  const measured = results.flatMap((result) => {
    const pings = of(result)?.histogram ?? [];
    const count = total(pings);
    return count > 1 ? [{ result, pings, count }] : [];
  });
  if (measured.length === 0) return [];
  const xs = steps(2, Math.max(2, ...measured.map(({ count }) => count)), [1, 2, 5]);
  const series = measured.map(({ result, pings, count }) => tunSeries(result, xs.map((x) => {
    // Fewer than x pings say nothing about one in x.
    if (x > count) return null;
    const value = longest(pings, count, x);
    return { value, low: value, high: value, text: number(value) };
  })));
  const ticks = xs.filter((x) => x === 2 || Number.isInteger(Math.log10(x)));
  const x = { log: true, range: around(xs), ticks, labels: ticks.map(percent) };
  return [
    { title, bars: false, bounded: false, xs, xTexts: xs.map(percent), x, y: logAxis(extent(series), number), series },
  ];
}

/** Returns a time that all but one in `x` of `count` pings stay within. */
function longest(pings: Latency["histogram"], count: number, x: number): number {
  let left = Math.ceil(count - count / x);
  return (pings.find(([, some]) => (left -= some) <= 0) ?? pings[pings.length - 1])[0];
}

function total(pings: Latency["histogram"]): number {
  return pings.reduce((sum, [, count]) => sum + count, 0);
}

function tunSeries({ engine, io }: TunResult, points: Series["points"]): Series {
  const label = `${engine} ${io}`;
  return { label, look: LOOKS[TUN_SERIES.indexOf(label)], points };
}

/** Returns the least and the greatest value that a chart shows. */
function extent(series: readonly Series[]): [number, number] {
  const points = series.flatMap((one) => one.points).filter((point) => point !== null);
  return [Math.min(...points.map(({ low }) => low)), Math.max(...points.map(({ high }) => high))];
}

function around(xs: readonly number[]): [number, number] {
  return [xs[0] / 1.2, xs[xs.length - 1] * 1.2];
}

function logAxis([least, greatest]: [number, number], format: (value: number) => string): Axis {
  const all = steps(least / 10, greatest * 10, [1, 2, 5]);
  const range: [number, number] = [
    all.findLast((step) => step < least) ?? least, all.find((step) => step > greatest) ?? greatest,
  ];
  const fine = steps(...range, [1, 2, 5]);
  const ticks = fine.length > 8 ? steps(...range, [1]) : fine;
  return { log: true, range, ticks, labels: ticks.map((tick) => format(tick)) };
}

/** Makes an axis that begins at 0. */
function linearAxis([, most]: [number, number], format: (value: number) => string): Axis {
  const greatest = most > 0 ? most : 1;
  const step = steps(greatest / 6, greatest, [1, 2, 5])[0];
  // The factor leaves room for a text above the tallest bar.
  const ticks = Array.from({ length: Math.ceil(greatest * 1.1 / step) + 1 }, (_, i) => i * step);
  return { log: false, range: [0, ticks[ticks.length - 1]], ticks, labels: ticks.map((tick) => format(tick)) };
}

/** Returns the multiples of powers of ten from `low` to `high`. */
function steps(low: number, high: number, multiples: readonly number[]): number[] {
  const first = Math.floor(Math.log10(low));
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - first + 1 }, (_, i) => first + i);
  return powers.flatMap((power) => multiples.map((multiple) => Number(`${multiple}e${power}`)))
    .filter((step) => step >= low && step <= high);
}

function distinct(values: readonly number[]): number[] {
  return [...new Set(values)];
}

/** Formats the percentile that one in `x` is beyond. */
function percent(x: number): string {
  return `${number(100 - 100 / x, 12)}\u00a0%`;
}
