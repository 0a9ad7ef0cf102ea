/**
 * Runs whole connections between a TCP of the tests' own and pongd's over a network that loses, repeats, delays and
 * damages packets (support/tcpscenario.ts). SEEDS=… says how many and SEED=… from which on; with SEED=random others
 * each time.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import "../support/process.js";
import { runScenario } from "../support/tcpscenario.js";

const SEEDS = Number(process.env.SEEDS ?? 200);
/** The most failures that are told. */
const MAX_TOLD = 3;

const { SEED = "1" } = process.env;
const first = SEED === "random" ? Math.floor(Math.random() * 2 ** 31) : Number(SEED);

describe("streams over a bad network", () => {
  test(`${SEEDS} scenarios from seed ${first} on: each byte comes once and in order, and nothing is left`, async () => {
    const failures: string[] = [];
    for (let seed = first; seed < first + SEEDS && failures.length < MAX_TOLD; seed++) {
      await runScenario(seed).catch((error: unknown) => { failures.push((error as Error).message); });
    }
    assert.equal(failures.length, 0, failures.join("\n\n"));
  });
});
