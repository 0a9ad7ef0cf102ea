/**
 * Says what lies between the senders and the prefixes of some worlds: links and paths, as a configuration has them, and
 * what an oracle knows of them.
 */
import type { Link, Way } from "../../../src/prefix/link.js";
import type { Fork, Hop, RouterPath } from "../../../src/prefix/path.js";
import { read } from "../../support/config.js";
import { IPV6_MIN_MTU } from "../../../src/sys/uapi.js";

export interface Between {
  readonly link: Link | undefined;
  readonly path: RouterPath | undefined;
  /** The most packets that one becomes, with what is sent in answer to all of them. */
  readonly copies: number;
  /** True if packets change on their way in, or on their way out. */
  readonly spoilsIn: boolean;
  readonly spoilsOut: boolean;
  readonly loses: boolean;
  /** The longest packet that comes back. */
  readonly room: number;
  /** The hops that each way back may have. */
  readonly backs: readonly number[];
  /** Where each hop may stand: there are so many hops before it. */
  readonly hops: readonly { readonly hop: Hop; readonly place: number }[];
}

/** Most packets that are kept: so few that there is no room for more now and then. */
export const KEPT = 120;

/** Half of them have a name, and so a state that all prefixes share. */
const NAMED = `links:
  far: { in: { delay: 12ms, jitter: 9ms, reorder: true, duplicate: 20% }, out: { delay: 3ms, loss: 5%, ecn: true } }
  slow: { in: { rate: 2mbit, queue: 5packets, duplicate: 10% }, out: { rate: 300kbit, queue: 20ms, overhead: 14 } }
  lan: { rtt: 1ms, loss: { gemodel: { p: 5%, r: 40%, bad: 80%, good: 1% } } }
  radio:
    in: { slot: { min: 1ms, max: 7ms, packets: 3 }, loss: { burst: { loss: 5%, length: 3 } } }
    out: { slot: { min: 2ms, bytes: 900 }, delay: 4ms, jitter: 2ms, distribution: pareto, correlation: 60% }
  kernel: { netem: "delay 9ms 4ms 25% distribution normal loss 5% 20% duplicate 20% reorder 25% 50% gap 3 limit 12", compat: netem }
`;
const OWN = [
  "far", "slow", "lan", "radio", "kernel",
  "{ in: { corrupt: 20%, loss: 10%, ecn: true } }",
  "{ in: { duplicate: { probability: 50%, correlation: 20% } }, out: { duplicate: 90%, corrupt: 30% } }",
  "{ in: { delay: 8ms, reorder: { probability: 25%, gap: 3 } }, out: { delay: 20ms, jitter: 19ms, duplicate: 30% } }",
  "{ netem: \"rate 1mbit 20 limit 6 corrupt 10% loss gemodel 2% 30% duplicate 10%\", compat: netem }",
  "{ out: { duplicate: 100% } }",
];

/** Returns the texts of paths. `narrow` is the MTU of some of their hops. */
function pathTexts(narrow: number): string[] {
  const hop = (number: number, more = "", mtu = 65_535) => {
    const six = mtu >= IPV6_MIN_MTU ? `, "fd98::${number}"` : "";
    return `{ hop: [10.98.0.${number}${six}]${more}${mtu < 65_535 ? `, mtu: ${mtu}` : ""} }`;
  };
  const few = ", icmp: { rate: 5, burst: 3 }";
  const labels = ", mpls: [16001, 7], interface: { name: xe-0/0/1, index: 501, address: true, mtu: 1500 }";
  const delayed = ", link: { rtt: 6ms, in: { duplicate: 30% }, out: { jitter: 2ms, loss: 5% } }";
  const doubled = ", link: { out: { duplicate: 40%, delay: 1ms }, in: { loss: 5%, ecn: true } }";
  const hole = ", black_hole: true";
  const own = "{ hop: [10.99.7.7, \"fd99::7:7\"], ttl: 200, link: { rtt: 2ms } }";
  return [
    `[${hop(1)}, ${hop(2, labels)}, { silent: true }, ${hop(3, few)}]`,
    `[${hop(1, delayed)}, ${own}, ${hop(3, doubled + labels)}, { back: 7 }]`,
    `[${hop(1)}, { any: [[${hop(2, labels)}], [${hop(3, "", narrow)}, ${hop(4)}]], hash: packet }, ${hop(5, doubled)}]`,
    `[{ any: [[${hop(1, hole, narrow)}], [${hop(2)}]] }, { any: [[${own}], [${hop(3)}, ${hop(4, few)}]], hash: destination }]`,
    `[${hop(1, labels, narrow)}, ${hop(2)}, { back: 0 }]`,
    "[{ hop: 10.98.0.1, link: { in: { corrupt: 20% }, netem: \"duplicate 20% delay 2ms\", compat: netem } }, "
    + "{ hop: \"fd98::1\", ttl: 2 }]",
  ];
}

/** Links to choose from; links and paths are read once for each MTU. */
export const LINKS = OWN.length;
export const PATHS = 6;
const known = new Map<string, Between>();

/** Returns what these two numbers stand for: a link, a path, or both; without a number, there is none. */
export function between(mtu: number, link: number | undefined, path: number | undefined): Between {
  const narrow = mtu >= IPV6_MIN_MTU ? IPV6_MIN_MTU : Math.max(68, mtu * 3 >> 2);
  const key = `${mtu} ${link} ${path}`;
  const before = known.get(key);
  if (before) return before;
  const parts = [
    ...link === undefined ? [] : [`link: ${OWN[link]}`], ...path === undefined ? [] : [`path: ${pathTexts(narrow)[path]}`],
  ];
  const text = `${NAMED}prefixes: [{ prefix: 10.99.0.0/16, ${parts.join(", ")} }]\n`;
  const [{ answers }] = read(text).options.serving.prefixes;
  const found = knownOf(mtu, answers.link, answers.path);
  known.set(key, found);
  return found;
}

/** Returns what an oracle knows of a link and a path where packets have at most `mtu` bytes. */
export function knownOf(mtu: number, link: Link | undefined, path: RouterPath | undefined): Between {
  const routes = path ? routesOf(path) : [[]];
  const linksOf = (route: readonly Hop[]) => [...route.flatMap((hop) => hop.link ?? []), ...link ? [link] : []];
  const count = (ways: readonly Way[], has: (way: Way) => boolean) => ways.filter(has).length;
  const all = routes.flatMap(linksOf);
  const [ins, outs] = [all.map((each) => each.in), all.map((each) => each.out)];
  const least = (route: readonly Hop[], hole: boolean) =>
    Math.min(...route.flatMap((hop) => hop.blackHole === hole ? hop.mtu ?? [] : []), mtu);
  return {
    link, path,
    copies: Math.max(...routes.map(linksOf).map((links) =>
      (1 + count(links.map((each) => each.in), doubles)) * (1 + count(links.map((each) => each.out), doubles)))),
    spoilsIn: ins.some(spoils), spoilsOut: outs.some(spoils), loses: [...ins, ...outs].some(loses),
    room: Math.min(least(routes.flat(), false), Math.max(...routes.map((route) => least(route, true)))),
    backs: routes.map((route) => path?.back ?? route.length),
    hops: routes.flatMap((route) => route.map((hop, place) => ({ hop, place }))),
  };
}

function routesOf({ steps }: RouterPath): Hop[][] {
  const branches = (step: Hop | Fork) => "branches" in step ? step.branches : [[step]];
  return steps.reduce<Hop[][]>(
    (routes, step) => routes.flatMap((route) => branches(step).map((branch) => [...route, ...branch])), [[]],
  );
}

function doubles({ duplicate, netem }: Way): boolean {
  return duplicate !== undefined || (netem !== undefined && netem.duplicate.probability > 0);
}

function spoils({ corrupt, netem }: Way): boolean {
  return corrupt !== undefined || (netem !== undefined && netem.corrupt.probability > 0);
}

function loses({ loss, netem }: Way): boolean {
  return loss !== undefined || (netem !== undefined && (netem.loss.probability > 0 || netem.model !== undefined));
}
