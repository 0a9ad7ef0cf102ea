/**
 * Sends STAMP packets from a program that knows nothing of pongd's code, and compares the times in the replies with its
 * own: both have the same clock. tshark examines the replies.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { IO_NAMES } from "../../src/io/contract.js";
import { addUp, ended, needs, Netns, Pongd, said } from "../support/netns.js";

const execute = promisify(execFile);

const PACKETS = 200;

/**
 * A sender, RFC 8762 §4.2: sends packets to ADDRESS, each once the one before has come back, and prints the times T1 to
 * T4 in ns since 1970, a line for each packet. 64 bits of NTP's era 0 are 2^-32 s.
 */
const SENDER = `
import socket, struct, sys, time
address, count = sys.argv[1], int(sys.argv[2])
EPOCH = 2208988800
def ntp(ns): return (ns // 10**9 + EPOCH) << 32 | (ns % 10**9 << 32) // 10**9
def unix(t): return (t >> 32) * 10**9 - EPOCH * 10**9 + ((t & 0xffffffff) * 10**9 + (1 << 32) - 1 >> 32)
s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.connect((address, 862))
for i in range(count):
    rest = bytes(i)
    t1 = time.time_ns()
    sent = struct.pack("!IQHH28x", i, ntp(t1), 0xbeef, 0x1234) + rest
    s.send(sent)
    reply = s.recv(70000)
    t4 = time.time_ns()
    seq, t3, ee, ssid, t2, theirs, t1back, eeback, zero, ttl = struct.unpack("!IQHHQIQHHB3x", reply[:44])
    assert (seq, ssid, theirs, t1back, eeback, zero, ttl) == (i, 0x1234, i, ntp(t1), 0xbeef, 0, 64), reply.hex()
    assert ee & 0xff, "a multiplier of 0"
    assert reply[44:] == rest
    print(t1, unix(t2), unix(t3), t4)
`;

for (const mode of ["tun", "tap"]) {
  for (const io of IO_NAMES) {
    describe(`STAMP: ${mode}, ${io}`, needs("python3", "tcpdump", "tshark"), () => {
      const dir = mkdtempSync(join(tmpdir(), "pongd-stamp-"));
      const capture = join(dir, "capture");
      let ns: Netns;
      let pongd: Pongd;
      before(async () => {
        ns = await Netns.open();
        pongd = await Pongd.start(
          ns, "10.99.0.0/16", "fd99::/64", "--mode", mode, "--io", io, "--udp", "862=stamp",
          "--source-rate-limit", "1000000",
        );
      });
      after(async () => {
        await ns.close();
        rmSync(dir, { recursive: true });
      });

      test("the times lie between those of the sender, in order", async () => {
        const tcpdump = ns.spawn(
          "tcpdump", "-i", "pong0", "-n", "--immediate-mode", "-Z", "root", "-B", "65536", "-s", "2048",
          "-c", String(4 * PACKETS), "-w", capture, "udp port 862",
        );
        const captured = ended(tcpdump);
        await said(tcpdump.stderr, /listening on/);
        for (const address of ["10.99.200.7", "fd99::abcd"]) {
          const lines = (await ns.ok("python3", "-c", SENDER, address, String(PACKETS))).trim().split("\n");
          assert.equal(lines.length, PACKETS);
          for (const line of lines) {
            const times = line.split(" ").map(BigInt);
            assert.deepEqual([...times].sort((a, b) => a < b ? -1 : 1), times, line);
          }
        }
        await captured;
      });

      test("tshark finds no fault in the replies", async () => {
        const { stdout } = await execute("tshark", [
          "-r", capture, "-n", "-d", "udp.port==862,twamp.test", "-o", "udp.check_checksum:TRUE",
          "-o", "ip.check_checksum:TRUE", "-Y", "udp.srcport == 862", "-T", "fields",
          ...["ip.ttl", "ipv6.hlim", "udp.checksum.status", "twamp.test.sender_ttl", "_ws.malformed", "_ws.expert"]
            .flatMap((field) => ["-e", field]),
        ]);
        const lines = stdout.split("\n").filter(Boolean);
        const [four, six] = ["255\t\t1\t64\t\t", "\t255\t1\t64\t\t"];
        assert.deepEqual(lines, [...new Array<string>(PACKETS).fill(four), ...new Array<string>(PACKETS).fill(six)]);
      });

      test("each packet is counted once", async () => {
        const metrics = await pongd.metrics();
        addUp(metrics);
        assert.equal(metrics.get("pongd_replies_total{protocol=\"stamp\",queue=\"0\"}"), 2 * PACKETS);
        assert.equal((await pongd.stop()).status, 0);
      });
    });
  }
}
