/** Tests keys of STAMP and IRTT: the files that they are read from, and that no key is told to anybody. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, describe, test } from "node:test";
import { Service } from "../../abi/tcp.js";
import { md5PadsOf } from "../../src/base/md5.js";
import { padsOf } from "../../src/base/sha256.js";
import { EXIT } from "../../src/base/failure.js";
import { oddities, toDocument, toYaml } from "../../src/config/print.js";
import { DEFAULT_IRTT, irttBytes, withPads } from "../../src/prefix/irtt.js";
import { DEFAULT_STAMP, stampBytes, withKeys } from "../../src/prefix/stamp.js";
import { pongd } from "../support/commands.js";
import { read, refusal } from "../support/config.js";
import { pattern } from "../support/packets.js";

const DIR = mkdtempSync(join(tmpdir(), "pongd-keys-"));
after(() => { rmSync(DIR, { recursive: true }); });
const SECRET = "correct horse battery staple";
let count = 0;

/** Writes a file with a key, and returns its path. */
function keyFile(content: string | Uint8Array, mode = 0o600): string {
  const path = join(DIR, `key${count++}`);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

function keyDir(keys: Readonly<Record<string, string | Uint8Array>>, mode = 0o600): string {
  const path = join(DIR, `keys${count++}`);
  mkdirSync(path);
  for (const [name, content] of Object.entries(keys)) {
    writeFileSync(join(path, name), content);
    chmodSync(join(path, name), mode);
  }
  return path;
}

const NO_SSID = "is no SSID; expected files named 0 to 65535";
const configOf = (stamp: string) =>
  `prefixes: [10.99.0.0/16]\nservices: { r: { stamp: { ${stamp} } } }\nudp: { 862: r }\n`;
const serviceOf = (stamp: string) => read(configOf(stamp)).options.serving.prefixes[0].answers.udp?.ports[0].service;
const expected = (keys: Parameters<typeof withKeys>[1]) => withKeys(stampBytes(DEFAULT_STAMP), keys);

describe("a file with a key", () => {
  for (const [what, content, key] of [
    ["with a line end", `${SECRET}\n`, SECRET],
    ["without one", SECRET, SECRET],
    ["with that of Windows", `${SECRET}\r\n`, SECRET],
    ["with several, of which one is left out", `${SECRET}\n\n`, `${SECRET}\n`],
    ["of 16 octets", "sixteen octets !\n", "sixteen octets !"],
    ["of 64 KiB", "x".repeat(65_536), "x".repeat(65_536)],
    ["of 64 KiB, and a line end", `${"x".repeat(65_536)}\r\n`, "x".repeat(65_536)],
  ] as const) {
    test(`M-10: ${what}`, () => {
      assert.deepEqual(serviceOf(`key_file: ${keyFile(content)}`), {
        name: "r", kind: Service.stamp, bytes: expected(padsOf(Buffer.from(key))), anySource: false, exposed: undefined,
      });
    });
  }

  test("M-10: of any octets", () => {
    const key = pattern(256);
    assert.deepEqual(serviceOf(`key_file: ${keyFile(key)}`)?.bytes, expected(padsOf(key)));
  });

  for (const [what, path, message] of [
    ["that is not there", join(DIR, "none"), "cannot be read: ENOENT: no such file or directory, open 'PATH'"],
    ["that is a folder", DIR, "not a regular file, and so not to be read a second time; write it to one"],
    ["that never ends", "/dev/zero", "not a regular file, and so not to be read a second time; write it to one"],
    ["that is empty", keyFile(""), "the file is empty; expected a key"],
    ["with a line end alone", keyFile("\n"), "the file is empty; expected a key"],
    ["that is short", keyFile("fifteen octets!\n"), "a key of 15 bytes; expected 16 to 65536"],
    ["that is long", keyFile("x".repeat(65_537)), "a key of 65537 bytes; expected 16 to 65536"],
    ["that is longer", keyFile("x".repeat(65_539)), "larger than 64 KiB, which no key is"],
  ] as const) {
    test(`one ${what} is refused`, () => {
      assert.deepEqual(refusal(configOf(`key_file: ${path}`)), {
        lines: [`FILE:2:37: services.r.stamp.key_file: ${path}: ${message.replace("PATH", path)}`], status: EXIT.CONFIG,
      });
    });
  }
});

describe("a file with a key of IRTT", () => {
  const irtt = (file: string) => configOf("").replace("stamp: {  }", `irtt: { max_length: 99, key_file: ${file} }`);

  test("IR-1: is read as one of STAMP's", () => {
    for (const content of [`${SECRET}\n`, SECRET]) {
      assert.deepEqual(read(irtt(keyFile(content))).options.serving.prefixes[0].answers.udp?.ports[0].service, {
        name: "r", kind: Service.irtt, exposed: undefined,
        bytes: withPads(irttBytes({ ...DEFAULT_IRTT, maxLength: 99 }), md5PadsOf(Buffer.from(SECRET))),
      });
    }
  });

  test("and refused as one of STAMP's", () => {
    const path = keyFile("fifteen octets!\n");
    assert.deepEqual(refusal(irtt(path)), {
      lines: [`FILE:2:52: services.r.irtt.key_file: ${path}: a key of 15 bytes; expected 16 to 65536`],
      status: EXIT.CONFIG,
    });
  });

  test("and said where others may read it", () => {
    const path = keyFile(SECRET, 0o640);
    const { options, values } = read(irtt(path));
    assert.deepEqual(options.exposed, [
      `services.r.irtt.key_file: others than its owner may read ${path}, whose mode is 0640; chmod 600 ${path}`,
    ]);
    const pads = md5PadsOf(Buffer.from(SECRET)).toString("hex");
    const text = toYaml(toDocument({ options, values }));
    assert.ok(text.includes(path) && !text.includes(SECRET) && !text.includes(pads), text);
  });
});

describe("a folder with keys", () => {
  test("M-10: has a key for each SSID, in a file of that name", () => {
    const keys = { 0: pattern(16), 65535: pattern(40), 7: Buffer.from(`${SECRET}\n`), ".hidden": "x" };
    const path = keyDir(keys);
    symlinkSync(join(path, "7"), join(path, "8"));
    assert.deepEqual(serviceOf(`key_dir: ${path}`)?.bytes, expected(new Map(
      [[0, keys[0]], [7, Buffer.from(SECRET)], [8, Buffer.from(SECRET)], [65535, keys[65535]]]
        .map(([ssid, key]) => [ssid as number, padsOf(key as Uint8Array)]),
    )));
  });

  for (const [what, path, message] of [
    ["that is not there", join(DIR, "nowhere"), ": cannot be read: ENOENT: no such file or directory, opendir"],
    ["that is a file", keyFile(SECRET), ": cannot be read: ENOTDIR: not a directory, opendir"],
    ["that is empty", keyDir({}), ": the folder has no file; expected one for each SSID"],
    ["with another file", keyDir({ 7: SECRET, "7.bak": SECRET }), `: "7.bak" ${NO_SSID}`],
    ["with an SSID that is too large", keyDir({ 65536: SECRET }), `: "65536" ${NO_SSID}`],
    ["with an SSID written twice", keyDir({ "07": SECRET, 7: SECRET }), `: "07" ${NO_SSID}`],
    ["with a name of two lines", keyDir({ "7\n8": SECRET }), `: "7\\n8" ${NO_SSID}`],
    ["with a key that is short", keyDir({ 7: SECRET, 9: "short" }), "/9: a key of 5 bytes; expected 16 to 65536"],
    [
      "with too many",
      keyDir(Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [String(i), SECRET]))),
      ": more than 1024 keys do not fit",
    ],
  ] as const) {
    test(`one ${what} is refused`, () => {
      const refused = refusal(configOf(`key_dir: ${path}`));
      // Some versions of Node.js name the folder again.
      assert.deepEqual(refused?.lines.map((line) => line.replace(/ '[^']*'$/, "")), [
        `FILE:2:36: services.r.stamp.key_dir: ${path}${message}`,
      ]);
      assert.equal(refused.status, EXIT.CONFIG);
    });
  }

  test("and a file together are refused", () => {
    assert.deepEqual(refusal(configOf(`key_file: ${keyFile(SECRET)}, key_dir: ${keyDir({ 7: SECRET })}`))?.lines
      .map((line) => line.replace(/^FILE:\d+:\d+: /, "")), ["services.r.stamp: expected key_file or key_dir, and not both"]);
  });
});

test("files that others may read are said, and no others", () => {
  const exposed = (stamp: string) => {
    const { options, values } = read(configOf(stamp));
    assert.deepEqual(oddities({ options, values }), options.exposed);
    return options.exposed;
  };
  for (const mode of [0o400, 0o600, 0o700]) assert.deepEqual(exposed(`key_file: ${keyFile(SECRET, mode)}`), []);
  for (const mode of [0o640, 0o604, 0o620, 0o444]) {
    const path = keyFile(SECRET, mode);
    assert.deepEqual(exposed(`key_file: ${path}`), [
      `services.r.stamp.key_file: others than its owner may read ${path}, whose mode is 0${mode.toString(8)}; `
      + `chmod 600 ${path}`,
    ]);
  }
  const path = keyDir({ 1: SECRET, 2: SECRET, 3: SECRET }, 0o640);
  chmodSync(join(path, "2"), 0o600);
  assert.deepEqual(exposed(`key_dir: ${path}`), [
    `services.r.stamp.key_dir: others than their owner may read 2 of the 3 keys in ${path}; chmod 600 ${path}/*`,
  ]);
});

test("a key is in nothing that pongd prints", async () => {
  const path = keyFile(SECRET, 0o644);
  const { options, values } = read(configOf(`key_file: ${path}`));
  const text = toYaml(toDocument({ options, values }));
  assert.ok(text.includes(`r: { stamp: { key_file: "${path}" } }`), text);
  // Paths are relative to the configuration file.
  const file = keyFile(configOf(`key_file: ./${basename(path)}`));
  const said = [text];
  for (const args of [["check", file], ["check", "--json", file]]) {
    const { stdout, stderr } = await pongd(...args);
    assert.match(stderr, /others than its owner may read/);
    assert.ok(stdout.includes(path), stdout);
    said.push(stdout, stderr);
  }
  for (const bad of [`${SECRET.slice(0, 15)}\n`, `${SECRET}${"x".repeat(65_536)}`]) {
    said.push(...refusal(configOf(`key_file: ${keyFile(bad)}`))?.lines ?? []);
  }
  const pads = padsOf(Buffer.from(SECRET));
  const forms = (["hex", "base64"] as const).map((form) => pads.toString(form).slice(0, 40));
  for (const secret of [SECRET.slice(0, 15), ...forms]) {
    for (const each of said) assert.ok(!each.includes(secret), each);
  }
});
