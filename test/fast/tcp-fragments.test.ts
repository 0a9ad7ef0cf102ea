/** Sends segments in fragments to the engine: each is taken as a whole one is, and all of its fragments are counted. */
import "../support/process.js";
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Counter } from "../../abi/counters.js";
import { fragmentsOf6 } from "../support/ipv6.js";
import { fragmentsOf } from "../support/packets.js";
import { ACK, decode, encode, FIN, flagsText, PSH, RST, SYN, type Sent } from "../support/tcp.js";
import { ADDRESSES, PORTS, TcpHost } from "../support/tcphost.js";
import { checkState, stateOf } from "../support/tcpstate.js";

const DATA = Uint8Array.from({ length: 400 }, (_, i) => i);

for (const family of [4, 6] as const) describe(`IPv${family}: segments in fragments`, () => {
  const { peer: src, local: dst } = ADDRESSES[family];
  // The first fragment of IPv6 has to have the whole TCP header (RFC 7112).
  const SIZE = family === 4 ? 16 : 24;
  let id = 1;

  /** Returns the fragments of a segment, each but the last with `size` bytes of it. */
  function cut(packet: Uint8Array, size: number): Uint8Array[] {
    const length = packet.length - (family === 4 ? 20 : 40);
    const offsets = [...Array.from({ length: Math.ceil(length / size) }, (_, i) => i * size), length];
    if (family === 6) return fragmentsOf6(packet, offsets, id++);
    new DataView(packet.buffer).setUint16(4, id++);
    return fragmentsOf(packet, offsets);
  }

  for (const { how, order } of [
    { how: "in order", order: (pieces: Uint8Array[]) => pieces },
    { how: "the last one first", order: (pieces: Uint8Array[]) => pieces.reverse() },
  ]) {
    test(`a connection opens, echoes and closes, ${how}, one by one or in a batch`, async () => {
      const host = await TcpHost.create();
      let sent = 0;
      const say = (segment: Partial<Sent>, batch: boolean) => {
        const pieces = order(cut(
          encode({ src, dst, srcPort: 40_000, dstPort: PORTS.echo, window: 65535, ...segment }), SIZE,
        ));
        sent += pieces.length;
        if (batch) host.inject(...pieces);
        else for (const piece of pieces) host.inject(piece);
        return host.take().map(({ packet }) => decode(packet));
      };
      const [{ seq: isn }] = say({ seq: 0, flags: SYN, options: { mss: 1400 } }, false);
      const ack = isn + 1 >>> 0;
      assert.deepEqual(say({ seq: 1, ack, flags: ACK }, true), []);
      const [echo] = say({ seq: 1, ack, flags: ACK | PSH, data: DATA }, false);
      assert.deepEqual(Uint8Array.from(echo.data), DATA);
      const [end] = say({ seq: 401, ack: ack + 400 >>> 0, flags: FIN | ACK }, true);
      assert.equal(flagsText(end.flags), "F.");
      assert.deepEqual(say({ seq: 402, ack: ack + 401 >>> 0, flags: ACK }, true), []);
      checkState(host.rig);
      assert.deepEqual([stateOf(host.rig).connections, stateOf(host.rig).pages], [0, 0]);
      const { counters } = host.rig.linear;
      assert.deepEqual([counters[Counter.tcpReceived], counters[Counter.held]], [sent, 0]);
      assert.equal(counters[Counter.writeErrors], 0);
    });
  }

  test("at a closed port they are refused, and a damaged one is dropped", async () => {
    const host = await TcpHost.create();
    const segment = { src, dst, srcPort: 40_000, dstPort: PORTS.refuse, seq: 0, flags: SYN, window: 1, data: DATA };
    host.inject(...cut(encode(segment), 24));
    const [{ packet }] = host.take();
    assert.equal(decode(packet).flags, RST | ACK);
    host.inject(...cut(encode(segment, { checksumError: 1 }), 24));
    assert.deepEqual(host.take(), []);
    checkState(host.rig);
    assert.equal(host.rig.linear.counters[Counter.held], 0);
  });
});
