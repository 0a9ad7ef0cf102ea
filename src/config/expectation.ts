/** Says in a user's terms what a link does, and which of its words do nothing. */
import { NETEM_ALL, NETEM_SCALE } from "../../abi/netem.js";
import { QUANTILES } from "../../abi/ways.js";
import type { Link, LossModel, Rate, Way } from "../prefix/link.js";
import { shareOf } from "../prefix/netem.js";

/** Round trips from which quantiles are taken. */
const SAMPLES = 20_000;
/** The same of paths, which may have many links. */
const TRIPS = 2000;
/** Rate in packets a second for which it is said how many packets are kept. */
const RATE = 1000;
/** Steps after which the four states have settled. */
const STEPS = 10_000;
const NUMBERS = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const NS_PER_MS = 1e6;
const NS_PER_S = 1e9;
/** Bytes of a packet for which it is said how long a rate takes. */
const PACKET = 1500;
/** Least share of packets of which it is said that their jitter exceeds the delay. */
const LEAST_CUT = 0.001;

/** Returns a line about a link: what a ping through it may expect. `room`: packets that may be kept at a time. */
export function expectationOf({ in: inward, out }: Link, room: number): string {
  const trips = tripsOf({ in: inward, out }).sort();
  const at = (share: number) => inTime(trips[Math.floor(share * (SAMPLES - 1))]);
  const constant = trips[0] === trips[SAMPLES - 1];
  return [
    constant ? `a round trip takes ${at(0)}` : `a round trip takes ${at(0.5)} at the median, and ${at(0.99)} for 99 of 100`,
    ...[lossIn("in", inward), lossIn("out", out)].filter(Boolean),
    ...netemIn(out),
    ...[...orderIn("in", inward), ...orderIn("out", out)],
    ...[rateIn("in", inward), rateIn("out", out)].filter(Boolean),
    ...keptIn(average(trips), room),
  ].join("; ");
}

/** Says how many packets are kept that take so long, and for how many there is room. */
export function keptIn(ns: number, room: number): string[] {
  const kept = Math.ceil(Number(round(ns / NS_PER_S * RATE)));
  if (kept === 0) return [];
  const most = NUMBERS.format(Math.floor(roomIn(ns, room)));
  return [`at ${RATE} packets a second, ${kept} ${kept === 1 ? "is" : "are"} kept at a time`,
    `held_packets has room for ${most} a second`];
}

/** Returns how many packets a second may take so long where `room` may be kept. */
function roomIn(ns: number, room: number): number {
  return room / ns * NS_PER_S;
}

/** Returns a line if more packets come than there is room for: by a prefix's limit, or else a few. */
export function crowded(ns: number, room: number, limit: number | undefined): string[] {
  const most = Math.floor(roomIn(ns, room));
  if (ns === 0 || (limit ?? RATE) <= most) return [];
  const comes = limit === undefined ? "" : ` of ${NUMBERS.format(limit)} by its rate_limit`;
  return [`held_packets, ${room}, has room for ${NUMBERS.format(most)} packets a second${comes}; others are dropped`];
}

/** Returns how long a round trip through a link takes on average, in nanoseconds. */
export function meanOf(link: Link): number {
  return average(tripsOf(link));
}

/** Returns how long round trips through a link take, in nanoseconds. */
function tripsOf({ in: inward, out }: Link): Float64Array {
  return Float64Array.from({ length: SAMPLES }, (_, i) => delayAt(inward, i, 0) + delayAt(out, i, 1));
}

/** Round trips through links, one after the other. They are made up only when somebody asks for their words. */
export class Trips {
  static readonly none = new Trips([]);
  readonly #links: readonly Link[];

  private constructor(links: readonly Link[]) {
    this.#links = links;
  }

  /** Returns the trips that go through that link as well. */
  through(link: Link | undefined): Trips {
    return link ? new Trips([...this.#links, link]) : this;
  }

  /** How long they take if nothing varies. */
  get delayNs(): number {
    return this.#ways.reduce((sum, { delayNs, trace }) => sum + delayNs + (trace ? average(trace.delaysNs) : 0), 0);
  }

  /** What a ping may expect, in words. */
  get text(): string {
    const sorted = this.#timesNs().sort();
    const at = (share: number) => inTime(sorted[Math.floor(share * (sorted.length - 1))]);
    const kept = this.#ways.reduce((share, { ecn, loss }) => share * (1 - (ecn ? 0 : shareLost(loss) ?? 0)), 1);
    const byteNs = Math.max(0, ...this.#ways.map(({ rate }) => rate?.byteNs ?? 0));
    return [
      at(0) === at(1) ? at(0) : `${at(0.5)} at the median, ${at(0.99)} for 99 of 100`,
      ...kept < 1 ? [`${percent(1 - kept)} is lost`] : [],
      ...byteNs > 0 ? [`at most ${inBits(byteNs)}`] : [],
    ].join(", ");
  }

  get #ways(): Way[] {
    return this.#links.flatMap(({ in: inward, out }) => [inward, out]);
  }

  #timesNs(): Float64Array {
    // expectationOf says the same of it.
    if (this.#links.length === 1) return tripsOf(this.#links[0]);
    const times = new Float64Array(TRIPS);
    // Each way draws from numbers of its own.
    let state = 0x9e37_79b9;
    for (const way of this.#ways) {
      for (let i = 0; i < TRIPS; i++) {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        times[i] += Math.max(0, drawnOf(way, (state >>> 0) / 2 ** 32, i));
      }
    }
    return times;
  }
}

/** Returns the mean of values. */
function average(values: Float64Array): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Returns a line for each word of a link that does nothing, or not all that it says. */
export function idleWords({ in: inward, out, idle: known = [] }: Link): string[] {
  return [...known, ...Object.entries({ in: inward, out }).flatMap(([direction, way]) => {
    const cut = shareCut(way);
    const { jitterNs, quantiles, correlation, mayPass, loss, ecn, ahead, trace, netem } = way;
    const idle = (word: string, why: string) => `${direction}.${word} does nothing ${why}`;
    return [
      ...quantiles && jitterNs === 0 ? [idle("distribution", "without jitter")] : [],
      ...correlation > 0 && jitterNs === 0 ? [idle("correlation", "without jitter")] : [],
      ...mayPass && jitterNs === 0 && !trace ? [idle("reorder", "without jitter")] : [],
      ...ahead && !isDelayed(way) ? [idle("reorder", "without a delay")] : [],
      ...ecn && !loss ? [idle("ecn", "without loss")] : [],
      ...cut >= LEAST_CUT
        ? [`${direction}.jitter exceeds the delay for ${percent(cut)} of the packets, which get no delay`]
        : [],
      ...netem?.limit === 0 ? [`netem's limit is 0, so that the way ${direction} drops every packet`] : [],
    ];
  })];
}

function isDelayed({ delayNs, jitterNs, trace, rate, slots }: Way): boolean {
  return delayNs > 0 || jitterNs > 0 || trace !== undefined || rate !== undefined || slots !== undefined;
}

/** Returns the share of packets whose delay would be negative. */
function shareCut(way: Way): number {
  if (way.jitterNs === 0) return 0;
  let cut = 0;
  for (let i = 0; i < SAMPLES; i++) if (drawnAt(way, i, 0) < 0) cut++;
  return cut / SAMPLES;
}

/** Returns the share of packets that is lost in the long run; undefined where that means nothing. */
export function shareLost(loss: LossModel | undefined): number | undefined {
  switch (loss?.kind) {
    case undefined: return 0;
    case "random": return loss.probability;
    case "gilbert": {
      const { toBad, toGood, inGood, inBad } = loss;
      const bad = toBad + toGood > 0 ? toBad / (toBad + toGood) : 0;
      return bad * inBad + (1 - bad) * inGood;
    }
    case "states": {
      const { p13, p31, p32, p23, p14 } = loss;
      // Shares of the four states, halfway between one step and the next lest they swing.
      let [gap, received, burst, alone] = [1, 0, 0, 0];
      for (let i = 0; i < STEPS; i++) {
        const next = [
          gap * (1 - p13 - p14) + burst * p31 + alone, received * (1 - p23) + burst * p32,
          gap * p13 + received * p23 + burst * (1 - p31 - p32), gap * p14,
        ];
        [gap, received, burst, alone] = [gap, received, burst, alone].map((share, j) => (share + next[j]) / 2);
      }
      return burst + alone;
    }
    case "packets": return undefined;
  }
}

function lossIn(direction: string, { loss, ecn, netem }: Way): string {
  if (!loss) return "";
  // Netem's models lose what they say, but its correlation changes the share.
  const share = netem && !netem.model ? shareOf(netem.loss) : shareLost(loss);
  const what = ecn ? "is marked or lost" : "is lost";
  if (share === undefined) return `exactly the packets that it names are lost on the way ${direction}`;
  return `${percent(share)} ${what} on the way ${direction}`;
}

/** Returns what netem's correlations make of other shares. */
function netemIn({ netem }: Way): string[] {
  if (!netem) return [];
  const { duplicate, corrupt, reorder, rate, limit } = netem;
  const shares = Object.entries({ duplicate, corrupt, reorder })
    .filter(([, { correlation }]) => correlation > 0)
    .map(([word, chance]) =>
      `netem's ${word} of ${percent(chance.probability / NETEM_ALL)} comes to ${percent(shareOf(chance))}`);
  // rateIn() has it where there is a rate.
  return rate > 0 ? shares : [...shares, `at most ${limit} packets are on the way out at a time`];
}

/** Says what the way does to the order of packets. */
function orderIn(direction: string, way: Way): string[] {
  const { ahead, mayPass, jitterNs, trace, netem } = way;
  const varies = jitterNs > 0 || trace !== undefined;
  const passing = mayPass && varies ? [`packets may pass each other on the way ${direction}`] : [];
  if (!ahead || !isDelayed(way)) return passing;
  const { gap } = ahead;
  const share = netem ? shareOf(netem.reorder) : ahead.probability;
  // gap - 1 packets cannot be ahead, and one of the others is by its probability, whatever the correlation.
  const all = share / (1 + share * (gap - 1));
  const most = gap > 1 ? `, at most one of ${gap}` : "";
  const passed = way.delayNs > 0 ? `, and pass what came up to ${inTime(way.delayNs)} before` : "";
  return [...passing, `${percent(all)} go ahead without a delay on the way ${direction}${most}${passed}`];
}

function rateIn(direction: string, { rate, netem }: Way): string {
  if (!rate) return "";
  const packetNs = Math.max(0, PACKET + rate.overhead) * rate.byteNs;
  const queue = inTime(netem ? netem.limit * packetNs : queueNs(rate, packetNs));
  return `at most ${inBits(rate.byteNs)} on the way ${direction}: ${inTime(packetNs)} for 1,500 bytes, and up to ${queue} `
    + "in a full queue";
}

/** Returns how long a packet waits at most in a queue of packets that take so long. */
function queueNs({ queueNs, queuePackets = Infinity }: Rate, packetNs: number): number {
  return Math.min(queueNs, queuePackets * packetNs);
}

/** Returns a rate in words. */
function inBits(byteNs: number): string {
  const bits = 8e9 / byteNs;
  const units = [["Gbit/s", 1e9], ["Mbit/s", 1e6], ["kbit/s", 1e3]] as const;
  const [unit, size] = units.find(([, size]) => bits >= size) ?? ["bit/s", 1];
  return `${round(bits / size)} ${unit}`;
}

/** Returns a delay of the way: number `i` of SAMPLES that are spread evenly over its distribution, in another order. */
function delayAt(way: Way, i: number, direction: number): number {
  return Math.max(0, drawnAt(way, i, direction));
}

/** Returns the same as it is drawn, which may be negative. */
function drawnAt(way: Way, i: number, direction: number): number {
  // Multiples of irrational numbers, modulo 1: a pair of them fills the square evenly.
  return drawnOf(way, (i + 0.5) * (direction === 0 ? 0.7548776662466927 : 0.5698402909980532) % 1, i);
}

/** Returns the delay of the way at `u`, from 0 to 1, of its distribution, with that of its trace with number `i`. */
function drawnOf({ delayNs, jitterNs, quantiles, trace, netem }: Way, u: number, i: number): number {
  const traced = trace ? trace.delaysNs[i % trace.delaysNs.length] : 0;
  return delayNs + traced + jitterNs * (netem?.table ? tabled(netem.table, u) : variateOf(quantiles, u));
}

function variateOf(quantiles: Float32Array | undefined, u: number): number {
  if (!quantiles) return 2 * u - 1;
  const at = u * QUANTILES;
  const index = Math.floor(at);
  return quantiles[index] + (quantiles[index + 1] - quantiles[index]) * (at - index);
}

/** Returns a variate of a table of tc's. */
function tabled(table: Int16Array, u: number): number {
  return table[Math.floor(u * table.length)] / NETEM_SCALE;
}

function inTime(ns: number): string {
  return ns < NS_PER_S ? `${round(ns / NS_PER_MS)} ms` : `${round(ns / NS_PER_S)} s`;
}

function percent(share: number): string {
  return `${round(100 * share)} %`;
}

function round(value: number): string {
  return String(Number(value.toPrecision(3)));
}
