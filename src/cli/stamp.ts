import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { Command } from "commander";
import { openFile, writeFile } from "../base/output.js";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { tell } from "../base/log.js";
import { filePath } from "./file.js";
import { integer } from "./integer.js";
import { load } from "./load.js";
import { notes } from "./notes.js";
import { seconds } from "./seconds.js";

const STANDARD_OUTPUT = "-";
/** Most requests: what is remembered of each reply is 100 bytes. */
const MAX_COUNT = 100_000;
/** Most octets of a UDP datagram, over IPv6. */
const MAX_SIZE = 65_527;

interface Flags {
  readonly port: number;
  readonly count: number;
  readonly interval: number;
  readonly timeout: number;
  readonly size?: number;
  readonly keyFile?: string;
  readonly ssid: number;
  readonly source?: string;
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly quiet?: boolean;
  readonly json?: string;
}

export function stampCommand(): Command {
  return new Command("stamp")
    .description("Measure loss and delay to a STAMP reflector (RFC 8762), such as pongd. Needs no rights.")
    .argument("<address>", "the reflector's address, or its name")
    .option("--port <port>", "its UDP port", integer(1, 65_535), 862)
    .option("--count <n>", `packets to send, up to ${MAX_COUNT}`, integer(1, MAX_COUNT), 10)
    .option("--interval <s>", "seconds from one to the next, 0.001 to 3600", seconds(0.001, 3600), 0.2)
    .option("--timeout <s>", "seconds to wait for a reply, 0.01 to 60", seconds(0.01, 60), 2)
    .option(
      "--size <bytes>", `bytes of a packet, 44 to ${MAX_SIZE}, or 112 at least with a key; the shortest by default`,
      integer(44, MAX_SIZE),
    )
    .option("--key-file <file>", "file with a key: packets are then authenticated", filePath)
    .option("--ssid <n>", "number of the session, 0 to 65535; 0 is none", integer(0, 65_535), 0)
    .option("--source <address>", "address to send from")
    .option("-4, --ipv4", "an IPv4 address, if the name has several")
    .option("-6, --ipv6", "an IPv6 address")
    .option("--quiet", "print no line for each reply")
    .option(
      "--json <file>", "write the result as JSON; \"-\" for standard output, and then nothing else there", filePath,
    )
    .addHelpText("after", notes(`
The round trip is without the time that the packet was inside of the reflector. The delays there and back are
differences of two clocks, and as right as these are. Where packets are lost is known if the reflector counts its
replies (mode: stateful). Ctrl-C ends it early.

Exit status: 1 when nothing came back.

Examples:
  pongd stamp 10.99.1.1
  pongd stamp --count 1000 --interval 0.01 --quiet fd99::1
  pongd stamp --key-file stamp.key --ssid 7 reflector.example.net`))
    .action(async (name: string, flags: Flags) => {
      const { port, count, interval, timeout, ssid, quiet = false, json } = flags;
      const key = await keyOf(flags.keyFile);
      const { BASE_LEN, AUTHENTICATED_LEN, TLV_HEADER_LEN } = await import("../stamp/packet.js");
      const shortest = key ? AUTHENTICATED_LEN : BASE_LEN;
      const { size = shortest } = flags;
      if (size !== shortest && size < shortest + TLV_HEADER_LEN) {
        throw new Failure(
          `--size ${size}: a packet has ${shortest} bytes, or ${shortest + TLV_HEADER_LEN} or more`, EXIT.USAGE,
        );
      }
      const { address, family } = await find(name, flags);
      // One that cannot be written is reported now.
      if (json !== undefined && json !== STANDARD_OUTPUT) await (await openFile(json)).discard();
      const [{ measure }, { lineOf, summaryOf }, { errorEstimate }] = await load(
        Promise.all([import("../stamp/sender.js"), import("../stamp/text.js"), import("../sys/realtime.js")]),
      );
      const error = errorEstimate();
      const interruption = new AbortController();
      const interrupt = () => { interruption.abort(); };
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, interrupt);
      const isText = json !== STANDARD_OUTPUT;
      const totals = await measure(
        { address, family, port, source: flags.source, count, interval, timeout, size, ssid, key, error },
        {
          replied: (times) => { if (isText && !quiet) process.stdout.write(`${lineOf(size, address, times)}\n`); },
          failed: (message) => { tell("warn", message); },
        },
        interruption.signal,
      );
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, interrupt);
      if (totals.received === 0) process.exitCode = EXIT.RUNTIME;
      if (isText) process.stdout.write(summaryOf(address, totals, error));
      if (json === undefined) return;
      const report = { address, port, size, ssid, authenticated: key !== undefined, ...totals };
      const text = `${JSON.stringify(report, null, 2)}\n`;
      if (!isText) process.stdout.write(text);
      else await writeFile(json, text);
    });
}

async function keyOf(file: string | undefined): Promise<Buffer | undefined> {
  if (file === undefined) return undefined;
  const { readKey } = await import("../config/hmackeys.js");
  try {
    return readKey(file, file);
  } catch (error) {
    throw error instanceof Failure ? new Failure(`--key-file: ${error.what}`, EXIT.USAGE, { cause: error }) : error;
  }
}

/** Returns the address of a name, and its family. @throws Failure */
async function find(
  name: string, { ipv4 = false, ipv6 = false, source }: Flags,
): Promise<{ readonly address: string; readonly family: 4 | 6 }> {
  if (ipv4 && ipv6) throw new Failure("--ipv4 and --ipv6 are given; give one", EXIT.USAGE);
  if (name === "") throw new Failure("the address is empty; write it like 10.99.1.1", EXIT.USAGE);
  const own = source === undefined ? 0 : isIP(source);
  if (source !== undefined && own === 0) throw new Failure(`--source: "${source}" is not an IP address`, EXIT.USAGE);
  const asked = ipv4 ? 4 : ipv6 ? 6 : own;
  const found = await lookUp(name, asked);
  const family = found.family === 6 ? 6 : 4;
  if (asked !== 0 && family !== asked) {
    throw new Failure(`${name} is an IPv${family} address, and not one of IPv${asked}`, EXIT.USAGE);
  }
  if (own !== 0 && own !== family) {
    throw new Failure(`--source: ${source ?? ""} is an address of IPv${own}, and not of IPv${family}`, EXIT.USAGE);
  }
  return { address: found.address, family };
}

async function lookUp(name: string, family: number): Promise<{ readonly address: string; readonly family: number }> {
  try {
    return await lookup(name, { family });
  } catch (error) {
    throw new Failure(`"${name}" has no address: ${messageOf(error)}`, EXIT.USAGE, { cause: error });
  }
}
