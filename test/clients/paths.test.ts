/**
 * Has the tools that people trace routes with look at paths: they find each hop, its MPLS labels and MTU, and both ways
 * of a diamond. tshark examines what pongd sent them.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { needs, poll } from "../support/netns.js";
import { RECORDERS, Session } from "../support/session.js";

const TEXT = `paths:
  far:
    - { hop: [10.98.0.1, "fd98::1"], name: gw.lab, link: { rtt: 1ms } }
    - { hop: [10.98.0.2, "fd98::2"], mpls: [16002], interface: { name: xe-0/0/1, index: 501, address: true } }
    - { silent: true }
    - { hop: [10.98.0.4, "fd98::4"], mtu: 1400, link: { rtt: 4ms } }
  diamond: [{ hop: 10.98.1.1 }, { any: [[{ hop: 10.98.1.2 }], [{ hop: 10.98.1.3 }]] }, { hop: 10.98.1.4 }]
prefixes:
  - 10.99.0.0/16
  - "fd99::/64"
  - { prefix: 10.97.0.0/16, path: far, tcp: { 80: echo } }
  - { prefix: "fd97::/64", path: far }
  - { prefix: 10.96.0.0/16, path: diamond }
  - 10.98.0.0/16
  - "fd98::/64"
`;
const SENT = "(ip.src#1 == 10.96.0.0/14 && ip.src#1 != 10.99.0.1) || ipv6.src#1 == fd97::/64 || "
  + "ipv6.src#1 == fd98::/64";
const HOPS = {
  4: ["10.98.0.1", "10.98.0.2", "*", "10.98.0.4", "10.97.1.1"], 6: ["fd98::1", "fd98::2", "*", "fd98::4", "fd97::1"],
};

describe("paths", needs(...RECORDERS, "traceroute", "tracepath"), () => {
  const folder = mkdtempSync(join(tmpdir(), "pongd-paths-"));
  let session: Session;
  before(async () => {
    const file = join(folder, "pongd.yaml");
    writeFileSync(file, TEXT);
    session = await Session.open("--config", file);
  });
  after(() => { rmSync(folder, { recursive: true }); });
  const ok = (command: string, ...args: string[]) => session.ns.ok(command, ...args);

  /** Returns what stands for each hop in the output of a traceroute. */
  const hopsIn = (output: string) =>
    [...output.matchAll(/^ *\d+ +(\*|[\d.]+|[\da-f:]+)(?= |$)/gm)].map(([, hop]) => hop);

  // Linux has DCCP no more, by which traceroute can ask as well.
  for (const [what, target, ...args] of [
    ["UDP to many ports", "10.97.1.1"], ["UDP", "10.97.1.1", "-U"], ["UDP-Lite", "10.97.1.1", "-UL"],
    ["ICMP", "10.97.1.1", "-I"], ["TCP", "10.97.1.1", "-T", "-p", "80"],
    ["protocol 99", "10.97.1.1", "-P", "99"], ["UDP to many ports", "fd97::1"], ["UDP", "fd97::1", "-U"],
    ["UDP-Lite", "fd97::1", "-UL"], ["ICMP", "fd97::1", "-I"], ["TCP", "fd97::1", "-T", "-p", "80"],
    ["protocol 99", "fd97::1", "-P", "99"],
  ]) {
    test(`traceroute by ${what} to ${target} finds each hop, but the silent one`, async () => {
      const output = await ok("traceroute", "-n", "-q", "1", "-w", "1", "-m", "8", ...args, target);
      assert.deepEqual(hopsIn(output), HOPS[target.includes(":") ? 6 : 4]);
    });
  }

  test("HP-5: traceroute -e shows the labels, and the object about the interface", async () => {
    const output = await ok("traceroute", "-n", "-I", "-e", "-q", "1", "-w", "1", "-m", "8", "10.97.1.1");
    assert.match(output, /\n 2 {2}10\.98\.0\.2 <MPLS:L=16002,E=0,S=1,T=\d+;.*> /);
    const six = await ok("traceroute", "-n", "-I", "-e", "-q", "1", "-w", "1", "-m", "8", "fd97::1");
    assert.match(six, /\n 2 {2}fd98::2 <MPLS:L=16002,E=0,S=1,T=\d+;.*> /);
  });

  test("HP-7: traceroute --mtu and tracepath find the MTU", async () => {
    for (const target of ["10.97.1.2", "fd97::2"]) {
      assert.match(await ok("traceroute", "-n", "--mtu", "-w", "1", "-m", "8", target), /F=1400/);
    }
    for (const target of ["10.97.1.3", "fd97::3"]) {
      assert.match(await ok("tracepath", "-n", "-m", "8", target), /Resume: pmtu 1400 hops 5 back 5/);
    }
  });

  for (const [target, hops] of [["10.97.1.1", HOPS[4]], ["fd97::1", HOPS[6]]] as const) {
    test(`X-5: mtr finds each hop to ${target}`, needs("mtr"), async () => {
      const output = await ok("mtr", "-n", "-r", "-c", "1", "-i", "0.2", "-G", "1", "-m", "8", target);
      assert.deepEqual([...output.matchAll(/\|-- (\S+)/g)].map(([, hop]) => hop.replace("???", "*")), hops);
    });
  }

  test("mtr --raw has a line for the address of each hop", needs("mtr"), async () => {
    const output = await ok("mtr", "--raw", "-n", "-c", "1", "-i", "0.2", "-G", "1", "-m", "8", "10.97.1.1");
    const found = HOPS[4].map((_, place) => new RegExp(`^h ${place} (\\S+)$`, "m").exec(output)?.[1] ?? "*");
    assert.deepEqual(found, HOPS[4]);
  });

  test("mtr -e shows the hops on a terminal, and the labels of one", needs("mtr", "tmux"), async (t) => {
    const tmux = (...args: string[]) => ok("tmux", "-S", join(folder, "socket"), "-f", "/dev/null", ...args);
    await tmux("new-session", "-d", "-x", "100", "-y", "30", "TERM=screen mtr -n -e -i 0.2 -m 8 10.97.1.1");
    t.after(() => tmux("kill-server"));
    const hops = (screen: string) =>
      [...screen.matchAll(/^ +\d+\. +(\(waiting for reply\)|\S+)/gm)]
        .map(([, hop]) => hop.replace("(waiting for reply)", "*"));
    const screen = await poll(
      () => tmux("capture-pane", "-p"), (screen) => isDeepStrictEqual(hops(screen), HOPS[4]) && screen.includes("MPLS"),
    );
    assert.match(screen, /10\.98\.0\.2 .*\n +\[MPLS: Lbl 16002 TC 0 S 1 TTL 1\]\n +3\. /);
  });

  test("HP-9: scamper finds one way of a flow, and both ways of the diamond", needs("scamper"), async () => {
    const trace = await ok("scamper", "-I", "trace -P icmp-paris -q 3 10.96.1.1");
    assert.match(trace, /10\.98\.1\.1 .*\n.*10\.98\.1\.[23] .*\n.*10\.98\.1\.4 .*\n.*10\.96\.1\.1 /);
    const six = await ok("scamper", "-I", "trace -P icmp-paris -q 3 fd97::1");
    assert.match(six, /fd98::1 .*\n.*fd98::2 .*\n.*\*.*\n.*fd98::4 .*\n.*fd97::1 /);
    // By chance, all flows to one of them may go the same way.
    const targets = ["10.96.1.1", "10.96.1.2", "10.96.1.3", "10.96.1.4"];
    const links = await ok("scamper", ...targets.flatMap((target) => ["-I", `tracelb -P udp-dport ${target}`]));
    assert.match(links, /10\.98\.1\.1 -> \(10\.98\.1\.[23], 10\.98\.1\.[23]\) -> 10\.98\.1\.4/);
  });

  test("dublin-traceroute finds both ways of the diamond", needs("dublin-traceroute"), async (t) => {
    // It asks the kernel for an interface by the default route, and a name server for each hop's name.
    await ok("ip", "route", "add", "default", "dev", "pong0");
    t.after(() => ok("ip", "route", "del", "default"));
    const alone = "mount --bind /dev/null /etc/resolv.conf && cd \"$0\" && exec dublin-traceroute -T 5 10.96.1.1";
    const output = await ok("unshare", "-m", "sh", "-c", alone, folder);
    const flows = output.split("== Flow ID ").slice(1).map(hopsIn);
    assert.equal(flows.length, 20);
    // It misses an answer here and there, most often the first.
    const expected = [["10.98.1.1"], ["10.98.1.2", "10.98.1.3"], ["10.98.1.4"], ["10.96.1.1"]];
    const found = expected.map((_, place) => new Set(flows.map((hops) => hops[place]).filter((hop) => hop !== "*")));
    assert.deepEqual(found.map((hops) => [...hops].sort()), expected, output);
  });

  test("two other traceroutes find each hop", needs("inetutils-traceroute", "tcptraceroute"), async () => {
    assert.deepEqual(hopsIn(await ok("inetutils-traceroute", "-q", "1", "-w", "1", "-m", "8", "10.97.1.1")), HOPS[4]);
    const output = await ok("tcptraceroute", "-n", "-q", "1", "-w", "1", "-m", "8", "10.97.1.1", "80");
    assert.deepEqual(hopsIn(output), HOPS[4]);
  });

  test("HP-8: nping and hping3 get errors with the TTL of their way back", needs("nping", "hping3"), async () => {
    const output = await ok("nping", "--icmp", "--ttl", "2", "-c", "1", "10.97.1.1");
    assert.match(output, /RCVD .*10\.98\.0\.2 .*type=11.*ttl=63 /);
    // It leaves out a TTL here and there.
    const traced = await ok("nping", "--tr", "--icmp", "-c", "8", "--rate", "10", "10.97.1.1");
    const answers = [...new Set([...traced.matchAll(/RCVD .*\[([\d.]+) > /g)].map(([, source]) => source))];
    assert.deepEqual(answers, HOPS[4].filter((hop) => answers.includes(hop)));
    assert.ok(answers.length >= 2 && answers.includes("10.97.1.1"), traced);
    const { stdout } = await session.ns.run("hping3", "-1", "-t", "1", "-c", "1", "-n", "10.97.1.1");
    assert.match(stdout, /TTL 0 during transit from ip=10\.98\.0\.1/);
    assert.match(await ok("ping", "-c", "1", "10.97.1.1"), / ttl=60 /);
  });

  test("each packet is counted once, hops' errors by hop, and tshark finds no fault", async () => {
    const metrics = await session.pongd.metrics();
    const errors = metrics.get("pongd_hop_errors_total{path=\"far\",hop=\"gw.lab\",type=\"time_exceeded\"}");
    assert.ok((errors ?? 0) >= 5, String(errors));
    await session.close("10.99.9.9", SENT);
  });
});
