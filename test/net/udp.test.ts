/** Tests the UDP services of a running pongd, as other programs and the kernel see them. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { source } from "../support/assembly.js";
import { needs, Netns, Pongd, poll, sum } from "../support/netns.js";

/** Sends a datagram, in hexadecimal, to ADDRESS PORT, and prints the answer in the same form. */
const ASK = `
import socket, sys
address, port, data = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.connect((address, port))
s.send(data)
print(s.recv(70000).hex())
`;
/** Sends datagrams of these lengths, each once its answer has come whole. */
const ECHO = `
import os, socket, sys
address, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.connect((address, port))
for length in map(int, sys.argv[3:]):
    data = os.urandom(length)
    s.send(data)
    assert s.recv(70000) == data, length
print("all")
`;

/** A query for the A record of example.org, by RFC 1035. */
const QUERY = `12340100000100000000000007${hex("example")}03${hex("org")}0000010001`;

/** A handler that answers with VERSION and what it is told, and fails as it is told. */
const HANDLER = `
export default (message, remote, reply) => {
  switch (String(message)) {
    case "throw": reply("before"); throw new Error("told to fail");
    case "exit": reply("exits"); setTimeout(() => process.exit(7), 0); return;
    case "hang": for (;;);
  }
  setTimeout(() => { reply(\`VERSION \${message} \${JSON.stringify(remote)}\`); }, 0);
};`;

function hex(text: string): string {
  return Buffer.from(text).toString("hex");
}

describe("UDP services", needs("python3", "nping"), () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-udp-"));
  const [config, own] = ["pongd.yaml", "own.mjs"].map((name) => join(dir, name));
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

  const ask = async (address: string, port: number, text: string) =>
    Buffer.from((await ns.ok("python3", "-c", ASK, address, String(port), hex(text))).trim(), "hex").toString();
  const version = (text: string) => { writeFileSync(own, HANDLER.replace("VERSION", text)); };

  test("UE-1: echo to any program's datagrams of any length, IPv4 and IPv6", async () => {
    const pongd = await Pongd.start(ns, "10.99.0.0/16", "fd99::/64", "--udp", "7=echo,9=discard,10=silent");
    const lengths = ["0", "1", "1472", "1473", "20000"];
    for (const address of ["10.99.1.1", "fd99::1:1"]) {
      const longest = address.includes(":") ? "65527" : "65507";
      assert.equal(await ns.ok("python3", "-c", ECHO, address, "7", ...lengths, longest), "all\n");
    }
    const nping = (...args: string[]) => ns.ok("nping", "--udp", "-p", "7", ...args, "10.99.7.7");
    assert.match(await nping("-g", "40000", "--data-length", "64", "-c", "3"), /Rcvd: 3 /);
    // UE-2: nping asks from port 53 unless told otherwise.
    assert.match(await nping("-c", "1"), /Rcvd: 0 /);
    const metrics = await pongd.metrics();
    assert.equal(metrics.get("pongd_packets_dropped_total{reason=\"udp_loop\",queue=\"0\"}"), 1);
    assert.equal(metrics.get("pongd_udp_datagrams_total{service=\"echo\",queue=\"0\"}"), 15);
    await pongd.stop();
  });

  test("a handler: docs/udp.md's DNS server answers at every address", async () => {
    const [, yaml, code] = /```yaml\n(?:#.*\n)?(services: \{ dns:[^]*?)```\n\n```js\n([^]*?)```/.exec(
      readFileSync(source("docs/udp.md"), "utf8"),
    ) ?? [];
    writeFileSync(config, yaml);
    writeFileSync(join(dir, "dns.mjs"), code);
    const pongd = await Pongd.start(ns, "--config", config);
    const answer = (await ns.ok("python3", "-c", ASK, "10.99.7.9", "53", QUERY)).trim();
    assert.equal(answer, `1234850000010001${"0".repeat(8)}${QUERY.slice(24)}c00c000100010000003c00040a630709`);
    const other = QUERY.replace(/00010001$/, "00100001");
    assert.match((await ns.ok("python3", "-c", ASK, "10.99.7.9", "53", other)).trim(), /^123485000001000000000000/);
    assert.match((await pongd.stop()).stdout, /, handlers took 2, dropped /);
  });

  test("a handler: it is told who asks; one that fails costs its answer, one that dies is started again", async () => {
    version("one");
    writeFileSync(config, "prefixes: [10.99.0.0/16, { prefix: \"fd99::/64\", name: lab }]\n"
    + "services: { own: { udp: { handler: ./own.mjs } } }\nudp: { 5000: own, 7: echo }\n");
    const pongd = await Pongd.start(ns, "--config", config);
    const told = async (address: string, text: string) => {
      const answer = await ask(address, 5000, text);
      assert.ok(answer.startsWith(`one ${text} `), answer);
      return { ...JSON.parse(answer.slice(5 + text.length)) as object, port: 0 };
    };
    assert.deepEqual(await told("10.99.3.4", "hi"), {
      address: "10.99.0.1", port: 0, family: "IPv4", localAddress: "10.99.3.4", localPort: 5000, prefix: "10.99.0.0/16",
    });
    assert.deepEqual(await told("fd99::3:4", "six"), {
      address: "fd99::1", port: 0, family: "IPv6", localAddress: "fd99::3:4", localPort: 5000, prefix: "fd99::/64",
      name: "lab",
    });
    assert.equal(await ask("10.99.3.4", 5000, "throw"), "before");
    await pongd.logged(/service own: its handler has failed: told to fail/);
    assert.equal((await pongd.metrics()).get("pongd_service_errors_total{service=\"own\"}"), 1);

    version("two");
    process.kill(pongd.pid, "SIGHUP");
    await poll(() => ask("10.99.3.4", 5000, "new"), (text) => text.startsWith("two new "));

    assert.equal(await ask("10.99.3.4", 5000, "exit"), "exits");
    const again = ASK.replace("settimeout(60)", "settimeout(1)");
    await poll(
      () => ns.run("python3", "-c", again, "10.99.3.4", "5000", hex("x")),
      ({ stdout }) => stdout.startsWith(hex("two x ")),
    );
    assert.equal(sum(await pongd.metrics(), "pongd_service_thread_restarts_total"), 1);

    // Nobody waits for a handler that hangs.
    const hung = ns.spawn("python3", "-c", ASK, "10.99.3.4", "5000", hex("hang"));
    assert.equal(await ns.ok("python3", "-c", ECHO, "10.99.3.4", "7", "10", "3000"), "all\n");
    await ns.ok("ping", "-c", "2", "-W", "20", "10.99.1.1");
    hung.kill();
    await pongd.stop();
  });
});
