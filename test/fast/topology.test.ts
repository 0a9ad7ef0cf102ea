/** Tests pongd topology: its drawing, Graphviz's language, the lines of names, and how it ends. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { pongd } from "../support/commands.js";

const folder = mkdtempSync(join(tmpdir(), "pongd-topology-"));
after(() => { rmSync(folder, { recursive: true }); });

function file(text: string): string {
  const name = join(folder, "pongd.yaml");
  writeFileSync(name, text);
  return name;
}

const TEXT = `links: { dsl: { rtt: 20ms, loss: 1% } }
paths:
  far:
    - { hop: [10.98.0.1, "fd98::1"], name: gw.lab, link: { rtt: 1ms } }
    - any:
        - [{ hop: 10.98.1.2, mpls: [16002, 3], interface: { name: 'a"b\\', index: 501 } }, { hop: 10.98.1.3 }]
        - [{ hop: 10.98.2.2, name: other.lab }]
      hash: packet
    - { silent: true, link: dsl, mtu: 1300, black_hole: true }
    - { hop: 10.98.0.5, mtu: 1400 }
    - { back: 7 }
prefixes:
  - 10.98.0.0/24
  - { prefix: 10.99.1.0/24, path: far, name: lab }
  - { prefix: 10.99.2.0/24, path: far, link: dsl }
  - { prefix: 10.99.3.0/24, path: [{ hop: 10.98.0.1, name: gw2.lab }] }
`;

const DRAWING = `path far:
  sender
    |  1 ms
    1 10.98.0.1 and fd98::1 (gw.lab)
    +-- branch 1 of 2, by packet
    |     |
    |     2 10.98.1.2, MPLS 16002/3, interface a"b\\ #501
    |     |
    |     3 10.98.1.3
    +-- branch 2 of 2, by packet
          |
          2 10.98.2.2 (other.lab)
    |  20 ms, 1 % is lost (dsl)
  3-4 silent, black hole above 1300 bytes
    |
  4-5 10.98.0.5, MTU 1400
    |
  10.99.1.0/24 (lab)
    |  20 ms, 1 % is lost (dsl)
  10.99.2.0/24
  back: 7 hops

the path of 10.99.3.0/24:
  sender
    |
    1 10.98.0.1 (gw2.lab)
    |
  10.99.3.0/24

without a path:
  sender
    |
  10.98.0.0/24
`;

const DOT = `digraph pongd {
  rankdir=LR;
  node [shape=box];
  sender [label="sender", shape=ellipse];
  path0_0_0_0 [label="10.98.0.1 and fd98::1 (gw.lab)"];
  sender -> path0_0_0_0 [label="1 ms"];
  path0_1_0_0 [label="10.98.1.2\\nMPLS 16002/3\\ninterface a\\"b\\\\ #501"];
  path0_0_0_0 -> path0_1_0_0;
  path0_1_0_1 [label="10.98.1.3"];
  path0_1_0_0 -> path0_1_0_1;
  path0_1_1_0 [label="10.98.2.2 (other.lab)"];
  path0_0_0_0 -> path0_1_1_0;
  path0_2_0_0 [label="silent\\nblack hole above 1300 bytes", style=dashed];
  path0_1_0_1 -> path0_2_0_0 [label="20 ms, 1 % is lost (dsl)"];
  path0_1_1_0 -> path0_2_0_0 [label="20 ms, 1 % is lost (dsl)"];
  path0_3_0_0 [label="10.98.0.5\\nMTU 1400"];
  path0_2_0_0 -> path0_3_0_0;
  path0_end_0 [label="10.99.1.0/24 (lab)", shape=ellipse];
  path0_3_0_0 -> path0_end_0;
  path0_end_1 [label="10.99.2.0/24", shape=ellipse];
  path0_3_0_0 -> path0_end_1 [label="20 ms, 1 % is lost (dsl)"];
  path1_0_0_0 [label="10.98.0.1 (gw2.lab)"];
  sender -> path1_0_0_0;
  path1_end_0 [label="10.99.3.0/24", shape=ellipse];
  path1_0_0_0 -> path1_end_0;
  direct_end_0 [label="10.98.0.0/24", shape=ellipse];
  sender -> direct_end_0;
}
`;

describe("pongd topology", () => {
  for (const [option, expected] of [
    [[], DRAWING],
    [["--dot"], DOT],
    [["--hosts"], "10.98.0.1 gw.lab gw2.lab\nfd98::1 gw.lab\n10.98.2.2 other.lab\n"],
    [["--zone"], "1.0.98.10.in-addr.arpa. 3600 IN PTR gw.lab.\n1.0.98.10.in-addr.arpa. 3600 IN PTR gw2.lab.\n"
    + `1.${"0.".repeat(27)}8.9.d.f.ip6.arpa. 3600 IN PTR gw.lab.\n`
    + "2.2.98.10.in-addr.arpa. 3600 IN PTR other.lab.\n"],
  ] as const) {
    test(`${option.join("") || "text"}: status 0`, async () => {
      const { status, stdout, stderr } = await pongd("topology", ...option, file(TEXT));
      assert.equal(stdout, expected);
      assert.deepEqual([status, stderr], [0, ""]);
    });
  }

  test("--config has the file, and options win over it", async () => {
    const { status, stdout } = await pongd("topology", "--config", file(TEXT), "--link", "rtt=5ms");
    assert.equal(status, 0);
    assert.match(stdout, /\n {2}sender\n {4}\| {2}5 ms\n {2}10\.98\.0\.0\/24\n$/);
  });

  test("a link is said to take as long as pongd check says", async () => {
    const text
      = "prefixes: [{ prefix: 10.0.0.0/24, link: { rtt: 90ms, out: { jitter: 12ms, distribution: normal } } }]\n";
    const path = file(text);
    const drawn = await pongd("topology", path);
    const checked = await pongd("check", path);
    const times = /([\d.]+ ms) at the median,(?: and)? ([\d.]+ ms) for 99/;
    assert.ok(times.test(drawn.stdout));
    assert.deepEqual(times.exec(drawn.stdout)?.slice(1), times.exec(checked.stdout)?.slice(1));
  });

  test("many prefixes and links are cut short", async () => {
    const prefixes = Array.from({ length: 20 }, (_, i) => `{ prefix: 10.0.${i}.0/24, link: { rtt: ${Math.max(9, i)}ms } }`);
    const { stdout } = await pongd("topology", file(`prefixes: [${prefixes.join(", ")}]\n`));
    assert.match(stdout, /10\.0\.7\.0\/24 and 2 more\n/);
    assert.match(stdout, /\n {2}and prefixes behind 3 more links\n$/);
  });

  test("no router has a name", async () => {
    const { status, stdout, stderr } = await pongd("topology", "--hosts", file("prefixes: [10.99.0.0/16]\n"));
    assert.deepEqual([status, stdout, stderr], [0, "", "pongd: no router has a name\n"]);
  });

  test("a file that is wrong: status 3, as pongd check says it", async () => {
    const name = file("prefixes: [10.99.0.0/16]\npath: far\n");
    const { status, stdout, stderr } = await pongd("topology", name);
    assert.deepEqual([status, stdout, stderr], [3, "",
      `${name}:2:7: "far" is no path's name; expected one under paths, which has none, or none\n`]);
  });

  for (const [args, message] of [
    [[], /no file given; try: pongd topology pongd\.yaml/],
    [["a", "--config", "b"], /a file and --config are given; give one/],
    [["a", "--dot", "--zone"], /option '--dot' cannot be used with option '--zone'/],
  ] as const) {
    test(`topology ${args.join(" ")}: status 2 and one line`, async () => {
      const { status, stderr } = await pongd("topology", ...args);
      assert.match(stderr, message);
      assert.match(stderr, /^pongd: [^\n]*[^.\n]\n$/);
      assert.equal(status, 2);
    });
  }
});
