/** Compares what pongd and Linux send back for the same packets, with a list of what may differ. */
import assert from "node:assert/strict";
import type { Difference } from "../vectors/differences.js";
import type { HostCase } from "../vectors/hosts.js";
import { source } from "./assembly.js";
import { ended, Netns } from "./netns.js";
import { comparable, groupBy, kind, type Reply } from "./replies.js";

/** Bytes of each packet that a message shows. */
const SHOWN = 160;

export interface Outcome extends HostCase {
  readonly linux: readonly Reply[];
  readonly pongd: readonly Reply[];
  /** The kinds of the replies, in words. */
  readonly kinds: string;
}

/** Who answers the packets of a case, at a time in milliseconds. */
type Answering = (packets: readonly Uint8Array[], at: number) => Promise<Uint8Array[]>;

export interface Oracle {
  /** The program in test/support/ that asks Linux, by kernel.ts, and what runs it. */
  readonly script: string;
  readonly wrapper?: readonly string[];
  readonly args?: readonly string[];
  /** Whether TTLs are compared. */
  readonly ttl?: boolean;
}

/** Has Linux and pongd answer the same cases. */
export async function compare(cases: readonly HostCase[], oracle: Oracle, pongd: Answering): Promise<Outcome[]> {
  const from = Date.now();
  const replies = await linux(cases, oracle);
  const to = Date.now();
  const outcomes: Outcome[] = [];
  for (const [i, { name, packets }] of cases.entries()) {
    const ours = await pongd(packets, from);
    outcomes.push({
      name, packets, linux: comparable(replies[i], from, to, oracle.ttl), pongd: comparable(ours, from, to, oracle.ttl),
      kinds: `Linux: ${kind(replies[i])}, pongd: ${kind(ours)}`,
    });
  }
  return outcomes;
}

/** Returns Linux's replies to each case. */
async function linux(
  cases: readonly HostCase[], { script, wrapper = [], args = [] }: Oracle,
): Promise<Uint8Array[][]> {
  const ns = await Netns.open();
  try {
    const [command, ...rest] = [...wrapper, process.execPath, source(`build/test/support/${script}.js`), ...args];
    const child = ns.spawn(command, ...rest);
    child.stdin.end(cases.map(({ packets }) => `${packets.map(hex).join(" ")}\n`).join(""));
    let [output, errors] = ["", ""];
    child.stdout.on("data", (chunk) => { output += String(chunk); });
    child.stderr.on("data", (chunk) => { errors += String(chunk); });
    assert.equal(await ended(child), 0, errors);
    const lines = output.split("\n").slice(0, -1);
    assert.equal(lines.length, cases.length);
    return lines.map(
      (line) => line.split(" ").filter(Boolean).map((packet) => new Uint8Array(Buffer.from(packet, "hex"))),
    );
  } finally {
    await ns.close();
  }
}

/** Fails for the cases in which pongd differs from Linux in what no difference says. */
export function assertExpected(outcomes: readonly Outcome[], differences: readonly Difference[]): void {
  const others = outcomes.filter((outcome) => !asExpected(outcome, differences));
  if (others.length > 0) assert.fail(`${others.length} cases\n${report(others)}`);
}

/** Fails unless the difference names cases that would be unexpected without it. */
export function assertNeeded(
  difference: Difference, outcomes: readonly Outcome[], differences: readonly Difference[],
): void {
  const cases = outcomes.filter(({ name }) => difference.cases.test(name));
  assert.ok(cases.length > 0, "it names cases");
  const others = differences.filter((other) => other !== difference);
  assert.ok(cases.some((outcome) => !asExpected(outcome, others)), "without it nothing would be missing: delete it");
}

/** True if pongd sends what Linux does, apart from the differences. */
function asExpected({ name, packets, linux, pongd }: Outcome, differences: readonly Difference[]): boolean {
  const expected = differences.filter(({ cases }) => cases.test(name))
    .reduce((replies, { sends }) => sends(replies, packets), linux);
  return text(expected) === text(pongd);
}

/**
 * Sums up hundreds of cases for a reader: for each class and kinds of replies how many there are, the first few's
 * names, and the first one in full.
 */
function report(outcomes: readonly Outcome[]): string {
  const groups = groupBy(outcomes, ({ name, kinds }) => `${name.split(": ")[0]}: ${kinds}`);
  return [...groups].map(([group, cases]) => {
    const [{ packets, linux, pongd }] = cases;
    const names = cases.slice(0, 8).map(({ name }) => name.slice(name.indexOf(": ") + 2)).join("; ");
    return `${group}: ${cases.length}: ${names}\n  sent  ${packets.map(hex).map(shortened).join(" ")}\n  Linux `
      + `${shortened(text(linux))}\n  pongd ${shortened(text(pongd))}\n`;
  }).join("");
}

function text(replies: readonly Reply[]): string {
  return replies.map(({ bytes, fault }) => hex(bytes) + (fault && ` (${fault})`)).join(" ");
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function shortened(line: string): string {
  return line.length > 2 * SHOWN ? `${line.slice(0, 2 * SHOWN)}…` : line;
}
