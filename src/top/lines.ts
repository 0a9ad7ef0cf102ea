/** Formats a line per refresh, for whatever reads lines. */
import { keyOf, sumOf, wayOf } from "../telemetry/figures.js";
import { whole } from "./text.js";
import type { View } from "./view.js";

/** Most prefixes, services and ways of links in a JSON object: there may be 100,000. */
const BUSIEST = 10;

const COLUMNS = [
  "RECEIVED/S", "REPLIED/S", "DROPPED/S", "OVERRUN/S", "REPLIED", "DROPPED", "OVERRUN", "RESTARTS", "TCP/S",
  "CONNECTIONS",
];
/** Column width, enough for 10^12 - 1 with a gap before it. */
const WIDTH = 13;
const TIME_WIDTH = 20;

export const HEADER = "TIME".padEnd(TIME_WIDTH) + COLUMNS.map((column) => column.padStart(WIDTH)).join("");

/** Formats a view as columns. `at`: Unix time in ms. If there are no new figures, "-" stands in their place. */
export function line({ figures, rates, trouble }: View, at: number): string {
  const values = trouble === undefined
    ? [
        rates?.received, rates?.replied, rates?.dropped, rates?.overrun, sumOf(figures, "replied"),
        sumOf(figures, "dropped"), figures.overrun, sumOf(figures, "restarts"), rates?.tcp.segments,
        figures.tcp.connections,
      ]
    : COLUMNS.map(() => undefined);
  return time(at).padEnd(TIME_WIDTH) + values.map((value) => whole(value).replaceAll(",", "").padStart(WIDTH)).join("");
}

/** Formats a view as JSON, with all but the prefixes, services and ways of links that are not among the busiest. */
export function jsonLine(view: View, at: number): string {
  if (view.trouble !== undefined) return json({ time: time(at), error: view.trouble });
  const { figures, rates } = view;
  const prefixes = figures.prefixes.slice(0, BUSIEST);
  const services = figures.services.slice(0, BUSIEST);
  const links = figures.links.slice(0, BUSIEST);
  return json({
    time: time(at),
    version: figures.version,
    ready: figures.ready,
    ...rates && {
      rates: {
        ...rates,
        services: Object.fromEntries(services.map(keyOf).map((key) => [key, rates.services[key]])),
        prefixes: Object.fromEntries(prefixes.map(({ prefix }) => [prefix, rates.prefixes[prefix]])),
        links: Object.fromEntries(links.map(wayOf).map((way) => [way, rates.links[way]])),
      },
    },
    queues: figures.queues,
    dropped: figures.dropped,
    overrun: figures.overrun,
    tcp: figures.tcp,
    udp: figures.udp,
    services,
    serviceCount: figures.serviceCount,
    threads: figures.threads,
    prefixes,
    prefixCount: figures.prefixCount,
    links,
    linkCount: figures.linkCount,
  });
}

/** Escapes a terminal's control characters, too, which JSON allows. */
function json(value: unknown): string {
  return JSON.stringify(value).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    return Array.from(
      { length: character.length }, (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
    ).join("");
  });
}

function time(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}
