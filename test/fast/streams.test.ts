/** Tests streams: bytes between a peer and a handler on a service thread, which is this one. */
import "../support/process.js";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { Service } from "../../abi/tcp.js";
import { ConnectionError } from "../../src/net/socket.js";
import { PORT, StreamRig } from "../support/streamrig.js";
import { OPEN } from "../vectors/tcp/rows.js";

function isReset(error: unknown): boolean {
  assert.ok(error instanceof ConnectionError);
  assert.equal(error.code, "ECONNRESET");
  return true;
}

for (const family of [4, 6] as const) describe(`a stream, IPv${family}`, () => {
  test("what comes is read, and what is written is sent", async () => {
    const rig = await StreamRig.create({ handler: (socket) => { socket.pipe(socket); } });
    const play = rig.player(family);
    await play(...OPEN, [0, "<", "P. 1:11(10) ack 1"]);
    await play([0, ">", "P. 1:11(10) ack 11"], [0, "<", "F. 11:11(0) ack 11"], [0, ">", ". 11:11(0) ack 12"]);
    await play([0, ">", "F. 11:11(0) ack 12"], [0, "<", ". 12:12(0) ack 12"]);
    rig.isEmpty();
  });

  test("whoever speaks first may", async () => {
    const rig = await StreamRig.create({ handler: (socket) => { socket.write("220\r\n"); } });
    const play = rig.player(family);
    await play(...OPEN);
    await play([0, ">", "P. 1:6(5) ack 1 \"220\\r\\n\""]);
    const [socket] = rig.sockets;
    assert.equal(socket.remotePort, 40_001);
    assert.equal(socket.localPort, PORT);
    assert.equal(socket.remoteAddress, family === 4 ? "198.51.100.7" : "2001:db8::7");
    assert.equal(socket.localAddress, family === 4 ? "10.99.1.1" : "fd99::1:1");
  });

  test("where the peer has to, a connection has a socket from its first byte on", async () => {
    const rig = await StreamRig.create({ kind: Service.http, handler: (socket) => { socket.resume(); } });
    const play = rig.player(family);
    await play(...OPEN);
    assert.equal(rig.sockets.length, 0);
    await play([0, "<", "P. 1:2(1) ack 1"]);
    assert.equal(rig.sockets.length, 1);
    // The handler has no answer, so that the acknowledgement goes alone in the end.
    await play([0.002, ">", ". 1:1(0) ack 2"]);
  });

  test("without a byte it ends by itself", async () => {
    const rig = await StreamRig.create({ kind: Service.http, handler: () => { assert.fail("no socket"); } });
    const play = rig.player(family);
    await play(...OPEN, [0, "<", "F. 1:1(0) ack 1"], [0, ">", "F. 1:1(0) ack 2"], [0, "<", ". 2:2(0) ack 2"]);
    rig.isEmpty();
  });

  test("http.Server serves it, request after request", async () => {
    const server = createServer((request, response) => { response.end(`${request.method} ${request.url}\n`); });
    const rig = await StreamRig.create({ kind: Service.http, handler: (socket) => { server.emit("connection", socket); } });
    const client = await rig.connect(family);
    for (const path of ["/", "/a", "/b"]) {
      const said = (await client.ask(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)).toString();
      assert.match(said, /^HTTP\/1\.1 200 OK\r\n/);
      assert.match(said, new RegExp(`GET ${path}\n`));
    }
    const said = (await client.ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).toString();
    assert.match(said, /Connection: close/);
    await client.end();
    rig.isEmpty();
  });
});
