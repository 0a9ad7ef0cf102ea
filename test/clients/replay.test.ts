/** Replays captures that tcpdump made of real pings, and has an independent dissector look at the replies. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createReadStream, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { ENGINE_NAMES } from "../../src/engine/contract.js";
import { readCapture } from "../../src/pcap/capture.js";
import { describeForeign, FOREIGN_HEAD_LEN } from "../../src/pcap/foreign.js";
import { FRAMES, pcap } from "../support/captures.js";
import { CLI, ended, needs, Netns, Pongd, said } from "../support/netns.js";
import { icmpPacket } from "../support/packets.js";

const PINGS = 20;

/** Formats that are not read, by editcap's names for them. */
const FOREIGN = {
  "5views": "InfoVista's 5View", lanalyzer: "Novell's LANalyzer", netmon1: "Microsoft Network Monitor 1",
  netmon2: "Microsoft Network Monitor 2",
  nettl: "HP-UX's nettl", ngsniffer: "Network General's Sniffer", ngwsniffer_2_0: "NetXRay, or of Sniffer for Windows",
  snoop: "Sun's snoop", visual: "Visual Networks",
};

describe("replay", () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-test-"));
  after(() => { rmSync(dir, { recursive: true }); });
  const [input, output, other] = ["in.pcap", "out.pcapng", "other.pcapng"].map((name) => join(dir, name));

  /** Has tcpdump capture PINGS pings from 10.99.0.1 and their replies. */
  async function capture(ns: Netns, ...args: string[]): Promise<void> {
    const tcpdump = ns.spawn("tcpdump", "-n", "-Z", "root", "-w", input, "-c", String(2 * PINGS), ...args, "icmp");
    const closed = ended(tcpdump);
    await said(tcpdump.stderr, /listening on/);
    await ns.ok("ping", "-I", "10.99.0.1", "-c", String(PINGS), "-i", "0.002", "-s", "57", "10.99.1.1");
    await closed;
  }

  /**
   * Returns a row of fields for each packet of a capture that
   * matches the filter. Nothing in the capture may be malformed.
   */
  async function dissect(ns: Netns, file: string, filter: string, ...fields: string[]): Promise<string[][]> {
    assert.equal(await ns.ok("tshark", "-r", file, "-Y", "_ws.malformed"), "");
    const rows = await ns.ok(
      "tshark", "-r", file, "-n", "-Y", filter, "-o", "ip.check_checksum:TRUE", "-T", "fields",
      ...fields.flatMap((field) => ["-e", field]),
    );
    return rows.split("\n").filter(Boolean).map((row) => row.split("\t"));
  }

  for (const [name, encapsulation, ...args] of [
    ["Ethernet", "Ethernet", "-i", "lo"],
    ["Ethernet in nanoseconds", "Ethernet", "-i", "lo", "--time-stamp-precision=nano"],
    ["Linux cooked v1", "Linux cooked-mode capture v1", "-i", "any", "-y", "LINUX_SLL"],
    ["Linux cooked v2", "Linux cooked-mode capture v2", "-i", "any", "-y", "LINUX_SLL2"],
  ]) {
    test(`${name}, as pcap and as pcapng: every request has its reply, of its time, with good checksums`, needs(
      "tcpdump", "ping", "tshark", "capinfos", "editcap",
    ), async (t) => {
      const ns = await Netns.open();
      t.after(() => ns.close());
      for (const address of ["10.99.0.1", "10.99.1.1"]) {
        await ns.ok("ip", "address", "add", `${address}/32`, "dev", "lo");
      }
      await capture(ns, ...args);
      assert.ok((await ns.ok("capinfos", "-E", input)).includes(encapsulation));
      await ns.ok("editcap", "-F", "pcapng", input, join(dir, "in.pcapng"));

      const requests = await dissect(ns, input, "icmp.type == 8", "frame.time_epoch", "ip.id", "icmp.seq", "data.data");
      assert.equal(requests.length, PINGS);
      for (const engine of ENGINE_NAMES) {
        const summary = await ns.ok(process.execPath, CLI, "replay", input, output, "10.99.0.0/16", "--engine", engine);
        assert.equal(
          summary, `answered ${PINGS} of ${2 * PINGS} packets; dropped ${PINGS} (not_our_prefix ${PINGS})\n`,
        );
        assert.match(await ns.ok("capinfos", "-c", "-E", "-M", output), new RegExp(`rawip\n[^]*: +${PINGS}\n`));
        assert.deepEqual(
          await dissect(ns, output, "frame", "frame.time_epoch", "ip.id", "icmp.seq", "data.data"), requests,
        );
        const verdicts = await dissect(
          ns, output, "frame", "ip.src", "ip.dst", "icmp.type", "ip.checksum.status", "icmp.checksum.status",
        );
        for (const verdict of verdicts) assert.deepEqual(verdict, ["10.99.1.1", "10.99.0.1", "0", "1", "1"]);
        await ns.ok(process.execPath, CLI, "replay", join(dir, "in.pcapng"), other, "10.99.0.0/16", "--engine", engine);
        assert.deepEqual(readFileSync(other), readFileSync(output));
      }
    });
  }

  test("raw IP of a TUN device: the replies are those that were given there", needs(
    "tcpdump", "ping", "tshark",
  ), async (t) => {
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

  /**
   * Starts a pipeline that begins with tcpdump, and waits until that captures. interrupt() does what Ctrl-C does, and
   * returns all that the pipeline has printed.
   */
  async function pipeline(ns: Netns, script: string, ...args: string[]) {
    const child = ns.spawn("setsid", "sh", "-c", script, "sh", ...args);
    const printed = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk) => { printed.stdout += String(chunk); });
    child.stderr.on("data", (chunk) => { printed.stderr += String(chunk); });
    const closed = once(child, "close");
    const said = async (what: string) => {
      while (!printed.stderr.includes(what)) await once(child.stderr, "data");
    };
    await said("listening on");
    return {
      said,
      async lines(count: number) {
        while (printed.stdout.split("\n").length <= count) await once(child.stdout, "data");
      },
      async interrupt() {
        process.kill(-(child.pid ?? NaN), "SIGINT");
        await closed;
        return printed;
      },
    };
  }

  async function pinged(ns: Netns): Promise<void> {
    for (const address of ["10.99.0.1", "10.99.1.1"]) await ns.ok("ip", "address", "add", `${address}/32`, "dev", "lo");
  }

  const SUMMARY = /^answered 3 of 6 packets; dropped 3 \(not_our_prefix 3\)$/m;

  test("tcpdump, replay and tshark in a pipe: each reply is shown when it comes, and Ctrl-C ends all three", needs(
    "tcpdump", "ping", "tshark", "setsid",
  ), async (t) => {
    const ns = await Netns.open();
    t.after(() => ns.close());
    await pinged(ns);
    const pipe = await pipeline(
      ns,
      "tcpdump -U -n -v --immediate-mode -Z root -i lo -w - icmp | \"$@\" 10.99.0.0/16 | tshark -n -l -r -",
      process.execPath, CLI, "replay", "-", "-",
    );
    for (let i = 1; i <= 3; i++) {
      await ns.ok("ping", "-I", "10.99.0.1", "-c", "1", "10.99.1.1");
      await pipe.lines(i);
    }
    // By then tcpdump has the kernel's last reply, too.
    await pipe.said("Got 6");
    const { stdout, stderr } = await pipe.interrupt();
    assert.equal(stdout.match(/10\.99\.1\.1 → 10\.99\.0\.1 +ICMP 84 Echo \(ping\) reply/g)?.length, 3, stdout);
    assert.match(stderr, SUMMARY);
    assert.doesNotMatch(stderr, /^pongd:/m);
  });

  test("what tcpdump has held back until Ctrl-C is in OUT", needs("tcpdump", "ping", "tshark", "setsid"), async (t) => {
    const ns = await Netns.open();
    t.after(() => ns.close());
    await pinged(ns);
    const script = "tcpdump -n -v --immediate-mode -Z root -i lo -w - icmp | \"$@\" 10.99.0.0/16";
    const pipe = await pipeline(ns, script, process.execPath, CLI, "replay", "-", output);
    await ns.pings(3, "-I", "10.99.0.1", "10.99.1.1");
    // The file that is to become OUT is there once a signal does more than end the process.
    while (readdirSync(dir).every((name) => !name.startsWith(".pongd-"))) await new Promise(setImmediate);
    await pipe.said("Got 6");
    const { stdout, stderr } = await pipe.interrupt();
    assert.match(stdout, SUMMARY);
    assert.doesNotMatch(stderr, /^pongd:/m);
    assert.deepEqual(
      await dissect(ns, output, "frame", "ip.src", "icmp.type"), Array.from({ length: 3 }, () => ["10.99.1.1", "0"]),
    );
  });

  test("what editcap writes in formats that are not read is told apart, and editcap makes the "
    + "capture of it again", needs("editcap"), async (t) => {
    const ns = await Netns.open();
    t.after(() => ns.close());
    const frame = Uint8Array.from(FRAMES.find(({ name }) => name === "Ethernet")?.frame(icmpPacket()) ?? []);
    writeFileSync(input, pcap([{ ns: 1_700_000_000_000_000_000n, frame }], { linkType: 1 }));
    for (const [format, name] of Object.entries(FOREIGN)) {
      const [file, mended] = [join(dir, format), join(dir, "mended")];
      await ns.ok("editcap", "-F", format, input, file);
      const { what, mend } = describeForeign(readFileSync(file).subarray(0, FOREIGN_HEAD_LEN));
      assert.equal(what, `is a capture of ${name}`);
      const [, options] = /^convert it: editcap (.+) IN OUT$/.exec(mend ?? "") ?? [];
      await ns.ok("editcap", ...options.split(" "), file, mended);
      const packets = [];
      for await (const { linkType, bytes } of readCapture(createReadStream(mended), mended)) {
        packets.push({ linkType, bytes: Uint8Array.from(bytes) });
      }
      assert.deepEqual(packets, [{ linkType: 1, bytes: frame }], format);
    }
  });

  test("what gzip and editcap have made of a capture gives the same replies", needs(
    "tcpdump", "ping", "tshark", "gzip", "editcap",
  ), async (t) => {
    const ns = await Netns.open();
    t.after(() => ns.close());
    await pinged(ns);
    await capture(ns, "-i", "lo");
    await ns.ok(process.execPath, CLI, "replay", input, output, "10.99.0.0/16");
    const replies = readFileSync(output);
    await ns.ok("gzip", "-k", input);
    const made = [`${input}.gz`];
    for (const format of ["modpcap", "nsecpcap"]) {
      await ns.ok("editcap", "-F", format, input, join(dir, format));
      made.push(join(dir, format));
    }
    for (const file of made) {
      await ns.ok(process.execPath, CLI, "replay", file, other, "10.99.0.0/16");
      assert.deepEqual(readFileSync(other), replies, file);
    }
  });
});
