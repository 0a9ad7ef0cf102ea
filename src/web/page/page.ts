/** Runs in the page at /. Data from elsewhere gets into the page as text only. */
import {
  hasTcp, keyOf, ratesBetween, refusalOf, responseRate, SHOWN_CLASSES, sumOf, wayOf, withSessions, type Figures,
  type Rates,
} from "../../telemetry/figures.js";
import type { Snapshot } from "../../telemetry/snapshot.js";
import { number, si, whole } from "../../telemetry/numbers.js";
import { explain } from "../../telemetry/reasons.js";
import { Chart } from "./chart.js";

/** Silence in ms after which the connection counts as lost; events come every second. */
const SILENCE_MS = 5000;
const RETRY_MS = 1000;

/** Status texts. They change rarely, since screen readers say them aloud. */
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
/** States in which no current rates are known. */
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
/** Timer of the next try, or of the silence that is allowed. */
let timer: number | undefined;
let paused = false;
/** Last figures of this connection. */
let last: Figures | undefined;
/** Rates up to these. */
let lastRates: Rates | undefined;
/** Figures that are shown, from whichever connection they came. */
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
  source = last = lastRates = undefined;
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

/**
 * Opens or closes the connection. A browser has six connections to a host for all its tabs, so a tab that nobody looks
 * at has none.
 */
function follow(): void {
  close();
  if (paused) show("paused");
  else if (!document.hidden) open();
}

function take(live: Snapshot | null): void {
  watch();
  if (live === null) {
    last = lastRates = undefined;
    show("starting");
    return;
  }
  const { figures, device } = live;
  const rates = last && ratesBetween(last, figures, lastRates);
  last = figures;
  lastRates = rates;
  show(figures.ready ? "live" : device.state === "up" ? "unreachable" : "down");
  fill(figures, rates);
  const at = figures.at / 1000;
  // The start of a connection is a gap.
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
  place("hint").hidden = live.example === undefined || sumOf(figures, "replied") > 0 || hasTcp(figures)
    || figures.udp.taken > 0;
}

function show(state: State): void {
  write("state", STATES[state]);
  place("state").className = state === "live" ? "live" : TROUBLE.includes(state) ? "trouble" : "";
  // Old rates are not current ones. Somebody who pauses, however, wants to see them.
  if (shown && UNKNOWN.includes(state)) fill(shown, undefined);
}

/** Fills the page in. Without `rates`, which need two snapshots of one connection, it shows dashes. */
function fill(figures: Figures, rates: Rates | undefined): void {
  shown = figures;
  const rate = (value: number | undefined) => value === undefined ? "–" : whole(value);
  for (const figure of ["received", "replied", "dropped"] as const) {
    write(figure, whole(sumOf(figures, figure)));
    write(`${figure}-rate`, rates ? si(rates[figure]) : "–");
  }
  write("overrun", whole(figures.overrun));
  write("overrun-rate", rates ? si(rates.overrun) : "–");
  place("tcp").hidden = !hasTcp(figures);
  write("connections", whole(figures.tcp.connections));
  write("segments", whole(sumOf(figures, "tcp")));
  write("segments-rate", rates ? si(rates.tcp.segments) : "–");
  for (const figure of ["accepted", "opened", "retransmitted"] as const) {
    write(figure, whole(figures.tcp[figure]));
    write(`${figure}-rate`, rates ? si(rates.tcp[figure]) : "–");
  }
  for (const figure of ["bytesIn", "bytesOut"] as const) {
    write(figure, si(figures.tcp[figure], "B"));
    write(`${figure}-rate`, rates ? si(rates.tcp[figure], "B") : "–");
  }
  fillServices(figures, rates, rate);
  const reasons = Object.entries(figures.dropped).sort(([, a], [, b]) => b - a);
  rows("reasons", [0], reasons.map(
    ([reason, count]) => ({ cells: [reason, whole(count), rate(rates?.reasons[reason])], note: explain(reason) }),
  ));
  place("no-reasons").hidden = reasons.length > 0;
  rows("prefixes", [0], figures.prefixes.map(
    ({ prefix, name, replied }) => ({ cells: [prefix, whole(replied), rate(rates?.prefixes[prefix])], note: name }),
  ));
  place("links-part").hidden = figures.links.length === 0;
  rows("links", [0, 1], figures.links.map((link) => {
    const effects = rates?.links[wayOf(link)] ?? link.effects.map(() => undefined);
    return { cells: [link.prefix, link.direction, ...effects.map(rate)], note: link.name };
  }));
  write("other-links", whole(figures.linkCount - figures.links.length));
  place("more-links").hidden = figures.linkCount === figures.links.length;
  rows("queues", [0, 1, 2], figures.queues.map(({ queue, engine, io, received, replied, dropped, restarts }) => {
    return { cells: [queue, engine, io, ...[received, replied, dropped, restarts].map(whole)] };
  }));
  const others = figures.prefixCount - figures.prefixes.length;
  write("others", whole(others));
  place("more").hidden = others === 0;
}

function fillServices(
  figures: Figures, rates: Rates | undefined, rate: (value: number | undefined) => string,
): void {
  const { udp, turnaround, dropped, services, serviceCount, threads } = figures;
  place("udp").hidden = !services.some(({ protocol }) => protocol === "udp");
  for (const figure of ["taken", "answered", "dropped", "unsent"] as const) {
    write(`udp-${figure}`, whole(udp[figure]));
    write(`udp-${figure}-rate`, rates ? si(rates.udp[figure]) : "–");
  }
  place("turnaround-part").hidden = turnaround.replies === 0;
  const taken = rates?.turnaround;
  write("turnaround", taken === undefined ? "–" : `${number(1e6 * taken)}\u00a0µs`);
  const open = withSessions(figures);
  place("sessions-part").hidden = open.length === 0;
  rows("sessions", [0], open.map((each) => {
    const reason = refusalOf(each);
    return { cells: [
      each.protocol.toUpperCase(), ...[each.sessions, each.limit, dropped[reason] ?? 0].map(whole),
      rate(rates && (rates.reasons[reason] ?? 0)),
    ] };
  }));
  place("services-part").hidden = services.length === 0;
  rows("services", [0, 1], services.map((service) => {
    const its = rates?.services[keyOf(service)];
    const responses = SHOWN_CLASSES.map((digit) => responseRate(service, its, digit));
    return { cells: [
      service.service, service.protocol.toUpperCase(),
      ...[service.connections, service.taken, its?.taken, ...responses, service.errors].map(rate),
    ] };
  }));
  write("other-services", whole(serviceCount - services.length));
  place("more-services").hidden = serviceCount === services.length;
  place("threads-part").hidden = threads.length === 0;
  rows("threads", [0], threads.map(({ thread, restarts }) => {
    const late = rates?.threads[thread].late;
    return { cells: [thread, late === undefined ? "–" : `${number(1000 * late)}\u00a0ms`, whole(restarts)] };
  }));
}

interface Entry {
  readonly cells: readonly string[];
  /** Note on a line below the cells, as wide as the table, so that no column grows however long it is. */
  readonly note?: string | undefined;
}

/** Sets a table's rows; the columns in `names` are text. */
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

/** Sets an element's text only if it changes, so that a person's selection of it survives. */
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
