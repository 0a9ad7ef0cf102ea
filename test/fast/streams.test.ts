/** Tests streams: bytes between a peer and a handler on a service thread, which is this one. */
import "../support/process.js";
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { createServer, request } from "node:http";
import { Socket as NetSocket } from "node:net";
import { constants } from "node:os";
import type { Duplex } from "node:stream";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { LENT_COUNT, THREADS } from "../../abi/streams.js";
import { Drain, MAX_PAGES, PAGE_COUNT, PAGES, Service } from "../../abi/tcp.js";
import { ConnectionError } from "../../src/net/connectionerror.js";
import { Socket } from "../../src/net/socket.js";
import { httpService } from "../../src/net/http.js";
import { type Client, PORT, StreamRig } from "../support/streamrig.js";
import { stateOf } from "../support/tcpstate.js";
import { OPEN } from "../vectors/tcp/rows.js";

const MIB = 1 << 20;

/** Returns what ends a stream as an error; undefined if it ends without. */
function endOf(stream: Duplex): Promise<unknown> {
  return new Promise((resolve) => {
    stream.once("error", resolve);
    stream.once("close", () => { resolve(undefined); });
  });
}

async function isReset(end: Promise<unknown>): Promise<void> {
  const error = await end;
  assert.ok(error instanceof ConnectionError);
  assert.equal(error.code, "ECONNRESET");
}

function pattern(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => Math.imul(i + 1, 0x9e37_79b1) >>> 24));
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
    const handler = (socket: Duplex) => { server.emit("connection", socket); };
    const rig = await StreamRig.create({ kind: Service.http, handler });
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

describe("a socket", () => {
  test("has the bytes that came and went, in order, more than any window holds", async () => {
    const got: Buffer[] = [];
    const rig = await StreamRig.create({ handler: (socket) => {
      socket.on("data", (chunk: Buffer) => got.push(chunk));
      socket.on("end", () => { socket.end(pattern(2 * MIB)); });
    } });
    const client = await rig.connect(4);
    await client.ask(pattern(MIB));
    await client.end();
    assert.deepEqual(Buffer.concat(got), pattern(MIB));
    assert.deepEqual(client.heard(), pattern(2 * MIB));
    const [socket] = rig.sockets;
    assert.deepEqual([socket.bytesRead, socket.bytesWritten], [MIB, 2 * MIB]);
    rig.isEmpty();
  });

  test("that is not read holds the peer back by its window, and loses nothing", async () => {
    const rig = await StreamRig.create({});
    const client = await rig.connect(6);
    client.tcp.write(pattern(MIB), rig.host.us);
    await rig.settle();
    const taken = client.tcp.acknowledged;
    assert.ok(taken >= 1 << 16 && taken <= 1 << 19, `${taken} bytes`);
    const got: Buffer[] = [];
    rig.sockets[0].on("data", (chunk: Buffer) => got.push(chunk));
    await rig.settle();
    assert.deepEqual(Buffer.concat(got), pattern(MIB));
  });

  test("what is written at once goes out whole, texts of any encoding as well, and takes one page", async () => {
    const chunks: readonly [string | Buffer, BufferEncoding?][] = [
      ["héllo "], ["wörld", "latin1"], [Buffer.from([1, 2, 3])], ["€".repeat(300)], ["6162", "hex"], ["öl", "utf16le"],
      ["", "utf8"], ["Zm9v", "base64"],
    ];
    const rig = await StreamRig.create({});
    const client = await rig.connect(4);
    const [socket] = rig.sockets;
    const words = new Uint32Array(rig.host.rig.linear.memory.buffer);
    const all = Buffer.concat(chunks.map(([chunk, encoding]) =>
      typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk));
    rig.holdsBack = true;
    const before = words[PAGE_COUNT / 4] - words[(THREADS + LENT_COUNT) / 4];
    socket.cork();
    for (const [chunk, encoding = "utf8"] of chunks) socket.write(chunk, encoding);
    assert.equal(socket.bytesWritten, all.length);
    socket.uncork();
    assert.equal(socket.bytesWritten, all.length);
    await rig.settle();
    assert.equal(words[PAGE_COUNT / 4] - words[(THREADS + LENT_COUNT) / 4] - before, 1, "pages");
    rig.holdsBack = false;
    await rig.settle();
    assert.ok(client.heard().equals(all));
    // What the packet loop has been told of is not changed any more.
    socket.write("more");
    await rig.settle();
    assert.equal(client.heard().toString(), "more");
    assert.equal(socket.bytesWritten, all.length + 4);
  });

  test("a text that a page has no room for begins another", async () => {
    const rig = await StreamRig.create({});
    const client = await rig.connect(4);
    const [socket] = rig.sockets;
    socket.cork();
    for (let i = 0; i < 40; i++) socket.write(`${i}`.repeat(700), i % 2 === 0 ? "latin1" : "utf8");
    socket.uncork();
    await rig.settle();
    const all = Array.from({ length: 40 }, (_, i) => `${i}`.repeat(700)).join("");
    assert.ok(client.heard().equals(Buffer.from(all)));
  });

  test("times out after the last byte, not the first, and sooner if it is told so later", async (t) => {
    const rig = await StreamRig.create({ handler: (socket) => { socket.resume(); } });
    const client = await rig.connect(4);
    const [socket] = rig.sockets;
    // The socket's own timers keep no process alive.
    const awake = setInterval(() => undefined, 1000);
    t.after(() => { clearInterval(awake); });
    const order: string[] = [];
    const timeout = new Promise<void>((resolve) => { socket.setTimeout(1000, resolve); })
      .then(() => order.push("timeout"));
    await delay(500);
    await client.ask("?");
    // This ends after the socket would have timed out without that, and before it does now.
    await Promise.all([delay(700).then(() => order.push("later")), timeout]);
    assert.deepEqual(order, ["later", "timeout"]);
    socket.setTimeout(1_000_000);
    await new Promise<void>((resolve) => { socket.setTimeout(1, resolve); });
    socket.on("timeout", () => order.push("late"));
    socket.setTimeout(1).setTimeout(0);
    await delay(20);
    assert.equal(order.length, 2);
  });

  test("long texts are written as they are sent, and counted in bytes all along", async () => {
    const rig = await StreamRig.create({});
    const client = await rig.connect(4, { buffer: 1 << 14 });
    client.holds = true;
    const [socket] = rig.sockets;
    const text = "ä€x".repeat(100_000);
    for (const encoding of ["utf8", "latin1"] as const) socket.write(text, encoding);
    const size = Buffer.byteLength(text) + text.length;
    await rig.settle();
    assert.equal(socket.bytesWritten, size);
    client.holds = false;
    client.tcp.consume(Infinity, rig.host.us);
    await rig.settle();
    assert.equal(socket.bytesWritten, size);
    assert.ok(client.heard().equals(Buffer.concat([Buffer.from(text), Buffer.from(text, "latin1")])));
  });

  test("of a peer that does not read is full, and drains once that reads", async () => {
    const rig = await StreamRig.create({});
    const client = await rig.connect(4, { buffer: 1 << 14 });
    client.holds = true;
    const [socket] = rig.sockets;
    let written = 0;
    const chunk = pattern(1 << 14);
    do written += chunk.length; while (socket.write(chunk) && written < 4 * MIB);
    await rig.settle();
    assert.ok(written < MIB, `${written} bytes`);
    let drained = false;
    socket.once("drain", () => { drained = true; });
    for (let i = 0; i < 40; i++) {
      if (!socket.writableNeedDrain) written += socket.write(chunk) ? chunk.length : chunk.length;
      await rig.settle();
    }
    assert.ok(written < MIB, `${written} bytes`);
    client.holds = false;
    client.tcp.consume(Infinity, rig.host.us);
    await rig.settle();
    assert.ok(drained);
    assert.equal(client.heard().length, written);
  });

  test("that is destroyed calls back for each write before its close, as a net.Socket does", async () => {
    for (const [error, ...expected] of [[undefined, undefined, "ERR_STREAM_DESTROYED"], [new Error("x"), "x", "x"]]) {
      const rig = await StreamRig.create({});
      const client = await rig.connect(4);
      client.holds = true;
      const [socket] = rig.sockets;
      const said: unknown[] = [];
      const written = (why?: NodeJS.ErrnoException | null) => { said.push(why?.code ?? why?.message); };
      socket.on("error", () => undefined).on("close", () => { said.push("close"); });
      socket.write(pattern(MIB), written);
      socket.write("more", written);
      await rig.settle();
      assert.deepEqual(said, []);
      socket.destroy(error as Error | undefined);
      await rig.settle();
      assert.deepEqual(said, [...expected, "close"]);
    }
  });

  test("checks what setTimeout() is given as a net.Socket does, and takes any time", async (t) => {
    const rig = await StreamRig.create({});
    await rig.connect(4);
    const [socket] = rig.sockets;
    const other = new NetSocket();
    t.after(() => { other.destroy(); });
    for (const args of [["1"], [undefined], [null], [-1], [NaN], [Infinity], [1, 1], [0, "f"], [1, null]]) {
      const thrown = [socket, other].map((each) => {
        try {
          (each.setTimeout as (...args: unknown[]) => unknown)(...args);
        } catch (error) {
          return [(error as Error).name, (error as { code?: string }).code];
        }
        return [];
      });
      assert.deepEqual(thrown[0], thrown[1]);
      assert.equal(thrown[0].length, 2);
      assert.equal(socket.timeout, 0);
    }
    let outs = 0;
    const warnings: Error[] = [];
    const warned = (warning: Error) => warnings.push(warning);
    process.on("warning", warned);
    socket.setTimeout(2 ** 31, () => outs++);
    await delay(5);
    process.off("warning", warned);
    assert.deepEqual([outs, warnings], [0, []]);
    socket.destroy();
    assert.equal(socket.setTimeout(1), socket);
    assert.equal(socket.timeout, 2 ** 31);
  });

  test("ends both ways on its own, and the other side may go on", async () => {
    const rig = await StreamRig.create({ handler: (socket) => { socket.end("bye"); } });
    const client = await rig.connect(4);
    assert.equal(client.heard().toString(), "bye");
    assert.ok(client.tcp.finished);
    const [socket] = rig.sockets;
    const got: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => got.push(chunk));
    await client.ask("more");
    assert.equal(Buffer.concat(got).toString(), "more");
    assert.equal(socket.readyState, "readOnly");
    await client.end();
    assert.ok(socket.destroyed);
    rig.isEmpty();
  });

  test("without half-open ends when the peer does", async () => {
    const rig = await StreamRig.create({ socket: { allowHalfOpen: false }, handler: (socket) => { socket.resume(); } });
    const client = await rig.connect(4);
    await client.end();
    assert.ok(client.tcp.finished);
    rig.isEmpty();
  });

  test("that the peer resets ends by ECONNRESET", async () => {
    const rig = await StreamRig.create({});
    const client = await rig.connect(4);
    const end = endOf(rig.sockets[0].resume());
    client.tcp.abort(rig.host.us);
    await rig.settle();
    await isReset(end);
    rig.isEmpty();
  });

  test("that is destroyed sends what was written, and FIN", async () => {
    const rig = await StreamRig.create({ handler: (socket) => {
      socket.end("last");
      socket.destroySoon();
    } });
    const client = await rig.connect(4);
    assert.equal(client.heard().toString(), "last");
    assert.ok(client.tcp.finished);
    await client.end();
    rig.isEmpty();
  });

  test("that is destroyed with something unread resets, as the kernel does", async () => {
    const rig = await StreamRig.create({});
    const client = await rig.connect(4);
    await client.ask("unread");
    rig.sockets[0].destroy();
    await rig.settle();
    assert.equal(client.tcp.outcome, "reset");
    rig.isEmpty();
  });

  test("that is reset resets", async () => {
    const rig = await StreamRig.create({ handler: (socket) => { socket.resetAndDestroy(); } });
    const client = rig.client(4);
    client.tcp.connect(rig.host.us);
    await rig.settle();
    assert.equal(client.tcp.outcome, "reset");
    rig.isEmpty();
  });

  test("that is gone resets what comes later", async () => {
    const rig = await StreamRig.create({ handler: (socket) => { socket.destroy(); } });
    const client = await rig.connect(4);
    await client.ask("late");
    rig.host.advance(100);
    await rig.settle();
    assert.equal(client.tcp.outcome, "reset");
    rig.isEmpty();
  });

  test("emits timeout when nothing comes or goes", async () => {
    const rig = await StreamRig.create({});
    await rig.connect(4);
    const [socket] = rig.sockets;
    // Timeouts of sockets keep no process alive.
    const alive = setInterval(() => undefined, 1000);
    await new Promise<void>((resolve) => { socket.setTimeout(1, resolve); });
    clearInterval(alive);
    assert.equal(socket.timeout, 1);
  });

  test("ends by ECONNRESET when the packet loop has crashed, and others begin after it", async () => {
    const rig = await StreamRig.create({ handler: (socket) => { socket.pipe(socket); } });
    await rig.connect(4);
    const end = endOf(rig.sockets[0]);
    rig.host.rig.linear.recover();
    await rig.settle();
    await isReset(end);
    const client = await rig.connect(4);
    assert.equal((await client.ask("again")).toString(), "again");
    await client.end();
    rig.isEmpty();
  });

  test("says at its close whether there was an error, and behind that", async () => {
    const rig = await StreamRig.create({});
    const clients = [await rig.connect(4), await rig.connect(4)];
    const events: unknown[] = [];
    for (const socket of rig.sockets) {
      socket.on("error", () => events.push("error")).on("close", (hadError?: boolean) => events.push(hadError));
    }
    clients[0].tcp.abort(rig.host.us);
    await rig.settle();
    rig.sockets[1].destroy();
    await rig.settle();
    assert.deepEqual(events, ["error", true, false]);
  });

  test("hears of the peer's end though nobody reads", async () => {
    const rig = await StreamRig.create({ socket: { allowHalfOpen: false } });
    const client = await rig.connect(4);
    await client.end();
    assert.ok(rig.sockets[0].destroyed);
    assert.ok(client.tcp.finished);
    rig.isEmpty();
  });

  test("has what the last bytes give rise to done before the end that came with them", async () => {
    const server = createServer((request, response) => {
      request.resume().on("end", () => { response.end("answered"); });
    });
    const handler = (socket: Duplex) => { server.emit("connection", socket); };
    const rig = await StreamRig.create({ kind: Service.http, handler });
    const client = await rig.connect(4);
    client.tcp.write(Buffer.from("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"), rig.host.us);
    await client.end();
    assert.match(client.heard().toString(), /answered$/);
    rig.isEmpty();
  });

  test("hears everything though listeners throw, which is uncaught", async () => {
    const thrown: string[] = [];
    const fail = (event: string) => () => { throw new Error(event); };
    process.setUncaughtExceptionCaptureCallback(({ message }) => { thrown.push(message); });
    try {
      const rig = await StreamRig.create({ handler: (socket) => {
        for (const event of ["data", "closing"]) socket.on(event, fail(event));
      } });
      const clients = [await rig.connect(4), await rig.connect(4)];
      const [first, second] = rig.sockets;
      for (const client of clients) client.tcp.write(pattern(1000), rig.host.us);
      await rig.settle();
      assert.deepEqual(thrown.splice(0), ["data", "data"]);
      // It takes several turns to write this.
      first.write(pattern(MIB), fail("written"));
      second.closing();
      await rig.settle();
      assert.deepEqual(thrown.splice(0), ["closing", "written"]);
      const server = rig.server(4);
      Socket.connect(rig.port, server.target).once("connect", fail("connect")).once("ready", fail("ready")).write("x");
      await rig.settle();
      assert.deepEqual([thrown.splice(0), server.heard().toString()], [["connect", "ready"], "x"]);
      await clients[0].ask("x");
      assert.deepEqual(thrown, ["data"]);
      assert.equal(first.bytesRead, 1001);
    } finally {
      process.setUncaughtExceptionCaptureCallback(null);
    }
  });

  test("of a block that another stream had before is not taken for that", async () => {
    const rig = await StreamRig.create({ kind: Service.http, handler: (socket) => {
      socket.on("error", () => undefined).pipe(socket);
    } });
    for (let i = 0; i < 20; i++) {
      const client = await rig.connect(4);
      assert.equal((await client.ask("x")).toString(), "x");
      if (i % 2 === 0) client.tcp.abort(rig.host.us);
      else await client.end();
      // The next one may come before the thread has let go of this one.
      if (i % 3 > 0) await rig.settle();
    }
    await rig.settle();
    rig.isEmpty();
  });
});

test("streams that wait for a page go on once the peers have acknowledged others", async () => {
  const rig = await StreamRig.create({ memory: 1 << 16, handler: (socket) => {
    socket.once("data", () => { socket.end(pattern(MIB)); });
  } });
  const clients = await Promise.all([4, 6, 4].map((family) => rig.connect(family as 4 | 6)));
  rig.holdsBack = true;
  for (const client of clients) client.tcp.write(Buffer.from("?"), rig.host.us);
  const words = new Uint32Array(rig.host.rig.linear.memory.buffer);
  // A few pages are written each time.
  for (let i = 0; i < 16; i++) await rig.settle();
  // All pages are in use, and the thread has none.
  assert.deepEqual([words[PAGE_COUNT / 4], words[(THREADS + LENT_COUNT) / 4]], [words[MAX_PAGES / 4], 0]);
  rig.holdsBack = false;
  await rig.settle();
  for (const client of clients) assert.ok(client.heard().equals(pattern(MIB)));
});

test("streams whose news the thread has not read are not forgotten for those that take others' blocks", async () => {
  const rig = await StreamRig.create({ connections: 4 });
  const clients: Client[] = [];
  for (let i = 0; i < 4; i++) clients.push(await rig.connect(4));
  const got: string[] = [];
  const listen = (socket: Socket, i: number) => {
    socket.on("error", () => undefined).on("data", (chunk: Buffer) => got.push(`${i}: ${chunk.toString()}`));
  };
  rig.sockets.forEach(listen);
  await rig.settle();
  // The thread looks at nothing from here on.
  for (const client of clients) client.tcp.write(Buffer.from("x"), rig.host.us);
  rig.deliver();
  for (const socket of rig.sockets.slice(2)) socket.destroy();
  rig.port.flush();
  rig.host.inject();
  for (let i = 0; i < 2; i++) rig.client(4).tcp.connect(rig.host.us);
  while (rig.deliver());
  await rig.settle();
  assert.deepEqual(got, ["0: x", "1: x"]);
  assert.equal(rig.sockets.length, 6);
});

describe("a socket that connects", () => {
  for (const family of [4, 6] as const) {
    test(`to an IPv${family} address is connecting, then open, and what was written before is sent`, async () => {
      const rig = await StreamRig.create({});
      const server = rig.server(family, { timestamps: true, scale: 4 });
      const socket = Socket.connect(rig.port, server.target);
      const events: string[] = [];
      for (const event of ["connect", "ready", "end", "close"]) socket.on(event, () => { events.push(event); });
      const got: Buffer[] = [];
      socket.on("data", (chunk: Buffer) => got.push(chunk));
      socket.write("GET / ");
      socket.write("HTTP/1.0\r\n\r\n");
      assert.deepEqual([socket.connecting, socket.pending, socket.readyState], [true, true, "opening"]);
      assert.deepEqual([socket.localPort, socket.remoteAddress, socket.address()], [undefined, undefined, {}]);
      assert.deepEqual([socket.bytesWritten, socket.destroyed], [18, false]);
      await rig.settle();
      assert.deepEqual(events, ["connect", "ready"]);
      assert.deepEqual([socket.connecting, socket.pending, socket.readyState], [false, false, "open"]);
      assert.equal(server.heard().toString(), "GET / HTTP/1.0\r\n\r\n");
      assert.equal(socket.remotePort, server.port);
      assert.equal(socket.remoteFamily, `IPv${family}`);
      assert.ok(Number(socket.localPort) >= 32_768);
      assert.equal((await server.ask("200")).length, 0);
      assert.equal(Buffer.concat(got).toString(), "200");
      await server.end();
      socket.end();
      await rig.settle();
      assert.deepEqual(events, ["connect", "ready", "end", "close"]);
      rig.isEmpty();
    });
  }

  test("moves more than any window holds, both ways", async () => {
    const rig = await StreamRig.create({});
    const server = rig.server(4, { scale: 3 });
    const socket = Socket.connect(rig.port, server.target);
    const got: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => got.push(chunk));
    socket.end(pattern(2 * MIB));
    server.tcp.write(pattern(MIB), rig.host.us);
    await rig.settle();
    assert.ok(server.tcp.finished);
    await server.end();
    assert.deepEqual(server.heard(), pattern(2 * MIB));
    assert.deepEqual(Buffer.concat(got), pattern(MIB));
    rig.isEmpty();
  });

  test("and is ended before it is connected says what was written, and FIN", async () => {
    const rig = await StreamRig.create({});
    const server = rig.server(6);
    const socket = Socket.connect(rig.port, server.target);
    socket.resume().end();
    await rig.settle();
    assert.ok(server.tcp.finished);
    assert.equal(server.heard().length, 0);
    await server.end();
    assert.ok(socket.destroyed);
    rig.isEmpty();
  });

  test("speaks HTTP", async () => {
    const rig = await StreamRig.create({});
    const server = rig.server(4);
    const socket = Socket.connect(rig.port, server.target);
    const answer = new Promise<string>((resolve, reject) => {
      const asked = request({ createConnection: () => socket, path: "/x", host: "there" });
      asked.on("response", (response) => { response.setEncoding("utf8").on("data", resolve); });
      asked.on("error", reject).end();
    });
    await rig.settle();
    assert.match(server.heard().toString(), /^GET \/x HTTP\/1\.1\r\n/);
    await server.ask("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    assert.equal(await answer, "hi");
    await server.end();
    await rig.settle();
    rig.isEmpty();
  });

  /** Lets a socket fail, and returns its error. */
  async function failed(rig: StreamRig, socket: Socket): Promise<ConnectionError> {
    const end = endOf(socket);
    await rig.settle();
    const error = await end;
    assert.ok(error instanceof ConnectionError);
    assert.deepEqual([socket.connecting, socket.destroyed], [false, true]);
    return error;
  }

  test("to where nobody listens ends by ECONNREFUSED, as the kernel's do", async () => {
    const rig = await StreamRig.create({});
    const server = rig.server(4);
    // It is closed, and so refuses.
    server.tcp.state = "closed";
    const error = await failed(rig, Socket.connect(rig.port, server.target));
    const { code, errno, syscall, address, port, message } = error;
    assert.deepEqual(
      { code, errno, syscall, address, port, message },
      {
        code: "ECONNREFUSED", errno: -constants.errno.ECONNREFUSED, syscall: "connect", address: "198.51.100.7",
        port: server.port, message: `connect ECONNREFUSED 198.51.100.7:${server.port}`,
      },
    );
    rig.isEmpty();
  });

  test("to where nobody answers ends by ETIMEDOUT, and earlier if it is destroyed", async () => {
    const rig = await StreamRig.create({});
    const { target } = rig.server(6, { localPort: 7 });
    const socket = Socket.connect(rig.port, { ...target, remotePort: 8 });
    const other = Socket.connect(rig.port, { ...target, remotePort: 9 });
    await rig.settle();
    const close = endOf(other);
    other.destroy();
    assert.equal(await close, undefined);
    await rig.settle();
    assert.equal(stateOf(rig.host.rig).connections, 1);
    rig.host.advance(256e6);
    assert.equal((await failed(rig, socket)).code, "ETIMEDOUT");
    rig.isEmpty();
  });

  for (const way of ["destroy", "resetAndDestroy"] as const) {
    test(`and has not heard yet that it is connected ends by ${way}() as the kernel's do`, async () => {
      const rig = await StreamRig.create({});
      const server = rig.server(4);
      const socket = Socket.connect(rig.port, server.target);
      // The first round is for a page.
      for (let i = 0; i < 2; i++) {
        rig.port.turn();
        rig.host.inject();
      }
      while (rig.deliver());
      assert.ok(socket.connecting);
      assert.equal(server.tcp.state, "established");
      socket[way]();
      await rig.settle();
      if (way === "destroy") {
        assert.ok(server.tcp.finished);
        await server.end();
      }
      assert.equal(server.tcp.outcome, way === "destroy" ? "closed" : "reset");
      rig.isEmpty();
    });

    test(`and is ended by ${way}() before it has a connection block ends the same way`, async () => {
      const rig = await StreamRig.create({});
      const server = rig.server(4);
      const socket = Socket.connect(rig.port, server.target);
      // The request is on its way when the socket is destroyed, and the answer comes before the order.
      rig.port.turn();
      rig.host.inject();
      rig.port.turn();
      socket[way]();
      rig.host.inject();
      while (rig.deliver());
      assert.equal(server.tcp.state, "established");
      await rig.settle();
      if (way === "destroy") await server.end();
      assert.equal(server.tcp.outcome, way === "destroy" ? "closed" : "reset");
      rig.isEmpty();
    });
  }

  test("emits timeout while it is connecting", async () => {
    const rig = await StreamRig.create({});
    const { target } = rig.server(4, { localPort: 7 });
    const socket = Socket.connect(rig.port, { ...target, remotePort: 8 });
    const alive = setInterval(() => undefined, 1000);
    await new Promise<void>((resolve) => { socket.setTimeout(1, resolve); });
    clearInterval(alive);
    assert.ok(socket.connecting);
    socket.destroy();
    await rig.settle();
    rig.isEmpty();
  });

  test("to what cannot be connected to, or from what is not served, says so", async () => {
    const rig = await StreamRig.create({});
    const { target } = rig.server(4);
    for (const [change, code] of [
      [{ remoteAddress: Uint8Array.of(255, 255, 255, 255) }, "EINVAL"],
      [{ localAddress: Uint8Array.of(10, 99, 0, 1) }, "EADDRNOTAVAIL"],
    ] as const) {
      assert.equal((await failed(rig, Socket.connect(rig.port, { ...target, ...change }))).code, code);
    }
    assert.throws(() => Socket.connect(rig.port, { ...target, remotePort: 65536 }), RangeError);
    assert.throws(() => Socket.connect(rig.port, { ...target, remoteAddress: new Uint8Array(16) }), RangeError);
    rig.isEmpty();
  });

  test("waits for a page if none is to be had", async () => {
    const rig = await StreamRig.create({});
    const servers = Array.from({ length: 40 }, () => rig.server(4));
    // Before any page is lent.
    const sockets = servers.map(({ target }) => Socket.connect(rig.port, target));
    await rig.settle();
    assert.deepEqual(sockets.map(({ connecting }) => connecting), servers.map(() => false));
    for (const socket of sockets) socket.resume().end();
    await rig.settle();
    for (const server of servers) await server.end();
    rig.isEmpty();
  });

  test("ends when the packet loop has crashed", async () => {
    const rig = await StreamRig.create({});
    const { target } = rig.server(4, { localPort: 7 });
    const socket = Socket.connect(rig.port, { ...target, remotePort: 8 });
    await rig.settle();
    rig.host.rig.linear.recover();
    assert.equal((await failed(rig, socket)).code, "ECONNABORTED");
    rig.isEmpty();
  });
});

describe("a service thread", () => {
  test("that has ended has its streams reset, and the next one has streams of its own", async () => {
    const rig = await StreamRig.create({ handler: (socket) => { socket.pipe(socket); } });
    const clients = [await rig.connect(4), await rig.connect(6)];
    await clients[0].ask("x");
    rig.kill();
    await rig.settle();
    for (let i = 0; i < 4; i++) {
      rig.host.advance(100);
      await rig.settle();
    }
    assert.deepEqual(clients.map(({ tcp }) => tcp.outcome), ["reset", "reset"]);
    rig.restart();
    const client = await rig.connect(4);
    assert.equal((await client.ask("again")).toString(), "again");
    await client.end();
    rig.isEmpty();
  });

  test("whose handlers take long comes back to what else it has to do between two of them", async () => {
    const rig = await StreamRig.create({ handler: () => {
      for (const began = performance.now(); performance.now() - began < 50;);
    } });
    const clients = [rig.client(4), rig.client(6)];
    for (const client of clients) {
      client.tcp.connect(rig.host.us);
      for (let i = 0; i < 3; i++) rig.deliver();
    }
    assert.equal(rig.port.turn(), true);
    assert.equal(rig.sockets.length, 1);
    assert.equal(rig.port.turn(), false);
    assert.equal(rig.sockets.length, 2);
  });

  test("whose place nobody has yet gets no connection: SYNs stay unanswered", async () => {
    const rig = await StreamRig.create({});
    rig.kill();
    const client = rig.client(4);
    client.tcp.connect(rig.host.us);
    await rig.settle();
    assert.equal(client.tcp.state, "syn-sent");
  });

  test("cannot have anything done to what is not its own", async () => {
    const rig = await StreamRig.create({ handler: (socket) => { socket.pipe(socket); } });
    const client = await rig.connect(4);
    await client.ask("x");
    const words = new Uint32Array(rig.host.rig.linear.memory.buffer);
    const pages = words[PAGES / 4];
    const whats = [
      0, 1, 2, 4095, 4096, pages - 4096, pages, pages + 4095, pages + 4096 * 1000, 0xffff_f000, 0xffff_ffff,
    ];
    for (const index of [0, 1, 63, 64, 1 << 20, 0xffff_ffff]) {
      // Of its own stream it may let go.
      for (const what of whats.filter((what) => index > 0 || what !== 1)) {
        rig.port.order(index, what);
        rig.port.flush();
        rig.host.inject();
      }
    }
    assert.equal((await client.ask("still")).toString(), "still");
    await client.end();
    rig.isEmpty();
  });
});

describe("HTTP", () => {
  async function served(): Promise<{ readonly rig: StreamRig; readonly client: Client }> {
    const { take: handler } = httpService(({ url }, response) => { response.end(`${url}\n`); });
    const rig = await StreamRig.create({ kind: Service.http, handler });
    return { rig, client: await rig.connect(6) };
  }
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

  test("pongd stops: idle connections end, and others after their response", async () => {
    const { rig, client } = await served();
    await client.ask(get("/"));
    rig.host.rig.linear.drain(Drain.close);
    await rig.settle();
    rig.host.advance(1000);
    await rig.settle();
    assert.ok(client.tcp.finished);
    await client.end();
    rig.isEmpty();
  });

  for (const [what, text, status] of [
    ["is no request", "\x16\x03\x01 nonsense\r\n\r\n", "400 Bad Request"],
    ["has a body of two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      "400 Bad Request"],
    ["has headers without end", `GET / HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(20_000)}`,
      "431 Request Header Fields Too Large"],
    ["has no host", "GET / HTTP/1.1\r\n\r\n", "400 Bad Request"],
    ["has two hosts", "GET / HTTP/1.0\r\nHost: x\r\nhost: y\r\n\r\n", "400 Bad Request"],
    ["expects what nobody knows", "GET / HTTP/1.1\r\nHost: x\r\nExpect: more\r\nConnection: close\r\n\r\n",
      "417 Expectation Failed"],
  ] as const) test(`what ${what} is refused, and counted`, async () => {
    const refused: number[] = [];
    const { take: handler } = httpService(() => assert.fail("the listener is called"), (code) => refused.push(code));
    const rig = await StreamRig.create({ kind: Service.http, handler });
    const client = await rig.connect(6);
    assert.match((await client.ask(text)).toString(), RegExp(`^HTTP/1\\.1 ${status}\r\n`));
    assert.deepEqual(refused, [Number(status.slice(0, 3))]);
    await client.end();
    rig.isEmpty();
  });

  test("nothing is written into a response that has begun", async () => {
    const refused: number[] = [];
    const { take: handler } = httpService((_, response) => { response.write("begun"); }, (code) => refused.push(code));
    const rig = await StreamRig.create({ kind: Service.http, handler });
    const client = await rig.connect(4);
    assert.match((await client.ask(get("/"))).toString(), /^HTTP\/1\.1 200 OK\r\n/);
    assert.equal((await client.ask("nonsense\r\n\r\n")).toString(), "");
    assert.deepEqual(refused, []);
  });

  /** A client, and what it asks for, which the test answers. */
  async function unanswered(refused?: (status: number) => void): Promise<{
    readonly rig: StreamRig; readonly client: Client; readonly asked: Map<string, ServerResponse>;
  }> {
    const asked = new Map<string, ServerResponse>();
    const { take: handler } = httpService(({ url = "" }, response) => { asked.set(url, response); }, refused);
    const rig = await StreamRig.create({ kind: Service.http, handler });
    return { rig, client: await rig.connect(4), asked };
  }
  const bodies = (text: Buffer) => [...text.toString().matchAll(/^(?:body of .*|HTTP\/1\.1 4.*)$/gm)].map(([line]) => line.trim());

  test("what is refused behind other requests is refused behind their responses", async () => {
    const refused: number[] = [];
    const { rig, client, asked } = await unanswered((code) => refused.push(code));
    assert.equal((await client.ask(`${get("/one")}${get("/two")}nonsense\r\n\r\n`)).toString(), "");
    asked.get("/two")?.end("body of two\n");
    assert.equal((await client.ask(get("/never"))).toString(), "");
    assert.deepEqual(refused, []);
    asked.get("/one")?.end("body of one\n");
    await rig.settle();
    assert.deepEqual(bodies(client.heard()), ["body of one", "body of two", "HTTP/1.1 400 Bad Request"]);
    assert.deepEqual([refused, [...asked.keys()]], [[400], ["/one", "/two"]]);
    await client.end();
    rig.isEmpty();
  });

  test("a body that is refused is answered behind the responses before its own", async () => {
    const { rig, client, asked } = await unanswered(() => undefined);
    const post = "POST /two HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n";
    await client.ask(get("/one") + post);
    asked.get("/one")?.end("body of one\n");
    await rig.settle();
    assert.deepEqual(bodies(client.heard()), ["body of one", "HTTP/1.1 400 Bad Request"]);
    await client.end();
    rig.isEmpty();
  });

  test("who sends nonsense and ends, or is reset, leaves nothing", async () => {
    const { rig, client, asked } = await unanswered(() => undefined);
    await client.ask(`${get("/one")}nonsense\r\n\r\n`);
    await client.end();
    const other = await rig.connect(6);
    await other.ask(`${get("/two")}nonsense\r\n\r\n`);
    other.tcp.abort(rig.host.us);
    await rig.settle();
    assert.deepEqual([...asked.values()].map(({ destroyed }) => destroyed), [true, true]);
    rig.isEmpty();
  });

  test("behind a few requests without a response, no more is read", async () => {
    const { rig, client, asked } = await unanswered();
    // A piece has 17 of these, and Node.js 26 is given a second one before it has parsed the first.
    const paths = Array.from({ length: 5000 }, (_, i) => `/${"long/".repeat(6)}${i}`);
    await client.ask(paths.map(get).join(""));
    assert.ok(asked.size >= 16 && asked.size < 64, `${asked.size} requests`);
    const answers: string[] = [];
    for (let answered = 0; answered < asked.size;) {
      for (const [path, response] of [...asked].slice(answered)) response.end(`body of ${path}\n`);
      answered = asked.size;
      await rig.settle();
      answers.push(...bodies(client.heard()));
    }
    assert.deepEqual(answers, paths.map((path) => `body of ${path}`));
    assert.equal(asked.size, paths.length);
    await client.end();
    rig.isEmpty();
  });

  test("a request to upgrade is the last one of its connection", async () => {
    const { rig, client } = await served();
    const upgrade = "GET /one HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    assert.match((await client.ask(`${upgrade}${get("/two")}`)).toString(), /\r\nConnection: close\r\n[^]*\r\n\/one\n$/);
    assert.ok(client.tcp.finished);
    await client.end();
    rig.isEmpty();
  });
});
