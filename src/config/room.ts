/** Finds the first prefix for whose link and path there is no room in a table, before a table is made. */
import { HOP_STATES, PATHS_HEADER_SIZE } from "../../abi/hops.js";
import { MAX_LINK_DATA, MAX_PATH_DATA } from "../../abi/tables.js";
import { MAX_LINKS } from "../../abi/ways.js";
import { LinkData } from "../engine/links.js";
import { lenOf, statesOf } from "../engine/paths.js";
import { Ways } from "../engine/ways.js";
import type { Link } from "../prefix/link.js";
import type { RouterPath } from "../prefix/path.js";

const SHARE_LINK = "have prefixes share a link by its name under links";
const SHARE_PATH = "have prefixes share a path by its name under paths";

/** A prefix that finds no room beside those before it. */
interface Excess {
  readonly index: number;
  readonly message: string;
}

/** Returns the first such prefix, by the link and the path of each; undefined if there is room for all. */
export function firstWithoutRoom(
  links: readonly (Link | undefined)[], paths: readonly (RouterPath | undefined)[],
): Excess | undefined {
  const needs = new Needs();
  for (const [index, link] of links.entries()) {
    needs.add(link, paths[index], index);
    const { excess } = needs;
    if (excess !== undefined) return { index, message: excess };
  }
  return undefined;
}

/** How much room a table needs for the links and paths of its prefixes. */
class Needs {
  readonly #ways = new Ways();
  readonly #data = new LinkData();
  #linkBytes = 0;
  #states = 0;
  #pathBytes = PATHS_HEADER_SIZE;

  add(link: Link | undefined, path: RouterPath | undefined, index: number): void {
    const { links, paths } = this.#ways;
    const before = { links: links.length, paths: paths.length };
    this.#ways.add(link, path, index);
    for (let i = before.links; i < links.length; i++) this.#linkBytes += this.#data.of(links[i]);
    for (let i = before.paths; i < paths.length; i++) {
      this.#states += statesOf(paths[i].path);
      this.#pathBytes += lenOf(paths[i].path);
    }
  }

  /** Says what there is too much of. */
  get excess(): string | undefined {
    if (this.#ways.links.length > MAX_LINKS) {
      return `prefixes have more than ${MAX_LINKS} links, of which one that has no name, but a queue in packets, counts `
        + `for each prefix; ${SHARE_LINK}`;
    }
    if (this.#linkBytes > MAX_LINK_DATA) {
      return "prefixes have links whose queues in packets, tables, traces and lists of packets need more than "
        + `${MAX_LINK_DATA >> 20} MiB; ${SHARE_LINK}, shorten queues, or give them in time or bytes`;
    }
    if (this.#states > HOP_STATES) {
      return `prefixes have paths of more than ${HOP_STATES} hops and branching points; ${SHARE_PATH}, or shorten paths`;
    }
    if (this.#pathBytes > MAX_PATH_DATA) {
      return `prefixes have paths that need more than ${MAX_PATH_DATA >> 20} MiB; ${SHARE_PATH}, or have fewer hops, `
        + "branches and labels";
    }
    return undefined;
  }
}
