/** Converts settings by key to and from the configuration file's form, in which some of them are in maps. */
import { collect, SETTINGS, split, type Setting, type Values } from "./keys.js";
import { ONE_OR_MORE } from "./types.js";

/** Content of a file that the schema allows. */
export type Document = Readonly<Record<string, unknown>>;

/** Returns the file's value for each setting; undefined where it has none. */
export function flatten(document: Document): Partial<Values> {
  return collect(({ key, type }) => {
    const [top, name] = split(key);
    const outer = document[top];
    // A word in place of a map holds for all its keys.
    const value = name !== undefined && isMap(outer) ? outer[name] : outer;
    return ONE_OR_MORE.has(type.kind) && typeof value === "string" ? [value] : value;
  });
}

/** Puts the value that `write` returns for each setting into the file's form. Undefined values are left out. */
export function nest(write: (setting: Setting) => unknown): Document {
  const document: Record<string, unknown> = {};
  for (const setting of SETTINGS) {
    const value = write(setting);
    if (value === undefined) continue;
    const [top, name] = split(setting.key);
    const outer = document[top];
    document[top] = name === undefined ? value : { ...isMap(outer) && outer, [name]: value };
  }
  return document;
}

export function isMap(value: unknown): value is Document {
  return typeof value === "object" && value !== null;
}
