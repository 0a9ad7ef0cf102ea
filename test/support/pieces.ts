/** Compares a YAML text read piece by piece with the same text read as a whole. */
import assert from "node:assert/strict";
import { Yaml } from "../../src/config/yaml.js";
import type { Path } from "../../src/config/path.js";

/** Asserts that both readings find the same faults or the same value, and each value and key at the same place. */
export function assertAlike(text: string): void {
  const whole = new Yaml(text, Infinity);
  const value = whole.take();
  for (const piece of [1, 3]) {
    const pieces = new Yaml(text, piece);
    assert.deepEqual(sorted(pieces), sorted(whole), JSON.stringify(text));
    assert.deepEqual(pieces.take(), value, JSON.stringify(text));
    for (const path of whole.faults.length > 0 ? [] : pathsOf(value)) {
      const at = `${JSON.stringify(path)} of ${JSON.stringify(text)}`;
      for (const which of ["value", "key"] as const) assert.equal(pieces.of(path, which), whole.of(path, which), at);
      assert.equal(pieces.written(path), whole.written(path), at);
    }
  }
}

function sorted({ faults }: Yaml): unknown[] {
  return [...faults].sort((a, b) => a.offset - b.offset);
}

/** All places but those of a value that an alias has stand within itself. */
function pathsOf(value: unknown, path: Path = [], around: readonly unknown[] = []): Path[] {
  if (typeof value !== "object" || value === null || around.includes(value)) return [path];
  const steps = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  const within = value as Record<string | number, unknown>;
  return [path, ...steps.flatMap((step) => pathsOf(within[step], [...path, step], [...around, value]))];
}
