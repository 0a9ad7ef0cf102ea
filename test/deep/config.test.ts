/**
 * Tests random configuration files, read, printed and read again by both readers of YAML, and files of the largest
 * size.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import type { ConfigFile } from "../../src/config/reader.js";
import { effective } from "../../src/config/merge.js";
import { toDocument, toYaml } from "../../src/config/print.js";
import { jsonSchema } from "../../src/config/schema.js";
import { Yaml } from "../../src/config/yaml.js";
import { YAML } from "../fuzz/readers/yaml.js";
import { read, refusal, withFile } from "../support/config.js";
import { assertAlike } from "../support/pieces.js";

const validate = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true }).compile(jsonSchema());

/** Documents that the schema allows. */
const documents = (() => {
  const prefix = fc.oneof(
    fc.tuple(fc.integer({ min: 1, max: 126 }), fc.nat(255)).map(([a, b]) => `${a}.${b}.0.0/16`),
    fc.tuple(fc.nat(0xffff), fc.nat(0xffff)).map(([a, b]) => `2001:db8:${a.toString(16)}:${b.toString(16)}::/64`),
  );
  const LISTEN = [":1", "[::1]:2", "localhost:3", "127.0.0.1:4", "[fe80::1%lo]:2", "unix:/run/a b"];
  const answer = fc.subarray(["echo", "timestamp", "unreachable"]);
  const ttl = fc.integer({ min: 1, max: 255 });
  const limit = fc.oneof(fc.constant("none"), fc.record(
    { rate: fc.double({ min: 0.001, max: 1e9, noNaN: true }), burst: fc.double({ min: 1, max: 1e9, noNaN: true }) },
    { requiredKeys: ["rate"] },
  ));
  const name = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 })
    .filter((text) => /^[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u.test(text));
  const mode = fc.constantFrom("on", "silent", "off");
  const entry = (text: string) => fc.oneof(fc.constant(text), fc.record(
    { prefix: fc.constant(text), name, answer, ttl, rate_limit: limit, comment: name }, { requiredKeys: ["prefix"] },
  ));
  return fc.uniqueArray(prefix, { minLength: 1, maxLength: 5 }).chain((prefixes) => fc.record({
    device: fc.record({
      name: fc.stringMatching(/^[!-$&-.0-9;-~]{3,15}$/), mode: fc.constantFrom("tun", "tap"),
      mtu: fc.oneof(fc.constant("auto"), fc.integer({ min: 1280, max: 65521 })),
      queues: fc.oneof(fc.constant("auto"), fc.integer({ min: 1, max: 256 })), routes: fc.boolean(),
      offload: fc.constantFrom("auto", "on", "off"),
      host_address: fc.constant("none"),
    }, { requiredKeys: [] }),
    io: fc.constantFrom("auto", "uring", "readwrite"), spin: fc.nat(1_000_000),
    precision: fc.constantFrom("coarse", "fine"), reassembly: fc.nat(1024),
    listen: fc.oneof(fc.constantFrom(...LISTEN), fc.subarray(LISTEN, { minLength: 1 })),
    log: fc.record(
      { level: fc.constantFrom("debug", "info", "warn", "error"), format: fc.constantFrom("text", "json") },
      { requiredKeys: [] },
    ),
    privileges: fc.constantFrom("keep", "drop"), answer, ttl,
    unreachable: fc.oneof(mode, fc.record({ udp: mode, other: mode }, { requiredKeys: [] })),
    source_route: fc.constantFrom("drop", "reverse"), rate_limit: limit, source_rate_limit: limit,
    prefixes: fc.tuple(...prefixes.map(entry)),
    except: fc.constant(prefixes.slice(0, 2).map((text) => text.replace("/16", "/24").replace("/64", "/80"))),
  }, { requiredKeys: ["prefixes"] }));
})();

test("what pongd check prints, read again, is the same configuration, and printed again the same text; "
  + "JSON is YAML", () => {
  fc.assert(fc.property(documents, (document) => {
    const first = read(JSON.stringify(document));
    const text = toYaml(toDocument(first));
    const again = read(text);
    // Host and listen addresses are printed as they were chosen. Read again, they count as asked for.
    const options = { ...first.options, hostAddressGiven: first.options.hostAddresses.length > 0, listenGiven: true };
    assert.deepEqual(again.options, options);
    assert.equal(toYaml(toDocument(again)), text);
    assert.deepEqual(read(JSON.stringify(toDocument(first))).options, options);
    assert.ok(validate(JSON.parse(JSON.stringify(toDocument(first)))), JSON.stringify(validate.errors));
  }), { numRuns: 200 });
});

describe("a text read piece by piece is what it is as a whole", () => {
  test("configurations, in JSON's form and in pongd's own", () => {
    fc.assert(fc.property(documents, (document) => {
      const json = JSON.stringify(document);
      for (const text of [json, JSON.stringify(document, null, 2), toYaml(document)]) assertAlike(text);
      assert.deepEqual(new Yaml(json, 1).take(), JSON.parse(json));
    }), { numRuns: 200 });
  });

  test("whatever its lists are made of, and whatever is wrong in them", () => {
    const part = fc.constantFrom(
      ...YAML, "a: ", "b: ", "p: [", "x", "7", "{ a: 1 }", "- x", "- { a: x, b: [y] }", "- &a x", "- *a", "\n- ",
      "\n  - ", "\n  - 1\n  - 2\n  - 3", "\n    # c", " # c\n", ", 1, 2, 3", "p:\n", "\np:\n- 1\n- 2\n", "\n? ", "\n: ",
      "- | \n  x\n",
    );
    const text = fc.array(part, { maxLength: 24 }).map((parts) => parts.join(""));
    const list = fc.tuple(fc.constantFrom("p:\n", "p: [", "{ p: ["), text).map((parts) => parts.join(""));
    fc.assert(fc.property(fc.oneof(text, list), assertAlike), {
      numRuns: 20_000, examples: [["p: [: , 1, 2, 3]"], ["&a \n- *a"]],
    });
  });
});

test("the JSON Schema allows what pongd does", () => {
  fc.assert(fc.property(documents, (document) => {
    assert.ok(validate(JSON.parse(JSON.stringify(document))), JSON.stringify(validate.errors));
  }), { numRuns: 200 });
});

describe("100,000 prefixes", () => {
  const COUNT = 100_000;
  const address = (i: number) => `10.${i >> 16}.${i >> 8 & 255}.${i & 255}/32`;
  for (const [form, line] of [
    ["texts", (i: number) => `  - ${address(i)}\n`],
    ["maps in one line", (i: number) => `  - { prefix: ${address(i)}, name: n${i}, answer: [echo] } # ${i}\n`],
    ["maps", (i: number) => `  - prefix: ${address(i)}\n    ttl: 7\n`],
    ["IPv6", (i: number) => `  - 2001:db8:${(i >> 8).toString(16)}:${(i & 255).toString(16)}::/64\n`],
  ] as const) {
    test(`as ${form}: the heap need not hold all tokens and nodes of the file`, () => {
      withFile(`prefixes:\n${Array.from({ length: COUNT }, (_, i) => line(i)).join("")}`, (name) => {
        const script = "const { ConfigFile } = await import(process.argv[1]); "
          + "console.log(new ConfigFile(process.argv[2]).document.prefixes.length);";
        const { stdout, stderr } = spawnSync(process.execPath, [
          "--max-old-space-size=120", "--input-type=module", "-e", script,
          new URL("../../src/config/reader.js", import.meta.url).href, name,
        ], { encoding: "utf8" });
        assert.deepEqual([stdout, stderr], [`${COUNT}\n`, ""]);
      });
    });
  }

  test("one more is refused, with its place", () => {
    const { lines } = refusal(`prefixes:\n${Array.from({ length: COUNT + 1 }, (_, i) => `- ${address(i)}\n`).join("")}`)
      ?? { lines: [] };
    assert.deepEqual(lines, [`FILE:${COUNT + 2}:3: 100001 prefixes given; at most 100000 fit`]);
  });
});

test("a map of very many keys that are unknown is as quickly refused as read", () => {
  assert.equal(refusal(Array.from({ length: 30_000 }, (_, i) => `k${i}: 1\n`).join(""))?.lines.length, 21);
});

test("as many things may be wrong as a file can hold: more than a call takes arguments", () => {
  const many = 200_000;
  const problems = Array.from({ length: many }, (_, i) => ({ path: ["prefixes", i], message: "wrong" }));
  const file = {
    name: "many.yaml", document: { prefixes: [] }, problems,
    linesOf: (all: readonly unknown[]) => [`${all.length} are wrong`],
  } as unknown as ConfigFile;
  assert.throws(
    () => effective({ values: {}, names: {}, ignoreEcho: false, queueFds: undefined, example: undefined }, file),
    /^Failure: 200000 are wrong$/,
  );
  assert.equal(new Yaml("a: 1\n".repeat(many)).faults.length, many - 1);
});
