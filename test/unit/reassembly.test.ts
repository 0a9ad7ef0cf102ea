/** Reassembly, and replies in fragments: the wasm engine's alone, with SIMD and without. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FREE, FREE_COUNT, SLOTS } from "../../src/abi.js";
import { Rig, type BenchOptions } from "../support/engines.js";
import { FRAGMENTS } from "../vectors/drops.js";

for (const name of ["wasm", "wasm-scalar"] as const) {
  const create = (options: BenchOptions = {}) => Rig.create(name, { ...options, policy: { reassembly: 64, ...options.policy } });

  /** Every packet has one verdict or waits, and every slot is free or has been sent. */
  const settle = (rig: Rig) => {
    const dropped = Object.values(rig.dropped).reduce((sum, count) => sum + count, 0);
    assert.equal(rig.received, rig.replied + dropped + rig.held, "I5: received = replied + dropped + held");
    assert.equal(rig.words[FREE_COUNT / 4], SLOTS);
    assert.equal(new Set(rig.words.subarray(FREE / 4, FREE / 4 + SLOTS)).size, SLOTS);
  };

  describe(name, () => {
    for (const { reason, name: vector, packets, dropped, policy, mtu, laterMs } of FRAGMENTS) {
      test(`${vector} → ${reason}`, async () => {
        const rig = await create({ mtu: mtu ?? 65535, policy });
        for (const packet of packets) assert.deepEqual(rig.respond(packet), []);
        if (laterMs !== undefined) {
          rig.now += laterMs;
          rig.respond();
        }
        assert.deepEqual(rig.dropped, { [reason]: dropped });
        assert.equal(rig.held, packets.length - dropped);
        settle(rig);
      });
    }
  });
}
