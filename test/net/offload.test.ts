/**
 * Tests offload through real devices: packets from this host whose checksums are partial, the probe at the start, what
 * the kernel cuts, and what becomes of a packet that it refuses.
 */
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { IO_NAMES } from "../../src/io/contract.js";
import { source } from "../support/assembly.js";
import { ended, needs, Netns, Pongd, said } from "../support/netns.js";

/** Sends a datagram from a connected socket, and says what came back. */
const DATAGRAM = `
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.connect((sys.argv[1], 9))
s.send(b"x" * 333)
try:
    s.recv(1)
except ConnectionRefusedError:
    print("refused")
`;

for (const mode of ["tun", "tap"]) for (const io of IO_NAMES) {
  describe(`offload, ${mode}, ${io}`, needs("ping", "python3", "tcpdump"), () => {
    let ns: Netns;
    before(async () => { ns = await Netns.open(); });
    after(() => ns.close());

    test("pings are answered, and UDP to a port where nobody listens is refused, with a quote that the kernel takes for "
      + "its own", async () => {
      const pongd = await Pongd.start(
        ns, "10.99.0.0/16", "fd99::/64", "--mode", mode, "--io", io, "--offload", "on",
      );
      for (const address of ["10.99.1.1", "fd99::1:1"]) {
        await ns.pings(3, address);
        await ns.pings(3, "-s", "4000", address);
        assert.equal(await ns.ok("python3", "-c", DATAGRAM, address), "refused\n");
      }
      const metrics = await pongd.metrics();
      assert.equal(metrics.get("pongd_offload{queue=\"0\"}"), 1);
      assert.equal(metrics.get("pongd_offload_refused_packets_total{queue=\"0\"}"), 0);
      assert.equal(metrics.get("pongd_packets_dropped_total{reason=\"udp_csum\",queue=\"0\"}"), 0);
      assert.equal(metrics.get("pongd_write_errors_total{queue=\"0\"}"), 0);
      const { status, stderr } = await pongd.stop();
      assert.equal(status, 0);
      assert.equal(stderr, "");
    });

    test("the kernel takes the probes and a packet to cut; of one that it refuses, every segment arrives, and once",
      async () => {
        const offer = ns.spawn(process.execPath, source("build/test/support/offer.js"), io, mode);
        const lines = createInterface(offer.stdout);
        const [ready] = await once(lines, "line") as [string];
        assert.equal(ready, "ready");
        // The buffer of a capture has room for 8 packets of the usual snapshot length.
        const capture = ns.spawn(
          "tcpdump", "-i", "pong0", "-s", "16384", "-nn", "-S", "-vv", "-c", "12", "--immediate-mode",
          "tcp and src 10.99.1.1",
        );
        let seen = "";
        capture.stdout.on("data", (chunk) => { seen += String(chunk); });
        await said(capture.stderr, /listening/);
        const captured = ended(capture);
        offer.stdin.write("\n");
        const [counted] = await once(lines, "line") as [string];
        assert.deepEqual(
          JSON.parse(counted), { offload: 15, refused: null, left: 0, writeErrors: 0, offloadRefused: 1 },
        );
        await captured;
        offer.stdin.end("\n");
        const lengths = Array.from({ length: 11 }, (_, i) => [200_000 + 1000 * i, i === 10 ? 1 : 1000]);
        const found = [...seen.matchAll(/Flags \[(.*?)\], cksum \S+ \((\S+?)[ )].*?seq (\d+):\d+,.*length (\d+)/g)];
        assert.deepEqual(
          found.map(([, flags, , sequence, length]) => [flags, Number(sequence), Number(length)]),
          [["P.", 100_000, 10_001], ...lengths.map(([at, length], i) => [i === 10 ? "P." : ".", at, length])],
        );
        assert.deepEqual(new Set(found.slice(1).map(([, , sum]) => sum)), new Set(["correct"]));
      });
  });
}
