/**
 * Runs `pongd bench tun`: the whole program through a real TUN device. Each combination of engine and I/O backend is a
 * process of its own (station.ts) that lives from the first round to the last. The combinations are measured in turns,
 * so that if the machine's speed drifts, it drifts under all of them.
 */
import type { EngineName } from "../engine/contract.js";
import { Failure, messageOf } from "../base/failure.js";
import type { IoName } from "../io/contract.js";
import { Child } from "./child.js";
import { environment } from "./environment.js";
import type { Latency, TunReport, TunResult } from "./report.js";
import type { Command } from "./sender.js";
import type { StationInput, StationMessage } from "./station.js";
import { median, medianInterval, spreadOf } from "./stats.js";

const ROUNDS = 15;
/** Fewest rounds for a result, if a run is interrupted. Fewer say too little. */
const MIN_ROUNDS = 5;
const MTU = 1500;

export interface TunBenchOptions {
  readonly engines: readonly EngineName[];
  readonly ios: readonly IoName[];
  readonly packetBytes: number;
  /** Seconds for one combination under full load, and again for each kind of round trips. */
  readonly seconds: number;
  readonly seed: number;
}

type Flood = Extract<StationMessage, { kind: "flood" }>;

/**
 * Runs the benchmark. `onProgress` is called with how much is done, 0 to 1, and what comes next. `onLeftOut` is called
 * with a combination that cannot run here or could not go on, and the reason. Once `interrupted`, it returns what has
 * been measured.
 * @throws Failure if no combination can run.
 */
export async function benchTun(
  options: TunBenchOptions, interrupted: AbortSignal, onProgress: (
    done: number, next: string,
  ) => void, onLeftOut: (what: string) => void,
): Promise<TunReport> {
  const { engines, ios, packetBytes, seconds, seed } = options;
  const combinations = engines.flatMap(
    (engine) => ios.map((io) => ({ engine, io, mtu: Math.max(packetBytes, MTU), offload: false, seed })),
  );
  const stations = await start(combinations, onLeftOut);
  const interruption = new Promise<undefined>((resolve) => {
    interrupted.addEventListener("abort", () => { resolve(undefined); }, { once: true });
  });
  const steps = stations.length * (ROUNDS + 2);
  let done = 0;

  /**
   * Has a station measure. Returns undefined if it has died, or if the run was interrupted: the person who interrupts
   * does not want to wait.
   */
  const step = async <T>(station: Station, next: string, measure: () => Promise<T>): Promise<T | undefined> => {
    if (interrupted.aborted || station.ended) return undefined;
    onProgress(done++ / steps, `${station.input.engine}, ${station.input.io}: ${next}`);
    try {
      return await Promise.race([measure(), interruption]);
    } catch (error) {
      onLeftOut(`${station.input.engine} with ${station.input.io}: ${messageOf(error)}`);
      station.end();
      return undefined;
    }
  };

  try {
    const rounds: (Flood | undefined)[][] = [];
    for (let i = 0; i < ROUNDS; i++) {
      const round: (Flood | undefined)[] = [];
      for (const station of stations) {
        round.push(await step(station, "as many packets as the device takes", () => station
          .flood({ kind: "flood", packetBytes, seconds: seconds / ROUNDS, packetsPerSecond: Infinity })));
      }
      rounds.push(round);
    }
    const results: TunResult[] = [];
    for (const [s, station] of stations.entries()) {
      const floods = rounds.flatMap((round) => round[s] ?? []);
      if (floods.length < MIN_ROUNDS) continue;
      const repliesPerSecond = spreadOf(floods.map(rate));
      const ping = (packetsPerSecond: number) => station.ping({ kind: "ping", packetBytes, seconds, packetsPerSecond });
      results.push({
        engine: station.input.engine,
        io: station.input.io,
        packetBytes,
        repliesPerSecond,
        ...ratioToFirst(rounds, s),
        cpuNsPerPacket: median(floods.map(({ flood }) => flood.cpuNs / Math.max(1, flood.replies))),
        systemCallsPerPacket: median(floods.map(({ systemCalls, received }) => systemCalls / Math.max(1, received))),
        idle: await step(station, "round trips when idle", () => ping(0)) ?? null,
        halfLoad: await step(station, "round trips at half load", () => ping(repliesPerSecond.median / 2)) ?? null,
      });
    }
    onProgress(1, "");
    return { benchmark: "tun", complete: !interrupted.aborted, environment: environment(seed), results };
  } finally {
    for (const station of stations) station.end();
  }
}

/**
 * Starts the stations of the combinations that can run here.
 * @throws Failure if none can.
 */
async function start(combinations: readonly StationInput[], onLeftOut: (what: string) => void): Promise<Station[]> {
  const stations: Station[] = [];
  const failures: { what: string; failure: Failure }[] = [];
  for (const combination of combinations) {
    try {
      stations.push(await Station.start(combination));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      failures.push({ what: `${combination.engine} with ${combination.io}`, failure: error });
    }
  }
  if (stations.length === 0) throw failures[0].failure;
  for (const { what, failure } of failures) onLeftOut(`${what}: ${failure.what}`);
  return stations;
}

function ratioToFirst(
  rounds: readonly (readonly (Flood | undefined)[])[], s: number,
): Pick<TunResult, "ratioToFirst" | "ratioToFirstInterval"> {
  const ratios = rounds.flatMap((round) => {
    const [first, other] = [round[0], round[s]];
    return first && other && first.flood.replies > 0 ? [rate(other) / rate(first)] : [];
  });
  return ratios.length < MIN_ROUNDS
    ? { ratioToFirst: null, ratioToFirstInterval: null }
    : { ratioToFirst: median(ratios), ratioToFirstInterval: medianInterval(ratios) };
}

function rate({ flood }: Flood): number {
  return flood.replies / flood.seconds;
}

/** A station, as its parent sees it. */
export class Station {
  readonly input: StationInput;
  readonly #child: Child<StationMessage>;

  private constructor(input: StationInput, child: Child<StationMessage>) {
    this.input = input;
    this.#child = child;
  }

  /** @throws Failure if it cannot run here. */
  static async start(input: StationInput): Promise<Station> {
    return new Station(input, await Child.start("./station.js", input, `${input.engine} with ${input.io}`));
  }

  async flood(command: Command): Promise<Flood> {
    return this.#child.ask(command, "flood");
  }

  async ping(command: Command): Promise<Latency> {
    return (await this.#child.ask(command, "ping")).ping;
  }

  get ended(): boolean {
    return this.#child.ended;
  }

  /** Ends the station, whatever it is doing. */
  end(): void {
    this.#child.end();
  }
}
