import { Command, Option } from "commander";
import { BoundedLines, endUnread } from "../base/bounded.js";
import { EXIT } from "../base/failure.js";
import { tell, unread } from "../base/log.js";
import { DEFAULT_ADDRESS, parseMetricsAddress } from "../top/address.js";
import type { View } from "../top/view.js";
import { isColourful, isScreen } from "./colour.js";
import { credentialsOf, withCredentials, withPassword, type CredentialFlags } from "./credentials.js";
import { integer } from "./integer.js";
import { notes } from "./notes.js";
import { seconds } from "./seconds.js";

/** Time between two updates of the age that is shown, in ms. */
const AGE_MS = 1000;

interface Flags extends CredentialFlags {
  interval: number;
  count?: number;
  plain?: boolean;
  json?: boolean;
}

export function topCommand(): Command {
  const command = new Command("top")
    .description("Show what a running pongd answers and drops, refreshed each second. Needs no rights.")
    .argument("[url]", "where it serves its metrics, as URL, host:port or unix:PATH", DEFAULT_ADDRESS)
    .option("--interval <seconds>", "from one refresh to the next, 0.1 to 3600", seconds(0.1, 3600), 1)
    .option("--count <n>", "end after as many refreshes", integer(1, 999_999_999))
    .option("--plain", "a line a refresh, as where standard output is no terminal")
    .addOption(new Option("--json", "the same as JSON, an object a line").conflicts("plain"));
  return withCredentials(command)
    .addHelpText("after", notes(`
A screen with the rates, the drops by reason, each queue and the busiest prefixes; q or Ctrl-C ends it. While pongd does not answer, it
says so and goes on trying; where it does not at the start, the status is 1.

A user is written into the URL. A password there is seen by everyone who lists processes: put it into a file, or into PONGD_PASSWORD.

Examples:
  pongd top
  pongd top 192.0.2.1:7664 --interval 5
  pongd top --plain --count 60 > minute.txt            a line a second
  pongd top --json | jq .rates.dropped
  pongd top https://admin@pong.example:7664 --password-file ~/.pongd-password --ca ca.pem`))
    .action(async (text: string, flags: Flags) => {
      const address = withPassword(parseMetricsAddress(text), flags.passwordFile);
      const [{ Scraper }, { top }] = await Promise.all([import("../top/scraper.js"), import("../top/top.js")]);
      const stop = new AbortController();
      const quit = () => { stop.abort(); };
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, quit);
      // The reader of standard output has gone away.
      process.stdout.once("error", quit);
      const url = address.name;
      const scraper = new Scraper(address, credentialsOf(address, flags));
      const output = await (isScreen() && !flags.plain && !flags.json ? onScreen(quit) : onLines(flags.json));
      try {
        const { interval, count = Infinity } = flags;
        if (!await top(scraper, { url, intervalMs: 1000 * interval, count }, output.show, stop.signal)) {
          process.exitCode = EXIT.RUNTIME;
        }
      } finally {
        output.close();
        if (stop.signal.aborted) endUnread();
        scraper.close();
      }
    });
}

interface Output {
  readonly show: (view: View) => void;
  readonly close: () => void;
}

async function onScreen(quit: () => void): Promise<Output> {
  const [{ Terminal }, { screen }, { now }] = await Promise.all(
    [import("../top/terminal.js"), import("../top/screen.js"), import("../top/scraper.js")],
  );
  let shown: View | undefined;
  let terminal: InstanceType<typeof Terminal> | undefined;
  const draw = () => { if (terminal && shown) terminal.draw(screen(shown, terminal.size, now(), isColourful())); };
  const ticker = setInterval(draw, AGE_MS);
  return {
    show: (view) => {
      shown = view;
      // The terminal changes only when there is something to show, so that a failure at the start is a plain line.
      terminal ??= new Terminal(quit, draw);
      draw();
    },
    close: () => {
      clearInterval(ticker);
      terminal?.close();
    },
  };
}

async function onLines(json = false): Promise<Output> {
  const [{ HEADER, jsonLine, line }, { now }] = await Promise.all(
    [import("../top/lines.js"), import("../top/scraper.js")],
  );
  const stdout = new BoundedLines(process.stdout);
  stdout.onRoom = (dropped) => { tell("warn", unread(dropped, "standard output")); };
  let trouble: string | undefined;
  return {
    show: (view) => {
      // The first figures come without rates.
      const first = !view.rates && view.trouble === undefined;
      if (json) {
        if (!first) stdout.write(`${jsonLine(view, now())}\n`);
        return;
      }
      stdout.write(`${first ? HEADER : line(view, now())}\n`);
      if (view.trouble !== trouble && view.trouble !== undefined) tell("warn", `${view.trouble}; trying again`);
      trouble = view.trouble;
    },
    close: () => undefined,
  };
}
