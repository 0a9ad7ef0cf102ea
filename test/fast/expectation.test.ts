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

describe("what is to be expected of a link", () => {
  for (const [link, ...parts] of [
    ["{ rtt: 50ms }", "a round trip takes 50 ms", "at 1000 packets a second, 50 are kept at a time"],
    ["{ rtt: 4s }", "a round trip takes 4 s", "at 1000 packets a second, 4000 are kept at a time"],
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
      "25 % go ahead without a delay on the way out", "at 1000 packets a second, 10 are kept at a time",
    ],
    [
      "{ in: { delay: 10ms, reorder: { probability: 25%, correlation: 50%, gap: 5 } } }", "a round trip takes 10 ms",
      "12.5 % go ahead without a delay on the way in, at most one of 5",
      "at 1000 packets a second, 10 are kept at a time",
    ],
    ["{ out: { reorder: { probability: 25% } } }", "a round trip takes 0 ms"],
    [
      "{ out: { delay: 10ms, jitter: 2ms, reorder: true } }",
      "a round trip takes 10 ms at the median, and 12 ms for 99 of 100", "packets may pass each other on the way out",
      "at 1000 packets a second, 10 are kept at a time",
    ],
    ["{ out: { delay: 10ms, reorder: true } }", "a round trip takes 10 ms",
      "at 1000 packets a second, 10 are kept at a time"],
    [
      "{ netem: delay 10ms 2ms reorder 50% gap 2, compat: netem }",
      "a round trip takes 10 ms at the median, and 12 ms for 99 of 100", "packets may pass each other on the way out",
      "33.3 % go ahead without a delay on the way out, at most one of 2",
      "at 1000 packets a second, 10 are kept at a time",
    ],
    [
      // tc's table, which ends at 4, while the distribution goes on.
      "{ netem: delay 10ms 1ms distribution pareto, compat: netem }",
      "a round trip takes 9.68 ms at the median, and 14 ms for 99 of 100",
      "packets may pass each other on the way out", "at 1000 packets a second, 10 are kept at a time",
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
