/** A configuration that a program hands over: what a file has, as an object with the same keys. */
import type { Document } from "./document.js";
import type { Source } from "./given.js";
import { judge, type Problem } from "./judge.js";
import { nameOf, type Path } from "./path.js";
import { salvage } from "./salvage.js";
import { schema } from "./schema.js";

const NAME = "configuration";
/** Most errors that are reported. */
const SHOWN = 20;

export class ConfigObject implements Source {
  /** Its name in messages, which stands for a file's. */
  readonly name = NAME;
  readonly folder = ".";
  readonly document: Document;
  readonly problems: readonly Problem[];

  /** `value`: what a file would have been read as. Undefined values are keys that are not there. */
  constructor(value: unknown) {
    const { data, error } = schema.safeParse(value);
    const format = { schema, empty: "it is empty; expected keys like prefixes", secret: () => false };
    this.problems = error ? judge(format, value, error.issues, () => undefined) : [];
    this.document = data ?? salvage(value);
  }

  /** Returns a line for each problem, which begins with where it is: `configuration.device.mtu: …` */
  linesOf(problems: readonly Problem[]): string[] {
    const lines = problems.slice(0, SHOWN).map(({ path, message, first }) => {
      const name = nameOf(path);
      // Most messages begin with the key's name already.
      const isNamed = path.length > 0 && /^[ :]/.test(message.slice(name.length)) && message.startsWith(name);
      const said = isNamed ? `${NAME}.${message}` : `${placeOf(path)}: ${message.replace(/^the file\b/, "it")}`;
      return `${said}${first ? `; first at ${placeOf(first)}` : ""}`;
    });
    return problems.length > SHOWN ? [...lines, `${NAME}: and ${problems.length - SHOWN} more`] : lines;
  }
}

/** Returns how a program writes a path. */
function placeOf(path: Path): string {
  return path.reduce<string>((place, step) => {
    if (typeof step === "string" && /^[a-z_]\w*$/i.test(step)) return `${place}.${step}`;
    return `${place}[${JSON.stringify(step)}]`;
  }, NAME);
}
