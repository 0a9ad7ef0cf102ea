/**
 * Replies as pcapng (draft-ietf-opsawg-pcapng): one section, one interface of raw IP packets with times in nanoseconds,
 * and one Enhanced Packet Block for each reply. The file names neither its date nor the machine, so the same replies
 * give the same bytes. A comment of the section may say what they depend on.
 */
import type { Output } from "../base/output.js";

const LINKTYPE_RAW = 101;
const OPT_COMMENT = 1;

export class ReplyWriter {
  readonly #output: Output;
  readonly #comment: string | undefined;
  readonly #pending: Uint8Array[] = [];
  #begun = false;
  #lastNs = 0n;
  /** Number of replies that got a later time than their own, so that times never go back. */
  lifted = 0;

  constructor(output: Output, comment?: string) {
    this.#output = output;
    this.#comment = comment;
  }

  /** Copies the packet. `timestampNs` counts from 1970 and is under 2^64. */
  add(timestampNs: bigint, packet: Uint8Array): void {
    if (timestampNs < this.#lastNs) this.lifted++;
    else this.#lastNs = timestampNs;
    this.#pending.push(enhancedPacket(this.#lastNs, packet));
  }

  /** Writes the replies added so far, if there are any, and waits for the reader. @throws Failure */
  async flush(): Promise<void> {
    if (this.#pending.length > 0) await this.#write();
  }

  /** Writes the rest and commits the output. @throws Failure */
  async finish(): Promise<void> {
    await this.#write();
    await this.#output.commit();
  }

  async #write(): Promise<void> {
    const head = this.#begun ? [] : [sectionHeader(this.#comment), interfaceDescription()];
    const bytes = Buffer.concat([...head, ...this.#pending]);
    this.#begun = true;
    this.#pending.length = 0;
    await this.#output.write(bytes);
  }
}

function sectionHeader(comment: string | undefined): Uint8Array {
  const options = comment === undefined ? [] : textOption(OPT_COMMENT, comment);
  const block = newBlock(0x0a0d0d0a, 28 + options.length);
  block.writeUInt32LE(0x1a2b3c4d, 8);
  block.writeUInt16LE(1, 12);
  // -1: the section's length is not specified.
  block.writeBigInt64LE(-1n, 16);
  block.set(options, 24);
  return block;
}

/** Returns an option, padded to a multiple of 4 bytes, and the end of options, which is all zeros. */
function textOption(code: number, text: string): Uint8Array {
  const length = Buffer.byteLength(text);
  const option = Buffer.alloc(4 + Math.ceil(length / 4) * 4 + 4);
  option.writeUInt16LE(code, 0);
  option.writeUInt16LE(length, 2);
  option.write(text, 4);
  return option;
}

function interfaceDescription(): Uint8Array {
  const block = newBlock(1, 32);
  block.writeUInt16LE(LINKTYPE_RAW, 8);
  // if_tsresol: one byte, 10^-9. opt_endofopt is all zeros already.
  block.writeUInt16LE(9, 16);
  block.writeUInt16LE(1, 18);
  block.writeUInt8(9, 20);
  return block;
}

function enhancedPacket(timestampNs: bigint, packet: Uint8Array): Uint8Array {
  const block = newBlock(6, 32 + Math.ceil(packet.length / 4) * 4);
  block.writeUInt32LE(Number(timestampNs >> 32n), 12);
  block.writeUInt32LE(Number(timestampNs & 0xffffffffn), 16);
  block.writeUInt32LE(packet.length, 20);
  block.writeUInt32LE(packet.length, 24);
  block.set(packet, 28);
  return block;
}

/** Returns a block of zeros of `length` bytes, a multiple of 4, with its type and both its lengths set. */
function newBlock(type: number, length: number): Buffer {
  const block = Buffer.alloc(length);
  block.writeUInt32LE(type, 0);
  block.writeUInt32LE(length, 4);
  block.writeUInt32LE(length, length - 4);
  return block;
}
