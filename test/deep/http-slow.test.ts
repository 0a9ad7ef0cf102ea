/**
 * Tests slow clients, and very many, over the loopback interface: they are cut off, and a scrape succeeds meanwhile.
 */
import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { Agent, createServer, type ServerResponse } from "node:http";
import { connect as connectHttp2, constants } from "node:http2";
import { connect, type AddressInfo, type Socket } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { limitTaking } from "../../src/web/gate.js";
import { Folder, hash } from "../support/certificates.js";
import { ask, askHttp2, basic, closeServed, http2, served } from "../support/served.js";
import { certificate, type Pair } from "../support/x509.js";

/** A short term, for tests that wait until a client is cut off. */
const TERM = { termMs: 500 };
/** A long term, for tests in which it cuts nobody off. */
const LONG = { termMs: 3_600_000 };
/** A text larger than the socket buffers, for clients that do not read it. */
const LARGE = "x".repeat(16 << 20);
const REQUEST = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";

describe("slow clients", () => {
  const folder = new Folder();
  let pair: Pair;
  let web: string;
  before(() => {
    pair = certificate("DNS:localhost,IP:127.0.0.1");
    folder.writePair("server", pair);
    web = folder.write("web.yml", "tls_server_config: { cert_file: server.crt, key_file: server.key }\n");
  });
  afterEach(closeServed);
  after(() => folder.remove());

  /** Opens a connection that sends `text` and never reads. */
  const say = async (port: number, text: string): Promise<Socket> => {
    const socket = connect(port, "127.0.0.1").pause().on("error", () => undefined);
    await once(socket, "connect");
    socket.write(text);
    return socket;
  };
  const saySecurely = async (port: number, text: string): Promise<Socket> => {
    const socket = connectTls({ port, host: "127.0.0.1", ca: pair.cert }).on("error", () => undefined);
    await once(socket, "secureConnect");
    socket.write(text);
    return socket;
  };
  /** Reads whatever the server sent, and resolves once it has closed the connection. */
  const cut = (socket: Socket) => once(socket.resume(), "close");

  for (const [what, text] of [
    ["nothing", ""], ["half a request", "GET /metrics HTTP/1.1\r\nHost: a\r\nX: "],
    ["half of a second request", `${REQUEST}GET /metrics HTTP/1.1\r\nX: `],
    ["half a body", "POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"],
  ] as const) {
    test(`a client that says ${what} is cut`, async () => {
      const server = await served(TERM);
      await cut(await say(server.port, text));
    });
    test(`a client that says ${what} is cut over TLS, too`, async () => {
      const server = await served({ ...TERM, web });
      await cut(await saySecurely(server.port, text));
    });
  }

  test("a client that asks again before its answer is complete is cut: the next would wait behind one that "
    + "may never end", async () => {
    const server = await served({ ...LONG, text: () => new Promise<string>(() => undefined) });
    await cut(await say(server.port, REQUEST + REQUEST));
    await cut(await say(server.port, `GET /events HTTP/1.1\r\nHost: a\r\n\r\n${REQUEST}`));
  });

  test("a client that leaves while its password is compared leaves no place taken", async () => {
    const users = folder.write("users.yml", `basic_auth_users: { ada: "${hash("right")}" }\n`);
    const server = await served({ ...LONG, web: users, maxRequests: 1, text: () => LARGE });
    const socket = await say(
      server.port, REQUEST.replace("Host: a", `Host: a\r\nAuthorization: ${basic("ada", "right")}`),
    );
    socket.destroy();
    assert.equal((await ask(`${server.url}/metrics`, { user: "ada", password: "right" })).status, 200);
  });

  test("a client that does not get on with its handshake is cut", async () => {
    const server = await served({ ...TERM, web });
    await Promise.all([cut(await say(server.port, "")), cut(await say(server.port, "\x16\x03\x01\x02\x00"))]);
  });

  test("a client that does not read its response is cut, and gets no whole one", async () => {
    const server = await served({ ...TERM, text: () => LARGE });
    const socket = await say(server.port, REQUEST);
    // By the time that two later clients are cut off in turn, the first one's term is over.
    for (let i = 0; i < 2; i++) await cut(await say(server.port, "GET"));
    await cut(socket);
    assert.ok(socket.bytesRead < LARGE.length);
  });

  test("an HTTP/2 connection with a response that is not read is cut, and the response is not taken "
    + "for a whole one", async () => {
    const server = await served({ ...TERM, web, text: () => LARGE });
    const session = connectHttp2(server.url, { ca: pair.cert, settings: { initialWindowSize: 1000 } });
    const stream = session.request({ ":path": "/metrics" });
    await Promise.all([once(session, "close"), once(stream, "close")]);
    assert.equal(stream.rstCode, constants.NGHTTP2_CANCEL);
  });

  test("who reads has a large response whole by HTTP/2, too", async () => {
    const server = await served({ web, text: () => LARGE });
    const session = await http2(server.url, pair.cert);
    assert.equal((await askHttp2(session, "/metrics")).body.length, LARGE.length);
    session.close();
  });

  test("a response that goes on has no term, and one that is ended and not read has", async () => {
    let going: ServerResponse | undefined;
    const server = createServer((request, response) => {
      if (request.url === "/events") (going = response).write("first ");
      else response.end(LARGE);
      limitTaking(response, TERM.termMs);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const events = ask(`http://127.0.0.1:${port}/events`);
    await once(server, "request");
    for (let i = 0; i < 2; i++) {
      const [[slow]] = await Promise.all([once(server, "connection") as Promise<[Socket]>, say(port, REQUEST)]);
      await once(slow, "close");
    }
    going?.end("second");
    assert.equal((await events).body, "first second");
    server.close();
  });

  test("a request that takes long to answer has no term", async () => {
    let reloaded: (lines: string[]) => void = () => undefined;
    const server = await served({ ...TERM, reload: () => new Promise((resolve) => { reloaded = resolve; }) });
    const long = ask(`${server.url}/-/reload`, { method: "POST" });
    // Two clients, cut off one after the other, take twice the term.
    for (let i = 0; i < 2; i++) await cut(await say(server.port, "GET"));
    reloaded(["done"]);
    assert.equal((await long).body, "Reloaded\ndone\n");
  });

  for (const [what, text] of [
    ["that say nothing", ""], ["with half a request", "GET /metrics HTTP/1.1\r\nX: "], ["that do not read", REQUEST],
  ] as const) {
    test(`a scrape succeeds beside 400 clients ${what}, and waits for none of them to be cut`, async () => {
      const server = await served({ ...LONG, maxRequests: 40, text: () => "x".repeat(1 << 16) });
      const sockets = await Promise.all(Array.from({ length: 400 }, () => say(server.port, text)));
      const closed: Socket[] = [];
      for (const socket of sockets) socket.once("close", () => closed.push(socket));
      assert.equal((await ask(`${server.url}/metrics`)).status, 200);
      assert.deepEqual(closed, []);
      for (const socket of sockets) socket.destroy();
    });
  }

  test("of more than 512 connections the oldest go, and a scrape succeeds", async () => {
    const server = await served(LONG);
    const sockets: Socket[] = [];
    for (let i = 0; i < 700; i++) sockets.push(await say(server.port, ""));
    assert.equal((await ask(`${server.url}/metrics`)).status, 200);
    await Promise.all(sockets.slice(0, 700 - 511).map(cut));
    assert.ok(sockets.slice(-500).every(({ closed }) => !closed));
    for (const socket of sockets) socket.destroy();
  });

  test("readers that do not read make room for a scrape when all places are theirs, the oldest first", async () => {
    const server = await served({ ...LONG, maxRequests: 3, text: () => LARGE });
    const slow: Socket[] = [];
    for (let i = 0; i < 5; i++) {
      const socket = await say(server.port, REQUEST);
      await once(socket, "readable");
      slow.push(socket);
    }
    await Promise.all([cut(slow[0]), cut(slow[1])]);
    const { status, body } = await ask(`${server.url}/metrics`);
    assert.deepEqual([status, body.length], [200, LARGE.length]);
    await cut(slow[2]);
    assert.ok(!slow[3].closed && !slow[4].closed);
    for (const socket of slow) socket.destroy();
  });

  test("of requests that come at once, all that are read are answered whole, however few are written at a time, "
    + "from a few renderings", async () => {
    const requests = 60;
    let read = 0;
    let made = 0;
    const text = "x".repeat(1 << 20);
    let count: () => void = () => undefined;
    const allRead = new Promise<void>((resolve) => {
      count = () => {
        if (++read === requests) resolve();
      };
    });
    subscribe("http.server.request.start", count);
    // The first rendering ends once all requests are read. What came after it had begun shares the second.
    const server = await served({ maxRequests: 2, text: () => allRead.then(() => `${++made}\n${text}`) });
    const answers = await Promise.all(Array.from({ length: requests }, () => ask(`${server.url}/metrics`)));
    unsubscribe("http.server.request.start", count);
    assert.ok(answers.every(({ status, body }) => status === 200 && body.endsWith(`\n${text}`)));
    assert.ok(made <= 2, `${made} renderings`);
  });

  test("of too many requests by HTTP/2 that wait for their answer, connections with the most are closed, and a scrape "
    + "succeeds", async () => {
    const server = await served({ ...LONG, web, reload: () => new Promise(() => undefined) });
    const sessions = await Promise.all(Array.from({ length: 70 }, () => http2(server.url, pair.cert)));
    const closed = sessions.map((session) => once(session.on("error", () => undefined), "close"));
    for (const session of sessions) {
      for (let i = 0; i < 16; i++) {
        session.request({ ":path": "/-/reload", ":method": "POST" }).on("error", () => undefined).end();
      }
    }
    await Promise.race(closed);
    assert.equal((await ask(`${server.url}/metrics`, { ca: pair.cert })).status, 200);
    assert.ok(sessions.filter((session) => session.closed || session.destroyed).length < 35);
    await server.close();
    await Promise.all(closed);
  });

  test("whoever guesses passwords does not hold up a scrape by somebody who was let in before", async () => {
    const users = folder.write("users.yml", `basic_auth_users: { ada: "${hash("right")}" }\n`);
    const server = await served({ web: users });
    const scrape = async () => (await ask(`${server.url}/metrics`, { user: "ada", password: "right" })).status;
    assert.equal(await scrape(), 200);
    // A hash of cost 16 takes longer to compare than the rest of this test.
    folder.write(
      "users.yml", `basic_auth_users: { eve: "${hash("right").replace("$04$", "$16$")}", ada: "${hash("right")}" }\n`,
    );
    assert.equal(await scrape(), 200);
    const answered: number[] = [];
    const guesses = Array.from({ length: 50 }, (_, i) => ask(
      `${server.url}/metrics`, { user: "eve", password: String(i) },
    ).then(({ status }) => answered.push(status), () => undefined));
    while (!answered.includes(503)) await ask(`${server.url}/nothing`);
    assert.equal(await scrape(), 200);
    assert.ok(!answered.includes(401), "before the first guess was judged");
    await server.close();
    await Promise.all(guesses);
  });

  for (const secure of [false, true]) {
    test(`the server ends at once with every kind of connection open${secure ? ", over TLS" : ""}`, async () => {
      const server = await served(
        { text: () => LARGE, reload: () => new Promise(() => undefined), ...secure && { web } },
      );
      const open = secure ? saySecurely : say;
      const agent = new Agent({ keepAlive: true });
      const sockets = [
        await say(server.port, ""), await open(server.port, "GET"), await open(server.port, REQUEST),
        await open(server.port, "POST /-/reload HTTP/1.1\r\nHost: a\r\n\r\n"),
      ];
      if (!secure) sockets.push((await ask(`${server.url}/-/healthy`, { agent })).socket);
      const session = secure ? await http2(server.url, pair.cert) : undefined;
      session?.on("error", () => undefined).request({ ":path": "/metrics" }).on("error", () => undefined);
      const ended = [...sockets.map(cut), ...session ? [once(session, "close")] : []];
      await server.close();
      await Promise.all(ended);
      agent.destroy();
    });
  }
});
