/** Tests the package as users get it: packed, installed into an empty folder, and run from there. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { source } from "../support/assembly.js";
import "../support/process.js";

interface Packed {
  filename: string;
  files: { path: string }[];
}

describe("package", () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-package-"));
  after(() => { rmSync(dir, { recursive: true }); });
  // `prepare` has built it already. Building again during the tests would take their files away.
  const [packed] = JSON.parse(execFileSync(
    "npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", dir], { cwd: source(""), encoding: "utf8" },
  )) as [Packed];

  test("it holds the built host and module, and nothing of the tests", () => {
    const paths = packed.files.map(({ path }) => path);
    for (const path of [
      "package.json", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "build/src/cli.js",
      "build/src/daemon/worker.js", "build/src/web/page/page.js", "build/release.wasm", "build/release.js",
      "deploy/pongd.service", "deploy/pongd.yaml", "deploy/prometheus/prometheus.yml",
      "deploy/prometheus/pongd.rules.yml", "deploy/prometheus/pongd.alerts.yml", "deploy/grafana/pongd.json",
      "build/completion/pongd.bash", "build/completion/_pongd", "build/completion/pongd.fish", "build/man/pongd.1"]) {
      assert.ok(paths.includes(path), path);
    }
    const built = /^build\/((?:abi|src)\/.*\.js|completion\/(pongd\.(bash|fish)|_pongd)|man\/pongd\.1|release\.(wasm|js|d\.ts)|scalar\.wasm)$/;
    const written = /^(package\.json|(README|CHANGELOG|SECURITY)\.md|LICENSE|docs\/[\w/-]+\.(?:md|pml)|deploy\/[\w./-]+)$/;
    for (const path of paths) assert.match(path, path.startsWith("build/") ? built : written);
  });

  test("installed, it says its version and what is missing here", () => {
    writeFileSync(join(dir, "package.json"), JSON.stringify({ private: true }));
    execFileSync(
      "npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", join(dir, packed.filename)], { cwd: dir },
    );
    const { version } = JSON.parse(readFileSync(source("package.json"), "utf8")) as { version: string };
    const pongd = (...args: string[]) => spawnSync(
      join(dir, "node_modules/.bin/pongd"), args, { cwd: dir, encoding: "utf8" },
    );
    assert.equal(pongd("--version").stdout, `${version}\n`);
    const { status, stdout } = pongd("doctor");
    assert.match(stdout, /^ok {7}koffi loads its binary$/m);
    assert.equal(status, stdout.includes("missing") ? 4 : 0);
  });

  test("installed for everybody, its manual page is among the others", () => {
    execFileSync("npm", [
      "install", "--global", "--prefix", join(dir, "global"), "--no-audit", "--no-fund", "--ignore-scripts",
      join(dir, packed.filename),
    ], { cwd: dir });
    assert.equal(
      readFileSync(join(dir, "global/share/man/man1/pongd.1"), "utf8"),
      readFileSync(source("build/man/pongd.1"), "utf8"),
    );
  });

  test("no dependency runs a script that it needs: the install above ran none", () => {
    const lock = JSON.parse(readFileSync(source("package-lock.json"), "utf8")) as {
      packages: Record<string, { hasInstallScript?: boolean; dev?: boolean }>;
    };
    const scripted = Object.entries(lock.packages)
      .filter(([, { hasInstallScript, dev }]) => hasInstallScript && !dev)
      .map(([path]) => path);
    // koffi's install script is for platforms without a prebuilt binary. npm would warn of it, unless told that it
    // never runs.
    assert.deepEqual(scripted.filter((path) => path !== ""), ["node_modules/koffi"]);
    const { allowScripts } = JSON.parse(
      readFileSync(source("package.json"), "utf8"),
    ) as { allowScripts?: Record<string, boolean> };
    assert.deepEqual(allowScripts, { koffi: false });
  });
});
