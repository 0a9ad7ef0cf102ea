/** Compares two reports of the same benchmark, and tells changes from noise. */
import { EXIT, Failure } from "../base/failure.js";
import type { Environment, Report, Spread } from "./report.js";

export interface Change {
  /** Name of the figure. */
  readonly what: string;
  readonly before: number;
  readonly now: number;
  /**
   * Change in units of the noise. The noise is half of each run's spread of rounds, added as independent errors add.
   */
  readonly timesNoise: number;
}

/** A figure, and how far apart its rounds were. */
interface Figure {
  readonly median: number;
  readonly spread: number;
}

/**
 * Reads a report of the same benchmark, as `--json` writes it.
 * @throws Failure (usage) for anything else.
 */
export function parseReport(text: string, name: string, benchmark: Report["benchmark"]): Report {
  let report: Report;
  try {
    report = JSON.parse(text) as Report;
    const isFigure = ({ median, spread }: Figure) => Number.isFinite(median) && median > 0 && Number.isFinite(spread)
      && spread >= 0;
    if (![...figures(report).values()].every(isFigure)) throw new Error("a figure is missing");
    if (ENVIRONMENT.some((key) => !(key in report.environment))
      || /\p{Cc}/u.test(Object.values(report.environment).join())) throw new Error("not an environment");
  } catch {
    throw new Failure(`${name} is not a report of pongd bench; give a file that --json wrote`, EXIT.USAGE);
  }
  if (report.benchmark !== benchmark) throw new Failure(
    `${name} is a report of bench ${report.benchmark}, and cannot be compared with one of bench ${benchmark}`,
    EXIT.USAGE,
  );
  return report;
}

/** Compares the medians that both reports have. */
export function compare(before: Report, now: Report): Change[] {
  const old = figures(before);
  return [...figures(now)].flatMap(([what, { median, spread }]) => {
    const other = old.get(what);
    if (!other) return [];
    const change = Math.abs(median - other.median);
    return [{
      what, before: other.median, now: median,
      timesNoise: change === 0 ? 0 : change / (Math.hypot(other.spread, spread) / 2),
    }];
  });
}

const ENVIRONMENT = [
  "pongd", "commit", "node", "v8", "kernel", "cpu", "cores", "governor", "nodeFlags", "seed",
] as const;

/** Returns what else differs between the two runs. */
export function differences(before: Environment, now: Environment): string[] {
  return ENVIRONMENT.filter((key) => String(before[key]) !== String(now[key]))
    .map((key) => `${key}: ${String(before[key])} → ${String(now[key])}`);
}

/** Returns a report's figures by name: times, and ratios, which stay the same on a machine that is slower today. */
function figures(report: Report): Map<string, Figure> {
  switch (report.benchmark) {
    case "engine": return new Map(report.results.flatMap((
      { engine, packetBytes, batch, nsPerPacket, ratioToJs, ratioToJsInterval },
    ): [string, Figure][] => {
      const what = `${engine}, ${packetBytes} bytes, batches of `
        + `${batch}${report.prefixes > 1 ? `, ${report.prefixes} prefixes` : ""}`;
      const ratio = engine === "js" ? [] : ratioOf(`${what}, × js`, ratioToJs, ratioToJsInterval);
      return [[`${what}, ns/packet`, rounds(nsPerPacket)], ...ratio];
    }));
    case "tun": return new Map(report.results.map(({ engine, io, packetBytes, repliesPerSecond }) => [
      `${engine}, ${io}, ${packetBytes} bytes, replies/s`, rounds(repliesPerSecond),
    ]));
    case "http": return new Map(report.results.flatMap((
      { test, server, client, perSecond, ratioToKernel, ratioToKernelInterval },
    ): [string, Figure][] => {
      const what = `${test}, ${server}${client === "wrk" ? ", by wrk" : ""}`;
      const ratio = server === "kernel" ? [] : ratioOf(`${what}, × kernel`, ratioToKernel, ratioToKernelInterval);
      return [[`${what}, ${test === "bulk" ? "bytes" : "requests"}/s`, rounds(perSecond)], ...ratio];
    }));
  }
}

function rounds({ median, min, p95 }: Spread): Figure {
  return { median, spread: p95 - min };
}

function ratioOf(
  what: string, median: number | null, interval: readonly [low: number, high: number] | null,
): [string, Figure][] {
  return median === null || interval === null ? [] : [[what, { median, spread: 2 * (interval[1] - interval[0]) }]];
}
