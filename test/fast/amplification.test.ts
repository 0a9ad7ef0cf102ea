/**
 * Tests I2 with every kind of packet that a host may be sent, in both families, as packets and as frames: bytes out for
 * bytes in. The figures measured here are the table of docs/security.md.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";
import { Counter } from "../../abi/counters.js";
import { ERROR_BURST, ERRORS_PER_MS } from "../../abi/limits.js";
import { Service } from "../../abi/tcp.js";
import type { PortRange } from "../../src/prefix/policy.js";
import { DEFAULT_STAMP, stampBytes } from "../../src/prefix/stamp.js";
import { source } from "../support/assembly.js";
import { BY_DEFAULT, Rig } from "../support/engines.js";
import { arpFrame, frame, SHARED, solicitationFrame } from "../support/frames.js";
import { fragmentHeader, fragmentsOf6, ipv6Packet, udpPacket6 } from "../support/ipv6.js";
import { bytes, fragmentsOf, icmpPacket, ipv4Packet, pattern, udpPacket } from "../support/packets.js";
import { interfacesOf } from "../support/probe.js";
import { kind } from "../support/replies.js";
import { UDP_PORTS } from "../vectors/drops.js";
import { HOST_CASES, PROBE_CASES, PROBED, SOURCE_ROUTE_CASES, type HostCase } from "../vectors/hosts.js";

const MTU = 1500;
/** Time in ms after which every bucket is full again, and every incomplete datagram has been given up. */
const LATER_MS = 61_000;
const REPLY = /reply$|advertisement$|reset( with acknowledgement)?$/;

/**
 * Makes a datagram with as many options as fit on its first fragment, and none on the others. All fragments are as long
 * as the MTU allows.
 */
function optionsOnFirst(mtu: number, dataLen: number): Uint8Array[] {
  const packet = icmpPacket({ data: pattern(dataLen), options: bytes(7, 39, 4, new Uint8Array(36), 0), fragment: 0 });
  const plain = bytes(packet.subarray(0, 20), packet.subarray(60));
  plain[0] = 0x45;
  const firstLen = mtu - 60 & ~7;
  const ends = [0, firstLen];
  for (let end = firstLen + (mtu - 20 & ~7); end < dataLen + 8; end += mtu - 20 & ~7) ends.push(end);
  const later = fragmentsOf(plain, [...ends, dataLen + 8]).slice(1);
  return [fragmentsOf(packet, [0, firstLen, dataLen + 8])[0], ...later];
}

const CASES: readonly HostCase[] = [
  ...HOST_CASES, ...SOURCE_ROUTE_CASES,
  { name: "a header alone", packets: [ipv4Packet(new Uint8Array(0), { protocol: 253 })] },
  {
    name: "a header with a malformed option alone",
    packets: [ipv4Packet(new Uint8Array(0), { protocol: 253, options: bytes(30, 0, 0, 0) })],
  },
  { name: "a first fragment of 8 bytes", packets: [ipv4Packet(pattern(8), { fragment: 0x2000, protocol: 253 })] },
  { name: "an IPv6 header alone", packets: [ipv6Packet(new Uint8Array(0), { nextHeader: 253 })] },
  {
    name: "an IPv6 first fragment of 8 bytes",
    packets: [ipv6Packet(pattern(8), { nextHeader: 253, extensions: [fragmentHeader(0, 1, 7)] })],
  },
  ...[1500, 3000, 20_000, 65_400].map((length) => ({
    name: `${length} bytes, options on the first fragment alone`, packets: optionsOnFirst(MTU, length),
  })),
];

/** Datagrams to the UDP service echo: in one piece, with options, and in fragments as long as the MTU allows. */
const ECHOED: readonly (readonly Uint8Array[])[] = [0, 1, 22, 512, 1400, 1600, 9000, 60_000].flatMap((length) => {
  const datagram = { destinationPort: 7, data: pattern(length) };
  const six = udpPacket6(datagram);
  if (length < MTU) {
    const options = bytes(7, 39, 4, new Uint8Array(36), 0);
    return [[udpPacket(datagram)], [six], [udpPacket({ ...datagram, options })]];
  }
  const offsets = (step: number) => {
    return [...Array.from({ length: Math.ceil((length + 8) / step) }, (_, i) => step * i), length + 8];
  };
  return [fragmentsOf(udpPacket({ ...datagram, fragment: 0 }), offsets(1480)), fragmentsOf6(six, offsets(1448))];
});

/** Answers of one kind: the highest ratio of bytes out to bytes in, and the packets that caused it. */
interface Worst {
  readonly packets: readonly Uint8Array[];
  readonly in: number;
  readonly out: number;
}

/** Returns a packet's family and kind; "" for a later fragment. */
function whatOf(packet: Uint8Array): string {
  const what = kind([packet]);
  return what === "silence" ? "" : `${packet[0] >> 4 === 6 ? "IPv6" : "IPv4"} ${what.replace(/, code \d+$/, "")}`;
}

/**
 * Counts the bytes that the rig sends about a case, at once or later, by kind of answer. `ip` returns the packet within
 * what is sent.
 */
function answers(rig: Rig, packets: readonly Uint8Array[], ip: (sent: Uint8Array) => Uint8Array): Map<string, number> {
  const sent = packets.flatMap((packet) => rig.respond(packet));
  rig.now += LATER_MS;
  sent.push(...rig.respond());
  const out = new Map<string, number>();
  let last = "";
  for (const bytes of sent) {
    // A later fragment belongs to the kind of the one before it.
    last = whatOf(ip(bytes)) || last;
    out.set(last, (out.get(last) ?? 0) + bytes.length);
  }
  return out;
}

/** Measures all cases, by kind of answer. A case's bytes in count for each kind of answer that it got. */
async function measure(mode: "tun" | "tap"): Promise<Map<string, Worst>> {
  const rig = await Rig.create("wasm", { mtu: MTU, policy: BY_DEFAULT, ...mode === "tap" && { link: SHARED } });
  const worst = new Map<string, Worst>();
  const note = (what: string, measured: Worst) => {
    const so = worst.get(what);
    if (!so || measured.out * so.in > so.out * measured.in) worst.set(what, measured);
  };
  for (const { packets } of CASES) {
    const sent = mode === "tun"
      ? packets
      : packets.map((packet) => frame(packet, { type: packet[0] >> 4 === 6 ? 0x86dd : 0x0800 }));
    const length = sent.reduce((sum, packet) => sum + packet.length, 0);
    for (const [what, out] of answers(rig, sent, (bytes) => mode === "tun" ? bytes : bytes.subarray(14))) {
      note(what, { packets: sent, in: length, out });
    }
  }
  const echo = await Rig.create("wasm", {
    mtu: MTU, ...mode === "tap" && { link: SHARED },
    policy: { ...BY_DEFAULT, udp: { ports: UDP_PORTS }, sourceLimit: { rate: 1e9, burst: 1e9 } },
  });
  for (const packets of ECHOED) {
    const six = packets[0][0] >> 4 === 6;
    const sent = mode === "tun" ? packets : packets.map((packet) => frame(packet, { type: six ? 0x86dd : 0x0800 }));
    const total = (all: readonly Uint8Array[]) => all.reduce((sum, { length }) => sum + length, 0);
    note(`${six ? "IPv6" : "IPv4"} UDP echo reply`, {
      packets: sent, in: total(sent), out: total(sent.flatMap((packet) => echo.respond(packet))),
    });
  }
  assert.deepEqual(echo.dropped, {});
  const probed = await Rig.create("wasm", {
    mtu: MTU, ...mode === "tap" && { link: SHARED }, policy: { ...BY_DEFAULT, interfaces: interfacesOf(PROBED) },
  });
  for (const { packets: [packet] } of PROBE_CASES) {
    const six = packet[0] >> 4 === 6;
    const request = mode === "tun" ? packet : frame(packet, { type: six ? 0x86dd : 0x0800 });
    for (const reply of probed.respond(request)) {
      const what = whatOf(mode === "tun" ? reply : reply.subarray(14));
      note(what, { packets: [request], in: request.length, out: reply.length });
    }
  }
  if (mode === "tap") {
    const unnamed = solicitationFrame({ options: new Uint8Array(0) });
    for (const [what, request] of [
      ["ARP reply", arpFrame()], ["IPv6 neighbor advertisement", solicitationFrame()],
      ["IPv6 neighbor advertisement", unnamed],
    ] as const) {
      const [reply] = rig.respond(request);
      note(what, { packets: [request], in: request.length, out: reply.length });
    }
  }
  return worst;
}

describe("amplification", () => {
  let tun: Map<string, Worst>;
  let tap: Map<string, Worst>;
  before(async () => {
    tun = await measure("tun");
    tap = await measure("tap");
  });

  test("I2: a reply, in however many fragments, has no more bytes than its request, in either mode", () => {
    for (const worst of [tun, tap]) {
      const replies = [...worst].filter(([what]) => REPLY.test(what));
      assert.ok(replies.length >= 3);
      // RFC 4861 §7.2.4 requires an option of 8 bytes in an advertisement.
      for (const [what, { in: came, out }] of replies) {
        assert.ok(out <= came + (what.endsWith("advertisement") ? 8 : 0), `${what}: ${out} bytes for ${came}`);
      }
    }
  });

  test("docs/security.md has the table of what is measured", (context) => {
    const written = (worst: Worst | undefined) => worst === undefined
      ? ""
      : worst.in === worst.out ? "1.00" : `${(worst.out / worst.in).toFixed(2)} (${worst.in} → ${worst.out})`;
    const kinds = [...new Set([...tun.keys(), ...tap.keys()])].sort(
      (a, b) => Number(REPLY.test(b)) - Number(REPLY.test(a)) || (a < b ? -1 : 1),
    );
    const table = [
      "| answer | TUN | TAP |", "|---|---|---|",
      ...kinds.map((what) => `| ${what} | ${written(tun.get(what))} | ${written(tap.get(what))} |`),
    ].join("\n");
    context.diagnostic(`bytes out for bytes in, at most\n${table}`);
    assert.ok(
      readFileSync(source("docs/security.md"), "utf8").includes(`\n\n${table}\n\n`),
      `docs/security.md is to have\n${table}`,
    );
  });

  test("I2 has one exemption: the reply to an open of IRTT's is longer, and each source has a limit", async () => {
    const ports: readonly PortRange[] = [{ first: 2112, last: 2112, service: { name: "irtt", kind: Service.irtt } }];
    const rig = await Rig.create("wasm", { policy: { ...BY_DEFAULT, udp: { ports } } });
    // What irtt's client sends: version, duration, interval, statistics, times and clocks. And a version alone.
    const usual = "14a75b0101020280a8d6b9070380b48913050606060706";
    const open = (data: Uint8Array) => udpPacket({ destinationPort: 2112, data: Uint8Array.from(data) });
    const least = open(bytes(0x14, 0xa7, 0x5b, 1, 1, 2));
    for (const [packet, came, out] of [
      [open(Buffer.from(usual, "hex")), 51, 59], [least, 34, 47],
    ] as const) {
      const [reply] = rig.respond(packet);
      assert.deepEqual([packet.length, reply.length], [came, out]);
    }
    rig.now += 5000;
    let answered = 0;
    for (let i = 0; i < 3000; i++) answered += rig.respond(least).length;
    assert.equal(answered, 1000);
    assert.equal(rig.dropped.rate_limited, 2000);
  });

  test("I2 has another one on request: short: answer of STAMP, and each source has a limit", async () => {
    const service = { name: "lax", kind: Service.stamp, bytes: stampBytes({ ...DEFAULT_STAMP, short: "answer" }) };
    const ports: readonly PortRange[] = [{ first: 862, last: 862, service }];
    const rig = await Rig.create("wasm", { policy: { ...BY_DEFAULT, udp: { ports } } });
    const asked = (length: number, six = false) => {
      const datagram = { destinationPort: 862, data: pattern(length) };
      return six ? udpPacket6(datagram) : udpPacket(datagram);
    };
    let most = { came: 1, out: 0 };
    for (const six of [false, true]) {
      for (let length = 0; length <= 44; length++) {
        const packet = asked(length, six);
        for (const reply of rig.respond(packet)) {
          if (reply.length * most.came > most.out * packet.length) most = { came: packet.length, out: reply.length };
        }
      }
    }
    assert.deepEqual(most, { came: 42, out: 72 });
    assert.ok(
      readFileSync(source("docs/security.md"), "utf8").includes(
        `\`short: answer\`: ${(most.out / most.came).toFixed(2)} at most (${most.came} → ${most.out}).`,
      ),
    );
    rig.now += 5000;
    const { stamp_short: shorter } = rig.dropped;
    let answered = 0;
    for (let i = 0; i < 3000; i++) answered += rig.respond(asked(14)).length;
    assert.deepEqual([answered, rig.dropped], [1000, { stamp_short: shorter, rate_limited: 2000 }]);
  });

  for (const mtu of [68, 576, 1280, 9000]) {
    test(`I2: nor with options on the first fragment alone and an MTU of ${mtu}`, async () => {
      const rig = await Rig.create("wasm", { mtu, policy: BY_DEFAULT });
      for (const length of [mtu, 2 * mtu, 7 * mtu]) {
        const packets = optionsOnFirst(mtu, length);
        assert.ok(packets.every((packet) => packet.length <= mtu));
        const replies = packets.flatMap((packet) => rig.respond(packet));
        assert.equal(kind(replies), "echo reply");
        const total = (all: readonly Uint8Array[]) => all.reduce((sum, packet) => sum + packet.length, 0);
        assert.ok(total(replies) <= total(packets), `${total(replies)} bytes for ${total(packets)}`);
      }
      assert.deepEqual(rig.dropped, {});
    });
  }

  test("X-3: errors about a flood of everything that one may be about are those of their buckets, and no longer than "
    + "576 and 1,280 bytes", async () => {
    const rig = await Rig.create("wasm", { mtu: MTU, policy: BY_DEFAULT });
    const provoking = [...tun].filter(([what]) => !REPLY.test(what) && !what.includes("time exceeded"));
    const data = pattern(1400);
    const longest = [
      udpPacket({ data }), ipv4Packet(data, { protocol: 253 }), udpPacket6({ data }),
      ipv6Packet(data, { nextHeader: 253 }),
    ];
    const packets = [...provoking.map(([, { packets: [packet] }]) => packet), ...longest];
    const ms = 2000;
    const sent = new Map<string, number>();
    for (const until = rig.now + ms; rig.now < until; rig.now++) {
      for (const error of rig.respond(...packets, ...packets, ...packets)) {
        const what = whatOf(error);
        sent.set(what, (sent.get(what) ?? 0) + 1);
        assert.ok(error.length <= (what.startsWith("IPv6") ? 1280 : 576), what);
      }
    }
    assert.deepEqual([...sent.keys()].sort(), provoking.map(([what]) => what).sort());
    // The first batch may use the burst, the later ones one error for each millisecond.
    for (const [what, count] of sent) assert.ok(count <= ERROR_BURST + ERRORS_PER_MS * ms, `${what}: ${count}`);
    assert.ok(rig.linear.counters[Counter.errorsLimited] > 0);
  });
});
