/**
 * Runs a pongd with every TCP service for real clients, in a namespace of its own, and has tcpdump record what passes
 * its device. At the end tshark and tcptrace examine what passed, and the kernel says how its clients fared.
 */
import assert from "node:assert/strict";
import { execFile, type ChildProcessWithoutNullStreams } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { addUp, ended, Netns, Pongd, said, sum } from "./netns.js";

const execute = promisify(execFile);

/** Commands that a session needs, beside its clients. */
export const TCP_RECORDERS = ["tcpdump", "tshark", "tcptrace", "nstat", "sysctl"];

/** Matches the packets on the device that pongd sent, and not what those quote. */
const SENT = "((ip.src#1 == 10.99.0.0/16 && ip.src#1 != 10.99.0.1) || (ipv6.src#1 == fd99::/64 && "
  + "ipv6.src#1 != fd99::1))";

/** Bytes of the reply on port 81. */
export const LARGE = 100_000;

const PREFIXES = ["10.99.0.0/16", "fd99::/64"];

const CONFIG = `
prefixes: [${PREFIXES.join(", ")}]
services:
  ssh: { tcp: { banner: "SSH-2.0-OpenSSH_9.6\\r\\n" } }
  small: { tcp: { reply: small.http, after: "\\r\\n\\r\\n" } }
  large: { tcp: { reply: large.http, after: "\\r\\n\\r\\n" } }
tcp: { 7: echo, 9: discard, 19: chargen, 22: ssh, 23: tarpit, 80: small, 81: large, 100: silent }
`;

/** ab keeps a connection only where the response says so. */
const response = (body: string) =>
  `HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

interface Options {
  /**
   * Whether the clients offer SACK. Without it pongd sends no tail loss probes, which come where a busy machine keeps a
   * client from acknowledging for some milliseconds: nothing at all is then sent twice.
   */
  readonly sack: boolean;
  /** Packets that are recorded, and bytes of each. */
  readonly packets: number;
  readonly snapLen: number;
}

export class TcpSession {
  readonly #dir: string;
  readonly #tcpdump: ChildProcessWithoutNullStreams;

  private constructor(readonly ns: Netns, readonly pongd: Pongd, dir: string, tcpdump: ChildProcessWithoutNullStreams) {
    this.#dir = dir;
    this.#tcpdump = tcpdump;
  }

  /** Starts pongd, with further arguments of pongd run, and the recording. */
  static async open({ sack, packets, snapLen }: Options, ...args: readonly string[]): Promise<TcpSession> {
    const dir = mkdtempSync(join(tmpdir(), "pongd-tcp-"));
    writeFileSync(join(dir, "pongd.yaml"), CONFIG);
    writeFileSync(join(dir, "small.http"), response("ok\n"));
    writeFileSync(join(dir, "large.http"), response("x".repeat(LARGE)));
    const ns = await Netns.open();
    // The clients' kernel sends no probes either, and waits for pongd on a busy machine: what it sends again was lost.
    await ns.ok("sysctl", "-qw", "net.ipv4.tcp_early_retrans=0", `net.ipv4.tcp_sack=${sack ? 1 : 0}`);
    const pongd = await Pongd.start(ns, "--config", join(dir, "pongd.yaml"), ...args);
    for (const prefix of PREFIXES) await ns.ok("ip", "route", "change", prefix, "dev", "pong0", "rto_min", "60s");
    // The buffer has room for all of them, so none is missing among those that are recorded.
    const tcpdump = ns.spawn(
      "tcpdump", "-i", "pong0", "-n", "--immediate-mode", "-Z", "root", "-B", "65536", "-s", String(snapLen), "-c",
      String(packets), "-w", join(dir, "capture"), "tcp",
    );
    const session = new TcpSession(ns, pongd, dir, tcpdump);
    await said(tcpdump.stderr, /listening on/);
    return session;
  }

  /** Returns a path for a file that goes away with the session. */
  file(name: string): string {
    return join(this.#dir, name);
  }

  /** Returns all counters of the namespace's kernel, by name. */
  async kernel(): Promise<Map<string, number>> {
    const lines = (await this.ns.ok("nstat", "-asz")).split("\n").slice(1).filter(Boolean);
    return new Map(lines.map((line) => line.split(/\s+/)).map(([name, count]) => [name, Number(count)]));
  }

  /** Asserts that pongd has counted each packet once, stops it, and returns its last metrics. */
  async stop(): Promise<Map<string, number>> {
    if (this.#tcpdump.exitCode === null) this.#tcpdump.kill("SIGINT");
    await ended(this.#tcpdump);
    const metrics = await this.pongd.metrics();
    const { status, stderr } = await this.pongd.stop();
    await this.ns.close();
    addUp(metrics);
    assert.equal(sum(metrics, "pongd_write_errors_total"), 0);
    assert.deepEqual([status, stderr.split("\n").filter((line) => !line.startsWith("answered "))], [0, [""]]);
    return metrics;
  }

  /**
   * Returns how many segments of pongd's were recorded, and a line for each in which tshark finds one of these fields,
   * once it is stopped. What is malformed is always among them.
   */
  async judge(...fields: readonly string[]): Promise<{ packets: number; faults: string[] }> {
    const all = ["_ws.malformed", ...fields];
    const { stdout } = await execute("tshark", [
      "-r", this.file("capture"), "-n", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
      "-Y", `${SENT} && tcp`, "-T", "fields",
      ...["frame.number", "_ws.col.Info", ...all].flatMap((field) => ["-e", field]),
    ], { maxBuffer: 1 << 26 });
    const lines = stdout.split("\n").filter(Boolean).map((line) => line.split("\t"));
    const faults = lines.flatMap(([frame, info, ...values]) => {
      // The status of a checksum is 1 where it is right.
      const found = all.filter((field, i) => field.endsWith(".status") ? values[i] === "0" : values[i] !== "");
      return found.length === 0 ? [] : [`frame ${frame}: ${info}: ${found.join(", ")}`];
    });
    return { packets: lines.length, faults };
  }

  /**
   * Returns how many connections tcptrace finds in the recording, once it is stopped, and a line for each of these
   * fields that is not 0 in one of them. A field's name ends with `_a2b` for what the client sent, with `_b2a` for
   * pongd.
   */
  async trace(...fields: readonly string[]): Promise<{ connections: number; faults: string[] }> {
    const { stdout } = await execute("tcptrace", ["--csv", "-l", "-n", this.file("capture")], { maxBuffer: 1 << 26 });
    // Comments come before the names of the fields.
    const [names, ...rows] = stdout.split("\n").filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.split(",").map((cell) => cell.trim()));
    const faults = rows.flatMap((row) => fields.flatMap((field) => {
      const value = row[names.indexOf(field)];
      return value === "0" ? [] : [`${row[1]}:${row[3]} to ${row[2]}:${row[4]}: ${field} ${value}`];
    }));
    return { connections: rows.length, faults };
  }

  clean(): void {
    rmSync(this.#dir, { recursive: true });
  }
}
