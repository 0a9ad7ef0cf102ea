/**
 * Runs whole connections between a TCP of the tests' own and pongd's over a network that loses, repeats, delays and
 * damages packets (support/tcpscenario.ts). SEEDS=… says how many; SEED=… runs one again.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import "../support/process.js";
import { runScenario } from "../support/tcpscenario.js";

/** As many as take about a minute. */
const SEEDS = Number(process.env.SEEDS ?? 400);
/** The most failures that are told. */
const MAX_TOLD = 3;

const first = process.env.SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(process.env.SEED);
const count = process.env.SEED === undefined ? SEEDS : 1;

describe("streams over a bad network", () => {
  test(`${count} scenarios from seed ${first} on: each byte comes once and in order, and nothing is left`, async () => {
    const failures: string[] = [];
    for (let seed = first; seed < first + count && failures.length < MAX_TOLD; seed++) {
      await runScenario(seed).catch((error: unknown) => { failures.push((error as Error).message); });
    }
    assert.equal(failures.length, 0, failures.join("\n\n"));
  });
});
