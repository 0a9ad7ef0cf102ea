/** Tests requests for reloads, and which of them one reload serves together. */
import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { pino } from "pino";
import { serviceManager } from "../../src/sys/notify.js";
import { Reloads } from "../../src/daemon/reload.js";
import "../support/process.js";

const manager = () => serviceManager(() => undefined);
const silent = pino({ level: "silent" });

test("a flood of requests, each in a callback of its own, is met by one reload, though that "
  + "fails at once", async () => {
  let count = 0;
  const reloads = new Reloads(() => {
    count++;
    throw new Error("wrong");
  }, silent, manager());
  // Signals that were sent while the last reload ran arrive like this.
  for (let i = 0; i < 100; i++) setImmediate(() => { reloads.request().catch(() => undefined); });
  for (let i = 0; i < 4; i++) await turn();
  assert.equal(count, 1);
  assert.equal(reloads.successful, false);
});

test("a request while a reload is under way is met by one that begins after it", async () => {
  const ends: (() => void)[] = [];
  const apply = () => new Promise<readonly string[]>((resolve) => {
    ends.push(() => { resolve([]); });
  });
  const reloads = new Reloads(apply, silent, manager());
  const first = reloads.request();
  for (let i = 0; i < 2; i++) await turn();
  const others = [reloads.request(), reloads.request()];
  assert.equal(ends.length, 1);
  ends[0]();
  await first;
  for (let i = 0; i < 3; i++) await turn();
  assert.equal(ends.length, 2);
  ends[1]();
  await Promise.all(others);
});
