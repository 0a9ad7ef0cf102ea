/** Sends S-BFD control packets from a program that knows nothing of pongd's code; tshark examines the replies. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { addUp, ended, needs, Netns, Pongd, said } from "../support/netns.js";

const execute = promisify(execFile);

const PACKETS = 20;

/** An initiator, RFC 7880 and RFC 5880 §4.1: sends packets to ADDRESS, each once the one before has come back. */
const INITIATOR = `
import socket, struct, sys
address, count = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.bind(("", 49152))
s.connect((address, 7784))
for i in range(count):
    s.send(struct.pack("!BBBB5I", 0x20, 0x42, 3, 24, 0x01020300 + i, 0x0a63c807, 50000, 0, 0))
    assert len(s.recv(70000)) == 24
`;

for (const mode of ["tun", "tap"]) {
  describe(`S-BFD: ${mode}`, needs("python3", "tcpdump", "tshark"), () => {
    const dir = mkdtempSync(join(tmpdir(), "pongd-sbfd-"));
    const capture = join(dir, "capture");
    let ns: Netns;
    let pongd: Pongd;
    before(async () => {
      ns = await Netns.open();
      pongd = await Pongd.start(ns, "10.99.0.0/16", "fd99::/64", "--mode", mode, "--udp", "7784=sbfd");
    });
    after(async () => {
      await ns.close();
      rmSync(dir, { recursive: true });
    });

    test("SB-1: an initiator is answered from port 7784, and tshark reads what it should in the replies", async () => {
      const tcpdump = ns.spawn(
        "tcpdump", "-i", "pong0", "-n", "--immediate-mode", "-Z", "root", "-B", "65536", "-s", "2048",
        "-c", String(4 * PACKETS), "-w", capture, "udp port 7784",
      );
      const captured = ended(tcpdump);
      await said(tcpdump.stderr, /listening on/);
      for (const address of ["10.99.200.7", "fd99::abcd"]) {
        await ns.ok("python3", "-c", INITIATOR, address, String(PACKETS));
      }
      await captured;
      const { stdout } = await execute("tshark", [
        "-r", capture, "-n", "-d", "udp.port==7784,bfd", "-o", "udp.check_checksum:TRUE",
        "-o", "ip.check_checksum:TRUE", "-Y", "udp.srcport == 7784 && bfd.flags.d == 0", "-T", "fields",
        ...[
          "ip.ttl", "ipv6.hlim", "udp.dstport", "udp.checksum.status", "bfd.sta", "bfd.my_discriminator",
          "bfd.your_discriminator", "bfd.detect_time_multiplier", "bfd.desired_min_tx_interval",
          "bfd.required_min_rx_interval", "_ws.malformed", "_ws.expert",
        ].flatMap((field) => ["-e", field]),
      ]);
      const lines = stdout.split("\n").filter(Boolean);
      assert.deepEqual(lines, ["255\t", "\t255"].flatMap((ttl) => Array.from({ length: PACKETS }, (_, i) =>
        `${ttl}\t49152\t1\t0x03\t0x0a63c807\t0x010203${i.toString(16).padStart(2, "0")}\t3\t50000\t1000\t\t`)));
    });

    test("each packet is counted once", async () => {
      const metrics = await pongd.metrics();
      addUp(metrics);
      assert.equal(metrics.get("pongd_replies_total{protocol=\"sbfd\",queue=\"0\"}"), 2 * PACKETS);
      assert.equal((await pongd.stop()).status, 0);
    });
  });
}
