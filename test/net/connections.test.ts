/** Tests pongd connections against a pongd with real connections, whose other ends the kernel has. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CLI, needs, Netns, poll, Pongd, said } from "../support/netns.js";

/** Sends hello to each of the places, says so when all of it has come back, and ends with standard input. */
const CLIENT = `
const { connect } = require("node:net");
const { once } = require("node:events");
(async () => {
  for (const place of process.argv.slice(1)) {
    const [host, port] = place.split(",");
    const socket = connect({ host, port: Number(port) });
    await once(socket, "connect");
    socket.write("hello");
    if (port === "7") await once(socket, "data");
  }
  console.log("all are open");
  process.stdin.resume().on("end", () => process.exit());
})();
`;

interface Line {
  readonly state: string;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly service: string;
  readonly prefix: string;
  readonly name?: string;
  readonly acknowledged: number;
  readonly received: number;
  readonly inFlight: number;
  readonly options: readonly string[];
}

test("connections: what pongd lists is what the kernel has of the other ends", needs("ss"), async () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-connections-"));
  const config = join(dir, "pongd.yaml");
  writeFileSync(config, [
    "prefixes: [{ prefix: 10.99.0.0/16, name: lab }, { prefix: fd99::/64 }]",
    "services: { ssh: { tcp: { banner: \"SSH-2.0-x\" } } }",
    "tcp: { 7: echo, 9: discard, 22: ssh }",
    "",
  ].join("\n"));
  const ns = await Netns.open();
  const pongd = await Pongd.start(ns, "--config", config, "--queues", "2");
  const list = async (...args: readonly string[]): Promise<Line[]> => {
    const text = await ns.ok(process.execPath, CLI, "connections", "--json", ...args);
    return text.split("\n").slice(0, -1).map((line) => JSON.parse(line) as Line);
  };
  const places = ["10.99.1.1,7", "10.99.1.2,7", "10.99.1.1,9", "10.99.200.1,22", "fd99::5,7"];
  const client = ns.spawn(process.execPath, "-e", CLIENT, ...places);
  await said(client.stdout, /all are open/);

  const of = ({ localAddress, localPort, remoteAddress, remotePort }: Line) => {
    const bracketed = (address: string) => address.includes(":") ? `[${address}]` : address;
    return `${bracketed(remoteAddress)}:${remotePort} ${bracketed(localAddress)}:${localPort}`;
  };
  const lines = await poll(() => list(), (found) => {
    return found.length === places.length && found.every(({ inFlight, received }) => inFlight === 0 && received === 5);
  });
  const kernel = (await ns.ok("ss", "-tnH", "state", "established", "not", "sport", "=", ":7664")).trim().split("\n")
    .map((line) => line.trim().split(/\s+/).slice(2, 4).join(" ")).filter((line) => !line.includes(":7664"));
  assert.deepEqual(lines.map(of).sort(), kernel.sort());
  const seen = lines.map(({ state, localAddress, localPort, service, prefix, name, acknowledged, received }) => {
    return [`${localAddress},${localPort}`, state, service, prefix, name, acknowledged, received];
  });
  assert.deepEqual(seen.sort(), [
    ["10.99.1.1,7", "established", "echo", "10.99.0.0/16", "lab", 5, 5],
    ["10.99.1.1,9", "established", "discard", "10.99.0.0/16", "lab", 0, 5],
    ["10.99.1.2,7", "established", "echo", "10.99.0.0/16", "lab", 5, 5],
    ["10.99.200.1,22", "established", "ssh", "10.99.0.0/16", "lab", 9, 5],
    ["fd99::5,7", "established", "echo", "fd99::/64", undefined, 5, 5],
  ]);
  for (const { options } of lines) assert.deepEqual(options.slice(0, 3), ["ts", "sack", "wscale"]);
  assert.deepEqual((await list("--service", "ssh", "--local", "10.99.0.0/16")).map(({ localPort }) => localPort), [22]);
  assert.match(await ns.ok(process.execPath, CLI, "connections", "--port", "22"), / ssh +10\.99\.0\.0\/16 lab\n/);

  client.stdin.end();
  await poll(() => list(), (found) => found.length === 0);
  await pongd.stop();
  await ns.close();
  rmSync(dir, { recursive: true });
});
