/** The schema of links, for the file's schema (schema.ts). links.ts makes links of what it lets through. */
import { z } from "zod";
import { DISTRIBUTION_NAMES } from "./delays.js";
import { expectedFor, PERCENT, QUEUE, RATE, TIME, type Quantity } from "./quantities.js";
import { boolean, choice, list, map, whole } from "./shapes.js";
import { eitherOf } from "./types.js";

const MAX_COUNT = 0x7fff_ffff;
const COUNT = `a whole number from 1 to ${MAX_COUNT}`;
const FILE = "a file's path";
const WORDS = "words of netem";
const LENGTH = "a number of packets from 1 on";
const PACKETS = "a list of packets' numbers and ranges, like [3, 20-25]";
const BOTH_WAYS = "rtt, for the time there and back, or one in `in` or `out`";

function quantity(kind: Quantity) {
  return z.string(kind.expected).regex(kind.pattern, { error: ({ input }) => expectedFor(kind, input) });
}

const time = () => quantity(TIME);
const percent = () => quantity(PERCENT);
const count = () => whole(1, MAX_COUNT, COUNT);

function described<T extends z.ZodType>(type: T, description: string): z.ZodOptional<T> {
  return type.meta({ ...type.meta(), description }).optional();
}

function chance(more: Record<string, z.ZodType> = {}) {
  return map({
    probability: percent().meta({ description: "Share of the packets." }),
    correlation: described(percent(), "With what happened to the packet before; the share stays."), ...more,
  }, "a map like { probability: 1%, correlation: 25% }");
}

function loss() {
  const models = map({
    probability: described(percent(), "Share of the packets that is lost."),
    correlation: described(percent(), "Correlation of a packet's loss with that of the one before; the share stays."),
    burst: described(map({
      loss: percent().meta({ description: "Share of the packets that is lost." }),
      length: z.number(LENGTH).min(1, LENGTH).meta({ description: "Packets that are lost in a row, on average." }),
    }, "a map like { loss: 1%, length: 8 }"), "A share that is lost in bursts of this length on average."),
    gemodel: described(map({
      p: percent().meta({ description: "Chance to go from good to bad." }),
      r: described(percent(), "Chance to go from bad to good; 100% - p by default."),
      bad: described(percent(), "Share that is lost while it is bad, tc's 1-h; 100% by default."),
      good: described(percent(), "Share that is lost while it is good, tc's 1-k; none by default."),
    }, "a map like { p: 1%, r: 10%, bad: 60%, good: 0.1% }"),
    "Gilbert-Elliott: chances to go bad and good again, and to be lost in each state."),
    state: described(map({
      p13: percent().meta({ description: "Chance that a burst of losses begins." }),
      p31: described(percent(), "Chance that the burst ends; 100% - p13 by default."),
      p32: described(percent(), "Chance that packets come within the burst; none by default."),
      p23: described(percent(), "Chance that they are lost again within it; 100% by default."),
      p14: described(percent(), "Chance that a single packet is lost outside of bursts; none by default."),
    }, "a map like { p13: 1%, p31: 10% }"), "The four states of tc-netem(8)."),
    packets: described(
      list(z.union([whole(1, 0xffff_ffff, PACKETS), z.string(PACKETS)], PACKETS), PACKETS),
      "Exactly these packets, by their numbers from 1 on.",
    ),
  }, "a map like { burst: { loss: 1%, length: 8 } }");
  return z.union([percent(), models], `${PERCENT.expected}, or a map like { burst: { loss: 1%, length: 8 } }`);
}

function chances() {
  return z.union([percent(), chance()], `${PERCENT.expected}, or a map like { probability: 1%, correlation: 25% }`);
}

function way() {
  const names = eitherOf(DISTRIBUTION_NAMES);
  const file = () => z.string(FILE).min(1, FILE);
  const trace = map({
    file: file().meta({ description: "File with a delay in milliseconds on each line." }),
    step: time().meta({ description: "How long each of them applies." }),
  }, "a map with file and step");
  return map({
    delay: described(z.union([time(), trace], `${TIME.expected}, or a map with file and step`),
      "How long every packet is under way; or a file with milliseconds, each for one step."),
    jitter: described(time(),
      "How much the delay varies: by this at most if it is uniform, or by this standard deviation."),
    distribution: described(
      z.union([choice(DISTRIBUTION_NAMES, names), map({
        file: file().meta({ description: "File with measured delays, or a table of tc's." }),
      }, "a map with file")],
      `${names}, or a map with file`), "How the jitter is distributed; uniform by default."),
    correlation: described(percent(), "Correlation of a packet's jitter with that of the one before."),
    reorder: described(z.union([boolean(), chance({
      gap: described(count(), "At most one of so many packets goes ahead; 1 by default."),
    })],
    "true, false, or a map like { probability: 25%, gap: 5 }"),
    "Whether jitter may reorder packets, false by default; or how many go ahead of others without a delay."),
    loss: described(loss(), "Packets that are lost."),
    ecn: described(boolean(), "Whether packets that can say so are marked where they would be lost (RFC 3168)."),
    duplicate: described(chances(), "Packets that come twice."),
    corrupt: described(chances(), "Packets of which one bit changes."),
    rate: described(quantity(RATE), "Bits or bytes a second."),
    overhead: described(z.int("whole bytes"), "Bytes of each packet besides the IP packet, for the rate."),
    queue: described(quantity(QUEUE), "What may wait for the rate; 1000packets by default."),
    slot: described(map({
      min: time().meta({ description: "Shortest time between two slots." }),
      max: described(time(), "Longest one; min by default."),
      packets: described(count(), "Packets that leave in one slot."),
      bytes: described(count(), "Bytes that leave in one slot."),
    }, "a map like { min: 1ms, max: 10ms, packets: 42 }"), "Packets leave together, so many at a time."),
  }, "a map like { delay: 20ms, jitter: 2ms }");
}

/** Returns the schema of a link, whose message about anything else is `expected`. */
export function link(expected: string) {
  return map({
    rtt: described(time(), "Time there and back, half of it each way, besides the delays of in and out."),
    in: described(way(), "The way to the prefix."),
    out: described(way(), "The way back."),
    loss: described(loss(), "The same in out."),
    duplicate: described(chances(), "The same in out."),
    corrupt: described(chances(), "The same in out."),
    netem: described(z.string(WORDS).min(1, WORDS), "What out does, in the words of tc-netem(8)."),
    compat: described(choice(["netem"], "netem"),
      "netem: those words do what they do in netem, with its arithmetic and its random numbers."),
    shared: described(boolean(), "Whether all prefixes that name the link share it; true by default."),
    // Which way would it be?
    delay: described(z.never(BOTH_WAYS), "Not here: it belongs in `in` or `out`, and rtt is there for both."),
    jitter: described(z.never("one in `in` or `out`"), "Not here: it belongs in `in` or `out`."),
  }, expected);
}
