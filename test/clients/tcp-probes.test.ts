/**
 * Runs programs against pongd's TCP that send what no honest client sends, and look at what comes back: scanners,
 * makers of single segments, and one that keeps connections open as long as it can.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { needs, sum } from "../support/netns.js";
import { TCP_RECORDERS, TcpSession } from "../support/tcpsession.js";

/** Connections of each of slowhttptest's attacks, and its time in seconds. */
const [SLOW, SLOW_SECONDS] = [100, 2];
const HOSTS = [["IPv4", "10.99.1.1"], ["IPv6", "fd99::1:1", "-6"]] as const;
const [OPEN, CLOSED, SILENT] = ["22", "443", "100"];

/** Flags by their option of hping3, and what comes back from a port that is open and from one that is closed. */
const SEGMENTS: readonly (readonly [flags: readonly string[], open: string, closed: string])[] = [
  // RFC 9293 §3.10.7.1 for a closed port, §3.10.7.2 for one that listens.
  [["-S"], "SA", "RA"],
  [["-A"], "R", "R"],
  [["-S", "-A"], "R", "R"],
  [["-F"], "nothing", "RA"],
  [["-F", "-A"], "R", "R"],
  [["-F", "-P", "-U"], "nothing", "RA"],
  [[], "nothing", "RA"],
  [["-X"], "nothing", "RA"],
  [["-R"], "nothing", "nothing"],
];

describe("TCP, probed", needs(
  ...TCP_RECORDERS, "hping3", "nmap", "tcptraceroute", "tcp6", "slowhttptest",
), () => {
  let session: TcpSession;
  const ok = (command: string, ...args: string[]) => session.ns.ok(command, ...args);
  before(async () => {
    session = await TcpSession.open({ sack: true, packets: 10_000, snapLen: 1600 }, "--offload", "off");
  });
  after(() => { session.clean(); });

  test("hping3: what comes back from ports that are open, closed and silent is what RFC 9293 says", async () => {
    // All at once: each waits a second. An address for each keeps their answers apart.
    const answers = await Promise.all(SEGMENTS.map(([flags], i) => Promise.all([OPEN, CLOSED, SILENT].map(
      async (port) => {
        const { stdout } = await session.ns.run("hping3", "-n", "-c", "1", ...flags, "-p", port, `10.99.${Number(port) % 256}.${i + 1}`);
        return / flags=(\w+) /.exec(stdout)?.[1] ?? "nothing";
      },
    ))));
    assert.deepEqual(
      answers.map((each, i) => [SEGMENTS[i][0], ...each]),
      SEGMENTS.map(([flags, open, closed]) => [flags, open, closed, "nothing"]),
    );
  });

  for (const [family, address, ...options] of HOSTS) {
    test(`${family}: nmap tells ports that are open, closed and filtered apart`, async () => {
      for (const scan of ["-sS", "-sT"]) {
        const said = await ok("nmap", ...options, "-n", "-Pn", scan, "-p", "7,9,19,22,23,80,100,443", address);
        const states = [...said.matchAll(/^(\d+)\/tcp +(\w+)/gm)].map(([, port, state]) => `${port} ${state}`);
        assert.deepEqual(states, [
          "7 open", "9 open", "19 open", "22 open", "23 open", "80 open", "100 filtered", "443 closed",
        ]);
      }
    });
  }

  test("nmap -sA finds no port filtered but the silent one", async () => {
    const said = await ok("nmap", "-n", "-Pn", "-sA", "-p", "22,100,443", "10.99.1.1");
    const states = [...said.matchAll(/^(\d+)\/tcp +(\w+)/gm)].map(([, port, state]) => `${port} ${state}`);
    assert.deepEqual(states, ["22 unfiltered", "100 filtered", "443 unfiltered"]);
  });

  test("nmap -sV knows a service by its banner", async () => {
    assert.match(
      await ok("nmap", "-n", "-Pn", "-sV", "--version-light", "-p", OPEN, "10.99.1.1"),
      /^22\/tcp open +ssh +OpenSSH 9\.6 \(protocol 2\.0\)$/m,
    );
  });

  test("nmap -O has answered what a host answers, and finds no sequence number easy to guess", async () => {
    const said = await ok(
      "nmap", "-n", "-Pn", "-O", "-v", "-d", "--max-os-tries", "1", "-p", `${OPEN},${CLOSED}`, "10.99.1.1",
    );
    const print = [...said.matchAll(/^OS:(.*)$/gm)].map(([, part]) => part).join("");
    // The open port answers SYN (ECN, T1) and ACK (T4), not what has no flags (T2) or SYN with FIN (T3); the closed one
    // answers everything (T5 to T7).
    const answered = [...print.matchAll(/(ECN|T\d)\(R=([YN])/g)].map(([, probe, answer]) => `${probe} ${answer}`);
    assert.deepEqual(answered, ["ECN Y", "T1 Y", "T2 N", "T3 N", "T4 Y", "T5 Y", "T6 Y", "T7 Y"]);
    // The windows of its six SYNs' answers, none of which is closed.
    assert.match(print, /\)WIN\(W1=FFFF%W2=FFFF%W3=FFFF%W4=FFFF%W5=FFFF%W6=FFFF\)/);
    assert.match(said, /^TCP Sequence Prediction: Difficulty=\d+ \(Good luck!\)$/m);
    assert.match(said, /^IP ID Sequence Generation: All zeros$/m);
  });

  test("tcptraceroute ends at the first hop, whether the port is open or closed", async () => {
    for (const [port, state] of [[OPEN, "open"], [CLOSED, "closed"]]) {
      assert.match(
        await ok("tcptraceroute", "-n", "-m", "3", "-q", "1", "10.99.1.1", port),
        new RegExp(`^ 1  10\\.99\\.1\\.1 \\[${state}\\]  [\\d.]+ ms$`, "m"),
      );
    }
  });

  test("tcp6: a closed port resets all but what is a reset itself, and a silent one says nothing", async () => {
    const before = await session.pongd.metrics();
    const segments = [
      [CLOSED, "S"], [CLOSED, "FSPU"], [CLOSED, "A", "-P", "500"], [CLOSED, "FSRPAU"], [CLOSED, "R"], [SILENT, "S"],
    ];
    for (const [port, flags, ...args] of segments) {
      await ok(
        "tcp6", "-i", "pong0", "-s", "fd99::1", "-d", "fd99::1:1", "-o", "4321", "-a", port, "-X", flags, ...args,
      );
    }
    const received = (metrics: Map<string, number>) => sum(metrics, "pongd_packets_received_total");
    const after = await session.pongd.until((metrics) => received(metrics) >= received(before) + segments.length);
    const resets = (metrics: Map<string, number>) => sum(metrics, "pongd_tcp_resets_sent_total");
    assert.equal(resets(after) - resets(before), 3);
  });

  test("slowhttptest: no more connections are held than it opens, and curl is answered meanwhile", async () => {
    const common = ["-c", String(SLOW), "-r", String(SLOW), "-l", String(SLOW_SECONDS), "-i", "1", "-p", "5"];
    let running = 0;
    const attacks = [["-H", "-u", "http://10.99.1.1/"], [
      "-X", "-w", "1", "-y", "2", "-n", "1", "-z", "1", "-k", "3", "-u", "http://10.99.1.1:81/",
    ]].map(async (mode) => {
      running++;
      const { stdout } = await session.ns.run("slowhttptest", ...common, ...mode);
      running--;
      return stdout;
    });
    let most = 0;
    for (let asked = 0; running > 0 || asked === 0; asked++) {
      assert.equal(await ok("curl", "-sSf", "-m", "60", "http://10.99.2.2/"), "ok\n");
      const metrics = await session.pongd.metrics();
      most = Math.max(most, sum(metrics, "pongd_tcp_connections"));
    }
    for (const said of await Promise.all(attacks)) assert.match(said, /Hit test time limit/);
    assert.ok(most > SLOW / 2, `${most} connections`);
    // Each attack also asks by itself whether the service is available.
    assert.ok(most <= 2 * SLOW + 4, `${most} connections`);
    const left = await session.pongd.until((metrics) => sum(metrics, "pongd_tcp_connections")
      === sum(metrics, "pongd_tcp_time_wait"));
    assert.equal(sum(left, "pongd_tcp_memory_bytes"), 0);
  });

  test("afterwards tshark finds nothing malformed and no checksum wrong in what pongd sent", async () => {
    await session.stop();
    const { packets, faults } = await session.judge("ip.checksum.status", "tcp.checksum.status");
    assert.ok(packets > 100, `${packets} packets`);
    assert.deepEqual(faults, []);
  });
});
