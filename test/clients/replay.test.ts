/** Captures that tcpdump made of real pings, replayed; the replies as an independent dissector sees them. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { ENGINE_NAMES } from "../../src/engine/engine.js";
import { CLI, ended, needs, Netns, Pongd, said } from "../support/netns.js";

const PINGS = 20;

describe("replay", () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-test-"));
  after(() => { rmSync(dir, { recursive: true }); });
  const [input, output, other] = ["in.pcap", "out.pcapng", "other.pcapng"].map((name) => join(dir, name));

  /** What tcpdump captures of PINGS pings from 10.99.0.1 and their replies. */
  async function capture(ns: Netns, ...args: string[]): Promise<void> {
    const tcpdump = ns.spawn("tcpdump", "-n", "-Z", "root", "-w", input, "-c", String(2 * PINGS), ...args, "icmp");
    const closed = ended(tcpdump);
    await said(tcpdump.stderr, /listening on/);
    await ns.ok("ping", "-I", "10.99.0.1", "-c", String(PINGS), "-i", "0.002", "-s", "57", "10.99.1.1");
    await closed;
  }

  /** A row of fields for each packet of a capture that matches the filter; nothing in it may be malformed. */
  async function dissect(ns: Netns, file: string, filter: string, ...fields: string[]): Promise<string[][]> {
    assert.equal(await ns.ok("tshark", "-r", file, "-Y", "_ws.malformed"), "");
    const rows = await ns.ok("tshark", "-r", file, "-n", "-Y", filter, "-o", "ip.check_checksum:TRUE", "-T", "fields", ...fields.flatMap((field) => ["-e", field]));
    return rows.split("\n").filter(Boolean).map((row) => row.split("\t"));
  }

  for (const [name, encapsulation, ...args] of [
    ["Ethernet", "Ethernet", "-i", "lo"],
    ["Ethernet in nanoseconds", "Ethernet", "-i", "lo", "--time-stamp-precision=nano"],
    ["Linux cooked v1", "Linux cooked-mode capture v1", "-i", "any", "-y", "LINUX_SLL"],
    ["Linux cooked v2", "Linux cooked-mode capture v2", "-i", "any", "-y", "LINUX_SLL2"],
  ]) {
    test(`${name}, as pcap and as pcapng: every request has its reply, of its time, with good checksums`, needs("tcpdump", "ping", "tshark", "capinfos", "editcap"), async (t) => {
      const ns = await Netns.open();
      t.after(() => ns.close());
      for (const address of ["10.99.0.1", "10.99.1.1"]) await ns.ok("ip", "address", "add", `${address}/32`, "dev", "lo");
      await capture(ns, ...args);
      assert.ok((await ns.ok("capinfos", "-E", input)).includes(encapsulation));
      await ns.ok("editcap", "-F", "pcapng", input, join(dir, "in.pcapng"));

      const requests = await dissect(ns, input, "icmp.type == 8", "frame.time_epoch", "ip.id", "icmp.seq", "data.data");
      assert.equal(requests.length, PINGS);
      for (const engine of ENGINE_NAMES) {
        const summary = await ns.ok(process.execPath, CLI, "replay", input, output, "10.99.0.0/16", "--engine", engine);
        assert.equal(summary, `answered ${PINGS} of ${2 * PINGS} packets; dropped ${PINGS} (not_our_prefix ${PINGS})\n`);
        assert.match(await ns.ok("capinfos", "-c", "-E", "-M", output), new RegExp(`rawip\n[^]*: +${PINGS}\n`));
        assert.deepEqual(await dissect(ns, output, "frame", "frame.time_epoch", "ip.id", "icmp.seq", "data.data"), requests);
        const verdicts = await dissect(ns, output, "frame", "ip.src", "ip.dst", "icmp.type", "ip.checksum.status", "icmp.checksum.status");
        for (const verdict of verdicts) assert.deepEqual(verdict, ["10.99.1.1", "10.99.0.1", "0", "1", "1"]);
        await ns.ok(process.execPath, CLI, "replay", join(dir, "in.pcapng"), other, "10.99.0.0/16", "--engine", engine);
        assert.deepEqual(readFileSync(other), readFileSync(output));
      }
    });
  }

  test("raw IP of a TUN device: the replies are those that were given there", needs("tcpdump", "ping", "tshark"), async (t) => {
    const ns = await Netns.open();
    t.after(() => ns.close());
    const pongd = await Pongd.start(ns, "10.99.0.0/16");
    await capture(ns, "-i", "pong0");
    await pongd.stop();
    await ns.ok(process.execPath, CLI, "replay", input, output, "10.99.0.0/16");
    const fields = ["ip.id", "ip.src", "ip.dst", "ip.ttl", "ip.checksum", "icmp.checksum", "icmp.seq", "data.data"];
    const given = await dissect(ns, input, "icmp.type == 0", ...fields);
    assert.equal(given.length, PINGS);
    assert.deepEqual(await dissect(ns, output, "frame", ...fields), given);
  });
});
