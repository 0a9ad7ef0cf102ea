/** The schema of paths, for the file's schema (schema.ts). paths.ts makes paths of what it lets through. */
import { z } from "zod";
import { link } from "./linkschema.js";
import { MAX_BRANCHES, MAX_HOPS } from "./paths.js";
import { boolean, choice, list, map, whole } from "./shapes.js";
import { eitherOf, HASHES, MAX_RATE } from "./types.js";

/** Most labels of a hop. */
const MAX_LABELS = 16;
/** A label has 20 bits (RFC 3032 §2.1). */
const MAX_LABEL = 0xf_ffff;
/** Least that an IPv4 router forwards without cutting it up (RFC 791 §3.2). */
const MIN_MTU = 68;
const MAX_MTU = 65_535;
const MAX_BACK = 254;

const STEPS = `a list of 1 to ${MAX_HOPS} steps like { hop: 10.98.0.1 }`;
const STEP = "a map with hop, silent, any or back";
const HOP = "a map with hop or silent";
const ADDRESSES = "an IPv4 or IPv6 address, or a list of one of each";
const NAME = "a host's name, like gw1.example";
/** Labels of letters, digits and hyphens (RFC 1123 §2.1), and no dot at the end. */
const NAME_PATTERN = /^(?=.{1,253}$)[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?(?:\.[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?)*$/i;
const LINK = "none, a link's name, or a map like { rtt: 20ms, loss: 0.1% }";
const LINK_PATTERN = "^[A-Za-z][A-Za-z0-9_-]{0,63}$";
const MTU = `bytes, from ${MIN_MTU} to ${MAX_MTU}`;
const TTL = "a whole number from 1 to 255";
const LIMIT = "a map like { rate: 1, burst: 1 }";
const RATE = `errors a second, above 0 and up to ${MAX_RATE}`;
const BURST = `errors at once, from 1 to ${MAX_RATE}`;
const LABEL = `a label from 0 to ${MAX_LABEL}`;
const LABELS = `${LABEL}, or a list of 1 to ${MAX_LABELS} of them`;
const INTERFACE = "a map like { name: xe-0/0/1, index: 501 }";
const INTERFACE_NAME = "a name of printable characters, in quotes if it looks like a number";
const BRANCHES = `a list of 2 to ${MAX_BRANCHES} branches`;
const BRANCH = `a list of 1 to ${MAX_HOPS} hops like { hop: 10.98.0.1 }`;

function described<T extends z.ZodType>(type: T, description: string): z.ZodOptional<T> {
  return type.meta({ ...type.meta(), description }).optional();
}

function hopKeys() {
  const label = () => whole(0, MAX_LABEL, LABELS);
  return {
    hop: described(
      z.union([z.string(ADDRESSES), list(z.string(ADDRESSES), ADDRESSES).min(1, ADDRESSES).max(2, ADDRESSES)],
        ADDRESSES), "The router's address, or one of each family: the source of its errors."),
    silent: described(boolean(), "Whether it forwards and never says anything; false by default."),
    name: described(z.string(NAME).regex(NAME_PATTERN, NAME), "The router's name, in metrics and for pongd topology."),
    link: described(z.union([z.string(LINK).meta({ pattern: LINK_PATTERN }), link(LINK)], LINK),
      "The link that leads to it: the name of one under links, or one of its own."),
    mtu: described(whole(MIN_MTU, MAX_MTU, MTU), "Longest packet that it forwards, in bytes; any by default."),
    black_hole: described(boolean(), "Whether it drops what is longer without saying so; false by default."),
    ttl: described(whole(1, 255, TTL), "TTL, or hop limit, with which its errors start; 64 by default."),
    icmp: described(map({
      rate: z.number(RATE).positive(RATE).max(MAX_RATE, RATE).meta({ description: "Errors a second in the long run." }),
      burst: described(z.number(BURST).min(1, BURST).max(MAX_RATE, BURST),
        "Errors at once; by default one second's, and at least 1."),
    }, LIMIT), "Limit on its errors, besides those of all errors."),
    mpls: described(
      z.union([label(), list(label(), LABELS).min(1, LABELS).max(MAX_LABELS, LABELS)], LABELS),
      "MPLS labels that its errors tell of (RFC 4950), the outermost first."),
    interface: described(map({
      name: described(z.string(INTERFACE_NAME).regex(/^[^\p{C}\p{Zl}\p{Zp}]+$/u, INTERFACE_NAME),
        "Its name: at most 63 bytes in UTF-8."),
      index: described(whole(1, 0xffff_ffff, "a whole number from 1 to 4294967295"), "Its index."),
      mtu: described(whole(MIN_MTU, MAX_MTU, MTU), "Its MTU."),
      address: described(boolean(), "Whether they tell of its address, which is the hop's; false by default."),
    }, INTERFACE), "Interface at which the packet came, of which its errors tell (RFC 5837)."),
  };
}

/** Returns the schema of a path. */
export function steps() {
  const hop = map(hopKeys(), HOP);
  const branch = list(hop, BRANCH).min(1, BRANCH).max(MAX_HOPS, BRANCH);
  const step = map({
    ...hopKeys(),
    any: described(
      list(branch, BRANCHES).min(2, BRANCHES).max(MAX_BRANCHES, BRANCHES),
      "Branches, each a list of hops: a packet takes one of them."),
    hash: described(choice(HASHES, eitherOf(HASHES)),
      "What decides on the branch: a packet's flow, its destination, or each packet by itself; flow by default."),
    back: described(whole(0, MAX_BACK, `a whole number from 0 to ${MAX_BACK}`),
      "How many hops the way back has, as the last step; by default as many as the way there."),
  }, STEP);
  return list(step, STEPS).min(1, STEPS).max(MAX_HOPS + 1, STEPS);
}
