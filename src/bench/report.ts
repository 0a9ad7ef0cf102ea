/**
 * The results of `pongd bench`, as in its JSON. Times of packets are nanoseconds, round trips microseconds, cold starts
 * milliseconds; each field's name has its unit.
 */
import type { IoName } from "../io/contract.js";

/** The conditions of a run, enough to repeat it. */
export interface Environment {
  /** Date in ISO 8601. */
  readonly date: string;
  readonly pongd: string;
  /** Commit of the checkout that runs, with "-dirty" if it has changes; null for an installed package. */
  readonly commit: string | null;
  readonly node: string;
  readonly v8: string;
  readonly kernel: string;
  readonly cpu: string;
  /** CPUs that this process may use. */
  readonly cores: number;
  /** Governor of cpufreq; null if the machine does not say. */
  readonly governor: string | null;
  /** Arguments of the command; `nodeFlags` are those of Node.js. */
  readonly arguments: readonly string[];
  readonly nodeFlags: readonly string[];
  /** Seed of the packets' contents. */
  readonly seed: number;
}

export const BENCH_ENGINES = ["js", "wasm", "wasm-scalar", "js-naive"] as const;
export type BenchEngine = typeof BENCH_ENGINES[number];

/** Spread of the rounds. `low` and `high` bound the median with 95 % confidence. */
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
   * Speed relative to `js`: the median of the rounds' own ratios, as both ran in each round; null if `js` did not run.
   */
  readonly ratioToJs: number | null;
  /** Bounds of that ratio with 95 % confidence. */
  readonly ratioToJsInterval: readonly [low: number, high: number] | null;
}

/**
 * Returns the results of one batch, for the headline and the charts: the batch nearest to 64 packets in which
 * WebAssembly ran beside JavaScript.
 */
export function resultsOfOneBatch(results: readonly EngineResult[]): readonly EngineResult[] {
  const compared = results.filter(({ engine, ratioToJs }) => engine === "wasm" && ratioToJs !== null);
  const batches = (compared.length > 0 ? compared : results).map(({ batch }) => batch);
  const shown = batches.toSorted((a, b) => Math.abs(a - 64) - Math.abs(b - 64)).at(0);
  return results.filter(({ batch }) => batch === shown);
}

/** Returns whether a ratio says which of the two is faster: its bounds do not enclose 1. */
export function isToldApart(interval: readonly [low: number, high: number] | null): boolean {
  return interval !== null && (interval[0] > 1 || interval[1] < 1);
}

/** Costs in a fresh process, from nothing loaded to the first packet answered; medians of several. */
export interface ColdResult {
  readonly engine: BenchEngine;
  /** Time to import the code that runs the engine, and to read the module from its file. */
  readonly loadMs: number;
  /** Time to make the WebAssembly.Module; JavaScript compiles as it runs. */
  readonly compileMs: number;
  /** Time to make the instance, or the engine object. */
  readonly instantiateMs: number;
  /** Time to answer the very first packet, of 84 bytes. */
  readonly firstPacketMs: number;
  readonly totalMs: number;
}

export interface EngineReport {
  readonly benchmark: "engine";
  /** False if the run was interrupted: the report then has what had been measured. */
  readonly complete: boolean;
  readonly environment: Environment;
  /** Number of prefixes that were configured. The packets went to all of them, as the seed drew. */
  readonly prefixes: number;
  readonly results: readonly EngineResult[];
  readonly cold: readonly ColdResult[];
}

/** Round trips of single pings, from before the system call that sends one to after the one that receives its reply. */
export interface Latency {
  /** Other packets offered meanwhile; 0 when idle. */
  readonly packetsPerSecond: number;
  readonly count: number;
  /** Pings without a reply within a second. */
  readonly lost: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
  /**
   * Log-linear buckets: how many pings took up to `upToUs`, and more than the entry before. Empty buckets are left out.
   */
  readonly histogram: readonly (readonly [upToUs: number, count: number])[];
}

export interface TunResult {
  readonly engine: "wasm" | "js";
  readonly io: IoName;
  readonly packetBytes: number;
  /** Replies while as much is offered as the device takes. */
  readonly repliesPerSecond: Spread;
  /**
   * Replies relative to the first combination: the median of the rounds' own ratios. The interval bounds it with 95 %
   * confidence.
   */
  readonly ratioToFirst: number | null;
  readonly ratioToFirstInterval: readonly [low: number, high: number] | null;
  /** CPU time of the whole program but the sender, per packet answered. */
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

/** What `bench http` measures under load. */
export const HTTP_TESTS = ["keepalive", "lone", "connect", "bulk"] as const;
export type HttpTest = typeof HTTP_TESTS[number];

/** Whose TCP is under http.Server. */
export const HTTP_SERVERS = ["pongd", "kernel"] as const;
export type HttpServer = typeof HTTP_SERVERS[number];

export interface HttpResult {
  readonly test: HttpTest;
  readonly server: HttpServer;
  /** The client: wrk(1), or pongd's own. */
  readonly client: "wrk" | "own";
  /** Requests answered, for `connect` each on a connection of its own; for `bulk` bytes of a response. */
  readonly perSecond: Spread;
  /** Relative to the kernel: the median of the rounds' own ratios, and their bounds with 95 % confidence. */
  readonly ratioToKernel: number | null;
  readonly ratioToKernelInterval: readonly [low: number, high: number] | null;
  /** CPU time of the server's process for each request; for `bulk` for each MiB. */
  readonly cpuUs: number;
  /** Time from a request, or from the beginning of its connection, to the end of its response; null for `bulk`. */
  readonly p50Us: number | null;
  readonly p99Us: number | null;
}

export interface HttpReport {
  readonly benchmark: "http";
  readonly complete: boolean;
  readonly environment: Environment;
  readonly results: readonly HttpResult[];
}

export type Report = EngineReport | TunReport | HttpReport;
