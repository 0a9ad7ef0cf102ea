/**
 * Runs clients that put frames of their own on an Ethernet (TAP mode): those that ask for neighbours, and ipv6toolkit
 * and thc-ipv6, which try what implementations of IPv6 get wrong. Where a check of theirs has a verdict, the test
 * asserts it. After the others pongd must still answer, and must have counted every packet once.
 *
 *   clients ── 10.99.0.1/16, fd99::1/64 ── pong0 (TAP) ── pongd
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { ended, needs, poll, said } from "../support/netns.js";
import { RECORDERS, Session } from "../support/session.js";

const TARGET = "fd99::1:1";

/** Opens a session whose device is set up as thc-ipv6 expects: the host's address has the prefix's length. */
async function open(...args: string[]): Promise<Session> {
  const session = await Session.open(
    "10.99.0.0/16", "fd99::/64", "--mode", "tap", "--host-address", "none", "--except", "10.99.0.1", "--except",
    "fd99::1", ...args,
  );
  await session.ns.ok("ip", "address", "add", "10.99.0.1/16", "dev", "pong0");
  await session.ns.ok("ip", "address", "add", "fd99::1/64", "dev", "pong0", "nodad");
  // Clients send from the link-local address, too, once it is known to be nobody else's.
  const tentative = async () => (await session.ns.ip<{ addr_info?: unknown[] }>(
    "address", "show", "dev", "pong0", "tentative",
  )).some(({ addr_info = [] }) => addr_info.length > 0);
  await poll(tentative, (is) => !is);
  return session;
}

async function close(session: Session): Promise<void> {
  await session.close("10.99.1.1", `eth.src == ${session.mac}`);
}

for (const [engine, io] of [["wasm", "uring"], ["wasm", "readwrite"], ["js", "uring"]]) {
  describe(`neighbours, ${engine}, ${io}`, needs(
    ...RECORDERS, "arp-scan", "ndisc6", "nmap", "path6", "atk6-alive6",
  ), () => {
    let session: Session;
    before(async () => { session = await open("--engine", engine, "--io", io); });
    const ok = (command: string, ...args: string[]) => session.ns.ok(command, ...args);

    test("arping finds the one MAC address of all", needs("arping"), async () => {
      assert.match(
        await ok("arping", "-c", "1", "-w", "5", "-I", "pong0", "10.99.7.7"), new RegExp(`from ${session.mac} `),
      );
    });

    test("arp-scan and ndisc6 find the one MAC address of all", async () => {
      const found = await ok("arp-scan", "-q", "-x", "-I", "pong0", "--retry=1", "--interval=1", "10.99.5.0/28");
      assert.equal(found.match(new RegExp(`^10\\.99\\.5\\.\\d+\t${session.mac}$`, "gm"))?.length, 16, found);
      assert.match(await ok("ndisc6", "-n", "-1", "-w", "5000", TARGET, "pong0"), new RegExp(session.mac, "i"));
    });

    for (const [by, ...args] of [["ARP", "10.99.5.0/28"], ["neighbor discovery", "-6", "fd99::5:0/124"]]) {
      test(`nmap -sn finds each of sixteen addresses, and its MAC address, by ${by}`, async () => {
        const output = await ok("nmap", "-n", "-sn", ...args);
        assert.match(output, /16 IP addresses \(16 hosts up\)/);
        assert.equal(output.match(new RegExp(`MAC Address: ${session.mac}`, "gi"))?.length, 16);
      });
    }

    test("thc-ipv6's alive6 finds each of sixteen addresses", async () => {
      assert.match(await ok("atk6-alive6", "pong0", "fd99::5:0-f"), /Scanned 16 addresses and found 16 systems alive/);
    });

    test("ipv6toolkit's path6 finds the target at the first hop", async () => {
      assert.match(
        await ok("path6", "-i", "pong0", "-d", TARGET, "-p", "icmp"), /\n {2}1 \(fd99::1:1\)( {1,3}[\d.]+ ms){3}\n$/,
      );
    });

    test("after all of this pongd has counted each packet once, and tshark finds none malformed and no checksum wrong "
      + "in what it sent", () => close(session));
  });
}

/** Checks of thc-ipv6's implementation6, by number, to which a reply is due. */
const ANSWERED = [1, 5, 7, 12, 18, 24, 25, 41, 56];
/** Checks in fragments that are due a reply, and checks that are due an error, as a header must not be passed over. */
const REASSEMBLED = [11, 22, 27, 39];
const REFUSED = [
  [3, "4:1"], [4, "4:1"], [14, "4:1"], [15, "4:1"], [19, "4:0"], [20, "4:0"], [26, "4:1"], [32, "4:1"], [35, "4:1"],
  [47, "4:2"], [49, "4:2"], [50, "4:2"],
] as const;
/**
 * Checks to which nothing is due: too many headers or options, overlapping or missing fragments, wrong lengths and
 * checksums, and sources that no host has.
 */
const UNANSWERED = [2, 6, 8, 9, 10, 13, 16, 17, 28, 33, 34, 36, 40, 42, 43, 44, 45, 46, 48, 51, 52, 53, 54, 55, 57];

describe("ipv6toolkit and thc-ipv6", needs(...RECORDERS, "traceroute", "frag6", "atk6-implementation6"), () => {
  let session: Session;
  before(async () => { session = await open(); });
  const run = async (command: string, ...args: string[]) => (await session.ns.run(command, ...args)).stdout;
  /** Runs a check from an address of its own, so that answers to others mean nothing to it. Returns its verdict. */
  const check = async (number: number) => /^Test [ \d]{2}: .*?\t(?<verdict>[PF].*)$/m.exec(
    await run("atk6-implementation6", "-p", "-s", `fd98::${number}`, "pong0", TARGET, String(number)),
  )?.groups?.verdict;

  test("implementation6: what a reply is due to is answered", async () => {
    for (const number of ANSWERED) assert.equal(await check(number), "PASSED - we got a reply", `check ${number}`);
  });

  test("implementation6: what must not be answered is not", async () => {
    const verdicts = await Promise.all(UNANSWERED.map(check));
    assert.deepEqual(verdicts, verdicts.map(() => "FAILED - no reply"), String(UNANSWERED));
  });

  test("implementation6: what comes in fragments is answered, and what must be refused by an error is", async () => {
    for (const number of REASSEMBLED) assert.equal(await check(number), "PASSED - we got a reply", `check ${number}`);
    for (const [number, error] of REFUSED) {
      assert.equal(await check(number), `FAILED - error reply [${error}]`, `check ${number}`);
    }
  });

  test("traceroute by UDP ends at the first hop: the port is unreachable", async () => {
    assert.match(
      await run("traceroute", "-6", "-n", "-w", "10", "-m", "3", TARGET), /\n 1 {2}fd99::1:1( {2}[\d.]+ ms){3}\n$/,
    );
  });

  for (const [family, option, target, most] of [
    ["IPv4", "-4", "10.99.1.1", 65507], ["IPv6", "-6", TARGET, 65487],
  ] as const) {
    test(`${family}: ping that goes and comes in fragments is answered`, async () => {
      for (const size of [1473, 3000, most]) await session.ns.pings(1, option, "-s", String(size), target);
    });
  }

  test("scan6 finds each of sixteen addresses", async () => {
    assert.equal((await run("scan6", "-i", "pong0", "-d", "fd99::5:0-f")).match(/^fd99::5:[0-9a-f]$/gm)?.length, 16);
  });

  test("frag6: a datagram in one fragment is answered", async () => {
    // frag6 may miss the reply, as it takes only one packet whenever some come; tcpdump does not.
    const recorder = session.ns.spawn(
      "tcpdump", "-i", "pong0", "-n", "-c", "1", "--immediate-mode",
      `src ${TARGET} and icmp6[icmp6type] == icmp6-echoreply`,
    );
    let seen = "";
    recorder.stdout.on("data", (chunk) => { seen += String(chunk); });
    await said(recorder.stderr, /listening on/);
    const closed = ended(recorder);
    const replies = async () => (await session.pongd.metrics()).get(`pongd_replies_total{protocol="icmpv6",queue="0"}`)
      ?? NaN;
    const before = await replies();
    await run("frag6", "-i", "pong0", "-d", TARGET, "--frag-type", "atomic");
    assert.equal(await replies(), before + 1);
    await closed;
    assert.match(seen, /fd99::1:1 > \S+: ICMP6, echo reply/);
  });

  test("exploit6 and fuzz_ip6 find the target alive when they are through", async () => {
    assert.match(await run("atk6-exploit6", "pong0", TARGET), /Test {2}5: normal ping6 \(still alive\?\)\s+PASSED/);
    for (const args of [["-1"], ["-I", "-F", "-S", "-D", "-H", "-J"]]) {
      assert.match(await run("atk6-fuzz_ip6", ...args, "pong0", TARGET), /target fd99::1:1 is still alive/);
    }
    // With these options its pings are unicasts in frames to a group, which nobody may answer.
    for (const option of ["-2", "-0"]) await session.ns.ok("atk6-fuzz_ip6", "-a", option, "pong0", TARGET);
    await session.ns.pings(3, "-6", TARGET);
  });

  test("fragmentation6, all of it at once, and what ipv6toolkit sends: nothing of it stops an answer", async () => {
    const target = ["-i", "pong0", "-d", TARGET];
    await Promise.all([
      ...Array.from({ length: 33 }, (_, i) => run("atk6-fragmentation6", "-p", "pong0", TARGET, String(i + 1))),
      run("frag6", ...target, "--pod-attack"), run("ns6", ...target, "-t", TARGET, "-e"),
      run("na6", ...target, "-t", TARGET, "-e"), run("ni6", ...target), run("jumbo6", ...target),
      run("rd6", ...target, "-s", "fe80::1", "-r", "2001:db8::1", "-t", TARGET),
      run("icmp6", ...target, "--icmp6-packet-too-big"), run("icmp6", ...target, "--icmp6-param-problem", "0"),
      run("tcp6", ...target, "-a", "80", "-X", "S"), run("udp6", ...target, "-a", "7", "-o", "7"),
    ]);
    await session.ns.pings(3, "-6", TARGET);
  });

  test("after all of this pongd has counted each packet once, and tshark finds none malformed and no checksum wrong "
    + "in what it sent", () => close(session));
});
