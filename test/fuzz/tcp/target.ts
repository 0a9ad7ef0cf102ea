/**
 * Makes TCP a target of `npm run fuzz`. WebAssembly has no coverage that V8 tells, so an input is kept if it made
 * something happen that none before did: a state, a segment, the next state and what was answered (world.ts).
 */
import { setImmediate } from "node:timers/promises";
import { Random } from "../../support/random.js";
import { Mutator } from "../mutate.js";
import { Finding, type Limits, type Summary, type Target } from "../target.js";
import { World } from "./world.js";

const MAX_LEN = 512;
/** Inputs between two turns of the event loop. */
const TURN = 32;
const FILES = 60;
/** Connections to begin with: each of the flows opens, sends, and closes. */
const ACCEPTED = Array.from({ length: 12 }, (_, flow) => Uint8Array.of(
  8, flow, 0, 0xe0, 0x6e, 8, flow, 1, 0xe0, 1, 8, flow, 5, 0xe4, 1, 1, 8, flow, 1, 0xe0, 1, 8, flow, 2, 0xe0, 1, 1, 8,
  flow, 1, 0xe0, 1, 0x30, 8, flow, 0, 0xe0, 2,
));
/** The same of those that are opened from here: answered, crossed, answered wrongly, refused, and refused by ICMP. */
const OPENED = [0, 1, 2, 3].flatMap((flow) => [
  [5, flow, 0x55, flow, 6, 0xe0, 0x6e, 0x25, flow, 8, 0x55, flow, 1, 0xe0, 1, 0x55, flow, 5, 0xe4, 1, 0x25, flow, 2,
    0x55, flow, 2, 0xe0, 1, 1, 0x55, flow, 1, 0xe0, 1],
  [5, flow, 0x55, flow, 0, 0xe0, 0x6e, 0x55, flow, 6, 0xe0, 0x6e, 0x55, flow, 1, 0xe0, 1, 0x25, flow, 3],
  [0x15, flow, 0x55, flow, 6, 0xe8, 0x6e, 1, 0x55, flow, 6, 0xe3, 0x6e, 0x25, flow, 4],
  [5, flow, 0x55, flow, 3, 0xe0, 0, 0x55, flow, 4, 0xe8, 0, 0x55, flow, 4, 0xe0, 0],
  [5, flow, 0x45, flow, 0, 0, 1, 1, 0x45, flow, 3, 0],
]).map((bytes) => Uint8Array.from(bytes));
const SEEDS = [...ACCEPTED, ...OPENED];

export const tcpTarget: Target = {
  name: "tcp", fuzz, replay, minimize, close: () => Promise.resolve(),
};

/** @throws Finding */
async function fuzz(corpus: readonly Uint8Array[], { seconds, seed, signal }: Limits): Promise<Summary> {
  const world = await World.create();
  const random = new Random(seed);
  const mutator = new Mutator(random, SEEDS.map((input) => input.subarray(0, 5)), MAX_LEN);
  const begin = performance.now();
  const ended = () => signal.aborted || performance.now() - begin >= 1000 * seconds;
  const kept: Uint8Array[] = [];
  const all = [...corpus, ...SEEDS];
  let inputs = 0;
  while (!ended()) {
    const input = inputs < all.length
      ? all[inputs]
      : mutator.mutate(random.pick(kept), random.pick(kept));
    const before = world.features.size;
    feed(world, input);
    if (world.features.size > before || kept.length === 0) kept.push(input);
    if (++inputs % TURN === 0) await setImmediate();
  }
  return { inputs, seconds: (performance.now() - begin) / 1000, blocks: world.features.size, kept };
}

function feed(world: World, input: Uint8Array): void {
  try {
    world.feed(input);
  } catch (error) {
    throw new Finding(input, error);
  }
}

async function replay(input: Uint8Array): Promise<void> {
  const world = await World.create();
  world.feed(input);
}

/** Returns the shortest inputs that each make something happen which none before does, those first that add most. */
async function minimize(inputs: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
  const world = await World.create();
  const reached = [...inputs].sort((a, b) => a.length - b.length).map((input) => {
    world.features.clear();
    world.feed(input);
    return { input, features: new Set(world.features) };
  });
  const chosen: Uint8Array[] = [];
  const done = new Set<string>();
  while (chosen.length < FILES) {
    const added = reached.map(({ features }) => [...features].filter((feature) => !done.has(feature)).length);
    const most = added.indexOf(Math.max(...added));
    if (most < 0 || added[most] === 0) break;
    chosen.push(reached[most].input);
    for (const feature of reached[most].features) done.add(feature);
  }
  return chosen;
}
