/** Tests connections that a service thread opens: RFC 9293 §3.10.1, §3.10.7.3; scripts as in test/vectors/tcp/. */
import "../support/process.js";
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ATTEMPT_FAILS, Closed, CLOSED, Counter } from "../../abi/counters.js";
import { MacPolicy } from "../../abi/control.js";
import {
  Drain, INBOX, INBOX_COUNT, LETTER_SEQ, LETTER_SIZE, OUTBOX, OUTBOX_COUNT, PAGE_SIZE,
} from "../../abi/tcp.js";
import {
  ORDERED, STREAM_WISHES, STREAMS, THREAD_STATE, THREADS, ThreadState, Unopened, WISH_SHUT,
} from "../../abi/streams.js";
import { tableOf } from "../../src/engine/table.js";
import { parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { addr6 } from "../support/ipv6.js";
import { Listener, LOCAL_PORT, OpenRig } from "../support/openrig.js";
import { addr } from "../support/packets.js";
import { decode } from "../support/tcp.js";
import { ADDRESSES, type Family, type HostOptions } from "../support/tcphost.js";
import type { Row } from "../support/tcpscript.js";
import { alive } from "../vectors/tcp/rows.js";

/** The first SYN asks for ECN. */
const SYN = "SEW 0:0(0) win 65535 <mss MSS,sackOK,TS val 0 ecr 0,wscale 7>";
const AGAIN = "S 0:0(0) win 65535 <mss MSS,sackOK,TS val * ecr 0,wscale 7>";
const SENT: Row = [0, ">", SYN];
/** Seconds from each SYN to the next. */
const GAPS = [1, 2, 4, 8, 16, 32, 64];

interface Options extends HostOptions {
  /** True if the thread does not hear what becomes of its attempts. */
  readonly isDeaf?: boolean;
}

function each(
  name: string, run: (rig: OpenRig, family: Family) => void, { isDeaf = false, ...options }: Options = {},
): void {
  for (const family of [4, 6] as const) {
    test(`IPv${family}: ${name}`, async () => {
      const rig = await OpenRig.create(family, options);
      run(rig, family);
      rig.turn();
      rig.isEmpty(rig.host.rig.linear.counters[Counter.tcpTimeWait]);
      if (!isDeaf) rig.isCounted();
    });
  }
}

/** Ends a connection that is open by a reset of the peer's. */
function reset(rig: OpenRig, seq = 1): void {
  rig.play([0, "<", `R ${seq}:${seq}(0)`]);
}

describe("a connection that is opened", () => {
  each("sends a SYN with all options, from the address that was given, and is open when it is answered (MUST-43, "
    + "MUST-44)", (rig) => {
    const listener = rig.ask();
    rig.play(SENT, [0.05, "-"]);
    assert.deepEqual(listener.heard, []);
    rig.play(
      [0.05, "<", "S. 0:0(0) ack 1 win 1000 <mss 1000,sackOK,TS val 100 ecr last,wscale 3>"],
      [0, ">", ". 1:1(0) ack 1 win 2048 <TS val 100 ecr 100>"],
    );
    assert.deepEqual(listener.heard, ["opened"]);
    const ends = listener.stream?.ends;
    assert.ok(ends);
    assert.equal(ends.localPort, LOCAL_PORT);
    assert.deepEqual(ends.remoteAddress, ADDRESSES[rig.family].peer);
    listener.stream?.write(Buffer.from("hello"));
    rig.turn();
    rig.play(
      [0, ">", "P. 1:6(5) ack 1 <TS val 100 ecr 100> \"hello\""],
      [0, "<", "P. 1:4(3) ack 6 <TS val 100 ecr last> \"you\""],
    );
    assert.deepEqual(listener.heard, ["opened", "\"you\""]);
    listener.stream?.shut();
    rig.turn();
    rig.play(
      [0, ">", "F. 6:6(0) ack 4"], [0, "<", "F. 4:4(0) ack 7 <TS val 101 ecr last>"], [0, ">", ". 7:7(0) ack 5"],
    );
    assert.deepEqual(listener.heard.slice(2), ["finished", `ended ${Closed.closed}`]);
  });

  each("has nothing that the peer has not agreed to, and its window is not scaled", (rig) => {
    const listener = rig.ask();
    rig.play(SENT, [0, "<", "S. 0:0(0) ack 1 win 10"], [0, ">", ". 1:1(0) ack 1 win 65535 <>"]);
    listener.stream?.write(Buffer.from("0123456789more"));
    rig.turn();
    rig.play([0, ">", "p. 1:11(10) ack 1 <> \"0123456789\""]);
    reset(rig);
    assert.deepEqual(listener.heard, ["opened", `ended ${Closed.reset_by_peer}`]);
  });

  each("takes data and FIN that come with the answer", (rig) => {
    const listener = rig.ask();
    rig.play(SENT, [0, "<", "SF. 0:2(2) ack 1 <mss 1000> \"hi\""], [0, ">", ". 1:1(0) ack 4"]);
    assert.deepEqual(listener.heard, ["opened", "\"hi\"", "finished"]);
    listener.stream?.shut();
    rig.turn();
    rig.play([0, ">", "F. 1:1(0) ack 4"], [0, "<", ". 4:4(0) ack 2"]);
  });

  each("is ECN-capable if the peer is", (rig) => {
    const listener = rig.ask();
    rig.play(SENT, [0, "<", "SE. 0:0(0) ack 1 <mss 1000>"], [0, ">", ". 1:1(0) ack 1"]);
    listener.stream?.write(Buffer.from("x"));
    rig.turn();
    rig.play([0, ">", "P. 1:2(1) ack 1 {tos 2} \"x\""]);
    reset(rig);
  });

  each("asks for no ECN with its later SYNs, and then has none", (rig) => {
    const listener = rig.ask();
    rig.play(SENT, [1, ">", AGAIN], [0, "<", "SE. 0:0(0) ack 1 <mss 1000>"], [0, ">", ". 1:1(0) ack 1"]);
    listener.stream?.write(Buffer.from("x"));
    rig.turn();
    // RFC 6298 §5.7: no round-trip time is known.
    rig.play([0, ">", "P. 1:2(1) ack 1 {tos 0} \"x\""], [3, ">", "P. 1:2(1) ack 1 \"x\""]);
    reset(rig);
  });

  each("repeats its SYN, for more than three minutes, and then gives up (MUST-23)", (rig) => {
    const listener = rig.ask();
    rig.play(SENT, ...GAPS.map((gap): Row => [gap, ">", AGAIN]));
    rig.play([127.99, "-"]);
    assert.deepEqual(listener.heard, []);
    rig.play([0.02, "-"]);
    assert.deepEqual(listener.heard, ["timed_out"]);
    const { counters } = rig.host.rig.linear;
    assert.equal(counters[Counter.tcpRetransmitted], 7);
    assert.equal(counters[CLOSED + Closed.half_open], 1);
    // Nobody is told.
    rig.play([0, "<", "S. 0:0(0) ack 1"], [0, ">", "R 1:1(0)"]);
  });

  each("that nobody wants any more is forgotten without a word (RFC 9293 §3.10.4)", (rig) => {
    const listener = rig.ask();
    rig.play(SENT);
    listener.opening?.giveUp();
    rig.turn();
    rig.isEmpty();
    assert.equal(rig.host.rig.linear.counters[ATTEMPT_FAILS + Unopened.given_up], 1);
    rig.play([300, "-"]);
    assert.deepEqual(listener.heard, []);
  });

  each("that is closed before it is answered is forgotten, too (RFC 9293 §3.10.4)", (rig) => {
    const listener = rig.ask();
    rig.play(SENT);
    rig.words[(rig.words[STREAMS / 4] + STREAM_WISHES) / 4] = WISH_SHUT;
    listener.opening?.giveUp();
    rig.turn();
    rig.isEmpty();
  });

  each("that nobody wants before the packet loop has looked is never begun", (rig) => {
    const listener = rig.ask(1, { remotePort: 9 });
    rig.host.take();
    listener.opening?.giveUp();
    const second = new Listener();
    const { local, peerPort } = rig.player.flow(1);
    const { peer } = ADDRESSES[rig.family];
    const target = { localAddress: local, localPort: 1, remoteAddress: peer, remotePort: peerPort };
    rig.port.connect(target, second).giveUp();
    rig.turn();
    rig.host.take();
    rig.isEmpty();
    assert.deepEqual([...listener.heard, ...second.heard], []);
  });
});

describe("in SYN-SENT", () => {
  each("a RST that acknowledges the SYN refuses, and another does nothing (RFC 5961 §3)", (rig) => {
    const listener = rig.ask();
    rig.play(
      SENT, [0, "<", "R 0:0(0)"], [0, "<", "R. 0:0(0) ack 2"], [0, "<", "R. 0:0(0) ack 0"], [0.5, "-"],
      [0.5, ">", AGAIN],
    );
    assert.deepEqual(listener.heard, []);
    rig.play([0, "<", "R. 0:0(0) ack 1"]);
    assert.deepEqual(listener.heard, ["refused"]);
  });

  each("an acknowledgement of something else is answered by a reset, and the attempt goes on", (rig) => {
    const listener = rig.ask();
    rig.play(
      SENT, [0, "<", ". 100:100(0) ack 77"], [0, ">", "R 77:77(0)"], [0, "<", "S. 0:0(0) ack 2"], [0, ">", "R 2:2(0)"],
      [0, "<", "S. 0:0(0) ack 0"], [0, ">", "R 0:0(0)"], [1, ">", AGAIN],
      [0, "<", "S. 0:0(0) ack 1"], [0, ">", ". 1:1(0) ack 1"],
    );
    assert.deepEqual(listener.heard, ["opened"]);
    reset(rig);
  });

  each("what has no SYN is dropped", (rig) => {
    const listener = rig.ask();
    rig.play(
      SENT, [0, "<", ". 1:1(0) ack 1"], [0, "<", "F. 1:1(0) ack 1"], [0, "<", "- 1:1(0)"], [0, "<", "SF 0:0(0)"],
      [1, ">", AGAIN],
    );
    assert.deepEqual(listener.heard, []);
    rig.play([0, "<", "R. 0:0(0) ack 1"]);
  });

  for (const [what, why, families] of [
    ["port_unreachable", "refused", [4, 6]], ["protocol_unreachable", "refused", [4]],
  ] as const) {
    for (const family of families) test(`IPv${family}: ${what} ends the attempt (SHLD-26)`, async () => {
      const rig = await OpenRig.create(family);
      const listener = rig.ask();
      rig.play(SENT, [0, "<", `icmp ${what} about 1:1(0)`]);
      assert.deepEqual(listener.heard, [], "it is about what is not in flight (RFC 5927 §4.1)");
      rig.play([0, "<", `icmp ${what} about 0:0(0)`]);
      assert.deepEqual(listener.heard, [why]);
      rig.isEmpty();
    });
  }

  for (const [what, why] of [
    ["net_unreachable", "net_unreachable"], ["host_unreachable", "host_unreachable"],
    ["time_exceeded", "host_unreachable"], ["parameter_problem", "host_unreachable"],
  ] as const) {
    each(`${what} does not end the attempt, and says in the end why it was in vain (MUST-56)`, (rig) => {
      const listener = rig.ask();
      rig.play(SENT, [0, "<", `icmp ${what} about 0:0(0)`], ...GAPS.map((gap): Row => [gap, ">", AGAIN]), [129, "-"]);
      assert.deepEqual(listener.heard, [why]);
    });
  }

  each("an error may come to another queue, which hands it on", (rig, family) => {
    const listener = rig.ask();
    rig.play(SENT);
    const { words } = rig;
    // As it comes to a queue that has no such connection, after which this one has its letter.
    const about = rig.player.packet("icmp port_unreachable about 0:0(0)");
    rig.host.inject(about.slice(0, family === 4 ? 40 : 60));
    assert.equal(words[OUTBOX_COUNT / 4], 0, "it is too short");
    const flow = rig.player.flow(1);
    const isn = flow.isn ?? 0;
    flow.isn = isn + 9 >>> 0;
    rig.host.inject(rig.player.packet("icmp port_unreachable about 0:0(0)"));
    flow.isn = isn;
    assert.equal(words[OUTBOX_COUNT / 4], 1);
    words.copyWithin(INBOX / 4, OUTBOX / 4, (OUTBOX + LETTER_SIZE) / 4);
    words[OUTBOX_COUNT / 4] = 0;
    words[(INBOX + LETTER_SEQ) / 4] = isn;
    words[INBOX_COUNT / 4] = 1;
    // Letters are read with the next packet, or what is due.
    rig.host.inject(rig.player.packet("R 0:0(0)"));
    rig.turn();
    assert.deepEqual(listener.heard, ["refused"]);
  });

  each("a router's error does not matter once the connection is established (RFC 5927 §5.2)", (rig) => {
    const listener = rig.ask();
    rig.play(
      SENT, [0, "<", "icmp host_unreachable about 0:0(0)"], [0, "<", "S. 0:0(0) ack 1"], [0, ">", ". 1:1(0) ack 1"],
    );
    listener.stream?.write(Buffer.from("x"));
    rig.turn();
    rig.play([0, ">", "P. 1:2(1) ack 1 \"x\""], [0, "<", "icmp port_unreachable about 1:2(1)"], ...alive(1, 2));
    reset(rig);
    assert.deepEqual(listener.heard, ["opened", `ended ${Closed.reset_by_peer}`]);
  });
});

describe("when both sides open at once", () => {
  const CROSSED: readonly Row[] = [
    SENT, [0, "<", "S 0:0(0) win 1000 <mss 1000,sackOK,wscale 2>"],
    [0, ">", "S. 0:0(0) ack 1 win 65535 <mss MSS,sackOK,wscale 7>"],
  ];

  each("the SYN-ACKs cross, and there is one connection (MUST-10)", (rig) => {
    const listener = rig.ask();
    rig.play(...CROSSED);
    assert.deepEqual(listener.heard, []);
    rig.play([0, "<", "S. 0:0(0) ack 1 win 1000 <mss 1000,sackOK,wscale 2>"], [0, ">", ". 1:1(0) ack 1"]);
    assert.deepEqual(listener.heard, ["opened"]);
    listener.stream?.write(Buffer.alloc(1200, 1));
    rig.turn();
    // The window of a SYN-ACK is not scaled.
    rig.play([0, "~", `p. 1:1001(1000) ack 1 ${JSON.stringify(Buffer.alloc(1000, 1).toString())}`]);
    reset(rig);
  });

  each("an ACK alone is enough, with its data (MUST-10)", (rig) => {
    const listener = rig.ask();
    rig.play(...CROSSED, [0, "<", "P. 1:3(2) ack 1 \"hi\""], [0.002, ">", ". 1:1(0) ack 3"]);
    assert.deepEqual(listener.heard, ["opened", "\"hi\""]);
    reset(rig, 3);
  });

  each("a SYN-ACK that is lost is sent again, for as long as a SYN (MUST-10, MUST-23)", (rig) => {
    const listener = rig.ask();
    rig.play(...CROSSED, ...GAPS.map((gap): Row => [gap, ">", "S. 0:0(0) ack 1"]), [127.99, "-"]);
    assert.deepEqual(listener.heard, []);
    rig.play([0.02, "-"]);
    assert.deepEqual(listener.heard, ["timed_out"]);
  });

  each("a RST refuses, and one beside the next number does not (MUST-11)", (rig) => {
    const listener = rig.ask();
    rig.play(...CROSSED, [0, "<", "R 2:2(0)"], [0, ">", "S. 0:0(0) ack 1"]);
    assert.deepEqual(listener.heard, []);
    rig.play([0, "<", "R 1:1(0)"]);
    assert.deepEqual(listener.heard, ["refused"]);
  });

  each("whoever gives up then sends a RST", (rig) => {
    const listener = rig.ask();
    rig.play(...CROSSED);
    listener.opening?.giveUp();
    rig.turn();
    rig.play([0, ">", "R. 1:1(0) ack 1"]);
  });
});

describe("no connection is opened", () => {
  for (const [family, addresses] of [
    [4, [
      "0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "10.99.1.1",
      "10.99.2.2",
    ].map((text) => addr(text))],
    [6, ["::", "::1", "ff02::1", "ff0e::1", "::ffff:10.0.0.1", "fd99::1:1", "fd99::1:2"].map((text) => addr6(text))],
  ] as const) {
    test(`IPv${family}: to where no single host is, or pongd itself (MUST-46)`, async () => {
      const rig = await OpenRig.create(family);
      for (const remoteAddress of addresses) assert.deepEqual(rig.ask(1, { remoteAddress }).heard, ["no_destination"]);
      assert.deepEqual(rig.ask(1, { remotePort: 0 }).heard, ["no_destination"]);
      assert.deepEqual(rig.host.take(), []);
      rig.isEmpty();
    });
  }

  each("from an address that is not served, or the host's own (MUST-44)", (rig, family) => {
    const others = family === 4
      ? ["198.51.100.9", "10.99.0.1"].map((text) => addr(text))
      : ["2001:db8::9", "fd99::1"].map((text) => addr6(text));
    for (const localAddress of others) assert.deepEqual(rig.ask(1, { localAddress }).heard, ["no_address"]);
    assert.deepEqual(rig.host.take(), []);
  });

  each("with the ends of one that there is, or that waits in TIME-WAIT", (rig) => {
    const listener = rig.ask();
    rig.play(SENT);
    assert.deepEqual(rig.ask().heard, ["in_use"]);
    rig.play([0, "<", "S. 0:0(0) ack 1"], [0, ">", ". 1:1(0) ack 1"]);
    listener.stream?.shut();
    rig.turn();
    rig.play([0, ">", "F. 1:1(0) ack 1"], [0, "<", "F. 1:1(0) ack 2"], [0, ">", ". 2:2(0) ack 2"]);
    assert.deepEqual(rig.ask().heard, ["in_use"]);
    rig.play([61, "-"]);
    rig.player.forget();
    assert.deepEqual(rig.ask().heard, []);
    rig.play([0, "~", SYN.replace("TS val 0", "TS val *")], [0, "<", "R. 0:0(0) ack 1"]);
  });

  each("when there is no room, or pongd stops", (rig) => {
    rig.ask();
    const second = rig.ask(2);
    assert.deepEqual(rig.ask(3).heard, ["no_room"]);
    rig.host.take();
    rig.host.rig.linear.drain(Drain.close);
    rig.turn();
    rig.host.advance(1000);
    rig.turn();
    assert.deepEqual(second.heard, ["ended"]);
    assert.deepEqual(rig.ask().heard, ["ended"]);
    assert.deepEqual(rig.host.take(), []);
  }, { limits: { connections: 2 } });
});

describe("a local port", () => {
  each("is chosen if none is given, another one each time, and each end has its own row (RFC 6056)", (rig) => {
    const portsTo = (remotePort: number) => Array.from({ length: 20 }, () => {
      rig.ask(1, { localPort: 0, remotePort });
      return decode(rig.host.take()[0].packet).srcPort;
    });
    const rows = [portsTo(80), portsTo(81)];
    for (const row of rows) {
      assert.equal(new Set(row).size, 20);
      for (const port of row) assert.ok(port >= 32_768, `${port}`);
      assert.ok(row.every((port, i) => i === 0 || (port - row[i - 1] & 32_767) === 1), "a count goes on");
    }
    assert.notEqual(rows[1][0] - rows[0][0] & 32_767, 20, "not from where the other end's row is");
    rig.host.rig.linear.drain(Drain.reset);
    rig.turn();
    rig.host.advance(1000);
    rig.turn();
    assert.deepEqual(rig.host.take(), []);
  });

  each("that is in use is passed over, and there is an end to that", (rig) => {
    const localPort = () => decode(rig.host.take()[0].packet).srcPort;
    rig.ask(1, { localPort: 0 });
    const first = localPort();
    for (let i = 0; i < 300; i++) {
      rig.ask(1, { localPort: 32_768 + ((first - 32_768 + 1 + i) % 32_768) });
      rig.host.take();
    }
    assert.deepEqual(rig.ask(1, { localPort: 0 }).heard, ["no_port"]);
    assert.deepEqual(rig.ask(1, { localPort: 0 }).heard, []);
    assert.equal(localPort(), 32_768 + ((first - 32_768 + 301) % 32_768));
    rig.host.rig.linear.drain(Drain.reset);
    rig.turn();
    rig.host.advance(1000);
    rig.turn();
  }, { limits: { connections: 512 } });
});

describe("a service thread", () => {
  test("hears of what it has asked for, whichever thread's turn it is", async () => {
    const rig = await OpenRig.create(4, {}, 1);
    const listener = rig.ask();
    rig.play(SENT, [0, "<", "S. 0:0(0) ack 1"], [0, ">", ". 1:1(0) ack 1"]);
    assert.deepEqual(listener.heard, ["opened"]);
    reset(rig);
    rig.isEmpty();
  });

  test("does not sleep while an answer waits", async () => {
    const rig = await OpenRig.create(4);
    rig.ask(1, { remotePort: 0 });
    assert.ok(rig.port.doze());
    const listener = new Listener();
    const { local } = rig.player.flow(1);
    rig.port.connect({ localAddress: local, localPort: 0, remoteAddress: local, remotePort: 1 }, listener);
    rig.port.flush();
    assert.ok(rig.port.doze());
    rig.host.inject();
    assert.equal(rig.port.doze(), false);
    rig.turn();
    assert.ok(rig.port.doze());
    assert.deepEqual(listener.heard, ["no_destination"]);
  });
});

describe("connections that are being opened", () => {
  each("go with the service thread", (rig) => {
    const listener = rig.ask();
    rig.ask(2);
    rig.host.take();
    rig.words[(THREADS + THREAD_STATE) / 4] = ThreadState.gone;
    const { local } = rig.player.flow(3);
    const { peer } = ADDRESSES[rig.family];
    const last = { localAddress: local, localPort: 1, remoteAddress: peer, remotePort: 2 };
    rig.port.connect(last, listener);
    rig.port.flush();
    for (let i = 0; i < 2; i++) {
      rig.words[ORDERED / 4] = 1;
      rig.host.inject();
    }
    assert.deepEqual(rig.host.take(), [], "its last words open nothing");
    rig.host.advance(1000);
    assert.deepEqual(rig.host.take(), []);
    assert.equal(rig.words[(THREADS + THREAD_STATE) / 4], ThreadState.ended);
    rig.port.connect(last, listener);
    rig.port.flush();
    rig.host.inject();
    assert.deepEqual(rig.host.take(), []);
    rig.host.rig.linear.recover();
    rig.port.turn();
  }, { isDeaf: true });

  each("are lost when the packet loop crashes", (rig) => {
    const listeners = [rig.ask(1), rig.ask(2)];
    rig.host.take();
    rig.host.rig.linear.recover();
    rig.turn();
    assert.deepEqual(listeners.map(({ heard }) => heard), [["ended"], ["ended"]]);
    rig.ask(3);
    rig.play([0, ">", `@3 ${SYN}`], [0, "<", "@3 R. 0:0(0) ack 1"]);
  });

  each("end when the address is not served any more, and others go on", (rig, family) => {
    const gone = rig.ask();
    const local = family === 4 ? addr("10.98.1.1") : addr6("fd98::1");
    const stays = rig.ask(2, { localAddress: local });
    rig.host.take();
    const served = serving(["10.98.0.0/16", "fd98::/64"].map(parsePrefix));
    rig.host.rig.linear.serve(tableOf(served, { hosts: [] }));
    rig.turn();
    rig.host.advance(1000);
    rig.turn();
    assert.deepEqual([gone.heard, stays.heard], [["ended"], []]);
    stays.opening?.giveUp();
    rig.turn();
    assert.deepEqual(rig.host.take(), []);
  }, { reloadable: true, prefixes: ["10.99.0.0/16", "10.98.0.0/16", "fd99::/64", "fd98::/64"] });

  each("need no port that answers", (rig) => {
    const listener = rig.ask();
    rig.play(SENT, [0, "<", "S. 0:0(0) ack 1"], [0, ">", ". 1:1(0) ack 1"], [0, "<", "@2 S 0:0(0)"]);
    assert.deepEqual(listener.heard, ["opened"]);
    // Another table, by which all connections are looked at.
    const served = serving(["10.99.0.0/16", "fd99::/64"].map(parsePrefix), { tcp: undefined });
    rig.host.rig.linear.serve(tableOf(served, { hosts: [] }));
    rig.turn();
    rig.host.advance(1e6);
    rig.turn();
    assert.deepEqual(rig.host.take(), []);
    assert.deepEqual(listener.heard, ["opened"]);
    reset(rig);
  }, { policy: { tcp: undefined }, reloadable: true });

  each("do not count against the limit of their peer, as one that comes does", (rig) => {
    rig.ask(1);
    rig.ask(2);
    rig.host.take();
    rig.host.inject(rig.player.packet("@3 S 0:0(0)"));
    assert.equal(rig.host.take().length, 1);
    rig.host.rig.linear.drain(Drain.reset);
    rig.turn();
    rig.host.advance(1000);
    rig.turn();
    rig.host.take();
  }, { limits: { bySource: 1 } });

  each("a request that a thread spoils does no harm", (rig) => {
    const random = (seed: number) => Math.imul(seed, 0x9e37_79b1) >>> 8;
    rig.ask(1, { localPort: 0 });
    for (let i = 0; i < 300; i++) {
      const page = rig.port.page();
      if (page === 0) break;
      for (let word = 0; word < 12; word++) rig.words[page / 4 + word] = random(12 * i + word + 1);
      if (i % 2) rig.words[page / 4 + 1] = i % 4 < 2 ? 4 : 6;
      for (const offset of [0, 0, 8, PAGE_SIZE]) rig.port.order(page + offset | 0, 2);
      rig.turn();
    }
    rig.host.rig.linear.drain(Drain.reset);
    rig.turn();
    rig.host.advance(1000);
    rig.turn();
    rig.host.take();
  }, { isDeaf: true });
});

describe("in TAP mode", () => {
  const link = { policy: MacPolicy.per_address, address: Uint8Array.from([2, 0, 0, 0, 0, 1]) };
  const device = Uint8Array.from([0x5e, 1, 2, 3, 4, 5]);

  each("a SYN goes to the device's own MAC address, from that of the local one", (rig, family) => {
    assert.deepEqual(rig.ask(1).heard, ["no_link"]);
    rig.host.rig.linear.deviceMac = device;
    const listener = rig.ask(1);
    const [{ packet: frame }] = rig.host.take();
    const own = family === 4 ? [2, 0x70, ...addr("10.99.1.1")] : [2, 0x76];
    assert.deepEqual([...frame.subarray(0, 6)], [...device]);
    assert.deepEqual([...frame.subarray(6, 6 + own.length)], own);
    assert.deepEqual([...frame.subarray(12, 14)], family === 4 ? [8, 0] : [0x86, 0xdd]);
    const syn = decode(frame.subarray(14));
    assert.equal(syn.dstPort, rig.player.flow(1).peerPort);
    listener.opening?.giveUp();
  }, { link });
});
