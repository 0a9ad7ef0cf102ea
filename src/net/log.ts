/** The log of a service thread. Whatever handlers print goes there as well, a line each. */
import { parentPort } from "node:worker_threads";
import type { Logger } from "pino";
import { limitedLogger } from "../base/limitedlog.js";
import type { FromService, ServiceInput } from "./messages.js";

const LIMIT = { lines: 1000, everyMs: 2, about: "services" };
/** Most characters of a line that is printed. */
const MAX_LINE = 4096;

export function threadLog({ thread, logFormat, logLevel, drops }: ServiceInput): Logger {
  const post = (line: string) => parentPort?.postMessage({ kind: "line", line } satisfies FromService);
  const log = limitedLogger(logLevel, logFormat, drops, post, LIMIT);
  const printed = log.child({ thread: `service ${thread}` });
  capture(process.stdout, (line) => { printed.info(line); });
  capture(process.stderr, (line) => { printed.warn(line); });
  return log;
}

/** Has each line that is written to a stream said. */
function capture(stream: NodeJS.WriteStream, say: (line: string) => void): void {
  let rest = "";
  stream.write = (chunk: Uint8Array | string, encoding?: unknown, done?: unknown): boolean => {
    const text = rest + (typeof chunk === "string" ? chunk : Buffer.from(chunk).toString());
    const lines = text.split("\n");
    rest = (lines.pop() ?? "").slice(0, MAX_LINE);
    for (const line of lines) say(line.slice(0, MAX_LINE));
    const callback = [encoding, done].find((each) => typeof each === "function") as (() => void) | undefined;
    if (callback) process.nextTick(callback);
    return true;
  };
}
