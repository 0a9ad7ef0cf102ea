/**
 * Shapes of values that both schemas share: that of the configuration (schema.ts) and that of the web configuration
 * (web/webschema.ts). The error message of a value is the text of what was expected in its place.
 */
import { z } from "zod";

const FILE = "a file's path";
const BOOLEAN = "true or false";

export function whole(min: number, max: number, expected: string) {
  return z.int(expected).min(min, expected).max(max, expected);
}

export function choice<const T extends readonly string[]>(choices: T, expected: string) {
  return z.enum(choices, expected);
}

export function boolean() {
  return z.boolean(BOOLEAN);
}

export function file() {
  return z.string(FILE);
}

export function list<T extends z.ZodType>(item: T, expected: string) {
  return z.array(item, expected);
}

export function map<T extends z.ZodRawShape>(shape: T, expected = `a map of ${Object.keys(shape).join(", ")}`) {
  return z.strictObject(shape, expected);
}
