/**
 * Runs clients of TCP that mean no harm against every service, over a path on which nothing is lost. So nothing has to
 * come twice, or out of order.
 *
 *   curl, ab, h2load, wrk, socat, ncat, python3 ── Linux ── pong0 ── pongd
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { needs, sum } from "../support/netns.js";
import { LARGE, TCP_RECORDERS, TcpSession } from "../support/tcpsession.js";

const ECHOED = 1 << 20;
const UPLOADED = 4 << 20;

/** Reads as much of chargen as is asked for, and compares it with RFC 864's pattern: 72 of 95 characters a line. */
const DOWNLOAD = `
import socket, sys
wanted = int(sys.argv[2])
ring = bytes(range(32, 127)) * 2
lines = b"".join(ring[i:i + 72] + b"\\r\\n" for i in range(95))
expected = (lines * (wanted // len(lines) + 1))[:wanted]
got = bytearray()
with socket.create_connection((sys.argv[1], 19), timeout=60) as s:
    while len(got) < wanted:
        got += s.recv(min(1 << 16, wanted - len(got)))
print("same" if got == expected else "other")
`;

/** Sends as much to discard, and waits for the end of the connection, by which all of it has been taken. */
const UPLOAD = `
import socket, sys
with socket.create_connection((sys.argv[1], 9), timeout=60) as s:
    s.sendall(bytes(int(sys.argv[2])))
    s.shutdown(socket.SHUT_WR)
    print(s.recv(1))
`;

/** What the clients' kernel counts when something is lost, comes twice or out of order, or is no good. */
const TROUBLE = [
  "TcpRetransSegs", "TcpInErrs", "TcpAttemptFails", "TcpExtTCPTimeouts", "TcpExtTCPSpuriousRTOs",
  "TcpExtTCPLostRetransmit", "TcpExtTCPFastRetrans", "TcpExtTCPDSACKRecv", "TcpExtTCPDSACKOfoRecv",
  "TcpExtTCPOFOQueue", "TcpExtPAWSEstab", "TcpExtTCPSYNChallenge", "TcpExtTCPChallengeACK", "TcpExtTCPAbortOnTimeout",
];

/** Fields of tcptrace's for what the clients sent. */
const TRACED = ["rexmt_data_pkts_a2b", "outoforder_pkts_a2b", "hardware_dups_a2b"];

const SESSIONS = [
  // Packets that are not finished have partial checksums, and are far longer than what is recorded of them.
  { what: "TUN, offload", args: ["--offload", "auto"], offload: true, sack: true, snapLen: 128 },
  { what: "TUN, no offload", args: ["--offload", "off"], offload: false, sack: false, snapLen: 1600 },
  { what: "TAP, offload", args: ["--mode", "tap", "--offload", "auto"], offload: true, sack: false, snapLen: 128 },
];

for (const { what, args, offload, sack, snapLen } of SESSIONS) {
  describe(`TCP: ${what}`, needs(...TCP_RECORDERS, "ab", "h2load", "wrk", "socat", "ncat", "cmp", "python3"), () => {
    let session: TcpSession;
    const ok = (command: string, ...all: string[]) => session.ns.ok(command, ...all);
    before(async () => { session = await TcpSession.open({ sack, packets: 20_000, snapLen }, ...args); });
    after(() => { session.clean(); });

    for (const [family, address] of [["IPv4", "10.99.1.1"], ["IPv6", "fd99::1:1"]]) {
      const host = family === "IPv4" ? address : `[${address}]`;

      test(`${family}: curl gets a reply of each of fifty addresses`, async () => {
        const urls = Array.from(
          { length: 50 }, (_, i) => family === "IPv4" ? `http://10.99.5.${i}/` : `http://[fd99::5:${i}]/`,
        );
        assert.equal(await ok("curl", "-gsSf", ...urls), "ok\n".repeat(50));
        assert.equal((await ok("curl", "-gsSf", `http://${host}:81/`)).length, LARGE);
      });

      test(`${family}: ab and h2load count no request that failed`, async () => {
        const said = await ok("ab", "-q", "-k", "-n", "500", "-c", "10", `http://${host}/`);
        for (const line of ["Complete requests: +500", "Failed requests: +0", "Keep-Alive requests: +500"]) {
          assert.match(said, new RegExp(`^${line}$`, "m"));
        }
        // Each connection has ten requests under way.
        assert.match(
          await ok("h2load", "--h1", "-n", "500", "-c", "10", "-m", "10", `http://${host}/`),
          /^requests: 500 total, 500 started, 500 done, 500 succeeded, 0 failed, 0 errored, 0 timeout\nstatus codes: 500 2xx/m,
        );
      });

      test(`${family}: socat gets back all that it sent, also what comes after its own end`, async () => {
        const file = session.file("random");
        writeFileSync(file, randomBytes(ECHOED));
        const script = "socat -t 60 - TCP:\"$0\":7 <\"$1\" | cmp - \"$1\" && echo the same";
        assert.equal(await ok("sh", "-c", script, host, file), "the same\n");
      });

      test(`${family}: ncat reads a banner, and has its line sent back`, async () => {
        assert.equal(
          await ok("sh", "-c", "ncat \"$0\" 22 </dev/null", address), "SSH-2.0-OpenSSH_9.6\r\n",
        );
        assert.equal(await ok("sh", "-c", "echo hello | ncat \"$0\" 7", address), "hello\n");
      });

      test(`${family}: a download of chargen has its pattern, and an upload to discard arrives`, async () => {
        assert.equal(await ok("python3", "-c", DOWNLOAD, address, String(ECHOED)), "same\n");
        const taken = async () =>
          (await session.pongd.metrics()).get("pongd_tcp_bytes_total{direction=\"in\",queue=\"0\"}") ?? NaN;
        const start = await taken();
        assert.equal(await ok("python3", "-c", UPLOAD, address, String(UPLOADED)), "b''\n");
        assert.equal(await taken() - start, UPLOADED);
      });
    }

    if (what === "TUN, offload") test("wrk has no errors on 32 connections", async () => {
      const said = await ok("wrk", "-t", "1", "-c", "32", "-d", "1", "http://10.99.1.1/");
      assert.match(said, /^ +[1-9]\d* requests in /m);
      assert.doesNotMatch(said, /Socket errors|Non-2xx/);
    });

    test("afterwards tshark, tcptrace and the kernel find nothing lost, doubled, disordered or malformed", async () => {
      const kernel = await session.kernel();
      const metrics = await session.stop();
      for (const name of TROUBLE) assert.ok(kernel.has(name), `${name} is a counter`);
      const seen = TROUBLE.map((name) => [name, kernel.get(name)]);
      assert.deepEqual(seen, TROUBLE.map((name) => [name, 0]));
      // A client that has ended answers a tail loss probe, and its connection is gone by then.
      if (!sack) assert.equal(sum(metrics, "pongd_tcp_resets_sent_total"), 0);
      const retransmitted = sum(metrics, "pongd_tcp_retransmitted_segments_total");
      // Tail loss probes alone, none of which was needed.
      assert.equal(retransmitted, sack ? kernel.get("TcpExtTCPDSACKOldSent") : 0);
      const { packets, faults } = await session.judge(
        "tcp.analysis.lost_segment", "tcp.analysis.ack_lost_segment",
        ...sack ? [] : ["tcp.analysis.retransmission", "tcp.analysis.out_of_order"],
        ...offload ? [] : ["ip.checksum.status", "tcp.checksum.status"],
      );
      assert.ok(packets > 1000, `${packets} packets`);
      assert.deepEqual(faults, []);
      const traced = await session.trace(...TRACED, ...sack ? [] : TRACED.map((field) => field.replace("a2b", "b2a")));
      assert.ok(traced.connections > 100, `${traced.connections} connections`);
      assert.deepEqual(traced.faults, []);
    });
  });
}
