/** deploy/: what systemd thinks of the unit, and what it must never have. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { source } from "../support/assembly.js";
import { needsCommands } from "../support/netns.js";

const UNIT = source("deploy/pongd.service");

/** Its directives, whatever section they are in. */
const directives = readFileSync(UNIT, "utf8").split("\n")
  .map((line) => /^(\w+)=(.*)$/.exec(line))
  .flatMap((match) => match ? [[match[1], match[2]]] : []);

describe("deploy/pongd.service", needsCommands("systemd-analyze"), () => {
  test("its exposure level is 1.6 at most", () => {
    const { stdout, stderr } = spawnSync("systemd-analyze", ["security", "--offline=true", "--no-pager", UNIT], { encoding: "utf8", env: { ...process.env, LC_ALL: "C.UTF-8" } });
    const level = /Overall exposure level for pongd\.service: ([\d.]+)/.exec(stdout)?.[1];
    assert.ok(Number(level) <= 1.6, level ?? stderr);
  });

  test("systemd finds nothing wrong with it", () => {
    const dir = mkdtempSync(join(tmpdir(), "pongd-deploy-"));
    // The command is not installed here.
    const copy = join(dir, "pongd.service");
    writeFileSync(copy, readFileSync(UNIT, "utf8").replace(/^(ExecStart|ExecReload)=pongd /gm, "$1=/bin/true "));
    const socket = join(dir, "pongd.socket");
    writeFileSync(socket, readFileSync(source("deploy/pongd.socket"), "utf8"));
    // The unit is verified together with those that it pulls in. Only this target has to exist; this machine's units are not judged.
    writeFileSync(join(dir, "sysinit.target"), "[Unit]\n");
    const env = { ...process.env, SYSTEMD_UNIT_PATH: dir };
    const { status, stderr, stdout } = spawnSync("systemd-analyze", ["verify", "--man=no", copy, socket], { encoding: "utf8", env });
    rmSync(dir, { recursive: true });
    assert.equal(stdout + stderr, "");
    assert.equal(status, 0);
  });
});

test("the unit has neither of the directives that would break pongd", () => {
  const names = directives.map(([name]) => name);
  assert.ok(names.includes("ProtectSystem"));
  // V8 writes machine code and runs it; /dev/net/tun is a device; it is this network that is answered on; a user namespace has no say over it.
  for (const name of ["MemoryDenyWriteExecute", "PrivateDevices", "PrivateNetwork", "PrivateUsers"]) assert.ok(!names.includes(name), name);
});

test("the unit has the one capability, which pongd is told to give up, and refuses system calls with an error", () => {
  const values = (name: string) => directives.filter(([given]) => given === name).map(([, value]) => value);
  assert.deepEqual([values("AmbientCapabilities"), values("CapabilityBoundingSet")], [["CAP_NET_ADMIN"], ["CAP_NET_ADMIN"]]);
  assert.match(values("ExecStart")[0], /^pongd run .*--drop-privileges/);
  assert.deepEqual([values("Type"), values("NotifyAccess"), values("WatchdogSec")], [["notify"], ["main"], ["10"]]);
  assert.deepEqual(values("SystemCallErrorNumber"), ["EPERM"]);
});

test("the unit waits for the network, is tried for as long as it takes, and checks the file that it runs with before a reload", () => {
  const values = (name: string) => directives.filter(([given]) => given === name).map(([, value]) => value).join(" ");
  for (const name of ["After", "Wants"]) assert.match(values(name), /\bnetwork-online\.target\b/);
  assert.equal(values("StartLimitIntervalSec"), "0");
  assert.equal(values("Environment"), "PONGD_CONFIG=/etc/pongd.yaml");
  assert.doesNotMatch(values("ExecStart") + values("ExecReload"), /--config/);
  assert.match(values("ExecReload"), /^pongd check .*kill -HUP \$MAINPID$/);
});

test("the module that the unit cannot load is loaded at boot", () => {
  assert.match(readFileSync(source("deploy/modules-load.d/pongd.conf"), "utf8"), /^tun$/m);
});
