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

/** A program that uses all of the library. Whatever is marked has to be wrong. */
const USE = `
import { createServer, get, type IncomingMessage } from "node:http";
import { createServer as createSecure } from "node:http2";
import { open, PongdError, type Configuration, type LogEntry, type Pongd, type Served, type Socket } from "pongd";
const configuration: Configuration = {
  prefixes: ["10.99.0.0/16", { prefix: "10.99.7.0/24", name: "dark", answer: ["echo"], tcp: { 7: "echo" } }],
  except: ["10.99.8.0/24"], device: { name: "pong1", mode: "tap", mtu: "auto", queues: 1, host_address: "none" },
  listen: ":7664", log: { level: "debug" }, unreachable: "silent", rate_limit: { rate: 10 }, shutdown_delay: "1s",
  tcp: { 80: "http", "81-90": "mine" }, services: { mine: { http: { root: "." } } }, tcp_connections: 10,
};
// @ts-expect-error: prefixes are needed
const none: Configuration = {};
// @ts-expect-error: there is no such key
const unknown: Configuration = { prefixes: [], tpc: {} };
// @ts-expect-error: there is no such level
const level: Configuration = { prefixes: [], log: { level: "loud" } };
// @ts-expect-error: it has no use here
const threads: Configuration = { prefixes: [], service_threads: 2 };
export async function use(signal: AbortSignal): Promise<unknown[]> {
  const pongd: Pongd = await open(configuration, { signal, log: ({ level, msg }: LogEntry) => { console.log(level, msg); } });
  const served: Served = await pongd.serve(80, createServer(), { prefix: "10.99.0.0/16" });
  await pongd.serve("443-444", createSecure());
  await pongd.listen(7, (socket: Socket) => { socket.pipe(socket); socket.setTimeout(1).setNoDelay(); }, { allowHalfOpen: true });
  const socket = pongd.connect({ host: "10.99.0.1", port: 1, localAddress: "10.99.1.1" }, () => undefined);
  get({ createConnection: (options) => pongd.connect({ ...options, port: options.port ?? 80, localAddress: "10.99.1.1" }) },
    (response: IncomingMessage) => { response.resume(); });
  const address: string | undefined = socket.localAddress;
  await served.close();
  try { await pongd.metrics(); } catch (error) { if (error instanceof PongdError) console.log(error.code, error.mend); }
  await pongd.ref().unref().close();
  await pongd.closed;
  return [address, pongd.device, pongd.addresses.at(0), none, unknown, level, threads];
}
`;

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
      "build/src/library/index.js", "build/src/library/index.d.ts", "build/src/library/supervisor.js",
      "examples/hello.mjs",
      "build/src/daemon/worker.js", "build/src/web/page/page.js", "build/release.wasm", "build/release.js",
      "deploy/pongd.service", "deploy/pongd.yaml", "deploy/prometheus/prometheus.yml",
      "deploy/prometheus/pongd.rules.yml", "deploy/prometheus/pongd.alerts.yml", "deploy/grafana/pongd.json",
      "build/completion/pongd.bash", "build/completion/_pongd", "build/completion/pongd.fish", "build/man/pongd.1"]) {
      assert.ok(paths.includes(path), path);
    }
    const built = /^build\/((?:abi|src)\/.*(?:\.js|\.d\.ts)|completion\/(pongd\.(bash|fish)|_pongd)|man\/pongd\.1|release\.(wasm|js|d\.ts)|scalar\.wasm)$/;
    const written = /^(package\.json|(README|CHANGELOG|SECURITY)\.md|LICENSE|docs\/[\w/-]+\.(?:md|pml)|deploy\/[\w./-]+|examples\/\w+\.mjs)$/;
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

  test("installed, it is a library whose types a strict project understands", () => {
    writeFileSync(join(dir, "use.mts"), USE);
    writeFileSync(join(dir, "tsconfig.json"), JSON.stringify({
      compilerOptions: {
        strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false,
        noEmit: true, module: "nodenext", target: "es2022", lib: ["es2023"], types: ["node"],
        typeRoots: [source("node_modules/@types")],
      },
      files: ["use.mts"],
    }));
    const { stdout, status } = spawnSync(
      process.execPath, [source("node_modules/typescript/bin/tsc"), "-p", dir], { encoding: "utf8" },
    );
    assert.equal(stdout, "");
    assert.equal(status, 0);
    const program = "import(\"pongd\").then(({ open }) => open({})).catch(({ code }) => console.log(code))";
    const { stdout: code } = spawnSync(process.execPath, ["-e", program], { cwd: dir, encoding: "utf8" });
    assert.equal(code, "ERR_PONGD_CONFIG\n");
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
