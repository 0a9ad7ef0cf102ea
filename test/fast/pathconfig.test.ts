/** Tests paths in the configuration: what each key makes of a path, what is refused, and what is said of it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EXIT } from "../../src/base/failure.js";
import { pathNotes } from "../../src/config/pathnotes.js";
import { oddities, toDocument, toYaml } from "../../src/config/print.js";
import type { Hop, RouterPath } from "../../src/prefix/path.js";
import { parseAddress } from "../../src/prefix/prefixes.js";
import { read, refusal } from "../support/config.js";

const P = "prefixes: [10.99.0.0/16]\n";
const MS = 1e6;
const HOP: Hop = {
  ipv4: parseAddress("10.98.0.1"), silent: false, blackHole: false, ttl: 64, icmp: { rate: 1000, burst: 50 }, mpls: [],
};

/** Returns the paths of the prefixes of a file, without what is undefined. */
function pathsOf(text: string): (RouterPath | undefined)[] {
  return read(text).options.serving.prefixes.map(({ answers: { path } }) => plain(path));
}

function stepsOf(text: string): RouterPath["steps"] {
  return pathsOf(`${P}path: ${text}\n`)[0]?.steps ?? [];
}

function plain<T>(value: T): T {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return value.map((item) => plain<unknown>(item)) as T;
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== undefined).map(([key, item]) => [key, plain<unknown>(item)]),
  ) as T;
}

describe("each key of a hop", () => {
  for (const [text, expected] of [
    ["hop: 10.98.0.1", {}],
    ["hop: [10.98.0.1]", {}],
    ["hop: [\"fd98::1\", 10.98.0.1]", { ipv6: parseAddress("fd98::1") }],
    ["hop: 10.98.0.1, name: gw-1.lab", { name: "gw-1.lab" }],
    ["hop: 10.98.0.1, silent: true", { silent: true }],
    ["hop: 10.98.0.1, mtu: 68", { mtu: 68 }],
    ["hop: 10.98.0.1, mtu: 1400, black_hole: true", { mtu: 1400, blackHole: true }],
    ["hop: 10.98.0.1, black_hole: false", {}],
    ["hop: 10.98.0.1, ttl: 255", { ttl: 255 }],
    ["hop: 10.98.0.1, icmp: { rate: 0.5 }", { icmp: { rate: 0.5, burst: 1 } }],
    ["hop: 10.98.0.1, icmp: { rate: 5, burst: 2 }", { icmp: { rate: 5, burst: 2 } }],
    ["hop: 10.98.0.1, mpls: 1048575", { mpls: [1_048_575] }],
    ["hop: 10.98.0.1, mpls: [16002, 0]", { mpls: [16_002, 0] }],
    ["hop: 10.98.0.1, interface: { name: xe-0/0/1 }", { interface: { name: "xe-0/0/1", address: false } }],
    [
      "hop: 10.98.0.1, interface: { index: 501, mtu: 9000, address: true }",
      { interface: { index: 501, mtu: 9000, address: true } },
    ],
  ] as readonly (readonly [string, Partial<Hop>])[]) {
    test(text, () => { assert.deepEqual(stepsOf(`[{ ${text} }]`), [{ ...HOP, ...expected }]); });
  }

  test("silent: true without an address; a link; no link", () => {
    const [hop, other] = stepsOf("[{ silent: true, link: { rtt: 4ms } }, { hop: 10.98.0.1, link: none }]") as Hop[];
    assert.equal(hop.link?.out.delayNs, 2 * MS);
    assert.deepEqual([hop.silent, hop.ipv4, other], [true, undefined, HOP]);
  });
});

describe("a path", () => {
  const named = "links: { dsl: { rtt: 20ms } }\npaths:\n  far: [{ hop: 10.98.0.1, link: dsl }, { back: 7 }]\n";

  test("divides, by flow unless it says by what", () => {
    const any = "any: [[{ hop: 10.98.0.1 }, { hop: 10.98.0.2 }], [{ silent: true }]]";
    const second = { ...HOP, ipv4: parseAddress("10.98.0.2") };
    const branches = [[HOP, second], [plain({ ...HOP, ipv4: undefined, silent: true })]];
    assert.deepEqual(stepsOf(`[{ ${any} }]`), [{ branches, by: "flow" }]);
    for (const by of ["flow", "destination", "packet"]) {
      assert.deepEqual(stepsOf(`[{ ${any}, hash: ${by} }]`), [{ branches, by }]);
    }
  });

  test("has a name, a way back, and named links; prefixes that name it share it", () => {
    const paths = read(`${named}prefixes: [10.99.0.0/24, 10.99.1.0/24]\npath: far\n`).options.serving.prefixes
      .map(({ answers: { path } }) => path);
    assert.equal(paths[0], paths[1]);
    assert.deepEqual([paths[0]?.name, paths[0]?.back, (paths[0]?.steps[0] as Hop).link?.name], ["far", 7, "dsl"]);
    assert.equal(pathsOf(`${P}path: [{ hop: 10.98.0.1 }, { back: 0 }]\n`)[0]?.back, 0);
  });

  test("a prefix's own is before that of all, which is for those that have none; none is none", () => {
    const found = pathsOf(`${named}path: far\nprefixes:\n  - 10.0.0.0/24\n  - { prefix: 10.0.1.0/24, path: none }\n`
      + "  - { prefix: 10.0.2.0/24, path: [{ hop: 10.98.0.9 }] }\n  - { prefix: 10.0.3.0/24, ttl: 9 }\n");
    assert.deepEqual(found.map((path) => path && [path.name, (path.steps[0] as Hop).ipv4?.text]), [
      ["far", "10.98.0.1"], undefined, [undefined, "10.98.0.9"], ["far", "10.98.0.1"],
    ]);
    assert.deepEqual(pathsOf(`${named}${P}`), [undefined]);
  });

  test("has 64 hops on any way", () => {
    const hops = (count: number) => Array.from({ length: count }, () => "{ silent: true }").join(", ");
    const branches = `{ any: [[${hops(3)}], [${hops(1)}]] }`;
    assert.equal(stepsOf(`[${hops(61)}, ${branches}]\nttl: 65`).length, 62);
    assert.match(refusal(`${P}ttl: 99\npath: [${hops(62)}, ${branches}]\n`)?.lines.join() ?? "",
      /^FILE:3:7: path has 65 hops on its longest way; at most 64 fit$/);
  });

  test("has 256 ways through its branches", () => {
    const fork = (count: number) => `{ any: [${Array.from({ length: count }, () => "[{ silent: true }]").join(", ")}] }`;
    assert.equal(stepsOf(`[${fork(16)}, ${fork(16)}]`).length, 2);
    assert.deepEqual(refusal(`${P}path: [${fork(16)}, ${fork(16)}, ${fork(2)}]\n`)?.lines, [
      "FILE:2:7: path has 512 ways through its branches; at most 256 fit",
    ]);
  });

  test("keeps what it delays, and offload is off", () => {
    const offload = (path: string) => read(`${P}tcp: { 7: echo }\npath: ${path}\n`).options.offload;
    assert.deepEqual([offload("none"), offload("[{ silent: true }]")], [true, false]);
  });

  test("is printed as a file of the same meaning", () => {
    const text = `${named}prefixes:\n  - { prefix: 10.99.0.0/16, path: far }\n  - { prefix: "fd99::/64", path: `
      + "[{ any: [[{ hop: [10.98.0.1, \"fd98::1\"] }], [{ silent: true }]] }] }\n";
    const printed = toYaml(toDocument(read(text)));
    assert.deepEqual(pathsOf(printed), pathsOf(text));
    assert.equal(toYaml(toDocument(read(printed))), printed);
  });
});

describe("a path that is wrong: where, what, and what was expected", () => {
  const steps = "expected none, a path's name, or a list like [{ hop: 10.98.0.1, link: { rtt: 20ms } }]";
  const hop = "{ hop: 10.98.0.1 }";
  const addresses = "expected an IPv4 or IPv6 address, or a list of one of each";

  for (const [path, ...lines] of [
    ["5", `2:7: path is 5; ${steps}`],
    ["[]", "2:7: path is an empty list; expected a list of 1 to 64 steps like { hop: 10.98.0.1 }"],
    ["far", "2:7: \"far\" is no path's name; expected one under paths, which has none, or none"],
    ["[{}]", "2:8: path[0] is no step; expected hop, silent: true, any or back"],
    ["[{ silent: false }]", "2:8: path[0] is no step; expected hop, silent: true, any or back"],
    ["[{ hop: 10.98.0 }]", "2:15: path[0].hop is \"10.98.0\"; expected an address like 10.98.0.1 or 2001:db8::1"],
    ["[{ hop: 10.98.0.1, rtt: 5ms }]",
      "2:26: unknown key \"rtt\" in path[0]; did you mean the one in link?"],
    ["[{ hop: 5 }]", `2:15: path[0].hop is 5; ${addresses}`],
    ["[{ hop: [] }]", `2:15: path[0].hop is an empty list; ${addresses}`],
    ["[{ hop: \"fe80::1%eth0\" }]",
      "2:15: path[0].hop is \"fe80::1%eth0\"; expected an address like 10.98.0.1 or 2001:db8::1"],
    ["[{ hop: [10.98.0.1, 10.98.0.2] }]", "2:27: path[0].hop[1] is another IPv4 address; give one of each family"],
    ["[{ hop: 224.0.0.5 }]",
      "2:15: path[0].hop is 224.0.0.5, of 224.0.0.0/3, where no address is a host's; choose another address"],
    ["[{ hop: 255.255.255.255 }]",
      "2:15: path[0].hop is 255.255.255.255, of 224.0.0.0/3, where no address is a host's; choose another address"],
    ["[{ hop: 127.0.0.1 }]",
      "2:15: path[0].hop is 127.0.0.1, of 127.0.0.0/8, where no address is a host's; choose another address"],
    ["[{ hop: [10.98.0.1, \"ff02::1\"] }]",
      "2:27: path[0].hop[1] is ff02::1, of ff00::/8, where no address is a host's; choose another address"],
    ["[{ hop: \"fe80::1\" }]",
      "2:15: path[0].hop is fe80::1, of fe80::/10, which is never routed; choose another address"],
    ["[{ hop: 10.98.0.1, black_hole: true }]",
      "2:38: path[0].black_hole is about what is longer than the MTU; give mtu, too"],
    ["[{ hop: 10.98.0.1, mtu: 67 }]", "2:31: path[0].mtu is 67; expected bytes, from 68 to 65535"],
    ["[{ hop: \"fd98::1\", mtu: 1279 }]",
      "2:31: path[0].mtu is 1279; a hop with an IPv6 address forwards at least 1280 bytes"],
    ["[{ hop: 10.98.0.1, ttl: 0 }]", "2:31: path[0].ttl is 0; expected a whole number from 1 to 255"],
    ["[{ silent: true }, { hop: 10.98.0.1, ttl: 1 }]",
      "2:26: path[1] sends errors with a TTL of 1, and they pass 1 hop on their way back; expected ttl: 2 at least"],
    ["[{ hop: 10.98.0.1, icmp: { rate: 0 } }]",
      "2:40: path[0].icmp.rate is 0; expected errors a second, above 0 and up to 1000000000"],
    ["[{ hop: 10.98.0.1, icmp: 1 }]", "2:32: path[0].icmp is 1; expected a map like { rate: 1, burst: 1 }"],
    ["[{ hop: 10.98.0.1, mpls: 1048576 }]",
      "2:32: path[0].mpls is 1048576; expected a label from 0 to 1048575, or a list of 1 to 16 of them"],
    ["[{ hop: 10.98.0.1, name: a_b }]", "2:32: path[0].name is \"a_b\"; expected a host's name, like gw1.example"],
    ["[{ hop: 10.98.0.1, interface: {} }]",
      "2:37: path[0].interface says nothing; expected name, index, mtu or address: true"],
    [`[{ hop: 10.98.0.1, interface: { name: "${"é".repeat(32)}" } }]`,
      "2:45: path[0].interface.name has 64 bytes; at most 63 fit"],
    ["[{ hop: 10.98.0.1, link: dsl }]",
      "2:32: \"dsl\" is no link's name; expected one under links, which has none, or none"],
    ["[{ hop: 10.98.0.1, link: { in: { ecn: true } } }]",
      "2:45: path[0].link.in.ecn marks packets in place of a loss; give loss, too"],
    ["[{ hpo: 10.98.0.1 }]", "2:10: unknown key \"hpo\" in path[0]; did you mean hop?"],
    [`[${hop}, { back: 255 }]`, "2:36: path[1].back is 255; expected a whole number from 0 to 254"],
    ["[{ back: 7 }]", "2:7: path has no hop; expected at least one"],
    [`[{ back: 7 }, ${hop}]`, "2:8: path[0]: back is the last step, and there is one of it"],
    [`[${hop}, { back: 7, mtu: 1400 }]`, "2:28: path[1]: back is a step by itself; leave the other keys out"],
    ["[{ hop: 10.98.0.1, hash: flow }]", "2:32: path[0].hash decides on a branch; give any, too"],
    [`[{ any: [[${hop}], [${hop}]], mtu: 1400 }]`,
      "2:66: path[0].mtu is of a hop, and any is there; give it to the hops of the branches"],
    [`[{ any: [[${hop}], [${hop}]], hash: port }]`, "2:67: path[0].hash is \"port\"; expected flow, destination or packet"],
    [`[{ any: [[${hop}]] }]`, "2:15: path[0].any is a list of 1; expected a list of 2 to 16 branches"],
    [`[{ any: [[${hop}], []] }]`,
      "2:38: path[0].any[1] is an empty list; expected a list of 1 to 64 hops like { hop: 10.98.0.1 }"],
    [`[{ any: [[${hop}], [{ mtu: 1400 }]] }]`, "2:39: path[0].any[1][0] needs an address; expected hop, or silent: true"],
    [`[{ any: [[${hop}], [{ any: [[${hop}], [${hop}]] }]] }]`,
      "2:41: unknown key \"any\" in path[0].any[1][0]; expected hop, silent, name, link, mtu, black_hole, ttl, icmp, "
      + "mpls, interface"],
  ] as const) {
    test(path, () => {
      const found = refusal(`${P}path: ${path}\n`);
      assert.deepEqual(found, { lines: lines.map((line) => `FILE:${line}`), status: EXIT.CONFIG });
    });
  }

  test("under paths, and of a prefix", () => {
    const text = "paths:\n  far: [{ hop: 10.98.0.1, black_hole: true }]\n  none: [{ silent: true }]\n"
      + "prefixes:\n  - { prefix: 10.0.0.0/24, path: fra }\n  - { prefix: 10.0.1.0/24, path: [{ hop: 10.98.0 }] }\n";
    assert.deepEqual(refusal(text)?.lines, [
      "FILE:2:39: paths.far[0].black_hole is about what is longer than the MTU; give mtu, too",
      "FILE:3:3: \"none\" is no name of a path; expected a letter, then up to 63 letters, digits, \"_\" or \"-\"; none "
      + "stands for no path",
      "FILE:5:34: \"fra\" is no path's name; expected one under paths, which has far, none, or none",
      "FILE:6:42: prefixes[1].path[0].hop is \"10.98.0\"; expected an address like 10.98.0.1 or 2001:db8::1",
    ]);
  });

  test("for its prefix: IPv6 behind too small an MTU, and a TTL that the way back uses up", () => {
    assert.deepEqual(refusal("paths: { far: [{ silent: true, mtu: 576 }, { back: 9 }] }\npath: far\nttl: 9\n"
      + "prefixes: [\"fd99::/64\", 10.99.0.0/24, { prefix: 10.98.0.0/24, ttl: 10 }]\n")?.lines, [
      "FILE:4:12: prefix fd99::/64: the path has a hop that forwards 576 bytes at most; IPv6 needs at least 1280",
      "FILE:4:25: prefix 10.99.0.0/24: replies start with a TTL of 9, which the 9 hops of the way back use up; raise "
      + "ttl above 9",
    ]);
  });

  /** Returns a file with so many prefixes behind a path, each on a line of its own. */
  const behind = (count: number, path: string) => `prefixes:\n${Array.from({ length: count }, (_, i) =>
    `  - { prefix: 10.${i >> 8}.${i & 255}.0/24, path: ${path} }\n`).join("")}`;
  const noRoom = "prefixes have paths of more than 8192 hops and branching points; have prefixes share a path by its "
    + "name under paths, or shorten paths";

  test("more hops than there is room for", () => {
    const list = `[${Array.from({ length: 32 }, () => "{ silent: true }").join(", ")}]`;
    assert.equal(refusal(behind(256, list)), undefined);
    assert.deepEqual(
      refusal(behind(258, list)), { lines: [`FILE:258:15: ${noRoom}`], status: EXIT.CONFIG },
    );
    assert.equal(refusal(`paths: { far: ${list} }\n${behind(300, "far")}`), undefined);
    assert.deepEqual(refusal(`path: ${list}\n${behind(257, "none").replaceAll(", path: none", "")}`)?.lines, [
      `FILE:259:15: ${noRoom}`,
    ]);
    const fork = "[{ any: [[{ silent: true }], [{ silent: true }, { silent: true }]] }]";
    assert.equal(refusal(behind(2048, fork)), undefined);
    assert.deepEqual(refusal(behind(2049, fork))?.lines, [`FILE:2050:15: ${noRoom}`]);
  });

  test("paths that need more bytes than there is room for", () => {
    const times = (count: number, step: string) => Array.from({ length: count }, () => step);
    const hop = "{ hop: 10.98.0.1, mpls: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16] }";
    // Of its 256 ways, each lists its 56 hops.
    const long = `[${[...times(8, `{ any: [[${hop}], [${hop}]] }`), ...times(48, hop)].join(", ")}]`;
    const prefixes = (count: number) => behind(count, "none").replaceAll(", path: none", "");
    assert.equal(refusal(`path: ${long}\n${prefixes(106)}`), undefined);
    assert.deepEqual(refusal(`path: ${long}\n${prefixes(110)}`), {
      lines: ["FILE:109:15: prefixes have paths that need more than 8 MiB; have prefixes share a path by its name "
        + "under paths, or have fewer hops, branches and labels"],
      status: EXIT.CONFIG,
    });
    assert.equal(refusal(`paths: { far: ${long} }\npath: far\n${prefixes(110)}`), undefined);
  });

  test("the engine js has none", () => {
    assert.match(refusal(`${P}path: [{ silent: true }]\nengine: js\n`)?.lines.join() ?? "", /^FILE:2:7: .*has no paths/);
    assert.match(refusal("prefixes: [{ prefix: 10.0.0.0/24, path: none }]\nengine: js\n")?.lines.join() ?? "",
      /^FILE:1:41: .*has no paths/);
  });
});

describe("what is said of paths", () => {
  const text = `links: { lossy: { rtt: 10ms, loss: 1%, out: { rate: 1mbit } } }
paths:
  far:
    - { hop: [10.98.0.1, "fd98::1"], name: gw.lab, link: { rtt: 1ms } }
    - { any: [[{ hop: 10.98.1.1, link: { rtt: 3ms } }, { hop: 10.98.1.2 }], [{ hop: 10.98.2.1 }]] }
    - { silent: true, link: lossy, mtu: 1400, black_hole: true }
prefixes:
  - 10.98.0.0/16
  - { prefix: 10.99.0.0/24, path: far }
  - { prefix: 10.99.1.0/24, path: far, link: { rtt: 2ms } }
except: [10.98.2.0/24]
`;

  test("what to expect: hops, times, losses, the smallest MTU", () => {
    assert.equal(pathNotes(read(text).options.serving.prefixes, 16_384), [
      "path far: 3 or 4 hops there, as many back; 1400 bytes pass at most, and hop 3 or 4 drops what is longer without "
      + "a word; round trips take, to",
      "  hop 1: 10.98.0.1 and fd98::1 (gw.lab): 1 ms",
      "  hop 2, branch 1: 10.98.1.1: 4 ms",
      "  hop 3, branch 1: 10.98.1.2: 4 ms",
      "  hop 2, branch 2: 10.98.2.1: 1 ms",
      "  hop 3 or 4: silent: 11 ms, 1 % is lost, at most 1 Mbit/s, or by the longest branches 14 ms, 1 % is lost, at "
      + "most 1 Mbit/s",
      "  10.99.0.0/24: 11 ms, 1 % is lost, at most 1 Mbit/s, or by the longest branches 14 ms, 1 % is lost, at most "
      + "1 Mbit/s; at 1000 packets a second, 14 are kept at a time; held_packets has room for 1,170,000 a second",
      "  10.99.1.0/24: 13 ms, 1 % is lost, at most 1 Mbit/s, or by the longest branches 16 ms, 1 % is lost, at most "
      + "1 Mbit/s; at 1000 packets a second, 16 are kept at a time; held_packets has room for 1,020,000 a second",
    ].map((line) => `# ${line}\n`).join(""));
  });

  test("jitter makes quantiles", () => {
    const { prefixes } = read(`${P}path: [{ hop: 10.99.0.2, link: { out: { delay: 50ms, jitter: 10ms } } }]\n`)
      .options.serving;
    assert.match(
      pathNotes(prefixes, 16_384), /hop 1: 10\.99\.0\.2: (49|50)[.\d]* ms at the median, (59|60)[.\d]* ms for 99 of 100\n/,
    );
  });

  for (const [name, file, ...lines] of [
    ["hop addresses that nobody serves", text,
      "path far: hop addresses in no served prefix: fd98::1, 10.98.2.1; they are sources only: a kernel with "
      + "rp_filter=1 drops errors from them unless their route points at the device",
      "path far: hop address 10.98.0.1 is the host's own: the kernel drops errors from it"],
    ["an address twice on a way",
      `${P}path: [{ hop: 10.99.0.2 }, { any: [[{ hop: 10.99.0.3 }], [{ hop: 10.99.0.3 }]] }, { hop: 10.99.0.2 }]\n`,
      "the path of 10.99.0.0/16: 10.99.0.2 is two hops of one way, which looks like a loop"],
    ["hops without an address of the prefix's family",
      "prefixes: [\"fd99::/64\", 10.99.0.0/16]\npath: [{ hop: [10.99.0.2, \"fd99::2\"] }, { hop: 10.99.0.3 }]\n",
      "the path of fd99::/64: without an IPv6 address, hop 2 is as if silent to IPv6"],
    ["words that do nothing", `${P}path: [{ silent: true, mpls: 16002, link: { out: { reorder: true } } }]\n`,
      "the path of 10.99.0.0/16: hop 1: mpls does nothing where it is silent",
      "the link to hop 1 of the path of 10.99.0.0/16: out.reorder does nothing without jitter"],
    ["more words that do nothing", `${P}path: [{ silent: true, ttl: 255, icmp: { rate: 1 } }]\n`,
      "the path of 10.99.0.0/16: hop 1: ttl does nothing where it is silent",
      "the path of 10.99.0.0/16: hop 1: icmp does nothing where it is silent"],
    ["a prefix that answers without errors", `${P}path: [{ hop: 10.99.0.2 }]\nanswer: [echo]\n`,
      "the path of 10.99.0.0/16: its hops say nothing to who asks 10.99.0.0/16: answer has no errors"],
    ["nothing", `${P}path: [{ hop: 10.99.0.2 }]\n`],
  ]) {
    test(`oddities: ${name}`, () => { assert.deepEqual(oddities(read(file)).sort(), [...lines].sort()); });
  }
});
