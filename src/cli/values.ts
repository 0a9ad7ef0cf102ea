/** Reads the text of an option as a value of its setting's type. */
import { InvalidArgumentError, type Option } from "commander";
import { Failure } from "../base/failure.js";
import { excerpt } from "../base/printable.js";
import { eitherOf, MAX_RATE, type LimitSetting, type LinkSetting, type PortMap, type Type } from "../config/types.js";
import { parseEndpoint } from "../prefix/endpoints.js";
import { formatPorts, parsePorts } from "../prefix/ports.js";
import { filePath } from "./file.js";
import { integer } from "./integer.js";

/** Makes an option accept the values that the type allows, and refuse all others. */
export function read(option: Option, type: Type): Option {
  switch (type.kind) {
    case "choice": return option.choices(type.choices);
    case "whole": return option.argParser(integer(type.min, type.max));
    case "whole or auto": return option.argParser(integerOrAuto(type.min, type.max));
    case "file": return option.argParser(filePath);
    case "addresses":
    case "exceptions": return option.argParser(gather);
    case "endpoints": return option.argParser(gatherEndpoints);
    case "limit": return option.argParser(parseLimit);
    case "ports": return option.argParser(gatherPorts);
    case "link": return option.argParser(parseLink);
    // These are checked later, together with the other settings.
    case "text":
    case "boolean":
    case "answers":
    case "interfaces":
    case "links":
    case "paths":
    case "path":
    case "services":
    case "prefixes": return option;
  }
}

/** Makes an option read one word for all `names`, or name=word for some of them. Given again, it adds to its value. */
export function readParts(option: Option, names: readonly string[], words: readonly string[]): Option {
  return option.argParser((text: string, before: Parts): Parts => {
    if (words.includes(text)) return Object.fromEntries(names.map((name) => [name, text]));
    const parts = text.split(",").map((part) => part.split("="));
    if (!parts.every(([name, word, ...rest]) => names.includes(name) && words.includes(word) && rest.length === 0)) {
      const each = exampleOf(names, words);
      throw new InvalidArgumentError(`Write ${eitherOf(words)}, or one of them for each, like ${each}.`);
    }
    return { ...before, ...Object.fromEntries(parts.map(([name, word]) => [name, word])) };
  });
}

export type Parts = Readonly<Record<string, string>>;

export function exampleOf(names: readonly string[], words: readonly string[]): string {
  return names.map((name, i) => `${name}=${words[i]}`).join(",");
}

export function listOf(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

/** Adds the items of `text` to those that the option was given before. */
function gather(text: string, texts: readonly string[]): string[] {
  return [...texts, ...text === "" ? [text] : listOf(text)];
}

function gatherEndpoints(text: string, texts: readonly string[]): string[] {
  const given = listOf(text);
  try {
    // A text of separators alone is parsed as well, so that it is refused.
    for (const endpoint of given.length > 0 ? given : [text]) parseEndpoint(endpoint);
    return [...texts, ...given];
  } catch (error) {
    throw error instanceof Failure ? new InvalidArgumentError(error.what) : error;
  }
}

/** Adds the ports of `text`, like "7=echo 8000-8010=discard", to those that the option was given before. */
function gatherPorts(text: string, ports: PortMap): PortMap {
  const more = listOf(text).map((item) => {
    const [, port, service] = (/^([^=]+)=([^=]+)$/.exec(item) ?? []) as (string | undefined)[];
    const ports = parsePorts(port ?? "");
    if (service === undefined || !ports) {
      throw new InvalidArgumentError("Write a port, or a range of them, and its service, like 7=echo or "
        + "8000-8010=discard.");
    }
    return [formatPorts(ports), service] as const;
  });
  if (more.length === 0) throw new InvalidArgumentError("It is empty: write a port and its service, like 7=echo.");
  const all = { ...ports };
  for (const [port, service] of more) {
    if (Object.hasOwn(all, port)) throw new InvalidArgumentError(`Port ${port} is given twice.`);
    all[port] = service;
  }
  return all;
}

/** Keys of a link whose values are numbers. */
const LINK_NUMBERS = /^(?:length|gap|overhead|packets|bytes)$/;

/** A part of a link: no key begins with "_", as __proto__ does, which an object would take for something else. */
const LINK_PART = /^\s*([a-z]\w{0,40}(?:\.[a-z]\w{0,40}){0,4})=(.+?)\s*$/;

/** Reads a link's name, or what the link is: "rtt=50ms,out.loss=1%". */
function parseLink(text: string): LinkSetting {
  if (!text.includes("=")) return text;
  const link: Record<string, unknown> = {};
  for (const item of text.split(",")) {
    const [, path = "", value = ""] = (LINK_PART.exec(item) ?? []) as (string | undefined)[];
    const keys = path.split(".");
    const last = keys.pop() ?? "";
    if (last === "" || value === "") {
      throw new InvalidArgumentError(`"${excerpt(item)}" is not a part of a link: write it like rtt=50ms,out.loss=1%.`);
    }
    let map: unknown = link;
    for (const key of keys) {
      if (isMap(map) && !Object.hasOwn(map, key)) map[key] = {};
      map = isMap(map) ? map[key] : undefined;
    }
    if (!isMap(map) || Object.hasOwn(map, last)) throw new InvalidArgumentError(`${path} is given twice.`);
    const isNumber = LINK_NUMBERS.test(last) && /^-?\d{1,9}(?:\.\d{1,9})?$/.test(value);
    map[last] = /^(true|false)$/.test(value) ? value === "true" : isNumber ? Number(value) : value;
  }
  return link;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function integerOrAuto(min: number, max: number): (text: string) => number | "auto" {
  const parse = integer(min, max);
  return (text) => text === "auto" ? text : parse(text);
}

function parseLimit(text: string): LimitSetting {
  if (text === "none") return text;
  const parts = text.split("/");
  const [rate, burst] = parts.length <= 2 && parts.every((part) => /^\d{1,10}(\.\d{1,9})?$/.test(part))
    ? parts.map(Number) as [number, number?]
    : [];
  if (rate === undefined || rate <= 0 || rate > MAX_RATE || (burst !== undefined && (burst < 1 || burst > MAX_RATE))) {
    throw new InvalidArgumentError(
      `Write replies a second, above 0, and at once, at least 1, up to ${MAX_RATE}, like 1000/100; or none.`);
  }
  return { rate, burst };
}
