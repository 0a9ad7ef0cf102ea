/**
 * Runs pongd for real clients, in a namespace of its own, and has tcpdump record all that passes its device. At the end
 * tshark, which knows nothing of pongd, verifies every checksum of what pongd sent.
 */
import assert from "node:assert/strict";
import { execFile, type ChildProcessWithoutNullStreams } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { addUp, ended, Netns, poll, Pongd, said, sum } from "./netns.js";

const execute = promisify(execFile);

/** Commands that a session needs, beside its clients. */
export const RECORDERS = ["tcpdump", "tshark", "ping"];

/**
 * The data of the last ping, behind the 16 bytes that ping itself puts there. Once its request and reply are recorded,
 * everything before them is.
 */
const LAST = Buffer.from("pongd, last one.");

/** Fields in which tshark says 0 for a wrong checksum and 1 for a right one. */
const CHECKSUMS = ["ip", "icmp", "icmpv6", "udp", "tcp"].map((protocol) => `${protocol}.checksum.status`);
/**
 * What is in datagrams and segments is data: where no protocol is known by its port, tshark guesses one by the first
 * bytes, and finds one in a thousand of the probes that scamper fills at random malformed.
 */
const DATA = ["udp", "tcp"].flatMap((protocol) => ["-d", `${protocol}.port==0-65535,data`]);
/** Options for the checksums that tshark does not verify unless told to. */
const VERIFIED = ["ip", "udp", "tcp"].flatMap((protocol) => ["-o", `${protocol}.check_checksum:TRUE`]);

export interface Verdict {
  readonly packets: number;
  /** The number of checksums that are right. */
  readonly right: number;
  /** A line for each packet that is malformed or has a wrong checksum. */
  readonly faults: readonly string[];
}

/**
 * Returns what tshark thinks of the packets of a capture that
 * match `filter`, and of what the ICMP errors among them quote.
 */
export async function dissect(capture: Uint8Array, filter: string): Promise<Verdict> {
  const fields = ["frame.number", "_ws.malformed", "_ws.col.Info", ...CHECKSUMS];
  const dir = mkdtempSync(join(tmpdir(), "pongd-test-"));
  const file = join(dir, "capture");
  writeFileSync(file, capture);
  const { stdout } = await execute(
    "tshark",
    ["-r", file, "-n", ...DATA, ...VERIFIED, "-Y", filter, "-T", "fields", ...fields.flatMap((field) => ["-e", field])],
    { maxBuffer: 1 << 26 },
  );
  rmSync(dir, { recursive: true });
  let right = 0;
  const faults: string[] = [];
  const lines = stdout.split("\n").filter(Boolean);
  for (const line of lines) {
    const [number, malformed, info, ...statuses] = line.split("\t");
    const wrong = CHECKSUMS.filter((_, i) => statuses[i].split(",").includes("0"));
    right += statuses.flatMap((status) => status.split(",")).filter((status) => status === "1").length;
    if (malformed !== "" || wrong.length > 0) {
      faults.push(`frame ${number}: ${info}: ${[malformed && "malformed", ...wrong].filter(Boolean).join(", ")}`);
    }
  }
  return { packets: lines.length, right, faults };
}

export class Session {
  readonly #tcpdump: ChildProcessWithoutNullStreams;
  readonly #recorded: Buffer[] = [];

  private constructor(readonly ns: Netns, readonly pongd: Pongd, tcpdump: ChildProcessWithoutNullStreams) {
    this.#tcpdump = tcpdump;
    tcpdump.stdout.on("data", (chunk: Buffer) => { this.#recorded.push(chunk); });
  }

  /** Starts pongd, with options as Pongd.start() takes them, and the recording. */
  static async open(
    ...args: Parameters<typeof Pongd.start> extends [Netns, ...infer Rest] ? Rest : never
  ): Promise<Session> {
    const ns = await Netns.open();
    const pongd = await Pongd.start(ns, ...args);
    const tcpdump = ns.spawn(
      "tcpdump", "-i", "pong0", "-n", "-U", "--immediate-mode", "-B", "16384", "-Z", "root", "-w", "-",
    );
    const session = new Session(ns, pongd, tcpdump);
    await said(tcpdump.stderr, /listening on/);
    return session;
  }

  /** The MAC address that all of pongd's addresses have in TAP mode. */
  get mac(): string {
    return /mac address +(\S+)/.exec(this.pongd.stdout)?.[1] ?? "?";
  }

  /**
   * Ends the session, and asserts that `target` still answers, that every packet was counted once, that none
   * was refused, and that tshark finds nothing wrong with the packets that match `sent`. Those have to be all
   * that pongd sent.
   */
  async close(target: string, sent: string): Promise<Verdict> {
    // tcpdump may miss the last ping under load, so it is sent until it is recorded.
    await poll(() => this.ns.pings(1, "-s", "32", "-p", LAST.toString("hex"), target), () => this.#hasLast());
    this.#tcpdump.kill("SIGINT");
    await ended(this.#tcpdump);
    const metrics = await this.pongd.metrics();
    const { status } = await this.pongd.stop();
    await this.ns.close();

    addUp(metrics);
    assert.equal(sum(metrics, "pongd_write_errors_total"), 0);
    assert.equal(status, 0);
    const verdict = await dissect(Buffer.concat(this.#recorded), sent);
    assert.deepEqual(verdict.faults, []);
    assert.ok(verdict.right > 0, `${verdict.right} checksums are right, of ${verdict.packets} packets`);
    return verdict;
  }

  #hasLast(): boolean {
    const recorded = Buffer.concat(this.#recorded);
    const request = recorded.indexOf(LAST);
    return request !== -1 && recorded.indexOf(LAST, request + LAST.length) !== -1;
  }
}
