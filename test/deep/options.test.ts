/**
 * Tests IP options, which the wasm engine alone reads: a table of them, and random ones against a plain implementation
 * of the RFCs.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ERRORS, IcmpError } from "../../abi/counters.js";
import { SLOTS } from "../../abi/slots.js";
import { SourceRoute } from "../../abi/tables.js";
import { BY_DEFAULT, Rig, type Treatment } from "../support/engines.js";
import { outcome, randomOptions } from "../support/options.js";
import {
  addr, expectedError, HOST, icmpPacket, ipv4Packet, pattern, plainSum, setHeaderChecksum, TARGET, udpPacket,
} from "../support/packets.js";
import { Random } from "../support/random.js";
import { NOW, OPTIONS, ROUTES, US, type RouteVector } from "../vectors/options.js";

const RUNS = Number(process.env.PACKETS ?? 100_000);
const MTU = 576;
const random = Random.fromEnvironment();
const ours = (address: readonly number[]) => address[0] === 10 && address[1] === 99 && address.join(".") !== HOST;
const reverse: Partial<Treatment> = { sourceRoute: SourceRoute.reverse };

function padded(options: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(options.length / 4) * 4);
  bytes.set(options);
  return bytes;
}

function hex(packet: Uint8Array): string {
  return Buffer.from(packet).toString("hex");
}

for (const name of ["wasm", "wasm-scalar"] as const) {
  const create = async (policy: Partial<Treatment> = {}) => {
    const rig = await Rig.create(name, { mtu: MTU, policy: { ...BY_DEFAULT, ...policy } });
    rig.now = NOW;
    return rig;
  };

  const walk = (
    { options, change, answer, problem, dropped, via }: RouteVector, policy: Partial<Treatment>,
  ) => async () => {
    for (const type of [8, 13]) {
      const rig = await create(policy);
      const data = pattern(type === 8 ? 8 : 12);
      const request = icmpPacket({ type, data, options: padded(options) });
      change?.(request);
      const replies = rig.respond(request.slice());
      if (problem !== undefined) {
        assert.deepEqual(replies, [expectedError(request, 12, 0, { parameter: problem })]);
        assert.deepEqual(rig.dropped, { ip_options: 1 });
        assert.equal(rig.linear.counters[ERRORS + IcmpError.parameter_problem], 1);
      } else if (answer === undefined) {
        assert.deepEqual(replies, []);
        if (type === 8) assert.deepEqual(rig.dropped, { [dropped ?? ""]: 1 });
      } else {
        if (type === 13) data.set([1, 2, 3, 4, 1, 2, 3, 4], 4);
        const reply = icmpPacket(
          { src: TARGET, dst: (via ?? addr(HOST)).join("."), type: type === 8 ? 0 : 14, data, options: padded(answer) },
        );
        assert.deepEqual(replies, [reply]);
        assert.equal(rig.replied, 1);
      }
      assert.equal(rig.slots.free, SLOTS);
    }
  };

  describe(name, () => {
    describe("E-6, E-8: the table of options", () => {
      for (const vector of OPTIONS) test(vector.name, walk(vector, {}));
    });

    describe("E-7: --source-route reverse", () => {
      for (const vector of ROUTES) test(vector.name, walk(vector, reverse));
      test("what has no source route is as without it", async () => {
        for (const vector of OPTIONS.filter(({ options }) => !options.includes(131) && !options.includes(137))) {
          await walk(vector, reverse)();
        }
      });
    });

    test("E-8: a malformed option is answered once for any protocol, as often as its rate allows, and for a first "
      + "fragment alone", async () => {
      const rig = await create();
      const options = Uint8Array.of(7, 7, 3, 0, 0, 0, 0, 0);
      const packets = [
        icmpPacket({ options }), icmpPacket({ options, type: 0 }), udpPacket({ options }), ipv4Packet(
          new Uint8Array(0), { options, protocol: 6 },
        ),
        ipv4Packet(pattern(9), { options, protocol: 200 }), icmpPacket({ options, fragment: 0x2000 }),
      ];
      assert.deepEqual(
        rig.respond(...packets), packets.map((packet) => expectedError(packet, 12, 0, { parameter: 22 })),
      );
      const silent = [
        icmpPacket({ options, type: 3 }), icmpPacket({ options, type: 12 }), Uint8Array
          .of(...ipv4Packet(new Uint8Array(0), { options }), 8),
        icmpPacket({ options, fragment: 1 }), icmpPacket({ options, src: "224.0.0.1" }),
        icmpPacket({ options, dst: "10.98.0.1" }),
      ];
      assert.deepEqual(rig.respond(...silent), []);
      rig.now += 1000;
      assert.equal(rig.respond(...Array.from({ length: 60 }, () => icmpPacket({ options }))).length, 50);
      assert.deepEqual(rig.dropped, { ip_options: 6 + 4 + 60, martian_source: 1, not_our_prefix: 1 });
    });

    test("X-1: an error quotes good options as they came, and has none itself", async () => {
      const rig = await create();
      const options = Uint8Array.of(1, 7, 7, 4, 0, 0, 0, 0);
      const udp = udpPacket({ options });
      const unknown = ipv4Packet(pattern(9), { options, protocol: 200 });
      assert.deepEqual(rig.respond(udp, unknown), [expectedError(udp, 3, 3), expectedError(unknown, 3, 2)]);
      assert.deepEqual(rig.dropped, { no_socket: 1, ip_noproto: 1 });
    });

    test("data of every length comes back behind a header that is shorter", async () => {
      const rig = await create();
      for (let length = 0; length <= MTU - 68; length++) {
        for (const [options, kept] of [
          [Array<number>(40).fill(1), []], [[...Array<number>(37).fill(1), 7, 3, 4], [7, 3, 4]],
        ]) {
          const packet = icmpPacket({ data: pattern(length), options: padded(options) });
          const reply = icmpPacket(
            { src: TARGET, dst: HOST, type: 0, fragment: 0, data: pattern(length), options: padded(kept) },
          );
          if (reply.length <= 552) {
            reply[6] = 0x40;
            setHeaderChecksum(reply);
          }
          assert.deepEqual(rig.respond(packet), [reply]);
        }
      }
    });

    for (const [what, policy] of [["dropped", {}], ["reversed", reverse]] as const) {
      test(`E-6, E-7, E-8: ${RUNS} random options, source routes ${what}, seed ${random.seed}: what a plain reading `
        + "says, in the packets' own bytes alone", async () => {
        const rig = await create(policy);
        const slotArea = rig.bytes.subarray(...rig.slotRange);
        const untouched = new Uint8Array(slotArea.length).fill(0xa5);
        const counts = { answered: 0, problems: 0, dropped: 0 };
        for (let done = 0; done < RUNS; done += 40) {
          rig.now += 1000;
          const time = new Uint8Array(4);
          new DataView(time.buffer).setUint32(0, rig.now % 86_400_000);
          const request = () => icmpPacket({
            options: randomOptions(random), data: pattern(random.below(60)), src: random
              .pick([HOST, "192.0.2.7"]), id: random.below(65536),
          });
          const requests = Array.from({ length: 40 }, request);
          const slots = [...rig.slots.stack.subarray(-requests.length)].reverse();
          slotArea.set(untouched);
          const replies = rig.respond(...requests);
          const written = new Map(replies.map((reply, i) => [rig.slots.toSend(i), reply]));

          const expected = requests.map((request) => {
            const headerLen = (request[0] & 15) * 4;
            const requester = [...request.subarray(12, 16)];
            const result = outcome([...request.subarray(20, headerLen)], {
              requester, host: US, time: [...time], reverse: policy === reverse,
              ours, mayBeSentTo: (address) => !ours(address) && ![0, 127].includes(address[0]) && address[0] < 224,
            });
            if (result === "dropped") return undefined;
            if ("problem" in result) return expectedError(request, 12, 0, { parameter: result.problem });
            const msg = request.slice(headerLen);
            return icmpPacket({
              src: TARGET, dst: result.via.join("."), type: 0, data: msg.slice(8), options: padded(result.options),
              id: request[4] << 8 | request[5],
            });
          });
          const kinds = expected.map(
            (reply) => reply === undefined ? "dropped" : reply[(reply[0] & 15) * 4] === 12 ? "problems" : "answered",
          );
          kinds.forEach((kind) => counts[kind]++);
          assert.deepEqual(replies.map(hex), expected.filter((reply) => reply !== undefined).map(hex));
          requests.forEach((request, i) => {
            if (kinds[i] === "answered") assert.ok(
              (written.get(slots[i])?.length ?? Infinity) <= request.length,
              "I2: a reply is no longer than its request",
            );
          });
          for (const reply of replies) assert.equal(plainSum(reply.subarray(0, (reply[0] & 15) * 4)), 0xffff);

          // Bytes may be touched within the request, and within the error about it.
          requests.forEach(({ length }, i) => rig.bytes.fill(0xa5, slots[i], slots[i] + length));
          for (const [slot, { length }] of written) rig.bytes.fill(0xa5, slot, slot + length);
          assert.equal(Buffer.compare(slotArea, untouched), 0, "a byte outside of the packets was touched");
        }
        assert.equal(
          counts.answered + counts.problems, rig.replied + rig.linear.counters[ERRORS + IcmpError.parameter_problem],
        );
        for (const [kind, count] of Object.entries(counts)) assert.ok(count > RUNS / 40, `${kind}: ${count}`);
      });
    }

    test(`I4: ${RUNS} times any bytes as options, seed ${random.seed}: a right header no longer than the request's, `
      + "or an error, or nothing", async () => {
      const rig = await create(reverse);
      for (let done = 0; done < RUNS; done += 40) {
        rig.now += 1000;
        const noise = () => Uint8Array.from(
          { length: 4 + 4 * random.below(10) }, () => random.next() >> random.below(8),
        );
        const requests = Array.from({ length: 40 }, () => icmpPacket({ options: noise(), data: pattern(4) }));
        for (const reply of rig.respond(...requests)) {
          const headerLen = (reply[0] & 15) * 4;
          assert.equal(plainSum(reply.subarray(0, headerLen)), 0xffff);
          assert.equal(plainSum(reply.subarray(headerLen)), 0xffff);
          assert.equal(reply[2] << 8 | reply[3], reply.length);
        }
        assert.equal(rig.slots.free, SLOTS);
      }
    });
  });
}
