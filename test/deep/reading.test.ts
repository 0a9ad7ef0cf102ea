/** Tests what the rest of the process notices of a large file that is read in its thread: next to nothing. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure } from "../../src/base/failure.js";
import type { Given } from "../../src/config/given.js";
import { Reading } from "../../src/config/reading.js";
import { LinearMemory } from "../../src/engine/memory.js";
import type { PrefixList } from "../../src/prefix/list.js";

const COUNT = 100_000;
/** The most that this thread may compute, as a share of what all threads do. It is 2 % on an idle machine. */
const MAX_SHARE = 0.06;
/** The most bytes above those of an idle process. */
const MAX_RSS = 200 << 20;
const GIVEN: Given = { values: {}, names: {}, ignoreEcho: false, queueFds: undefined, example: undefined };

const lines = Array.from({ length: COUNT }, (_, i) => {
  const [rack, unit] = [Math.floor(i / 250), i % 250];
  const prefix = `10.${Math.floor(rack / 250)}.${rack % 250}.${unit}/32`;
  return `  - { prefix: ${prefix}, name: host-${i}, answer: [echo, timestamp], ttl: 64, comment: "rack ${rack}" }\n`;
}).join("");
const RIGHT = `prefixes:\n${lines}`;
const KINDS = {
  right: RIGHT,
  ampersand: `# customers & partners\n${RIGHT}`,
  wrong: RIGHT.replace("ttl: 64", "ttl: 300"),
  ports: `services: { ssh: { tcp: { banner: x } } }\n${RIGHT.replaceAll("ttl: 64", "tcp: { 22: ssh, 8000-8010: echo }")}`,
};

describe("a file of 100,000 prefixes, read again as by a reload", () => {
  let folder: string;
  before(() => { folder = mkdtempSync(join(tmpdir(), "pongd-reading-")); });
  after(() => { rmSync(folder, { recursive: true }); });

  for (const [kind, text] of Object.entries(KINDS)) {
    test(`${kind}: hardly any work in this thread, and little memory`, async () => {
      const file = join(folder, `${kind}.yaml`);
      writeFileSync(file, text);
      const linear = LinearMemory.create({ mtu: 1500, reassembly: 0, reloadable: true });
      // The daemon has read the file once when it is idle.
      let served = await reload(file, linear);
      const idle = await watched(() => delay(500));
      const reading = await watched(async () => { served = await reload(file, linear, served) ?? served; });
      assert.ok(reading.share < MAX_SHARE, `this thread did ${reading.share} of the work`);
      assert.ok(reading.rss < idle.rss + MAX_RSS, `${reading.rss >> 20} MiB, idle ${idle.rss >> 20} MiB`);
      assert.equal(served?.length, kind === "wrong" ? undefined : COUNT);
    });
  }
});

test("a file that has become a FIFO by the time that it is opened is refused: nobody waits for it", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "pongd-reading-"));
  context.after(() => { rmSync(folder, { recursive: true }); });
  const fifo = join(folder, "fifo");
  execFileSync("mkfifo", [fifo]);
  await assert.rejects(
    Reading.start({ name: "FILE", file: fifo, given: GIVEN, before: undefined }), /^Failure: FILE: not a regular file, /,
  );
});

/** Reads a file and has its table used. Returns what is served then, or undefined if the file is refused. */
async function reload(file: string, linear: LinearMemory, served?: PrefixList): Promise<PrefixList | undefined> {
  try {
    const reading = await Reading.start({ name: "FILE", file, given: GIVEN, before: served?.buffer });
    const { tables } = await reading.place({ hosts: [], others: [], memories: [linear.memory] });
    linear.use(tables[0]);
    await reading.end();
    return reading.options.serving.prefixes;
  } catch (error) {
    assert.ok(error instanceof Failure, String(error));
    assert.deepEqual(error.lines, ["FILE:2:74: prefixes[0].ttl is 300; expected a whole number from 1 to 255"]);
    return undefined;
  }
}

/** Returns what share of the computing this thread did, and the most memory in bytes, while something went on. */
async function watched(work: () => Promise<unknown>): Promise<{ share: number; rss: number }> {
  const [before, all] = [computedNs(), process.cpuUsage()];
  let rss = 0;
  const timer = setInterval(() => { rss = Math.max(rss, process.memoryUsage.rss()); }, 50);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  const { user, system } = process.cpuUsage(all);
  return { share: (computedNs() - before) / 1000 / (user + system), rss };
}

/** Returns for how long this thread has had a CPU. Unlike a delay, that is not due to what else the machine does. */
function computedNs(): number {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ")[0]);
}
