import assert from "node:assert/strict";
import { isIP } from "node:net";
import { describe, test } from "node:test";
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import {
  FIRST_NODE, FIRST_PREFIX, HOST, HOST6, HOST6_OWNER, HOST_OWNER, INVALID, NOBODY, PREFIXES, TRIE, TRIE6,
} from "../../abi/tables.js";
import { Service } from "../../abi/tcp.js";
import { EXIT, Failure } from "../../src/base/failure.js";
import { parseHostAddresses } from "../../src/prefix/hostaddresses.js";
import { misfits } from "../../src/prefix/misfits.js";
import {
  type Address, formatBytes, parseAddress, parsePrefix, type Prefix, serving,
} from "../../src/prefix/prefixes.js";
import { examplesOf, pageOf, tableOf, type Table } from "../../src/engine/table.js";

const usage = (pattern: RegExp) => (error: unknown) => error instanceof Failure && error.exitStatus === EXIT.USAGE
  && pattern.test(error.message) && !error.message.includes("\n");

describe("reading a prefix", () => {
  test("address/length, or an address alone", () => {
    assert.equal(parsePrefix("10.99.0.0/16").text, "10.99.0.0/16");
    assert.equal(parsePrefix("10.0.0.2").text, "10.0.0.2/32");
    assert.equal(parsePrefix("128.0.0.0/2").text, "128.0.0.0/2");
    assert.equal(parsePrefix("2001:DB8:0::0/64").text, "2001:db8::/64");
    assert.equal(parsePrefix("2001:db8::1").text, "2001:db8::1/128");
    assert.equal(parsePrefix("2000::/3").text, "2000::/3");
  });

  test("as ipaddr.js reads it, whatever its form", () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
    const address6 = fc.array(group, { minLength: 8, maxLength: 8 })
      .map((groups) => Uint8Array.from(groups.flatMap((word) => [word >> 8, word & 255])));
    const form = fc.constantFrom<(text: string) => string>(
      (text) => text, (text) => text.toUpperCase(), (text) => text.replace("::", ":0:0:"), (text) => text
        .replace(/(?<=^|[.:])(?=\d)/, "0"), (text) => text.replace(/:[^:]*$/, ""),
    );
    fc.assert(fc.property(fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }), address6,
    ), fc.integer({ min: 0, max: 130 }), form, (address, length, write) => {
      const text = write(formatBytes(address));
      const bytes = isIP(text) === 0 ? [] : ipaddr.parse(text).toByteArray();
      const network = bytes.map((byte, i) => byte & 0xff << Math.max(0, Math.min(8, 8 * (i + 1) - length)) & 0xff);
      const read = () => parsePrefix(`${text}/${length}`);
      if (bytes.length === 0) assert.throws(read, usage(/is not a prefix/));
      else if (length > 8 * bytes.length) assert.throws(read, usage(/write a whole number from 0 to/));
      else if (network.join() !== bytes.join()) assert.throws(read, usage(/bits set beyond/));
      else {
        const expected = {
          family: bytes.length === 4 ? 4 : 6, bytes: Uint8Array.from(bytes), length,
          text: `${ipaddr.fromByteArray(bytes).toString()}/${length}`,
        };
        // Ranges that no host may have are refused only after they have been parsed.
        try {
          assert.deepEqual(read(), expected);
        } catch (error) {
          if (!usage(/has addresses of/)(error)) throw error;
        }
      }
    }), { numRuns: 5000 });
  });

  for (const [text, message] of [
    ["", /"" is not a prefix/], ["10.99/16", /not a prefix/], [
      "10.99.0.0/16/1", /not a prefix/,
    ], ["010.0.0.0/8", /not a prefix/],
    ["0x0a000000/8", /not a prefix/], [
      "10.99.0.0/33", /0 to 32/,
    ], ["10.99.0.0/", /0 to 32/], ["10.99.0.0/-1", /0 to 32/], ["10.99.0.0/1e1", /0 to 32/],
    ["10.99.0.1/16", /did you mean 10\.99\.0\.0\/16/], ["10.99.255.0/20", /did you mean 10\.99\.240\.0\/20/],
    ["127.0.0.0/8", /127\.0\.0\.0\/8/], [
      "127.1.0.0/16", /127\.0\.0\.0\/8/,
    ], ["224.0.0.0/4", /224\.0\.0\.0\/3/], ["0.0.0.0/8", /0\.0\.0\.0\/8/], ["255.255.255.255", /224\.0\.0\.0\/3/],
    ["0.0.0.0/0", /0\.0\.0\.0\/8/], ["126.0.0.0/7", /127\.0\.0\.0\/8/],
    ["fe80::1%eth0/64", /has a zone; write it without %eth0/], [
      "10.99.0.0/255.255.0.0", /write its netmask as a length: 10\.99\.0\.0\/16/,
    ], ["10.99.0.0/255.0.255.0", /0 to 32/], [
      "2001:db8::/255.255.0.0", /0 to 128/,
    ], ["2001:db8/32", /not a prefix/], ["2001:db8::/129", /0 to 128/], ["10.0.0.0/0008", /0 to 32/], [
      "1:2:3:4:5:6:7::8", /not a prefix/,
    ], ["1::2::3", /not a prefix/], ["1:2:3:4:5:6:7:8:9", /not a prefix/], ["2001:db8:", /not a prefix/], [
      "2001:db8::1/64", /did you mean 2001:db8::\/64/,
    ],
    ["2001:db8:0:ff00::/55", /did you mean 2001:db8:0:fe00::\/55/],
    ["::", /::\/128/], ["::1", /::1\/128/], ["::/0", /::\/128/], [
      "::ffff:10.0.0.0/104", /::ffff:0:0\/96/,
    ], ["ff02::1", /ff00::\/8/], ["fe00::/7", /ff00::\/8/],
    ["fe80::/64", /fe80::\/10, which is never routed/], ["fe80::/9", /fe80::\/10/],
  ] as const) {
    test(`"${text}" is refused in one line`, () => {
      assert.throws(() => parsePrefix(text), usage(message));
    });
  }

  const messages = (
    prefixes: readonly Prefix[], exceptions: readonly Prefix[] = [],
  ) => [...misfits(prefixes, exceptions)].map(({ message }) => message);

  test("the same twice, and too many, do not go together", () => {
    assert.deepEqual(messages(["10.0.0.0/8", "10.0.0.0/8"].map(parsePrefix)), ["prefix 10.0.0.0/8 is given twice"]);
    const many = Array.from(
      { length: PREFIXES + 1 }, (_, i) => parsePrefix(`10.${i >> 16}.${i >> 8 & 255}.${i & 255}/32`),
    );
    assert.deepEqual(messages(many), ["100001 prefixes given; at most 100000 fit"]);
    assert.deepEqual(messages(many.slice(1)), []);
    assert.equal(
      messages(many.slice(1), [parsePrefix("10.0.0.1/32")])[0],
      "100001 prefixes and exceptions given; at most 100000 fit",
    );
  });

  test("an exception lies in a prefix of its family, and is given once", () => {
    const prefixes = ["10.0.0.0/8", "10.1.0.0/16", "a00::/8", "2001:db8::/32"].map(parsePrefix);
    const exceptions = (...texts: string[]) => messages(prefixes, texts.map(parsePrefix));
    assert.deepEqual(exceptions("10.1.0.0/17", "10.0.0.0/16", "2001:db8::/127"), []);
    assert.deepEqual(exceptions("11.0.0.0/16"), ["exception 11.0.0.0/16 lies in none of the prefixes"]);
    assert.deepEqual(exceptions("2001:db9::/48"), ["exception 2001:db9::/48 lies in none of the prefixes"]);
    assert.deepEqual(exceptions("2001:db8::/31"), ["exception 2001:db8::/31 lies in none of the prefixes"]);
    assert.deepEqual(exceptions("10.1.0.0/16"), ["10.1.0.0/16 is given as a prefix and as an exception"]);
    assert.deepEqual(exceptions("10.2.0.0/16", "10.2.0.0/16"), ["exception 10.2.0.0/16 is given twice"]);
  });
});

describe("the host's addresses", () => {
  const others = (prefix: string, ...exceptions: string[]) => parseHostAddresses(
    [], [parsePrefix(prefix)], exceptions.map(parsePrefix),
  ).map(({ text }) => text);
  assert.deepEqual(others("10.99.0.0/24", "10.99.0.1/32"), ["10.99.0.2"], "an exception is somebody else's");
  assert.deepEqual(others("2001:db8::/64", "2001:db8::/127"), ["2001:db8::2"]);
  assert.deepEqual(others("10.99.0.0/24", "10.99.0.0/25"), ["10.99.0.128"]);
  assert.deepEqual(others("10.99.0.0/16", "10.99.0.0/24", "10.99.1.0/32", "10.99.1.1/32"), ["10.99.1.2"]);
  assert.deepEqual(others("2001:db8::/64", "2001:db8::/65"), ["2001:db8:0:0:8000::"]);
  assert.deepEqual(others("10.99.0.0/24", "10.99.0.0/24"), []);
  const hosts = (prefixes: string[], ...given: string[]) => parseHostAddresses(given, prefixes.map(parsePrefix))
    .map(({ text }) => text);

  test("by default the first usable one of each family's first prefix with room", () => {
    assert.deepEqual(hosts(["10.99.0.0/16"]), ["10.99.0.1"]);
    assert.deepEqual(hosts(["10.0.0.2/32", "192.0.2.8/29"]), ["192.0.2.9"]);
    assert.deepEqual(hosts(["192.0.2.6/31"]), ["192.0.2.6"]);
    assert.deepEqual(hosts(["192.0.2.4/30"]), ["192.0.2.5"]);
    assert.deepEqual(hosts(["10.0.0.2/32"]), []);
    assert.deepEqual(hosts(["10.99.0.0/24", "10.99.0.1/32"]), ["10.99.0.2"]);
    assert.deepEqual(hosts(["2001:db8::/64"]), ["2001:db8::1"], "not the Subnet-Router anycast address");
    assert.deepEqual(hosts(["2001:db8::2/127"]), ["2001:db8::2"], "RFC 6164");
    assert.deepEqual(
      hosts(["2001:db8::2/128", "2001:db8:1::ff00/120", "192.0.2.0/24"]), ["192.0.2.1", "2001:db8:1::ff01"],
    );
    assert.deepEqual(hosts(["2001:db8::/64", "2001:db8::1/128", "10.0.0.2/32"]), ["2001:db8::2"]);
  });

  test("as given, once a family; the other family's is the default still", () => {
    assert.deepEqual(hosts(["10.99.0.0/16"], "10.0.0.1"), ["10.0.0.1"]);
    assert.deepEqual(
      hosts(["10.99.0.0/16", "2001:db8::/64"], "2001:db8::ff", "10.0.0.1"), ["10.0.0.1", "2001:db8::ff"],
    );
    assert.deepEqual(hosts(["10.99.0.0/16", "2001:db8::/64"], "10.0.0.1"), ["10.0.0.1", "2001:db8::1"]);
    assert.deepEqual(hosts(["10.99.0.0/16", "2001:db8::/64"], "none"), []);
  });

  for (const [given, message] of [
    [
      ["none", "10.0.0.1"], /"none" leaves no room for 10\.0\.0\.1/,
    ], [["none", "none"], /"none" leaves no room for a second one/],
    [
      ["10.0.0.1", "10.0.0.2"], /10\.0\.0\.1 and 10\.0\.0\.2 are both IPv4/,
    ], [["fd00::1"], /fd00::1: the prefixes are IPv4/],
    [["224.0.0.1"], /lies in 224\.0\.0\.0\/3/], [
      ["10.99.0.9"], /10\.99\.0\.9 is all there is to answer/,
    ], [["fe80::1"], /fe80::\/10/], [["::1"], /::1\/128/],
  ] as const) {
    test(`${given.join(" and ")}: refused in one line`, () => {
      assert.throws(() => hosts(["10.99.0.9"], ...given), usage(message));
    });
  }
});

describe("what is tried a ping on", () => {
  type Written = string | { prefix: string; echo: false };
  const examples = (written: readonly Written[], exceptions: readonly string[] = [], ...hosts: string[]) => {
    const { prefixes, ...rest } = serving(
      written.map((entry) => parsePrefix(typeof entry === "string" ? entry : entry.prefix)),
      { exceptions: exceptions.map(parsePrefix) },
    );
    const served = { ...rest, prefixes: prefixes.map(
      (prefix, i) => ({ ...prefix, answers: { ...prefix.answers, echo: typeof written[i] === "string" } }),
    ) };
    const own = hosts.map(parseAddress);
    return examplesOf(served, own, tableOf(served, { hosts: own }));
  };
  const silent = (prefix: string) => ({ prefix, echo: false }) as const;

  for (const [what, given, expected] of [
    ["the .1.1 of a /16", [["10.99.0.0/16"], [], "10.99.0.1"], ["10.99.1.1"]],
    ["not the host's own address", [["192.0.2.0/24"], [], "192.0.2.1"], ["192.0.2.2"]],
    ["the other one of two", [["192.0.2.6/31"], [], "192.0.2.6"], ["192.0.2.7"]],
    ["the only one", [["10.0.0.2/32"], [], "10.0.0.1"], ["10.0.0.2"]],
    ["beside an exception", [["10.99.0.0/16", "10.99.1.1/32"], ["10.99.0.0/24"], "10.99.0.1"], ["10.99.1.1"]],
    ["before an exception", [["10.99.0.0/16"], ["10.99.1.0/24"]], ["10.99.0.2"]],
    ["behind an exception that has the usual ones", [["10.99.0.0/16"], ["10.99.0.0/17"]], ["10.99.128.0"]],
    [
      "behind exceptions that follow one another",
      [["10.99.0.0/24"], ["10.99.0.0/25", "10.99.0.128/26", "10.99.0.192/27"]], ["10.99.0.224"],
    ],
    ["behind a prefix without echo", [["10.99.0.0/16", silent("10.99.0.0/17")]], ["10.99.128.0"]],
    ["in a prefix with echo, within one without", [[silent("10.99.0.0/16"), "10.99.200.0/24"]], ["10.99.200.2"]],
    [
      "behind an exception and the host's own address",
      [["10.99.0.0/24"], ["10.99.0.0/30", "10.99.1.0/24"], "10.99.0.4"], ["10.99.0.5"],
    ],
    [
      "one of each family", [["2001:db8::/64", "10.99.0.0/16"], [], "10.99.0.1", "2001:db8::1"],
      ["10.99.1.1", "2001:db8::101"],
    ],
    ["of the family that answers", [["2001:db8::ff00/120", "192.0.2.0/24"], ["2001:db8::ff00/120"]], ["192.0.2.2"]],
    ["behind an exception, IPv6", [["2001:db8::/64"], ["2001:db8::/65"]], ["2001:db8:0:0:8000::"]],
    ["nothing, where exceptions take all", [["192.0.2.0/24"], ["192.0.2.0/25", "192.0.2.128/25"]], []],
    ["nothing, where nothing has echo", [[silent("192.0.2.0/24"), silent("2001:db8::/64")]], []],
    ["nothing, where the host has the last one", [["10.99.0.0/31"], ["10.99.0.0/32"], "10.99.0.1"], []],
  ] as const) {
    test(what, () => { assert.deepEqual(examples(...given as unknown as Parameters<typeof examples>), expected); });
  }

  test("where any address answers, one is found", () => {
    const prefix = fc.tuple(fc.nat(63), fc.integer({ min: 26, max: 32 }))
      .map(([low, length]) => `10.99.0.${low & 0x40 - (1 << 32 - length)}/${length}`);
    fc.assert(fc.property(fc.uniqueArray(
      fc.tuple(prefix, fc.constantFrom("echo", "silent", "except")),
      { minLength: 1, maxLength: 12, selector: ([text]) => text },
    ), fc.nat(63), (blocks, host) => {
      const written = blocks.filter(([, kind]) => kind !== "except")
        .map(([text, kind]) => kind === "echo" ? text : silent(text));
      const exceptions = blocks.filter(([, kind]) => kind === "except").map(([text]) => text);
      // This is the plain way: for each address the longest match decides.
      const answered = Array.from({ length: 64 }, (_, low) => low).filter((low) => {
        const around = blocks.map(
          ([text, kind]) => ({ base: Number(/\.(\d+)\//.exec(text)?.[1]), length: Number(text.split("/")[1]), kind }),
        ).filter(({ base, length }) => low >> 32 - length === base >> 32 - length);
        return low !== host && around.sort((a, b) => b.length - a.length).at(0)?.kind === "echo";
      });
      const [example] = examples(written, exceptions, `10.99.0.${host}`) as [string?];
      assert.equal(example !== undefined, answered.length > 0);
      if (example !== undefined) assert.ok(answered.includes(Number(example.split(".")[3])), example);
    }), { numRuns: 1000 });
  });
});

describe("what is tried curl on", () => {
  type Ports = Readonly<Record<string, string>>;
  const page = (written: Readonly<Record<string, Ports>>, exceptions: readonly string[] = [], ...hosts: string[]) => {
    const { prefixes, ...rest } = serving(
      Object.keys(written).map(parsePrefix), { exceptions: exceptions.map(parsePrefix) },
    );
    const lists = Object.values(written).map((ports) => Object.entries(ports).map(([text, name]) => {
      const [first, last = first] = text.split("-").map(Number);
      return { first, last, service: { name, kind: name === "echo" ? Service.echo : Service.http } };
    }).sort((a, b) => a.first - b.first));
    const served = { ...rest, prefixes: prefixes.map(
      (prefix, i) => ({ ...prefix, answers: { ...prefix.answers, echo: false, tcp: { ports: lists[i] } } }),
    ) };
    const own = hosts.map(parseAddress);
    return pageOf(served, own, tableOf(served, { hosts: own }));
  };

  for (const [what, expected, ...given] of [
    ["the .1.1 of a /16, ping or no ping", "http://10.99.1.1/", { "10.99.0.0/16": { 80: "http" } }],
    ["another port is written", "http://10.99.1.1:8080/", { "10.99.0.0/16": { 7: "echo", 8080: "http" } }],
    ["port 80, if it is one of several", "http://10.99.1.1/", { "10.99.0.0/16": { 8: "http", "79-81": "http" } }],
    ["or else the first", "http://10.99.1.1:8000/", { "10.99.0.0/16": { "8000-8010": "http", 9000: "http" } }],
    [
      "of the prefix that has one", "http://10.98.1.1/",
      { "10.99.0.0/16": { 80: "echo" }, "10.97.0.0/16": {}, "10.98.0.0/16": { 80: "http" } },
    ],
    [
      "not within a prefix that has none", "http://10.99.128.0/",
      { "10.99.0.0/16": { 80: "http" }, "10.99.0.0/17": { 80: "echo" } },
    ],
    [
      "within a prefix that has another port, that one", "http://10.99.1.1:81/",
      { "10.99.0.0/16": { 80: "http" }, "10.99.1.0/24": { 81: "http" } },
    ],
    [
      "neither the host's own address nor an exception", "http://10.99.0.6/",
      { "10.99.0.0/29": { 80: "http" } }, ["10.99.0.0/30", "10.99.0.4/32"], "10.99.0.5",
    ],
    ["IPv4 first", "http://192.0.2.1:82/", { "2001:db8::/64": { 80: "http" }, "192.0.2.1/32": { 82: "http" } }],
    [
      "IPv6, where IPv4 has none", "http://[2001:db8::101]/",
      { "2001:db8::/64": { 80: "http" }, "192.0.2.0/24": { 80: "echo" } },
    ],
    ["IPv6, another port", "http://[2001:db8::101]:8080/", { "2001:db8::/64": { 8080: "http" } }],
    ["no service of another name", undefined, { "10.99.0.0/16": { 80: "site" } }],
    ["nothing, where exceptions take all", undefined, { "10.99.0.0/16": { 80: "http" } }, ["10.99.0.0/16"]],
    ["nothing, where no port has anything", undefined, { "10.99.0.0/16": {} }],
  ] as const) {
    test(what, () => { assert.equal(page(...given as unknown as Parameters<typeof page>), expected); });
  }
});

describe("table", () => {
  /** Walks through the tries in the plainest way, with the address as a string of bits. */
  function ownerOf({ roots, nodes }: Table, { family, bytes }: Pick<Address, "family" | "bytes">): number {
    const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
    const at = (place: number) => roots[place / 4];
    const host = Array.from({ length: bytes.length / 4 }, (_, i) => at((family === 4 ? HOST : HOST6) + 4 * i));
    if (host.every((word, i) => word === Buffer.from(bytes).readUInt32LE(4 * i))) {
      return at(family === 4 ? HOST_OWNER : HOST6_OWNER);
    }
    let entry = at((family === 4 ? TRIE : TRIE6) + 4 * (bytes[0] | bytes[1] << 8));
    const stride = family === 4 ? 8 : 4;
    for (let bit = 16; bit < bits.length && entry >= FIRST_NODE; bit += stride) {
      entry = nodes[(entry - FIRST_NODE) / 4 + parseInt(bits.slice(bit, bit + stride), 2)];
    }
    assert.ok(entry < FIRST_NODE);
    return entry;
  }
  const numberOf = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  const bytesOf = (value: bigint, length: number) => new Uint8Array(
    Buffer.from(value.toString(16).padStart(2 * length, "0").slice(-2 * length), "hex"),
  );

  test("the ranges that are no host's are there without any prefix", () => {
    const table = tableOf(serving([]));
    const owners = (...texts: string[]) => texts.map((text) => ownerOf(table, parseAddress(text)));
    const edges = [
      "0.0.0.0", "0.255.255.255", "1.0.0.0", "126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0",
      "223.255.255.255", "224.0.0.0", "255.255.255.255",
    ];
    assert.deepEqual(
      owners(...edges), [INVALID, INVALID, NOBODY, NOBODY, INVALID, INVALID, NOBODY, NOBODY, INVALID, INVALID],
    );
    assert.deepEqual(
      owners("::", "::1", "::ffff:0:0", "::ffff:255.255.255.255", "ff00::", "ff02::1"), Array(6).fill(INVALID),
    );
    assert.deepEqual(
      owners("::2", "::fffe:ffff:ffff", "::1:0:0:0", "2001:db8::1", "fe80::1", "feff:ffff::"), Array(6).fill(NOBODY),
    );
  });

  for (const [prefix, host, owners] of [
    ["10.0.0.0/30", "10.0.0.1", [NOBODY, FIRST_PREFIX, NOBODY, FIRST_PREFIX, FIRST_PREFIX, NOBODY]],
    ["2001:db8::fffc/126", "2001:db8::fffd", [NOBODY, FIRST_PREFIX, NOBODY, FIRST_PREFIX, FIRST_PREFIX, NOBODY]],
  ] as const) {
    test(`the host's address is cut out of ${prefix}, also where it is a prefix of its own`, () => {
      const table = tableOf(serving([parsePrefix(prefix)]), { hosts: [parseAddress(host)] });
      const { family, bytes } = parseAddress(host);
      const around = [-2, -1, 0, 1, 2, 3].map(
        (offset) => ownerOf(table, { family, bytes: bytesOf(numberOf(bytes) + BigInt(offset), bytes.length) }),
      );
      assert.deepEqual(around, owners);
      assert.equal(
        ownerOf(tableOf(serving([parsePrefix(host)]), { hosts: [parseAddress(host)] }), parseAddress(host)), NOBODY,
      );
    });
  }

  for (const [family, width] of [[4, 32], [6, 128]] as const) {
    test(`IPv${family}: as many prefixes as there may be, and each is found`, () => {
      const prefixes = Array.from({ length: PREFIXES }, (_, i) => {
        const bytes = new Uint8Array(width / 8);
        bytes.set([32 + (i & 31), i * 7 & 255, i >> 5 & 255, i >> 13]);
        return { family, bytes, length: width, text: "" };
      });
      const table = tableOf(serving(prefixes));
      assert.ok(prefixes.every((prefix, i) => ownerOf(table, prefix) === FIRST_PREFIX + i));
    });

    test(`IPv${family}: random nested prefixes: the longest match by plain search`, () => {
      // Bits of a few prefixes' addresses come from a few seeds, so that many lie within one another or side by side.
      const base = family === 4 ? 0x0a000000n << 96n : 0x20010db8n << 96n;
      const value = fc.tuple(fc.constantFrom(0n, 0x1234567n << 92n, (1n << 120n) - 1n), fc
        .bigInt({ min: 0n, max: (1n << 24n) - 1n }), fc.integer({ min: 0, max: 100 }))
        .map(([pattern, noise, shift]) => bytesOf(
          (base | (pattern ^ noise << BigInt(shift)) & (1n << 114n) - 1n) >> BigInt(128 - width), width / 8,
        ));
      const prefix = fc.tuple(value, fc.integer({ min: 7, max: width })).map(([bytes, length]): Prefix => {
        const masked = bytesOf(numberOf(bytes) >> BigInt(width - length) << BigInt(width - length), width / 8);
        return parsePrefix(`${formatBytes(masked)}/${length}`);
      });
      fc.assert(fc.property(fc.uniqueArray(
        prefix, { maxLength: 40, selector: ({ text }) => text },
      ), fc.array(value, { minLength: 20 }), (prefixes, addresses) => {
        // Every third prefix is an exception.
        const table = tableOf(
          serving(prefixes.filter((_, i) => i % 3 !== 2), { exceptions: prefixes.filter((_, i) => i % 3 === 2) }),
        );
        const edges = prefixes.flatMap(({ bytes, length }) => {
          const size = 1n << BigInt(width - length);
          return [-1n, 0n, size - 1n, size].map((offset) => bytesOf(numberOf(bytes) + offset, width / 8));
        });
        for (const address of [...addresses, ...edges]) {
          let longest = -1;
          let expected = NOBODY;
          prefixes.forEach(({ bytes, length }, i) => {
            const within = (numberOf(bytes) ^ numberOf(address)) >> BigInt(width - length) === 0n;
            if (within && length > longest) {
              longest = length;
              expected = i % 3 === 2 ? NOBODY : FIRST_PREFIX + i - Math.floor((i + 1) / 3);
            }
          });
          assert.equal(ownerOf(table, { family, bytes: address }), expected, formatBytes(address));
        }
      }), { numRuns: 300 });
    });
  }
});
