/** Tests PROBE (RFC 8335) through a device: the kernel's raw sockets send queries, and get the replies. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { addUp, needs, Netns, Pongd } from "../support/netns.js";
import { addr } from "../support/packets.js";
import { byAddress, byIndex, byName, object, probe4, probe6, type ProbeOptions } from "../support/probe.js";

/**
 * Sends messages of ICMP, each in hexadecimal, to an address, and prints the reply to the last one: its source, TTL or
 * hop limit, and itself. The kernel makes ICMPv6's checksum.
 */
const CLIENT = `
import socket, sys
address, *messages = sys.argv[1:]
six = ":" in address
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW, 58 if six else 1)
s.settimeout(30)
if six: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
for message in messages: s.sendto(bytes.fromhex(message), (address, 0))
while True:
    packet, control, _, sender = s.recvmsg(65535, 64)
    ttl = control[0][2][0] if six else packet[8]
    message = packet if six else packet[20:]
    if message[0] in (43, 161):
        print(sender[0], ttl, message.hex())
        break
`;

const L = 1;
const [A, IPV4, IPV6] = [4, 2, 1];
const [REACHABLE] = [2 << 5];

for (const mode of ["tun", "tap"]) {
  describe(`PROBE, ${mode}`, needs("python3"), () => {
    let ns: Netns;
    let pongd: Pongd;
    const dir = mkdtempSync(join(tmpdir(), "pongd-probe-"));
    before(async () => {
      ns = await Netns.open();
      const config = join(dir, "pongd.yaml");
      writeFileSync(config, [
        "interfaces:", "  - { name: eth0, index: 2, address: 192.0.2.1 }", "  - { name: eth1, active: false }",
        "  - { name: tunnel0, ipv6: false }", "  - { name: twin }", "  - { name: twin }",
        "  - { address: 192.0.2.2, neighbor: reachable }",
        "prefixes: [10.99.0.0/16, \"fd99::/64\", { prefix: 10.98.0.0/16, interfaces: [{ index: 9 }] }]", "",
      ].join("\n"));
      pongd = await Pongd.start(ns, "--config", config, "--mode", mode);
    });
    after(async () => {
      await ns.close();
      rmSync(dir, { recursive: true });
    });

    /** Asks, and returns the reply's code, state and TTL. All else in it is as RFC 8335 §4 has it. */
    const ask = async (address: string, queried: Uint8Array, options: ProbeOptions = {}, before: string[] = []) => {
      const six = address.includes(":");
      const query = Buffer.from(six ? probe6(queried, options).slice(40) : probe4(queried, options).slice(20));
      const said = await ns.ok("python3", "-c", CLIENT, address, ...before, query.toString("hex"));
      const [from, ttl, hex] = said.trim().split(" ");
      const reply = Buffer.from(hex, "hex");
      assert.equal(from, address);
      const expected = Buffer.from(query);
      expected.set([six ? 161 : 43, reply[1]]);
      expected[7] = reply[7];
      // The kernel has checked it.
      reply.copy(expected, 2, 2, 4);
      assert.deepEqual(reply, expected);
      return [reply[1], reply[7], Number(ttl)];
    };

    test("PR-1: queries by name, index and address are answered over both families", async () => {
      for (const address of ["10.99.1.2", "fd99::7"]) {
        for (const [queried, code, state] of [
          [byName("eth0"), 0, A | IPV4 | IPV6], [byIndex(2), 0, A | IPV4 | IPV6],
          [byAddress(1, addr("192.0.2.1")), 0, A | IPV4 | IPV6], [byName("eth1"), 0, 0],
          [byName("tunnel0"), 0, A | IPV4], [byName("eth7"), 2, 0], [byName("twin"), 4, 0],
          [object(9, new Uint8Array(4)), 1, 0],
        ] as const) {
          assert.deepEqual(await ask(address, queried), [code, state, 255], `${address} ${queried.join()}`);
        }
        assert.deepEqual(await ask(address, byAddress(1, addr("192.0.2.2")), { flags: 0 }), [0, REACHABLE, 255]);
        assert.deepEqual(await ask(address, byAddress(1, addr("192.0.2.3")), { flags: 0 }), [3, 0, 255]);
      }
    });

    test("PR-1: a prefix answers about interfaces of its own, and no queries of another kind", async () => {
      const ignored = Buffer.from(probe4(byName("eth0"), { flags: L }).slice(20)).toString("hex");
      assert.deepEqual(await ask("10.98.1.2", byIndex(9), {}, [ignored]), [0, A | IPV4 | IPV6, 255]);
      assert.deepEqual(await ask("10.98.1.2", byIndex(2)), [2, 0, 255]);
      const metrics = await pongd.metrics();
      assert.equal(metrics.get("pongd_packets_dropped_total{reason=\"icmp_probe_ignored\",queue=\"0\"}"), 1);
      addUp(metrics);
      assert.equal((await pongd.stop()).status, 0);
    });
  });
}
