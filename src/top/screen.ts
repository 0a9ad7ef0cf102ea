/** A terminal's whole screen, as lines: pure, so that what does not fit is decided in one place. */
import { styleText } from "node:util";
import { printable } from "../base/printable.js";
import { sumOf } from "../figures.js";
import { fit, padEnd, padStart, whole, widthOf } from "./text.js";
import type { View } from "./view.js";

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

type Style = "bold" | "dim" | "red";

interface Row {
  readonly cells: readonly string[];
  readonly style?: Style;
}

interface Table {
  /** How many columns, from the left, are names; the others are numbers. */
  readonly names: number;
  readonly heading: Row;
  readonly rows: readonly Row[];
  /** Rows that there was no room for. */
  readonly more: number;
}

const GAP = "  ";

/** `now`: Unix time in ms. No line is wider than the screen, and there are no more than it has. */
export function screen(view: View, { columns, rows }: Size, now: number, colour: boolean): string[] {
  const paint = (style: Style | undefined, text: string) => colour && style !== undefined ? styleText(style, text, { validateStream: false }) : text;
  const head = [
    paint("bold", header(view, now, columns)),
    ...view.figures.ready ? [] : [paint("red", fit("not ready: not all of it can be reached; see pongd's log", columns))],
    ...view.trouble === undefined ? [] : [paint("red", fit(`no new figures: ${printable(view.trouble)}`, columns))],
  ];
  // One line for each table's heading, and one before it.
  const totals = totalsOf(view);
  const room = Math.max(0, rows - head.length - 2 - totals.rows.length);
  const reasons = Object.keys(view.figures.dropped).length;
  const third = Math.floor(room / 3);
  const queues = queuesOf(view, Math.max(1, third - 2));
  const drops = reasons > 0 ? dropsOf(view, Math.max(1, third - 2)) : undefined;
  const left = room - [queues, drops].reduce((sum, table) => sum + (table ? 2 + table.rows.length + (table.more > 0 ? 1 : 0) : 0), 0);
  const prefixes = prefixesOf(view, Math.max(0, left - 3));
  const tables = [totals, queues, drops, prefixes].filter((table) => table !== undefined);
  return [...head, ...tables.flatMap((table) => ["", ...layOut(table, columns).map(({ text, style }) => paint(style, text))])].slice(0, rows);
}

function header({ url, figures, rates }: View, now: number, columns: number): string {
  const left = `pongd ${printable(figures.version)}${GAP}${printable(url)}`;
  const right = `${rates ? age(now - figures.at) : "measuring"}${GAP}q: quit`;
  const room = columns - widthOf(right) - GAP.length;
  return room < 10 ? fit(left, columns) : padEnd(fit(left, room), room) + GAP + right;
}

function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return seconds < 60 ? `${seconds} s old` : seconds < 3600 ? `${Math.floor(seconds / 60)} min old` : `${Math.floor(seconds / 3600)} h old`;
}

function totalsOf({ figures, rates }: View): Table {
  const row = (name: string, rate: number | undefined, total: number, bad = false): Row => ({ cells: [name, whole(rate), whole(total)], ...bad && { style: "red" } });
  return {
    names: 1,
    heading: { cells: ["PACKETS", "A SECOND", "IN ALL"] },
    rows: [
      row("received", rates?.received, sumOf(figures, "received")),
      row("replied", rates?.replied, sumOf(figures, "replied")),
      row("dropped", rates?.dropped, sumOf(figures, "dropped")),
      row("overrun in the device", rates?.overrun, figures.overrun, (rates?.overrun ?? 0) > 0),
    ],
    more: 0,
  };
}

function queuesOf({ figures: { queues }, queueRates }: View, room: number): Table {
  const rows = queues.slice(0, room).map(({ queue, engine, io, restarts }): Row => {
    const rates = queueRates.get(queue);
    return { cells: [queue, engine, io, whole(rates?.received), whole(rates?.replied), whole(rates?.dropped), whole(restarts)], ...restarts > 0 && { style: "red" } };
  });
  return { names: 3, heading: { cells: ["QUEUE", "ENGINE", "I/O", "RECEIVED/S", "REPLIED/S", "DROPPED/S", "RESTARTS"] }, rows, more: queues.length - rows.length };
}

function dropsOf({ figures: { dropped }, rates }: View, room: number): Table {
  const rateOf = (reason: string) => rates?.reasons[reason];
  const reasons = Object.entries(dropped).sort(([a, totalA], [b, totalB]) => (rateOf(b) ?? 0) - (rateOf(a) ?? 0) || totalB - totalA);
  const rows = reasons.slice(0, room).map(([reason, total]): Row => ({ cells: [reason, whole(rateOf(reason)), whole(total)] }));
  return { names: 1, heading: { cells: ["DROPPED FOR", "A SECOND", "IN ALL"] }, rows, more: reasons.length - rows.length };
}

function prefixesOf(view: View, room: number): Table | undefined {
  if (room === 0) return undefined;
  const { figures, rates } = view;
  const rows = figures.prefixes.slice(0, room).map(({ prefix, name = "", replied }): Row => ({ cells: [prefix, name, whole(rates?.prefixes[prefix]), whole(replied)] }));
  return { names: 2, heading: { cells: ["PREFIX", "NAME", "REPLIED/S", "IN ALL"] }, rows, more: figures.prefixCount - rows.length };
}

/** Columns as wide as their widest cell; where the screen is narrower, its edge cuts them. */
function layOut({ names, heading, rows, more }: Table, columns: number): { text: string; style: Style | undefined }[] {
  const all = [{ ...heading, style: "dim" as const }, ...rows].map(({ cells, style }) => ({ cells: cells.map((cell) => fit(printable(cell), columns)), style }));
  const widths = heading.cells.map((_, i) => Math.max(...all.map(({ cells }) => widthOf(cells[i]))));
  return [
    ...all.map(({ cells, style }) => ({ style, text: cells.map((cell, i) => i < names ? padEnd(cell, widths[i]) : padStart(cell, Math.max(widths[i], 12))).join(GAP) })),
    ...more > 0 ? [{ style: "dim" as const, text: `and ${whole(more)} more` }] : [],
  ].map(({ text, style }) => ({ text: fit(text, columns), style }));
}
