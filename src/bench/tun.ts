/**
 * `pongd bench tun`: the whole program through a real TUN device. Each combination of engine and I/O backend is a process of its
 * own (station.ts) that lives from the first round to the last; they are measured in turns, so that a machine whose speed
 * drifts does so under all of them.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { EngineName } from "../engine/engine.js";
import { EXIT, Failure } from "../failure.js";
import type { IoName } from "../io/io.js";
import { environment } from "./environment.js";
import type { Latency, TunReport, TunResult } from "./report.js";
import type { Command } from "./sender.js";
import type { StationInput, StationMessage } from "./station.js";
import { median, spreadOf } from "./stats.js";

const ROUNDS = 9;
const MTU = 1500;
const STATION = fileURLToPath(new URL("./station.js", import.meta.url));

export interface TunBenchOptions {
  readonly engines: readonly EngineName[];
  readonly ios: readonly IoName[];
  readonly packetBytes: number;
  /** For one combination under as much load as there can be, and again for each kind of round trips. */
  readonly seconds: number;
  readonly seed: number;
}

type Flood = Extract<StationMessage, { kind: "flood" }>;

/**
 * `onProgress` hears how much is done, 0 to 1, and what comes next; `onLeftOut`, which combination cannot run here, and why.
 * Once `interrupted`, what has been measured is returned. @throws Failure where no combination can run.
 */
export async function benchTun(
  options: TunBenchOptions, interrupted: AbortSignal, onProgress: (done: number, next: string) => void, onLeftOut: (what: string) => void,
): Promise<TunReport> {
  const { engines, ios, packetBytes, seconds, seed } = options;
  const stations: Station[] = [];
  const results: TunResult[] = [];
  const combinations = engines.flatMap((engine) => ios.map((io) => ({ engine, io, mtu: Math.max(packetBytes, MTU), seed })));
  const leftOut: { combination: StationInput; failure: Failure }[] = [];
  try {
    for (const combination of combinations) {
      try {
        stations.push(await Station.start(combination));
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        leftOut.push({ combination, failure: error });
      }
    }
    if (stations.length === 0) throw leftOut[0].failure;
    for (const { combination: { engine, io }, failure } of leftOut) onLeftOut(`${engine} with ${io}: ${failure.message}`);

    const steps = stations.length * (ROUNDS + 2);
    let done = 0;
    const step = async <T>(next: string, station: Station, measure: () => Promise<T>): Promise<T | undefined> => {
      if (interrupted.aborted) return undefined;
      onProgress(done++ / steps, `${station.input.engine}, ${station.input.io}: ${next}`);
      return measure();
    };
    const floods = stations.map((): Flood[] => []);
    for (let i = 0; i < ROUNDS; i++) {
      for (const [s, station] of stations.entries()) {
        const flood = await step("as many packets as the device takes", station, () => station.flood({ kind: "flood", packetBytes, seconds: seconds / ROUNDS, packetsPerSecond: Infinity }));
        if (flood) floods[s].push(flood);
      }
    }
    for (const [s, station] of stations.entries()) {
      if (floods[s].length === 0) continue;
      const repliesPerSecond = spreadOf(floods[s].map(({ flood }) => flood.replies / flood.seconds));
      const ping = (packetsPerSecond: number) => station.ping({ kind: "ping", packetBytes, seconds, packetsPerSecond });
      results.push({
        engine: station.input.engine,
        io: station.input.io,
        packetBytes,
        repliesPerSecond,
        cpuNsPerPacket: median(floods[s].map(({ flood }) => flood.cpuNs / flood.replies)),
        systemCallsPerPacket: median(floods[s].map(({ systemCalls, received }) => systemCalls / received)),
        idle: await step("round trips when idle", station, () => ping(0)) ?? null,
        halfLoad: await step("round trips at half load", station, () => ping(repliesPerSecond.median / 2)) ?? null,
      });
    }
    onProgress(1, "");
    return { benchmark: "tun", complete: !interrupted.aborted, environment: environment(seed), results };
  } finally {
    for (const station of stations) station.end();
  }
}

/** A station as its parent sees it. */
export class Station {
  readonly input: StationInput;
  readonly #child: ChildProcess;
  readonly #died: Promise<never>;

  private constructor(input: StationInput, child: ChildProcess) {
    this.input = input;
    this.#child = child;
    this.#died = once(child, "exit").then(() => { throw new Failure(`the process that ran ${input.engine} with ${input.io} died`, EXIT.RUNTIME); });
    // It does in the end, when nobody waits for it.
    this.#died.catch(() => undefined);
  }

  /** @throws Failure where it cannot run here. */
  static async start(input: StationInput): Promise<Station> {
    // Out of the terminal's reach: a Ctrl-C is for this process, which still wants to know what has been measured.
    const child = fork(STATION, [JSON.stringify(input)], { detached: true, stdio: ["ignore", "ignore", "inherit", "ipc"], serialization: "advanced" });
    const station = new Station(input, child);
    await station.#hear("ready");
    return station;
  }

  async flood(command: Command): Promise<Flood> {
    this.#child.send(command);
    return this.#hear("flood");
  }

  async ping(command: Command): Promise<Latency> {
    this.#child.send(command);
    return (await this.#hear("ping")).ping;
  }

  end(): void {
    this.#child.disconnect();
  }

  async #hear<K extends StationMessage["kind"]>(kind: K): Promise<Extract<StationMessage, { kind: K }>> {
    const [message] = await Promise.race([once(this.#child, "message"), this.#died]) as [StationMessage];
    if (message.kind === "failed") throw new Failure(message.what, message.status, { mend: message.mend });
    if (message.kind !== kind) throw new Failure(`${kind} was asked for, and ${message.kind} came`, EXIT.RUNTIME);
    return message as Extract<StationMessage, { kind: K }>;
  }
}
