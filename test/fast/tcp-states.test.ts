/**
 * Tests what takes long or many: initial sequence numbers, SYN cookies, TIME-WAIT, keepalive, and connections that end
 * with their prefix or with pongd.
 */
import "../support/process.js";
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Closed, CLOSED, Cookie, COOKIES, Counter } from "../../abi/counters.js";
import { OFFLOAD_CSUM, OFFLOAD_TSO4, OFFLOAD_TSO6 } from "../../abi/offload.js";
import {
  Drain, INBOX, INBOX_COUNT, LETTER_FAMILY, LETTER_MTU, LETTER_PORTS, LETTER_SEQ, LETTER_SIZE, PREFIX_CONNECTIONS,
  Service,
} from "../../abi/tcp.js";
import { tableOf } from "../../src/engine/table.js";
import { parseAddress, parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { HOST6 } from "../support/ipv6.js";
import { HOST } from "../support/packets.js";
import { ACK, CWR, decode, ECE, encode, FIN, PSH, RST, type Segment, type Sent, SYN } from "../support/tcp.js";
import { ADDRESSES, type Family, LIMITS, PORTS, SERVICES, TcpHost } from "../support/tcphost.js";
import { count, Peer, SECOND } from "../support/tcppeer.js";
import { checkState, stateOf } from "../support/tcpstate.js";

const FAMILIES: readonly Family[] = [4, 6];

for (const family of FAMILIES) {
  describe(`IPv${family}`, () => {
    test("initial sequence numbers are a clock's, plus what nobody else knows (MUST-8, MUST-9, "
      + "SHLD-1, P-7)", async () => {
      const host = await TcpHost.create();
      const isnOf = (port: number) => {
        const peer = new Peer(host, family, PORTS.discard, port);
        const [{ seq }] = peer.say({ seq: 1, flags: SYN });
        peer.say({ seq: 2, flags: RST });
        return seq;
      };
      const first = isnOf(40_000);
      host.advance(SECOND);
      // RFC 6528 §3: the clock of RFC 9293 §3.4.1, here one step each 64 ns.
      assert.equal(isnOf(40_000) - first >>> 0, 1e9 / 64);
      const others = Array.from({ length: 50 }, (_, i) => isnOf(41_000 + i));
      assert.equal(new Set(others.map((isn) => isn >>> 16)).size > 45, true, "those of other ports are far apart");
      const secrets = LIMITS.secrets.map((byte) => byte ^ 1);
      const other = await TcpHost.create({ limits: { secrets } });
      const [{ seq }] = new Peer(other, family, PORTS.discard).say({ seq: 1, flags: SYN });
      assert.notEqual(seq, first);
      checkState(host.rig);
    });

    test("under a flood of SYNs, cookies answer, and nothing is kept of them (P-10, I7)", async () => {
      const host = await TcpHost.create();
      for (let i = 0; i < 32; i++) new Peer(host, family, PORTS.echo, 50_000 + i).say({ flags: SYN });
      const before = count(host, Counter.tcpConnections);
      assert.equal(before, 32);

      const peer = new Peer(host, family, PORTS.echo);
      const [answer] = peer.say({ seq: 999, flags: SYN, options: { mss: 1460, scale: 7, sackPermitted: true } });
      assert.equal(answer.flags, SYN | ACK);
      assert.equal(answer.ack, 1000);
      assert.equal(count(host, Counter.tcpConnections), before);
      assert.equal(count(host, COOKIES + Cookie.sent), 1);

      // It is sent once, and only its own acknowledgement makes a connection, for a while.
      const right = { seq: 1000, ack: answer.seq + 1 >>> 0, flags: ACK | PSH, data: Buffer.from("hello") };
      const wrongs = [{ ack: answer.seq + 2 >>> 0 }, { ack: answer.seq }, { ack: answer.seq + 257 >>> 0 },
        { seq: 1001 }];
      const bare = { ...right, flags: ACK, data: Buffer.of() };
      for (const wrong of wrongs) {
        const [reset] = peer.say({ ...bare, ...wrong });
        assert.equal(reset.flags, RST, JSON.stringify(wrong));
      }
      assert.equal(new Peer(host, family, PORTS.echo, 40_001).say(bare)[0].flags, RST, "of another port");
      // The end of the data may come before its beginning, which has the acknowledgement.
      assert.deepEqual(peer.say({ ...right, seq: 1005 }), []);
      assert.deepEqual(peer.say({ ...bare, seq: 1010, flags: ACK | FIN }), []);
      assert.equal(host.rig.dropped.no_socket, 2);
      assert.equal(count(host, COOKIES + Cookie.failed), 7);
      const [echo] = peer.say(right);
      assert.equal(Buffer.from(echo.data).toString(), "hello");
      assert.equal(count(host, Counter.tcpConnections), before + 1);
      assert.equal(count(host, COOKIES + Cookie.accepted), 1);
      // What the SYN said is in the cookie: three ranges of SACK and a window of 100 << 7 bytes work.
      peer.say({ seq: 1010, ack: echo.seq + 5 >>> 0, flags: ACK, data: Buffer.from("!") });
      const [sack] = peer.say({ seq: 1012, ack: echo.seq + 5 >>> 0, flags: ACK, data: Buffer.from("?") });
      assert.equal(sack.options.sacks?.length, 2);
      checkState(host.rig);
    });

    test("a cookie is good for 15 s at least, and not after 30", async () => {
      for (const [seconds, flags] of [[14, 0], [31, RST]] as const) {
        const host = await TcpHost.create({ limits: { connections: 1 } });
        // The only half-open connection that there may be.
        new Peer(host, family, PORTS.discard, 50_000).say({ flags: SYN });
        const peer = new Peer(host, family, PORTS.discard);
        const other = await TcpHost.create({ limits: { connections: 2 } });
        new Peer(other, family, PORTS.discard, 50_000).say({ flags: SYN });
        const late = new Peer(other, family, PORTS.discard);
        assert.deepEqual(peer.say({ seq: 1, flags: SYN }), [], "the limit is reached");
        const [answer] = late.say({ seq: 1, flags: SYN });
        other.sleepTo(other.us + seconds * SECOND);
        other.outputs.splice(0);
        // Cookies are about, which this one is not among after that time.
        new Peer(other, family, PORTS.discard, 50_001).say({ flags: SYN });
        assert.equal(count(other, COOKIES + Cookie.sent), 2);
        const answers = late.say({ seq: 2, ack: answer.seq + 1 >>> 0, flags: ACK });
        assert.deepEqual(answers.map((segment) => segment.flags), flags ? [flags] : []);
      }
    });

    test("a cookie is accepted only if one was sent here within its lifetime, also before a crash", async () => {
      // Two queues with the same secrets: one has a flood and sends cookies, the other one hears of them.
      const [flooded, calm] = await Promise.all([0, 1].map(() => TcpHost.create({ limits: { connections: 2 } })));
      new Peer(flooded, family, PORTS.discard, 50_000).say({ flags: SYN });
      const cookieFor = (port: number) => {
        const [{ flags, seq }] = new Peer(flooded, family, PORTS.discard, port).say({ seq: 1, flags: SYN });
        assert.equal(flags, SYN | ACK);
        return seq;
      };
      const accepts = (port: number, cookie: number) => {
        const before = count(calm, COOKIES + Cookie.accepted);
        const peer = new Peer(calm, family, PORTS.discard, port);
        const answers = peer.say({ seq: 2, ack: cookie + 1 >>> 0, flags: ACK }).map(({ flags }) => flags);
        const accepted = count(calm, COOKIES + Cookie.accepted) - before;
        assert.deepEqual(answers, accepted > 0 ? [] : [RST]);
        if (accepted > 0) peer.say({ seq: 2, flags: RST });
        return accepted > 0;
      };
      const cookie = cookieFor(40_000);
      assert.equal(accepts(40_000, cookie), false, "none was ever sent");
      assert.equal(count(calm, COOKIES + Cookie.failed), 0, "it was not looked at");

      new Peer(calm, family, PORTS.discard, 50_000).say({ flags: SYN });
      new Peer(calm, family, PORTS.discard, 50_001).say({ flags: SYN });
      assert.equal(count(calm, COOKIES + Cookie.sent), 1);
      const sentUs = calm.us;
      assert.equal(accepts(40_000, cookie), true, "one was sent just now");
      calm.rig.linear.recover();
      assert.equal(count(calm, Counter.tcpConnections), 0);
      assert.equal(accepts(40_000, cookie), true, "one was sent before the crash");
      for (const [seconds, expected] of [[29.9, true], [30, false]] as const) {
        for (const host of [flooded, calm]) host.advanceTo(sentUs + seconds * SECOND);
        for (const host of [flooded, calm]) host.outputs.length = 0;
        assert.equal(accepts(41_000, cookieFor(41_000)), expected, `${seconds} s after the last one`);
      }
      checkState(calm.rig);
    });

    test("the SYN-ACK with a cookie has the window of the service", async () => {
      for (const [port, window] of [[PORTS.tarpit, 0], [PORTS.discard, 65535], [PORTS.echo, 65535]] as const) {
        const host = await TcpHost.create({ limits: { connections: 2 } });
        new Peer(host, family, PORTS.discard, 50_000).say({ flags: SYN });
        const peer = new Peer(host, family, port);
        const [cookie] = peer.say({ seq: 0, flags: SYN });
        assert.deepEqual([cookie.window, count(host, COOKIES + Cookie.sent)], [window, 1]);
        // A byte into the window that was told, or a probe of one that is closed.
        const [answer] = peer.say({ seq: 1, ack: cookie.seq + 1 >>> 0, flags: ACK | PSH, data: Buffer.from("x") })
          .concat(peer.wait(0.1).map(({ segment }) => segment));
        assert.equal(answer.ack, window > 0 ? 2 : 1);
        checkState(host.rig);
      }
    });

    test("at its limits, a new connection is left unanswered, and none has to make room for it", async () => {
      const host = await TcpHost.create({ limits: { connections: 64, bySource: 3 } });
      const peers = [0, 1, 2].map((i) => new Peer(host, family, PORTS.echo, 40_000 + i));
      const isns = peers.map((peer) => peer.open(5));
      assert.deepEqual(new Peer(host, family, PORTS.echo, 40_009).say({ flags: SYN }), []);
      assert.equal(host.rig.dropped.tcp_limit, 1);
      for (const [i, peer] of peers.entries()) {
        const [echo] = peer.say({ seq: 6, ack: isns[i] + 1 >>> 0, flags: ACK | PSH, data: Buffer.from("x") });
        assert.equal(Buffer.from(echo.data).toString(), "x");
      }
      peers[0].say({ seq: 7, flags: RST });
      assert.equal(new Peer(host, family, PORTS.echo, 40_009).say({ flags: SYN }).length, 1);
      checkState(host.rig);
    });

    test("an idle peer is asked after two hours, then each 75 s, and given up after nine times (MUST-24, MUST-26, "
      + "MUST-27, MUST-28, MUST-29, SHLD-12)", async () => {
      const host = await TcpHost.create();
      const peer = new Peer(host, family, PORTS.discard);
      const isn = peer.open(0);
      const probes = peer.wait(7200 + 8 * 75 + 60);
      assert.equal(probes.length, 9);
      for (const [i, { after, segment }] of probes.entries()) {
        const due = 7200 + 75 * i;
        assert.ok(after >= due && after < due + 0.001, `${after} s, not ${due}`);
        assert.deepEqual([segment.flags, segment.seq, segment.ack, segment.data.length], [ACK, isn, 1, 0]);
      }
      // An answer in time begins a new spell; without one, it is reset.
      peer.say({ seq: 1, ack: isn + 1 >>> 0, flags: ACK });
      assert.deepEqual(peer.wait(7199), []);
      const [...last] = peer.wait(1 + 9 * 75 + 1).map(({ segment }) => segment.flags);
      assert.deepEqual(last, [...Array.from({ length: 9 }, () => ACK), RST | ACK]);
      assert.equal(count(host, CLOSED + Closed.timed_out), 1);
      checkState(host.rig);
    });

    test("when pongd stops, connections end by FIN behind what there is to send, and new ones are refused "
      + "(SHLD-3)", async () => {
      const host = await TcpHost.create();
      const peer = new Peer(host, family, PORTS.echo);
      const isn = peer.open(0);
      host.rig.linear.drain(Drain.close);
      host.inject();
      const [{ segment: fin }] = peer.wait(0.001);
      assert.deepEqual([fin.flags, fin.seq], [FIN | ACK, isn + 1 >>> 0]);
      assert.equal(new Peer(host, family, PORTS.echo, 40_001).say({ flags: SYN })[0].flags, RST | ACK);
      host.rig.linear.drain(Drain.reset);
      host.inject();
      assert.deepEqual(peer.wait(0.001).map(({ segment }) => segment.flags), [RST | ACK]);
      assert.equal(count(host, CLOSED + Closed.reset), 1);
      checkState(host.rig);
    });

    test("whoever closes first waits a minute for late segments, and a new SYN ends that (MUST-13, MAY-2, "
      + "SHLD-4)", async () => {
      const host = await TcpHost.create();
      const peer = new Peer(host, family, PORTS.echo);
      const isn = peer.open(0);
      host.rig.linear.drain(Drain.close);
      host.inject();
      peer.wait(0.001);
      const fin = { seq: 1, ack: isn + 2 >>> 0, flags: FIN | ACK };
      assert.deepEqual(peer.say(fin).map(({ flags, ack }) => [flags, ack]), [[ACK, 2]]);
      assert.deepEqual([count(host, Counter.tcpConnections), count(host, Counter.tcpTimeWait)], [0, 1]);
      host.rig.linear.drain(Drain.none);
      // FIN again is acknowledged again, and the minute begins anew. An old SYN begins nothing.
      assert.deepEqual(peer.wait(50), []);
      assert.deepEqual(peer.say(fin).map(({ flags, ack }) => [flags, ack]), [[ACK, 2]]);
      assert.deepEqual(peer.wait(50), []);
      assert.deepEqual(peer.say({ seq: 0, flags: SYN }).map(({ flags, ack }) => [flags, ack]), [[ACK, 2]]);
      // RFC 5961 §3: a reset elsewhere ends nothing.
      assert.deepEqual(peer.say({ seq: 100, flags: RST }), []);
      assert.equal(count(host, Counter.tcpTimeWait), 1);
      const [answer] = peer.say({ seq: 70_000, flags: SYN });
      assert.deepEqual([answer.flags, answer.ack], [SYN | ACK, 70_001]);
      assert.ok(answer.seq - (isn + 2) >>> 0 > 65_535, "its numbers are beyond those of the last one");
      assert.deepEqual([count(host, Counter.tcpConnections), count(host, Counter.tcpTimeWait)], [1, 0]);
      peer.say({ seq: 70_001, flags: RST });

      peer.open(200_000);
      host.rig.linear.drain(Drain.close);
      host.inject();
      const [{ segment: second }] = peer.wait(0.001);
      peer.say({ seq: 200_001, ack: second.seq + 1 >>> 0, flags: FIN | ACK });
      assert.equal(count(host, Counter.tcpTimeWait), 1);
      assert.deepEqual(peer.wait(59.9), []);
      assert.equal(count(host, Counter.tcpTimeWait), 1);
      assert.deepEqual(peer.wait(0.2), []);
      assert.equal(count(host, Counter.tcpTimeWait), 0);
      checkState(host.rig);
    });

    test("FIN that comes again in TIME-WAIT begins the two MSL anew, when they are over and in the same record, and "
      + "no other record waits for it (RFC 9293 §3.10.7.4)", async () => {
      const host = await TcpHost.create();
      const peers = [0, 1].map((i) => new Peer(host, family, PORTS.discard, 40_000 + i));
      const isns = peers.map((peer) => peer.open(0));
      host.rig.linear.drain(Drain.close);
      host.inject();
      peers[0].wait(0.001);
      const fin = (i: number) => ({ seq: 1, ack: isns[i] + 2 >>> 0, flags: FIN | ACK });
      const acknowledged = [[ACK, 2]];
      const isAcknowledged = (i: number) => {
        assert.deepEqual(peers[i].say(fin(i)).map(({ flags, ack }) => [flags, ack]), acknowledged);
      };
      isAcknowledged(0);
      assert.deepEqual(peers[0].wait(0.1), []);
      isAcknowledged(1);
      assert.deepEqual([count(host, Counter.tcpTimeWait), stateOf(host.rig).waits], [2, 2]);
      assert.deepEqual(peers[0].wait(49.9), []);
      isAcknowledged(0);
      assert.deepEqual([count(host, Counter.tcpTimeWait), stateOf(host.rig).waits], [2, 2], "no second record");
      // Late data is acknowledged, too, and puts nothing off.
      assert.deepEqual(peers[0].wait(30), []);
      const late = { seq: 0, ack: isns[0] + 2 >>> 0, flags: ACK | PSH, data: Buffer.from("x") };
      assert.deepEqual(peers[0].say(late).map(({ flags, ack }) => [flags, ack]), acknowledged);
      // The other record was behind this one in the ring.
      assert.deepEqual([count(host, Counter.tcpTimeWait), stateOf(host.rig).waits], [1, 1]);
      assert.deepEqual(peers[0].wait(39.8), []);
      isAcknowledged(0);
      checkState(host.rig);
      assert.deepEqual(peers[0].wait(0.3), []);
      assert.equal(stateOf(host.rig).waits, 1, "FIN came again");
      assert.deepEqual(peers[0].wait(59.8), []);
      assert.equal(stateOf(host.rig).waits, 1);
      assert.deepEqual(peers[0].wait(0.2), []);
      assert.equal(stateOf(host.rig).waits, 0);
      host.rig.linear.drain(Drain.none);
      assert.deepEqual(peers[0].say(fin(0)).map(({ flags }) => flags), [RST]);
      checkState(host.rig);
    });

    test("with timestamps, a SYN takes over from TIME-WAIT if its timestamp is later, whatever its number "
      + "(RFC 6191 §2)", async () => {
      const host = await TcpHost.create();
      const peer = new Peer(host, family, PORTS.discard);
      const stamped = (val: number) => ({ options: { mss: 1000, timestamps: { val, ecr: 0 } } });
      const [{ seq: isn }] = peer.say({ seq: 1000, flags: SYN, ...stamped(500) });
      peer.say({ seq: 1001, ack: isn + 1 >>> 0, flags: ACK, ...stamped(501) });
      host.rig.linear.drain(Drain.close);
      host.inject();
      peer.wait(0.001);
      peer.say({ seq: 1001, ack: isn + 2 >>> 0, flags: FIN | ACK, ...stamped(502) });
      host.rig.linear.drain(Drain.none);
      const answers = (seq: number, val: number) => {
        return peer.say({ seq, flags: SYN, ...stamped(val) }).map(({ flags, ack }) => [flags, ack]);
      };
      // An old duplicate, by its timestamp or, with an equal one, by its number.
      assert.deepEqual(answers(1000, 500), [[ACK, 1002]]);
      assert.deepEqual(answers(900_000, 501), [[ACK, 1002]]);
      assert.deepEqual(answers(1000, 502), [[ACK, 1002]]);
      assert.deepEqual([count(host, Counter.tcpTimeWait), count(host, Counter.tcpConnections)], [1, 0]);
      assert.deepEqual(answers(500, 503), [[SYN | ACK, 501]]);
      assert.deepEqual([count(host, Counter.tcpTimeWait), count(host, Counter.tcpConnections)], [0, 1]);
      peer.say({ seq: 501, flags: RST });
      checkState(host.rig);
    });

    test("who never acknowledges the last of it is reset 600 s after FIN, however slowly the rest is "
      + "acknowledged", async () => {
      const host = await TcpHost.create();
      const peer = new Peer(host, family, PORTS.echo);
      const isn = peer.open(0);
      const data = Buffer.alloc(100, "x");
      const [echo] = peer.say({ seq: 1, ack: isn + 1 >>> 0, flags: FIN | ACK | PSH, data });
      assert.deepEqual([echo.flags & FIN, echo.data.length], [FIN, 100]);
      const from = host.us;
      for (let i = 1; i <= 59; i++) {
        for (const { segment } of peer.wait(10)) assert.equal(segment.flags & RST, 0, `after ${10 * i} s`);
        peer.say({ seq: 102, ack: isn + 1 + i >>> 0, flags: ACK });
      }
      const { after } = peer.wait(20).find(({ segment }) => segment.flags & RST) ?? assert.fail("no reset came");
      assert.ok(Math.abs(590 + after - 600) < 0.001, `${590 + after} s`);
      assert.ok(host.us - from > 600 * SECOND);
      assert.deepEqual([count(host, CLOSED + Closed.reset), count(host, Counter.tcpConnections)], [1, 0]);
      checkState(host.rig);
    });

    test("of timers that are due at once, 1024 come in a round, and the others in the next ones", async () => {
      const connections = 3000;
      // Half of all may be half-open, and 2048 at most.
      const host = await TcpHost.create({ limits: { connections: 4096 } });
      const { peer: src, local: dst } = ADDRESSES[family];
      const ends = (i: number) => ({ src, dst, srcPort: 20_000 + i, dstPort: PORTS.discard });
      for (let i = 0; i < connections; i++) {
        host.inject(encode({ ...ends(i), flags: SYN }));
        const { seq } = decode(host.outputs[0].packet);
        host.outputs.length = 0;
        if (i >= 2000) host.inject(encode({ ...ends(i), seq: 1, ack: seq + 1 >>> 0, flags: ACK }));
      }
      assert.deepEqual([stateOf(host.rig).halfOpen, stateOf(host.rig).timers], [2000, connections]);
      // SYN-ACKs are sent again for 31 s. After 63 s in all, the attempts end, without a packet.
      host.advance(62.9 * SECOND);
      host.outputs.length = 0;
      const left = [1, 2].map(() => {
        host.sleepTo(host.us + 0.2 * SECOND);
        return stateOf(host.rig).halfOpen;
      });
      assert.deepEqual(left, [2000 - 1024, 0]);
      assert.equal(count(host, CLOSED + Closed.half_open), 2000);
      assert.deepEqual([stateOf(host.rig).connections, stateOf(host.rig).timers], [1000, 1000]);
      assert.deepEqual(host.take(), []);
      checkState(host.rig);
    });

    test("segments have the TTL of their prefix, whatever they belong to (MUST-49)", async () => {
      const host = await TcpHost.create({ policy: { ttl: 37 }, limits: { connections: 4 } });
      const seen = new Map<string, number>();
      const look = (what: string, [segment]: readonly Segment[]) => {
        seen.set(what, segment.ttl);
        assert.equal(segment.tos, 0, what);
        return segment;
      };
      const peer = new Peer(host, family, PORTS.echo);
      const { seq: isn } = look("SYN-ACK", peer.say({ seq: 0, flags: SYN, tos: 0x48, ttl: 200 }));
      const ack = isn + 1 >>> 0;
      look("data", peer.say({ seq: 1, ack, flags: ACK | PSH, data: Buffer.from("x"), tos: 0x48, ttl: 200 }));
      look("acknowledgement", peer.say({ seq: 1, ack: ack + 1 >>> 0, flags: ACK | PSH, data: Buffer.from("x") }));
      look("reset", new Peer(host, family, PORTS.refuse).say({ seq: 0, flags: SYN }));
      for (let i = 1; i <= 2; i++) new Peer(host, family, PORTS.echo, 50_000 + i).say({ seq: 0, flags: SYN });
      look("cookie", new Peer(host, family, PORTS.echo, 50_003).say({ seq: 0, flags: SYN }));
      assert.equal(count(host, COOKIES + Cookie.sent), 1);
      host.rig.linear.drain(Drain.close);
      host.inject();
      look("FIN", peer.wait(0.001).map(({ segment }) => segment));
      look("end", peer.say({ seq: 2, ack: ack + 2 >>> 0, flags: FIN | ACK }));
      look("TIME-WAIT", peer.say({ seq: 2, ack: ack + 2 >>> 0, flags: FIN | ACK }));
      assert.equal(count(host, Counter.tcpTimeWait), 1);
      assert.deepEqual([...seen].filter(([, ttl]) => ttl !== 37), []);
      checkState(host.rig);
    });

    test("SYNs that come again do not put off the end of an attempt, and get two answers a second", async () => {
      const host = await TcpHost.create();
      const peer = new Peer(host, family, PORTS.echo);
      let answers = peer.say({ flags: SYN }).length;
      for (let i = 0; i < 20; i++) {
        answers += peer.say({ flags: SYN }).length;
        answers += peer.wait(0.05).length;
      }
      // One more after a second by itself.
      assert.ok(answers >= 2 && answers <= 4, `${answers} answers in a second`);
      let seconds = 1;
      for (; count(host, CLOSED + Closed.half_open) === 0 && seconds < 200; seconds += 5) {
        peer.say({ flags: SYN });
        peer.wait(5);
      }
      assert.ok(seconds < 75, `${seconds} s`);
      new Peer(host, family, PORTS.echo).say({ seq: 1, flags: RST });
      checkState(host.rig);
    });

    test("a letter from another queue makes a connection's segments shorter, if they are in flight", async () => {
      const host = await TcpHost.create();
      const peer = new Peer(host, family, PORTS.chargen);
      const [{ seq: isn }] = peer.say({ seq: 0, flags: SYN, options: { mss: 1400 } });
      const [first] = peer.say({ seq: 1, ack: isn + 1 >>> 0, flags: ACK });
      assert.equal(first.data.length, 1400);
      const { words, bytes } = host.rig;
      const write = (seq: number) => {
        const { peer: src, local: dst } = ADDRESSES[family];
        bytes.fill(0, INBOX, INBOX + LETTER_SIZE);
        bytes.set(src, INBOX);
        bytes.set(dst, INBOX + src.length);
        new DataView(bytes.buffer).setUint16(INBOX + LETTER_PORTS, 40_000);
        new DataView(bytes.buffer).setUint16(INBOX + LETTER_PORTS + 2, PORTS.chargen);
        words[(INBOX + LETTER_SEQ) / 4] = seq;
        words[(INBOX + LETTER_MTU) / 4] = 1300;
        words[(INBOX + LETTER_FAMILY) / 4] = family;
        words[INBOX_COUNT / 4] = 1;
      };
      // Letters are read when the next packet comes that is not answered at once.
      const other = new Peer(host, family, PORTS.silent);
      write(isn + 1 + 1e6 >>> 0);
      assert.deepEqual(other.say({ flags: SYN }), []);
      write(isn + 1 >>> 0);
      const [again] = other.say({ flags: SYN });
      assert.deepEqual([again.seq, again.data.length], [isn + 1 >>> 0, 1300 - (family === 4 ? 40 : 60)]);
      peer.say({ seq: 1, flags: RST });
      checkState(host.rig);
    });

    test("what finds no slot in a round goes out in the next ones", async () => {
      const host = await TcpHost.create();
      const { peer: src, local: dst } = ADDRESSES[family];
      const ends = Array.from({ length: 60 }, (_, i) => ({ src, dst, srcPort: 30_000 + i, dstPort: PORTS.chargen }));
      const syn = { flags: SYN, window: 65535, options: { mss: 500 } };
      // Half-open connections are few here, so they open by halves.
      for (const half of [ends.slice(0, 30), ends.slice(30)]) {
        host.inject(...half.map((each) => encode({ ...each, ...syn })));
        const answers = host.outputs.splice(0).map(({ packet }) => decode(packet));
        host.inject(...answers.map(({ seq, srcPort, dstPort }) =>
          encode({ src, dst, srcPort: dstPort, dstPort: srcPort, seq: 1, ack: seq + 1 >>> 0, flags: ACK, window: 0 })));
        host.outputs.length = 0;
      }
      const isns = new Map<number, number>();
      const asker = new Peer(host, family, PORTS.discard, 40_000);
      const ack = asker.open(0) + 1 >>> 0;
      // Between two probes, so that no other timer is due.
      host.advance(2 * SECOND);
      for (const { packet } of host.outputs.splice(0)) {
        const { dstPort, seq } = decode(packet);
        isns.set(dstPort, Math.min(isns.get(dstPort) ?? Infinity, seq));
      }
      assert.equal(isns.size, 60);
      host.inject(...ends.map((each) =>
        encode({ ...each, seq: 1, ack: isns.get(each.srcPort) ?? 0, flags: ACK, window: 65535 })),
      encode({
        src, dst, srcPort: 40_000, dstPort: PORTS.discard, seq: 1, ack, flags: ACK | PSH, data: Buffer.from("x"),
      }));
      const atOnce = host.outputs.splice(0).length;
      assert.ok(atOnce < 500, `${atOnce} at once`);
      host.advance(1000);
      assert.equal(atOnce + host.outputs.splice(0).length, 600 + 1, "ten segments each (RFC 6928), and an ACK");
      asker.say({ seq: 2, flags: RST });
      host.inject(...ends.map((each) => encode({ ...each, seq: 1, flags: RST })));
      host.outputs.length = 0;
      checkState(host.rig);
    });

    test("what a service cannot take of what came early comes again", async () => {
      const big = { name: "big", kind: Service.reply, bytes: Buffer.alloc(300_000, "x"), after: Buffer.from("\n") };
      const host = await TcpHost.create({ ports: [{ first: 80, last: 80, service: big }] });
      const peer = new Peer(host, family, 80);
      const isn = peer.open(0, { mss: 1000, sackPermitted: true });
      const ack = isn + 1 >>> 0;
      const [early] = peer.say({ seq: 2, ack, flags: ACK, data: Buffer.from("\n".repeat(10)) });
      assert.deepEqual([early.ack, early.options.sacks?.length], [1, 1]);
      peer.say({ seq: 20, ack, flags: ACK, data: Buffer.from("x") });
      const answers = peer.say({ seq: 1, ack, flags: ACK, data: Buffer.from("\n") });
      // Four replies are more than a mebibyte: the other seven requests have to wait.
      assert.deepEqual([answers[0].ack, answers[0].options.sacks], [5, undefined]);
      peer.say({ seq: 5, flags: RST });
      checkState(host.rig);
    });

    test("ECN: data is ECN-capable, a mark is echoed until CWR, and an echo is answered by CWR (SHLD-8)", async () => {
      const host = await TcpHost.create();
      const peer = new Peer(host, family, PORTS.echo);
      const [answer] = peer.say({ seq: 0, flags: SYN | ECE | CWR, options: { mss: 1000 } });
      assert.equal(answer.flags, SYN | ACK | ECE);
      let ack = answer.seq + 1 >>> 0;
      const ask = (seq: number, rest: Partial<Sent> = {}) => {
        const [echo] = peer.say({ seq, ack, flags: ACK | PSH, data: Buffer.from("x"), tos: 2, ...rest });
        ack = echo.seq + 1 >>> 0;
        return [echo.flags & (ECE | CWR), echo.tos & 3];
      };
      assert.deepEqual(ask(1), [0, 2]);
      assert.deepEqual(ask(2, { tos: 3 }), [ECE, 2]);
      assert.deepEqual(ask(3), [ECE, 2]);
      assert.deepEqual(ask(4, { flags: ACK | PSH | CWR }), [0, 2]);
      assert.deepEqual(ask(5, { flags: ACK | PSH | ECE }), [CWR, 2]);
      assert.deepEqual(ask(6), [0, 2]);
      peer.say({ seq: 7, flags: RST });
      checkState(host.rig);
    });

    test("with offload, many segments are one packet, which the kernel cuts and sums", async () => {
      const host = await TcpHost.create({ offload: OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 });
      const { peer: src, local: dst } = ADDRESSES[family];
      const ends = { src, dst, srcPort: 40_000, dstPort: PORTS.chargen };
      const { rig } = host;
      const ipLen = family === 4 ? 20 : 40;
      host.inject(encode({ ...ends, seq: 0, flags: SYN, window: 65535, options: { mss: 1000 } }));
      const view = new DataView(host.outputs[0].packet.slice().buffer);
      const isn = view.getUint32(ipLen + 4);
      host.outputs.length = 0;
      host.inject(encode({ ...ends, seq: 1, ack: isn + 1 >>> 0, flags: ACK, window: 65535 }));
      assert.equal(host.outputs.length, 1);
      assert.equal(host.outputs[0].packet.length, ipLen + 20 + 10 * 1000);
      const at = rig.slots.toSend(0);
      const header = new DataView(rig.bytes.slice(at - 10, at).buffer);
      assert.deepEqual(
        [header.getUint8(0), header.getUint8(1), ...[2, 4, 6, 8].map((i) => header.getUint16(i, true))],
        [1, family === 4 ? 1 : 4, ipLen + 20, 1000, ipLen, 16],
      );
    });

    test("of many segments in one packet, the last is a short one only if it is the last of the data", async () => {
      const host = await TcpHost.create({ offload: OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 });
      const { peer: src, local: dst } = ADDRESSES[family];
      const headers = (family === 4 ? 20 : 40) + 20;
      /** Opens a connection, and returns what this segment is answered by: bytes of payload, packet by packet. */
      const answers = (dstPort: number, window: number, data?: Uint8Array) => {
        const ends = { src, dst, srcPort: 40_000, dstPort, window };
        host.inject(encode({ ...ends, seq: 0, flags: SYN, options: { mss: 1000 } }));
        const [{ packet }] = host.outputs.splice(0);
        const ack = new DataView(packet.slice().buffer).getUint32(headers - 20 + 4) + 1 >>> 0;
        host.inject(encode({ ...ends, seq: 1, ack, flags: ACK }), ...(data ? [0, 1000, 2000] : []).map((from) => {
          return encode({ ...ends, seq: 1 + from, ack, flags: ACK, data: data?.subarray(from, from + 1000) });
        }));
        return host.outputs.splice(0).map((output) => output.packet.length - headers);
      };
      assert.deepEqual(answers(PORTS.chargen, 2500), [2000], "half a segment more has room");
      assert.deepEqual(answers(PORTS.echo, 65535, new Uint8Array(2500)), [2500]);
    });

    test("a connection goes on with the prefix that its address has now, and ends where it has none", async () => {
      const host = await TcpHost.create({ reloadable: true });
      const peer = new Peer(host, family, PORTS.echo);
      const isn = peer.open(0);
      const serve = (prefixes: readonly string[], answers = {}) => {
        const indices = prefixes.map((_, i) => 7 + i);
        const hosts = [HOST, HOST6].map(parseAddress);
        host.rig.linear.serve(tableOf(serving(prefixes.map(parsePrefix), answers), { hosts, indices }));
        host.inject();
      };
      /** Connections of the prefixes that there were first, and of those that a table has here. */
      const owned = () => [0, 1, 7, 8, 9].filter((index) => host.rig.words[PREFIX_CONNECTIONS / 4 + index] === 1);
      assert.deepEqual(owned(), [family === 4 ? 0 : 1]);
      serve(["10.99.1.0/24", "fd99::1:0/112"], { tcp: { ports: [] } });
      assert.deepEqual(peer.wait(1), []);
      assert.deepEqual(owned(), [family === 4 ? 7 : 8]);
      const data = { seq: 1, ack: isn + 1 >>> 0, flags: ACK | PSH, data: Buffer.from("still here") };
      assert.equal(Buffer.from(peer.say(data)[0].data).toString(), "still here");
      peer.say({ seq: 11, ack: isn + 11 >>> 0, flags: ACK });
      serve(["10.98.0.0/16", "fd98::/64"]);
      const ends = peer.wait(6);
      assert.deepEqual([ends[0].segment.flags, ends.at(-1)?.segment.flags], [FIN | ACK, RST | ACK]);
      assert.equal(count(host, Counter.tcpConnections), 0);

      const served = ["10.99.0.0/16", "fd99::/64"];
      serve(served, { tcp: { ports: SERVICES } });
      peer.open(1000);
      serve(["192.0.2.0/24", ...served], { tcp: undefined });
      const [fin] = peer.wait(0.001);
      assert.equal(fin.segment.flags, FIN | ACK, "a prefix that answers no TCP any more");
      assert.deepEqual(owned(), []);
      assert.deepEqual(peer.wait(6).at(-1)?.segment.flags, RST | ACK);
      checkState(host.rig);
    });
  });
}
