/** What can still be looked at of a configuration that the schema refuses. */
import { LOG_FORMATS } from "../base/log.js";
import type { Document } from "./document.js";
import { valueAt } from "./judge.js";

/**
 * Keeps the texts of prefixes and exceptions, "" where an entry has none, and the log's format, to report problems in.
 */
export function salvage(value: unknown): Document {
  const list = (name: string) => {
    const entries = valueAt(value, [name]);
    return Array.isArray(entries)
      ? entries.map(
          (entry: unknown) => [entry, valueAt(entry, ["prefix"])].find((text) => typeof text === "string") ?? "",
        )
      : [];
  };
  const format = LOG_FORMATS.find((name) => name === valueAt(value, ["log", "format"]));
  return { prefixes: list("prefixes"), except: list("except"), log: { format } };
}
