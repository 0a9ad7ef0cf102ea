/**
 * Plays the scripts of TCP to Linux (support/tcplinux.ts): what pongd does there, Linux has to do as well, but for the
 * differences in vectors/tcp/differences.ts. So a script that only repeats what the engine happens to do is found out.
 * Besides, Linux's sockets are the peers of the engine over a bad path (support/tcppath.ts).
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { source } from "../support/assembly.js";
import { ended, needs, Netns } from "../support/netns.js";
import "../support/process.js";
import { SCRIPTS } from "../vectors/tcp/scripts.js";
import { TCP_DIFFERENCES } from "../vectors/tcp/differences.js";

/** Bad paths that are tried; about 3 s each. */
const SEEDS = 4;

interface Outcome {
  readonly name: string;
  readonly family: number;
  readonly fault: string | null;
}

describe("scripts of TCP, played to Linux", needs(), () => {
  let outcomes: readonly Outcome[];
  before(async () => {
    outcomes = await playToLinux();
  });

  test("every script has a name of its own", () => {
    assert.equal(new Set(SCRIPTS.map(({ name }) => name)).size, SCRIPTS.length);
  });

  test("Linux does what pongd does, or differs as vectors/tcp/differences.ts says", () => {
    assert.ok(outcomes.length > 100, `${outcomes.length} scripts were played`);
    const others = outcomes.filter(({ name, fault }) => {
      return fault !== null && !TCP_DIFFERENCES.some(({ scripts }) => scripts.test(name));
    });
    if (others.length > 0) assert.fail(others.map(({ name, family, fault }) => `IPv${family}: ${name}\n${fault}`).join("\n\n"));
  });

  for (const { what, linux, pongd, scripts } of TCP_DIFFERENCES) {
    test(`known: ${what}: Linux ${linux}; pongd ${pongd}`, () => {
      const named = outcomes.filter(({ name }) => scripts.test(name));
      assert.ok(named.some(({ fault }) => fault !== null), "without it nothing would be missing: delete it");
    });
  }
});

describe("streams to and from Linux's sockets", needs(), () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    test(`each byte comes once and in order over a bad path, of seed ${seed}, and nothing is left (I8)`, async () => {
      await inNamespace("tcppath", String(seed));
    });
  }
});

async function playToLinux(): Promise<Outcome[]> {
  const output = await inNamespace("tcplinux");
  return output.trim().split("\n").map((line) => JSON.parse(line) as Outcome);
}

/** Runs a script of support/ in a namespace of its own, and returns what it prints. */
async function inNamespace(script: string, ...args: readonly string[]): Promise<string> {
  const ns = await Netns.open();
  try {
    const child = ns.spawn(process.execPath, source(`build/test/support/${script}.js`), ...args);
    let [output, errors] = ["", ""];
    child.stdout.on("data", (chunk) => { output += String(chunk); });
    child.stderr.on("data", (chunk) => { errors += String(chunk); });
    assert.equal(await ended(child), 0, errors);
    return output;
  } finally {
    await ns.close();
  }
}
