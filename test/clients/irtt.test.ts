/** Has irtt's own client measure pongd: every packet comes back, with times that lie between the client's. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { IO_NAMES } from "../../src/io/contract.js";
import { addUp, needs, Netns, Pongd } from "../support/netns.js";

const KEY = "correct horse battery staple";

interface Times {
  readonly wall: number;
  readonly monotonic: number;
}

/** The part of the client's JSON that is read here. */
interface Result {
  readonly config: { readonly params: Readonly<Record<string, unknown>> };
  readonly stats: Readonly<Record<"packets_sent" | "packets_received" | "server_packets_received" | "duplicates"
  | "late_packets" | "bytes_sent" | "bytes_received", number>>;
  readonly round_trips: readonly {
    readonly lost: string;
    readonly timestamps: {
      readonly client: { readonly send: Times; readonly receive: Times };
      readonly server: { readonly receive?: Partial<Times>; readonly send?: Partial<Times> };
    };
  }[];
}

for (const mode of ["tun", "tap"]) {
  for (const io of IO_NAMES) {
    describe(`IRTT: ${mode}, ${io}`, needs("irtt"), () => {
      let ns: Netns;
      let pongd: Pongd;
      const dir = mkdtempSync(join(tmpdir(), "pongd-irtt-"));
      const key = join(dir, "irtt.key");
      before(async () => {
        ns = await Netns.open();
        const config = join(dir, "pongd.yaml");
        // A client that had no processor for a while sends at once what it owes.
        writeFileSync(key, `${KEY}\n`, { mode: 0o600 });
        writeFileSync(config, "services:\n  patient: { irtt: { min_interval: 0ms } }\n"
        + "  keyed: { irtt: { min_interval: 0ms, key_file: irtt.key } }\n"
        + "udp: { 2112: patient, 2113: irtt, 2114: keyed }\nprefixes: [10.99.0.0/16, fd99::/64]\n");
        pongd = await Pongd.start(ns, "--config", config, "--mode", mode, "--io", io);
      });
      after(async () => {
        await ns.close();
        rmSync(dir, { recursive: true });
      });

      const run = async (...args: string[]): Promise<Result> => JSON.parse(await ns.ok(
        "irtt", "client", "-q", "-o", "-", "-i", "10ms", "-d", "980ms", "--wait=500ms", ...args,
      )) as Result;

      /** Checks that nothing was lost, and that the times are in order; returns the bytes of a packet. */
      const check = ({ stats, round_trips: trips }: Result): number => {
        // The client sends fewer than 98 if it gets too little of the processor.
        const sent = stats.packets_sent;
        assert.ok(sent > 0);
        assert.deepEqual(
          [stats.packets_received, stats.server_packets_received, stats.duplicates], [sent, sent, 0],
        );
        assert.equal(stats.bytes_sent, stats.bytes_received);
        let last = 0;
        for (const { lost, timestamps: { client, server } } of trips) {
          assert.equal(lost, "false");
          const { receive, send } = server;
          // The client knows when it sent a packet only once it has, and may be late then.
          const walls = [receive?.wall, send?.wall, client.receive.wall].filter((time) => time !== undefined);
          assert.deepEqual([...walls].sort((a, b) => a - b), walls);
          const [came = 0, left = came] = [receive?.monotonic, send?.monotonic];
          // What came in one batch leaves in one.
          assert.ok(came >= last && left >= came, `${left}, ${came} and ${last}`);
          assert.ok(came >= 1e9 && left < 3600e9, "the times of a session's own");
          last = came;
        }
        return stats.bytes_sent / sent;
      };

      test("IR-6: every packet comes back, over both families, with both clocks", async () => {
        for (const address of ["10.99.200.7", "[fd99::abcd]"]) assert.equal(check(await run(address)), 60);
      });

      test("IR-1: as long as the client wants them, and with what it fills them", async () => {
        assert.equal(check(await run("-l", "200", "10.99.200.8")), 200);
        assert.equal(check(await run("-l", "1472", "--fill=rand", "--sfill=rand", "10.99.200.8")), 1472);
        assert.equal(check(await run("-l", "200", "--fill=pattern:00ff", "[fd99::8]")), 200);
      });

      test("IR-1: with every choice of fields", async () => {
        for (const [stats, at, clock, bytes] of [
          ["none", "none", "both", 16], ["count", "send", "wall", 28], ["window", "receive", "monotonic", 32],
          ["both", "midpoint", "both", 44], ["both", "midpoint", "wall", 36], ["none", "both", "monotonic", 32],
        ] as const) {
          const { stats: { packets_sent: sent, packets_received: received, bytes_received: length } } = await run(
            "-d", "100ms", `--stats=${stats}`, `--tstamp=${at}`, `--clock=${clock}`, "10.99.200.9",
          );
          assert.deepEqual([received, length / received], [sent, bytes]);
        }
      });

      test("IR-2: an interval that is too short is refused, or made longer where the client lets it", async () => {
        const target = "10.99.200.9:2113";
        assert.match((await ns.run("irtt", "client", "-i", "1ms", "-d", "50ms", target)).stderr, /interval/);
        const { stats } = await run("--loose", "-i", "1ms", "-d", "100ms", target);
        assert.ok(stats.packets_received > 0 && stats.packets_sent <= 10);
      });

      test("IR-1: with a key at either end, at both, or at none", async () => {
        const signed = (port: number, secret: string, ...args: string[]) =>
          run(`--hmac=${secret}`, ...args, `10.99.200.10:${port}`);
        // Of the length that the client says, the HMAC is a part.
        for (const [args, bytes] of [[[], 76], [["-l", "200"], 200], [["-l", "1472", "--sfill=rand"], 1472]] as const) {
          assert.equal(check(await signed(2114, KEY, ...args)), bytes);
        }
        for (const [args, bytes] of [[["--tstamp=midpoint", "--clock=wall"], 52], [["--tstamp=none"], 44]] as const) {
          const { stats } = await signed(2114, KEY, "-d", "100ms", ...args);
          assert.equal(stats.packets_received, stats.packets_sent);
          assert.equal(stats.bytes_received / stats.packets_received, bytes);
        }
        assert.equal(check(await run(`--hmac=${KEY}`, "[fd99::8]:2114")), 76);
        const refused = async (...args: string[]) => {
          const { status, stderr } = await ns.run("irtt", "client", "--timeouts=200ms,200ms", ...args);
          assert.notEqual(status, 0);
          assert.match(stderr, /no reply from server/);
        };
        const dropped = async () =>
          (await pongd.metrics()).get("pongd_packets_dropped_total{reason=\"irtt_hmac\",queue=\"0\"}");
        assert.equal(await dropped(), 0);
        await refused("10.99.200.10:2114");
        assert.equal(await dropped(), 2);
        await refused(`--hmac=${KEY}`, "10.99.200.10:2112");
        await refused("--hmac=wrong horse battery staple", "10.99.200.10:2114");
        assert.equal(await dropped(), 6);
        // A reload reads it again.
        writeFileSync(key, "wrong horse battery staple");
        assert.equal((await ns.http("http://127.0.0.1:7664/-/reload", "-X", "POST")).status, 200);
        await refused(`--hmac=${KEY}`, "10.99.200.10:2114");
        assert.equal(check(await signed(2114, "wrong horse battery staple")), 76);
        assert.equal(await dropped(), 8);
      });

      test("each packet is counted once", async () => {
        const metrics = await pongd.metrics();
        addUp(metrics);
        assert.equal(metrics.get("pongd_packets_dropped_total{reason=\"irtt_token\",queue=\"0\"}"), 0);
        assert.equal((await pongd.stop()).status, 0);
      });
    });
  }
}
