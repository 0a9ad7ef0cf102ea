/** The shape of a link. The file's schema (linkschema.ts) sees to it as well, but not to what an option gives. */
import { shown, Wrong } from "./linkvalues.js";
import type { Path } from "./path.js";

/** What a value may be: a text, a number, true or false, a list, or a map with these keys. */
type Shape = "text" | "number" | "boolean" | "list" | Shapes;
/** The shapes that each key's value may have. */
// eslint-disable-next-line @typescript-eslint/consistent-indexed-object-style -- a Record may not refer to itself
interface Shapes { readonly [key: string]: readonly Shape[] }

const TEXT = ["text"] as const;
const NUMBER = ["number"] as const;
const SWITCH = ["boolean"] as const;
const CHANCE = { probability: TEXT, correlation: TEXT };
const LOSS = {
  ...CHANCE, burst: [{ loss: TEXT, length: NUMBER }], gemodel: [{ p: TEXT, r: TEXT, bad: TEXT, good: TEXT }],
  state: [{ p13: TEXT, p31: TEXT, p32: TEXT, p23: TEXT, p14: TEXT }], packets: ["list"],
} as const;
const WAY = {
  delay: ["text", { file: TEXT, step: TEXT }], jitter: TEXT, distribution: ["text", { file: TEXT }], correlation: TEXT,
  reorder: ["boolean", { ...CHANCE, gap: NUMBER }], loss: ["text", LOSS], ecn: SWITCH, duplicate: ["text", CHANCE],
  corrupt: ["text", CHANCE], rate: TEXT, overhead: NUMBER, queue: TEXT,
  slot: [{ min: TEXT, max: TEXT, packets: NUMBER, bytes: NUMBER }],
} as const;
const LINK: Shapes = {
  rtt: TEXT, in: [WAY], out: [WAY], loss: WAY.loss, duplicate: WAY.duplicate, corrupt: WAY.corrupt, netem: TEXT,
  compat: TEXT, shared: SWITCH,
};

/** Checks the shape of a link, but not what its texts and numbers say. @throws Wrong */
export function checkShape(link: unknown): void {
  check(link, [LINK], []);
}

/** Checks a value and those within it, but not what texts and numbers say. */
function check(value: unknown, shapes: readonly Shape[], path: Path): void {
  const map = shapes.find((shape) => typeof shape === "object");
  if (map && typeof value === "object" && value !== null && !Array.isArray(value)) {
    for (const [key, item] of Object.entries(value)) {
      const at = [...path, key];
      if (!Object.hasOwn(map, key)) throw new Wrong(at, `: unknown key; expected ${hintFor(key, map)}`, "key");
      if (item !== undefined) check(item, map[key], at);
    }
    return;
  }
  const kind = Array.isArray(value) ? "list" : typeof value === "string" ? "text" : typeof value;
  if (!shapes.includes(kind as Shape)) {
    const wanted = shapes.map((shape) => typeof shape === "object"
      ? `a map of ${Object.keys(shape).join(", ")}`
      : { text: "text", number: "a number", boolean: "true or false", list: "a list" }[shape]);
    throw new Wrong(path, ` is ${shown(value)}; expected ${wanted.join(", or ")}`);
  }
}

/** Returns what may stand in place of an unknown key. */
function hintFor(key: string, map: object): string {
  if (map === LINK && key === "delay") return "in.delay or out.delay, or rtt for there and back";
  if (map === LINK && Object.hasOwn(WAY, key)) return `in.${key} or out.${key}`;
  return Object.keys(map).join(", ");
}
