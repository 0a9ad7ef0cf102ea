/** The log of a thread that hands its lines to another one: a limited number of them, for outsiders may cause lines. */
import type { Logger } from "pino";
import { createLoggerTo, onWarning, type LogFormat, type LogLevel } from "./log.js";
import { RateLimiter } from "./ratelimiter.js";

export interface LineLimit {
  /** Lines at once. */
  readonly lines: number;
  /** One more comes in this many ms. */
  readonly everyMs: number;
  /** Says what is missing when lines were dropped. */
  readonly about: string;
}

/** `drops`: one word, to which the number of lines that were dropped is added. */
export function limitedLogger(
  level: LogLevel, format: LogFormat, drops: Uint32Array, post: (line: string) => void,
  { lines, everyMs, about }: LineLimit,
): Logger {
  const limiter = new RateLimiter(everyMs, lines);
  let dropped = 0;
  const log = createLoggerTo(level, format, (line) => {
    if (!limiter.take()) {
      dropped++;
      Atomics.add(drops, 0, 1);
      return;
    }
    post(line);
    if (dropped === 0) return;
    const missing = dropped;
    dropped = 0;
    log.warn({ droppedLines: missing }, `lines about ${about} were dropped, since there were too many at a time`);
  });
  onWarning((message) => { log.warn(message); });
  return log;
}
