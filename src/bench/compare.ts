/** Two reports of the same benchmark, and what of their difference is more than noise. */
import { EXIT, Failure } from "../failure.js";
import type { Environment, Report, Spread } from "./report.js";

export interface Change {
  /** Which figure. */
  readonly what: string;
  readonly before: number;
  readonly now: number;
  /** The change in units of the noise: half the 95 % intervals of both medians, added as independent errors add. */
  readonly timesNoise: number;
}

/** Reads a report of the same benchmark that `--json` wrote. @throws Failure (usage) for anything else. */
export function parseReport(text: string, name: string, benchmark: Report["benchmark"]): Report {
  let report: Report;
  try {
    report = JSON.parse(text) as Report;
    if (![...figures(report).values()].every(({ median, low, high }) => low <= median && median <= high)) throw new Error("a figure is missing");
    differences(report.environment, report.environment);
  } catch {
    throw new Failure(`${name} is not a report of pongd bench; give a file that --json wrote`, EXIT.USAGE);
  }
  if (report.benchmark !== benchmark) throw new Failure(`${name} is a report of bench ${report.benchmark}, and cannot be compared with one of bench ${benchmark}`, EXIT.USAGE);
  return report;
}

/** Figures that both reports have, medians by name. */
export function compare(before: Report, now: Report): Change[] {
  const old = figures(before);
  return [...figures(now)].flatMap(([what, spread]) => {
    const other = old.get(what);
    if (!other) return [];
    const change = Math.abs(spread.median - other.median);
    return [{ what, before: other.median, now: spread.median, timesNoise: change === 0 ? 0 : change / Math.hypot(halfWidth(other), halfWidth(spread)) }];
  });
}

/** What else was not the same. */
export function differences(before: Environment, now: Environment): string[] {
  const keys = ["pongd", "commit", "node", "v8", "kernel", "cpu", "cores", "governor", "nodeFlags", "seed"] as const;
  return keys.filter((key) => String(before[key]) !== String(now[key])).map((key) => `${key}: ${String(before[key])} → ${String(now[key])}`);
}

function figures(report: Report): Map<string, Spread> {
  return new Map<string, Spread>(report.benchmark === "engine"
    ? report.results.map(({ engine, packetBytes, batch, nsPerPacket }) => [`${engine}, ${packetBytes} bytes, batches of ${batch}, ns/packet`, nsPerPacket])
    : report.results.map(({ engine, io, packetBytes, repliesPerSecond }) => [`${engine}, ${io}, ${packetBytes} bytes, replies/s`, repliesPerSecond]));
}

function halfWidth({ low, high }: Spread): number {
  return (high - low) / 2;
}
