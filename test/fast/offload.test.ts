/**
 * Tests struct virtio_net_hdr: what the engine makes of one that comes, the headers that it makes itself, and what
 * becomes of a packet that the kernel refuses. Segments are compared with those of a model.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FREE_COUNT, OFFLOAD } from "../../abi/control.js";
import { Counter } from "../../abi/counters.js";
import { OFFLOAD_CSUM, OFFLOAD_TSO4, OFFLOAD_TSO6, OFFLOAD_TSO_ECN, SIZEOF_VNET_HEADER } from "../../abi/offload.js";
import { SLOTS } from "../../abi/slots.js";
import { moduleOf } from "../../src/engine/create.js";
import { type Assembly, compile, load, WasmEngine } from "../../src/engine/wasm.js";
import { asc, type Exports } from "../support/assembly.js";
import { BY_DEFAULT, Rig, type BenchOptions } from "../support/engines.js";
import { arpFrame, frame, SHARED, solicitationFrame } from "../support/frames.js";
import { checksum6, icmpv6Packet, ipv6Packet, udpPacket6 } from "../support/ipv6.js";
import { bytes, checksum, fragmentsOf, HOST, icmpPacket, ipv4Packet, pattern, udpPacket } from "../support/packets.js";

const ALL = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_TSO_ECN;
const NEEDS_CSUM = 1;
const DATA_VALID = 2;
const TCPV4 = 1;
const TCPV6 = 4;
const ECN = 0x80;
const PLAIN = new Uint8Array(SIZEOF_VNET_HEADER);
const MODES = { tun: undefined, tap: SHARED };

const released = compile(moduleOf("wasm"));
const functions = new WebAssembly.Module(asc("assembly/offload.ts", "release"));

interface Setup {
  readonly rig: Rig;
  readonly assembly: Assembly;
  /** The functions of assembly/offload.ts, over the same memory. */
  readonly offload: Exports;
}

async function create(options: BenchOptions = {}): Promise<Setup> {
  let assembly: Assembly | undefined;
  const rig = await Rig.over(async ({ memory }) => {
    assembly = await load(released, memory);
    return new WasmEngine(assembly, memory);
  }, { policy: BY_DEFAULT, mtu: 1500, offload: ALL, ...options });
  assert.ok(assembly);
  rig.now = 1000;
  rig.call(0);
  const { exports } = await WebAssembly.instantiate(functions, { env: { memory: rig.linear.memory } });
  return { rig, assembly, offload: exports as Exports };
}

interface Sent {
  readonly header: Uint8Array;
  readonly packet: Uint8Array;
}

/** Returns the first `count` packets of TO_SEND with their headers, and frees their slots. */
function sent(rig: Rig, count: number): Sent[] {
  return Array.from({ length: count }, (_, i) => {
    const at = rig.slots.toSend(i);
    rig.slots.give(at);
    assert.equal(at % 64, rig.linear.frameOffset, "where the header is expected before it");
    return {
      header: rig.bytes.slice(at - SIZEOF_VNET_HEADER, at), packet: rig.bytes.slice(at, at + rig.slots.toSendLength(i)),
    };
  });
}

/** Has the engine judge a packet behind a header. */
function exchange(rig: Rig, header: Uint8Array, packet: Uint8Array): Sent[] {
  const slot = rig.slots.take();
  const at = slot + rig.linear.frameOffset;
  rig.bytes.fill(0xa5, slot, slot + rig.linear.slotSize);
  rig.bytes.set(header, at - SIZEOF_VNET_HEADER);
  rig.bytes.set(packet, at);
  rig.slots.receive(0, at, packet.length);
  const replies = sent(rig, rig.call(1));
  assert.equal(rig.slots.free, SLOTS);
  for (const reply of replies) {
    // The fast path leaves this flag as it came: to the kernel it says nothing (virtio_net_hdr_to_skb()).
    reply.header[0] &= ~DATA_VALID;
    assert.deepEqual(reply.header, PLAIN, "it needs nothing of the kernel");
  }
  return replies;
}

function vnet(flags: number, kind = 0, headerLen = 0, size = 0, start = 0, offset = 0): Uint8Array {
  return new Uint8Array(Uint16Array.of(flags | kind << 8, headerLen, size, start, offset).buffer);
}

/** Puts the folded sum of the pseudo-header in place of the checksum, as the kernel does. */
function unfinished(packet: Uint8Array, start: number, offset: number): Uint8Array {
  const copy = packet.slice();
  const six = packet[0] >> 4 === 6;
  const [addresses, protocol] = six ? [packet.subarray(8, 40), packet[6]] : [packet.subarray(12, 20), packet[9]];
  const length = packet.length - start;
  const sum = checksum(bytes(addresses, 0, protocol, length >> 8, length & 255)) ^ 0xffff;
  copy.set([sum >> 8, sum & 255], start + offset);
  return copy;
}

for (const [mode, link] of Object.entries(MODES)) describe(`behind a header, ${mode}`, () => {
  const linkLen = link ? 14 : 0;
  const framed = (packet: Uint8Array) =>
    link ? frame(packet, { type: packet[0] >> 4 === 6 ? 0x86dd : 0x0800 }) : packet;
  /** Returns the replies to the same packet where there are no headers. */
  const expected = async (packet: Uint8Array) =>
    (await Rig.create("wasm", { policy: BY_DEFAULT, mtu: 1500, link })).respond(packet);

  for (const [what, packet, at, field] of [
    ["an echo request", icmpPacket(), 20, 2],
    ["an echo request with IP options", icmpPacket({ options: Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0) }), 28, 2],
    ["an ICMPv6 echo request", icmpv6Packet(), 40, 2],
    ["UDP to a port where nobody listens", udpPacket({ data: pattern(700) }), 20, 6],
    ["UDP over IPv6 to such a port", udpPacket6({ data: pattern(701) }), 40, 6],
    ["UDP of no bytes", udpPacket({ data: pattern(0) }), 20, 6],
  ] as const) {
    test(`${what} is answered as without one, whatever the header says of its checksum`, async () => {
      const replies = await expected(framed(packet));
      assert.equal(replies.length, 1);
      const { rig } = await create({ link });
      // ICMP has no pseudo-header, and ICMPv6 has one.
      const partial = packet[0] >> 4 === 4 && packet[9] === 1 ? packet.slice() : unfinished(packet, at, field);
      if (partial[9] === 1 && packet[0] >> 4 === 4) partial.fill(0, at + field, at + field + 2);
      for (const [header, came] of [
        [PLAIN, packet], [vnet(DATA_VALID), packet], [vnet(NEEDS_CSUM, 0, 0, 0, linkLen + at, field), partial],
      ]) {
        assert.deepEqual(exchange(rig, header, framed(came)).map((reply) => reply.packet), replies);
      }
    });
  }

  test("a checksum that the header says is verified is not verified again, but for ICMP", async () => {
    const { rig } = await create({ link });
    assert.equal(exchange(rig, vnet(DATA_VALID), framed(udpPacket({ checksum: 1 }))).length, 1);
    assert.equal(exchange(rig, vnet(DATA_VALID), framed(udpPacket6({ checksum: 0 }))).length, 1);
    assert.equal(exchange(rig, PLAIN, framed(udpPacket({ checksum: 1 }))).length, 0);
    const echo = icmpPacket();
    echo[22] ^= 1;
    assert.equal(exchange(rig, vnet(DATA_VALID), framed(echo)).length, 0);
    assert.deepEqual(rig.dropped, { no_socket: 2, udp_csum: 1, icmp_csum: 1 });
  });

  test("of a datagram in fragments, what their headers say of them is not said of the whole", async () => {
    const { rig } = await create({ link });
    const [first, second] = fragmentsOf(udpPacket({ data: pattern(24), checksum: 1 }), [0, 16, 32]).map(framed);
    exchange(rig, vnet(DATA_VALID), first);
    exchange(rig, vnet(NEEDS_CSUM, 0, 0, 0, linkLen + 20, 6), second);
    assert.deepEqual(rig.dropped, { udp_csum: 2 });
  });

  test("a header from a guest of this host cannot change what has been judged, or anything outside", async () => {
    const { rig } = await create({ link });
    const packet = udpPacket();
    const replies = await expected(framed(packet));
    for (const [start, offset] of [
      [0, 12], [linkLen, 12], [linkLen + 19, 1], [linkLen + 20, 65535], [65535, 0], [65535, 65535],
      [linkLen + packet.length - 1, 0], [linkLen + 20, packet.length - 21],
    ]) {
      const header = vnet(NEEDS_CSUM, 0, 0, 0, start, offset);
      assert.deepEqual(exchange(rig, header, framed(packet)).map((reply) => reply.packet), replies);
    }
  });

  test("several segments in one packet are dropped unless they are TCP's", async () => {
    const { rig } = await create({ link });
    for (const kind of [TCPV4, 3, 5]) {
      for (const packet of [udpPacket({ data: pattern(3000) }), icmpPacket({ data: pattern(3000) })]) {
        assert.equal(exchange(rig, vnet(0, kind, 0, 1000), framed(packet)).length, 0);
      }
    }
    assert.deepEqual(rig.dropped, { skb_gso_seg: 6 });
    // A reset, which nothing answers.
    const tcp = ipv4Packet(bytes(new Uint8Array(12), 0x50, 4, 0, 0, new Uint8Array(4000)), { protocol: 6 });
    assert.equal(exchange(rig, vnet(NEEDS_CSUM, TCPV4, linkLen + 40, 1000, linkLen + 20, 16), framed(tcp)).length, 0);
    assert.deepEqual(rig.dropped, { skb_gso_seg: 6, no_socket: 1 });
  });
});

test("ARP and neighbor discovery are answered behind headers of zeros", async () => {
  const { rig } = await create({ link: SHARED });
  for (const header of [PLAIN, vnet(DATA_VALID)]) {
    for (const request of [arpFrame(), solicitationFrame()]) assert.equal(exchange(rig, header, request).length, 1);
  }
});

test("VLANs tell datagrams apart behind headers, too", async () => {
  const { rig } = await create({ link: SHARED });
  const [first, second] = fragmentsOf(icmpPacket({ data: pattern(24) }), [0, 16, 32]);
  for (const tags of [[[0x8100, 5]], [[0x88a8, 5], [0x8100, 6]]] as const) {
    assert.equal(exchange(rig, PLAIN, frame(first, { tags })).length, 0);
    assert.equal(exchange(rig, PLAIN, frame(second)).length, 0);
    assert.equal(exchange(rig, PLAIN, frame(second, { tags })).length, 1);
  }
});

/** Builds a TCP segment with correct checksums. */
function segment(
  six: boolean, { sequence = 0, flags = 0x18, id = 0, data }: { sequence?: number; flags?: number; id?: number;
    data: Uint8Array; },
): Uint8Array {
  const tcp = new Uint8Array(32);
  const view = new DataView(tcp.buffer);
  view.setUint32(0, 80 << 16 | 4711);
  view.setUint32(4, sequence);
  view.setUint32(8, 0x01020304);
  view.setUint16(12, 0x8000 | flags);
  view.setUint16(14, 8192);
  tcp.set([1, 1, 8, 10, 9, 9, 9, 9, 7, 7, 7, 7], 20);
  const whole = bytes(tcp, data);
  const options = { src: six ? "fd99::1:1" : "10.99.1.1", dst: six ? "fd99::1" : HOST };
  const packet = six
    ? ipv6Packet(whole, { ...options, nextHeader: 6 })
    : ipv4Packet(whole, { ...options, id, protocol: 6 });
  const start = packet.length - whole.length;
  const { length } = whole;
  const pseudo = bytes(packet.subarray(12, 20), 0, 6, length >> 8, length & 255);
  const sum = six ? checksum6(whole, 6, options) : checksum(bytes(pseudo, whole));
  packet.set([sum >> 8, sum & 255], start + 16);
  return packet;
}

const FIN = 0x01;
const PSH = 0x08;
const ACK = 0x10;
const CWR = 0x80;

/** Cuts data as the kernel would. */
function segments(six: boolean, data: Uint8Array, mss: number, flags: number): Uint8Array[] {
  const count = Math.max(1, Math.ceil(data.length / mss));
  return Array.from({ length: count }, (_, i) => {
    const first = i === 0 ? 0xff : 0xff ^ CWR;
    const last = i === count - 1 ? 0xff : 0xff ^ (FIN | PSH);
    return segment(six, {
      sequence: 0xffff_f000 + i * mss >>> 0, flags: flags & first & last, id: 0xfffe + i & 0xffff,
      data: data.subarray(i * mss, (i + 1) * mss),
    });
  });
}

/** Puts a packet of TCP into a slot, for the kernel to finish. Returns where it begins; in TAP mode behind `link`. */
function offered(
  { rig, offload }: Setup, six: boolean, data: Uint8Array, mss: number, flags: number, link: Uint8Array,
): number {
  const ipLen = six ? 40 : 20;
  const whole = segment(six, { sequence: 0xffff_f000, flags, id: 0xfffe, data });
  const slot = rig.slots.take();
  const ip = slot + rig.linear.frameOffset + link.length;
  rig.bytes.set(link, ip - link.length);
  rig.bytes.set(unfinished(whole, ipLen, 16), ip);
  assert.equal(offload.partial(ip, ipLen, 16, ipLen + 32, mss, Number(six), Number((flags & CWR) !== 0)), 1);
  return ip;
}

const LINK = frame(new Uint8Array(0), { tags: [[0x8100, 5]] });

for (const [mode, link] of Object.entries(MODES)) describe(`headers that are made, ${mode}`, () => {
  const before = link ? LINK : new Uint8Array(0);

  test("partial() and plain()", async () => {
    const setup = await create({ link });
    const { rig, offload } = setup;
    for (const [six, mss, flags, header] of [
      [false, 1460, ACK, vnet(NEEDS_CSUM, TCPV4, before.length + 52, 1460, before.length + 20, 16)],
      [false, 1460, ACK | CWR, vnet(NEEDS_CSUM, TCPV4 | ECN, before.length + 52, 1460, before.length + 20, 16)],
      [true, 1440, ACK, vnet(NEEDS_CSUM, TCPV6, before.length + 72, 1440, before.length + 40, 16)],
      [true, 0, ACK | CWR, vnet(NEEDS_CSUM, 0, 0, 0, before.length + 40, 16)],
    ] as const) {
      const ip = offered(setup, six, pattern(3000), mss, flags, before);
      const at = ip - before.length - SIZEOF_VNET_HEADER;
      assert.deepEqual(rig.bytes.slice(at, at + SIZEOF_VNET_HEADER), header);
      offload.plain(ip);
      assert.deepEqual(rig.bytes.slice(at, at + SIZEOF_VNET_HEADER), PLAIN);
      assert.deepEqual(rig.bytes.slice(ip - before.length, ip), before);
      rig.slots.give(ip);
    }
  });
});

test("segmentRoom(), partial() and plain() where the kernel does less, or nothing", async () => {
  const { rig, offload } = await create();
  const room = (six: number, mss: number) => offload.segmentRoom(six, mss) >>> 0;
  assert.deepEqual([room(0, 1460), room(1, 1440), room(0, 65495)], [44 * 1460, 45 * 1440, 65495]);
  assert.ok(20 + 60 + room(0, 1) <= 65535 && 40 + 60 + room(1, 1) <= 65535);
  const ip = rig.slots.take() + rig.linear.frameOffset;
  rig.words[OFFLOAD / 4] = OFFLOAD_CSUM | OFFLOAD_TSO4;
  assert.deepEqual([room(0, 1460), room(1, 1440)], [44 * 1460, 1440]);
  assert.equal(offload.partial(ip, 40, 16, 60, 1440, 1, 0), 1);
  assert.deepEqual(rig.bytes.slice(ip - SIZEOF_VNET_HEADER, ip), vnet(NEEDS_CSUM, 0, 0, 0, 40, 16));
  rig.words[OFFLOAD / 4] = 0;
  assert.deepEqual([room(0, 1460), room(1, 1440), offload.partial(ip, 40, 16, 60, 1440, 1, 0)], [1460, 1440, 0]);

  const without = await create({ offload: undefined });
  assert.equal(without.rig.linear.frameOffset, 0);
  const at = without.rig.slots.take();
  without.rig.bytes.fill(0xa5, at - SIZEOF_VNET_HEADER, at + 64);
  without.offload.plain(at);
  assert.equal(without.offload.partial(at, 40, 16, 60, 1440, 1, 0), 0);
  assert.ok(without.rig.bytes.subarray(at - SIZEOF_VNET_HEADER, at + 64).every((byte) => byte === 0xa5));
});

/** Calls the engine until nothing is due. Returns all that is sent, by call. */
function drain(rig: Rig): Sent[][] {
  const calls: Sent[][] = [];
  for (let call = 0; rig.clock.deadline !== 0; call++) {
    assert.ok(call < 1000, "it ends");
    rig.now += 1;
    calls.push(sent(rig, rig.call(0)));
  }
  return calls;
}

for (const [mode, link] of Object.entries(MODES)) for (const six of [false, true]) {
  describe(`a packet that the kernel refuses, ${mode}, ${six ? "IPv6" : "IPv4"}`, () => {
    const before = link ? LINK : new Uint8Array(0);
    const mss = six ? 1408 : 1428;

    for (const [what, length, size, flags] of [
      ["of several segments, and a short one", 10 * mss + 1, mss, ACK | PSH | FIN | CWR],
      ["of whole segments", 4 * mss, mss, ACK | PSH],
      ["as long as can be", 65_000, mss, ACK | FIN],
      ["of tiny segments", 12_000, 100, ACK | PSH | CWR],
      ["of one segment", mss, mss, ACK | PSH | CWR],
      ["for its checksum alone", 2 * mss, 0, ACK | PSH | FIN],
      ["without data", 0, 0, ACK],
    ] as const) {
      test(`${what}, is cut and finished here`, async () => {
        const setup = await create({ link });
        const { rig, assembly } = setup;
        const data = pattern(length);
        const ip = offered(setup, six, data, size, flags, before);
        assert.equal(assembly.refused(ip - before.length, before.length + (six ? 72 : 52) + length), true);
        assert.deepEqual(
          drain(rig).flat(),
          segments(six, data, size || length || 1, flags)
            .map((packet) => ({ header: PLAIN, packet: bytes(before, packet) })),
        );
        assert.equal(rig.slots.free, SLOTS);
        assert.equal(rig.words[OFFLOAD / 4], 0);
        assert.equal(rig.linear.counters[Counter.offload], 0);
        assert.equal(rig.linear.counters[Counter.offloadRefused], 1);
      });
    }

    test("is cut over several rounds where slots are few, and others in turn", async () => {
      const setup = await create({ link });
      const { rig, assembly } = setup;
      const data = pattern(40 * mss);
      const ips = [0, 1].map(() => offered(setup, six, data, mss, ACK | PSH, before));
      const taken = Array.from({ length: SLOTS - 2 - 9 }, () => rig.slots.take());
      for (const ip of ips) assembly.refused(ip - before.length, before.length + (six ? 72 : 52) + data.length);
      const calls = drain(rig);
      const lengths = calls.map(({ length }) => length);
      assert.ok(lengths.length > 10 && lengths.every((length) => length <= 9), lengths.join());
      const text = (packet: Uint8Array) => Buffer.from(packet).toString("hex");
      const whole = segments(six, data, mss, ACK | PSH).map((packet) => text(bytes(before, packet)));
      const came = calls.flat().map(({ packet }) => text(packet));
      assert.deepEqual(came.sort(), [...whole, ...whole].sort());
      for (const slot of taken) rig.slots.give(slot);
      assert.equal(rig.slots.free, SLOTS);
    });
  });
}

test("what the kernel refuses for another reason is not taken back", async () => {
  const setup = await create();
  const { rig, assembly } = setup;
  const ip = offered(setup, false, pattern(5000), 1000, ACK, new Uint8Array(0));
  const at = ip - SIZEOF_VNET_HEADER;
  const good = rig.bytes.slice(at, ip);
  for (const header of [
    PLAIN, vnet(DATA_VALID), vnet(NEEDS_CSUM, TCPV4, 52, 0, 20, 16), vnet(NEEDS_CSUM, 0, 0, 0, 20, 65535),
    vnet(NEEDS_CSUM, TCPV4, 5052, 1000, 20, 16),
  ]) {
    rig.bytes.set(header, at);
    assert.equal(assembly.refused(ip, 5052), false);
  }
  assert.equal(rig.words[OFFLOAD / 4], ALL);
  assert.equal(rig.clock.deadline, 0);
  rig.bytes.set(good, at);
  assert.equal(assembly.refused(ip, 5052), true);
  const without = await create({ offload: undefined });
  assert.equal(without.assembly.refused(without.rig.slots.take(), 100), false);
  assert.equal(rig.words[FREE_COUNT / 4], SLOTS - 1);
});
