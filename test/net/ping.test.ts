/**
 * Runs real clients against a real device, in a namespace of its own:
 *
 *   ping, fping, hping3 ── host 10.99.0.1, fd99::1 ── routes 10.99.0.0/16, fd99::/64 ── pong0 ── pongd
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { COMBINATIONS, ended, needs, Netns, Pongd, said, sum } from "../support/netns.js";

// Most of these tests wait for packets that do not come, so they run at the same time.
describe("clients of IP", { ...needs("ping", "fping", "hping3", "nping"), concurrency: true }, () => {
  for (const { engine, io } of COMBINATIONS) describe(`${engine}, ${io}`, { concurrency: 1 }, () => {
    let ns: Netns;
    let pongd: Pongd;
    before(async () => {
      ns = await Netns.open();
      pongd = await Pongd.start(ns, "10.99.0.0/16", "fd99::/64", "--engine", engine, "--io", io);
    });
    after(async () => {
      await pongd.stop();
      await ns.close();
    });

    /** Runs a client, and returns by how much each counter then differs. */
    const counted = async (client: () => Promise<unknown>): Promise<Map<string, number>> => {
      const earlier = await pongd.metrics();
      await client();
      const later = await pongd.metrics();
      return new Map([...later].map(([key, value]) => [key, value - (earlier.get(key) ?? 0)])
        .filter(([key, value]) => value !== 0 && String(key).startsWith("pongd_")) as [string, number][]);
    };
    const ping = (...args: string[]) => ns.pings(3, ...args);

    for (const size of [0, 1, 56, 1471, 1472]) {
      test(`ping with ${size} bytes of data: three sent, three received`, async () => {
        await ping("-s", String(size), "10.99.1.1");
      });
    }

    test("ping checks the pattern that it sent", async () => {
      for (const pattern of ["00", "ff", "a55a", "0123456789abcdef"]) {
        const output = await ping("-p", pattern, "10.99.1.1");
        assert.doesNotMatch(output, /wrong data byte|DUP|truncated/);
      }
    });

    test("V-4: ping with TTL 1 is answered, E-9: with TTL 64", async () => {
      assert.match(await ping("-t", "1", "10.99.1.1"), /ttl=64/);
    });

    test("E-10: type of service comes back", async () => {
      const capture = ns.spawn(
        "tcpdump", "-i", "pong0", "-c", "2", "-n", "-v", "--immediate-mode", "icmp and dst host 10.99.0.1",
      );
      let seen = "";
      capture.stdout.on("data", (chunk) => { seen += String(chunk); });
      await said(capture.stderr, /listening/);
      const closed = ended(capture);
      await ping("-Q", "0x2e", "10.99.1.1");
      await closed;
      assert.equal(seen.match(/tos 0x2e/g)?.length, 2, seen);
    });

    test("the first and the last address of the prefix answer: there is no broadcast address on "
      + "a TUN device", async () => {
      for (const address of ["10.99.0.0", "10.99.255.255"]) await ping(address);
    });

    test("S-1: ping -6 of any size is answered, S-9: with hop limit 64, and counted as ICMPv6", async () => {
      const changes = await counted(async () => {
        for (const size of [0, 1, 56, 1451, 1452]) await ping("-6", "-s", String(size), "fd99::1:1");
        assert.match(await ping("-6", "-t", "1", "fd99::ffff:ffff:ffff:ffff"), /ttl=64/);
      });
      assert.equal(changes.get(`pongd_replies_total{protocol="icmpv6",queue="0"}`), 18);
      assert.equal(changes.get(`pongd_prefix_replies_total{prefix="fd99::/64"}`), 18);
    });

    test("fping finds every address of a /24, each answered once", async () => {
      const changes = await counted(async () => {
        const alive = await ns.ok("fping", "-a", "-q", "-r", "0", "-t", "20000", "-i", "1", "-g", "10.99.5.0/24");
        assert.equal(alive.trim().split("\n").length, 254);
      });
      assert.equal(changes.get(`pongd_replies_total{protocol="icmp",queue="0"}`), 254);
      assert.equal(changes.get(`pongd_prefix_replies_total{prefix="10.99.0.0/16"}`), 254);
    });

    test("fping finds 65,534 of 65,534 addresses of the /16, each request answered once; the host's own "
      + "by the kernel", async () => {
      const changes = await counted(async () => {
        // fping sends once more where it had no time to take the reply.
        const alive = await ns.ok("fping", "-a", "-q", "-r", "1", "-t", "2000", "-i", "0.1", "-g", "10.99.0.0/16");
        assert.equal(new Set(alive.trim().split("\n")).size, 65534);
      });
      const replies = changes.get(`pongd_replies_total{protocol="icmp",queue="0"}`) ?? 0;
      assert.ok(replies >= 65533, `${replies} replies`);
      assert.equal(replies, changes.get(`pongd_packets_received_total{queue="0"}`));
    });

    if (engine === "wasm") {
      for (const size of [1473, 3000, 65507]) {
        test(`V-6, E-4: ping with ${size} bytes of data, which go and come in fragments, is answered three times of `
          + "three", async () => {
          const changes = await counted(() => ping("-s", String(size), "10.99.1.1"));
          const fragments = 3 * Math.ceil((size + 8) / 1480);
          assert.equal(changes.get("pongd_replies_total{protocol=\"icmp\",queue=\"0\"}"), fragments);
          assert.equal(changes.get("pongd_packets_received_total{queue=\"0\"}"), fragments);
          assert.equal(
            changes.get("pongd_bytes_sent_total{queue=\"0\"}"), changes.get("pongd_bytes_received_total{queue=\"0\"}"),
          );
          assert.equal(changes.get("pongd_fragments_held{queue=\"0\"}"), undefined);
        });
      }
    }

    if (engine === "wasm") {
      for (const size of [1453, 3000, 65507, 65527]) {
        test(`S-8: ping -6 with ${size} bytes of data, which go and come in fragments, is answered three `
          + "times of three", async () => {
          const changes = await counted(() => ping("-6", "-s", String(size), "fd99::1:1"));
          const fragments = 3 * Math.ceil((size + 8 - 4) / 1448);
          assert.equal(changes.get("pongd_replies_total{protocol=\"icmpv6\",queue=\"0\"}"), fragments);
          assert.equal(changes.get("pongd_packets_received_total{queue=\"0\"}"), fragments);
          assert.equal(
            changes.get("pongd_bytes_sent_total{queue=\"0\"}"), changes.get("pongd_bytes_received_total{queue=\"0\"}"),
          );
          assert.equal(changes.get("pongd_fragments_held{queue=\"0\"}"), undefined);
        });
      }
    }

    for (const [name, args] of [
      ["a first fragment", ["-1", "-x"]], ["a later fragment", ["-1", "-g", "64"]],
    ] as const) {
      test(`hping3: ${name} is ${engine === "js" ? "counted as ip_fragment" : "held"}, and not answered`, async () => {
        const changes = await counted(() => ns.run("hping3", "-c", "3", "-i", "u10000", "-q", ...args, "10.99.1.1"));
        assert.equal(changes.get(engine === "js"
          ? "pongd_packets_dropped_total{reason=\"ip_fragment\",queue=\"0\"}"
          : "pongd_fragments_held{queue=\"0\"}"), 3, JSON.stringify([...changes]));
        assert.equal(changes.get("pongd_replies_total{protocol=\"icmp\",queue=\"0\"}"), undefined);
      });
    }

    for (const [name, reason, args] of [
      ["UDP", engine === "js" ? "unhandled_proto" : "no_socket", ["-2", "-p", "53"]],
      ...engine === "js" ? [["TCP", "no_socket", ["-S", "-p", "80"]]] as const : [],
      ["an ICMP address mask request", "unhandled_icmp_type", ["-1", "-C", "17"]],
      ["a wrong ICMP checksum", "icmp_csum", ["-1", "--icmp-cksum", "4660"]],
      ["a source route", "ip_options", ["-1", "--lsrr", "192.0.2.7"]],
      ...engine === "js" ? [["the Record Route option", "ip_options", ["-1", "--rroute"]]] as const : [],
      ["a source that pongd answers for", "martian_source", ["-1", "-a", "10.99.2.2"]],
      ["a multicast source", "martian_source", ["-1", "-a", "224.0.0.5"]],
      ["a class E source", "martian_source", ["-1", "-a", "240.0.0.1"]],
    ] as const) {
      test(`hping3: ${name} is counted as ${reason}, and not answered`, async () => {
        const changes = await counted(() => ns.run("hping3", "-c", "3", "-i", "u10000", "-q", ...args, "10.99.1.1"));
        assert.equal(
          changes.get(`pongd_packets_dropped_total{reason="${reason}",queue="0"}`), 3, JSON.stringify([...changes]),
        );
        assert.equal(changes.get("pongd_replies_total{protocol=\"icmp\",queue=\"0\"}"), undefined);
      });
    }

    if (engine === "wasm") test("hping3: TCP to a port where nobody listens is answered with a reset", async () => {
      const changes = await counted(() => ns.run("hping3", "-c", "3", "-i", "u10000", "-q", "-S", "-p", "80", "10.99.1.1"));
      const resets = changes.get("pongd_tcp_resets_sent_total{reason=\"closed_port\",queue=\"0\"}");
      assert.equal(resets, 3, JSON.stringify([...changes]));
    });

    test("T-2: hping3 and nping ask for timestamps, and get the time of day", async () => {
      const sinceMidnight = () => Date.now() % 86_400_000;
      const earliest = sinceMidnight();
      // hping3's exit status does not mean success.
      const { stdout } = await ns.run("hping3", "-c", "3", "-i", "u10000", "--icmp-ts", "10.99.1.1");
      const times = [...stdout.matchAll(/ICMP timestamp: Originate=\d+ Receive=(\d+) Transmit=(\d+)/g)]
        .flatMap(([, receive, transmit]) => [Number(receive), Number(transmit)]);
      assert.equal(times.length, 6, stdout);
      for (const time of times) assert.ok(
        (time - earliest + 86_400_000) % 86_400_000 <= (sinceMidnight() - earliest + 86_400_000) % 86_400_000,
        `${time} after ${earliest}`,
      );
      // nping sends one at a time: of several replies it may miss one that comes with another.
      for (let i = 0; i < 3; i++) {
        assert.match(await ns.ok("nping", "--icmp", "--icmp-type", "timestamp", "-c", "1", "10.99.1.1"), /Rcvd: 1 /);
      }
    });

    // The asking host enters itself when it sends and when it receives, so the answering host stands between the two.
    const routes = [
      [["-R"], /RR: \t10\.99\.0\.1\n\t10\.99\.1\.1\n\t10\.99\.1\.1\n\t10\.99\.0\.1\n/],
      [["-T", "tsonly"], /TS: \t\d+ absolute\n\t-?\d+\n\t-?\d+\n\t-?\d+\n/],
      [
        ["-T", "tsandaddr"],
        /TS: \t10\.99\.0\.1\t\d+ absolute\n\t10\.99\.1\.1\t-?\d+\n\t10\.99\.1\.1\t-?\d+\n\t10\.99\.0\.1\t-?\d+\n/,
      ],
      [["-T", "tsprespec", "10.99.0.1", "10.99.1.1"], /TS: \t10\.99\.0\.1\t\d+ absolute\n\t10\.99\.1\.1\t-?\d+\n/],
    ] as const;
    for (const [args, lines] of engine === "wasm" ? routes : []) {
      test(`E-6: ping ${args.join(" ")} shows the target in the route, for data of any size`, async () => {
        for (const size of ["0", "56", "1432"]) {
          const output = await ping("-n", "-s", size, ...args, "10.99.1.1");
          assert.match(output, lines);
          assert.doesNotMatch(output, /wrong data byte|truncated/);
        }
      });
    }

    test("I5: after all of this, received = replied + dropped + held, and bytes sent are those "
      + "of the replies", async () => {
      const metrics = await pongd.metrics();
      assert.equal(sum(metrics, "pongd_packets_received_total"), sum(metrics, "pongd_replies_total")
      + sum(metrics, "pongd_packets_dropped_total") + sum(metrics, "pongd_fragments_held"));
      assert.equal(sum(metrics, "pongd_prefix_replies_total"), sum(metrics, "pongd_replies_total"));
      assert.equal(sum(metrics, "pongd_write_errors_total"), 0);
      assert.equal(metrics.get("pongd_batch_packets_sum"), sum(metrics, "pongd_packets_received_total"));
      assert.equal(metrics.get("pongd_batch_packets_count"), metrics.get("pongd_batch_packets_bucket{le=\"+Inf\"}"));
    });
  });
});

test("E-7: --source-route reverse answers a source route at its end, E-8: and nping sees where an option "
  + "is malformed", needs(
  "nping",
), async () => {
  const ns = await Netns.open();
  const pongd = await Pongd.start(ns, "10.99.0.0/16", "--source-route", "reverse");
  const nping = (options: string) => ns.ok("nping", "--icmp", "-c", "1", "--ip-options", options, "10.99.1.1");
  assert.match(
    await nping("\\x83\\x07\\x08\\x0a\\x63\\x00\\x01\\x00"), /RCVD .*10\.99\.1\.1 > 10\.99\.0\.1 Echo reply/,
  );
  assert.match(
    await nping("\\x07\\x07\\x03\\x00\\x00\\x00\\x00\\x00"),
    /RCVD .*10\.99\.1\.1 > 10\.99\.0\.1 Parameter problem.* pointer=22/,
  );
  await pongd.stop();
  await ns.close();
});
