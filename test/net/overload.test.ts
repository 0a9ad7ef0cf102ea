/**
 * Sends more packets than pongd can answer. A machine drifts and is disturbed, so figures are compared within a round,
 * rounds take turns, and the interval of a median is asserted. No time is asserted, only relations of times.
 *
 * The sender (src/bench/sender.ts) has a CPU of its own, and offers at most two to three times what pongd answers on
 * another; not ten times. So pongd is made slow: strace(1) stops it at every read and write of a packet. It then
 * answers ten thousand packets a second, and the sender offers ten times as many or more, unless others keep it from
 * its CPU; the test prints how many times it was. A control group's quota, or stops by signals, would come in slices as
 * long as a queue takes, and the test would measure those.
 */
import assert from "node:assert/strict";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";
import { describe, test, type TestContext } from "node:test";
import { BATCH } from "../../abi/slots.js";
import { affinity } from "../../src/bench/affinity.js";
import type { SenderAnswer, FloodCommand, FloodResult } from "../../src/bench/sender.js";
import { median, medianInterval, percentile } from "../../src/bench/stats.js";
import { source } from "../support/assembly.js";
import { ended, needs, Netns, Pongd, said } from "../support/netns.js";

/** Rounds, and seconds of each load in a round. LONG_OVERLOAD=1 is for figures that are to be quoted. */
const LONG = process.env.LONG_OVERLOAD === "1";
const [ROUNDS, SECONDS] = LONG ? [15, 2] : [7, 0.5];
/** The load that counts as an overload, in times what is answered. */
const LEAST = 2;
/**
 * Packets in the device's queue. pongd has taken a batch more at most. The queue is short, so that a slow pongd gets
 * through it in a round.
 */
const QUEUE = 500;
const [SENDER_CPU, PONGD_CPU] = affinity();
const twoCpus = affinity().length > 1 ? needs("taskset") : { skip: "needs a CPU for the sender, and one for pongd" };

/** The sender, in a namespace with a pongd. */
class Sender {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;

  constructor(ns: Netns) {
    this.#child = ns.spawn(process.execPath, source("build/test/support/overload.js"), "pong0", String(SENDER_CPU));
    this.#child.stderr.pipe(process.stderr);
    this.#answers = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  async flood(packetsPerSecond: number): Promise<FloodResult> {
    const command: FloodCommand = {
      kind: "flood", packetBytes: 84, seconds: SECONDS, packetsPerSecond: Math.min(packetsPerSecond, 1e9),
      timedPerSecond: 4000,
    };
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    const { value } = await this.#answers.next() as { value: string | undefined };
    const answer = JSON.parse(value ?? `{"error":"the sender has ended"}`) as SenderAnswer;
    if (!("flood" in answer)) throw new Error("error" in answer ? answer.error : answer.kind);
    return answer.flood;
  }

  async end(): Promise<void> {
    this.#child.stdin.end();
    await ended(this.#child);
  }
}

const rate = ({ replies, seconds }: FloodResult) => replies / seconds;
const offered = ({ taken, dropped, seconds }: FloodResult) => (taken + dropped) / seconds;
const figures = (values: readonly number[], digits = 2) => [0.5, 0.9, 0.99, 1]
  .map((fraction) => percentile(values, fraction).toFixed(digits))
  .join(", ");

async function open(
  context: TestContext, wrapper: string[], ...options: string[]
): Promise<{ ns: Netns; sender: Sender }> {
  const ns = await Netns.open();
  context.after(() => ns.close());
  const pongd = await Pongd.start(
    ns, { wrapper: ["taskset", "-c", String(PONGD_CPU), ...wrapper] }, "10.99.0.0/16", ...options,
  );
  context.after(() => pongd.stop());
  await ns.ok("sysctl", "-qw", "net.ipv4.ping_group_range=0 0");
  const sender = new Sender(ns);
  context.after(() => sender.end());
  return { ns, sender };
}

/**
 * Asks for a page every `everyMs` milliseconds until its standard input ends, after some requests that warm it up.
 * Prints how many milliseconds each took.
 */
const SCRAPER = `
  import { get } from "node:http";
  const [url, everyMs] = process.argv.slice(1);
  const took = [];
  let ended = false;
  process.stdin.resume().on("end", () => { ended = true; });
  const scrape = () => new Promise((resolve, reject) => { get(url, { agent: false }, (response) => { response.resume().on("end", resolve); }).on("error", reject); });
  for (let i = 0; i < 5; i++) await scrape();
  console.log("ready");
  for (let next = performance.now(); !ended; next += Number(everyMs)) {
    await new Promise((resolve) => setTimeout(resolve, next - performance.now()));
    const start = performance.now();
    await scrape();
    took.push(performance.now() - start);
  }
  console.log(JSON.stringify(took));`;

class Scraper {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  constructor(ns: Netns, url: string, everyMs: number) {
    this.#child = ns.spawn(
      "taskset", "-c", String(SENDER_CPU), process.execPath, "--input-type=module", "-e", SCRAPER, url, String(everyMs),
    );
    this.#child.stderr.pipe(process.stderr);
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  async ready(): Promise<this> {
    await this.#lines.next();
    return this;
  }

  async end(): Promise<number[]> {
    this.#child.stdin.end();
    const { value } = await this.#lines.next() as { value: string };
    return JSON.parse(value) as number[];
  }
}

describe("overload", twoCpus, () => {
  test("many times what pongd can answer: replies stay at 95 % of the peak, and none comes later than the "
    + "queue is long", needs("strace"), async (context) => {
    // With -D the process that is ended is pongd. Otherwise it would be strace, and pongd would go on without it.
    const { ns, sender } = await open(
      context, ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=read,write"], "--io", "readwrite",
    );
    await ns.ok("ip", "link", "set", "pong0", "txqueuelen", String(QUEUE));
    const capacity = median(
      [rate(await sender.flood(Infinity)), rate(await sender.flood(Infinity)), rate(await sender.flood(Infinity))],
    );
    const ratios: number[] = [];
    const waits: number[] = [];
    const loads: number[] = [];
    for (let tries = 0; ratios.length < ROUNDS; tries++) {
      assert.ok(
        tries < 5 * ROUNDS,
        `the sender has offered ${LEAST} times what was answered in no more than ${ratios.length} of ${tries} rounds`,
      );
      const peak = Math.max(rate(await sender.flood(2 * capacity)), rate(await sender.flood(4 * capacity)));
      const over = await sender.flood(Infinity);
      if (offered(over) < LEAST * rate(over)) continue;
      loads.push(offered(over) / rate(over));
      ratios.push(rate(over) / peak);
      // Waits are measured in the time that a full queue takes at the rate at which it is answered.
      waits.push(...over.latenciesMs.map((ms) => ms / 1000 * rate(over) / (QUEUE + BATCH)));
    }
    context.diagnostic(`${Math.round(capacity)} replies a second; offered ${median(loads).toFixed(1)} times as many; `
      + `replies to the peak's: ${figures(ratios)}`);
    context.diagnostic(`round trips of ${waits.length} that were answered, in times of a full queue: `
      + `${figures(waits)} (p50, p90, p99, longest)`);
    const [, high] = medianInterval(ratios);
    assert.ok(
      high >= 0.95,
      `replies when overloaded, to those at the peak: ${ratios.map((ratio) => ratio.toFixed(3)).join(", ")}`,
    );
    assert.ok(waits.length > 20, `${waits.length} of the timed ones were answered`);
    assert.ok(percentile(waits, 0.5) < 1.5, `half of them take ${percentile(waits, 0.5)} times what a full queue does`);
    // A pause of the machine makes the queue late, but hardly lowers the rate of its round.
    assert.ok(
      percentile(waits, 0.9) < 3, `nine in ten take up to ${percentile(waits, 0.9)} times what a full queue does`,
    );
  });

  // pongd and the scrapes are on one CPU, and twenty scrapes a second have their share of it. The test can only tell
  // that neither is kept from the CPU.
  test("scrapes every 50 ms of an overloaded pongd: most of the replies stay, and a scrape waits for packets no more "
    + "than any server does", async (context) => {
    const { ns, sender } = await open(context, []);
    // A plain server does what any server of Node.js has to do: it answers from memory, on pongd's CPU.
    const plain = ns.spawn("taskset", "-c", String(PONGD_CPU), process.execPath, "-e", `
      require("node:http").createServer((_, response) => { response.end("x".repeat(14000)); }).listen(7000, "127.0.0.1", () => { console.log("ready"); });`);
    context.after(() => plain.kill());
    await said(plain.stdout, /\n/);
    const ratios: number[] = [];
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const scrapes = await new Scraper(ns, "http://127.0.0.1:7664/metrics", 50).ready();
      const beside = rate(await sender.flood(Infinity));
      ours.push(...await scrapes.end());
      const alone = rate(await sender.flood(Infinity));
      ratios.push(beside / alone);
      const asked = await new Scraper(ns, "http://127.0.0.1:7000/", 50).ready();
      await sender.flood(Infinity);
      theirs.push(...await asked.end());
    }
    context.diagnostic(`replies beside scrapes to those without: ${figures(ratios)}`);
    context.diagnostic(`ms of ${ours.length} scrapes: ${figures(ours, 1)}; of ${theirs.length} pages of a plain `
      + `server: ${figures(theirs, 1)} (p50, p90, p99, longest)`);
    assert.ok(
      median(ratios) >= 0.5,
      `replies beside scrapes, to those without: ${ratios.map((ratio) => ratio.toFixed(3)).join(", ")}`,
    );
    assert.ok(ours.length >= ROUNDS);
    assert.ok(
      median(ours) < 10 * median(theirs),
      `half of the scrapes take up to ${median(ours)} ms, and a plain server ${median(theirs)} ms`,
    );
  });
});
