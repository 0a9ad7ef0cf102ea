/**
 * Lays out a terminal's whole screen as lines. It is pure, and one place decides what to leave out if room is short.
 */
import { styleText } from "node:util";
import { printable } from "../base/printable.js";
import {
  hasTcp, keyOf, LINK_EFFECTS, refusalOf, responseRate, SHOWN_CLASSES, sumOf, wayOf, withSessions,
} from "../telemetry/figures.js";
import { explain } from "../telemetry/reasons.js";
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
  /** Number of columns, from the left, that are names; the others are numbers. */
  readonly names: number;
  /** True if the last column is a sentence, which may be left out for want of room. */
  readonly explained?: boolean;
  readonly heading: Row;
  readonly rows: readonly Row[];
  /** Number of rows that found no room. */
  readonly more: number;
}

const GAP = "  ";
/** Width of a number, so that it stays in place when it grows; less where room is short. */
const NUMBER = 12;
/** Fewest columns of a sentence that are worth showing; with less room it is left out. */
const MIN_SENTENCE = 40;

/** Returns the screen's lines: none wider than the screen, and no more than it has rows. `now`: Unix time in ms. */
export function screen(view: View, { columns, rows }: Size, now: number, colour: boolean): string[] {
  const paint = (style: Style | undefined, text: string) => colour && style !== undefined
    ? styleText(style, text, { validateStream: false })
    : text;
  const head = [
    paint("bold", header(view, now, columns)),
    ...view.figures.ready
      ? []
      : [paint("red", fit("not ready: not all of it can be reached; see pongd's log", columns))],
    ...view.trouble === undefined ? [] : [paint("red", fit(`no new figures: ${printable(view.trouble)}`, columns))],
  ];
  // Each table takes one line for its heading, and one before it.
  const totals = totalsOf(view);
  const tcp = hasTcp(view.figures) ? tcpOf(view) : undefined;
  const udp = view.figures.services.some(({ protocol }) => protocol === "udp") ? udpOf(view) : undefined;
  const sessions = withSessions(view.figures).length > 0 ? sessionsOf(view) : undefined;
  const fixed = [totals, tcp, udp, sessions].reduce((sum, table) => sum + (table ? 2 + table.rows.length : 0), 0);
  const room = Math.max(0, rows - head.length - fixed);
  const reasons = Object.keys(view.figures.dropped).length;
  const { services: { length: serviceCount }, threads: { length: threadCount } } = view.figures;
  const linkCount = view.figures.links.length;
  const share = Math.floor(room / (3 + [serviceCount, threadCount, linkCount].filter((count) => count > 0).length));
  const most = Math.max(1, share - 2);
  const services = serviceCount > 0 ? servicesOf(view, most) : undefined;
  const threads = threadCount > 0 ? threadsOf(view, most) : undefined;
  const queues = queuesOf(view, most);
  const drops = reasons > 0 ? dropsOf(view, most) : undefined;
  const links = linkCount > 0 ? linksOf(view, most) : undefined;
  const left = room - [services, threads, queues, drops, links].reduce(
    (sum, table) => sum + (table ? 2 + table.rows.length + (table.more > 0 ? 1 : 0) : 0), 0,
  );
  const prefixes = prefixesOf(view, Math.max(0, left - 3));
  const tables = [totals, tcp, udp, sessions, services, threads, queues, drops, links, prefixes]
    .filter((table) => table !== undefined);
  return [
    ...head, ...tables.flatMap((table) => ["", ...layOut(table, columns).map(({ text, style }) => paint(style, text))]),
  ].slice(0, rows);
}

function header({ url, figures, rates }: View, now: number, columns: number): string {
  const left = `pongd ${printable(figures.version)}${GAP}${printable(url)}`;
  const right = `${rates ? age(now - figures.at) : "measuring"}${GAP}q: quit`;
  const room = columns - widthOf(right) - GAP.length;
  return room < 10 ? fit(left, columns) : padEnd(fit(left, room), room) + GAP + right;
}

function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return seconds < 60
    ? `${seconds} s old`
    : seconds < 3600 ? `${Math.floor(seconds / 60)} min old` : `${Math.floor(seconds / 3600)} h old`;
}

function totalsOf({ figures, rates }: View): Table {
  const row = (name: string, rate: number | undefined, total: number, bad = false): Row => ({
    cells: [name, whole(rate), whole(total)], ...bad && { style: "red" },
  });
  return {
    names: 1,
    heading: { cells: ["PACKETS", "A SECOND", "IN ALL"] },
    rows: [
      row("received", rates?.received, sumOf(figures, "received")),
      row("replied", rates?.replied, sumOf(figures, "replied")),
      ...hasTcp(figures) ? [row("taken by TCP", rates?.tcp.segments, sumOf(figures, "tcp"))] : [],
      row("dropped", rates?.dropped, sumOf(figures, "dropped")),
      row("overrun in the device", rates?.overrun, figures.overrun, (rates?.overrun ?? 0) > 0),
    ],
    more: 0,
  };
}

function tcpOf({ figures: { tcp }, rates }: View): Table {
  const { accepted, opened, retransmitted, bytesIn, bytesOut } = rates?.tcp ?? {};
  const row = [accepted, opened, retransmitted, bytesIn, bytesOut].map(whole);
  return {
    names: 1, heading: { cells: ["TCP", "OPEN", "ACCEPTED/S", "OPENED/S", "RESENT/S", "BYTES IN/S", "BYTES OUT/S"] },
    rows: [{ cells: ["connections", whole(tcp.connections), ...row] }], more: 0,
  };
}

function udpOf({ rates }: View): Table {
  const row = [rates?.udp.taken, rates?.udp.answered, rates?.udp.dropped, rates?.udp.unsent].map(whole);
  return {
    names: 1, heading: { cells: ["UDP", "TAKEN/S", "ANSWERED/S", "DROPPED/S", "UNSENT/S"] },
    rows: [{ cells: ["datagrams", ...row] }], more: 0,
  };
}

function sessionsOf({ figures, rates }: View): Table {
  const turnaround = rates?.turnaround === undefined ? undefined : 1e6 * rates.turnaround;
  return {
    names: 1, heading: { cells: ["SESSIONS", "OPEN", "AT MOST", "REFUSED/S", "µS TAKEN"] },
    rows: withSessions(figures).map((each) => ({
      cells: [
        each.protocol, whole(each.sessions), whole(each.limit), whole(rates && (rates.reasons[refusalOf(each)] ?? 0)),
        whole(each.protocol === "stamp" ? turnaround : undefined),
      ],
    })),
    more: 0,
  };
}

function servicesOf({ figures: { services, serviceCount }, rates }: View, room: number): Table {
  const rows = services.slice(0, room).map((service): Row => {
    const { protocol, connections, errors } = service;
    const its = rates?.services[keyOf(service)];
    const responses = SHOWN_CLASSES.map((digit) => responseRate(service, its, digit));
    return { cells: [service.service, protocol, ...[connections, its?.taken, ...responses, errors].map(whole)] };
  });
  return {
    names: 2,
    heading: {
      cells: ["SERVICE", "OF", "OPEN", "TAKEN/S", ...SHOWN_CLASSES.map((digit) => `${digit}XX/S`), "ERRORS"],
    },
    rows, more: serviceCount - rows.length,
  };
}

function threadsOf({ figures: { threads }, rates }: View, room: number): Table {
  const rows = threads.slice(0, room).map(({ thread, restarts }): Row => {
    const late = rates?.threads[thread].late;
    return {
      cells: [thread, whole(late === undefined ? undefined : 1000 * late), whole(restarts)],
      ...restarts > 0 && { style: "red" },
    };
  });
  return {
    names: 1, heading: { cells: ["SERVICE THREAD", "MS LATE", "RESTARTS"] }, rows, more: threads.length - rows.length,
  };
}

function queuesOf({ figures: { queues }, queueRates }: View, room: number): Table {
  const rows = queues.slice(0, room).map(({ queue, engine, io, restarts }): Row => {
    const rates = queueRates.get(queue);
    return {
      cells: [queue, engine, io, whole(rates?.received), whole(rates?.replied), whole(rates?.dropped), whole(restarts)],
      ...restarts > 0 && { style: "red" },
    };
  });
  return {
    names: 3, heading: { cells: ["QUEUE", "ENGINE", "I/O", "RECEIVED/S", "REPLIED/S", "DROPPED/S", "RESTARTS"] }, rows,
    more: queues.length - rows.length,
  };
}

function dropsOf({ figures: { dropped }, rates }: View, room: number): Table {
  const rateOf = (reason: string) => rates?.reasons[reason];
  const reasons = Object.entries(dropped)
    .sort(([a, totalA], [b, totalB]) => (rateOf(b) ?? 0) - (rateOf(a) ?? 0) || totalB - totalA);
  const rows = reasons.slice(0, room)
    .map(([reason, total]): Row => ({ cells: [reason, whole(rateOf(reason)), whole(total), explain(reason) ?? ""] }));
  return {
    names: 1, explained: true, heading: { cells: ["DROPPED FOR", "A SECOND", "IN ALL", ""] }, rows,
    more: reasons.length - rows.length,
  };
}

function linksOf({ figures: { links, linkCount }, rates }: View, room: number): Table {
  const rows = links.slice(0, room).map((link): Row => {
    const effects = rates?.links[wayOf(link)] ?? link.effects.map(() => undefined);
    return { cells: [link.prefix, link.direction, ...effects.map(whole)] };
  });
  return {
    names: 2,
    heading: {
      cells: ["LINK OF", "WAY", ...LINK_EFFECTS.map((effect) => `${effect.replace("_", " ").toUpperCase()}/S`)],
    },
    rows, more: linkCount - rows.length,
  };
}

function prefixesOf(view: View, room: number): Table | undefined {
  if (room === 0) return undefined;
  const { figures, rates } = view;
  const rows = figures.prefixes.slice(0, room).map(({ prefix, name = "", replied }): Row => ({
    cells: [prefix, name, whole(rates?.prefixes[prefix]), whole(replied)],
  }));
  return {
    names: 2, heading: { cells: ["PREFIX", "NAME", "REPLIED/S", "IN ALL"] }, rows,
    more: figures.prefixCount - rows.length,
  };
}

/** Makes columns as wide as their widest cell, where there is room for that. */
function layOut(
  { names, explained = false, heading, rows, more }: Table, columns: number,
): { text: string; style: Style | undefined }[] {
  const all = [{ ...heading, style: "dim" as const }, ...rows].map(
    ({ cells, style }) => ({ cells: cells.map((cell) => fit(printable(cell), columns)), style }),
  );
  const kinds = heading.cells.map(
    (_, i) => i < names ? "name" : explained && i === heading.cells.length - 1 ? "sentence" : "number",
  );
  const shown = fitColumns(kinds.map((kind, i) => ({
    kind, at: i, least: widthOf(all[0].cells[i]), width: Math.max(...all.map(({ cells }) => widthOf(cells[i]))),
  })), columns);
  return [
    ...all.map(({ cells, style }) => ({ style, text: shown.map(
      ({ kind, at, width }) => kind === "number" ? padStart(cells[at], width) : padEnd(fit(cells[at], width), width),
    ).join(GAP).trimEnd() })),
    ...more > 0 ? [{ style: "dim" as const, text: `and ${whole(more)} more` }] : [],
  ].map(({ text, style }) => ({ text: fit(text, columns), style }));
}

interface Column {
  readonly kind: "name" | "number" | "sentence";
  /** Index of its cell in a row. */
  readonly at: number;
  /** Width of its heading. */
  readonly least: number;
  readonly width: number;
}

/**
 * Chooses the columns that fit on the screen, and their widths. A number is shown whole or not at all, since one that
 * is cut is another one. If room is short, numbers first lose their padding. Then names are cut, and left out if not
 * even their heading fits. The first column, which says what the row is about, goes last.
 */
function fitColumns(all: readonly Column[], columns: number): Column[] {
  const over = () => shown.reduce((sum, { width }) => sum + width + GAP.length, -GAP.length) - columns;
  let shown = all.filter(({ kind }) => kind !== "sentence")
    .map((column) => column.kind === "number" ? { ...column, width: Math.max(column.width, NUMBER) } : column);
  if (over() > 0) shown = shown.map(({ at }) => all[at]);
  for (const name of shown.filter(({ kind }) => kind === "name").reverse()) {
    const width = Math.max(name.at === 0 ? name.least : 0, name.width - Math.max(0, over()));
    shown = shown.flatMap((column) => column !== name ? [column] : width < name.least ? [] : [{ ...name, width }]);
  }
  while (over() > 0 && shown.length > 1) shown.pop();
  const room = -over() - GAP.length;
  return [...shown, ...all.filter(({ kind }) => kind === "sentence" && room >= MIN_SENTENCE)
    .map((column) => ({ ...column, width: Math.min(column.width, room) }))];
}
