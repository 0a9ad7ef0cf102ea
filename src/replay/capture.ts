/** Captures of either format, told apart by their first four bytes. */
import { pcapFormat, readPcap } from "./pcap.js";
import { readPcapng, SECTION_HEADER } from "./pcapng.js";
import { Source } from "./source.js";

export interface CapturedPacket {
  /** A LINKTYPE_ value; see link.ts. */
  readonly linkType: number;
  /** Since 1970, under 2^64. */
  readonly timestampNs: bigint;
  /** The frame, as much of it as was captured. */
  readonly bytes: Uint8Array;
}

/**
 * Reads a capture to its end, in the order of the file. `name` is for messages.
 * @throws Failure (usage) when it cannot be read at all; Damage, after all that was whole, when it ends early or makes no sense.
 */
export async function* readCapture(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<CapturedPacket> {
  const source = new Source(chunks, name);
  try {
    if (await source.atEnd()) throw source.fault("is empty", 0);
    const magic = (await source.peek(4, "its first four bytes")).getUint32(0);
    const format = pcapFormat(magic);
    if (format) yield* readPcap(source, format);
    else if (magic === SECTION_HEADER) yield* readPcapng(source);
    else throw source.fault("begins as neither pcap nor pcapng does", 0);
  } finally {
    await source.close();
  }
}
