/** Makes links of what a configuration says about them. */
import { CLEAR_WAY, type Link, type Way } from "../prefix/link.js";
import { arithmeticOf } from "./compat.js";
import { checkShape } from "./linkshape.js";
import { chanceOf, quantity, shown, Wrong } from "./linkvalues.js";
import { lossOf } from "./losses.js";
import { netemOf } from "./netem.js";
import { nameOf, type Path } from "./path.js";
import { nanosecondsOf, TIME } from "./quantities.js";
import type { LinkMap } from "./types.js";
import { wayOf } from "./ways.js";

/** Most characters of netem's words: a tc command that has them all takes a tenth of it. */
const MAX_WORDS = 4096;
/** Most names of links that a message shows. */
const MAX_SHOWN = 10;
const NAME = /^[a-z][\w-]{0,63}$/i;

/** Reports what is wrong at a path. */
export type Say = (path: Path, message: string, which?: "key") => void;

/** The links of a configuration: those with a name, and, made when they are asked for, those of single prefixes. */
export class Links {
  readonly #named = new Map<string, Link>();
  readonly #own = new Map<string, Link | undefined>();
  readonly #folder: string;

  /** Relative paths of files are relative to `folder`. */
  constructor(maps: Readonly<Record<string, LinkMap>>, folder: string, say: Say) {
    this.#folder = folder;
    for (const [name, map] of Object.entries(maps)) {
      const path = ["links", name];
      if (!NAME.test(name) || name === "none") {
        say(path, `"${name.slice(0, 64)}" is no name of a link; expected a letter, then up to 63 letters, digits, "_" or `
        + `"-"${name === "none" ? "; none stands for no link" : ""}`, "key");
      }
      // A prefix may name a link that is wrong: that has been reported.
      const link = this.#linkOf(map, path, say) ?? { in: CLEAR_WAY, out: CLEAR_WAY };
      this.#named.set(name, map.shared === false ? link : { ...link, name });
    }
  }

  /**
   * Returns the link that a name or a map at this path stands for; undefined for "none", or once it is reported what is
   * wrong.
   */
  of(setting: string | LinkMap, path: Path, say: Say): Link | undefined {
    if (setting === "none") return undefined;
    if (typeof setting === "string") {
      const link = this.#named.get(setting);
      if (!link) {
        const names = [...this.#named.keys()];
        const more = names.length > MAX_SHOWN ? ` and ${names.length - MAX_SHOWN} more` : "";
        const known = names.length === 0 ? "has none" : `has ${names.slice(0, MAX_SHOWN).join(", ")}${more}`;
        say(path, `"${setting.slice(0, 64)}" is no link's name; expected one under links, which ${known}, or none`);
      }
      return link;
    }
    const text = JSON.stringify(setting);
    if (!this.#own.has(text)) this.#own.set(text, this.#ownOf(setting, path, say));
    return this.#own.get(text);
  }

  #ownOf(map: LinkMap, path: Path, say: Say): Link | undefined {
    const link = this.#linkOf(map, path, say);
    if (!link || map.shared === undefined) return link;
    return { ...link, idle: [...link.idle ?? [], "shared does nothing but under links"] };
  }

  #linkOf(map: LinkMap, path: Path, say: Say): Link | undefined {
    try {
      return linkOf(map, this.#folder);
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      const name = nameOf([...path, ...error.path]);
      say([...path, ...error.path], `${name}${error.what}`, error.which);
      return undefined;
    }
  }
}

function linkOf(map: LinkMap, folder: string): Link {
  checkShape(map);
  const { rtt, in: inward = {}, out: outward, loss, duplicate, corrupt, netem, compat } = map;
  const half = rtt === undefined ? 0 : quantity(["rtt"], rtt, TIME, nanosecondsOf) / 2;
  const both = { loss, duplicate, corrupt };
  if (netem !== undefined && outward) throw new Wrong(["netem"], " says what out does, which is given, too; give one");
  if (netem !== undefined && netem.length > MAX_WORDS) {
    throw new Wrong(["netem"], ` has ${netem.length} characters; at most ${MAX_WORDS} fit`);
  }
  const isCompat = compat !== undefined;
  if (isCompat) checkCompat(map);
  const words = netem === undefined ? undefined : netemOf(netem, isCompat);
  if (typeof words === "string") throw new Wrong(["netem"], `: ${words}`);
  const parsed = words?.map;
  for (const [key, value] of Object.entries(both)) {
    if (value !== undefined && Object.hasOwn(parsed ?? outward ?? {}, key)) {
      throw new Wrong([key], ` is given here and in ${parsed ? "netem" : "out"}; give one of them`);
    }
  }
  const there = wayOf(inward, ["in"], half, folder);
  const beside = wayWith(both);
  const isLossy = loss !== undefined;
  if (!words || !parsed) {
    return { in: there, out: { ...wayOf(outward ?? {}, ["out"], half, folder, isLossy), ...beside } };
  }
  const back = inNetem(() => wayOf(parsed, ["out"], half, folder, isLossy));
  // In netem, jitter reorders.
  const out = { ...back, ...beside, mayPass: parsed.jitter !== undefined };
  if (!isCompat) return { in: there, out, ...words.idle && { idle: words.idle } };
  // netem's queue is the way's own, and there is no other.
  const rate = out.rate && { ...out.rate, queuePackets: undefined };
  return { in: there, out: { ...out, rate, netem: arithmeticOf(words, out) } };
}

/** Checks what stands beside `compat`. */
function checkCompat({ compat, netem, loss, duplicate, corrupt }: LinkMap): void {
  if (compat !== "netem") throw new Wrong(["compat"], ` is ${shown(compat)}; expected netem`);
  if (netem === undefined) throw new Wrong(["compat"], " is for netem's words; give netem, too");
  for (const [key, value] of Object.entries({ loss, duplicate, corrupt })) {
    if (value !== undefined) throw new Wrong([key], " is to be among netem's words where compat is given");
  }
}

/** Reads what a link says of the way out outside of out. */
function wayWith({ loss, duplicate, corrupt }: Pick<LinkMap, "loss" | "duplicate" | "corrupt">): Partial<Way> {
  return given({
    loss: loss === undefined ? undefined : lossOf(loss, ["loss"]),
    duplicate: duplicate === undefined ? undefined : chanceOf(duplicate, ["duplicate"]),
    corrupt: corrupt === undefined ? undefined : chanceOf(corrupt, ["corrupt"]),
  });
}

/** Says of what is wrong with netem's words that they are netem's. */
function inNetem<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    throw new Wrong(["netem"], `: ${nameOf(error.path.slice(1))}${error.what}`);
  }
}

/** Returns the entries that have a value. */
function given<T extends object>(map: T): Partial<T> {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined)) as Partial<T>;
}
