/**
 * Compares pongd with Linux: the engine and a kernel with  ip route add local PREFIX dev lo  in a namespace of its
 * own (support/linux.ts) get the same packets, and their replies are compared with TTL, identification and
 * checksums set aside. vectors/differences.ts has what may differ. A second namespace, and a second policy, accept
 * source routes (E-7). A third one answers PROBE (PR-1).
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { SourceRoute } from "../../abi/tables.js";
import { source } from "../support/assembly.js";
import { BY_DEFAULT, Rig, type Treatment } from "../support/engines.js";
import { ended, needs, Netns } from "../support/netns.js";
import { interfacesOf } from "../support/probe.js";
import { comparable, groupBy, kind, type Reply } from "../support/replies.js";
import { DEPENDS_ON_MODULES, DIFFERENCES, type Difference } from "../vectors/differences.js";
import { HOST_CASES, PROBE_CASES, PROBED, SOURCE_ROUTE_CASES, type HostCase } from "../vectors/hosts.js";

const ALL = [...HOST_CASES, ...SOURCE_ROUTE_CASES, ...PROBE_CASES];

/** Bytes of each packet that a message shows. */
const SHOWN = 160;

interface Outcome extends HostCase {
  readonly linux: readonly Reply[];
  readonly pongd: readonly Reply[];
  /** The kinds of the replies, in words. */
  readonly kinds: string;
}

describe("Linux", needs(), () => {
  let outcomes: readonly Outcome[];
  before(async () => {
    outcomes = [
      ...await compare(HOST_CASES.filter(({ name }) => !DEPENDS_ON_MODULES.test(name)), BY_DEFAULT),
      ...await compare(
        SOURCE_ROUTE_CASES,
        { ...BY_DEFAULT, sourceRoute: SourceRoute.reverse },
        "net.ipv4.conf.all.accept_source_route=1",
      ),
      ...await compare(
        PROBE_CASES, { ...BY_DEFAULT, interfaces: interfacesOf(PROBED) }, "net.ipv4.icmp_echo_enable_probe=1",
      ),
    ];
  });

  test("every case has a name of its own", () => {
    assert.equal(new Set(ALL.map(({ name }) => name)).size, ALL.length);
  });

  test(`${ALL.length} cases: pongd answers as Linux does, or differs as vectors/differences.ts says`, () => {
    const others = outcomes.filter((outcome) => !asExpected(outcome, DIFFERENCES));
    if (others.length > 0) assert.fail(`${others.length} cases\n${report(others)}`);
  });

  for (const difference of DIFFERENCES) {
    test(`known: ${difference.what}: Linux ${difference.linux}; pongd ${difference.pongd}`, () => {
      const cases = outcomes.filter(({ name }) => difference.cases.test(name));
      assert.ok(cases.length > 0, "it names cases");
      const others = DIFFERENCES.filter((other) => other !== difference);
      assert.ok(
        cases.some((outcome) => !asExpected(outcome, others)), "without it nothing would be missing: delete it",
      );
    });
  }
});

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

async function compare(cases: readonly HostCase[], policy: Treatment, ...settings: string[]): Promise<Outcome[]> {
  const from = Date.now();
  const replies = await linux(cases, settings);
  const to = Date.now();
  const outcomes: Outcome[] = [];
  for (const [i, { name, packets }] of cases.entries()) {
    // Each case has an engine of its own, so that none meets
    // fragments that an earlier one left, or errors that it used up.
    const rig = await Rig.create("wasm", { mtu: 1500, policy });
    rig.now = from;
    const ours = packets.flatMap((packet) => rig.respond(packet));
    outcomes.push({
      name, packets, linux: comparable(replies[i], from, to), pongd: comparable(ours, from, to),
      kinds: `Linux: ${kind(replies[i])}, pongd: ${kind(ours)}`,
    });
  }
  return outcomes;
}

/** Returns Linux's replies to each case, with these settings. */
async function linux(cases: readonly HostCase[], settings: readonly string[]): Promise<Uint8Array[][]> {
  const ns = await Netns.open();
  try {
    const child = ns.spawn(process.execPath, source("build/test/support/linux.js"), ...settings);
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

function text(replies: readonly Reply[]): string {
  return replies.map(({ bytes, fault }) => hex(bytes) + (fault && ` (${fault})`)).join(" ");
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function shortened(line: string): string {
  return line.length > 2 * SHOWN ? `${line.slice(0, 2 * SHOWN)}…` : line;
}
