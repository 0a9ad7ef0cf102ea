/**
 * `npm run fuzz -- [TARGET…] [--seconds 60] [--seed N] [--merge]` runs targets one after another, each for as long, and
 * prints a line for each. A finding ends it: the input then lies in test/fuzz/findings/, and `npm run fuzz -- TARGET
 * --input FILE` tries it again.
 */
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { parseArgs } from "node:util";
import { corpusOf, replaceCorpus, saveFinding } from "./corpus.js";
import { Finding, type Target } from "./target.js";
import { TARGETS } from "./targets.js";

const USAGE = "npm run fuzz -- [TARGET…] [--seconds 60] [--seed N] [--merge], TARGET --input FILE, or --list";
const USAGE_STATUS = 2;

/** Thrown where what was asked for cannot be done. */
class UsageError extends Error {}

interface Asked {
  readonly targets: readonly Target[];
  readonly seconds: number;
  readonly seed: number;
  /** True if what is found belongs to the corpus from now on. */
  readonly merge: boolean;
  readonly input: Uint8Array | undefined;
  readonly list: boolean;
}

try {
  const asked = parse(process.argv.slice(2));
  if (asked.list) process.stdout.write(TARGETS.map(({ name }) => `${name}\n`).join(""));
  else if (asked.input) await replay(asked.targets[0], asked.input);
  else await fuzz(asked);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`fuzz: ${error.message}\n`);
  process.exitCode = USAGE_STATUS;
}

/** @throws UsageError */
function parse(args: string[]): Asked {
  const { values, positionals } = parsed(args);
  const targets = positionals.map(find);
  if (values.input !== undefined && positionals.length !== 1) {
    throw new UsageError(`--input goes with one target; ${USAGE}`);
  }
  return {
    targets: targets.length > 0 ? targets : TARGETS,
    seconds: numberOf("seconds", values.seconds, 86_400),
    seed: values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : numberOf("seed", values.seed, 2 ** 32 - 1),
    merge: values.merge,
    input: values.input === undefined ? undefined : read(values.input),
    list: values.list,
  };
}

function find(name: string): Target {
  const target = TARGETS.find((target) => target.name === name);
  if (!target) throw new UsageError(
    `there is no target ${JSON.stringify(name)}; there are ${TARGETS.map(({ name }) => name).join(", ")}`,
  );
  return target;
}

function parsed(args: string[]) {
  try {
    return parseArgs({
      args, allowPositionals: true,
      options: {
        seconds: { type: "string", default: "60" }, seed: { type: "string" }, merge: {
          type: "boolean", default: false,
        }, input: { type: "string" }, list: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message.replace(/\. .*$/s, "")}; ${USAGE}`, { cause: error });
  }
}

function numberOf(name: string, text: string, max: number): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > max) {
    throw new UsageError(`--${name} ${JSON.stringify(text)}: expected a whole number up to ${max}`);
  }
  return Number(text);
}

function read(file: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(file));
  } catch (error) {
    throw new UsageError(`--input: ${(error as Error).message}`, { cause: error });
  }
}

async function replay(target: Target, input: Uint8Array): Promise<void> {
  await target.replay(input);
  await target.close();
  process.stdout.write(`${target.name}: all holds\n`);
}

async function fuzz({ targets, seconds, seed, merge }: Asked): Promise<void> {
  const stop = new AbortController();
  process.once("SIGINT", () => { stop.abort(); });
  for (const target of targets) {
    if (stop.signal.aborted) return;
    try {
      const corpus = [...corpusOf(target.name).values()];
      const { inputs, seconds: took, blocks, kept } = await target.fuzz(corpus, { seconds, seed, signal: stop.signal });
      process.stdout.write(`${target.name.padEnd(11)} ${inputs} inputs, ${Math.round(inputs / took)}/s, ${blocks} `
        + `blocks, ${kept.length} kept, --seed ${seed}\n`);
      if (merge) replaceCorpus(target.name, await target.minimize([...corpus, ...kept]));
    } catch (error) {
      if (!(error instanceof Finding)) throw error;
      const file = relative("", saveFinding(target.name, error.input));
      process.stdout.write(`${target.name}: `
        + `${error.cause instanceof Error ? error.cause.stack ?? error.message : error.message}\n`
        + `the input is ${file}, of --seed ${seed}; again: npm run fuzz -- ${target.name} --input ${file}\n`);
      process.exitCode = 1;
      return;
    } finally {
      await target.close();
    }
  }
}
