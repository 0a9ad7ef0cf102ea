/**
 * Finds others' routes that take packets from a prefix, by the kernel's rules. It looks in the table of the host's own
 * addresses first, then in the main table, where pongd's routes are. Within a table the longest prefix wins, and among
 * equal ones the lowest metric. Other tables are used where a rule says so (ip-rule(8)).
 */
import { BlockMap, formatBytes, type Block, type Prefix } from "../prefix/prefixes.js";
import { ROUTE_METRIC, type Route } from "./messages.js";
import * as uapi from "../sys/uapi.js";

/** Maximum number of routes that are named one by one. A routing daemon may have a million within a prefix. */
const SHOWN = 10;

/** Makers of routes that set up the host's own network. To win over one of these would cut the host off. */
const OWN_NETWORK: readonly number[] = [uapi.RTPROT_KERNEL, uapi.RTPROT_RA, uapi.RTPROT_DHCP];

/** A prefix whose packets go elsewhere, and why. */
export interface Taken {
  readonly prefix: Prefix;
  readonly route: Route;
  readonly why: string;
}

export interface Conflicts {
  /** Prefixes that are routed elsewhere as a whole. */
  readonly taken: readonly Taken[];
  /** Lines about other conflicts. */
  readonly told: readonly Told[];
}

/** A line that is made when it is shown, since making it asks the kernel for a name. */
export type Told = () => string;

/**
 * Judges the routes of others. `nameOf` returns an interface's name. `metricOf` returns the metric of the prefix's own
 * route, by default the one that pongd gives it.
 */
export function conflictsOf(
  routes: readonly Route[], prefixes: readonly Prefix[], nameOf: (oif: number) => string,
  metricOf = ({ family }: Prefix) => ROUTE_METRIC[family],
): Conflicts {
  const taken: Taken[] = [];
  const told: Told[] = [];
  const byBlock = new BlockMap(prefixes);
  const where = (route: Route) => {
    if (route.type === uapi.RTN_LOCAL) return "is this host's own";
    return route.oif === 0 ? "is routed elsewhere" : `is routed to ${nameOf(route.oif)}`;
  };
  const take = (prefix: Prefix, route: Route, reason = "") => {
    taken.push({ prefix, route, why: `${where(route)} already${reason}` });
  };

  const local = new BlockMap(routes.filter(({ table }) => table === uapi.RT_TABLE_LOCAL));
  for (const prefix of prefixes) {
    const route = local.get(prefix) ?? local.around(prefix);
    if (route) take(prefix, route);
  }
  for (const route of routes) {
    const { table, tos, metric, protocol } = route;
    const prefix = byBlock.get(route);
    const outer = byBlock.around(route);
    if (table === uapi.RT_TABLE_LOCAL || table === uapi.RT_TABLE_MAIN) {
      if (outer) told.push(() => `${textOf(route)}, a part of ${outer.text}, ${where(route)}: it does not reach pongd`);
    } else if (table !== uapi.RT_TABLE_DEFAULT && (prefix ?? outer)) {
      told.push(
        () => `${textOf(route)} ${where(route)} in table ${table}: packets that a rule sends there do not reach pongd`,
      );
    }
    if (!prefix || table !== uapi.RT_TABLE_MAIN) continue;
    const own = metricOf(prefix);
    if (tos !== 0) take(prefix, route, ` for TOS 0x${tos.toString(16)}`);
    else if (metric < own) take(prefix, route, `, and its metric, ${metric}, wins over pongd's, ${own}`);
    else if (metric === own) take(prefix, route);
    else if (OWN_NETWORK.includes(protocol)) take(prefix, route, ", which is its own network");
    else told.push(
      () => `prefix ${prefix.text} ${where(route)} as well: the metric of pongd's route, ${own}, wins over ${metric}`,
    );
  }

  return { taken, told };
}

/** Returns the first lines, and how many more there are. */
export function linesOf(told: readonly Told[]): string[] {
  const lines = told.slice(0, SHOWN).map((line) => line());
  return told.length > SHOWN
    ? [...lines, `and ${told.length - SHOWN} more routes like these; see: ip route show table all`]
    : lines;
}

export function textOf({ bytes, length }: Block): string {
  return `${formatBytes(bytes)}/${length}`;
}
