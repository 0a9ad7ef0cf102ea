/** The bytes of a gzip file (RFC 1952) with any number of members. */
import { createGunzip, type Gunzip } from "node:zlib";
import type { Source } from "./source.js";

/** Compressed bytes that are decompressed at a time. They expand to at most 1032 times as many. */
const SLICE_LEN = 4096;

export function isGzip(head: Uint8Array): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

/**
 * Decompresses a source, slice by slice. If the source ends early, everything before the end is yielded
 * first. If a slice is damaged, everything from the slices before it is yielded first, and what node:zlib
 * could decompress of this one.
 * @throws Damage, Failure, Stopped
 */
export async function* gunzip(source: Source): AsyncGenerator<Uint8Array> {
  const decompressor = createGunzip();
  const decompressed: Uint8Array[] = [];
  decompressor.on("data", (chunk: Uint8Array) => decompressed.push(chunk)).on("error", () => undefined);
  try {
    // The decompressor ends before the source if zeros follow, as on a tape.
    while (!decompressor.readableEnded) {
      const at = source.offset;
      const slice = await source.takeSome(SLICE_LEN);
      const error = await feed(decompressor, slice);
      yield* decompressed.splice(0);
      if (error && slice.length === 0) throw source.fault("ends within its gzip data", at);
      if (error) throw source.fault(`has gzip data that cannot be decompressed (${error.message})`, at);
    }
  } finally {
    decompressor.destroy();
  }
}

/**
 * Resolves when everything from the slice has been decompressed, with an error if there is one.
 * An empty slice is the end.
 */
function feed(decompressor: Gunzip, slice: Uint8Array): Promise<Error | null | undefined> {
  return new Promise((resolve) => {
    const settle = (error?: Error | null) => {
      decompressor.off("error", settle).off("end", settle);
      resolve(error);
    };
    decompressor.once("error", settle).once("end", settle);
    if (slice.length === 0) decompressor.end();
    else decompressor.write(slice, settle);
  });
}
