/** What the prefixes of a table stand behind: the different links and paths. */
import { CLEAR_WAY, type Link } from "../prefix/link.js";
import type { RouterPath } from "../prefix/path.js";
import { hopsOf, type PlacedPath } from "./paths.js";

const CLEAR_LINK: Link = { in: CLEAR_WAY, out: CLEAR_WAY };

export class Ways {
  readonly #links: Link[] = [];
  readonly #paths: PlacedPath[] = [];
  readonly #linkPlaces = new Map<Link, number>();
  readonly #pathPlaces = new Map<string, number>();

  get links(): readonly Link[] {
    return this.#links;
  }

  get paths(): readonly PlacedPath[] {
    return this.#paths;
  }

  /** Has the prefix with this index stand behind a link and a path. Returns their places plus 1; 0 for none. */
  add(
    link: Link | undefined, path: RouterPath | undefined, index: number,
  ): { readonly link: number; readonly path: number } {
    // A path ends with a link, which may do nothing: what the engine does for links it does for paths.
    const last = link ?? (path ? CLEAR_LINK : undefined);
    return { link: last ? this.#linkOf(last) : 0, path: path ? this.#pathOf(path, index) : 0 };
  }

  /** A queue of so many packets is one prefix's unless the link is shared. */
  #linkOf(link: Link): number {
    const isOwn = link.name === undefined && [link.in, link.out].some(({ rate }) => rate?.queuePackets !== undefined);
    const place = isOwn ? undefined : this.#linkPlaces.get(link);
    if (place !== undefined) return place;
    this.#linkPlaces.set(link, this.#links.push(link));
    return this.#links.length;
  }

  /** Without a name, a path is one prefix's alone. */
  #pathOf(path: RouterPath, index: number): number {
    const place = path.name === undefined ? undefined : this.#pathPlaces.get(path.name);
    if (place !== undefined) return place;
    const links = new Map(
      hopsOf(path).flatMap(({ step }) => step.link ? [[step, this.#linkOf(step.link)] as const] : []),
    );
    const next = this.#paths.push({ path, owner: path.name ?? index, links });
    if (path.name !== undefined) this.#pathPlaces.set(path.name, next);
    return next;
  }
}
