/**
 * Replies as pcapng (draft-ietf-opsawg-pcapng): one section, one interface of raw IP packets in nanoseconds, an
 * Enhanced Packet Block a reply. Nothing of the day or the machine is written, so that the same replies are the same
 * bytes.
 */
import type { Output } from "../base/output.js";

const LINKTYPE_RAW = 101;

export class ReplyWriter {
  readonly #output: Output;
  readonly #pending: Uint8Array[] = [];
  #begun = false;
  #lastNs = 0n;
  /** Replies that were given a later time than their own, so that times never go back. */
  lifted = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Copies the packet; `timestampNs` since 1970, under 2^64. */
  add(timestampNs: bigint, packet: Uint8Array): void {
    if (timestampNs < this.#lastNs) this.lifted++;
    else this.#lastNs = timestampNs;
    this.#pending.push(enhancedPacket(this.#lastNs, packet));
  }

  /** Writes what was added, if anything was; waits for whoever reads it. @throws Failure */
  async flush(): Promise<void> {
    if (this.#pending.length > 0) await this.#write();
  }

  /** Writes the rest, and makes the output what it is to be. @throws Failure */
  async finish(): Promise<void> {
    await this.#write();
    await this.#output.commit();
  }

  async #write(): Promise<void> {
    const bytes = Buffer.concat([...this.#begun ? [] : [sectionHeader(), interfaceDescription()], ...this.#pending]);
    this.#begun = true;
    this.#pending.length = 0;
    await this.#output.write(bytes);
  }
}

function sectionHeader(): Uint8Array {
  const block = newBlock(0x0a0d0d0a, 28);
  block.writeUInt32LE(0x1a2b3c4d, 8);
  block.writeUInt16LE(1, 12);
  // The section's length: not said.
  block.writeBigInt64LE(-1n, 16);
  return block;
}

function interfaceDescription(): Uint8Array {
  const block = newBlock(1, 32);
  block.writeUInt16LE(LINKTYPE_RAW, 8);
  // if_tsresol: one byte, 10^-9. opt_endofopt is all zeros.
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

/** A block of zeros of `length` bytes, a multiple of 4, its type and both its lengths in place. */
function newBlock(type: number, length: number): Buffer {
  const block = Buffer.alloc(length);
  block.writeUInt32LE(type, 0);
  block.writeUInt32LE(length, 4);
  block.writeUInt32LE(length, length - 4);
  return block;
}
