/** Tests pongd sessions against a pongd with real ones: of `pongd stamp`, and of a client of IRTT. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CLI, needs, Netns, Pongd, sum } from "../support/netns.js";

/** Opens a session of IRTT, sends a request, and prints the token once the reply has come. */
const CLIENT = `
const { createSocket } = require("node:dgram");
const [host, port] = process.argv.slice(1);
const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
const magic = [0x14, 0xa7, 0x5b];
let token;
socket.on("message", (reply) => {
  if (token) {
    console.log(token.toString("hex"));
    socket.close();
    return;
  }
  token = reply.subarray(4, 12);
  socket.send(Buffer.concat([Buffer.from([...magic, 0]), token, Buffer.alloc(48)]));
});
socket.connect(Number(port), host, () => socket.send(Buffer.from([...magic, 1, 1, 2])));
`;

interface Line {
  readonly protocol: string;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly service: string;
  readonly ssid?: number;
  readonly packets: number;
  readonly ageMs: number;
  readonly idleMs: number;
}

test("sessions: those that STAMP and IRTT have, and as many as are counted", needs(), async () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-sessions-"));
  const config = join(dir, "pongd.yaml");
  writeFileSync(config, [
    "prefixes: [10.99.0.0/16, \"fd99::/64\"]", "services: { counting: { stamp: { mode: stateful } } }",
    "udp: { 862: counting, 863: stamp, 2112: irtt }", "udp_sessions: 100", "",
  ].join("\n"));
  const ns = await Netns.open();
  const pongd = await Pongd.start(ns, "--config", config, "--queues", "2");
  const list = async (...args: readonly string[]): Promise<Line[]> => {
    const text = await ns.ok(process.execPath, CLI, "sessions", "--json", ...args);
    return text.split("\n").slice(0, -1).map((line) => JSON.parse(line) as Line);
  };
  const stamp = (...args: readonly string[]) =>
    ns.ok(process.execPath, CLI, "stamp", "--quiet", "--interval", "0.01", "--timeout", "30", ...args);
  assert.deepEqual(await list(), []);
  await stamp("--count", "5", "--ssid", "7", "10.99.1.1");
  await stamp("--count", "3", "fd99::5");
  // The stateless mode has none.
  await stamp("--count", "2", "--port", "863", "10.99.1.1");
  const tokens = [];
  for (const address of ["10.99.2.2", "fd99::6"]) {
    tokens.push((await ns.ok(process.execPath, "-e", CLIENT, address, "2112")).trim());
  }

  const lines = await list();
  assert.deepEqual(
    lines.map(({ protocol, localAddress, localPort, service, ssid, packets }) =>
      [protocol, localAddress, localPort, service, ssid, packets]).sort(),
    [
      ["irtt", "10.99.2.2", 2112, "irtt", undefined, 1], ["irtt", "fd99::6", 2112, "irtt", undefined, 1],
      ["stamp", "10.99.1.1", 862, "counting", 7, 5], ["stamp", "fd99::5", 862, "counting", 0, 3],
    ],
  );
  for (const { ageMs, idleMs } of lines) assert.ok(idleMs >= 0 && idleMs <= ageMs, `${idleMs} of ${ageMs} ms`);
  const six = await list("--protocol", "irtt", "--local", "::/0");
  assert.deepEqual(six.map(({ localAddress }) => localAddress), ["fd99::6"]);
  const people = await ns.ok(process.execPath, CLI, "sessions", "--port", "862");
  assert.match(people, /^PROTOCOL .*\n(stamp .* counting\n){2}$/);
  assert.match(tokens.join(" "), /^[0-9a-f]{16} [0-9a-f]{16}$/);
  for (const token of tokens) {
    const reversed = Buffer.from(token, "hex").reverse().toString("hex");
    assert.ok(![token, reversed].some((secret) => JSON.stringify(lines).includes(secret)));
  }

  const { status, stderr } = await ns.run(process.execPath, CLI, "sessions", "--service", "nope");
  assert.deepEqual([status, stderr], [0, "pongd: no port has a service \"nope\" that takes datagrams\n"]);
  const metrics = await pongd.metrics();
  assert.equal(sum(metrics, "pongd_stamp_sessions"), 2);
  assert.equal(sum(metrics, "pongd_irtt_sessions"), 2);
  assert.equal(sum(metrics, "pongd_stamp_sessions_limit"), 200);
  assert.equal(sum(metrics, "pongd_irtt_sessions_limit"), 2 * 4096);
  await pongd.stop();
  await ns.close();
  rmSync(dir, { recursive: true });
});
