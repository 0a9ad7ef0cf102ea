/** Says in a user's terms what a path does, and what about it is probably not meant. */
import { BlockMap } from "../prefix/blockmap.js";
import type { Link } from "../prefix/link.js";
import { FAMILIES, type Address, type Family, type Prefix, type ServedPrefix } from "../prefix/prefixes.js";
import { keptIn } from "./expectation.js";
import { DEFAULT_ERRORS, DEFAULT_TTL } from "./hops.js";
import { hopsOf } from "./paths.js";
import {
  addressesOf, calledHop, inWords, listed, numberOf, placesOf, routesOf, through, type Place, type ServedPath,
} from "./routes.js";

/** Most paths, hops and prefixes that are listed. */
const SHOWN = 10;
const SHOWN_SHORTLY = 4;

/** Returns comments that say what may be expected of prefixes' paths. `room`: packets that may be kept at a time. */
export function pathNotes(prefixes: readonly ServedPrefix[], room: number): string {
  const routes = routesOf(prefixes);
  const lines = routes.slice(0, SHOWN).flatMap((route) => notesOf(route, room));
  if (routes.length > SHOWN) lines.push(`and ${routes.length - SHOWN} more paths`);
  return lines.map((line) => `# ${line}\n`).join("");
}

function notesOf({ name, path, prefixes }: ServedPath, room: number): string[] {
  const { places, trips } = placesOf(path);
  const last = places.reduce((most, place) => Math.max(most, place.last), 0);
  const first = Math.min(...places.filter(({ step }) => step === path.steps.length - 1).map(firstEnd(places)));
  const hops = first === last ? hopsOf(last) : `${first} ${last === first + 1 ? "or" : "to"} ${hopsOf(last)}`;
  const narrowest = places.reduce<Place | undefined>((least, place) =>
    (place.hop.mtu ?? Infinity) < (least?.hop.mtu ?? Infinity) ? place : least, undefined);
  const narrow = narrowest
    ? [`${narrowest.hop.mtu ?? 0} bytes pass at most, and hop ${numberOf(narrowest)} ${narrowest.hop.blackHole
        ? "drops what is longer without a word"
        : "says so of what is longer"}`]
    : [];
  const back = path.back === undefined ? "as many back" : `${path.back} back`;
  return [
    `${name}: ${[`${hops} there, ${back}`, ...narrow].join("; ")}; round trips take, to`,
    ...places.map((place) => `  hop ${numberOf(place)}: ${calledHop(place.hop)}: ${inWords(place.trips)}`),
    ...behind(prefixes).map(([texts, link]) => {
      const all = through(trips, link);
      return `  ${listed(texts, SHOWN_SHORTLY)}: ${[inWords(all), ...keptIn(all.long.delayNs, room)].join("; ")}`;
    }),
  ];
}

/** Returns a function that gives the number that the last hop of the shortest branch of a hop's step has. */
function firstEnd(places: readonly Place[]): (place: Place) => number {
  return ({ step, branch }) => Math.max(
    ...places.filter((other) => other.step === step && other.branch === branch).map(({ first }) => first),
  );
}

/** Returns the prefixes behind a path, by the link that each has besides. */
function behind(prefixes: readonly ServedPrefix[]): (readonly [texts: readonly string[], link: Link | undefined])[] {
  const found = new Map<Link | undefined, string[]>();
  for (const { text, answers: { link } } of prefixes) {
    const texts = found.get(link);
    if (texts) texts.push(text);
    else found.set(link, [text]);
  }
  return Array.from(found, ([link, texts]) => [texts, link] as const).slice(0, SHOWN);
}

/** What a configuration has besides paths. */
export interface Beside {
  readonly prefixes: readonly ServedPrefix[];
  readonly exceptions: readonly Prefix[];
  readonly hostAddresses: readonly Address[];
}

/** Returns a line for each thing about paths that is allowed, but probably not meant. */
export function pathOddities(beside: Beside): string[] {
  const served = servedBy(beside);
  const hosts = new Set(beside.hostAddresses.map(({ text }) => text));
  return routesOf(beside.prefixes).flatMap(({ name, path, prefixes }) => {
    const { places } = placesOf(path);
    const all = places.flatMap(({ hop }) => addressesOf(hop));
    const addresses = [...new Map(all.map((address) => [address.text, address])).values()];
    const own = addresses.filter(({ text }) => hosts.has(text)).map(({ text }) => text);
    const sources = addresses.filter((address) => !hosts.has(address.text) && !served(address)).map(({ text }) => text);
    return [
      ...own.map((text) => `${name}: hop address ${text} is the host's own: the kernel drops errors from it`),
      ...sources.length > 0
        ? [`${name}: hop addresses in no served prefix: ${listed(sources, SHOWN_SHORTLY)}; they are sources only: a `
          + "kernel with rp_filter=1 drops errors from them unless their route points at the device"]
        : [],
      ...twice(places).map((text) => `${name}: ${text} is two hops of one way, which looks like a loop`),
      ...speechless(prefixes).map((line) => `${name}: ${line}`),
      ...families(prefixes).flatMap((family) => mute(places, family).map((line) => `${name}: ${line}`)),
      ...places.flatMap((place) => idleKeys(place).map((line) => `${name}: hop ${numberOf(place)}: ${line}`)),
    ];
  });
}

/** Returns a function that says whether an address is one that pongd answers for. */
function servedBy({ prefixes, exceptions }: Beside): (address: Address) => boolean {
  // The longest of them that matches decides, and is found first.
  const blocks = [...prefixes.map((prefix) => ({ ...prefix, isServed: true })),
    ...exceptions.map((prefix) => ({ ...prefix, isServed: false }))].sort((a, b) => b.length - a.length);
  const maps = new Map(FAMILIES.map((family) =>
    [family, new BlockMap(blocks.filter((block) => block.family === family))]));
  return ({ family, bytes }) => {
    const block = { bytes, length: 8 * bytes.length };
    const map = maps.get(family);
    return (map?.get(block) ?? map?.around(block))?.isServed ?? false;
  };
}

/** Returns the addresses that two hops of one way have. */
function twice(places: readonly Place[]): string[] {
  const found = new Set<string>();
  const seen = new Map<string, Place[]>();
  for (const place of places) {
    for (const { text } of addressesOf(place.hop)) {
      const before = seen.get(text) ?? [];
      if (before.some(({ step, branch }) => step !== place.step || branch === place.branch)) found.add(text);
      seen.set(text, [...before, place]);
    }
  }
  return [...found];
}

/** Says to whom no hop says anything. */
function speechless(prefixes: readonly ServedPrefix[]): string[] {
  const texts = prefixes.filter(({ answers: { errors } }) => !errors).map(({ text }) => text);
  if (texts.length === 0) return [];
  return [`its hops say nothing to who asks ${listed(texts, SHOWN_SHORTLY)}: answer has no errors`];
}

function families(prefixes: readonly ServedPrefix[]): Family[] {
  return FAMILIES.filter((family) => prefixes.some((prefix) => prefix.family === family));
}

/** Says which hops have no address of the family, and so no voice. */
function mute(places: readonly Place[], family: Family): string[] {
  const hops = places.filter(({ hop }) => !hop.silent && !(family === 4 ? hop.ipv4 : hop.ipv6)).map(numberOf);
  if (hops.length === 0) return [];
  return [`without an IPv${family} address, hop ${hops.slice(0, SHOWN_SHORTLY).join("; hop ")}${
    hops.length > SHOWN_SHORTLY ? ` and ${hops.length - SHOWN_SHORTLY} more` : ""} is as if silent to IPv${family}`];
}

/** Returns a line for each key of a hop that does nothing. */
function idleKeys({ hop: { silent, ttl, icmp, mpls, interface: own } }: Place): string[] {
  if (!silent) return [];
  const given = { ttl: ttl !== DEFAULT_TTL, icmp: icmp !== DEFAULT_ERRORS, mpls: mpls.length > 0, interface: own };
  return Object.entries(given).filter(([, is]) => is).map(([key]) => `${key} does nothing where it is silent`);
}
