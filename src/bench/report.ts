/**
 * What `pongd bench` measured, as its JSON has it. Times of packets are nanoseconds, round trips microseconds, cold
 * costs milliseconds, each as the field's name says.
 */
import type { IoName } from "../io/contract.js";

/** Enough to repeat the run. */
export interface Environment {
  /** ISO 8601. */
  readonly date: string;
  readonly pongd: string;
  /** Of the checkout it runs from, with "-dirty" where it has changes; null for an installed package. */
  readonly commit: string | null;
  readonly node: string;
  readonly v8: string;
  readonly kernel: string;
  readonly cpu: string;
  /** CPUs that this process may use. */
  readonly cores: number;
  /** Of cpufreq; null where the machine does not say. */
  readonly governor: string | null;
  /** Arguments of the command, and what Node.js itself was given. */
  readonly arguments: readonly string[];
  readonly nodeFlags: readonly string[];
  /** Of the packets' contents. */
  readonly seed: number;
}

export const BENCH_ENGINES = ["js", "wasm", "wasm-scalar", "js-naive"] as const;
export type BenchEngine = typeof BENCH_ENGINES[number];

/** Of the rounds. `low` and `high` bound the median with 95 % confidence. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly p95: number;
  readonly low: number;
  readonly high: number;
}

export interface EngineResult {
  readonly engine: BenchEngine;
  readonly packetBytes: number;
  /** Packets in one call of the engine. */
  readonly batch: number;
  readonly nsPerPacket: Spread;
  readonly packetsPerSecond: number;
  readonly bytesPerSecond: number;
  /**
   * How many times as fast as `js`: the median of the rounds' own ratios, as both ran in each round; null where `js`
   * did not run.
   */
  readonly ratioToJs: number | null;
  /** Bounds it with 95 % confidence. */
  readonly ratioToJsInterval: readonly [low: number, high: number] | null;
}

/**
 * Those of one batch, which headline and charts are of: the batch nearest to 64 packets in which WebAssembly ran beside
 * JavaScript.
 */
export function resultsOfOneBatch(results: readonly EngineResult[]): readonly EngineResult[] {
  const compared = results.filter(({ engine, ratioToJs }) => engine === "wasm" && ratioToJs !== null);
  const batches = (compared.length > 0 ? compared : results).map(({ batch }) => batch);
  const shown = batches.toSorted((a, b) => Math.abs(a - 64) - Math.abs(b - 64)).at(0);
  return results.filter(({ batch }) => batch === shown);
}

/** Whether a ratio says which of the two is faster: its bounds do not enclose 1. */
export function isToldApart(interval: readonly [low: number, high: number] | null): boolean {
  return interval !== null && (interval[0] > 1 || interval[1] < 1);
}

/** A fresh process: from nothing loaded to the first packet answered. Medians of several. */
export interface ColdResult {
  readonly engine: BenchEngine;
  /** Importing what runs it, and reading the module from its file. */
  readonly loadMs: number;
  /** WebAssembly.Module; JavaScript compiles as it runs. */
  readonly compileMs: number;
  /** The instance, or the engine object. */
  readonly instantiateMs: number;
  /** 84 bytes, the very first. */
  readonly firstPacketMs: number;
  readonly totalMs: number;
}

export interface EngineReport {
  readonly benchmark: "engine";
  /** False where it was interrupted: then what had been measured is here. */
  readonly complete: boolean;
  readonly environment: Environment;
  /** How many were configured. The packets of the results went to all of them, as the seed drew. */
  readonly prefixes: number;
  readonly results: readonly EngineResult[];
  readonly cold: readonly ColdResult[];
}

/** Round trips of single pings, from before the system call that sends one to after the one that receives its reply. */
export interface Latency {
  /** What else was offered meanwhile; 0 when idle. */
  readonly packetsPerSecond: number;
  readonly count: number;
  /** Pings without a reply within a second. */
  readonly lost: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
  /** Log-linear: how many took up to so many microseconds, and more than the entry before; empty buckets left out. */
  readonly histogram: readonly (readonly [upToUs: number, count: number])[];
}

export interface TunResult {
  readonly engine: "wasm" | "js";
  readonly io: IoName;
  readonly packetBytes: number;
  /** Offered as much as the device takes. */
  readonly repliesPerSecond: Spread;
  /**
   * How many times as many as the first combination: the median of the rounds' own ratios, bounded with 95 %
   * confidence.
   */
  readonly ratioToFirst: number | null;
  readonly ratioToFirstInterval: readonly [low: number, high: number] | null;
  /** CPU time of the whole program but the sender, for each packet answered. */
  readonly cpuNsPerPacket: number;
  readonly systemCallsPerPacket: number;
  readonly idle: Latency | null;
  readonly halfLoad: Latency | null;
}

export interface TunReport {
  readonly benchmark: "tun";
  readonly complete: boolean;
  readonly environment: Environment;
  readonly results: readonly TunResult[];
}

export type Report = EngineReport | TunReport;
