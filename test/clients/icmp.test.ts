/**
 * Runs clients that ask by IP, through a TUN device, and looks at what they make of the answers. tshark examines what
 * pongd sent them.
 *
 *   ping, fping, oping, nping, hping3, clockdiff, nmap, traceroute, tracepath ── 10.99.0.1, fd99::1 ── pong0 ── pongd
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pcap } from "../support/captures.js";
import { needs } from "../support/netns.js";
import { seedOfZero } from "../support/oping.js";
import { icmpPacket, pattern, udpPacket } from "../support/packets.js";
import { dissect, RECORDERS, Session } from "../support/session.js";

const PREFIXES = ["10.99.0.0/16", "fd99::/64"];
/** Matches the packets on the device that pongd sent. #1 is the packet itself, not one that it quotes. */
const SENT = "(ip.src#1 == 10.99.0.0/16 && ip.src#1 != 10.99.0.1) || (ipv6.src#1 == fd99::/64 && "
  + "ipv6.src#1 != fd99::1)";
const TARGETS = [["IPv4", "-4", "10.99.1.1"], ["IPv6", "-6", "fd99::1:1"]] as const;

for (const [engine, io] of [["wasm", "uring"], ["wasm", "readwrite"], ["js", "uring"]]) {
  describe(`${engine}, ${io}`, needs(
    ...RECORDERS, "fping", "nping", "hping3", "nmap", "traceroute", "tracepath",
  ), () => {
    let session: Session;
    before(async () => { session = await Session.open(...PREFIXES, "--engine", engine, "--io", io); });
    const ok = (command: string, ...args: string[]) => session.ns.ok(command, ...args);

    for (const [family, option, target] of TARGETS) {
      test(`${family}: ping -M do is answered up to the MTU`, async () => {
        const most = family === "IPv4" ? 1472 : 1452;
        await session.ns.pings(3, option, "-M", "do", "-s", String(most), target);
        const { status, stdout, stderr } = await session.ns.run(
          "ping", option, "-c", "1", "-W", "0.1", "-M", "do", "-s", String(most + 1), target,
        );
        assert.equal(status, 1);
        assert.match(stdout + stderr, /message too long, mtu[=:] ?1500/);
      });

      test(`${family}: traceroute -I ends at the first hop`, async () => {
        assert.match(
          await ok("traceroute", option, "-n", "-I", "-m", "3", "-w", "10", target),
          new RegExp(`\n 1  ${target}(  [\\d.]+ ms){3}\n$`),
        );
      });
    }

    test("fping -6 finds each of sixteen addresses", async () => {
      const targets = Array.from({ length: 16 }, (_, i) => `fd99::5:${i.toString(16)}`);
      assert.deepEqual(
        (await ok("fping", "-6", "-a", "-r", "0", "-t", "5000", "-i", "1", ...targets)).trim().split("\n").sort(),
        targets,
      );
    });

    test("inetutils-ping counts every reply, and finds no checksum wrong", needs("inetutils-ping"), async () => {
      for (const size of ["0", "15", "56", "1472", ...engine === "wasm" ? ["3000"] : []]) {
        const { stdout, stderr } = await session.ns.run(
          "inetutils-ping", "-n", "-c", "3", "-i", "0.2", "-s", size, "10.99.1.1",
        );
        assert.match(stdout, /^3 packets transmitted, 3 packets received, 0% packet loss$/m);
        assert.equal(stderr, "");
      }
    });

    test("C-3: inetutils-ping finds the checksum 0x0000 right", needs("inetutils-ping"), async () => {
      // Its identifier is the id of its process, and exec keeps that. The two bytes of data make up for it in the reply
      // to the second request.
      const script = "exec inetutils-ping -n -c 3 -i 0.2 -s 2 -p $(printf %04x $((0xffff - ($$ + 1) % 0xffff))) "
        + "10.99.1.1";
      const { stdout, stderr } = await session.ns.run("sh", "-c", script);
      assert.match(stdout, /^3 packets transmitted, 3 packets received, 0% packet loss$/m);
      assert.equal(stderr, "");
    });

    test("oping counts the reply of each of sixteen addresses, by IPv4 and by IPv6", needs("oping"), async () => {
      for (const network of ["10.99.5.", "fd99::5:"]) {
        const targets = Array.from({ length: 16 }, (_, i) => `${network}${i}`);
        const output = await ok("oping", "-c", "3", "-i", "0.01", "-w", "10", ...targets);
        assert.equal(output.match(/^3 packets transmitted, 3 received, 0\.00% packet loss/gm)?.length, 16, output);
      }
    });

    test("C-3: oping counts a reply with the checksum 0x0000", needs("oping"), async () => {
      const dir = mkdtempSync(join(tmpdir(), "pongd-test-"));
      const seed = join(dir, "seed");
      writeFileSync(seed, seedOfZero(1));
      const output = await ok(
        "unshare",
        "-m",
        "sh",
        "-c",
        "mount --bind \"$0\" /dev/urandom && exec oping -c 3 -i 0.01 -w 20 10.99.1.1",
        seed,
      );
      rmSync(dir, { recursive: true });
      assert.match(output, /^3 packets transmitted, 3 received, 0\.00% packet loss/m);
    });

    test("nping's echo requests come back with identification, sequence number and length", async () => {
      // nping sends one at a time: of several it may print the same one twice.
      const output = await ok("nping", "--icmp", "-c", "1", "--icmp-seq", "77", "--data-length", "333", "10.99.1.1");
      const [sent, received] = ["SENT", "RCVD"].map((direction) => new RegExp(
        `^${direction} .* (id=\\d+ seq=77\\] IP \\[ttl=64 id=\\d+ iplen=361)`, "m",
      ).exec(output)?.[1]);
      assert.ok(sent, output);
      assert.equal(received, sent);
    });

    test("hping3 gets timestamps of its own day", async () => {
      const { stdout } = await session.ns.run("hping3", "-c", "3", "-i", "u10000", "--icmp-ts", "10.99.1.1");
      assert.equal(stdout.match(/ICMP timestamp: Originate=(\d+) Receive=\d+ Transmit=\d+/g)?.length, 3, stdout);
    });

    for (const [probe, ...args] of [
      ["an echo request", "-PE", "10.99.5.0/28"], ["a timestamp request", "-PP", "10.99.5.0/28"],
      ["an echo request over IPv6", "-6", "-PE", "fd99::5:0/124"],
    ]) {
      test(`nmap -sn finds each of sixteen addresses by ${probe}`, async () => {
        assert.match(await ok("nmap", "-n", "-sn", ...args), /16 IP addresses \(16 hosts up\)/);
      });
    }

    test("D-1: nmap -sn finds none by an address mask request", async () => {
      assert.match(
        await ok("nmap", "-n", "-sn", "-PM", "--max-retries", "0", "--max-rtt-timeout", "100ms", "10.99.5.0/30"),
        /4 IP addresses \(0 hosts up\)/,
      );
    });

    if (engine === "wasm") {
      for (const [family, option, target] of TARGETS) {
        test(`${family}: traceroute by UDP ends at the first hop: the port is unreachable`, async () => {
          assert.match(
            await ok("traceroute", option, "-n", "-U", "-m", "3", "-w", "10", target),
            new RegExp(`\n 1  ${target}(  [\\d.]+ ms){3}\n$`),
          );
          assert.match(
            await ok("traceroute", option, "-n", "-m", "3", "-w", "10", target, "1400"),
            new RegExp(`\n 1  ${target}(  [\\d.]+ ms){3}\n$`),
          );
        });

        test(`${family}: tracepath reaches the target, and finds the device's MTU`, async () => {
          assert.match(
            await ok("tracepath", option, "-n", target),
            new RegExp(` 1: +${target} .* reached\n +Resume: pmtu 1500 hops 1 back 1 \n$`),
          );
        });
      }

      test("nping and hping3 are told that a UDP port is unreachable, whatever the length of "
        + "what they sent", async () => {
        for (const length of ["0", "1400"]) {
          assert.match(
            await ok("nping", "--udp", "-p", "33434", "-c", "1", "--data-length", length, "10.99.1.1"),
            /RCVD .*10\.99\.1\.1 > 10\.99\.0\.1 Port (33434 )?unreachable \(type=3\/code=3\)/,
          );
        }
        const { stdout, stderr } = await session.ns.run(
          "hping3", "-2", "-p", "53", "-c", "2", "-i", "u10000", "-n", "10.99.1.1",
        );
        assert.equal(stdout.match(/ICMP Port Unreachable from ip=10\.99\.1\.1/g)?.length, 2, stdout + stderr);
      });

      for (const [what, ...args] of [["that a UDP port", "-PU33434"], ["that a protocol", "-PO2,50"]]) {
        test(`nmap -sn finds each of sixteen addresses as it is told ${what} is unreachable`, async () => {
          assert.match(await ok("nmap", "-n", "-sn", ...args, "10.99.5.0/28"), /16 IP addresses \(16 hosts up\)/);
        });
      }

      // test/net/ping.test.ts tests what ping makes of the answers; here they are recorded.
      test("ping -R, ping -T and ping -s 65507 are answered", async () => {
        for (const args of [["-R"], ["-T", "tsonly"], ["-T", "tsandaddr"], ["-s", "65507"]]) {
          await session.ns.pings(1, "-n", ...args, "10.99.1.1");
        }
      });
    }

    test("after all of this pongd has counted each packet once, and tshark finds none malformed and no checksum wrong "
      + "in what it sent", async () => {
      await session.close("10.99.1.1", SENT);
    });
  });
}

/**
 * clockdiff of iputils 20221126 waits no longer than the round trip that it has seen, in whole milliseconds: below one
 * it does not wait at all. So the packet loop runs on the same core, with priority over clockdiff and all others, and
 * has answered by the time that clockdiff looks. clockdiff also lowers its niceness by 16, and takes a result of -1 for
 * an error, so it begins at 0, whatever the tests run at.
 */
const realTime = spawnSync("chrt", ["--fifo", "2", "true"]).status === 0
  ? needs(...RECORDERS, "clockdiff", "taskset", "chrt")
  : { skip: "needs chrt(1), and to be allowed real-time scheduling" };
describe("clockdiff", realTime, () => {
  const core = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  let session: Session;
  before(async () => {
    session = await Session.open({ wrapper: ["taskset", "-c", core] }, "10.99.0.0/16");
    await session.ns.ok("chrt", "--fifo", "--pid", "2", String(session.pongd.worker));
  });
  after(() => session.close("10.99.1.1", SENT));

  for (const [how, ...args] of [
    ["timestamp requests"], ["the Timestamp option", "-o"], ["the Timestamp option with three hosts", "-o1"],
  ]) {
    test(`T-2, E-6: by ${how} it finds no difference to the clock of the same host`, async () => {
      const scheduled = ["-n", String(-getPriority()), "taskset", "-c", core, "chrt", "--fifo", "1"];
      const output = await session.ns.ok("nice", ...scheduled, "clockdiff", ...args, "10.99.1.1");
      const [, delta] = /^\d+ (-?\d+) -?\d+\n$/.exec(output) ?? [];
      assert.ok(Math.abs(Number(delta)) < 1000, output);
    });
  }
});

test("tshark finds the packets that are malformed or have a checksum that is wrong, and only those", needs(
  "tshark",
), async () => {
  const right = [icmpPacket({ type: 0 }), udpPacket(), icmpPacket(
    { type: 3, code: 3, identifier: 0, sequence: 0, data: udpPacket({ data: pattern(1400) }).subarray(0, 548) },
  )];
  const wrong = [10, 22].map((at) => icmpPacket({ type: 0 }).map((byte, i) => i === at ? byte ^ 1 : byte));
  const frames = [
    ...right, ...wrong, udpPacket().map((byte, i) => i === 26 ? byte ^ 1 : byte),
    icmpPacket({ type: 13, data: pattern(4) }),
  ];
  const { packets, faults } = await dissect(pcap(frames.map((frame) => ({ ns: 0n, frame }))), "ip");
  assert.equal(packets, frames.length);
  assert.deepEqual(faults.map((fault) => fault.replace(/^(frame \d+).*: /, "$1: ")), [
    "frame 4: ip.checksum.status", "frame 5: icmp.checksum.status", "frame 6: udp.checksum.status",
    "frame 7: malformed",
  ]);
});
