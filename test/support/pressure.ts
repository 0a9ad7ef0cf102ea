/**
 * Runs pongd under the limits of the unit that is shipped, and measures what a load costs it: as its service manager
 * (how regularly it feeds the watchdog), by pings through the device (how many are lost, and the longest round trip),
 * and by its memory. All figures are compared with those of the same process before the load.
 *
 * MemoryMax= is enforced, and WatchdogSec= is measured. The sandbox is not here, but in systemd.test.ts.
 * pongd keeps its privileges, so that a reload has routes to change: more work than without.
 */
import assert from "node:assert/strict";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { source } from "./assembly.js";
import { MemoryGroup } from "./cgroup.js";
import type { Load, Outcome } from "./load.js";
import type { Message } from "./manager.js";
import { ended, Netns, Pongd, poll, said } from "./netns.js";
import type { Pings } from "./pinger.js";
import { bytesOf, secondsOf } from "./unit.js";

/** What a load may cost (invariant I11). */
const MAX_DELAY_MS = 100;
const MAX_GROWTH_BYTES = 200e6;
/** The longest that an answer may take, in seconds: the server's own term. */
const TERM_S = 10;
/** Feeds of the watchdog that an idle pongd is measured by; three come in each WatchdogSec=. */
const IDLE_FEEDS = 9;
const PING_EVERY_MS = 10;
/** Address that is pinged, in the prefix that each configuration begins with. */
export const PINGED = "10.99.1.1";
export const PINGED_PREFIX = "10.99.0.0/16";

/** Measures and manages with precedence, and loads behind pongd: other machines would send the load. */
const [FIRST, LAST] = [["nice", "-n", "-10"], ["nice", "-n", "10"]];

/** What was measured in a while. */
interface Figures {
  /** Longest time between two WATCHDOG=1. */
  readonly gapMs: number;
  readonly pings: Pings;
  /** Most resident memory. */
  readonly residentBytes: number;
}

export class Pressure {
  readonly #context: TestContext;
  readonly #pinger: ChildProcessWithoutNullStreams;
  readonly #pings: AsyncIterator<string>;
  readonly #feeds: number[];
  /** Rejected when pongd ends. */
  readonly #died: Promise<never>;
  #death: Error | undefined;
  #idle: Figures | undefined;

  private constructor(
    context: TestContext, readonly ns: Netns, readonly pongd: Pongd, readonly file: string, feeds: number[],
    group: MemoryGroup | undefined,
  ) {
    this.#context = context;
    this.#feeds = feeds;
    this.#died = pongd.ended.then(({ status, stderr }) => {
      const why = group?.kills ? "killed for its memory" : /^FATAL ERROR: .*/m.exec(stderr)?.[0] ?? stderr.slice(-2000);
      this.#death = new Error(`pongd ended with status ${status}: ${why}`);
      throw this.#death;
    });
    this.#died.catch(() => undefined);
    this.#pinger = ns.spawn(
      FIRST[0], ...FIRST.slice(1), process.execPath, source("build/test/support/pinger.js"), PINGED,
      String(PING_EVERY_MS),
    );
    this.#pinger.stderr.pipe(process.stderr);
    this.#pings = createInterface(this.#pinger.stdout)[Symbol.asyncIterator]();
  }

  /** Starts pongd with `text` as its configuration, and measures it while it has nothing to do but those pings. */
  static async open(context: TestContext, text: string, ...args: string[]): Promise<Pressure> {
    const folder = mkdtempSync(join(tmpdir(), "pongd-pressure-"));
    const [file, socket] = [join(folder, "pongd.yaml"), join(folder, "notify")];
    writeFileSync(file, text);
    const undone: (() => unknown)[] = [() => { rmSync(folder, { recursive: true }); }];
    context.after(async () => { for (const undo of undone.reverse()) await undo(); });
    const ns = await Netns.open();
    undone.push(() => ns.close());
    const manager = ns.spawn(
      FIRST[0], ...FIRST.slice(1), process.execPath, source("build/test/support/manager.js"), socket,
    );
    undone.push(() => kill(manager));
    await said(manager.stdout, /listening\n/);
    const feeds: number[] = [];
    createInterface(manager.stdout).on("line", (line) => {
      const { atMs, lines } = JSON.parse(line) as Message;
      if (lines.includes("WATCHDOG=1")) feeds.push(atMs);
    });
    const limit = bytesOf("MemoryMax");
    const group = MemoryGroup.create(limit);
    undone.push(() => group?.remove());
    context.diagnostic(
      group ? `under MemoryMax=${limit / 2 ** 20}M` : "no control group can be made here: memory is measured, not limited",
    );
    const wrapper = [
      ...group?.wrapper ?? [], "env", `NOTIFY_SOCKET=${socket}`, `WATCHDOG_USEC=${secondsOf("WatchdogSec") * 1e6}`,
    ];
    const pongd = await Pongd.start(ns, { wrapper }, "--config", file, ...args);
    const pressure = new Pressure(context, ns, pongd, file, feeds, group);
    undone.push(() => pongd.stop("SIGKILL"), () => kill(pressure.#pinger));
    await pressure.#fed(0);
    pressure.#idle = await pressure.#measure(() => pressure.#fed(IDLE_FEEDS));
    pressure.#say("idle", pressure.#idle);
    return pressure;
  }

  /**
   * Returns what `load` returns, and asserts that pongd bore it: that the watchdog was fed, that packets were answered
   * in time, that memory stayed, and that pongd still answers. `credentials`: a user and a password, as USER:PASSWORD.
   */
  async bears<T>(load: () => Promise<T>, credentials?: string): Promise<T> {
    const idle = this.#idle;
    assert.ok(idle);
    let result: T | undefined;
    const figures = await this.#measure(async () => {
      result = await Promise.race([load(), this.#died]);
      await this.#fed(2);
    });
    this.#say("under load", figures);
    const broken = [
      figures.gapMs > idle.gapMs + MAX_DELAY_MS && `the watchdog waited ${ms(figures.gapMs)}, idle ${ms(idle.gapMs)}`,
      idle.pings.lost + figures.pings.lost > 0
      && `${figures.pings.lost} of ${figures.pings.sent} pings were lost, idle ${idle.pings.lost}`,
      figures.pings.longestMs > idle.pings.longestMs + MAX_DELAY_MS
      && `a ping took ${ms(figures.pings.longestMs)}, idle ${ms(idle.pings.longestMs)}`,
      figures.residentBytes > idle.residentBytes + MAX_GROWTH_BYTES
      && `${mb(figures.residentBytes)} resident, idle ${mb(idle.residentBytes)}`,
    ];
    assert.deepEqual(broken.filter((what) => what !== false), []);
    await this.#answers(credentials);
    return result as T;
  }

  /** Runs a load in a process of its own, and returns what came of it. */
  async load(load: Load): Promise<Outcome> {
    const outcome = JSON.parse(await this.ns.ok(
      LAST[0], ...LAST.slice(1), process.execPath, source("build/test/support/load.js"), JSON.stringify(load),
    )) as Outcome;
    this.#context.diagnostic(`${load.connections} connections: ${JSON.stringify(outcome)}`);
    return outcome;
  }

  #say(when: string, { gapMs, pings, residentBytes }: Figures): void {
    this.#context.diagnostic(`${when}: the watchdog waited at most ${ms(gapMs)}, a ping ${ms(pings.longestMs)}; `
      + `${pings.lost} of ${pings.sent} pings lost; ${mb(residentBytes)} resident`);
  }

  async #measure(load: () => Promise<unknown>): Promise<Figures> {
    await this.#report();
    const first = this.#feeds.length - 1;
    // proc(5): 5 sets VmHWM, the most resident memory, to what is resident now.
    writeFileSync(`/proc/${this.pongd.pid}/clear_refs`, "5");
    await load();
    const feeds = this.#feeds.slice(first);
    const gaps = feeds.slice(1).map((at, i) => at - feeds[i]);
    const peak = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.pongd.pid}/status`, "utf8"))?.[1];
    return { gapMs: Math.max(...gaps), pings: await this.#report(), residentBytes: Number(peak) * 1024 };
  }

  /** Returns what became of the pings since the last report. */
  async #report(): Promise<Pings> {
    this.#pinger.stdin.write("\n");
    const { value } = await this.#pings.next() as { value: string | undefined };
    if (value === undefined) throw new Error("the pinger has ended");
    return JSON.parse(value) as Pings;
  }

  /** Fulfilled when the watchdog has been fed `more` times from now on, and once at all. */
  #fed(more: number): Promise<void> {
    const feeds = Math.max(1, this.#feeds.length + more);
    return this.until(() => this.#feeds.length >= feeds);
  }

  /** Waits until `condition` holds. @throws Error where pongd ends first */
  async until(condition: () => boolean): Promise<void> {
    await poll(() => Promise.resolve(this.#death), (death) => death !== undefined || condition());
    if (this.#death) throw this.#death;
  }

  /** Asserts that pongd answers whoever asks, within its term. */
  async #answers(credentials: string | undefined): Promise<void> {
    const options = ["--insecure", "--max-time", String(TERM_S), ...credentials ? ["--user", credentials] : []];
    const scheme = this.pongd.stdout.includes("https:") ? "https" : "http";
    for (const path of ["/metrics", "/-/ready"]) {
      const { status, body } = await this.ns.http(`${scheme}://127.0.0.1:7664${path}`, ...options);
      assert.equal(status, 200, `${path}: ${body.slice(0, 200)}`);
    }
  }
}

/**
 * Returns a configuration of that many prefixes, a line each, the first of which is pinged: the TTL of its answers is
 * `ttl`.
 */
export function configuration(prefixes: number, ttl = 64): string {
  const lines = ["prefixes:", `  - { prefix: ${PINGED_PREFIX}, ttl: ${ttl} }`];
  for (let i = 1; i < prefixes; i++) {
    lines.push(`  - { prefix: 10.${100 + (i >> 16)}.${i >> 8 & 255}.${i & 255}/32, name: "host ${i}", answer: [echo, `
      + `timestamp], ttl: 64, comment: "rack ${i >> 8}, unit ${i & 255}" }`);
  }
  return `${lines.join("\n")}\n`;
}

async function kill(child: ChildProcessWithoutNullStreams): Promise<void> {
  child.kill("SIGKILL");
  await ended(child);
}

const ms = (milliseconds: number) => `${milliseconds.toFixed(1)} ms`;
const mb = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;

/** Waits, for loads whose rate is their point. */
export const pause = (milliseconds: number) => sleep(milliseconds);
