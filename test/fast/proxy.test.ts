/** Tests proxies: connections that go on to a server of the host. */
import "../support/process.js";
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { createServer, type AddressInfo, type Socket as NetSocket } from "node:net";
import { test } from "node:test";
import { pino } from "pino";
import { proxy } from "../../src/net/proxy.js";
import { StreamRig } from "../support/streamrig.js";

/** Returns how many sockets the process has open. */
function openSockets(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      // That of the directory itself.
      return false;
    }
  }).length;
}

test("a proxy: a connection that is reset while its end goes on leaves no socket open", async () => {
  const server = createServer((backend) => { backend.resume().on("error", () => undefined); });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const before = openSockets();
  const { port } = server.address() as AddressInfo;
  const handler = proxy({ host: "127.0.0.1", port }, undefined, pino({ level: "silent" }));
  const rig = await StreamRig.create({ handler });
  const accepted = once(server, "connection") as Promise<[NetSocket]>;
  const client = await rig.connect(4);
  const [backend] = await accepted;
  const heard = once(backend, "data");
  await client.ask("hello");
  await heard;
  const closed = once(backend, "close");
  const [socket] = rig.sockets;
  // Behind the listener that ends the backend: this is between the call of shutdown() and its end.
  socket.once("end", () => {
    process.nextTick(() => { socket.destroy(new Error("reset")); });
  });
  await client.end();
  await closed;
  assert.equal(openSockets(), before);
  server.close();
});
