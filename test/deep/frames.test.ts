/**
 * Compares the engines with each other in TAP mode: the same frames, random and mutated, go through all of them, under
 * both MAC policies. As in engines.test.ts, all must leave the same bytes, and touch none outside of replies and the
 * addresses of frames.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Counter, Drop, DROPPED, Protocol, REPLIES } from "../../abi/counters.js";
import { BATCH, SLOT_BASE, SLOTS } from "../../abi/slots.js";
import { clearPrivate, ENGINES, Rig } from "../support/engines.js";
import {
  arpFrame, BROADCAST, frame, linkOption, PER_ADDRESS, PEER_MAC, SHARED, SHARED_MAC, solicitationFrame,
  type FrameOptions,
} from "../support/frames.js";
import { HOST6, icmpv6Packet, PREFIX6 } from "../support/ipv6.js";
import { HOST, icmpPacket, PREFIX } from "../support/packets.js";
import { Random } from "../support/random.js";
import { DROPS } from "../vectors/drops.js";
import { DROP_FRAMES } from "../vectors/frames.js";

const FRAMES = Number(process.env.PACKETS ?? 1_000_000) / 5;
const MTU = 256;
const GUARD = 0xa5;
const TAG_TYPES = [0x8100, 0x88a8];
/** Hop-by-hop options, routing, fragment, destination options. */
const EXTENSIONS = [0, 43, 44, 60];
const random = Random.fromEnvironment();

for (const [policy, link] of [["shared", SHARED], ["per address", PER_ADDRESS]] as const) {
  test(`I4: ${FRAMES} frames, MAC addresses ${policy}, seed ${random.seed}: the engines agree on every byte and `
    + "counter, and touch nothing else", async () => {
    const rigs = await Promise.all(
      ENGINES.map((name) => Rig.create(name, { prefixes: [PREFIX, PREFIX6], hosts: [HOST, HOST6], mtu: MTU, link })),
    );
    const [first, ...others] = rigs;
    const { slotSize, frameOffset, packetSize } = first.linear;
    for (const { bytes } of rigs) bytes.fill(GUARD, SLOT_BASE, SLOT_BASE + SLOTS * slotSize);
    const before = new Uint8Array(first.bytes.length);
    let replies = 0;
    let repliesWithTags = 0;

    for (let done = 0; done < FRAMES;) {
      const count = Math.min(1 + random.below(BATCH), FRAMES - done);
      const slots = [...first.slots.stack.subarray(-count)].reverse();
      const frames = slots.map(() => randomFrame(link === SHARED).slice(0, packetSize));
      for (const rig of rigs) {
        for (const slot of slots) rig.bytes.fill(GUARD, slot, slot + slotSize);
        for (let i = 0; i < count; i++) rig.slots.take();
        frames.forEach((bytes, i) => {
          rig.bytes.set(bytes, slots[i] + frameOffset);
          rig.slots.receive(i, slots[i] + frameOffset, bytes.length);
        });
      }
      before.set(first.bytes);

      const filled = rigs.map((rig) => rig.call(count));
      rigs.forEach(clearPrivate);
      for (const [i, other] of others.entries()) {
        assert.equal(filled[i + 1], filled[0], `${ENGINES[i + 1]} answers as many as ${ENGINES[0]}`);
        if (Buffer.compare(other.bytes, first.bytes) !== 0) {
          assert.fail(difference(ENGINES[i + 1], first.bytes, other.bytes, frames, slots));
        }
      }

      const lengths = new Map(
        Array.from({ length: filled[0] }, (_, i) => [first.slots.toSend(i) - frameOffset, first.slots.toSendLength(i)]),
      );
      frames.forEach((bytes, i) => {
        const reply = lengths.get(slots[i]) ?? 0;
        // An advertisement may be longer than its solicitation by the one option that it must have.
        assert.ok(reply <= bytes.length + (isSolicitation(bytes) ? 8 : 0), "I2: a reply is no longer than its request");
        if (reply > 0 && bytes[12] !== 8 && bytes[12] !== 0x86) repliesWithTags++;
        // The engines turn a frame's header around before they know whether there will be a reply.
        const end = slots[i] + frameOffset + (bytes.length < 14 ? 0 : Math.max(reply, 12));
        before.set(first.bytes.subarray(slots[i] + frameOffset, end), slots[i] + frameOffset);
      });
      assert.equal(
        Buffer.compare(before.subarray(SLOT_BASE), first.bytes.subarray(SLOT_BASE)),
        0,
        "a byte outside of the replies was touched",
      );

      for (const rig of rigs) {
        for (const slot of lengths.keys()) rig.slots.give(slot);
        assert.equal(rig.slots.free, SLOTS);
      }
      done += count;
      replies += filled[0];
    }

    const { counters } = first.linear;
    const dropped = Object.values(first.dropped).reduce((a, b) => a + b, 0);
    assert.equal(counters[Counter.packetsReceived], FRAMES);
    assert.equal(replies + dropped, FRAMES, "I5: received = replied + dropped");
    for (const protocol of [Protocol.icmp, Protocol.arp, Protocol.ndisc]) {
      assert.ok(counters[REPLIES + protocol] > FRAMES / 100, `the generator reaches ${Protocol[protocol]}`);
    }
    assert.ok(repliesWithTags > FRAMES / 100);
    for (const { reason } of DROP_FRAMES) assert.ok(
      counters[DROPPED + Drop[reason]] > FRAMES / 10_000,
      `the generator reaches ${reason}: ${counters[DROPPED + Drop[reason]]}`,
    );
  });
}

/**
 * Makes a frame that every engine treats alike. A flipped bit can make IPv4 options or an IPv6 extension header, which
 * the wasm engine alone reads.
 */
function randomFrame(shared: boolean): Uint8Array {
  for (;;) {
    const bytes = anyFrame(shared);
    let at = 12;
    while (TAG_TYPES.includes(typeAt(bytes, at))) at += 4;
    const more = typeAt(bytes, at) === 0x0800
      ? (bytes[at + 2] & 15) > 5
      : typeAt(bytes, at) === 0x86dd && EXTENSIONS.includes(bytes[at + 8]);
    if (!more) return bytes;
  }
}

function isSolicitation(bytes: Uint8Array): boolean {
  let at = 12;
  while (TAG_TYPES.includes(typeAt(bytes, at))) at += 4;
  return typeAt(bytes, at) === 0x86dd && bytes[at + 8] === 58 && bytes[at + 42] === 135;
}

function typeAt(bytes: Uint8Array, at: number): number {
  return bytes[at] << 8 | bytes[at + 1];
}

/** Makes noise, a vector, or a frame that would be answered, with something changed. */
function anyFrame(shared: boolean): Uint8Array {
  if (random.oneIn(16)) return noise(1 + random.below(64));
  if (random.oneIn(8)) return random.pick(DROP_FRAMES).frame.slice();
  const last = random.below(4);
  const tags: FrameOptions["tags"] = random.pick([
    [], [], [[0x8100, random.next() & 0xffff]], [[0x88a8, 7], [0x8100, random.next() & 0xffff]],
    [[0x8100, 1], [0x8100, 2], [0x8100, 3]],
  ]);
  const src = random.oneIn(16) ? random.pick([BROADCAST, "00:00:00:00:00:00", "01:00:5e:00:00:01"]) : PEER_MAC;
  const own = shared ? SHARED_MAC : `02:70:0a:63:01:0${last}`;
  const options = { src, tags, padding: random.pick([0, 0, 18]) };
  const bytes = random.pick([
    () => frame(random.oneIn(4)
      ? random.pick(DROPS).packet
      : icmpPacket(
          { dst: `10.99.1.${last}`, data: noise(random.below(64)) },
        ), { ...options, dst: random.oneIn(8) ? BROADCAST : own }),
    () => frame(
      icmpv6Packet({ dst: `fd99::1:${last}`, data: noise(random.below(64)) }),
      { ...options, type: 0x86dd, dst: random.oneIn(8) ? "33:33:00:00:00:01" : own },
    ),
    () => arpFrame({
      sender: random.pick([HOST, "192.0.2.1", "0.0.0.0", "10.99.7.7"]),
      target: random.pick([`10.99.1.${last}`, "10.99.0.1", "192.0.2.1"]),
    }, { ...options, dst: random.pick([BROADCAST, own]) }),
    () => solicitationFrame({
      src: random.pick([HOST6, "fe80::7", "::", "fd99::9"].slice(0, random.oneIn(4) ? 4 : 2)),
      target: random.pick([`fd99::1:${last}`, `fd99::1:${last}`, HOST6, "2001:db8::1"]),
      options: random.pick([
        linkOption(PEER_MAC), linkOption(PEER_MAC), new Uint8Array(0), Uint8Array.of(14, 1, ...noise(6)),
        noise(random.below(24)),
      ]),
      ...random.oneIn(4) ? { dst: `fd99::1:${last}` } : {},
    }, options),
  ])();
  if (random.oneIn(3)) {
    for (let flips = random.below(4); flips > 0; flips--) bytes[random.below(bytes.length)] ^= 1 << random.below(8);
  }
  return random.oneIn(8) ? bytes.slice(0, 1 + random.below(bytes.length)) : bytes;
}

function noise(length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.next());
}

function difference(
  name: string, expected: Uint8Array, actual: Uint8Array, frames: Uint8Array[], slots: number[],
): string {
  const at = expected.findIndex((byte, i) => byte !== actual[i]);
  const index = slots.findLastIndex((slot) => slot <= at && at < slot + 1000);
  return `${name} differs from ${ENGINES[0]} at byte ${at}; frame ${index}: `
    + Buffer.from(frames[index] ?? []).toString("hex");
}
