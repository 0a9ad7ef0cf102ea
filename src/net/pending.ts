/** What was written to a socket, and how it is given to the stream piece by piece. */
import type { Stream } from "./stream.js";

export interface Chunk {
  readonly chunk: Uint8Array | string;
  readonly encoding: BufferEncoding;
}

/** What was written and has not been taken yet. */
export interface Pending {
  readonly chunks: readonly Chunk[];
  /** Chunks that have been taken, and what is left of the next one if a part of it has. */
  taken: number;
  rest: Uint8Array | undefined;
  readonly done: (error?: Error | null) => void;
}

/** Gives as many chunks to the stream as it takes. Returns how many bytes these are. */
export function give(stream: Stream, pending: Pending): number {
  let bytes = 0;
  for (; pending.taken < pending.chunks.length; pending.taken++) {
    bytes += giveNext(stream, pending);
    if (pending.rest) break;
  }
  return bytes;
}

/** Gives the next chunk to the stream, as much of it as that takes. Returns how many bytes that is. */
function giveNext(stream: Stream, pending: Pending): number {
  const { chunk, encoding } = pending.chunks[pending.taken];
  if (typeof chunk === "string" && !pending.rest) {
    const taken = stream.writeText(chunk, encoding);
    if (taken !== undefined) return taken;
  }
  const rest = pending.rest ?? bytesOf(chunk, encoding);
  const count = stream.write(rest);
  pending.rest = count < rest.length ? rest.subarray(count) : undefined;
  return count;
}

/** Returns how many bytes of what was written have not been taken yet. */
export function restOf(pending: Pending | undefined): number {
  if (!pending) return 0;
  const { chunks, taken, rest } = pending;
  return rest ? rest.length + sizeOf(chunks.slice(taken + 1)) : sizeOf(chunks.slice(taken));
}

export function sizeOf(chunks: readonly Chunk[]): number {
  return chunks.reduce((sum, { chunk, encoding }) => sum + Buffer.byteLength(chunk, encoding), 0);
}

function bytesOf(chunk: Chunk["chunk"], encoding: BufferEncoding): Uint8Array {
  return typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk;
}
