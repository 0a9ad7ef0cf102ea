/** Tests the components of pongd, and that its build is the same anywhere. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { source } from "../support/assembly.js";
import "../support/process.js";

interface Component {
  name: string;
  version: string;
  hashes?: { alg: string; content: string }[];
  licenses: { license: { id: string } }[];
}

const { components } = JSON.parse(
  execFileSync("npm", ["run", "--silent", "sbom"], { cwd: source(""), encoding: "utf8" }),
) as { components: Component[] };

test("npm run sbom: it names what is installed with pongd, each with its hash, and nothing of what builds it", () => {
  const { packages } = JSON.parse(readFileSync(source("package-lock.json"), "utf8")) as {
    packages: Record<string, { version: string; integrity: string; dev?: boolean; optional?: boolean }>;
  };
  const shipped = Object.entries(packages).filter(([path, { dev }]) => path !== "" && !dev);
  const listed = new Map(components.map((component) => [component.name, component]));
  for (const [path, { version, integrity, optional }] of shipped) {
    const component = listed.get(path.replace(/^.*node_modules\//, ""));
    // Only the koffi binary for this platform is installed.
    if (!component && optional) continue;
    assert.equal(component?.version, version, path);
    assert.equal(
      component.hashes?.[0]?.content, Buffer.from(integrity.replace(/^sha512-/, ""), "base64").toString("hex"), path,
    );
  }
  assert.ok(listed.size > 20 && listed.size <= shipped.length);
});

test("docs/dependencies.md: it has every package that is installed, with its licence, and no other", () => {
  const rows = [...readFileSync(source("docs/dependencies.md"), "utf8").matchAll(/^\| (.+) \| (.+) \| .+ \|$/gm)]
    .slice(1);
  const documented = new Map(rows.flatMap(
    ([, names, licences]) => names.replace(/ \(.*?\)/, "").split(", ").map((name) => [name, licences] as const),
  ));
  for (const { name, licenses } of components) {
    assert.match(documented.get(name) ?? "", new RegExp(`\\b${licenses[0].license.id}\\b`), name);
  }
  assert.deepEqual([...documented.keys()].sort(), components.map(({ name }) => name).sort());
});

test("a build in another folder, of what git has, gives the same modules and the same tarball", () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-another-folder-"));
  try {
    const copy = join(dir, "with a longer path", "pongd");
    const git = (...args: string[]) => execFileSync("git", args, { cwd: source(""), encoding: "utf8" });
    for (const file of git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
      .split("\0")
      .filter(Boolean)) {
      mkdirSync(dirname(join(copy, file)), { recursive: true });
      cpSync(source(file), join(copy, file));
    }
    symlinkSync(source("node_modules"), join(copy, "node_modules"));
    execFileSync("npm", ["run", "build"], { cwd: copy, stdio: ["ignore", "ignore", "inherit"] });
    const packed = (from: string) => {
      const [{ filename }] = JSON.parse(execFileSync(
        "npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", dir], { cwd: from, encoding: "utf8" },
      )) as { filename: string }[];
      return sha256(join(dir, filename));
    };
    for (const module of ["build/release.wasm", "build/scalar.wasm"]) {
      assert.equal(sha256(join(copy, module)), sha256(source(module)), module);
    }
    assert.equal(packed(copy), packed(source("")));
  } finally {
    rmSync(dir, { recursive: true });
  }
});

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
