/**
 * Compares pongd with Linux: the engine and a kernel with  ip route add local PREFIX dev lo  in a namespace of its
 * own (support/linux.ts) get the same packets, and their replies are compared with TTL, identification and
 * checksums set aside. vectors/differences.ts has what may differ. A second namespace, and a second policy, accept
 * source routes (E-7). A third one answers PROBE (PR-1).
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { SourceRoute } from "../../abi/tables.js";
import { assertExpected, assertNeeded, compare, type Outcome } from "../support/compared.js";
import { BY_DEFAULT, Rig, type Treatment } from "../support/engines.js";
import { needs } from "../support/netns.js";
import { interfacesOf } from "../support/probe.js";
import { DEPENDS_ON_MODULES, DIFFERENCES } from "../vectors/differences.js";
import { HOST_CASES, PROBE_CASES, PROBED, SOURCE_ROUTE_CASES, type HostCase } from "../vectors/hosts.js";

const ALL = [...HOST_CASES, ...SOURCE_ROUTE_CASES, ...PROBE_CASES];

describe("Linux", needs(), () => {
  let outcomes: readonly Outcome[];
  before(async () => {
    outcomes = [
      ...await answersTo(HOST_CASES.filter(({ name }) => !DEPENDS_ON_MODULES.test(name)), BY_DEFAULT),
      ...await answersTo(
        SOURCE_ROUTE_CASES,
        { ...BY_DEFAULT, sourceRoute: SourceRoute.reverse },
        "net.ipv4.conf.all.accept_source_route=1",
      ),
      ...await answersTo(
        PROBE_CASES, { ...BY_DEFAULT, interfaces: interfacesOf(PROBED) }, "net.ipv4.icmp_echo_enable_probe=1",
      ),
    ];
  });

  test("every case has a name of its own", () => {
    assert.equal(new Set(ALL.map(({ name }) => name)).size, ALL.length);
  });

  test(`${ALL.length} cases: pongd answers as Linux does, or differs as vectors/differences.ts says`, () => {
    assertExpected(outcomes, DIFFERENCES);
  });

  for (const difference of DIFFERENCES) {
    test(`known: ${difference.what}: Linux ${difference.linux}; pongd ${difference.pongd}`, () => {
      assertNeeded(difference, outcomes, DIFFERENCES);
    });
  }
});

/** Each case has an engine of its own, so that none meets fragments that an earlier one left, or errors it used up. */
function answersTo(cases: readonly HostCase[], policy: Treatment, ...args: string[]): Promise<Outcome[]> {
  return compare(cases, { script: "linux", args }, async (packets, at) => {
    const rig = await Rig.create("wasm", { mtu: 1500, policy });
    rig.now = at;
    return packets.flatMap((packet) => rig.respond(packet));
  });
}
