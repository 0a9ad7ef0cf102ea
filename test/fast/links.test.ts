/** Tests links in the engine, in virtual time: what comes back, when, and what is counted. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Counter, Drop, Protocol, REPLIES } from "../../abi/counters.js";
import { CLEAR_WAY, type Link, type Way } from "../../src/prefix/link.js";
import { PrefixList } from "../../src/prefix/list.js";
import { BY_DEFAULT, Rig, type BenchOptions } from "../support/engines.js";
import { metricsOf, textOf } from "../support/exposed.js";
import { expectedReply, icmpPacket } from "../support/packets.js";
import { LINKED } from "../vectors/drops.js";

const MS = 1e6;

function linkOf(way: { in?: Partial<Way>; out?: Partial<Way>; name?: string }): Link {
  return { name: way.name, in: { ...CLEAR_WAY, ...way.in }, out: { ...CLEAR_WAY, ...way.out } };
}

async function rigWith(link: Link, options: BenchOptions = {}): Promise<Rig> {
  const rig = await Rig.create("wasm", { kept: 1000, ...options, policy: { ...BY_DEFAULT, link, ...options.policy } });
  rig.now = 1000;
  return rig;
}

function ping(sequence = 1, id = 1): Uint8Array {
  return icmpPacket({ id, sequence, data: new Uint8Array(56) });
}

/** Returns each reply with the time in ms at which it is sent, until `end`. */
function until(rig: Rig, end: number): { at: number; reply: Uint8Array }[] {
  const found: { at: number; reply: Uint8Array }[] = [];
  for (;;) {
    const deadline = rig.clock.deadline / MS;
    if (deadline === 0 || deadline > end) break;
    rig.now = Math.max(rig.now, deadline);
    for (const reply of rig.respond()) found.push({ at: rig.now, reply });
  }
  return found;
}

function isBalanced(rig: Rig): void {
  const { counters } = rig.linear;
  const replied = counters.subarray(REPLIES, REPLIES + Object.keys(Protocol).length / 2).reduce((a, b) => a + b);
  const dropped = Object.values(rig.dropped).reduce((a, b) => a + b, 0);
  const taken = counters[Counter.tcpReceived] + counters[Counter.udpHandled];
  assert.equal(
    counters[Counter.packetsReceived] + counters[Counter.linkCopies],
    replied + dropped + counters[Counter.held] + counters[Counter.kept] + taken,
  );
}

describe("delay", () => {
  test("a reply is sent once it has been under way both ways", async () => {
    const rig = await rigWith(linkOf({ in: { delayNs: 30 * MS }, out: { delayNs: 20 * MS } }));
    const request = ping();
    assert.deepEqual(rig.respond(request), []);
    assert.equal(rig.linear.counters[Counter.kept], 1);
    isBalanced(rig);
    const [{ at, reply }, ...more] = until(rig, 2000);
    assert.deepEqual(reply, expectedReply(request));
    assert.ok(at >= 1050 && at < 1050.02, `${at}`);
    assert.deepEqual(more, []);
    assert.equal(rig.linear.counters[Counter.kept], 0);
    isBalanced(rig);
  });
  test("without one, a reply is sent at once", async () => {
    const rig = await rigWith(linkOf({}));
    const request = ping();
    assert.deepEqual(rig.respond(request), [expectedReply(request)]);
  });
});

test("received + copies = replied + dropped by the metrics, once nothing is held", async () => {
  const chance = { probability: 0.5, correlation: 0 };
  const loss = { kind: "random", probability: 0.3 } as const;
  const rig = await rigWith(linkOf({ in: { duplicate: chance, loss, delayNs: MS }, out: { duplicate: chance, loss } }));
  for (let i = 0; i < 200; i++) rig.respond(ping(i));
  until(rig, 2000);
  const { counters } = rig.linear;
  const queue = { index: 0, engine: "wasm", io: "uring", restarts: 0, counters } as const;
  const text = await textOf(metricsOf([queue], { prefixes: PrefixList.of([]) }));
  const sum = (name: string) => [...text.matchAll(new RegExp(`^${name}\\{.*\\} (\\d+)$`, "gm"))]
    .reduce((all, [, value]) => all + Number(value), 0);
  assert.equal(sum("pongd_held_packets"), 0);
  const copies = sum("pongd_link_copies_total");
  assert.ok(copies > 30 && copies < 100, `${copies}`);
  assert.equal(sum("pongd_packets_received_total"), 200);
  assert.equal(200 + copies, sum("pongd_replies_total") + sum("pongd_packets_dropped_total"));
});

describe("drops", () => {
  for (const { reason, name, link, kept, packets, dropped } of LINKED) {
    test(`${name} → ${reason}`, async () => {
      const rig = await rigWith(link, { kept });
      rig.respond(...packets);
      assert.deepEqual(rig.dropped, { [reason]: dropped });
      isBalanced(rig);
    });
  }
});

describe("loss", () => {
  test("a packet that is lost on its way in, or whose reply is lost, is dropped", async () => {
    for (const [direction, reason] of [["in", "link_loss"], ["out", "link_loss_out"]] as const) {
      const loss = { kind: "random", probability: 0.3 } as const;
      const rig = await rigWith(linkOf({ [direction]: { loss } }));
      let replies = 0;
      for (let i = 0; i < 100; i++) replies += rig.respond(...Array.from({ length: 100 }, () => ping())).length;
      assert.equal(rig.dropped[reason], 10_000 - replies);
      assert.ok(Math.abs(replies - 7000) < 200, `${replies}`);
      isBalanced(rig);
    }
    assert.ok(Drop.link_loss);
  });
});
