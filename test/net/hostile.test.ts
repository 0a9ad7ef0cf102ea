/** Attacks the services of a running pongd from outside: by requests, by clients of proxies, and by datagrams. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { source } from "../support/assembly.js";
import { fragmentsOf6, udpPacket6 } from "../support/ipv6.js";
import { addUp, ended, needs, Netns, Pongd, poll, said, sum } from "../support/netns.js";
import { bytes, fragmentsOf, pattern, setHeaderChecksum, udpPacket } from "../support/packets.js";
import { Random } from "../support/random.js";
import { sent, tlv } from "../support/stamp.js";

const PREFIXES = "prefixes: [10.99.0.0/16, \"fd99::/64\"]\n";
/** Connections to each port. */
const CLIENTS = 100;
/** Requests that a connection may have under way: sixteen, and those that come in the same piece of 1 KiB. */
const UNDER_WAY = 64;
/** Growth of memory in MiB that is none. */
const NOTHING_MIB = 48;

/** A handler that answers at port 83 how many requests to other ports are under way, and these never. */
const NEVER = `
let underWay = 0;
export default (request, response) => {
  if (request.socket.localPort === 83) return response.end(String(underWay));
  underWay++;
  response.on("close", () => { underWay--; });
};`;

/** Sends requests for /file on CLIENTS connections to each port, reads nothing, and says when all of them are sent. */
const SEND = `
import { connect } from "node:net";
const [clients, ...ports] = process.argv.slice(1).map(Number);
const requests = "GET /file HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".repeat(1500);
let left = clients * ports.length;
for (const port of ports) for (let i = 0; i < clients; i++) {
  const socket = connect(port, "10.99.1.1");
  socket.on("error", () => console.log("reset")).write(requests, () => { if (--left === 0) console.log("sent"); });
}`;

/** Prints what comes on each connection up to its end. */
const BACKEND = `
import { createServer } from "node:net";
const server = createServer({ allowHalfOpen: true }, (socket) => {
  const chunks = [];
  socket.on("data", (chunk) => chunks.push(chunk)).on("end", () => {
    console.log(Buffer.concat(chunks).toString("hex"));
    socket.end();
  });
});
server.listen(8080, "127.0.0.1", () => console.log("listens"));`;

/** What the services that measure are sent: to STAMP with each TLV, to S-BFD, and to irtt when a test begins. */
const MEASURED: Readonly<Record<number, Uint8Array>> = {
  862: sent({ rest: bytes(...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((type) => tlv(type, pattern(16)))) }),
  863: sent({ rest: bytes(tlv(5, pattern(12)), tlv(7, pattern(16)), tlv(10, tlv(1, [0, 0, 0, 1]))) }),
  864: bytes(pattern(112), tlv(1, pattern(20)), tlv(8, pattern(16))),
  2112: Uint8Array.from([0x14, 0xa7, 0x5b, 1, 1, 2, 2, 0x80, 0xa8, 0xd6, 0xb9, 7, 5, 6, 6, 6, 7, 6]),
  7784: Uint8Array.from(Buffer.from("20c203180000000700000009000f4240000f424000000000", "hex")),
};

/** Returns datagrams to each service, whole, in fragments, and wrong. */
function datagrams(): Uint8Array[] {
  return [7, 9, 10, 5000, 5555, ...Object.keys(MEASURED).map(Number)].flatMap((destinationPort) => {
    const whole = { src: "192.0.2.7", destinationPort, data: MEASURED[destinationPort] ?? pattern(32) };
    const six = { ...whole, src: "2001:db8::7" };
    const long = { destinationPort, data: pattern(2000) };
    return [
      ...[0, 7, 53, 1900, 5000, 40_000].map((sourcePort) => udpPacket({ ...whole, sourcePort })),
      ...[0, 7, 8, 20, 41, 65_535].flatMap((length) => [
        udpPacket({ ...whole, length }), udpPacket6({ ...six, length }),
      ]),
      ...[0, 0x1234].flatMap((checksum) => [udpPacket({ ...whole, checksum }), udpPacket6({ ...six, checksum })]),
      ...["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "10.99.2.2"].map(
        (src) => udpPacket({ ...whole, src }),
      ),
      ...["::", "::1", "ff02::1", "fd99::2"].map((src) => udpPacket6({ ...six, src })),
      ...fragmentsOf(udpPacket({ ...long, src: "192.0.2.7", fragment: 0, id: destinationPort }), [0, 800, 1600, 2008]),
      ...fragmentsOf(udpPacket({ ...long, src: "192.0.2.8", fragment: 0, id: destinationPort }), [0, 1000, 2008]),
      ...fragmentsOf6(udpPacket6({ ...long, src: "2001:db8::8" }), [0, 800, 1600, 2008]),
    ];
  });
}

/** Returns packets of which each second one has wrong bytes; its header's checksum holds, if it has one. */
function disturbed(packets: readonly Uint8Array[], count: number, random: Random): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const packet = packets[random.below(packets.length)].slice();
    if (i % 2 === 0) return packet;
    const length = Math.min(packet.length, 100);
    for (let left = 1 + random.below(3); left > 0; left--) packet[random.below(length)] = random.next();
    if (packet[0] === 0x45) setHeaderChecksum(packet);
    return packet;
  });
}

describe("hostile clients", needs("curl"), () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-hostile-"));
  const config = join(dir, "pongd.yaml");
  let ns: Netns;
  before(async () => { ns = await Netns.open(); });
  after(async () => {
    await ns.close();
    rmSync(dir, { recursive: true });
  });
  afterEach(async () => {
    await ns.close();
    ns = await Netns.open();
  });

  test("requests without end whose responses nobody reads: few are under way, and others are answered", async () => {
    mkdirSync(join(dir, "site"));
    writeFileSync(join(dir, "site", "file"), pattern(1 << 20));
    writeFileSync(join(dir, "never.mjs"), NEVER);
    writeFileSync(config, `${PREFIXES}services: { site: { http: { root: ./site } }, never: { http: { handler: never.mjs } } }
tcp: { 80: http, 81: site, 82: never, 83: never }\n`);
    const pongd = await Pongd.start(ns, "--config", config);
    const clients = ns.spawn(
      "node", "--input-type=module", "-e", SEND, String(CLIENTS), "80", "81", "82",
    );
    const asked = (port: number) => ns.ok("curl", "-sS", "--max-time", "100", `http://10.99.1.2:${port}/file`);
    await poll(() => asked(83), (underWay) => Number(underWay) >= 16 * CLIENTS);
    assert.match(await asked(80), /^10\.99\.1\.2:80 /);
    assert.equal((await asked(81)).length, 1 << 20);
    const underWay = Number(await asked(83));
    assert.ok(underWay <= UNDER_WAY * CLIENTS, `${underWay} requests are under way`);
    const open = readdirSync(`/proc/${pongd.pid}/fd`).filter((fd) => {
      try {
        return readlinkSync(`/proc/${pongd.pid}/fd/${fd}`).endsWith("/site/file");
      } catch {
        // It has been closed meanwhile.
        return false;
      }
    });
    assert.ok(open.length <= CLIENTS, `${open.length} files are open`);
    assert.equal(sum(await pongd.metrics(), "pongd_service_thread_restarts_total"), 0);
    clients.kill();
    await ended(clients);
    assert.equal((await pongd.stop()).status, 0);
  });

  test("what a client of a proxy sends is data, be it a header of the PROXY protocol", async () => {
    const backend = ns.spawn("node", "--input-type=module", "-e", BACKEND);
    await said(backend.stdout, /listens\n/);
    writeFileSync(config, `${PREFIXES}services:
  v1: { tcp: { proxy: "127.0.0.1:8080", proxy_protocol: v1 } }
  v2: { tcp: { proxy: "127.0.0.1:8080", proxy_protocol: v2 } }
tcp: { 81: v1, 82: v2 }\n`);
    const pongd = await Pongd.start(ns, "--config", config);
    const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", "latin1");
    const forged = [
      "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY UNKNOWN\r\n", "", "\r\n",
      Buffer.concat([signature, pattern(12)]).toString("latin1"),
    ];
    let port = 5000;
    for (const data of forged) for (const version of [1, 2]) {
      port++;
      const heard = said(backend.stdout, /^[\da-f]+\n/m);
      await ns.ok(
        "node", "--input-type=module", "-e", `
import { connect } from "node:net";
connect({ port: ${80 + version}, host: "10.99.1.1", localAddress: "10.99.0.1", localPort: ${port} })
  .resume().end(Buffer.from(process.argv[1], "hex"));`, Buffer.from(data, "latin1").toString("hex"),
      );
      const header = version === 1
        ? Buffer.from(`PROXY TCP4 10.99.0.1 10.99.1.1 ${port} 81\r\n`)
        : Buffer.concat([signature, Buffer.from([10, 99, 0, 1, 10, 99, 1, 1, port >> 8, port & 255, 0, 82])]);
      const expected = Buffer.concat([header, Buffer.from(data, "latin1")]).toString("hex");
      assert.equal((await heard).trim(), expected, JSON.stringify(data));
    }
    assert.equal((await pongd.stop()).status, 0);
    backend.kill();
    await ended(backend);
  });

  test("datagrams at random: each packet is counted once, and memory stays as it is", async (context) => {
    const random = Random.fromEnvironment();
    context.diagnostic(`SEED=${random.seed}`);
    writeFileSync(join(dir, "back.mjs"), "export default (message, remote, reply) => { reply(message); };");
    writeFileSync(config, `${PREFIXES}source_rate_limit: { rate: 1000000, burst: 1000000 }
services:
  back: { udp: { handler: back.mjs } }
  own: { stamp: { mode: stateful, cos: any, short: answer, sources: any } }
  keyed: { stamp: { mode: stateful, key_file: key } }
udp: { 7: echo, 9: discard, 10: silent, 862: stamp, 863: own, 864: keyed, 2112: irtt, 5000: back, 7784: sbfd }\n`);
    writeFileSync(join(dir, "key"), pattern(32), { mode: 0o600 });
    const pongd = await Pongd.start(ns, "--config", config);
    const all = datagrams();
    const round = async () => {
      const inject = ns.spawn("node", source("build/test/support/inject.js"), "pong0");
      let errors = "";
      inject.stderr.on("data", (chunk) => { errors += String(chunk); });
      inject.stdin.end(disturbed(all, 20_000, random).map((packet) => Buffer.from(packet).toString("hex")).join("\n"));
      assert.equal(await ended(inject), 0, errors);
      // A ping stands in line behind all of them.
      await ns.ok("ping", "-c", "1", "-W", "20", "10.99.1.1");
      const [, kib] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pongd.pid}/status`, "utf8")) ?? [];
      return Number(kib) / 1024;
    };
    const atFirst = await round();
    const later = [await round(), await round()];
    assert.ok(later.every((mib) => mib < atFirst + NOTHING_MIB), `${atFirst} MiB, later ${later.join(", ")}`);
    const metrics = await pongd.metrics();
    addUp(metrics);
    assert.ok(sum(metrics, "pongd_packets_received_total") >= 60_000);
    for (const protocol of ["udp", "stamp", "irtt", "sbfd"]) {
      assert.ok((metrics.get(`pongd_replies_total{protocol="${protocol}",queue="0"}`) ?? 0) > 0, protocol);
    }
    assert.equal(sum(metrics, "pongd_service_thread_restarts_total"), 0);
    assert.equal(sum(metrics, "pongd_worker_restarts_total"), 0);
    assert.equal((await pongd.stop()).status, 0);
  });
});
