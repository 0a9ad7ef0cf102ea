/** Tests pongd check: its output for a configuration file, and its messages about one that is wrong. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { toDocument, toYaml } from "../../src/config/print.js";
import { jsonSchema } from "../../src/config/schema.js";
import { pongd } from "../support/commands.js";
import { read } from "../support/config.js";
import { CLI } from "../support/netns.js";

const P = "prefixes: [10.99.0.0/16]\n";

/** Calls `use` with the name of a file of that text. */
async function withFile(text: string, use: (name: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pongd-check-"));
  try {
    const name = join(folder, "pongd.yaml");
    writeFileSync(name, text);
    await use(name);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("pongd check", () => {
  test("prints the configuration; status 0", async () => {
    await withFile(P, async (name) => {
      for (const { status, stdout, stderr } of [await pongd("check", name), await pongd("check", "--config", name)]) {
        assert.deepEqual([status, stdout, stderr], [0, toYaml(toDocument(read(P))), ""]);
      }
      assert.deepEqual(
        JSON.parse((await pongd("check", "--json", name)).stdout), JSON.parse(JSON.stringify(toDocument(read(P)))),
      );
    });
  });

  test("or every error as it is; status 3; run says the same, and who speaks", async () => {
    await withFile("ttl: 0\nprefixes: [10.99.0.1/16]\n", async (name) => {
      const lines = [
        `${name}:1:6: ttl is 0; expected a whole number from 1 to 255`,
        `${name}:2:12: prefix "10.99.0.1/16" has bits set beyond its length; did you mean 10.99.0.0/16?`,
      ];
      const { status, stdout, stderr } = await pongd("check", name);
      assert.deepEqual([status, stdout, stderr], [3, "", lines.map((line) => `${line}\n`).join("")]);
      const run = await pongd("run", "--config", name);
      assert.deepEqual([run.status, run.stdout, run.stderr], [3, "", lines.map((line) => `pongd: ${line}\n`).join("")]);
    });
  });

  test("-: reads standard input, once", async () => {
    const check = (input: string) => spawnSync(process.execPath, [CLI, "check", "-"], { encoding: "utf8", input });
    const right = check(P);
    assert.deepEqual([right.status, right.stdout, right.stderr], [0, toYaml(toDocument(read(P))), ""]);
    const wrong = check("ttl: 0\n");
    assert.deepEqual(
      [wrong.status, wrong.stderr], [3, "standard input:1:6: ttl is 0; expected a whole number from 1 to 255\n"],
    );
    const run = await pongd("run", "--config", "-");
    assert.deepEqual(
      [run.status, run.stderr],
      [2, "pongd: --config -: standard input cannot be read again for a reload; give a file\n"],
    );
  });

  test("says what is odd on standard error, and goes on", async () => {
    await withFile(`${P}answer: []\n`, async (name) => {
      const { status, stderr } = await pongd("check", name);
      assert.deepEqual([status, stderr], [0, `${name}: no prefix answers anything\n`]);
    });
  });

  for (const [file, message] of [
    ["/no/such/file", /^\/no\/such\/file: cannot be read: ENOENT/], ["/", /^\/: cannot be read: EISDIR/],
  ] as const) {
    test(`${file} cannot be read: status 3`, async () => {
      const { status, stderr } = await pongd("check", file);
      assert.match(stderr, message);
      assert.equal(status, 3);
    });
  }

  test("a file may be called like a prefix", async () => {
    await withFile(P, (name) => {
      const folder = dirname(name);
      mkdirSync(join(folder, "10.99.0.0"));
      renameSync(name, join(folder, "10.99.0.0/16"));
      const { status } = spawnSync(process.execPath, [CLI, "check", "--quiet", "10.99.0.0/16"], { cwd: folder });
      assert.equal(status, 0);
      return Promise.resolve();
    });
  });

  test("what is advised for a prefix works", async () => {
    const advice = / try: (echo .*) \| pongd (.*)\n$/.exec((await pongd("check", "2001:db8::/64")).stderr);
    const { status, stdout } = spawnSync(
      "/bin/sh", ["-c", `${advice?.[1]} | "${process.execPath}" "${CLI}" ${advice?.[2]}`], { encoding: "utf8" },
    );
    assert.equal(status, 0);
    assert.match(stdout, /^prefixes:\n {2}- 2001:db8::\/64$/m);
  });

  test("--schema prints the JSON Schema", async () => {
    assert.deepEqual(JSON.parse((await pongd("check", "--schema")).stdout), JSON.parse(JSON.stringify(jsonSchema())));
  });

  for (const [args, message] of [
    [["check"], /no file given; try: pongd check pongd\.yaml/],
    [["check", ""], /'file'. It is empty: write a file's path, or leave it out/],
    [["check", "a", "--config", "b"], /a file and --config are given; give one/],
    [
      ["check", "10.99.0.0/16"],
      /takes a configuration file, not a prefix like 10\.99\.0\.0\/16; try: echo .*10\.99\.0\.0\/16.* \| pongd check -\n/,
    ],
    [["check", "10.99.0.1"], /not a prefix like 10\.99\.0\.1; try/],
    [["topology", "2001:db8::/64"], /^pongd: pongd topology takes .* 2001:db8::\/64; try: .* \| pongd topology -\n/],
    [["check", "--config", "::/129"], /not a prefix like ::\/129; try/],
    [["run", "10.99.0.0/16", "--queue-fds", "x"], /--queue-fds <fds>.*It is for pongd's own use: leave it out/],
    [["run", "10.99.0.0/16", "--rate-limit", "0"], /--rate-limit <limit>.*like 1000\/100; or none/],
    [["run", "10.99.0.0/16", "--rate-limit", "5/0"], /like 1000\/100; or none/],
    [["run", "10.99.0.0/16", "--source-rate-limit", "1/2/3"], /like 1000\/100; or none/],
  ] as const) {
    test(`${args.join(" ")}: status 2 and one line`, async () => {
      const { status, stderr } = await pongd(...args);
      assert.match(stderr, message);
      assert.match(stderr, /^pongd: [^\n]*[^.\n]\n$/);
      assert.equal(status, 2);
    });
  }
});
