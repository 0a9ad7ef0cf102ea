/** Tests how long segments are: RFC 9293 §3.7.1, RFC 6691, over links of any MTU and with peers that offer anything. */
import "../support/process.js";
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Counter } from "../../abi/counters.js";
import { MIN_TCP_MTU } from "../../src/engine/memory.js";
import { ACK, RST, type Segment, SYN } from "../support/tcp.js";
import { type Family, PORTS, TcpHost } from "../support/tcphost.js";
import { count, Peer } from "../support/tcppeer.js";
import { checkState } from "../support/tcpstate.js";

const MTUS = [MIN_TCP_MTU, 576, 1280, 1500, 9000, 65535];
/** Bytes of IP and TCP headers without options. */
const HEADERS = { 4: 40, 6: 60 };
const DEFAULT_MSS = { 4: 536, 6: 1220 };
/** The smallest MSS that is believed. */
const MIN_MSS = 88;
const TIMESTAMPS_LEN = 12;

/** Bytes of options, padded. */
function optionsLen({ timestamps, sacks = [] }: Segment["options"]): number {
  return (timestamps ? TIMESTAMPS_LEN : 0) + (sacks.length > 0 ? 4 + 8 * sacks.length : 0);
}

for (const family of [4, 6] as const satisfies readonly Family[]) {
  describe(`IPv${family}`, () => {
    for (const mtu of MTUS) {
      const room = mtu - HEADERS[family];
      const cases = [
        ["none", undefined, Math.min(DEFAULT_MSS[family], room)],
        ...[0, 1, 48, 64, MIN_MSS - 1].map((mss) => [String(mss), mss, MIN_MSS] as const),
        ...[MIN_MSS, 89, 100].map((mss) => [String(mss), mss, mss] as const),
        ["what the link has room for", room, room], ["more than that", 65535, room],
      ] as const;
      for (const timestamped of [false, true]) {
        test(`MTU ${mtu}${timestamped ? " with timestamps" : ""}: the MSS is the link's, and segments are as long as the `
          + "peer's", async () => {
          const host = await TcpHost.create({ mtu });
          for (const [what, mss, expected] of cases) {
            const peer = new Peer(host, family, PORTS.chargen);
            const stamps = (val: number, ecr: number) => timestamped ? { timestamps: { val, ecr } } : {};
            const syn = { ...mss === undefined ? {} : { mss }, ...stamps(1, 0) };
            const [answer] = peer.say({ seq: 0, flags: SYN, options: syn });
            assert.equal(answer.options.mss, room, "it announces what a packet has room for (MUST-67)");
            assert.equal(answer.options.timestamps !== undefined, timestamped);
            const segments = peer.say({
              seq: 1, ack: answer.seq + 1 >>> 0, flags: ACK, options: stamps(2, answer.options.timestamps?.val ?? 0),
            });
            const [{ data }] = segments;
            assert.equal(data.length, expected - (timestamped ? TIMESTAMPS_LEN : 0), `a peer that offers ${what}`);
            for (const segment of segments) assert.ok(segment.data.length <= data.length);
            peer.say({ seq: 1, flags: RST });
          }
          checkState(host.rig);
        });
      }
    }

    test(`with an MTU below ${MIN_TCP_MTU}, no connection is accepted`, async () => {
      const host = await TcpHost.create({ mtu: MIN_TCP_MTU - 1 });
      for (const port of [PORTS.echo, PORTS.tarpit, PORTS.banner]) {
        assert.deepEqual(new Peer(host, family, port).say({ seq: 0, flags: SYN }), []);
      }
      assert.deepEqual([count(host, Counter.tcpConnections), host.rig.dropped.tcp_limit], [0, 3]);
      checkState(host.rig);
    });

    for (const timestamped of [false, true]) {
      for (const [mtu, mss] of [[MIN_TCP_MTU, 65535], [1500, 1], [1500, 100], [1500, 536]] as const) {
        test(`MTU ${mtu}, peer's MSS ${mss}${timestamped ? ", timestamps" : ""}: data fits beside as many SACK blocks as `
          + "may be told (RFC 6691 §3)", async () => {
          const host = await TcpHost.create({ mtu });
          const peer = new Peer(host, family, PORTS.echo);
          let val = 0;
          const stamps = () => timestamped ? { timestamps: { val: ++val, ecr: 0 } } : {};
          const [{ seq }] = peer.say({ seq: 0, flags: SYN, options: { mss, sackPermitted: true, ...stamps() } });
          const longest = Math.max(Math.min(mss, mtu - HEADERS[family]), MIN_MSS);
          let ack = seq + 1 >>> 0;
          const bytes = (length: number) => Buffer.alloc(length, "x");
          const say = (first: number, length: number) => peer.say({
            seq: first, ack, flags: ACK, data: bytes(length), options: stamps(),
          });
          say(1, 0);
          // Four pieces behind gaps, the most that are kept; the options have room for three beside timestamps.
          const most = timestamped ? 3 : 4;
          for (let i = 0; i < 4; i++) {
            const [answer] = say(1001 + 100 * i, 50);
            assert.equal(answer.options.sacks?.length, Math.min(i + 1, most));
          }
          const echoes = say(1, 150).concat(say(151, 150));
          const data = echoes.filter((segment) => segment.data.length > 0);
          assert.ok(data.length > 0);
          for (const segment of data) {
            assert.equal(segment.options.sacks?.length, most);
            assert.ok(segment.data.length + optionsLen(segment.options) <= longest, `${segment.data.length} bytes`);
          }
          // All of it comes, as acknowledgements let it go.
          let came = 0;
          for (let i = 0, waiting = data; waiting.length > 0; i++) {
            assert.ok(i < 20, "it comes to an end");
            for (const segment of waiting) {
              assert.equal(segment.seq, ack);
              ack = segment.seq + segment.data.length >>> 0;
              came += segment.data.length;
            }
            waiting = say(301, 0).filter((segment) => segment.data.length > 0);
          }
          assert.equal(came, 300);
          peer.say({ seq: 301, flags: RST });
          checkState(host.rig);
        });
      }
    }
  });
}
