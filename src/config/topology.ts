/**
 * Draws the paths of a configuration: as text, in the language of Graphviz, and as the names of hops for /etc/hosts or
 * for a name server's zone. What users wrote is put into none of these forms without being made fit for it.
 */
import { isFork, type Hop } from "../prefix/path.js";
import type { Address, ServedPrefix } from "../prefix/prefixes.js";
import { Trips } from "./expectation.js";
import { hopsOf } from "./paths.js";
import { addressesOf, calledHop, listed, routesOf, type ServedPath } from "./routes.js";

export const FORMS = ["text", "dot", "hosts", "zone"] as const;
export type Form = typeof FORMS[number];

/** Most prefixes that are named in one place. */
const SHOWN = 8;
/** Seconds for which a name server may keep a record. */
const TTL = 3600;

/** Returns the drawing, or the lines of names, which may be none. */
export function topology(prefixes: readonly ServedPrefix[], form: Form): string {
  const routes = routesOf(prefixes);
  switch (form) {
    case "text": return drawing(routes, prefixes.filter(({ answers: { path } }) => !path));
    case "dot": return dot(routes, prefixes.filter(({ answers: { path } }) => !path));
    case "hosts": return names(routes, ({ text }, all) => `${text} ${all.join(" ")}`);
    case "zone": return names(routes, (address, all) =>
      all.map((name) => `${reverse(address)} ${TTL} IN PTR ${name}.`).join("\n"));
  }
}

function drawing(routes: readonly ServedPath[], direct: readonly ServedPrefix[]): string {
  const parts = routes.map((route) => [`${route.name}:`, "  sender", ...branchLines(route), ...endLines(route)]);
  if (direct.length > 0) parts.push(["without a path:", "  sender", ...ends(direct)]);
  return parts.map((lines) => lines.map((line) => `${line}\n`).join("")).join("\n");
}

/** Draws the hops of a path, one below the other. */
function branchLines({ path: { steps } }: ServedPath): string[] {
  let [first, last] = [1, 1];
  return steps.flatMap((step) => {
    const branches = isFork(step) ? step.branches : [[step]];
    const lines = isFork(step)
      ? branches.flatMap((hops, i) => [
          `    +-- branch ${i + 1} of ${branches.length}, ${WAYS[step.by]}`,
          ...hopsLines(hops, first, last, i === branches.length - 1 ? "      " : "    | "),
        ])
      : hopsLines([step], first, last, "");
    first += Math.min(...branches.map(({ length }) => length));
    last += Math.max(...branches.map(({ length }) => length));
    return lines;
  });
}

const WAYS = { flow: "by flow", destination: "by destination", packet: "by packet" } as const;

function hopsLines(hops: readonly Hop[], first: number, last: number, indent: string): string[] {
  return hops.flatMap((hop, i) => {
    const number = first === last ? String(first + i) : `${first + i}-${last + i}`;
    return [`${indent}    |${linkText(hop.link)}`, `${indent}${number.padStart(5)} ${hopText(hop)}`];
  });
}

function linkText(link: Hop["link"]): string {
  return link ? `  ${Trips.none.through(link).text}${link.name === undefined ? "" : ` (${link.name})`}` : "";
}

/** Returns what a hop is, and what is special about it. */
function hopText(hop: Hop): string {
  return [calledHop(hop), ...propertiesOf(hop)].join(", ");
}

function propertiesOf({ mtu, blackHole, mpls, interface: own }: Hop): string[] {
  const { name, index } = own ?? {};
  return [
    ...mtu === undefined ? [] : [blackHole ? `black hole above ${mtu} bytes` : `MTU ${mtu}`],
    ...mpls.length === 0 ? [] : [`MPLS ${mpls.join("/")}`],
    ...name === undefined && index === undefined
      ? []
      : [`interface ${[name, index === undefined ? "" : `#${index}`].filter(Boolean).join(" ")}`],
  ];
}

/** Draws the prefixes behind a path, and says how many hops the way back has. */
function endLines({ path, prefixes }: ServedPath): string[] {
  return [...ends(prefixes), ...path.back === undefined ? [] : [`  back: ${hopsOf(path.back)}`]];
}

function ends(prefixes: readonly ServedPrefix[]): string[] {
  const links = linksOf(prefixes);
  return links.slice(0, SHOWN).flatMap((link) => [
    `    |${linkText(link)}`,
    `  ${listed(prefixes.filter(({ answers }) => answers.link === link).map(prefixText), SHOWN)}`,
  ]).concat(links.length > SHOWN ? [`  and prefixes behind ${links.length - SHOWN} more links`] : []);
}

/** Returns the links of prefixes; undefined is among them where a prefix has none. */
function linksOf(prefixes: readonly ServedPrefix[]): (Hop["link"])[] {
  return [...new Set(prefixes.map(({ answers: { link } }) => link))];
}

function prefixText({ text, name }: ServedPrefix): string {
  return name === undefined ? text : `${text} (${name})`;
}

/** Writes nodes and edges of the language of Graphviz. */
class Graph {
  readonly lines: string[] = [];

  /** Adds a node to which an edge leads from each of these. Returns its name. */
  add(id: string, parts: readonly string[], from: readonly string[], link: Hop["link"], more = ""): string {
    this.lines.push(`${id} [label=${quoted(parts)}${more}]`);
    const label = link ? ` [label=${quoted([linkText(link).trim()])}]` : "";
    this.lines.push(...from.map((tail) => `${tail} -> ${id}${label}`));
    return id;
  }

  addRoute({ path, prefixes }: ServedPath, id: string): void {
    let tails = ["sender"];
    for (const [i, step] of path.steps.entries()) {
      const hops = isFork(step) ? step.branches : [[step]];
      tails = hops.flatMap((branch, j) => {
        let before = tails;
        for (const [k, hop] of branch.entries()) {
          before = [this.add(`${id}_${i}_${j}_${k}`, [calledHop(hop), ...propertiesOf(hop)], before, hop.link,
            hop.silent ? ", style=dashed" : "")];
        }
        return before;
      });
    }
    this.addEnds(prefixes, id, tails);
  }

  addEnds(prefixes: readonly ServedPrefix[], id: string, from: readonly string[]): void {
    for (const [i, link] of linksOf(prefixes).entries()) {
      const texts = prefixes.filter(({ answers }) => answers.link === link).map(prefixText);
      const more = texts.length > SHOWN ? [`and ${texts.length - SHOWN} more`] : [];
      this.add(`${id}_end_${i}`, [...texts.slice(0, SHOWN), ...more], from, link, ", shape=ellipse");
    }
  }
}

function dot(routes: readonly ServedPath[], direct: readonly ServedPrefix[]): string {
  const graph = new Graph();
  graph.add("sender", ["sender"], [], undefined, ", shape=ellipse");
  for (const [i, route] of routes.entries()) graph.addRoute(route, `path${i}`);
  graph.addEnds(direct, "direct", ["sender"]);
  const lines = ["rankdir=LR", "node [shape=box]", ...graph.lines].map((line) => `  ${line};\n`);
  return `digraph pongd {\n${lines.join("")}}\n`;
}

/** Returns a text in quotes with a line for each part. */
function quoted(parts: readonly string[]): string {
  return `"${parts.map((part) => part.replace(/["\\]/g, "\\$&")).join("\\n")}"`;
}

/** Returns a line for each address of a hop that has a name; several hops may have the same address. */
function names(routes: readonly ServedPath[], lineOf: (address: Address, names: readonly string[]) => string): string {
  const found = new Map<string, { readonly address: Address; readonly names: Set<string> }>();
  for (const { path: { steps } } of routes) {
    for (const hop of steps.flatMap((step) => isFork(step) ? step.branches.flat() : [step])) {
      if (hop.name === undefined) continue;
      for (const address of addressesOf(hop)) {
        const known = found.get(address.text) ?? { address, names: new Set() };
        known.names.add(hop.name);
        found.set(address.text, known);
      }
    }
  }
  return Array.from(found.values(), ({ address, names }) => `${lineOf(address, [...names])}\n`).join("");
}

/** Returns the name under which a name server has an address's name (RFC 1035 §3.5, RFC 3596 §2.5). */
function reverse({ family, bytes }: Address): string {
  if (family === 4) return `${[...bytes].reverse().join(".")}.in-addr.arpa.`;
  const nibbles = [...bytes].flatMap((byte) => [byte >> 4, byte & 15]).reverse();
  return `${nibbles.map((nibble) => nibble.toString(16)).join(".")}.ip6.arpa.`;
}
