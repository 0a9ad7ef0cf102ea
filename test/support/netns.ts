/**
 * Makes network namespaces for tests. A namespace lives as long as a process in it waits for this process's end of a
 * pipe, and programs that run in it are killed when this process ends. So everything goes away with the test, however
 * that ends. It works as root, or through a user namespace of one's own.
 */
import assert from "node:assert/strict";
import { execFile, spawn, spawnSync, type ChildProcess, type ChildProcessWithoutNullStreams } from "node:child_process";
import { on, once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { ENGINE_NAMES } from "../../src/engine/contract.js";
import { IO_NAMES } from "../../src/io/contract.js";
import { source } from "./assembly.js";
import "./process.js";
import { missing } from "./programs.js";

/** Every engine on every backend. */
export const COMBINATIONS = ENGINE_NAMES.flatMap((engine) => IO_NAMES.map((io) => ({ engine, io })));

/** A system call that a packet loop makes for any packet that comes alone, with an errno that it does not survive. */
const FAULT = "read:error=EIO";

/** Time between two looks at something that gives no notice. */
const POLL_MS = 20;

/** The longest that a test waits for something; then it fails, and its file ends. */
const MAX_WAIT_MS = 120_000;

/** The longest that a program may take on a busy machine: half of what its file of tests may take. */
const MAX_RUN_MS = 300_000;

const ROOT = process.getuid?.() === 0;
export const CLI = source("build/src/cli.js");

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Response {
  readonly status: number;
  readonly body: string;
}

interface Skip {
  readonly skip: string | false;
}

/**
 * Returns options for test() that skip it where namespaces, TUN or a command are missing, and name what is missing.
 * With CI=true nothing may be missing. @throws Error then.
 */
export function needs(...commands: string[]): Skip {
  return unavailable === undefined ? needsCommands(...commands) : skipped(unavailable);
}

/** Returns the options that needs() does, but looks for commands only. */
export function needsCommands(...commands: string[]): Skip {
  return skipped(commands.map(missing).filter((what) => what !== undefined).join(", "));
}

function skipped(missing: string): Skip {
  if (missing === "") return { skip: false };
  if (process.env.CI === "true") throw new Error(`in CI nothing is skipped, and this is missing: ${missing}`);
  return { skip: `missing: ${missing}` };
}

const unavailable = probe();

/** Tries all that Netns does, because busybox has programs of the same names that lack some of it. */
function probe(): string | undefined {
  const script = "command -v curl && command -v nsenter && ip link set lo up && ip -json link && test -e "
    + "/proc/net/if_inet6 && exec 3<>/dev/net/tun";
  const { status, stderr, error } = spawnSync(
    "unshare",
    [...ROOT ? [] : ["-r"], "-n", "setpriv", "--pdeathsig", "KILL", "sh", "-c", script],
    { encoding: "utf8" },
  );
  if (status === 0) return undefined;
  return "network namespaces with IPv6 and /dev/net/tun, by util-linux, ip(8) of iproute2 and curl(1) "
    + `(${error?.message ?? stderr.trim().split("\n").at(-1)})`;
}

/** Programs that still run. A test that fails leaves its programs behind, and its file would wait for them to end. */
const running = new Set<ChildProcess>();
after(() => { for (const child of running) child.kill("SIGKILL"); });

function ending<T extends ChildProcess>(child: T): T {
  running.add(child.once("exit", () => running.delete(child)));
  return child;
}

export class Netns {
  readonly #holder: ChildProcessWithoutNullStreams;

  private constructor(holder: ChildProcessWithoutNullStreams) {
    this.#holder = holder;
  }

  /** Opens a new namespace, with its loopback interface up. */
  static async open(): Promise<Netns> {
    const holder = ending(
      spawn("unshare", [...ROOT ? [] : ["-r"], "-n", "sh", "-c", "ip link set lo up && echo ready && exec cat"]),
    );
    await said(holder.stdout, /ready/);
    return new Netns(holder);
  }

  async close(): Promise<void> {
    this.#holder.stdin.end();
    await ended(this.#holder);
  }

  /** Returns the command line that runs a command in the namespace. */
  command(...command: string[]): [string, ...string[]] {
    return ["nsenter", ...this.#enter, ...command];
  }

  spawn(command: string, ...args: string[]): ChildProcessWithoutNullStreams {
    const [program, ...all] = this.command(command, ...args);
    return ending(spawn(program, all));
  }

  /** Runs a command to its end, whatever its status, which is null where it was still running after MAX_RUN_MS. */
  run(command: string, ...args: string[]): Promise<Result> {
    const options = { maxBuffer: 1 << 26, timeout: MAX_RUN_MS, killSignal: "SIGKILL" } as const;
    return new Promise((resolve) => {
      const child = ending(execFile("nsenter", [...this.#enter, command, ...args], options, (_, stdout, stderr) => {
        resolve({ status: child.exitCode, stdout, stderr });
      }));
    });
  }

  /** Runs a command that must succeed, and returns its standard output. */
  async ok(command: string, ...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(command, ...args);
    if (status !== 0) throw new Error(`${command} ${args.join(" ")}: status ${status}\n${stdout}${stderr}`);
    return stdout;
  }

  /**
   * Runs ping(8) `count` times with these arguments, and returns what it printed. Each run sends one request: with
   * several under way, ping waits for the last reply no longer than for those before, or sends once more. @throws Error
   * where a request is not answered.
   */
  async pings(count: number, ...args: string[]): Promise<string> {
    let output = "";
    for (let i = 0; i < count; i++) output += await this.ok("ping", "-c", "1", "-W", "20", ...args);
    return output;
  }

  /** Returns what `ip -json …` prints. */
  async ip<T = Record<string, unknown>>(...args: string[]): Promise<T[]> {
    return JSON.parse(await this.ok("ip", "-json", ...args) || "[]") as T[];
  }

  /**
   * Runs the body of a module in the namespace, with `args` as process.argv[1] and on. Returns what it prints as JSON.
   */
  async evaluate<T>(body: string, ...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(process.execPath, "--input-type=module", "-e", body, ...args)) as T;
  }

  /** Asks a server in the namespace by curl(1), with these `options`. @throws Error where there is no answer. */
  async http(url: string, ...options: string[]): Promise<Response> {
    const output = await this.ok("curl", "-sS", "-w", "%{http_code}", ...options, url);
    return { status: Number(output.slice(-3)), body: output.slice(0, -3) };
  }

  /** The id of a process in the namespace. */
  get pid(): number {
    return this.#holder.pid ?? NaN;
  }

  get #enter(): string[] {
    return [
      "-t", String(this.#holder.pid), ...ROOT ? [] : ["-U", "--preserve-credentials"], "-n", "setpriv", "--pdeathsig",
      "KILL",
    ];
  }
}

type Arguments = [{ wrapper: string[] }, ...string[]] | string[];

/** A pongd that runs in a namespace. */
export class Pongd {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<Result>;
  readonly #ns: Netns;
  readonly #server: string;
  #stdout = "";
  #stderr = "";

  private constructor(ns: Netns, args: string[], wrapper: string[] = []) {
    this.#ns = ns;
    this.#server = args.includes("--listen") ? args[args.indexOf("--listen") + 1] : "127.0.0.1:7664";
    const [command, ...rest] = [...wrapper, process.execPath, CLI, "run", ...args];
    this.#child = ns.spawn(command, ...rest);
    this.#child.stdout.on("data", (chunk) => { this.#stdout += String(chunk); });
    this.#child.stderr.on("data", (chunk) => { this.#stderr += String(chunk); });
    this.#ended = once(this.#child, "close").then(
      ([status]) => ({ status: status as number | null, stdout: this.#stdout, stderr: this.#stderr }),
    );
  }

  /** Starts pongd, under a `wrapper` like strace if one is given, and waits until it says that it answers. */
  static async start(ns: Netns, ...args: Arguments): Promise<Pongd> {
    const { pongd, answers } = await Pongd.attempt(ns, ...args);
    if (!answers) throw new Error(`pongd run ${JSON.stringify(args)}: ${(await pongd.ended).stderr}`);
    return pongd;
  }

  /** Starts pongd as start() does, but pongd may end instead of answering. */
  static async attempt(ns: Netns, ...args: Arguments): Promise<{ pongd: Pongd; answers: boolean }> {
    const [first, ...rest] = args;
    const pongd = typeof first === "object"
      ? new Pongd(ns, rest as string[], first.wrapper)
      : new Pongd(ns, args as string[]);
    const { stdout } = pongd.#child;
    try {
      await said(stdout, /^  metrics /m);
      return { pongd, answers: true };
    } catch (error) {
      if (!stdout.closed) throw error;
      return { pongd, answers: false };
    }
  }

  /** Starts pongd, and waits until it logs a line that matches. */
  static async logging(ns: Netns, pattern: RegExp, ...args: string[]): Promise<Pongd> {
    const pongd = new Pongd(ns, args);
    await pongd.logged(pattern);
    return pongd;
  }

  /** Starts a pongd that is expected to end by itself. */
  static fail(ns: Netns, ...args: string[]): Promise<Result> {
    return within(new Pongd(ns, args).#ended, `the end of pongd run ${args.join(" ")}`);
  }

  get pid(): number {
    return this.#child.pid ?? NaN;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Settles once pongd has ended, and says how. */
  get ended(): Promise<Result> {
    return this.#ended;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Result> {
    this.#child.kill(signal);
    return within(this.#ended, `the end of pongd by ${signal}`);
  }

  /** Gets a page of the metrics server. */
  async get(path: string): Promise<Response> {
    return this.#ns.http(`http://${this.#server}${path}`);
  }

  /** Returns the samples of /metrics, by name and labels as they are written there. */
  async metrics(): Promise<Map<string, number>> {
    const { body } = await this.get("/metrics");
    const samples = body.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      samples.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
    );
  }

  /** Waits until `condition` holds for the metrics. @throws Error when pongd ends first. */
  until(condition: (metrics: Map<string, number>) => boolean): Promise<Map<string, number>> {
    return poll(() => this.metrics(), condition);
  }

  /** Makes the next read of a packet fail in the last queue's worker. Returns when that has ended. Needs strace. */
  async crash(): Promise<void> {
    const { ended } = await this.inject(this.worker, FAULT);
    await ended;
  }

  /**
   * The last queue's thread. From Node.js 24 on threads have names, and the packet loops have theirs; before, it is the
   * last of the threads that were made.
   */
  get worker(): number {
    const threads = readdirSync(`/proc/${this.pid}/task`).filter(
      (thread) => /^(?:node|queue \d+)\n$/.test(readFileSync(`/proc/${this.pid}/task/${thread}/comm`, "utf8")),
    );
    return Math.max(...threads.map(Number));
  }

  /**
   * Makes the next such system call in this thread fail; `fault` is as in strace's `inject=`. Reads, writes and polls
   * fail only on the device: Node.js may do them to its own files at any time, and libuv aborts the process when some
   * of those fail. Needs strace.
   */
  async inject(thread: number, fault: string): Promise<Injection> {
    const device = /^(?:read|write|ppoll):/.test(fault) ? ["-P", "/dev/net/tun"] : [];
    const strace = this.#ns.spawn(
      "strace", "-p", String(thread), "-e", `trace=${fault.replace(/:.*/, "")}`, "-e", `inject=${fault}:when=1`,
      ...device,
    );
    const failed = said(strace.stderr, /\(INJECTED\)$/m);
    // Only over() reports whether the call failed.
    failed.catch(() => undefined);
    await said(strace.stderr, /\n/);
    return {
      get ended() {
        return ended(strace);
      },
      async over() {
        // A call that strace leaves in the middle fails with ENOSYS.
        await failed;
        strace.kill("SIGINT");
        await ended(strace);
      },
    };
  }

  /** Waits until the last queue's worker sleeps, for as long as nothing comes: in ppoll(2) of two descriptors. */
  async asleep(): Promise<void> {
    const call = `/proc/${this.pid}/task/${this.worker}/syscall`;
    await poll(() => Promise.resolve(readFileSync(call, "utf8")), (said) => /^\d+ 0x\w+ 0x2 0x0 0x0 /.test(said));
  }

  /** Waits until pongd logs a line that matches. */
  async logged(pattern: RegExp): Promise<void> {
    await said(this.#child.stderr, pattern, this.#stderr);
  }
}

export interface Injection {
  /** Fulfilled when the thread has ended. */
  readonly ended: Promise<unknown>;
  /** Ends the injection, once the call has failed. */
  over(): Promise<void>;
}

/** Looks again and again until `condition` holds for what it sees. @throws Error where it never does. */
export async function poll<T>(look: () => Promise<T>, condition: (seen: T) => boolean): Promise<T> {
  const end = performance.now() + MAX_WAIT_MS;
  for (;;) {
    const seen = await look();
    if (condition(seen)) return seen;
    if (performance.now() > end) {
      throw new Error(`still not as it should be after ${MAX_WAIT_MS / 1000} s: ${inspect(seen)}`);
    }
    // The process that this waits for needs the CPU too.
    await sleep(POLL_MS);
  }
}

/**
 * Waits until `text`, continued by what the stream says, matches the pattern, and returns all of it. @throws Error
 * where it never does.
 */
export async function said(stream: Readable, pattern: RegExp, text = ""): Promise<string> {
  const signal = AbortSignal.timeout(MAX_WAIT_MS);
  try {
    if (pattern.test(text)) return text;
    if (!stream.closed) for await (const [chunk] of on(stream, "data", { signal, close: ["close"] })) {
      text += String(chunk);
      if (pattern.test(text)) return text;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  throw new Error(`${signal.aborted ? `${MAX_WAIT_MS / 1000} s` : "ended"} without ${String(pattern)}: ${text}`);
}

/**
 * Waits until a program has ended and all that it wrote has come, and returns its status. @throws Error where that does
 * not happen.
 */
export async function ended(child: ChildProcess): Promise<number | null> {
  const closed = [child.stdout, child.stderr].every((stream) => stream?.closed ?? true);
  if (!closed || (child.exitCode ?? child.signalCode) === null) {
    await within(once(child, "close"), `the end of ${child.spawnargs.join(" ")}`, MAX_RUN_MS);
  }
  return child.exitCode;
}

/** Returns what `promise` resolves to. @throws Error where that takes longer than `ms` milliseconds. */
export function within<T>(promise: Promise<T>, what: string, ms = MAX_WAIT_MS): Promise<T> {
  const late = sleep(ms, undefined, { ref: false }).then(() => { throw new Error(`${ms / 1000} s without ${what}`); });
  return Promise.race([promise, late]);
}

/** Asserts that every packet was counted once, in figures that nobody adds to any more. */
export function addUp(metrics: Map<string, number>): void {
  const [received, ...verdicts] = [
    "pongd_packets_received_total", "pongd_replies_total", "pongd_packets_dropped_total", "pongd_fragments_held",
  ].map((name) => sum(metrics, name));
  const taken = [...metrics].filter(
    ([key]) => /^pongd_(tcp_segments|udp_handler_datagrams)_total\{direction="in"/.test(key),
  );
  const all = [...verdicts, ...taken.map(([, count]) => count)].reduce((a, b) => a + b);
  const came = received + sum(metrics, "pongd_link_copies_total");
  assert.equal(came, all, "received + copies = replied + dropped + held + taken by TCP and handlers");
}

/** Asserts that no counter went back. */
export function onlyUp(before: Map<string, number>, after: Map<string, number>): void {
  for (const [sample, value] of before) {
    if (/^pongd_\w+_total\b/.test(sample)) {
      assert.ok((after.get(sample) ?? -1) >= value, `${sample} goes back from ${value} to ${after.get(sample)}`);
    }
  }
}

/** Sums the samples whose name, labels aside, is `name`. */
export function sum(metrics: Map<string, number>, name: string): number {
  return [...metrics]
    .filter(([key]) => key.replace(/\{.*/, "") === name)
    .reduce((total, [, value]) => total + value, 0);
}
