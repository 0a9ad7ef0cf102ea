/** Writes what a sender of STAMP has found out, as ping does. */
import { clockErrorOf, FAULTS, type ClockError, type Fault } from "./packet.js";
import type { Losses, Spread, Times, Totals } from "./tally.js";

const FAULT_WORDS: Readonly<Record<Fault, string>> = {
  length: "of another length than was sent", hmac: "not authentic", sequence: "with a number that was not sent",
  timestamp: "with another time than was sent", times: "that left before they came", address: "from another address",
};

const COLUMNS = ["min", "median", "p95", "p99", "max"] as const;

/** A line for a reply. */
export function lineOf(size: number, address: string, { sequence, roundTrip, there, back }: Times): string {
  return `${size} bytes from ${address}: seq=${sequence} time=${ms(roundTrip)} ms there=${ms(there)} ms `
    + `back=${ms(back)} ms`;
}

/** The last lines. `error` is what the clock here says of itself, as it is sent. */
export function summaryOf(address: string, totals: Totals, error: number): string {
  const { sent, received, lost, late, duplicates, reordered, wrong, faults, losses, times, clock } = totals;
  const share = sent > 0 ? ` (${Number((100 * lost / sent).toFixed(1))} %)` : "";
  const counts = [
    `${sent} sent`, `${received} received`, `${lost} lost${share}`, ...late > 0 ? [`${late} too late`] : [],
    ...duplicates > 0 ? [`${duplicates} duplicate${duplicates > 1 ? "s" : ""}`] : [],
    ...reordered > 0 ? [`${reordered} reordered`] : [], ...wrong > 0 ? [`${wrong} wrong`] : [],
  ];
  const lines = [`--- ${address} ---`, counts.join(", "), ...wrong > 0 ? [wrongsOf(faults)] : [], ...losses ? [placesOf(losses)] : []];
  if (times && clock) {
    lines.push(
      ...tableOf([
        ["round trip", times.roundTrip], ["there", times.there], ["back", times.back], ["reflector", times.inside],
      ]),
      "The round trip is without the reflector's own time.",
      `There and back are as right as both clocks: here ${inWords(clockErrorOf(error))}, there ${inWords(clock)}.`,
    );
  }
  return `${lines.join("\n")}\n`;
}

function wrongsOf(faults: Totals["faults"]): string {
  const some = FAULTS.filter((fault) => faults[fault] > 0);
  return `wrong, and not used: ${some.map((fault) => `${faults[fault]} ${FAULT_WORDS[fault]}`).join(", ")}`;
}

function placesOf({ there, back, unknown }: Losses): string {
  return `lost on the way there ${there}, on the way back ${back}`
    + (unknown > 0 ? `, after the last reply ${unknown}` : "");
}

/** Columns are wider if a clock is so wrong that delays need it. */
function tableOf(rows: readonly (readonly [name: string, spread: Spread])[]): string[] {
  const texts = rows.map(([name, spread]) => ({ name, cells: COLUMNS.map((column) => ms(spread[column])) }));
  const width = 1 + Math.max(9, ...texts.flatMap(({ cells }) => cells.map(({ length }) => length)));
  return [{ name: "ms", cells: COLUMNS }, ...texts].map(({ name, cells }) =>
    name.padEnd(12) + cells.map((cell) => cell.padStart(width)).join(""));
}

function ms(value: number): string {
  return value.toFixed(3);
}

function inWords({ synchronized, ms }: ClockError): string {
  return synchronized ? `off by up to ${Number(ms.toPrecision(2))} ms` : "not synchronized";
}
