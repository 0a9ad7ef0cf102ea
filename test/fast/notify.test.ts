/** Tests sd_notify(3) against a socket like a service manager's. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { reloading, serviceManager } from "../../src/sys/notify.js";
import { NotifySocket } from "../support/notified.js";
import "../support/process.js";

const unexpected = (why: string) => { throw new Error(why); };

describe("notify", () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-notify-"));
  after(() => { rmSync(dir, { recursive: true }); });

  for (const path of [join(dir, "notify"), `@pongd-test-${process.pid}`]) {
    test(`${path.startsWith("@") ? "an abstract" : "a file's"} socket: one datagram a call, an `
      + "assignment a line", () => {
      const socket = new NotifySocket(path);
      const manager = serviceManager(unexpected, { NOTIFY_SOCKET: path });
      manager.notify({ READY: "1", STATUS: "answers 10.99.0.0/16\nand more" });
      manager.notify({ WATCHDOG: "1" });
      assert.deepEqual(socket.receive(), ["READY=1", "STATUS=answers 10.99.0.0/16 and more"]);
      assert.deepEqual(socket.receive(), ["WATCHDOG=1"]);
      assert.equal(socket.receive(), undefined);
      socket.close();
    });
  }

  test("the time of a reload is that of the monotonic clock, in microseconds", () => {
    const usec = () => Number(process.hrtime.bigint() / 1000n);
    const before = usec();
    const { RELOADING, MONOTONIC_USEC } = reloading();
    assert.equal(RELOADING, "1");
    assert.match(MONOTONIC_USEC, /^\d+$/);
    assert.ok(Number(MONOTONIC_USEC) >= before && Number(MONOTONIC_USEC) <= usec());
  });

  test("without NOTIFY_SOCKET nothing is said, and no watchdog is asked for", () => {
    const manager = serviceManager(unexpected, {});
    manager.notify({ READY: "1" });
    assert.equal(manager.watchdogMs, undefined);
    assert.equal(serviceManager(unexpected, { WATCHDOG_USEC: "1000000" }).watchdogMs, undefined);
  });

  for (const [what, path] of [
    ["nobody has bound", join(dir, "nobody")],
    ["is no address", "relative"],
    ["is an address of another kind", "vsock:2:1234"],
    ["is too long", `/${"x".repeat(108)}`],
    ["is no socket", "/dev/null"],
    ["is empty", "@"],
  ]) {
    test(`a socket that ${what}: no exception, no descriptor, one line however often it is tried`, () => {
      const lines: string[] = [];
      const manager = serviceManager((why) => lines.push(why), { NOTIFY_SOCKET: path });
      const open = () => readdirSync("/proc/self/fd").length;
      const before = open();
      for (let i = 0; i < 3; i++) manager.notify({ READY: "1" });
      assert.equal(open(), before);
      assert.equal(lines.length, 1);
      assert.ok(lines[0].includes(path), lines[0]);
    });
  }

  test("a manager that does not read does not hold it up", () => {
    const path = join(dir, "full");
    const socket = new NotifySocket(path);
    const lines: string[] = [];
    const manager = serviceManager((why) => lines.push(why), { NOTIFY_SOCKET: path });
    for (let i = 0; i < 10_000 && lines.length === 0; i++) manager.notify({ STATUS: String(i) });
    assert.match(lines[0], /EAGAIN/);
    socket.close();
  });

  test("the watchdog's time is this process's alone, in milliseconds", () => {
    const watchdog = (environment: NodeJS.ProcessEnv) => serviceManager(
      unexpected, { NOTIFY_SOCKET: "/run/notify", ...environment },
    ).watchdogMs;
    assert.equal(watchdog({ WATCHDOG_USEC: "10000000" }), 10_000);
    assert.equal(watchdog({ WATCHDOG_USEC: "10000000", WATCHDOG_PID: String(process.pid) }), 10_000);
    assert.equal(watchdog({ WATCHDOG_USEC: "10000000", WATCHDOG_PID: "1" }), undefined);
    for (const WATCHDOG_USEC of ["", "0", "-1", "soon"]) assert.equal(watchdog({ WATCHDOG_USEC }), undefined);
  });
});
