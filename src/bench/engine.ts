/**
 * Runs `pongd bench engine`: packets in memory, without a device. The engines take turns in rounds, each on its own
 * thread while the others are idle. If the machine's speed drifts, it drifts under all engines, so results within a
 * round can be compared.
 */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { EXIT, Failure } from "../base/failure.js";
import type { ContenderInput, RunResult } from "./contender.js";
import { environment } from "./environment.js";
import type { BenchEngine, ColdResult, EngineReport, EngineResult } from "./report.js";
import { median, medianInterval, spreadOf } from "./stats.js";

const MIN_SLICES = 25;
/** Longest slice, short so that an interruption is noticed soon. */
const SLICE_SECONDS = 0.05;
/** Fewest rounds for a result, if a run is interrupted. Fewer say too little. */
const MIN_ROUNDS = 5;
const WARM_UP_NS = 100_000_000;
const COLD_RUNS = 9;
const COLD = fileURLToPath(new URL("./cold.js", import.meta.url));

export interface EngineBenchOptions {
  readonly engines: readonly BenchEngine[];
  readonly packetBytes: readonly number[];
  readonly batches: readonly number[];
  /** Number of prefixes that are configured. */
  readonly prefixes: number;
  /** Seconds to spend on one engine at one size and batch. */
  readonly seconds: number;
  readonly seed: number;
}

/**
 * Runs the benchmark. `onProgress` is called with how much is done, 0 to 1, and what comes next. Once `interrupted`, it
 * returns what has been measured.
 */
export async function benchEngine(
  options: EngineBenchOptions, interrupted: AbortSignal, onProgress: (done: number, next: string) => void,
): Promise<EngineReport> {
  const { engines, packetBytes, batches, prefixes, seconds, seed } = options;
  const results: EngineResult[] = [];
  const cells = packetBytes.flatMap((bytes) => batches.map((batch) => ({ bytes, batch })));
  for (const [i, { bytes, batch }] of cells.entries()) {
    if (interrupted.aborted) break;
    onProgress(i / (cells.length + 1), `${bytes} bytes, batches of ${batch}`);
    const rounds = await race(
      engines.map((engine) => ({ engine, packetBytes: bytes, batch, prefixes, seed })), seconds, interrupted,
    );
    if (rounds.length >= MIN_ROUNDS) results.push(...engines.map((engine, e) => resultOf(
      engine, bytes, batch, rounds.map((round) => round[e]), rounds.map((round) => round[engines.indexOf("js")]),
    )));
  }
  onProgress(cells.length / (cells.length + 1), "cold starts");
  const cold = await coldStarts(engines, interrupted);
  onProgress(1, "");
  return {
    benchmark: "engine", complete: !interrupted.aborted, environment: environment(seed), prefixes, results, cold,
  };
}

/** Returns the rounds, each with the nanoseconds per packet of every contender. */
async function race(inputs: readonly ContenderInput[], seconds: number, interrupted: AbortSignal): Promise<number[][]> {
  const contenders = inputs.map((workerData) => new Worker(new URL("./contender.js", import.meta.url), { workerData }));
  try {
    for (const contender of contenders) await run(contender, WARM_UP_NS);
    const slices = Math.max(MIN_SLICES, Math.ceil(seconds / SLICE_SECONDS));
    const rounds: number[][] = [];
    for (let i = 0; i < slices && !interrupted.aborted; i++) {
      const round: number[] = [];
      // Each contender goes first in its turn, since the first one finds the caches as the last one left them.
      for (let j = 0; j < contenders.length; j++) {
        const turn = (i + j) % contenders.length;
        round[turn] = await run(contenders[turn], seconds * 1e9 / slices);
      }
      rounds.push(round);
    }
    return rounds;
  } finally {
    for (const contender of contenders) await contender.terminate();
  }
}

async function run(contender: Worker, ns: number): Promise<number> {
  contender.postMessage(ns);
  const [result] = await once(contender, "message") as [RunResult];
  if ("error" in result) throw new Failure(result.error, EXIT.RUNTIME);
  return result.nsPerPacket;
}

function resultOf(
  engine: BenchEngine, packetBytes: number, batch: number, ns: readonly number[], js: readonly (number | undefined)[],
): EngineResult {
  const nsPerPacket = spreadOf(ns);
  const ratios = js.flatMap((of, i) => of === undefined ? [] : [of / ns[i]]);
  return {
    engine,
    packetBytes,
    batch,
    nsPerPacket,
    packetsPerSecond: 1e9 / nsPerPacket.median,
    bytesPerSecond: packetBytes * 1e9 / nsPerPacket.median,
    ratioToJs: ratios.length > 0 ? median(ratios) : null,
    ratioToJsInterval: ratios.length > 0 ? medianInterval(ratios) : null,
  };
}

async function coldStarts(engines: readonly BenchEngine[], interrupted: AbortSignal): Promise<ColdResult[]> {
  const runs: ColdResult[][] = engines.map(() => []);
  try {
    for (let i = 0; i < COLD_RUNS; i++) {
      for (let j = 0; j < engines.length; j++) {
        if (interrupted.aborted) return [];
        const e = (i + j) % engines.length;
        const engine = engines[e];
        const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, COLD, engine]);
        runs[e].push(JSON.parse(stdout) as ColdResult);
      }
    }
  } catch (error) {
    // A terminal's Ctrl-C reaches the child processes, too.
    if (error instanceof Error && "signal" in error && error.signal === "SIGINT") return [];
    throw error;
  }
  const medianOf = (
    results: readonly ColdResult[], key: Exclude<keyof ColdResult, "engine">,
  ) => median(results.map((result) => result[key]));
  return engines.map((engine, e) => ({
    engine,
    loadMs: medianOf(runs[e], "loadMs"),
    compileMs: medianOf(runs[e], "compileMs"),
    instantiateMs: medianOf(runs[e], "instantiateMs"),
    firstPacketMs: medianOf(runs[e], "firstPacketMs"),
    totalMs: medianOf(runs[e], "totalMs"),
  }));
}
