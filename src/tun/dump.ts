/**
 * The host's routes, which may be a million, are read a datagram at a time, as the kernel makes them. A dump has a
 * socket of its own, so that other requests can be made meanwhile, and one that is left early leaves nothing behind.
 */
import type { Pace } from "../base/pace.js";
import type { Family } from "../prefix/prefixes.js";
import * as libc from "../sys/libc.js";
import { attribute, familyOf, messages, outcomeOf, request, u32 } from "./messages.js";
import { RouteReader, type Route } from "./route.js";
import { NetlinkError } from "./refusal.js";
import { DATAGRAM, openNetlink, receive, send } from "./socket.js";
import * as uapi from "../sys/uapi.js";

const SEQUENCE = 1;

/** Routes to dump: those that lead to this interface, those in this table, or all. */
export interface RouteFilter {
  readonly oif?: number;
  readonly table?: number;
}

export class RouteDump {
  /** Longest time in ms that the kernel took for a datagram. */
  slowest = 0;
  readonly #family: Family;
  readonly #reader: RouteReader;
  readonly #fd = openNetlink();
  readonly #buffer = Buffer.alloc(DATAGRAM);

  /**
   * Begins a dump of the routes of all types that pass the filter, if the kernel has filters.
   * @throws SystemError
   */
  constructor(family: Family, { oif, table }: RouteFilter) {
    this.#family = family;
    this.#reader = new RouteReader(family);
    const header = Buffer.alloc(uapi.SIZEOF_RTMSG);
    header[0] = familyOf({ family });
    const filter = [
      ...oif === undefined ? [] : [attribute(uapi.RTA_OIF, u32(oif))],
      ...table === undefined ? [] : [attribute(uapi.RTA_TABLE, u32(table))],
    ];
    const asking = request(uapi.RTM_GETROUTE, uapi.NLM_F_DUMP, SEQUENCE, [header, ...filter]);
    try {
      this.#kernel(() => { send(this.#fd, asking, this.#subject); });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    libc.close(this.#fd);
  }

  /**
   * Reads a datagram, and calls `visit` with each route, in a record that the next one overwrites. Returns false after
   * the last datagram.
   * @throws NetlinkError, SystemError, Failure
   */
  read(visit: (route: Route) => void): boolean {
    const length = this.#kernel(() => receive(this.#fd, this.#buffer, this.#subject));
    const datagram = this.#buffer.subarray(0, length);
    for (const message of messages(datagram)) {
      if (message.seq !== SEQUENCE) continue;
      if (message.type === uapi.NLMSG_DONE) return false;
      if (message.type === uapi.NLMSG_ERROR) {
        const { errno, text } = outcomeOf(message);
        throw new NetlinkError("netlink:", this.#subject, errno, text);
      }
      // If a family is missing, the kernel dumps the routes of all families.
      if (!this.#reader.read(datagram, message.from, message.to)) continue;
      visit(this.#reader.route);
    }
    return true;
  }

  get #subject(): string {
    return `routes of IPv${this.#family}`;
  }

  #kernel<T>(call: () => T): T {
    const began = performance.now();
    const result = call();
    this.slowest = Math.max(this.slowest, performance.now() - began);
    return result;
  }
}

/** Calls `visit` with each route as RouteDump.read() does. Returns the dump, which is over then. */
export async function eachRoute(
  family: Family, filter: RouteFilter, pace: Pace, visit: (route: Route) => void,
): Promise<RouteDump> {
  const dump = new RouteDump(family, filter);
  try {
    while (dump.read(visit)) if (pace.over) await pace.turn();
    return dump;
  } finally {
    dump.close();
  }
}
