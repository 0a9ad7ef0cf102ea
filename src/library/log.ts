/** The log of the library: objects for whoever wants them; warnings of Node.js's otherwise. */
import { LOG_LEVELS } from "../base/log.js";

/** A line of the log. Further keys say what it is about. */
export interface LogEntry {
  readonly level: typeof LOG_LEVELS[number];
  /** When, by ISO 8601. */
  readonly time: string;
  /** For people, in one line. */
  readonly msg: string;
  readonly [key: string]: unknown;
}

/** Returns what takes the log's lines, which are JSON. */
export function logTo(take: ((entry: LogEntry) => void) | undefined): (line: string) => void {
  return (line) => {
    const entry = JSON.parse(line) as LogEntry;
    if (take) take(entry);
    else if (entry.level === "warn" || entry.level === "error") process.emitWarning(entry.msg, "PongdWarning");
  };
}
