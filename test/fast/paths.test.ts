/** Tests paths in the engine, in virtual time: what hops say, and what packets meet on their way. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BY_DEFAULT, Rig, type BenchOptions } from "../support/engines.js";
import { icmpPacket } from "../support/packets.js";
import { PATHED } from "../vectors/drops.js";
import type { Hop, Path } from "../../src/prefix/path.js";
import { parseAddress } from "../../src/prefix/prefixes.js";

function hop(ipv4: string, rest: Partial<Hop> = {}): Hop {
  return {
    ipv4: parseAddress(ipv4), ipv6: parseAddress(`fd98::${ipv4.split(".")[3]}`), silent: false, blackHole: false, ttl: 64, icmp: { rate: 1000, burst: 1000 }, mpls: [],
    ...rest,
  };
}

async function rigWith(path: Path, options: BenchOptions = {}): Promise<Rig> {
  const rig = await Rig.create("wasm", { kept: 1000, ...options, policy: { ...BY_DEFAULT, path, ...options.policy } });
  rig.now = 1000;
  return rig;
}

const THREE = ["10.98.0.1", "10.98.0.2", "10.98.0.3"].map((address) => hop(address));

describe("a packet whose TTL is over", () => {
  test("each hop says so, and the host answers", async () => {
    const rig = await rigWith({ steps: THREE });
    for (const [i, { ipv4 }] of THREE.entries()) {
      const [error, ...more] = rig.respond(icmpPacket({ ttl: i + 1 }));
      assert.deepEqual(more, []);
      assert.deepEqual([...error.subarray(20, 22)], [11, 0]);
      assert.deepEqual([...error.subarray(12, 16)], [...ipv4?.bytes ?? []]);
      assert.equal(error[8], 64 - i);
      assert.equal(error[1], 0xc0);
      assert.equal(error[28 + 8], 1);
    }
    assert.deepEqual(rig.dropped, { ttl_expired: 3 });
    const [reply] = rig.respond(icmpPacket({ ttl: 4 }));
    assert.equal(reply[20], 0);
    assert.equal(reply[8], 61);
  });
});

describe("drops", () => {
  for (const { reason, name, hop: rest, packets } of PATHED) {
    test(`${name} → ${reason}`, async () => {
      const rig = await rigWith({ steps: [THREE[0], { ...THREE[1], ...rest }] });
      rig.respond(...packets);
      assert.deepEqual(rig.dropped, { [reason]: packets.length });
    });
  }
});
