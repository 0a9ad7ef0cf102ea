import type { Writable } from "node:stream";
import { Command } from "commander";
import type { Given } from "../config/given.js";
import { effective } from "../config/merge.js";
import { EXIT, Failure } from "../base/failure.js";
import { tell } from "../base/log.js";
import type { Replayed } from "../replay/replay.js";
import { filePath } from "./file.js";
import { notes } from "./notes.js";
import { addAnswerOptions, givenOf, hostAddressOption, prefixArgument } from "./settings.js";
import { outcome, tally, waiting } from "./summary.js";

const STANDARD_STREAM = "-";
const SIGNALS = ["SIGINT", "SIGTERM"] as const;
/** Time in ms after a signal, within which the rest must be read and written. */
const REST_MS = 5000;

export function replayCommand(): Command {
  return addAnswerOptions(new Command("replay")
    .description("Answer the packets of a capture, and write the replies as another. Needs no device and no rights.")
    .argument("<in>", "the capture, pcap or pcapng; \"-\" for standard input", filePath)
    .argument("<out>", "where the replies go, as pcapng; \"-\" for standard output", filePath)
    .addArgument(prefixArgument())
    .addOption(hostAddressOption("the host's own address in the capture, one for each family, or none")))
    .addHelpText("after", notes(`
Raw IP, Ethernet, Linux cooked and BSD loopback captures are read, compressed by
gzip or not. A reply has the time of its request, or the time at which it comes
out of its link. The same capture gives the same replies, byte for byte, also by
way of links, unless --seed differs; OUT has the seed in a comment. If the
capture is damaged, the packets before the damage are answered, and the status
is 1. Replies are written whenever the input pauses. Ctrl-C ends a capture that
comes through a pipe; OUT has the replies.

Examples:
  pongd replay in.pcap replies.pcapng 10.99.0.0/16
  tcpdump -U -i eth0 -w - icmp | pongd replay - - 192.0.2.0/24 | tshark -r -`))
    .action(async (input: string, output: string, texts: string[], _: unknown, command: Command) => {
      const given = givenOf(texts, command, "pongd replay IN OUT 10.99.0.0/16");
      const replayed = await replayFiles(input, output, given).catch(unlessUnread);
      if (!replayed) return;
      const { damage, ...counts } = replayed;
      (output === STANDARD_STREAM ? process.stderr : process.stdout).write(`${summarize(counts)}\n`);
      if (damage) throw damage;
    });
}

async function replayFiles(path: string, output: string, given: Given): Promise<Replayed> {
  // Without a seed, the same one each time: the same capture gives the same replies.
  const { options: run } = effective({ ...given, drawnSeed: 0 });
  const { serving, hostAddresses, engine, reassembly, kept, linked, tcp, accepts, streams } = run;
  if (streams.length > 0) {
    const names = streams.map(({ name }) => name).join(", ");
    throw new Failure(`replay has no service threads, which ${names} needs: leave it out of --tcp`, EXIT.USAGE);
  }
  const seed = linked ? run.seed : undefined;
  const options = { serving, hostAddresses, engine, reassembly, kept, seed, tcp: accepts ? tcp : undefined };
  const [{ replay }, { Input }, { openFile, openStream }] = await Promise.all([
    import("../replay/replay.js"), import("../replay/input.js"), import("../base/output.js"),
  ]);
  const [input, name] = path === STANDARD_STREAM ? [new Input(), "standard input"] : [new Input(path), path];
  const giveUp = () => { throw new Failure("interrupted before the replies were written", EXIT.RUNTIME); };
  const interrupt = () => {
    input.stop();
    setTimeout(giveUp, REST_MS).unref();
  };
  for (const signal of SIGNALS) process.on(signal, interrupt);
  const replies = output === STANDARD_STREAM ? openStream(standardOutput()) : await openFile(output);
  const warn = (message: string) => { tell("warn", message); };
  const replayed = await replay(input.chunks(), name, replies, options, warn);
  for (const signal of SIGNALS) process.off(signal, interrupt);
  return replayed;
}

/** Ignores EPIPE: whoever reads the replies may have had enough. @throws every other error */
function unlessUnread(error: unknown): void {
  const cause = error instanceof Failure ? error.cause as NodeJS.ErrnoException | undefined : undefined;
  if (cause?.code !== "EPIPE") throw error;
}

/**
 * Returns standard output without main.ts's handler of errors. Replies are the command's result here, so the write that
 * fails reports the error, and the handler would report it a second time.
 */
function standardOutput(): Writable {
  return process.stdout.removeAllListeners("error").on("error", () => undefined);
}

function summarize({ held, skipped, ...counts }: Omit<Replayed, "damage">): string {
  return [...outcome(counts), ...waiting(held), ...tally("skipped", skipped)].join("; ");
}
