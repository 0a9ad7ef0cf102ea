/**
 * Compares a path with a chain of Linux routers: three of them and a host, in namespaces (support/chain.ts), and an
 * engine with the same hops get the same packets, and all that comes back is compared, identification and checksums
 * aside. vectors/chain.ts has what may differ.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";
import { parseAddress } from "../../src/prefix/prefixes.js";
import { assertExpected, assertNeeded, compare, type Outcome } from "../support/compared.js";
import { BY_DEFAULT, Rig } from "../support/engines.js";
import { needs } from "../support/netns.js";
import { CHAIN_CASES, CHAIN_DIFFERENCES, CHAIN_MTU, HOPS, NARROW_MTU } from "../vectors/chain.js";

const PATH = {
  steps: HOPS.map(({ ipv4, ipv6 }, i) => ({
    ipv4: parseAddress(ipv4), ipv6: parseAddress(ipv6), silent: false, blackHole: false, ttl: 64, mpls: [],
    icmp: { rate: 1000, burst: 1000 }, mtu: i === HOPS.length - 1 ? NARROW_MTU : undefined,
  })),
};

describe("a path and a chain of Linux routers", needs("taskset"), () => {
  let outcomes: readonly Outcome[];
  before(async () => {
    const [cpu] = /(?<=^Cpus_allowed_list:\s*)\d+/m.exec(readFileSync("/proc/self/status", "utf8")) ?? ["0"];
    outcomes = await compare(
      CHAIN_CASES, { script: "chain", wrapper: ["taskset", "-c", cpu], ttl: true }, async (packets, at) => {
        const rig = await Rig.create("wasm", { mtu: CHAIN_MTU, kept: 100, policy: { ...BY_DEFAULT, path: PATH } });
        rig.now = at;
        return packets.flatMap((packet) => rig.respond(packet));
      },
    );
  });

  test("every case has a name of its own", () => {
    assert.equal(new Set(CHAIN_CASES.map(({ name }) => name)).size, CHAIN_CASES.length);
  });

  test(`${CHAIN_CASES.length} cases: the path answers as the chain does, or differs as vectors/chain.ts says`, () => {
    assertExpected(outcomes, CHAIN_DIFFERENCES);
  });

  for (const difference of CHAIN_DIFFERENCES) {
    test(`known: ${difference.what}: Linux ${difference.linux}; pongd ${difference.pongd}`, () => {
      assertNeeded(difference, outcomes, CHAIN_DIFFERENCES);
    });
  }
});
