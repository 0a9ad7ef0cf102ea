/** Reads the directives of deploy/pongd.service, so that tests run pongd under the limits that are shipped. */
import { readFileSync } from "node:fs";
import { source } from "./assembly.js";

const SUFFIXES = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 } as const;

/** The unit's directives, of all sections. */
export const directives = readFileSync(source("deploy/pongd.service"), "utf8").split("\n")
  .map((line) => /^(\w+)=(.*)$/.exec(line))
  .flatMap((match) => match ? [[match[1], match[2]] as const] : []);

/** Returns the values of a directive, in the unit's order. */
export const valuesOf = (name: string): string[] => directives
  .filter(([given]) => given === name)
  .map(([, value]) => value);

/** Returns a directive's size in bytes. @throws Error where the unit has none */
export function bytesOf(name: string): number {
  const size = /^(\d+)([KMG]?)$/.exec(valuesOf(name).at(0) ?? "");
  if (!size) throw new Error(`the unit has no ${name}= in bytes`);
  return Number(size[1]) * SUFFIXES[size[2] as keyof typeof SUFFIXES];
}

/** Returns a directive's seconds. @throws Error where the unit has none */
export function secondsOf(name: string): number {
  const seconds = Number(valuesOf(name)[0]);
  if (!(seconds > 0)) throw new Error(`the unit has no ${name}= in seconds`);
  return seconds;
}
