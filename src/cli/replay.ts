import { createReadStream } from "node:fs";
import type { Writable } from "node:stream";
import { Command } from "commander";
import { effective, type Given } from "../config/options.js";
import { EXIT, Failure } from "../failure.js";
import type { Replayed } from "../replay/replay.js";
import { filePath } from "./file.js";
import { notes } from "./notes.js";
import { addAnswerOptions, givenOf, prefixArgument } from "./settings.js";
import { tally, waiting } from "./summary.js";

const STANDARD_STREAM = "-";
/** Bytes that are read from a file at a time. */
const CHUNK_LEN = 262144;

export function replayCommand(): Command {
  return addAnswerOptions(new Command("replay")
    .description("Answer the packets of a capture, and write the replies as another. Needs no device and no rights.")
    .argument("<in>", "the capture, pcap or pcapng; \"-\" for standard input", filePath)
    .argument("<out>", "where the replies go, as pcapng; \"-\" for standard output", filePath)
    .addArgument(prefixArgument()), "the address in the capture that is the host's own")
    .addHelpText("after", notes(`
Raw IP, Ethernet and Linux cooked captures are read. A reply has the time of its request, and the same capture gives the same
replies, byte for byte. What is readable of a damaged capture is answered; the status is then 1.

Examples:
  pongd replay in.pcap replies.pcapng 10.99.0.0/16
  tcpdump -i eth0 -c 1000 -w - icmp | pongd replay - - 192.0.2.0/24 | tshark -r -`))
    .action(async (input: string, output: string, texts: string[], _: unknown, command: Command) => {
      const { damage, ...counts } = await replayFiles(input, output, givenOf(texts, command, "pongd replay IN OUT 10.99.0.0/16"));
      (output === STANDARD_STREAM ? process.stderr : process.stdout).write(`${summarize(counts)}\n`);
      if (damage) throw damage;
    });
}

async function replayFiles(input: string, output: string, given: Given): Promise<Replayed> {
  const { serving, hostAddresses, engine, reassembly } = effective(given).options;
  const options = { serving, hostAddresses, engine, reassembly };
  const [{ replay }, { openFile, openStream }] = await Promise.all([import("../replay/replay.js"), import("../output.js")]);
  const interrupt = () => { throw new Failure("interrupted before the capture's end", EXIT.RUNTIME); };
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, interrupt);
  const replies = output === STANDARD_STREAM ? openStream(standardOutput()) : await openFile(output);
  const warn = (message: string) => { process.stderr.write(`pongd: ${message}\n`); };
  const replayed = await replay(chunksOf(input), input === STANDARD_STREAM ? "standard input" : input, replies, options, warn);
  for (const signal of ["SIGINT", "SIGTERM"]) process.off(signal, interrupt);
  return replayed;
}

/** Here it is the result: what fails is the write, which says so. cli.ts would say it once more. */
function standardOutput(): Writable {
  return process.stdout.removeAllListeners("error").on("error", () => undefined);
}

/** Opened when it is first asked for a chunk: an error that comes before is nobody's. */
async function* chunksOf(input: string): AsyncGenerator<Uint8Array, void, undefined> {
  yield* (input === STANDARD_STREAM ? process.stdin : createReadStream(input, { highWaterMark: CHUNK_LEN })) as AsyncIterable<Uint8Array>;
}

function summarize({ received, replied, dropped, held, skipped }: Omit<Replayed, "damage">): string {
  return [`answered ${replied} of ${received} packets`, ...tally("dropped", dropped), ...waiting(held), ...tally("skipped", skipped)].join("; ");
}
