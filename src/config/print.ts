/** Prints the configuration that pongd runs with in the file's form: every key, and each prefix's own keys. */
import { resolve } from "node:path";
import { FIRST_NODE, FIRST_PREFIX, TRIE } from "../../abi/tables.js";
import { Service } from "../../abi/tcp.js";
import { tableOf } from "../engine/table.js";
import type { Link } from "../prefix/link.js";
import type { RouterPath } from "../prefix/path.js";
import type { Limit, PortRange, Udp } from "../prefix/policy.js";
import { isMap, nest, type Document } from "./document.js";
import { pathOddities } from "./pathnotes.js";
import { crowded, expectationOf, idleWords, meanOf } from "./expectation.js";
import { MAPS, PREFIX_KEYS, SETTINGS, type Key, type Values } from "./keys.js";
import type { Effective } from "./merge.js";
import { numberOf, placesOf, routesOf } from "./routes.js";
import { isWords, ONE_OR_MORE, withBurst, type PrefixEntry, type Type } from "./types.js";

const LONG: ReadonlySet<Type["kind"]> = new Set<Type["kind"]>(
  ["prefixes", "exceptions", "interfaces", "services", "links", "paths"],
);
/** Maps and lists that are written with a line for each item. */
const LISTED: ReadonlySet<string> = new Set([
  ...Object.entries(MAPS).flatMap(([name, map]) => map?.alike ? [] : [name]),
  ...SETTINGS.filter(({ type: { kind } }) => LONG.has(kind)).map(({ key }) => key),
]);
/** Ports with services of UDP that answer which are so many that clients are likely to ask from one of them. */
const MANY_PORTS = 4096;
/** Most oddities of one kind that are listed. */
const SHOWN = 10;

/** Returns the file that would give the same configuration. */
export function toDocument({ options: { serving, hostAddresses, link, webConfig }, values }: Effective): Document {
  const chosen: Partial<Record<Key, unknown>> = {
    "device.mac": link && values["device.mac"],
    "device.host_address": hostAddresses.length > 0 ? hostAddresses.map(({ text }) => text) : "none",
    web_config: webConfig === undefined ? "none" : resolve(webConfig),
    prefixes: serving.prefixes.map(({ text }, i) => toEntry(text, values.prefixes[i], values)),
    except: serving.exceptions.map(({ text }) => text),
  };
  return nest(({ key, type }) => {
    if (Object.hasOwn(chosen, key)) return chosen[key];
    const value = written(values[key]);
    return ONE_OR_MORE.has(type.kind) && isWords(value) && value.length === 1 ? value[0] : value;
  });
}

/** Returns a prefix with the keys that differ from the whole file's; without any, its text alone. */
function toEntry(prefix: string, entry: PrefixEntry, values: Values): string | Document {
  if (typeof entry === "string") return prefix;
  const own = PREFIX_KEYS.filter((key) => entry[key] !== undefined && compared(entry[key]) !== compared(values[key]));
  const { name, tcp_connections: connections } = entry;
  if (name === undefined && own.length === 0 && connections === undefined) return prefix;
  return {
    prefix, ...name !== undefined && { name }, ...Object.fromEntries(own.map((key) => [key, written(entry[key])])),
    ...connections !== undefined && { tcp_connections: connections },
  };
}

/** Returns a text that is equal for values that mean the same: the order of answers means nothing. */
function compared(value: Values[Key] | undefined): string {
  const one = written(value);
  return JSON.stringify(isWords(one) ? [...one].sort() : one);
}

/** Returns a value in the file's form: a limit gets the burst that it has by default. */
function written(value: Values[Key] | undefined): unknown {
  return isLimit(value) ? withBurst(value) : value;
}

function isLimit(value: unknown): value is Limit {
  return isMap(value) && typeof value.rate === "number";
}

/** Writes YAML by hand: a library takes seconds for 100,000 prefixes, and would not keep an entry on its line. */
export function toYaml(document: Document): string {
  const lines = Object.entries(document).map(([key, value]) =>
    `${key}:${LISTED.has(key) ? block(value) : ` ${flow(value)}`}\n`);
  return lines.join("");
}

function block(value: unknown): string {
  if (Array.isArray(value)) return value.length > 0 ? value.map((item) => `\n  - ${flow(item)}`).join("") : " []";
  if (!isMap(value) || Object.keys(value).length === 0) return ` ${flow(value)}`;
  return Object.entries(value).map(([key, item]) => `\n  ${key}: ${flow(item)}`).join("");
}

function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (isMap(value) && Object.keys(value).length === 0) return "{}";
  if (isMap(value)) return `{ ${Object.entries(value).map(([key, item]) => `${key}: ${flow(item)}`).join(", ")} }`;
  return typeof value === "string" && !isPlain(value) ? JSON.stringify(value) : String(value);
}

/** Returns true if YAML reads the text as itself without quotes: a word, an address or a prefix. */
function isPlain(text: string): boolean {
  if (/^[a-z][\w-]*$/i.test(text)) return !/^(true|false|null)$/i.test(text);
  return /^(\d+\.\d+\.\d+\.\d+(\/\d+|:\d+)?|[\da-f]+:[\da-f:]*[\da-f](\/\d+)?|[\da-f]+:[\da-f:]*\/\d+)$/.test(text);
}

/** Returns the keys of the services whose text has a line end as YAML leaves it without double quotes. */
function withEscapes(services: Values["services"]): string[] {
  return Object.entries(services).flatMap(([name, { tcp }]) =>
    (["banner", "after"] as const).filter((key) => /\\[rn]/.test(tcp?.[key] ?? ""))
      .map((key) => `services.${name}.tcp.${key}`));
}

/** Returns the first of these lines, and how many more there are. */
function shortened(lines: readonly string[]): string[] {
  return lines.length > SHOWN ? [...lines.slice(0, SHOWN), `and ${lines.length - SHOWN} more like it`] : [...lines];
}

/** Returns the number of ports with a service that answers, and that would not answer a port with such a service. */
function answeringPorts(udp: Udp | undefined): number {
  const answers = ({ service: { kind, anySource = false } }: PortRange) =>
    kind !== Service.silent && kind !== Service.discard && !anySource;
  return (udp?.ports ?? []).filter(answers).reduce((sum, { first, last }) => sum + last - first + 1, 0);
}

/** Returns the links of prefixes and hops, each with a name for it; those of a hop's own only if `all` is true. */
function linksOf({ options: { serving: { prefixes } } }: Effective, all: boolean): (readonly [string, Link])[] {
  const names = new Map<Link, string>();
  const add = (link: Link | undefined, own: string) => {
    if (link && !names.has(link)) names.set(link, link.name === undefined ? own : `link ${link.name}`);
  };
  for (const { text, answers: { link } } of prefixes) add(link, `the link of ${text}`);
  for (const { name, path } of routesOf(prefixes)) {
    for (const place of placesOf(path).places) {
      const { link } = place.hop;
      if (all || link?.name !== undefined) add(link, `the link to hop ${numberOf(place)} of ${name}`);
    }
  }
  return Array.from(names, ([link, name]) => [name, link] as const);
}

/** Returns comments that say what may be expected of links. */
export function linkNotes(effective: Effective): string {
  // A path's own notes say what its hops' links come to.
  const links = linksOf(effective, false);
  const { kept } = effective.options;
  const lines = links.slice(0, SHOWN).map(([name, link]) => `${name}: ${expectationOf(link, kept)}`);
  return [...lines, ...links.length > SHOWN ? [`and ${links.length - SHOWN} more links`] : []]
    .map((line) => `# ${line}\n`).join("");
}

/** Returns a line for each prefix with a link or a path that has room for fewer packets than may come. */
function crowdedPrefixes({ options: { serving: { prefixes }, kept } }: Effective): string[] {
  const means = new Map<Link, number>();
  const mean = (link: Link) => {
    const known = means.get(link) ?? meanOf(link);
    means.set(link, known);
    return known;
  };
  const trips = new Map<RouterPath, number>();
  const along = (path: RouterPath) => {
    const known = trips.get(path) ?? placesOf(path).trips.long.delayNs;
    trips.set(path, known);
    return known;
  };
  return prefixes.flatMap(({ text, answers: { link, path, limit } }) =>
    crowded((link ? mean(link) : 0) + (path ? along(path) : 0), kept, limit?.rate)
      .map((line) => `prefix ${text}: ${line}`));
}

/** Returns a line for each link and path with a name that nothing stands behind. */
function unused({ values }: Effective): string[] {
  const used = { link: new Set<unknown>(), path: new Set<unknown>() };
  const look = (key: string, value: unknown) => {
    if (key === "link" || key === "path") used[key].add(value);
    return value;
  };
  const { link, path, links, paths, prefixes } = values;
  for (const part of [{ link, path }, links, paths, prefixes]) JSON.stringify(part, look);
  return [
    ...Object.keys(links).filter((name) => !used.link.has(name)).map((name) => `links.${name}: nothing has this link`),
    ...Object.keys(paths).filter((name) => !used.path.has(name)).map((name) => `paths.${name}: nothing has this path`),
  ];
}

/** Returns a line for each thing that is allowed, but probably not meant. */
export function oddities(effective: Effective): string[] {
  const { options: { serving, hostAddresses, io, spin, precision, exposed }, values } = effective;
  const { prefixes } = serving;
  const { roots, nodes } = tableOf(serving, { hosts: hostAddresses });
  const answered = new Set<number>();
  for (const entries of [roots.subarray(TRIE / 4), nodes]) {
    for (const owner of entries) if (owner >= FIRST_PREFIX && owner < FIRST_NODE) answered.add(owner - FIRST_PREFIX);
  }
  const covered = prefixes.filter((_, i) => !answered.has(i));
  const said = [
    ...shortened(covered.map(({ text }) =>
      `prefix ${text} has no address left: exceptions and longer prefixes take them all`)),
    ...shortened(withEscapes(values.services).map((key) =>
      `${key} has a backslash before r or n: YAML makes a line end of it only within double quotes`)),
    ...shortened(exposed),
    ...shortened(linksOf(effective, true).flatMap(([name, link]) => idleWords(link).map((line) => `${name}: ${line}`))),
    ...shortened(crowdedPrefixes(effective)),
    ...shortened(unused(effective)),
    ...shortened(pathOddities({ prefixes, exceptions: serving.exceptions, hostAddresses })),
  ];
  const loops = prefixes.filter(({ answers: { udp } }) => answeringPorts(udp) >= MANY_PORTS);
  said.push(...shortened(loops.map(({ text, answers: { udp } }) =>
    `prefix ${text} has services of UDP that answer at ${answeringPorts(udp)} ports: nothing that comes from these ports `
    + "is answered, lest a loop begin, and clients use any of them; name fewer ports")));
  const answers = prefixes.some(({ answers: { echo, timestamp, errors, interfaces } }) =>
    echo || timestamp || errors || interfaces !== undefined);
  if (!answers) said.push("no prefix answers anything");
  if (spin > 0 && io === "readwrite") said.push("spin does nothing with io: readwrite");
  if (precision === "fine" && linksOf(effective, true).length === 0) {
    said.push("precision: fine is for links, and no prefix has one");
  }
  return said;
}
