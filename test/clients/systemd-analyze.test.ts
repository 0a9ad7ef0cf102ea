/** Tests what systemd-analyze thinks of the unit in deploy/. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { source } from "../support/assembly.js";
import { needsCommands } from "../support/netns.js";

const UNIT = source("deploy/pongd.service");

describe("deploy/pongd.service", needsCommands("systemd-analyze"), () => {
  test("its exposure level is 1.6 at most", () => {
    const { stdout, stderr } = spawnSync(
      "systemd-analyze",
      ["security", "--offline=true", "--no-pager", UNIT],
      { encoding: "utf8", env: { ...process.env, LC_ALL: "C.UTF-8" } },
    );
    const level = /Overall exposure level for pongd\.service: ([\d.]+)/.exec(stdout)?.[1];
    assert.ok(Number(level) <= 1.6, level ?? stderr);
  });

  test("systemd finds nothing wrong with it", () => {
    const dir = mkdtempSync(join(tmpdir(), "pongd-deploy-"));
    // The command is not installed here, so another takes its place.
    const copy = join(dir, "pongd.service");
    writeFileSync(copy, readFileSync(UNIT, "utf8").replace(/^(ExecStart|ExecReload)=pongd /gm, "$1=/bin/true "));
    const socket = join(dir, "pongd.socket");
    writeFileSync(socket, readFileSync(source("deploy/pongd.socket"), "utf8"));
    // systemd verifies the unit together with those that it pulls in. Only this target has to exist; this machine's
    // units are not judged.
    writeFileSync(join(dir, "sysinit.target"), "[Unit]\n");
    const env = { ...process.env, SYSTEMD_UNIT_PATH: dir };
    const { status, stderr, stdout } = spawnSync(
      "systemd-analyze", ["verify", "--man=no", copy, socket], { encoding: "utf8", env },
    );
    rmSync(dir, { recursive: true });
    assert.equal(stdout + stderr, "");
    assert.equal(status, 0);
  });
});
