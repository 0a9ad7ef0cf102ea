/**
 * The backend that runs everywhere: a read(2) and a write(2) for each packet (direct.ts).
 *
 * It reads until EAGAIN, but at most `#limit` packets before the engine gets them. The limit doubles while as
 * many packets come. Otherwise it falls to one more than came. So a lone packet is answered at once, without
 * asking for a second one first.
 */
import { BATCH } from "../../abi/slots.js";
import type { LinearMemory } from "../engine/memory.js";
import { batchFor, type PacketIo, type Refuse } from "./contract.js";
import { Direct } from "./direct.js";

export class ReadWriteIo implements PacketIo {
  readonly name = "readwrite";
  readonly #direct: Direct;
  #limit = 1;

  /** The parameters are as for Direct. */
  constructor(fd: number, wakeFd: number, linear: LinearMemory, refuse?: Refuse) {
    this.#direct = new Direct(fd, wakeFd, linear, refuse);
  }

  receive(timeoutNs: number): number {
    let limit = Math.min(this.#limit, batchFor(timeoutNs));
    let count = this.#direct.read(limit);
    if (count === 0) {
      this.#limit = limit = 1;
      if (!this.#direct.wait(timeoutNs)) return 0;
      count = this.#direct.read(limit);
    }
    this.#limit = count === limit ? Math.min(2 * count, BATCH) : count + 1;
    return count;
  }

  send(count: number): void {
    this.#direct.write(count);
  }

  flush(): void {
    // Everything has been written.
  }

  close(): void {
    // It has nothing of its own.
  }
}
