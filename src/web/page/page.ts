/** What runs in the page at /. Whatever comes from elsewhere gets into it as text alone. */
import { ratesBetween, sumOf, type Figures, type Rates } from "../../telemetry/figures.js";
import type { Snapshot } from "../../telemetry/snapshot.js";
import { si, whole } from "../../telemetry/numbers.js";
import { explain } from "../../telemetry/reasons.js";
import { Chart } from "./chart.js";

/** A second passes between events: after so many ms without one nobody is there. */
const SILENCE_MS = 5000;
const RETRY_MS = 1000;

/** What the page says of itself; not oftener than it changes, since screen readers say it aloud. */
const STATES = {
  live: "Live",
  starting: "pongd is not up yet",
  down: "The device’s link is not up: nothing is answered",
  unreachable: "Not every prefix is reachable; pongd’s log has more",
  paused: "Paused",
  lost: "Connection lost; trying again",
  refused: "Refused, perhaps for too many open pages; trying again",
};
type State = keyof typeof STATES;
const TROUBLE: readonly State[] = ["down", "unreachable", "lost", "refused"];
/** In these the rates are of no moment that is shown. */
const UNKNOWN: readonly State[] = ["starting", "lost", "refused"];

const place = (id: string) => {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no #${id}`);
  return element;
};

const pause = place("pause");
const replies = new Chart(place("replies-chart"), { name: "replies", colour: "--series-0" });
const drops = new Chart(place("drops-chart"), { name: "drops", colour: "--series-1" });
const overruns = new Chart(place("overruns-chart"), { name: "overruns", colour: "--series-3" });

let source: EventSource | undefined;
/** Of the next try, or for as long as silence may last. */
let timer: number | undefined;
let paused = false;
/** Of this connection. */
let last: Figures | undefined;
/** Of whichever connection they came by. */
let shown: Figures | undefined;

function open(): void {
  source = new EventSource("events");
  source.onmessage = ({ data }: MessageEvent<string>) => { take(JSON.parse(data) as Snapshot | null); };
  source.onerror = () => { reopen(source?.readyState === EventSource.CLOSED ? "refused" : "lost"); };
  watch();
}

function close(): void {
  clearTimeout(timer);
  source?.close();
  source = last = undefined;
}

function watch(): void {
  clearTimeout(timer);
  timer = window.setTimeout(() => { reopen("lost"); }, SILENCE_MS);
}

function reopen(why: State): void {
  close();
  show(why);
  timer = window.setTimeout(open, RETRY_MS);
}

/** A browser has six connections to a host for all its tabs: one that nobody looks at needs none. */
function follow(): void {
  close();
  if (paused) show("paused");
  else if (!document.hidden) open();
}

function take(live: Snapshot | null): void {
  watch();
  if (live === null) {
    last = undefined;
    show("starting");
    return;
  }
  const { figures, device } = live;
  const rates = last && ratesBetween(last, figures);
  last = figures;
  show(figures.ready ? "live" : device.state === "up" ? "unreachable" : "down");
  fill(figures, rates);
  const at = figures.at / 1000;
  // At the start of a connection that is a gap.
  replies.add(at, rates?.replied ?? null);
  drops.add(at, rates?.dropped ?? null);
  overruns.add(at, rates?.overrun ?? null);
  document.title = `${live.host} · pongd`;
  write("host", `on ${live.host}`);
  write("version", figures.version);
  write("uptime", `up ${duration((figures.at - live.since) / 1000)}`);
  write("link", device.state);
  write("device", `${device.name}, MTU ${device.mtu}`);
  write("example", live.example ?? "");
  place("hint").hidden = live.example === undefined || sumOf(figures, "replied") > 0;
}

function show(state: State): void {
  write("state", STATES[state]);
  place("state").className = state === "live" ? "live" : TROUBLE.includes(state) ? "trouble" : "";
  // What was is not what is; somebody who pauses wants what was.
  if (shown && UNKNOWN.includes(state)) fill(shown, undefined);
}

/** Without rates: nothing to compare with has come on this connection. */
function fill(figures: Figures, rates: Rates | undefined): void {
  shown = figures;
  const rate = (value: number | undefined) => value === undefined ? "–" : whole(value);
  for (const figure of ["received", "replied", "dropped"] as const) {
    write(figure, whole(sumOf(figures, figure)));
    write(`${figure}-rate`, rates ? si(rates[figure]) : "–");
  }
  write("overrun", whole(figures.overrun));
  write("overrun-rate", rates ? si(rates.overrun) : "–");
  const reasons = Object.entries(figures.dropped).sort(([, a], [, b]) => b - a);
  rows("reasons", [0], reasons.map(
    ([reason, count]) => ({ cells: [reason, whole(count), rate(rates?.reasons[reason])], note: explain(reason) }),
  ));
  place("no-reasons").hidden = reasons.length > 0;
  rows("prefixes", [0], figures.prefixes.map(
    ({ prefix, name, replied }) => ({ cells: [prefix, whole(replied), rate(rates?.prefixes[prefix])], note: name }),
  ));
  rows("queues", [0, 1, 2], figures.queues.map(({ queue, engine, io, received, replied, dropped, restarts }) => {
    return { cells: [queue, engine, io, ...[received, replied, dropped, restarts].map(whole)] };
  }));
  const others = figures.prefixCount - figures.prefixes.length;
  write("others", whole(others));
  place("more").hidden = others === 0;
}

interface Entry {
  readonly cells: readonly string[];
  /** A line of its own below them, as wide as the table: however long it is, no column grows. */
  readonly note?: string | undefined;
}

/** Makes a table's rows say this; the columns `names` are text. */
function rows(id: string, names: readonly number[], entries: readonly Entry[]): void {
  const body = place(id) as HTMLTableSectionElement;
  const lines = entries.flatMap(
    ({ cells, note }) => [{ kind: "", cells }, ...note === undefined ? [] : [{ kind: "note", cells: [note] }]],
  );
  while (body.rows.length > lines.length) body.deleteRow(-1);
  lines.forEach(({ kind, cells }, r) => {
    const row = body.rows.item(r) ?? body.insertRow();
    if (row.className !== kind) row.replaceChildren();
    row.className = kind;
    cells.forEach((text, c) => {
      put(row.cells.item(c) ?? row.appendChild(kind === "note" ? noteCell(body) : cell(c, names)), text);
    });
  });
}

function noteCell(body: HTMLTableSectionElement): HTMLTableCellElement {
  const made = document.createElement("td");
  made.className = "name";
  made.colSpan = (body.parentElement as HTMLTableElement).tHead?.rows[0].cells.length ?? 1;
  return made;
}

function cell(column: number, names: readonly number[]): HTMLTableCellElement {
  const made = document.createElement(column === 0 ? "th" : "td");
  if (made.tagName === "TH") made.scope = "row";
  if (names.includes(column)) made.className = "name";
  return made;
}

function write(id: string, text: string): void {
  put(place(id), text);
}

/** What is the same stays, and with it what somebody has selected. */
function put(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

function duration(seconds: number): string {
  const full = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [Math.floor(full / 86400), Math.floor(full / 3600) % 24, Math.floor(full / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${full} s`;
}

pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  follow();
});
document.addEventListener("visibilitychange", follow);
follow();
