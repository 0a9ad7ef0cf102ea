/** Captures of either format, which their first four bytes tell apart. A capture may be compressed by gzip. */
import { describeForeign, FOREIGN_HEAD_LEN } from "./foreign.js";
import { gunzip, isGzip } from "./gzip.js";
import type { CapturedPacket } from "./packet.js";
import { pcapFormat, readPcap } from "./pcap.js";
import { readPcapng, SECTION_HEADER } from "./pcapng.js";
import { Source } from "./source.js";

/**
 * Reads a capture to its end, in the order of the file. `name` is for messages.
 * @throws Failure when it cannot be read at all; Damage, after all whole packets, when it ends early or
 * makes no sense; Stopped.
 */
export async function* readCapture(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<CapturedPacket> {
  const source = new Source(chunks, name);
  try {
    if (isGzip(await source.head(2))) yield* readFormat(new Source(gunzip(source), `${name}, decompressed,`));
    else yield* readFormat(source);
  } finally {
    await source.close();
  }
}

async function* readFormat(source: Source): AsyncGenerator<CapturedPacket> {
  try {
    if (await source.atEnd()) throw source.fault("is empty", 0);
    const magic = (await source.peek(4, "its first four bytes")).getUint32(0);
    const format = pcapFormat(magic);
    if (format) yield* readPcap(source, format);
    else if (magic === SECTION_HEADER) yield* readPcapng(source);
    else {
      const { what, mend } = describeForeign(await source.head(FOREIGN_HEAD_LEN));
      throw source.fault(what, 0, mend);
    }
  } finally {
    await source.close();
  }
}
