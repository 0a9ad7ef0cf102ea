/** Tests deploy/: the directives that systemd's unit has, and those that it must never have. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { source } from "../support/assembly.js";
import { bytesOf, directives, valuesOf as values } from "../support/unit.js";

test("the unit has neither of the directives that would break pongd", () => {
  const names = directives.map(([name]) => name);
  assert.ok(names.includes("ProtectSystem"));
  // V8 writes machine code and runs it. /dev/net/tun is a device. pongd answers on this network, not on a private one.
  // A user namespace has no power over this network.
  for (const name of ["MemoryDenyWriteExecute", "PrivateDevices", "PrivateNetwork", "PrivateUsers"]) {
    assert.ok(!names.includes(name), name);
  }
});

test("the unit has the one capability, which pongd is told to give up, and refuses system calls with an error", () => {
  assert.deepEqual(
    [values("AmbientCapabilities"), values("CapabilityBoundingSet")], [["CAP_NET_ADMIN"], ["CAP_NET_ADMIN"]],
  );
  assert.match(values("ExecStart")[0], /^pongd run .*--drop-privileges/);
  assert.deepEqual([values("Type"), values("NotifyAccess"), values("WatchdogSec")], [["notify"], ["main"], ["1"]]);
  assert.deepEqual(values("SystemCallErrorNumber"), ["EPERM"]);
  assert.equal(bytesOf("MemoryMax"), 2 ** 30);
});

test("the unit waits for the network, is tried for as long as it takes, and checks the file that it runs with "
  + "before a reload", () => {
  const value = (name: string) => values(name).join(" ");
  for (const name of ["After", "Wants"]) assert.match(value(name), /\bnetwork-online\.target\b/);
  assert.equal(value("StartLimitIntervalSec"), "0");
  assert.equal(value("Environment"), "PONGD_CONFIG=/etc/pongd.yaml");
  assert.doesNotMatch(value("ExecStart") + value("ExecReload"), /--config/);
  assert.match(value("ExecReload"), /^pongd check .*kill -HUP \$MAINPID$/);
});

test("the module that the unit cannot load is loaded at boot", () => {
  assert.match(readFileSync(source("deploy/modules-load.d/pongd.conf"), "utf8"), /^tun$/m);
});
