import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { compare, differences, parseReport } from "../bench/compare.js";
import { BATCH } from "../../abi/slots.js";
import { PREFIXES } from "../../abi/tables.js";
import { benchEngine } from "../bench/engine.js";
import { BENCH_ENGINES, type BenchEngine, type Report } from "../bench/report.js";
import { benchHttp } from "../bench/http.js";
import { benchTun } from "../bench/tun.js";
import { headline, renderChanges, renderText } from "../bench/text.js";
import { ENGINE_NAMES, type EngineName } from "../engine/contract.js";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { IO_NAMES, type IoName } from "../io/contract.js";
import { tell } from "../base/log.js";
import { openFile, writeFile } from "../base/output.js";
import { isColourful } from "./colour.js";
import { filePath } from "./file.js";
import { integer } from "./integer.js";
import { notes } from "./notes.js";
import { seconds } from "./seconds.js";

/** Packet sizes: an empty ping, ping's default, two in between, an Ethernet frame's, a jumbo frame's, the largest. */
const SIZES = [28, 84, 128, 576, 1500, 9000, 65535];
const STANDARD_OUTPUT = "-";

interface OutputFlags {
  json: string | undefined;
  html: string | undefined;
  compare: string | undefined;
  seed: number;
}

interface EngineFlags extends OutputFlags {
  engine: BenchEngine[];
  size: number[];
  batch: number[];
  prefixes: number;
  seconds: number;
}

interface TunFlags extends OutputFlags {
  engine: EngineName[];
  io: IoName[];
  size: number;
  seconds: number;
}

interface HttpFlags extends OutputFlags {
  seconds: number;
}

export function benchCommand(): Command {
  return new Command("bench")
    .description("Measure, on this machine, what answers packets, or requests, how fast.")
    .addCommand(engineCommand())
    .addCommand(tunCommand())
    .addCommand(httpCommand());
}

function engineCommand(): Command {
  const command = new Command("engine")
    .description(
      "The engines side by side on packets in memory: WebAssembly against JavaScript. Needs no device and no rights.",
    )
    .addOption(choicesOption("--engine <names>", "engines to compare", BENCH_ENGINES))
    .addOption(listOption("--size <bytes>", "packet sizes, 28 to 65535", SIZES, integer(28, 65535)))
    .addOption(listOption("--batch <packets>", "packets in one call of an engine, up to 256", [64], integer(1, BATCH)))
    .option(
      "--prefixes <n>", `prefixes to configure and spread the packets over, up to ${PREFIXES}`, integer(1, PREFIXES), 1,
    )
    .option("--seconds <s>", "to spend on one engine at one size and batch, 0.05 to 600", seconds(0.05, 600), 0.5);
  return withOutput(command)
    .addHelpText("after", notes(`
Engines:
  js           pongd's own in JavaScript (--engine js of pongd run)
  wasm         pongd's own in WebAssembly, with SIMD
  wasm-scalar  the same source compiled without SIMD
  js-naive     a loop over bytes, as one writes it first

Examples:
  pongd bench engine                                      all of it, half a minute
  pongd bench engine --size 84,1500 --batch 1,8,64,256    two sizes in four batches
  pongd bench engine --json new.json --compare old.json   what changed since another run`))
    .action(async (flags: EngineFlags) => {
      const { engine: engines, size: packetBytes, batch: batches, prefixes, seconds, seed } = flags;
      await measure("engine", flags, (interrupted) => benchEngine(
        { engines, packetBytes, batches, prefixes, seconds, seed }, interrupted, showProgress,
      ));
    });
}

function tunCommand(): Command {
  const command = new Command("tun")
    .description(
      "The whole program through a real TUN device, in a network namespace of its own. Needs root, or: unshare -r.",
    )
    .addOption(choicesOption("--engine <names>", "engines to compare", ENGINE_NAMES))
    .addOption(choicesOption("--io <names>", "I/O backends to compare, each with each engine", IO_NAMES))
    .option("--size <bytes>", "packet size, 28 to 65535", integer(28, 65535), 84)
    .option(
      "--seconds <s>",
      "to spend on one combination under full load, and again on each kind of round trips, 0.05 to 600",
      seconds(0.05, 600),
      3,
    );
  return withOutput(command)
    .addHelpText("after", notes(`
Measured, for each combination: replies a second under as much load as the device takes, with the CPU time and the
system calls of a packet; round trips when idle, and at half of that load. The sender has a CPU of its own where there
are two.

Examples:
  sudo pongd bench tun                            all of it, a minute
  sudo pongd bench tun --engine wasm --size 1428  one engine, larger pings`))
    .action(async (flags: TunFlags) => {
      const { engine: engines, io: ios, size: packetBytes, seconds, seed } = flags;
      const leftOut = (what: string) => { tell("warn", `left out: ${what}`); };
      await measure(
        "tun",
        flags,
        (interrupted) => benchTun({ engines, ios, packetBytes, seconds, seed }, interrupted, showProgress, leftOut),
      );
    });
}

function httpCommand(): Command {
  const command = new Command("http")
    .description(
      "HTTP on pongd's TCP against HTTP on the kernel's sockets, both in Node.js's http.Server with the same handler. "
      + "Needs root, or: unshare -r.",
    )
    .option(
      "--seconds <s>", "to spend on each of the two in each test, 0.05 to 600", seconds(0.05, 600), 5,
    );
  return withOutput(command, "of the order of addresses")
    .addHelpText("after", notes(`
Tests:
  keepalive  64 connections, each with one request after the other
  lone       one connection, one request after the other
  connect    a connection for each request, 64 at a time, to 60,000 addresses
  bulk       one long response

wrk(1) measures the first two where it is installed, and a client of pongd's own the others. Both servers are on the
last CPU, and the clients on the first. CPU time is that of the server's process.

Examples:
  sudo pongd bench http                                    all of it, a minute
  sudo pongd bench http --json new.json --compare old.json what changed since another run`))
    .action(async (flags: HttpFlags) => {
      const { seconds, seed } = flags;
      const leftOut = (what: string) => { tell("warn", `left out: ${what}`); };
      await measure(
        "http", flags, (interrupted) => benchHttp({ seconds, seed }, interrupted, showProgress, leftOut),
      );
    });
}

function withOutput(command: Command, seedOf = "of the packets' contents"): Command {
  return command
    .option("--seed <n>", seedOf, integer(0, 999_999_999), 1)
    .option(
      "--json <file>", "write the report as JSON; \"-\" for standard output, and then nothing else there", filePath,
    )
    .option("--html <file>", "write it as a page with charts, complete in itself", filePath)
    .option("--compare <file>", "say what changed since a report that --json wrote", filePath)
    .addHelpText("after", "\nCtrl-C ends it early and prints what has been measured.");
}

/** Runs a benchmark, from the first check of its files to the last copy of its report. */
async function measure(
  benchmark: Report["benchmark"], flags: OutputFlags, run: (interrupted: AbortSignal) => Promise<Report>,
): Promise<void> {
  const { json, html } = flags;
  if (html === STANDARD_OUTPUT) throw new Failure("--html needs a file; standard output is for --json -", EXIT.USAGE);
  if (json === STANDARD_OUTPUT && flags.compare !== undefined) throw new Failure(
    "--compare prints to standard output, and --json - leaves no room there; give --json a file", EXIT.USAGE,
  );
  if (json !== undefined && html !== undefined && resolve(json) === resolve(html)) {
    throw new Failure(`--json and --html are both to be ${json}; give each a file of its own`, EXIT.USAGE);
  }
  const before = flags.compare === undefined ? undefined : parseReport(read(flags.compare), flags.compare, benchmark);
  for (const file of [json, html]) {
    // A file that cannot be written is reported now, and not after minutes of measuring.
    if (file !== undefined && file !== STANDARD_OUTPUT) await (await openFile(file)).discard();
  }
  const interruption = new AbortController();
  const interrupt = () => { interruption.abort(); };
  process.once("SIGINT", interrupt);
  const report = await run(interruption.signal);
  process.off("SIGINT", interrupt);

  // The terminal gets its text first, whatever becomes of the files.
  if (json === STANDARD_OUTPUT) process.stdout.write(toJson(report));
  else process.stdout.write(renderText(report, isColourful()));
  if (before) process.stdout.write(
    `\n${renderChanges(compare(before, report), differences(before.environment, report.environment))}`,
  );
  if (report.results.length === 0) return;

  const failures: unknown[] = [];
  const save = (file: string, text: string) =>
    writeFile(file, text).catch((error: unknown) => { failures.push(error); });
  if (json !== undefined && json !== STANDARD_OUTPUT) await save(json, toJson(report));
  if (html !== undefined) {
    const { renderHtml } = await import("../bench/html.js");
    await save(html, renderHtml(report, headline(report)));
  }
  if (failures.length > 0) throw failures[0];
}

/** Shows a progress bar on standard error, if that is a terminal. It is gone when all is done. */
function showProgress(done: number, next: string): void {
  if (!process.stderr.isTTY) return;
  const width = 30;
  const filled = Math.round(done * width);
  const line = `[${"#".repeat(filled)}${"·".repeat(width - filled)}] ${Math.round(done * 100)} %  ${next}`;
  process.stderr.write(done < 1 ? `\r\x1b[K${line.slice(0, (process.stderr.columns || 80) - 1)}` : "\r\x1b[K");
}

function toJson(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

function read(file: string): string {
  try {
    if (!statSync(file).isFile()) throw new Error(`${file} is no file`);
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new Failure(`--compare: ${messageOf(error)}`, EXIT.USAGE);
  }
}

/**
 * Makes an option for values separated by commas. Each is parsed alone; they keep their order, and none is repeated.
 */
function listOption<T>(flags: string, description: string, fallback: T[], parse: (text: string) => T): Option {
  return new Option(flags, `${description}, separated by commas`)
    .default(fallback, fallback.join(","))
    .argParser((text: string) => [...new Set(text.split(",").map((part) => parse(part.trim())))]);
}

/** Makes an option for words that the help names; by default all of them. */
function choicesOption(flags: string, description: string, choices: readonly string[]): Option {
  const option = listOption(flags, description, [...choices], choice(choices));
  // Option.choices() would take a list for one word.
  option.argChoices = [...choices];
  return option;
}

function choice<T extends string>(choices: readonly T[]): (text: string) => T {
  return (text) => {
    const found = choices.find((name) => name === text);
    if (found === undefined) throw new InvalidArgumentError(`Allowed are ${choices.join(", ")}.`);
    return found;
  };
}
