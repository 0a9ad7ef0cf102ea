/**
 * Tests the ring code against a model of the kernel: entries taken a few at a time, completions late and in any order,
 * reads that come up empty, writes that fail, indices that wrap at 2^32. After each round every slot is in exactly one
 * place, and the counters match what happened.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  CQ_HEAD_AT, CQ_TAIL_AT, CQES_AT, DEADLINE, FREE_COUNT, MEMORY_ADDRESS, NOW, OFFLOAD, READ_ERROR, SLOTS_REGISTERED,
  SQ_HEAD_AT, SQ_TAIL_AT,
} from "../../abi/control.js";
import { Counter } from "../../abi/counters.js";
import { SIZEOF_VNET_HEADER } from "../../abi/offload.js";
import { CQ_ENTRIES, QUEUE_FILE, RINGS, SQ_ENTRIES, SQES } from "../../abi/uring.js";
import { FREE } from "../../abi/pool.js";
import { BATCH, RECEIVED, SLOT_BASE, SLOTS, TO_SEND } from "../../abi/slots.js";
import { TABLE } from "../../src/bench/workload.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { slotOf } from "../../src/engine/slots.js";
import { type Assembly, compile, load } from "../../src/engine/wasm.js";
import { Random } from "../support/random.js";
import { moduleOf } from "../../src/engine/create.js";

/** Operation codes, for slots that are not registered and for those that are. */
const READS = [22, 4];
const WRITES = [23, 5];
const FIXED_FILE = 1;
const CQE_SKIP_SUCCESS = 64;
const NOWAIT = 8;
const EAGAIN = 11;
const EIO = 5;
const EBADFD = 77;
const EINTR = 4;
const EINVAL = 22;
/** Flag of struct virtio_net_hdr. */
const NEEDS_CSUM = 1;

interface Entry {
  readonly opcode: number;
  readonly flags: number;
  readonly file: number;
  readonly slot: number;
  readonly length: number;
  readonly operationFlags: number;
  readonly userData: bigint;
}

/** The kernel's side of the two queues. */
class Kernel {
  readonly linear: LinearMemory;
  readonly view: DataView;
  readonly base = 0x7f12_3456_0000n;

  /** The indices begin at `start`. `offload` is as for LinearMemory. */
  constructor(start: number, offload?: number) {
    this.linear = LinearMemory.create({ mtu: 1500, reassembly: 0, offload, table: TABLE });
    this.view = new DataView(this.linear.memory.buffer);
    [SQ_HEAD_AT, SQ_TAIL_AT, CQ_HEAD_AT, CQ_TAIL_AT].forEach((word, i) => {
      this.view.setUint32(word, RINGS + 64 * i, true);
      this.view.setUint32(RINGS + 64 * i, start, true);
    });
    this.view.setUint32(CQES_AT, RINGS + 4096, true);
    this.view.setBigUint64(MEMORY_ADDRESS, this.base, true);
  }

  /** Takes up to `count` entries. */
  take(count: number): Entry[] {
    const head = this.#index(SQ_HEAD_AT);
    const available = this.#index(SQ_TAIL_AT) - head >>> 0;
    assert.ok(available <= SQ_ENTRIES, "the submission queue holds no more than fits");
    const taken = Math.min(available, count);
    this.#setIndex(SQ_HEAD_AT, head + taken);
    return Array.from({ length: taken }, (_, i) => {
      const at = SQES + (head + i >>> 0) % SQ_ENTRIES * 64;
      const opcode = this.view.getUint8(at);
      return {
        opcode,
        flags: this.view.getUint8(at + 1),
        file: this.view.getInt32(at + 4, true),
        slot: Number(this.view.getBigUint64(at + 16, true) - this.base),
        length: this.view.getUint32(at + 24, true),
        operationFlags: this.view.getUint32(at + 28, true),
        userData: this.view.getBigUint64(at + 32, true),
      };
    });
  }

  complete({ userData }: Entry, result: number): void {
    const tail = this.#index(CQ_TAIL_AT);
    assert.ok((tail - this.#index(CQ_HEAD_AT) >>> 0) < CQ_ENTRIES, "the completion queue does not overflow");
    const at = RINGS + 4096 + tail % CQ_ENTRIES * 16;
    this.view.setBigUint64(at, userData, true);
    this.view.setInt32(at + 8, result, true);
    this.#setIndex(CQ_TAIL_AT, tail + 1);
  }

  word(address: number): number {
    return this.view.getInt32(address, true);
  }

  set(address: number, value: number): void {
    this.view.setInt32(address, value, true);
  }

  get free(): number[] {
    return [...new Int32Array(this.view.buffer, FREE, this.word(FREE_COUNT))];
  }

  descriptors(at: number, count: number): [slot: number, length: number][] {
    return Array.from({ length: count }, (_, i) => [this.word(at + 8 * i), this.word(at + 8 * i + 4)]);
  }

  #index(word: number): number {
    return this.view.getUint32(this.word(word), true);
  }

  #setIndex(word: number, value: number): void {
    this.view.setUint32(this.word(word), value >>> 0, true);
  }
}

async function create(start = 0, offload?: number): Promise<{ kernel: Kernel; ring: Assembly }> {
  const kernel = new Kernel(start, offload);
  return { kernel, ring: await load(compile(moduleOf("wasm")), kernel.linear.memory) };
}

describe("ring", () => {
  const random = Random.fromEnvironment();

  test("a header before packets is read and written along; what is refused for it stays with its slot", async () => {
    const { kernel, ring } = await create(0, 15);
    const { frameOffset, packetSize, slots, counters } = kernel.linear;
    kernel.view.setBigUint64(NOW, 1_000_000_000n, true);
    const places = Array.from({ length: 3 }, () => slots.take() + frameOffset);
    for (const [i, place] of places.entries()) {
      new Uint8Array(kernel.view.buffer, place - SIZEOF_VNET_HEADER, SIZEOF_VNET_HEADER).fill(0);
      slots.send(i, place, 84);
    }
    // The second one has a partial checksum.
    kernel.set(places[1] - SIZEOF_VNET_HEADER, NEEDS_CSUM);
    kernel.set(places[1] - SIZEOF_VNET_HEADER + 6, 20 | 16 << 16);
    ring.prepare(3, 1);
    const entries = kernel.take(4);
    assert.deepEqual(
      entries.map(({ slot, length }) => [slot, length]),
      [
        ...places.map((place) => [place - SIZEOF_VNET_HEADER, 84 + SIZEOF_VNET_HEADER]),
        [entries[3].slot, packetSize],
      ],
    );
    for (const entry of entries.slice(0, 3)) kernel.complete(entry, -EINVAL);
    kernel.complete(entries[3], SIZEOF_VNET_HEADER + 60);
    assert.equal(ring.reap(), 1);
    assert.deepEqual(kernel.descriptors(RECEIVED, 1), [[entries[3].slot + SIZEOF_VNET_HEADER, 60]]);
    const away = [places[1], entries[3].slot + SIZEOF_VNET_HEADER].map(slotOf);
    assert.deepEqual(away.filter((slot) => kernel.free.includes(slot)), []);
    assert.equal(new Set(kernel.free).size, SLOTS - 2);
    assert.deepEqual(
      [Counter.bytesSent, Counter.writeErrors, Counter.offloadRefused, Counter.offload].map((i) => counters[i]),
      [0, 2, 1, 0],
    );
    assert.equal(kernel.word(OFFLOAD), 0);
    assert.notEqual(kernel.view.getBigUint64(DEADLINE, true), 0n, "it is due");
  });

  for (const start of [0, 0xffffff00, 0x7fffff80]) {
    test(`against the model, indices from ${start}, seed ${random.seed}`, async () => {
      const { kernel, ring } = await create(start);
      // None are registered, or those of the first half.
      const end = start === 0 ? 0 : SLOT_BASE + SLOTS / 2 * kernel.linear.slotSize;
      kernel.set(SLOTS_REGISTERED, end);
      const registered = (slot: number) => Number(slot < end);
      const all = [...kernel.free].sort((a, b) => a - b);
      let sent = 0;
      let failed = 0;
      let toSend: [slot: number, length: number][] = [];

      for (let roundNumber = 0; roundNumber < 3000; roundNumber++) {
        // The host's part: it prepares replies, then reads.
        toSend.forEach(([slot, length], i) => {
          kernel.set(TO_SEND + 8 * i, slot);
          kernel.set(TO_SEND + 8 * i + 4, length);
        });
        const reads = Math.min(random.below(BATCH + 1), kernel.free.length);
        assert.equal(ring.prepare(toSend.length, reads), ring.unsubmitted());

        // The kernel's part: it takes a few entries at a time.
        const received: [slot: number, length: number][] = [];
        const writes: Entry[] = [];
        const read = (entry: Entry) => {
          const result = random.pick([84, 1, entry.length, -EAGAIN, -EINTR]);
          if (result > 0) received.push([entry.slot, result]);
          kernel.complete(entry, result);
        };
        while (ring.unsubmitted() > 0) {
          for (const entry of kernel.take(1 + random.below(300))) {
            if (WRITES.includes(entry.opcode)) {
              assert.deepEqual(
                [entry.opcode, entry.flags, entry.file, entry.operationFlags],
                [WRITES[registered(entry.slot)], FIXED_FILE | CQE_SKIP_SUCCESS, QUEUE_FILE, NOWAIT],
              );
              writes.push(entry);
              sent += entry.length;
              if (random.oneIn(8)) {
                failed++;
                sent -= entry.length;
                kernel.complete(entry, random.pick([-EIO, -EAGAIN, entry.length - 1]));
              }
            } else {
              assert.deepEqual(
                [entry.opcode, entry.flags, entry.file, entry.length, entry.operationFlags],
                [READS[registered(entry.slot)], FIXED_FILE, QUEUE_FILE, kernel.linear.packetSize, NOWAIT],
              );
              read(entry);
            }
          }
        }
        assert.deepEqual(
          writes.map(({ slot, length }) => [slot, length]), toSend, "every reply is written once, in order",
        );

        const count = ring.reap();
        assert.deepEqual(kernel.descriptors(RECEIVED, count), received, "every packet is received once, in order");
        assert.equal(kernel.word(READ_ERROR), 0);
        assert.equal(kernel.linear.counters[Counter.bytesSent], sent);
        assert.equal(kernel.linear.counters[Counter.writeErrors], failed);
        const everywhere = [...kernel.free, ...received.map(([slot]) => slot)].sort((a, b) => a - b);
        assert.deepEqual(everywhere, all, "every slot is in one place");

        // The engine's part: it answers some packets and frees the slots of the others.
        toSend = [];
        for (const [slot, length] of received) {
          if (random.oneIn(4)) {
            kernel.set(FREE + 4 * kernel.word(FREE_COUNT), slot);
            kernel.set(FREE_COUNT, kernel.word(FREE_COUNT) + 1);
          } else {
            toSend.push([slot, length]);
          }
        }
      }
    });
  }

  test("a full round, all of whose writes fail, fits into both queues", async () => {
    const { kernel, ring } = await create(0xffffffff);
    const slots = Array.from({ length: BATCH }, (_, i) => {
      const slot = kernel.free[kernel.free.length - 1];
      kernel.set(FREE_COUNT, SLOTS - 1 - i);
      kernel.set(TO_SEND + 8 * i, slot);
      kernel.set(TO_SEND + 8 * i + 4, 65535);
      return slot;
    });
    assert.equal(ring.prepare(BATCH, SLOTS - BATCH), SQ_ENTRIES);
    for (const entry of kernel.take(SQ_ENTRIES)) kernel.complete(entry, WRITES.includes(entry.opcode) ? -EIO : 84);
    assert.equal(ring.reap(), BATCH);
    assert.equal(kernel.linear.counters[Counter.writeErrors], BATCH);
    assert.equal(kernel.linear.counters[Counter.bytesSent], 0);
    assert.deepEqual(kernel.free.sort((a, b) => a - b), slots.sort((a, b) => a - b));
  });

  test("a read that fails for good is told by its errno", async () => {
    const { kernel, ring } = await create();
    ring.prepare(0, 1);
    for (const entry of kernel.take(1)) kernel.complete(entry, -EBADFD);
    assert.equal(ring.reap(), 0);
    assert.equal(kernel.word(READ_ERROR), -EBADFD);
    assert.equal(kernel.free.length, SLOTS);
  });
});
