/**
 * Standard error: the log, and other messages of a command. They are written as text or as JSON lines (pino's). Each is
 * one printable line. Lines that nobody reads are dropped and counted.
 */
import { pino, type Logger } from "pino";
import { BoundedLines } from "./bounded.js";
import { printable } from "./printable.js";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = typeof LOG_LEVELS[number];
export const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = typeof LOG_FORMATS[number];

export const stderr = new BoundedLines(process.stderr);
stderr.onRoom = (dropped) => { tell("error", unread(dropped, "standard error")); };

let format: LogFormat = "text";

/** Sets the format in which tell() writes from now on. */
export function speak(as: LogFormat): void {
  format = as;
}

/**
 * Writes a line outside the log: a command's note or warning, or why it failed and with which status. As text, the
 * lines of `stack` follow it.
 */
export function tell(
  level: "info" | "warn" | "error", message: string,
  fields: { status?: number; stack?: readonly string[] | undefined } = {},
): void {
  if (format === "json") jsonLogger("info")[level](fields, message);
  else for (const line of [`pongd: ${message}`, ...fields.stack ?? []]) stderr.write(`${printable(line)}\n`);
}

export function createLogger(level: LogLevel, format: LogFormat): Logger {
  const logger = createLoggerTo(level, format, (line) => { stderr.write(line); });
  stderr.onRoom = (dropped) => { logger.error({ droppedLines: dropped }, unread(dropped, "standard error")); };
  return logger;
}

/** Makes a logger that hands each line, with its line end, to `write`. */
export function createLoggerTo(level: LogLevel, format: LogFormat, write: (line: string) => void): Logger {
  return loggerTo(level, format === "json" ? (line) => line : toText, write);
}

/** Hands Node.js's warnings to `say`, one line each. Node.js itself would print several lines. */
export function onWarning(say: (message: string) => void): void {
  process.removeAllListeners("warning")
    .on("warning", ({ name, message }) => { say(`Node.js warns: ${name}: ${message}`); });
}

/** Says how many lines are missing. */
export function unread(dropped: number, where: string): string {
  return `${dropped} line${dropped === 1 ? " was" : "s were"} dropped, since nobody read ${where}`;
}

function jsonLogger(level: LogLevel): Logger {
  return createLoggerTo(level, "json", (line) => { stderr.write(line); });
}

/** `toLine` turns pino's line, without its line end, into the line to write. */
function loggerTo(level: LogLevel, toLine: (line: string) => string, write: (line: string) => void): Logger {
  return pino({
    level,
    base: undefined,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    // The message is for people in JSON too. Fields keep their values as they are.
    hooks: { logMethod(args, method) {
      method.apply(this, args.map((arg: unknown) => typeof arg === "string" ? printable(arg) : arg) as typeof args);
    } },
  }, { write: (line) => { write(`${printable(toLine(line.slice(0, -1)))}\n`); } });
}

function toText(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const pairs = Object.entries(fields)
    .map(([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return `${String(time)} ${String(level)} ${String(msg)}${pairs.join("")}`;
}
