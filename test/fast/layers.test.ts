/** Tests imports: a folder's files import only from their own folder or from the layers below it. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { describe, test } from "node:test";
import { source } from "../support/assembly.js";

/** Layers from the bottom up. Folders on one line do not import from each other. */
const LAYERS = [
  ["abi"], ["base"], ["sys"], ["prefix"], ["tun"], ["engine"], ["io"],
  ["pcap", "config", "telemetry"], ["net"], ["web"], ["daemon"],
  ["replay", "bench", "top", "help", "library"], ["stamp"], ["cli"],
];

const rank = new Map(LAYERS.flatMap((names, i) => names.map((name) => [name, i] as const)));
const filesIn = (folder: string) => {
  return readdirSync(source(folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name));
};
const files = ["abi", "src"].flatMap(filesIn).filter((name) => name.endsWith(".ts"));

const roomOf = (file: string) => file.startsWith("abi/") ? "abi" : file.split("/")[1];

describe("imports", () => {
  test("nothing lies outside of the rooms but src/cli.ts", () => {
    assert.deepEqual([...new Set(files.map(roomOf))].filter((room) => !rank.has(room)), ["cli.ts"]);
  });

  test("each goes to its own room or to one below", () => {
    const upward = files.filter((file) => file !== "src/cli.ts").flatMap((file) => {
      const text = readFileSync(source(file), "utf8");
      return [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)]
        .map(([, path]) => normalize(join(dirname(file), path)).replace(/\.js$/, ".ts"))
        .filter((target) => {
          const [here, there] = [roomOf(file), roomOf(target)].map(
            (room) => ({ room, rank: rank.get(room) ?? Infinity }),
          );
          return here.room !== there.room && there.rank >= here.rank;
        })
        .map((target) => `${file} imports ${relative(dirname(file), target)}`);
    });
    assert.deepEqual(upward, []);
  });

  test("no file imports itself by way of others, be it for a type", () => {
    const imports = new Map(files.map((file) => {
      const text = readFileSync(source(file), "utf8");
      const paths = [...text.matchAll(/^(?:import|export)[^;]*? from "(\.[^"]+)"/gm)].map(([, path]) => path);
      return [file, paths.map((path) => normalize(join(dirname(file), path)).replace(/\.js$/, ".ts"))] as const;
    }));
    const done = new Set<string>();
    const visit = (file: string, way: readonly string[]): void => {
      if (way.includes(file)) assert.fail([...way.slice(way.indexOf(file)), file].join(" → "));
      if (done.has(file)) return;
      for (const next of imports.get(file) ?? []) visit(next, [...way, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
  });
});
