/** Tests what `pongd check` says of links: what to expect of them, and which words do less than they say. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { linkNotes, oddities } from "../../src/config/print.js";
import { read } from "../support/config.js";

const P = "prefixes: [10.99.0.0/16]\n";
const NAME = "the link of 10.99.0.0/16: ";

/** Returns what is to be expected of a file's `link:`, part by part. */
function expected(link: string): string[] {
  const text = linkNotes(read(`${P}link: ${link}\n`));
  assert.ok(text.startsWith(`# ${NAME}`) && text.endsWith("\n"), text);
  return text.slice(`# ${NAME}`.length, -1).split("; ");
}

/** What is said of packets that take so many ms: how many there are at 1000 a second, and what there is room for. */
function kept(ms: number, room = 16_384): string[] {
  const most = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 }).format(Math.floor(room / ms * 1000));
  return [`at 1000 packets a second, ${ms} are kept at a time`, `held_packets has room for ${most} a second`];
}

describe("what is to be expected of a link", () => {
  for (const [link, ...parts] of [
    ["{ rtt: 50ms }", "a round trip takes 50 ms", ...kept(50)],
    ["{ rtt: 4s }", "a round trip takes 4 s", ...kept(4000)],
    [
      "{ in: { loss: 1%, ecn: true }, out: { loss: { packets: [3] } } }",
      "a round trip takes 0 ms", "1 % is marked or lost on the way in",
      "exactly the packets that it names are lost on the way out",
    ],
    [
      "{ out: { rate: 1mbit, queue: 100packets } }", "a round trip takes 0 ms",
      "at most 1 Mbit/s on the way out: 12 ms for 1,500 bytes, and up to 1.2 s in a full queue",
    ],
    [
      "{ in: { rate: 1mbit, overhead: 1000 } }", "a round trip takes 0 ms",
      "at most 1 Mbit/s on the way in: 20 ms for 1,500 bytes, and up to 20 s in a full queue",
    ],
    [
      "{ in: { rate: 10mbit, queue: 64kb }, out: { rate: 8gbit, queue: 100ms } }", "a round trip takes 0 ms",
      "at most 10 Mbit/s on the way in: 1.2 ms for 1,500 bytes, and up to 51.2 ms in a full queue",
      "at most 8 Gbit/s on the way out: 0.0015 ms for 1,500 bytes, and up to 100 ms in a full queue",
    ],
    [
      "{ netem: rate 1mbit limit 50, compat: netem }", "a round trip takes 0 ms",
      "at most 1 Mbit/s on the way out: 12 ms for 1,500 bytes, and up to 600 ms in a full queue",
    ],
    [
      "{ out: { delay: 10ms, reorder: { probability: 25% } } }", "a round trip takes 10 ms",
      "25 % go ahead without a delay on the way out, and pass what came up to 10 ms before", ...kept(10),
    ],
    [
      "{ in: { delay: 10ms, reorder: { probability: 25%, correlation: 50%, gap: 5 } } }", "a round trip takes 10 ms",
      "12.5 % go ahead without a delay on the way in, at most one of 5, and pass what came up to 10 ms before",
      ...kept(10),
    ],
    ["{ out: { reorder: { probability: 25% } } }", "a round trip takes 0 ms"],
    [
      "{ out: { delay: 10ms, jitter: 2ms, reorder: true } }",
      "a round trip takes 10 ms at the median, and 12 ms for 99 of 100", "packets may pass each other on the way out",
      ...kept(10),
    ],
    ["{ out: { delay: 10ms, reorder: true } }", "a round trip takes 10 ms",
      ...kept(10)],
    [
      "{ netem: delay 10ms 2ms reorder 50% gap 2, compat: netem }",
      "a round trip takes 10 ms at the median, and 12 ms for 99 of 100",
      "at most 1000 packets are on the way out at a time",
      "packets may pass each other on the way out",
      "33.3 % go ahead without a delay on the way out, at most one of 2, and pass what came up to 10 ms before",
      ...kept(10),
    ],
    [
      // tc's table, which ends at 4, while the distribution goes on.
      "{ netem: delay 10ms 1ms distribution pareto, compat: netem }",
      "a round trip takes 9.68 ms at the median, and 14 ms for 99 of 100",
      "at most 1000 packets are on the way out at a time",
      "packets may pass each other on the way out", ...kept(10),
    ],
  ]) {
    test(link, () => { assert.deepEqual(expected(link), parts); });
  }
});

describe("words of a link that do nothing, or not all that they say", () => {
  for (const [link, ...lines] of [
    ["{ out: { delay: 10ms, jitter: 10ms } }"],
    ["{ out: { delay: 10ms, jitter: 20ms } }",
      "out.jitter exceeds the delay for 25 % of the packets, which get no delay"],
    ["{ rtt: 10ms, in: { jitter: 50ms }, out: { delay: 1ms, jitter: 3ms } }",
      "in.jitter exceeds the delay for 45 % of the packets, which get no delay"],
    // Of a normal distribution, 15.9 % are more than a standard deviation below its mean.
    ["{ out: { delay: 10ms, jitter: 10ms, distribution: normal } }",
      "out.jitter exceeds the delay for 15.9 % of the packets, which get no delay"],
    ["{ out: { delay: 10ms, jitter: 2ms, distribution: normal } }"],
    ["{ netem: delay 10ms 20ms }", "out.jitter exceeds the delay for 25 % of the packets, which get no delay"],
    ["{ netem: delay 10ms 20ms distribution normal, compat: netem }",
      "out.jitter exceeds the delay for 30.9 % of the packets, which get no delay"],
    ["{ netem: delay 10ms limit 5 }", "limit of netem's does nothing without a rate, but for compat: netem"],
    ["{ netem: delay 10ms limit 5, compat: netem }"],
    ["{ netem: delay 10ms limit 0, compat: netem }", "netem's limit is 0, so that the way out drops every packet"],
    ["{ rtt: 10ms, shared: true }", "shared does nothing but under links"],
    ["{ out: { reorder: true } }", "out.reorder does nothing without jitter"],
    ["{ in: { reorder: { probability: 1% } } }", "in.reorder does nothing without a delay"],
    ["{ out: { jitter: 0ms, distribution: normal, correlation: 1% } }",
      "out.distribution does nothing without jitter", "out.correlation does nothing without jitter"],
  ]) {
    test(link, () => {
      assert.deepEqual(oddities(read(`${P}link: ${link}\n`)), lines.map((line) => `${NAME}${line}`));
    });
  }
});

describe("room for fewer packets than may come", () => {
  for (const [text, ...lines] of [
    ["{ prefix: 10.99.0.0/16, link: { rtt: 1s } }"],
    ["{ prefix: 10.99.0.0/16, link: { rtt: 20s } }",
      "prefix 10.99.0.0/16: held_packets, 16384, has room for 819 packets a second; others are dropped"],
    ["{ prefix: 10.99.0.0/16, link: { rtt: 20s }, rate_limit: { rate: 800 } }"],
    ["{ prefix: 10.99.0.0/16, link: { rtt: 1s }, rate_limit: { rate: 100000 } }",
      "prefix 10.99.0.0/16: held_packets, 16384, has room for 16,400 packets a second of 100,000 by its rate_limit; "
      + "others are dropped"],
    ["{ prefix: 10.99.0.0/16, path: [{ hop: 10.99.0.2, link: { rtt: 15s } }], link: { rtt: 5s } }",
      "prefix 10.99.0.0/16: held_packets, 16384, has room for 819 packets a second; others are dropped"],
  ]) {
    test(text, () => { assert.deepEqual(oddities(read(`prefixes: [${text}]\n`)), lines); });
  }
});

test("links and paths that nothing has", () => {
  const file = (link: string, path: string) => `
links: { a: { rtt: 1ms }, b: { rtt: 2ms }, c: { rtt: 3ms } }
paths: { p: [{ hop: 10.99.0.2, link: b }], q: [{ hop: 10.99.0.3 }] }
link: ${link}
prefixes: [10.99.0.0/16, { prefix: 10.98.0.0/16, path: ${path}, link: none }]
`;
  const lines = (link: string, path: string) =>
    [`links.${link}: nothing has this link`, `paths.${path}: nothing has this path`];
  assert.deepEqual(oddities(read(file("a", "q"))), lines("c", "p"));
  assert.deepEqual(oddities(read(file("c", "p"))), lines("a", "q"));
});
