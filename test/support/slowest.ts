/** Reports for `node --test`: prints at the end which files took longest. */
import { relative, resolve } from "node:path";
import type { TestEvent } from "node:test/reporters";

const MAX_SHOWN = 10;

export default async function* slowest(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const files: { file: string; seconds: number }[] = [];
  for await (const { type, data } of events) {
    // A file is reported as a test whose name is its path: an absolute one in Node.js 20, as given in newer versions.
    if (type !== "test:complete" || data.nesting !== 0 || data.file === undefined) continue;
    if (resolve(data.name) === data.file) {
      files.push({ file: relative("", data.file), seconds: data.details.duration_ms / 1000 });
    }
  }
  files.sort((a, b) => b.seconds - a.seconds);
  const lines = files.slice(0, MAX_SHOWN).map(({ file, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${file}\n`);
  yield `\nthe files that took longest, of ${files.length}:\n${lines.join("")}`;
}
