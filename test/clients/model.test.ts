/** Has spin check the model of streams, docs/develop/models/streams.pml, and find each mutation of it. */
import "../support/process.js";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { source } from "../support/assembly.js";
import { needsCommands } from "../support/netns.js";

const MODEL = source("docs/develop/models/streams.pml");

/** Sizes that are small enough to visit everything. */
const TWO_THREADS = "THREAD_COUNT=2 STREAMS=2 BYTES=0 NO_TIMERS";
const ONE_BYTE = "THREAD_COUNT=1 STREAMS=2 BYTES=1";
const TWO_BLOCKS = "THREAD_COUNT=1 STREAMS=2 BLOCKS=2 BYTES=0";
const ONE_PAGE = "THREAD_COUNT=1 STREAMS=1 BYTES=0 PAGES=1 WRITES=2";
const NO_PAGE = "THREAD_COUNT=1 STREAMS=1 BYTES=3 WRITES=1";
const DEATH = "THREAD_COUNT=1 STREAMS=2 BYTES=0 KILLS=1";
const CRASH = "THREAD_COUNT=1 STREAMS=2 BYTES=0 CRASHES=1";
const DEATH_AND_CRASH = "THREAD_COUNT=1 STREAMS=1 BYTES=0 KILLS=1 CRASHES=1";

/** Where each mutation is to be found. */
const MUTATIONS: Readonly<Record<string, string>> = {
  BAD_ORDERED_AFTER: ONE_BYTE,
  BAD_ASLEEP_AFTER: ONE_BYTE,
  BAD_DOZES_AFTER: ONE_BYTE,
  BAD_NOBODY_WAKES: ONE_BYTE,
  BAD_IN_NEWS_AFTER: ONE_BYTE,
  BAD_IN_ORDERS_AFTER: "THREAD_COUNT=1 STREAMS=2 BYTES=2",
  BAD_IN_NEWS_CLEARED: ONE_BYTE,
  BAD_IN_NEWS_STAYS: DEATH,
  BAD_NO_THREAD: TWO_THREADS,
  BAD_NO_NUMBER: ONE_BYTE,
  BAD_NUMBER_ONCE: ONE_BYTE,
  BAD_TELL_LET_GO: ONE_BYTE,
  BAD_HUNGERS_TWICE: NO_PAGE,
  BAD_NOT_LENT_AGAIN: ONE_PAGE,
  BAD_NO_SWEEP_AGAIN: DEATH,
  BAD_NO_EPOCH_SEEN: CRASH,
  BAD_TAKEN_STAYS: CRASH,
  BAD_CRASH_UNTOLD: CRASH,
  BAD_ENDING_FORGOTTEN: DEATH_AND_CRASH,
  BAD_ORDERED_FORGOTTEN: DEATH_AND_CRASH,
};

/** Megabytes that a search may take; it fails when it needs more. */
const MAX_MEMORY = 1500;

describe("the model of streams", needsCommands("spin", "gcc"), () => {
  const folder = mkdtempSync(join(tmpdir(), "pongd-model-"));
  after(() => { rmSync(folder, { recursive: true }); });

  function run(command: string, ...args: readonly string[]): string {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: "utf8" });
    assert.equal(status, 0, `${command}: ${stdout}${stderr}`);
    return stdout;
  }

  /**
   * Searches all of the model, for cycles or for errors. Returns how many errors there are, at most one. A mutation is
   * found soon: compiling takes longer than the search.
   */
  function search(sizes: string, what: "errors" | "cycles" | "mutation" = "errors"): number {
    run("spin", "-a", ...sizes.split(" ").map((size) => `-D${size}`), MODEL);
    const kind = what === "cycles" ? "-DNP" : "-DSAFETY";
    const level = what === "mutation" ? "-O0" : "-O1";
    run("gcc", level, "-w", kind, "-DNOFAIR", "-DCOLLAPSE", "-DVECTORSZ=4096", `-DMEMLIM=${MAX_MEMORY}`, "-o", "pan",
      "pan.c");
    const said = run("./pan", "-m1000000", "-w22", "-n", ...what === "cycles" ? ["-l"] : []);
    const [, errors] = /errors: (\d+)/.exec(said) ?? assert.fail(said);
    // A search that finds an error ends there.
    if (errors === "0") assert.doesNotMatch(said, /Search not completed|max search depth too small|out of memory/, said);
    return Number(errors);
  }

  // The other sizes take a few seconds each, and two threads a minute: see the page about it.
  for (const sizes of [
    ONE_BYTE, TWO_BLOCKS, ONE_PAGE, NO_PAGE, DEATH, CRASH, DEATH_AND_CRASH,
  ]) test(`${sizes}: spin finds nothing`, () => { assert.equal(search(sizes), 0); });

  test("no run goes on for ever", () => {
    for (const sizes of ["THREAD_COUNT=1 STREAMS=1 BYTES=1", ONE_PAGE]) assert.equal(search(sizes, "cycles"), 0);
  });

  for (const [mutation, sizes] of Object.entries(MUTATIONS)) test(`${mutation} is found`, () => {
    assert.equal(search(`${sizes} ${mutation}`, "mutation"), 1);
  });

  test("the page about it has each mutation, and so has the model", () => {
    const named = (text: string) => [...new Set(text.match(/\bBAD_[A-Z_]+/g))].sort();
    const known = Object.keys(MUTATIONS).sort();
    assert.deepEqual(named(readFileSync(source("docs/develop/models/README.md"), "utf8")), known);
    assert.deepEqual(named(readFileSync(MODEL, "utf8")), known);
  });
});
