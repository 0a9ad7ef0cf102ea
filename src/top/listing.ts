/** Formats a list for people, or for whatever reads JSON. The list is another program's. */
import { printable } from "../base/printable.js";
import type { ListName } from "../telemetry/lists.js";
import type { MetricsAddress } from "./address.js";
import { fit, padEnd, widthOf } from "./text.js";

/** Columns that one value takes at most. */
export const MAX_WIDTH = 64;

export type Line = Readonly<Record<string, unknown>>;

/** How lines of a kind are shown. */
export interface Form {
  /** A line, as messages name it. */
  readonly what: string;
  readonly headings: readonly string[];
  readonly columns: (line: Line) => string[];
  /** Returns a second line, if there is any. */
  readonly details?: (line: Line) => string;
}

/** Returns where a pongd with its metrics at `address` has the list that the parameters ask for. */
export function listAt(address: MetricsAddress, list: ListName, parameters: URLSearchParams): MetricsAddress {
  const url = new URL(list, address.url);
  url.search = parameters.toString();
  return { ...address, url, name: address.name.replace(/\/metrics(\?.*)?$/, `/${list}`) };
}

export class Lines {
  readonly #lines: readonly Line[];
  readonly #form: Form;

  /** @throws Error if it is not such a list. */
  constructor(body: string, form: Form) {
    const texts = body.split("\n");
    if (texts.pop() !== "") throw new Error("the last line does not end; is it a pongd?");
    this.#lines = texts.map((text, i) => lineOf(text, i, form.what));
    this.#form = form;
  }

  get count(): number {
    return this.#lines.length;
  }

  json(): string {
    return this.#lines.map((line) => `${printable(JSON.stringify(line))}\n`).join("");
  }

  /** Returns the heading, and what the form makes of each. */
  text(): string {
    const { headings, columns, details } = this.#form;
    const rows = [headings, ...this.#lines.map((line) => columns(line).map((cell) => fit(cell, MAX_WIDTH)))];
    const widths = headings.map((_, i) => rows.reduce((width, row) => Math.max(width, widthOf(row[i])), 0));
    const [heading, ...heads] = rows.map((row) => row.map((cell, i) => padEnd(cell, widths[i])).join("  ").trimEnd());
    return [heading, ...this.#lines.flatMap((line, i) => details ? [heads[i], `    ${details(line)}`] : [heads[i]])]
      .map((line) => `${line}\n`).join("");
  }
}

function lineOf(text: string, i: number, what: string): Line {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The line is not shown: it may be anything.
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error(`line ${i + 1} is no ${what}; is it a pongd?`);
  }
  return value as Line;
}

/** Returns the end whose address and port have these keys. */
export function endOf(line: Line, address: string, port: string): string {
  const text = textOf(line[address]);
  return `${text.includes(":") ? `[${text}]` : text}:${numberOf(line[port]) ?? "-"}`;
}

/** Formats a time: in ms below a second, in seconds below a minute, else in whole seconds as 1h59m58s. */
export function timeOf(ms: number): string {
  if (ms < 1000) return `${ms}ms`;
  if (ms < 60_000) return `${Math.round(ms) / 1000}s`;
  const seconds = Math.round(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const parts = [[hours, "h"], [minutes, "m"], [seconds % 60, "s"]] as const;
  return parts.map(([count, unit]) => count > 0 ? `${count}${unit}` : "").join("");
}

export function textOf(value: unknown): string {
  return typeof value === "string" && value !== "" ? printable(value) : "-";
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}
