/**
 * Tests the support of the tests: programs of one name are told apart, waits end, test files end, and no setting of the
 * user's gets in.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, describe, test } from "node:test";
import { needsCommands, said } from "../support/netns.js";
import { missing } from "../support/programs.js";

const dir = mkdtempSync(join(tmpdir(), "pongd test "));
const { PATH = "" } = process.env;
after(() => { rmSync(dir, { recursive: true }); });

describe("a program", () => {
  /** Installs a program of that name, first in PATH, that prints `says` whatever its arguments. */
  const install = (name: string, says: string) => {
    writeFileSync(join(dir, name), `#!/bin/sh\necho "${says}"\n`, { mode: 0o755 });
    process.env.PATH = `${dir}:${PATH}`;
  };
  after(() => { process.env.PATH = PATH; });

  for (const [name, which, other] of [
    ["arping", "arping by Thomas Habets", "arping from iputils 20221126"],
    ["ping", "ping of iputils", "ping (GNU inetutils) 2.4"],
    ["traceroute", "traceroute by Dmitry Butskoy", "traceroute (GNU inetutils) 2.4"],
    ["openssl", "OpenSSL 3 or newer", "OpenSSL 1.1.1w  11 Sep 2023"],
    ["systemd-analyze", "systemd-analyze of systemd 252 or newer", "systemd 249 (249.11-0ubuntu3.16)"],
  ]) {
    test(`${name} that is another is missing, and the reason names both`, () => {
      install(name, other);
      assert.equal(missing(name), `${which} (${dir}/${name} is another)`);
    });
  }

  test("the one that is needed is not missing, and one that does not exist is", () => {
    install("tracepath", "tracepath from iputils 20221126");
    assert.deepEqual(["tracepath", "sh", "no-such-program"].map(missing), [undefined, undefined, "no-such-program"]);
    assert.deepEqual(needsCommands("tracepath", "sh"), { skip: false });
  });
});

test("said() has all that came up to what it waits for, and fails at the end of what never says it", async () => {
  assert.equal(await said(Readable.from(["on", "e\n", "two\n"]), /one/), "one\n");
  assert.equal(await said(Readable.from(["two\n"]), /one/, "one\n"), "one\n");
  await assert.rejects(said(Readable.from(["one\n"]), /two/), /ended without \/two\/: one/);
});

test("a file whose test fails ends, whatever it leaves open, and says what; no test sees the user's settings", () => {
  const file = join(dir, "left.test.mjs");
  writeFileSync(file, `import { createServer } from "node:net";
import { test } from "node:test";
import ${JSON.stringify(new URL("../support/process.js", import.meta.url).href)};
test("left", () => {
  createServer().listen(0, "127.0.0.1");
  throw new Error(JSON.stringify([process.env.PONGD_MTU, process.env.FORCE_COLOR, process.env.LC_ALL, process.env.LANG, process.umask()]));
});
`);
  // With this variable, node --test would take itself for a nested runner, and run nothing.
  const env = {
    ...process.env, NODE_TEST_CONTEXT: undefined, PONGD_MTU: "9000", FORCE_COLOR: "1", LC_ALL: "de_DE.UTF-8",
  };
  const { status, stdout } = spawnSync("sh", ["-c", "umask 077; exec \"$@\"", "sh", process.execPath, "--test", file], {
    env, encoding: "utf8", timeout: 120_000,
  });
  assert.equal(status, 1);
  assert.ok(stdout.includes(JSON.stringify([null, null, null, "C.UTF-8", 0o022])), stdout);
  assert.match(stdout, /still open 10 s after the last test: .*TCP/);
});
