/**
 * `npm run soak -- [--minutes 20] [--rate 100000] [--window 10] [--json FILE]` runs pongd in a network namespace of its
 * own, with `--rate` packets a second through its device, another configuration every second, and a scrape every
 * second. It prints a line for each window of `--window` seconds. At the end it checks that:
 *
 *   - resident memory and open descriptors are no more in the last fifth than in the first one after the warm-up
 *   - no counter ever went back, every packet has one verdict, and no ping was lost but by an overrun
 *   - the 99.9th percentile of the round trips is no worse in the last fifth than in the first
 *
 * It ends with status 1 where one of these does not hold.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { affinity, setAffinity } from "../../src/bench/affinity.js";
import type { Latency } from "../../src/bench/report.js";
import type { SenderAnswer, Command, SenderInput } from "../../src/bench/sender.js";
import { median } from "../../src/bench/stats.js";
import * as libc from "../../src/sys/libc.js";
import { Netlink } from "../../src/tun/netlink.js";
import { CLONE_NEWNET } from "../../src/sys/uapi.js";
import { source } from "../support/assembly.js";

const DEVICE = "soak0";
const PAGE = "http://127.0.0.1:7664/metrics";
const PACKET_BYTES = 84;
/** Factors by which a median may grow, because of what else the machine does. */
const MEMORY = 1.05;
const LATENCY = 1.25;

interface Window extends Latency {
  /** The window's end, in seconds since the start. */
  readonly at: number;
  readonly packets: number;
  readonly memory: number;
  readonly descriptors: number;
  readonly reloads: number;
  /** Packets that the device's queue had no room for, for example because something else had the CPU for long. */
  readonly overruns: number;
}

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "20" }, rate: { type: "string", default: "100000" },
    window: { type: "string", default: "10" }, json: { type: "string" },
  },
});
const [minutes, rate, seconds] = [values.minutes, values.rate, values.window].map(Number);
if (!(minutes > 0 && rate > 0 && seconds > 0)) {
  process.stderr.write("soak: --minutes, --rate and --window are numbers above 0\n");
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "pongd-soak-"));
const problems = new Set<string>();
const windows: Window[] = [];
try {
  enterNamespace();
  await soak();
} finally {
  rmSync(folder, { recursive: true });
}

const early = windows.slice(Math.ceil(windows.length / 10));
const fifth = Math.max(1, Math.floor(early.length / 5));
const [first, last] = [early.slice(0, fifth), early.slice(-fifth)];
const compare = (name: string, most: number, value: (window: Window) => number) => {
  const [before, after] = [median(first.map(value)), median(last.map(value))];
  process.stdout.write(`${name}: ${format(before)} in the first fifth, ${format(after)} in the last\n`);
  if (after > before * most) problems.add(`${name} grew from ${format(before)} to ${format(after)}`);
};
process.stdout.write(
  `${windows.at(-1)?.packets ?? 0} packets, ${windows.at(-1)?.reloads ?? 0} reloads, `
  + `${windows.reduce((sum, { lost }) => sum + lost, 0)} of ${windows.reduce((sum, { count }) => sum + count, 0)} `
  + `pings lost\n`,
);
compare("resident memory, MB", MEMORY, ({ memory }) => memory / 1e6);
compare("descriptors", 1, ({ descriptors }) => descriptors);
compare("round trip p50, µs", LATENCY, ({ p50Us }) => p50Us);
compare("round trip p99.9, µs", LATENCY, ({ p999Us }) => p999Us);
for (const problem of problems) process.stdout.write(`does not hold: ${problem}\n`);
if (values.json !== undefined) {
  writeFileSync(values.json, JSON.stringify({ windows, problems: [...problems] }, undefined, 1));
}
process.exitCode = problems.size > 0 ? 1 : 0;

/** Enters a namespace of this process's own, where it may ping, and takes a CPU; the sender gets another. */
function enterNamespace(): void {
  libc.check(libc.unshare(CLONE_NEWNET), "unshare", "CLONE_NEWNET");
  const netlink = new Netlink();
  const loopback = netlink.link("lo");
  netlink.setLinkUp(loopback.index, loopback.mtu, 1000);
  writeFileSync("/proc/sys/net/ipv4/ping_group_range", `${process.getgid?.() ?? 0} ${process.getgid?.() ?? 0}`);
}

async function soak(): Promise<void> {
  const [senderCpu, ...others] = affinity();
  const own = others.at(-1);
  // Processes that this thread starts inherit its CPU.
  if (own !== undefined) setAffinity(own);
  let turn = 0;
  const file = join(folder, "pongd.yaml");
  const configure = () => {
    writeFileSync(`${file}.new`, configuration(turn++));
    renameSync(`${file}.new`, file);
  };
  configure();
  // pongd ends with this process, however that ends.
  const pongd = spawn("setpriv", [
    "--pdeathsig", "TERM", process.execPath, source("build/src/cli.js"), "run", "--config", file, "--device", DEVICE,
    "--log-level", "warn",
  ], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface(pongd.stdout)) if (line.startsWith("  metrics ")) break;
  pongd.stdout.resume();
  const workerData: SenderInput = { device: DEVICE, cpu: own === undefined ? undefined : senderCpu, seed: 1 };
  const sender = new Worker(new URL("../../src/bench/sender.js", import.meta.url), { workerData });
  const over = new AbortController();
  const busy = reloadAndScrape(over.signal, () => {
    configure();
    pongd.kill("SIGHUP");
  });
  const began = performance.now();
  try {
    while (performance.now() - began < minutes * 60_000) {
      sender.postMessage(
        { kind: "ping", packetBytes: PACKET_BYTES, seconds, packetsPerSecond: rate } satisfies Command,
      );
      const [answer] = await once(sender, "message") as [SenderAnswer];
      if ("error" in answer) throw new Error(answer.error);
      if (answer.kind !== "ping") throw new Error(`a ${answer.kind} where a ping was asked for`);
      const metrics = await scrape();
      const window: Window = {
        ...answer.ping, at: Math.round((performance.now() - began) / 1000), packets: sum(
          metrics, "pongd_packets_received_total",
        ),
        memory: sum(metrics, "process_resident_memory_bytes"), descriptors: sum(metrics, "process_open_fds"),
        reloads: turn - 1,
        overruns: sum(metrics, "pongd_device_tx_dropped_total"),
      };
      const overruns = window.overruns - (windows.at(-1)?.overruns ?? 0);
      windows.push(window);
      const { at, packets, packetsPerSecond, p50Us, p999Us, lost, memory, descriptors } = window;
      process.stdout.write(
        `${at} s: ${packets} packets, ${packetsPerSecond}/s, p50 ${format(p50Us)} µs, p99.9 ${format(p999Us)} µs, `
        + `${lost} lost, ${format(memory / 1e6)} MB, ${descriptors} descriptors, ${turn - 1} reloads, ${overruns} `
        + `overruns\n`,
      );
      if (lost > 0 && overruns === 0) problems.add("pings were lost, and no overrun was counted");
    }
    over.abort();
    await busy;
    await settle();
  } finally {
    over.abort();
    await sender.terminate();
    pongd.kill();
    const [status] = pongd.exitCode === null ? await once(pongd, "exit") as [number | null] : [pongd.exitCode];
    if (status !== 0) problems.add(`pongd ended with status ${status ?? "of a signal"}`);
  }
}

/** Changes the configuration and looks at all counters, once a second. */
async function reloadAndScrape(signal: AbortSignal, reload: () => void): Promise<void> {
  let before = new Map<string, number>();
  for (let due = performance.now(); !signal.aborted; due += 1000) {
    reload();
    const now = await scrape();
    for (const [sample, value] of now) {
      const earlier = before.get(sample);
      if (/^pongd_\w+_(?:total|count|sum|bucket)\b/.test(sample) && earlier !== undefined && value < earlier) {
        problems.add(`${sample} went back from ${earlier} to ${value}`);
      }
    }
    if (now.get("pongd_config_last_reload_successful") !== 1) problems.add("a reload failed");
    before = now;
    await sleep(Math.max(0, due + 1000 - performance.now()));
  }
}

/** Segments that TCP has taken, which is their verdict. */
const TAKEN = "pongd_tcp_segments_total{direction=\"in\"";

/** Notes a problem where a packet has not exactly one verdict, once nothing is under way. */
async function settle(): Promise<void> {
  const metrics = await scrape();
  const received = sum(metrics, "pongd_packets_received_total");
  const verdicts = sum(metrics, "pongd_replies_total") + sum(metrics, "pongd_packets_dropped_total")
    + sum(metrics, "pongd_fragments_held")
    + [...metrics].reduce((all, [key, count]) => key.startsWith(TAKEN) ? all + count : all, 0);
  if (received !== verdicts) problems.add(`${received} packets were received, and ${verdicts} have a verdict`);
}

async function scrape(): Promise<Map<string, number>> {
  const text = await (await fetch(PAGE)).text();
  return new Map([...text.matchAll(/^(\w+(?:\{.*\})?) (\S+)$/gm)].map(([, sample, value]) => [sample, Number(value)]));
}

function sum(metrics: Map<string, number>, name: string): number {
  return [...metrics]
    .filter(([sample]) => sample.replace(/\{.*/, "") === name)
    .reduce((total, [, value]) => total + value, 0);
}

/**
 * The prefixes that are pinged stay the same. Those around them come and go, few or a thousand, with limits or without.
 */
function configuration(turn: number): string {
  const more = turn % 3 === 0 ? 1 : turn % 3 === 1 ? 1000 : 40;
  const prefixes = Array.from({ length: more }, (_, i) => `  - prefix: 10.${100 + (i >> 8)}.${i & 255}.0/24\n    `
    + `name: other${i}\n${turn % 2 ? "    rate_limit: { rate: 1000 }\n" : ""}`);
  return `prefixes:\n  - prefix: 10.99.0.0/16\n    name: soak\n  - fd99::/64\n${prefixes.join("")}`;
}

function format(value: number): string {
  return value.toFixed(value < 100 ? 1 : 0);
}
