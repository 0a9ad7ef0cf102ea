/**
 * Runs `pongd bench http`: pongd's TCP and the kernel's sockets under the same http.Server. Each server is a process of
 * its own (httpserver.ts) with a client (httpclient.ts), and lives from the first round to the last. In each round both
 * are measured by every test, so that if the machine's speed drifts, it drifts under both.
 */
import { messageOf } from "../base/failure.js";
import { Child } from "./child.js";
import { environment } from "./environment.js";
import type { ServerInput } from "./httpserver.js";
import { clientOf, type LoadCommand, type ServerMessage } from "./load.js";
import {
  HTTP_SERVERS, HTTP_TESTS, type HttpReport, type HttpResult, type HttpServer, type HttpTest,
} from "./report.js";
import { median, medianInterval, spreadOf } from "./stats.js";
import { hasWrk } from "./wrk.js";

const ROUNDS = 9;
/** Fewest rounds for a result, if a run is interrupted. Fewer say too little. */
const MIN_ROUNDS = 5;
const MIB = 1 << 20;

export interface HttpBenchOptions {
  /** Seconds for one server in one test. */
  readonly seconds: number;
  readonly seed: number;
}

interface Station {
  readonly server: HttpServer;
  readonly child: Child<ServerMessage>;
}

/** What a server did in each round. */
type Rounds = readonly ReadonlyMap<HttpServer, ServerMessage>[];

/**
 * Runs the benchmark. `onProgress` is called with how much is done, 0 to 1, and what comes next. `onLeftOut` is called
 * with a server that could not go on, and the reason. Once `interrupted`, it returns what has been measured.
 * @throws Failure if a server cannot run here
 */
export async function benchHttp(
  { seconds, seed }: HttpBenchOptions, interrupted: AbortSignal, onProgress: (done: number, next: string) => void,
  onLeftOut: (what: string) => void,
): Promise<HttpReport> {
  const wrk = hasWrk();
  const stations: Station[] = [];
  const interruption = new Promise<undefined>((resolve) => {
    interrupted.addEventListener("abort", () => { resolve(undefined); }, { once: true });
  });
  const steps = HTTP_SERVERS.length * HTTP_TESTS.length * (ROUNDS + 1);
  let done = 0;

  /** Loads a server. Returns undefined if it has failed, or if the run was interrupted. */
  const step = async ({ server, child }: Station, command: LoadCommand): Promise<ServerMessage | undefined> => {
    if (interrupted.aborted || child.ended) return undefined;
    onProgress(done++ / steps, `${server}: ${command.test}`);
    try {
      return await Promise.race([child.ask(command, "served"), interruption]);
    } catch (error) {
      onLeftOut(`${server}: ${messageOf(error)}`);
      child.end();
      return undefined;
    }
  };

  const round = async (test: HttpTest, seconds: number): Promise<ReadonlyMap<HttpServer, ServerMessage>> => {
    const results = new Map<HttpServer, ServerMessage>();
    for (const station of stations) {
      const result = await step(station, { test, seconds });
      if (result) results.set(station.server, result);
    }
    return results;
  };

  try {
    for (const server of HTTP_SERVERS) {
      const input: ServerInput = { server, wrk, seed };
      stations.push({ server, child: await Child.start("./httpserver.js", input, server) });
    }
    for (const test of HTTP_TESTS) await round(test, seconds / ROUNDS);
    const rounds = new Map<HttpTest, ReadonlyMap<HttpServer, ServerMessage>[]>(HTTP_TESTS.map((test) => [test, []]));
    for (let i = 0; i < ROUNDS; i++) {
      for (const [test, results] of rounds) results.push(await round(test, seconds / ROUNDS));
    }
    onProgress(1, "");
    const results = [...rounds].flatMap(([test, results]) => HTTP_SERVERS.flatMap(
      (server) => resultOf(test, server, clientOf(test, wrk), results) ?? []));
    return { benchmark: "http", complete: !interrupted.aborted, environment: environment(seed), results };
  } finally {
    for (const { child } of stations) child.end();
  }
}

/** Returns what the rounds of a test say about a server; undefined if there are too few. */
function resultOf(
  test: HttpTest, server: HttpServer, client: HttpResult["client"], rounds: Rounds,
): HttpResult | undefined {
  const own = rounds.flatMap((round) => round.get(server) ?? []);
  if (own.length < MIN_ROUNDS) return undefined;
  const ratios = rounds.flatMap((round) => {
    const [one, kernel] = [round.get(server), round.get("kernel")];
    return one && kernel ? [rate(one) / rate(kernel)] : [];
  });
  const isCompared = ratios.length >= MIN_ROUNDS;
  const unit = test === "bulk" ? MIB : 1;
  const latency = (values: readonly (number | null)[]) => {
    const known = values.filter((value) => value !== null);
    return known.length > 0 ? median(known) : null;
  };
  return {
    test, server, client,
    perSecond: spreadOf(own.map(rate)),
    ratioToKernel: isCompared ? median(ratios) : null,
    ratioToKernelInterval: isCompared ? medianInterval(ratios) : null,
    cpuUs: median(own.map(({ cpuUs, count }) => cpuUs / (count / unit))),
    p50Us: latency(own.map(({ p50Us }) => p50Us)),
    p99Us: latency(own.map(({ p99Us }) => p99Us)),
  };
}

function rate({ count, seconds }: ServerMessage): number {
  return count / seconds;
}
