/**
 * Compares the engines with each other: the same packets, random and mutated, go through all of them. They must leave
 * the same bytes in the same slots, the same descriptors in the same order, the same counters and the same free stack,
 * and must not touch a byte outside the packets they were given. One run is PACKETS packets; SEED=… repeats one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Counter, COUNTERS, Drop, DROPPED, PREFIX_REPLIES, Protocol, REPLIES } from "../../abi/counters.js";
import { BATCH, SLOT_BASE, SLOTS } from "../../abi/slots.js";
import { PREFIXES } from "../../abi/tables.js";
import { clearPrivate, ENGINES, Rig } from "../support/engines.js";
import { addr6, icmpv6Packet, setIcmpv6Checksum } from "../support/ipv6.js";
import { addr, icmpPacket, plainSum, setHeaderChecksum, setIcmpChecksum } from "../support/packets.js";
import { Random } from "../support/random.js";
import { DROPS, LIMITED } from "../vectors/drops.js";

const PACKETS = Number(process.env.PACKETS ?? 1_000_000);
const MTU = 1500;
const GUARD = 0xa5;
/** A source route without a hop, and the option End. */
const SOURCE_ROUTE = [131, 3, 4, 0];

/**
 * Limits that one batch can reach: about half of its 256 packets are answered, to six sources or more. Random times
 * decide how full a bucket is.
 */
const LIMITS = { limit: { rate: 1, burst: 100 }, sourceLimit: { rate: 1, burst: 20 } };

const configuration = { prefixes: [
  "10.99.0.0/16", "10.99.7.0/24", "192.0.2.128/25", "203.0.113.9/32", "fd99::/64", "fd99::7:0/112", "2001:db8::9/128",
], mtu: MTU };
const random = Random.fromEnvironment();

for (const [rates, total, policy] of [
  ["without limits", PACKETS, {}], ["with limits", PACKETS / 10, LIMITS],
] as const) {
  test(`I4: ${total} packets ${rates}, seed ${random.seed}: the engines agree on every byte and counter, and touch `
    + "nothing else", async () => {
    const rigs = await Promise.all(ENGINES.map((name) => Rig.create(name, { ...configuration, policy })));
    const [first, ...others] = rigs;
    const slotSize = first.linear.slotSize;
    // Every packet has a guard before and behind it. The one behind it is at least one cache line.
    const longest = slotSize - 64;
    for (const { bytes } of rigs) bytes.fill(GUARD, SLOT_BASE, SLOT_BASE + SLOTS * slotSize);
    const before = new Uint8Array(first.bytes.length);
    const replyAt = new Map<number, number>();
    let replies = 0;

    for (let done = 0; done < total;) {
      const count = Math.min(random.oneIn(4) ? BATCH : 1 + random.below(BATCH), total - done);
      const slots = [...first.slots.stack.subarray(-count)].reverse();
      const packets = slots.map(() => randomPacket(longest));
      for (const rig of rigs) {
        for (const slot of slots) rig.bytes.fill(GUARD, slot, slot + slotSize);
        for (let i = 0; i < count; i++) rig.slots.take();
        packets.forEach((packet, i) => {
          rig.bytes.set(packet, slots[i]);
          rig.slots.receive(i, slots[i], packet.length);
        });
      }
      before.set(first.bytes);

      const now = random.next() * 400 + random.below(1000) / 1000;
      const filled = rigs.map((rig) => {
        rig.now = now;
        return rig.call(count);
      });
      rigs.forEach(clearPrivate);
      for (const [i, other] of others.entries()) {
        assert.equal(filled[i + 1], filled[0], `${ENGINES[i + 1]} answers as many as ${ENGINES[0]}`);
        if (Buffer.compare(other.bytes, first.bytes) !== 0) {
          assert.fail(difference(ENGINES[i + 1], first.bytes, other.bytes, packets, slots));
        }
      }

      // Bytes that changed, apart from control words, counters and queues, lie in answered packets, within the reply.
      replyAt.clear();
      for (let i = 0; i < filled[0]; i++) replyAt.set(first.slots.toSend(i), first.slots.toSendLength(i));
      packets.forEach((packet, i) => {
        const reply = replyAt.get(slots[i]) ?? 0;
        assert.ok(reply <= packet.length, "I2: a reply is no longer than its request");
        before.set(first.bytes.subarray(slots[i], slots[i] + reply), slots[i]);
      });
      assert.equal(
        Buffer.compare(before.subarray(SLOT_BASE), first.bytes.subarray(SLOT_BASE)),
        0,
        "a byte outside of the replies was touched",
      );

      for (const rig of rigs) {
        for (const slot of replyAt.keys()) rig.slots.give(slot);
        assert.equal(rig.slots.free, SLOTS);
      }
      done += count;
      replies += filled[0];
    }

    const { counters } = first.linear;
    const stateless = new Set<string>([...DROPS, ...policy === LIMITS ? LIMITED : []].map(({ reason }) => reason));
    const reasons = Object.keys(Drop).filter((key) => stateless.has(key));
    const dropped = reasons.map((name) => counters[DROPPED + Drop[name as keyof typeof Drop]]);
    assert.equal(counters[Counter.packetsReceived], total);
    assert.equal(counters[REPLIES + Protocol.icmp] + counters[REPLIES + Protocol.icmpv6], replies);
    assert.equal(replies + dropped.reduce((a, b) => a + b, 0), total, "I5: received = replied + dropped");
    assert.equal(counters.subarray(PREFIX_REPLIES, PREFIX_REPLIES + PREFIXES).reduce((a, b) => a + b, 0), replies);
    assert.ok(replies > total / 10, "the generator makes packets that are answered");
    for (const [i, name] of reasons.entries()) {
      assert.ok(dropped[i] > total / 10_000, `the generator reaches ${name}: ${dropped[i]}`);
    }
  });
}

/**
 * Makes a packet that every engine treats alike. All engines drop a source route; the wasm engine alone reads other IP
 * options, so any options become a source route.
 */
function randomPacket(longest: number): Uint8Array {
  const packet = anyPacket(longest);
  const headerLen = (packet[0] & 15) * 4;
  if (packet[0] >> 4 === 4 && headerLen > 20 && headerLen <= packet.length) {
    const holds = plainSum(packet.subarray(0, headerLen)) === 0xffff;
    packet.set(SOURCE_ROUTE, 20);
    if (holds) setHeaderChecksum(packet);
  }
  return packet;
}

/** Makes noise, a vector, or an echo request with something changed, its checksums usually made right again. */
function anyPacket(longest: number): Uint8Array {
  if (random.oneIn(16)) return noise(1 + random.below(random.oneIn(4) ? longest : 64));
  if (random.oneIn(16)) return random.pick(DROPS).packet.slice(0, longest);
  if (random.oneIn(3)) return randomPacket6(longest);
  const data = noise(random.below(random.oneIn(8) ? longest - 88 : 80));
  if (random.oneIn(16)) data.fill(random.pick([0, 0xff]));
  const packet = icmpPacket({
    data,
    src: random.pick([
      "10.99.0.1", "192.0.2.1", "198.51.100.77", "10.99.0.2", "127.0.0.1", "0.0.0.0", "224.0.0.251", "255.255.255.255",
    ].slice(0, random.oneIn(8) ? 8 : 3)),
    dst: random.pick([
      "10.99.1.1", "10.99.7.7", "10.99.255.255", "192.0.2.200", "203.0.113.9", "203.0.113.10", "10.98.0.1", "224.0.0.1",
      "10.99.0.1",
    ].slice(0, random.oneIn(8) ? 9 : 5)),
    identifier: random.next() & 0xffff,
    sequence: random.next() & 0xffff,
    id: random.next() & 0xffff,
    tos: random.next() & 0xff,
    ttl: random.next() & 0xff,
    code: random.oneIn(8) ? random.next() & 0xff : 0,
    type: random.oneIn(8) ? random.pick([13, random.next() & 0xff]) : 8,
    protocol: random.oneIn(16) ? random.pick([6, 17, random.next() & 0xff]) : 1,
    fragment: random.oneIn(16) ? random.next() & 0xffff : random.pick([0, 0x4000]),
    options: random.oneIn(16) ? noise(4 * (1 + random.below(10))) : undefined,
  });
  return random.oneIn(3) ? mutated(packet) : packet;
}

function mutated(packet: Uint8Array): Uint8Array {
  let changed = packet;
  if (random.oneIn(4)) changed = changed.slice(0, random.below(changed.length) + 1);
  if (random.oneIn(4)) changed = Uint8Array.from([...changed, ...noise(random.below(24))]);
  for (let flips = random.below(4); flips > 0; flips--) {
    changed[random.below(Math.min(changed.length, random.oneIn(2) ? 28 : changed.length))] ^= 1 << random.below(8);
  }
  if (random.oneIn(4) && changed.length >= 20) {
    changed.set(addr(random.pick(["10.99.9.9", "10.99.7.255", "1.2.3.4"])), random.pick([12, 16]));
  }
  const headerLen = (changed[0] & 15) * 4;
  if (random.oneIn(2) && headerLen >= 20 && headerLen <= changed.length) {
    setHeaderChecksum(changed);
    const totalLen = changed[2] << 8 | changed[3];
    if (random.oneIn(2) && totalLen >= headerLen + 8 && totalLen <= changed.length) {
      setIcmpChecksum(changed.subarray(headerLen, totalLen));
    }
  }
  return changed;
}

/** Like anyPacket(), for IPv6. The engines differ on extension headers and Packet Too Big, so none of these is made. */
function randomPacket6(longest: number): Uint8Array {
  const packet = icmpv6Packet({
    data: noise(random.below(random.oneIn(8) ? longest - 88 : 80)),
    src: random.pick(["fd99::1", "2001:db8::1", "fe80::7", "fd99::2", "::", "::1", "ff02::1", "::ffff:10.0.0.1"]
      .slice(0, random.oneIn(8) ? 8 : 3)),
    dst: random.pick([
      "fd99::1:1", "fd99::7:7", "fd99::ffff:ffff:ffff:ffff", "2001:db8::9", "2001:db8::8", "ff02::1", "::1", "fd99::1",
    ].slice(0, random.oneIn(8) ? 8 : 4)),
    identifier: random.next() & 0xffff,
    sequence: random.next() & 0xffff,
    trafficClass: random.next() & 0xff,
    flowLabel: random.next() & 0xfffff,
    hopLimit: random.next() & 0xff,
    code: random.oneIn(8) ? random.next() & 0xff : 0,
    type: random.oneIn(8) ? random.next() & 0xff : 128,
    nextHeader: random.oneIn(16) ? random.pick([6, 17, random.next() & 0xff]) : 58,
  });
  const changed = random.oneIn(3) ? mutated6(packet) : packet;
  if ([0, 43, 44, 60].includes(changed[6])) changed[6] = 58;
  if (changed[40] === 2) changed[40] = 3;
  return changed;
}

function mutated6(packet: Uint8Array): Uint8Array {
  let changed = packet;
  if (random.oneIn(4)) changed = changed.slice(0, random.below(changed.length) + 1);
  if (random.oneIn(4)) changed = Uint8Array.from([...changed, ...noise(random.below(24))]);
  for (let flips = random.below(4); flips > 0; flips--) {
    changed[random.below(Math.min(changed.length, random.oneIn(2) ? 48 : changed.length))] ^= 1 << random.below(8);
  }
  if (random.oneIn(4) && changed.length >= 40) {
    changed.set(addr6(random.pick(["fd99::9", "fd99::7:ffff", "2001:db8::3"])), random.pick([8, 24]));
  }
  const payloadLen = changed[4] << 8 | changed[5];
  if (random.oneIn(2) && payloadLen >= 8 && 40 + payloadLen <= changed.length) setIcmpv6Checksum(changed);
  return changed;
}

function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = random.next();
  return bytes;
}

function difference(
  name: string, expected: Uint8Array, actual: Uint8Array, packets: Uint8Array[], slots: number[],
): string {
  const at = expected.findIndex((byte, i) => byte !== actual[i]);
  const index = slots.findLastIndex((slot) => slot <= at && at < slot + 2000);
  const where = at < COUNTERS + 8 * (PREFIX_REPLIES + PREFIXES) ? `counter ${(at - COUNTERS) / 8}` : `byte ${at}`;
  return `${name} differs from ${ENGINES[0]} at ${where}; packet ${index}: `
    + Buffer.from(packets[index] ?? []).toString("hex");
}
