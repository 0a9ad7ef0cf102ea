/** Shortens a journal that something is wrong with: what can be left out without changing the error is left out. */
import { entries, HEADER_LEN } from "./journal.js";

/** Tries for `ms` milliseconds at most; `fails` says what is wrong with a journal. */
export async function shrink(
  journal: Uint8Array, fails: (journal: Uint8Array) => Promise<string | undefined>, ms = 60_000,
): Promise<Uint8Array> {
  const until = Date.now() + ms;
  const wanted = await fails(journal);
  if (wanted === undefined) return journal;
  const header = journal.subarray(0, HEADER_LEN);
  let parts = [...entries(journal)].map(({ from, to }) => journal.subarray(from, to));
  const join = (some: readonly Uint8Array[]) => Buffer.concat([header, ...some]);
  for (let size = Math.ceil(parts.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    // Early entries matter least, and are tried first.
    for (let at = 0; at < parts.length && Date.now() < until;) {
      const rest = [...parts.slice(0, at), ...parts.slice(at + size)];
      if (await fails(join(rest)) === wanted) parts = rest;
      else at += size;
    }
  }
  return join(parts);
}
