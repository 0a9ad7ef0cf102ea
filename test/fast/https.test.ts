/** Tests HTTP/1.1 and HTTP/2 over TLS: Node.js's own clients over streams of the engine's. */
import "../support/process.js";
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readlinkSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { request, type RequestListener } from "node:http";
import {
  type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants, type IncomingHttpHeaders,
} from "node:http2";
import { text } from "node:stream/consumers";
import { after, describe, test, type TestContext } from "node:test";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import { Drain, Service } from "../../abi/tcp.js";
import { files } from "../../src/net/files.js";
import { type HttpsTerms, httpsService } from "../../src/net/https.js";
import { fingerprint, Folder } from "../support/certificates.js";
import { type ClientEnd, heardBy, RigWire } from "../support/rigwire.js";
import { StreamRig } from "../support/streamrig.js";
import { certificate } from "../support/x509.js";

const folder = new Folder();
after(() => folder.remove());
const [plain, wild, exact] = [
  "DNS:plain.example", "DNS:*.lab.example,DNS:*.example.org", "DNS:api.lab.example",
].map((names) => certificate(names));
folder.writePair("plain", plain);
folder.writePair("wild", wild);
folder.writePair("exact", exact);
const pairOf = (name: string) => ({ cert: folder.file(`${name}.crt`), key: folder.file(`${name}.key`) });

const say: RequestListener = ({ socket, url }, response) => {
  const { localAddress, localPort, localFamily, remoteAddress, remotePort, remoteFamily } = socket;
  response.end([
    url, localAddress, localPort, localFamily, remoteAddress, remotePort, remoteFamily,
    JSON.stringify(socket.address()),
  ].join(" "));
};

const HOUR = 3_600_000;
/** No test goes on for as long. */
const TERMS: HttpsTerms = { handshake: HOUR, headers: HOUR, request: HOUR, keepAlive: HOUR, idle: HOUR };

interface Served {
  readonly wire: RigWire;
  /** Lines that were logged. */
  readonly lines: string[];
}

async function served(
  listener: RequestListener = say,
  { names = ["plain"], terms = TERMS }: { names?: string[]; terms?: Partial<HttpsTerms> } = {},
): Promise<Served> {
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const { take } = httpsService({ pairs: names.map(pairOf), terms: { ...TERMS, ...terms }, log }, listener);
  return { wire: new RigWire(await StreamRig.create({ kind: Service.http, handler: take })), lines };
}

/** Lets terms of an hour end until a promise is settled. The test has enabled `timers` before. */
function expiring<T>(wire: RigWire, timers: MockTimers, awaited: Promise<T>): Promise<T> {
  return wire.during(awaited, () => { timers.tick(HOUR); });
}

type MockTimers = TestContext["mock"]["timers"];

interface Secured {
  readonly tls: TLSSocket;
  readonly end: ClientEnd;
}

/** Connects, and makes the handshake. */
async function secured(wire: RigWire, options: ConnectionOptions = {}, family: 4 | 6 = 6): Promise<Secured> {
  const end = await wire.connect(family);
  const tls = connectTls({ socket: end, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"], ...options });
  await wire.during(once(tls, "secureConnect"));
  return { tls, end };
}

/** Makes a request of HTTP/1.1 on a connection that stays. */
async function ask1(wire: RigWire, tls: TLSSocket, path: string): Promise<string> {
  const asked = request({ createConnection: () => tls, path, headers: { Connection: "keep-alive" } });
  return wire.during(new Promise((resolve, reject) => {
    asked.on("response", (response) => { text(response).then(resolve, reject); }).on("error", reject).end();
  }));
}

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function ask2(wire: RigWire, session: ClientHttp2Session, path: string, headers = {}): Promise<Answer> {
  return wire.during(answerTo(session, path, headers));
}

async function answerTo(session: ClientHttp2Session, path: string, headers = {}): Promise<Answer> {
  const stream = session.request({ ":path": path, ...headers });
  const [[got], body] = await Promise.all([
    once(stream, "response") as Promise<[IncomingHttpHeaders]>, text(stream),
  ]);
  return { headers: got, body };
}

interface Session extends Secured {
  readonly session: ClientHttp2Session;
}

async function session2(wire: RigWire, family: 4 | 6 = 6): Promise<Session> {
  const { tls, end } = await secured(wire, { ALPNProtocols: ["h2", "http/1.1"] }, family);
  assert.equal(tls.alpnProtocol, "h2");
  const session = connectHttp2("https://plain.example", { createConnection: () => tls });
  session.on("error", () => undefined);
  return { session, tls, end };
}

/** Resolves when a connection has ended for the client. */
function ended(end: ClientEnd): Promise<void> {
  return new Promise((resolve) => {
    end.once("end", resolve).once("close", resolve).once("error", () => { resolve(); });
  });
}

/** Returns the names of this process's open files below a folder. */
function openFiles(folder: string): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const name = readlinkSync(`/proc/self/fd/${fd}`);
      return name.startsWith(folder) ? [name] : [];
    } catch {
      return [];
    }
  });
}

/** Tells the packet loop that pongd stops. It looks through its connections a tick later. */
function drain({ rig: { host } }: RigWire): void {
  host.rig.linear.drain(Drain.close);
  host.inject();
  host.advance(1000);
}

/** Lets the engine's and the client's timers fire until nothing is left. */
async function isEmpty(wire: RigWire): Promise<void> {
  for (let i = 0; i < 5; i++) {
    await wire.turn();
    wire.rig.host.advance(1000);
  }
  await wire.isEmpty();
}

for (const family of [4, 6] as const) test(`https, IPv${family}: both protocols, with the addresses of the socket`, async () => {
  const { wire } = await served();
  const [local, remote] = family === 4 ? ["10.99.1.1", "198.51.100.7"] : ["fd99::1:1", "2001:db8::7"];
  const said = (path: string, port: number) => `${path} ${local} 80 IPv${family} ${remote} ${port} IPv${family} `
    + JSON.stringify({ address: local, family: `IPv${family}`, port: 80 });
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    const { tls, end } = await secured(wire, { minVersion: version, maxVersion: version }, family);
    assert.deepEqual([tls.getProtocol(), tls.alpnProtocol], [version, "http/1.1"]);
    for (const path of ["/a", "/b"]) assert.equal(await ask1(wire, tls, path), said(path, end.client.port));
    tls.end();
    await wire.during(once(tls, "close"));
  }
  const { tls } = await secured(wire, { ALPNProtocols: [] }, family);
  assert.match(await ask1(wire, tls, "/c"), /^\/c /);
  tls.destroy();
  const { session, end } = await session2(wire, family);
  for (const path of ["/a", "/b"]) assert.equal((await ask2(wire, session, path)).body, said(path, end.client.port));
  session.close();
  await wire.during(once(session, "close"));
  await isEmpty(wire);
});

describe("https", () => {
  test("TLS 1.1, other protocols, and what is no TLS are refused", async () => {
    const { wire } = await served();
    for (const options of [
      { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }, { ALPNProtocols: ["spdy/3"] },
    ] as const) {
      await assert.rejects(secured(wire, options), { code: /ALERT|alert|ERR_SSL/ });
    }
    for (const bytes of [
      "GET / HTTP/1.1\r\n\r\n", "\xff".repeat(99), "\x16\x03\x01\x00\x05hello",
    ]) {
      const end = await wire.connect(6);
      const over = ended(end.resume());
      end.write(bytes, "latin1");
      await wire.during(over);
      end.destroy();
    }
    await isEmpty(wire);
  });

  test("a client that leaves in the middle of the handshake leaves nothing", async () => {
    const { wire } = await served();
    for (const leave of [
      (end: ClientEnd) => { end.client.tcp.abort(wire.rig.host.us); }, (end: ClientEnd) => { end.end(); },
    ]) {
      const end = await wire.connect(6);
      end.resume().write(Buffer.from("160301020001", "hex"));
      await wire.turn();
      leave(end);
      await wire.until(() => wire.rig.sockets.every(({ destroyed }) => destroyed));
    }
    await isEmpty(wire);
  });

  test("a client that never ends the handshake is cut", async ({ mock: { timers } }) => {
    timers.enable({ apis: ["setTimeout"] });
    const { wire } = await served();
    for (const bytes of ["\x16", "\x80\x2e\x01\x00\x02", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]) {
      const end = await wire.connect(6);
      const over = ended(end.resume());
      end.write(bytes, "latin1");
      await wire.turn();
      timers.tick(HOUR - 1);
      await wire.turn();
      assert.ok(!end.readableEnded && wire.rig.sockets.at(-1)?.destroyed === false);
      timers.tick(1);
      await wire.during(over);
      end.destroy();
    }
    await isEmpty(wire);
  });

  test("the certificate is that with the name, then that with a wildcard for it, then the first", async () => {
    const { wire } = await served(say, { names: ["plain", "wild", "exact"] });
    for (const [servername, pair] of [
      ["plain.example", plain], ["api.lab.example", exact], ["API.Lab.Example", exact], ["other.lab.example", wild],
      ["a.example.org", wild], ["a.b.lab.example", plain], ["lab.example", plain], ["nobody.invalid", plain],
      ["", plain],
    ] as const) {
      const { tls } = await secured(wire, { servername });
      assert.equal(tls.getPeerX509Certificate()?.fingerprint256, fingerprint(pair), servername);
      tls.destroy();
    }
  });

  test("files that change are read again; a pair that does not do leaves the one before", async () => {
    const [first, other, next] = ["DNS:one.example", "DNS:two.example", "DNS:one.example"].map((n) => certificate(n));
    folder.writePair("one", first);
    folder.writePair("two", other);
    const { wire, lines } = await served(say, { names: ["one", "two"] });
    const seen = async (servername: string) => {
      const { tls } = await secured(wire, { servername });
      const print = tls.getPeerX509Certificate()?.fingerprint256;
      tls.destroy();
      return print;
    };
    const both = async () => [await seen(""), await seen("two.example")];
    assert.deepEqual(await both(), [first, other].map(fingerprint));
    for (const [file, content, line] of [
      ["one.crt", next.cert, "one.key: not the private key of the certificate in one.crt"],
      ["one.crt", "", "one.crt: no certificate in PEM: .*"],
      ["one.key", "nonsense", "one.crt: no certificate in PEM: .*"],
      ["one.crt", next.cert, "one.key: no private key in PEM, or one with a passphrase: .*"],
    ]) {
      folder.write(file, content);
      assert.deepEqual(await both(), [first, other].map(fingerprint), file);
      const escaped = line.replaceAll(/one\.(crt|key)/g, (name) => folder.file(name).replaceAll(".", "\\."));
      assert.equal(lines.length, 1);
      assert.match(lines.splice(0)[0], new RegExp(`^${escaped}; the certificate stays as it was$`));
    }
    renameSync(folder.file("one.key"), folder.file("one.old"));
    assert.deepEqual(await both(), [first, other].map(fingerprint));
    assert.match(lines.splice(0).join("\n"), /^.*one\.key: cannot be read: ENOENT.*; the certificate stays as it was$/);
    folder.write("one.key", next.key);
    assert.deepEqual(await both(), [next, other].map(fingerprint));
    writeFileSync(folder.file("two.crt"), next.cert);
    writeFileSync(folder.file("two.key"), next.key);
    assert.deepEqual(await both(), [next, next].map(fingerprint));
    assert.deepEqual(lines, []);
  });

  test("does not begin with a pair that does not do", () => {
    folder.write("mixed.crt", plain.cert);
    folder.write("mixed.key", wild.key);
    const begin = (...names: string[]) => httpsService({ pairs: names.map(pairOf), log: () => undefined }, say);
    assert.throws(() => begin("plain", "mixed"), /mixed\.key: not the private key of the certificate in .*mixed\.crt$/);
    assert.throws(() => begin("missing"), /missing\.crt: cannot be read: ENOENT/);
    assert.throws(() => httpsService(
      { pairs: [{ cert: "/dev/zero", key: "/dev/zero" }], log: () => undefined }, say,
    ), /cannot be read: not a regular file/);
    assert.throws(() => begin(), /TLS needs a certificate/);
  });

  test("headers and requests that do not end in time end the connection", async () => {
    // Node.js's own timers, which cannot be set forward.
    const terms = { headers: 5, request: 5 };
    const { wire } = await served((asked, response) => { asked.resume().on("end", () => response.end()); }, { terms });
    for (const begun of [
      "", "GET / HTTP/1.1\r\nHost: x\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
    ]) {
      const tls = connectTls({ socket: await wire.connect(6), rejectUnauthorized: false });
      // It leaves with the end of the handshake, before which the terms do not begin.
      tls.write(begun);
      await wire.during(heardBy(tls));
    }
    await isEmpty(wire);
  });
});

describe("https, HTTP/2", () => {
  /** The client's preface, with empty SETTINGS. */
  const PREFACE = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0)]);
  /** HPACK for GET https / from the static table. */
  const GET = Buffer.of(0x82, 0x87, 0x84, 0x41, 0x01, 0x78);
  /** The same for /index.html. */
  const UNANSWERED = Buffer.of(0x82, 0x87, 0x85, 0x41, 0x01, 0x78);

  function frame(type: number, flags: number, stream: number, payload = Buffer.alloc(0)): Buffer {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  }

  test("a request that does not end in time is reset; others are not", async ({ mock: { timers } }) => {
    timers.enable({ apis: ["setTimeout"] });
    const late: (() => void)[] = [];
    const { wire } = await served((asked, response) => {
      if (asked.url === "/late") late.push(() => response.end("late"));
      else asked.resume().on("end", () => response.end("whole"));
    });
    const { session } = await session2(wire);
    const answer = answerTo(session, "/late");
    const begin = async () => {
      const stream = session.request({ ":path": "/", ":method": "POST" });
      stream.write("x");
      const before = wire.rig.sockets[0].bytesRead;
      await wire.until(() => wire.rig.sockets[0].bytesRead > before);
      await wire.turn();
      return stream;
    };
    const whole = await begin();
    timers.tick(HOUR - 1);
    const body = text(whole.end());
    assert.equal(await wire.during(body), "whole");
    const stream = await begin();
    timers.tick(HOUR - 1);
    await wire.turn();
    assert.ok(!stream.closed);
    timers.tick(1);
    await wire.during(once(stream, "close"));
    assert.equal(stream.rstCode, constants.NGHTTP2_CANCEL);
    late[0]();
    assert.equal((await wire.during(answer)).body, "late");
    session.destroy();
    await isEmpty(wire);
  });

  test("a connection without a request ends, whatever else comes", async ({ mock: { timers } }) => {
    timers.enable({ apis: ["setTimeout"] });
    const { wire } = await served();
    const pings = Buffer.concat(Array.from({ length: 3 }, () => frame(6, 0, 0, Buffer.alloc(8))));
    const headers = frame(1, 0, 1, GET);
    for (const bytes of [
      "", PREFACE, Buffer.concat([PREFACE, pings]), Buffer.concat([PREFACE, headers.subarray(0, 12)]),
      Buffer.concat([PREFACE, headers]),
    ]) {
      const { tls } = await secured(wire, { ALPNProtocols: ["h2"] });
      const over = heardBy(tls);
      await wire.turn();
      timers.tick(HOUR - 1);
      tls.write(bytes);
      await wire.turn();
      assert.equal(wire.rig.sockets.at(-1)?.writableEnded, false);
      timers.tick(1);
      await wire.during(over);
    }
    await isEmpty(wire);
  });

  test("one with a request stays", async ({ mock: { timers } }) => {
    timers.enable({ apis: ["setTimeout"] });
    const later: (() => void)[] = [];
    const { wire } = await served((_, response) => { later.push(() => response.end("late")); });
    const { session } = await session2(wire);
    const answer = answerTo(session, "/");
    await wire.until(() => later.length > 0);
    for (let hours = 0; hours < 3; hours++) {
      timers.tick(HOUR);
      await wire.turn();
    }
    timers.tick(HOUR - 1);
    later[0]();
    assert.equal((await wire.during(answer)).body, "late");
    // From now on it has no request.
    await wire.turn();
    timers.tick(HOUR - 1);
    await wire.turn();
    assert.ok(!session.closed);
    timers.tick(1);
    await wire.during(once(session, "close"));
    await isEmpty(wire);
  });

  test("streams that are reset over and over end the connection", async ({ mock: { timers } }) => {
    timers.enable({ apis: ["setTimeout"] });
    let asked = 0;
    const { wire } = await served(({ url }, response) => {
      asked++;
      if (url !== "/index.html") response.end();
    });
    // The one with a request that is not answered may have nothing more to say, not even that it ends.
    for (const first of [GET, UNANSWERED]) {
      asked = 0;
      const { tls, end } = await secured(wire, { ALPNProtocols: ["h2"] });
      tls.resume().write(Buffer.concat([PREFACE, frame(1, 5, 1, first)]));
      for (let stream = 3; stream < 6000; stream += 2) {
        tls.write(Buffer.concat([frame(1, 5, stream, GET), frame(3, 0, stream, Buffer.of(0, 0, 0, 8))]));
      }
      if (first === UNANSWERED) tls.end();
      await expiring(wire, timers, ended(end));
      assert.ok(asked >= 1000 && asked < 2000, `${asked} requests`);
      tls.destroy();
    }
    const { session } = await session2(wire);
    assert.equal((await ask2(wire, session, "/")).headers[":status"], 200);
    session.destroy();
    await isEmpty(wire);
  });

  test("frames that are wrong end the connection, and nothing else", async ({ mock: { timers } }) => {
    timers.enable({ apis: ["setTimeout"] });
    const { wire } = await served();
    for (const bytes of [
      Buffer.from("GET / HTTP/1.1\r\n\r\n"), frame(1, 5, 1, Buffer.alloc(16, 0xff)), frame(1, 5, 2, GET),
      frame(0, 1, 1), frame(9, 4, 1, GET), frame(5, 4, 1, Buffer.alloc(4)), frame(8, 0, 0, Buffer.alloc(4)),
      frame(6, 0, 0, Buffer.alloc(7)), frame(1, 1, 1, GET), Buffer.alloc(4000, 0xff),
      Buffer.concat([frame(1, 1, 1, GET), ...Array.from({ length: 100 }, () => frame(9, 0, 1, Buffer.alloc(0)))]),
      Buffer.concat(Array.from({ length: 20_000 }, () => frame(4, 0, 0))),
    ]) {
      const { tls } = await secured(wire, { ALPNProtocols: ["h2"] });
      const over = heardBy(tls);
      tls.write(bytes[0] === 0x47 ? bytes : Buffer.concat([PREFACE, bytes]));
      tls.end();
      await expiring(wire, timers, over);
    }
    const { session } = await session2(wire);
    assert.match((await ask2(wire, session, "/still")).body, /^\/still /);
    session.destroy();
    await isEmpty(wire);
  });

  test("a client gets no more requests at a time than it was told", async () => {
    const held: (() => void)[] = [];
    const { wire } = await served((_, response) => { held.push(() => response.end()); });
    const { session } = await session2(wire);
    const answers = Array.from({ length: 150 }, (_, i) => answerTo(session, `/${i}`));
    await wire.until(() => held.length >= 100);
    await wire.turn();
    assert.equal(held.length, 100);
    const all = Promise.all(answers);
    const answering = setInterval(() => { for (const answer of held.splice(0)) answer(); });
    assert.equal((await wire.during(all)).length, 150);
    clearInterval(answering);
    session.destroy();
  });

  test("serves files", async () => {
    folder.write("large.bin", "x".repeat(1 << 20));
    const { wire } = await served(files(folder.path));
    const { session } = await session2(wire);
    const { headers, body } = await ask2(wire, session, "/large.bin", { range: "bytes=5-9" });
    assert.deepEqual([headers[":status"], headers["content-range"], body], [206, "bytes 5-9/1048576", "xxxxx"]);
    assert.equal((await ask2(wire, session, "/large.bin")).body.length, 1 << 20);
    for (const path of ["/../secret", "/.x", "/%00", "/none"]) {
      assert.match(String((await ask2(wire, session, path)).headers[":status"]), /^40[034]$/);
    }
    session.destroy();
    await isEmpty(wire);
  });
});

/** Asks for a large file, and waits until the server waits for the client to read on. */
async function begun(wire: RigWire, { session }: Session, name: string): Promise<Begun> {
  const stream = session.request({ ":path": `/${name}` });
  const [headers] = await wire.during(once(stream, "response")) as [IncomingHttpHeaders];
  assert.equal(headers["content-length"], String(1 << 20));
  await wire.turn();
  // An error would be told, too.
  stream.on("error", () => undefined);
  let length = 0;
  const rest = () => wire.during(new Promise<number>((resolve) => {
    stream.on("data", (chunk: Buffer) => { length += chunk.length; });
    stream.once("close", () => { resolve(length); });
  }));
  return { stream, rest };
}

interface Begun {
  readonly stream: ClientHttp2Stream;
  /** Reads what comes until the stream is closed, and returns how many bytes that was. */
  readonly rest: () => Promise<number>;
}

describe("https, HTTP/2, a response that cannot be finished", () => {
  test("of a file that has become shorter is reset; its connection ends behind other responses", async () => {
    const late: (() => void)[] = [];
    const serve = files(folder.path);
    const { wire } = await served((asked, response) => {
      if (asked.url === "/late") late.push(() => response.end("late"));
      else serve(asked, response);
    });
    const one = await session2(wire);
    const goaway = once(one.session, "goaway");
    const other = answerTo(one.session, "/late");
    folder.write("short.bin", "x".repeat(1 << 20));
    const { stream, rest } = await begun(wire, one, "short.bin");
    truncateSync(folder.file("short.bin"), 1 << 19);
    const length = await rest();
    assert.ok(length < 1 << 20, `${length} bytes`);
    assert.equal(stream.rstCode, constants.NGHTTP2_INTERNAL_ERROR);
    assert.deepEqual((await wire.during(goaway))[0], constants.NGHTTP2_NO_ERROR);
    late[0]();
    assert.equal((await wire.during(other)).body, "late");
    await wire.during(ended(one.end));
    await isEmpty(wire);
  });

  test("of a file whose client leaves leaves nothing", async () => {
    folder.write("left.bin", "x".repeat(1 << 20));
    for (const leave of [
      ({ stream }: Begun) => { stream.close(constants.NGHTTP2_CANCEL); },
      (_: Begun, { session }: Session) => { session.destroy(); },
      (_: Begun, { end }: Session, { rig }: RigWire) => { end.client.tcp.abort(rig.host.us); },
    ]) {
      const { wire } = await served(files(folder.path));
      const one = await session2(wire);
      const isOpen = () => openFiles(folder.path).length > 0;
      const request = await begun(wire, one, "left.bin");
      assert.ok(isOpen());
      leave(request, one, wire);
      await wire.until(() => !isOpen());
      one.session.destroy();
      one.tls.destroy();
      await isEmpty(wire);
    }
  });
});

describe("https, pongd stops", () => {
  test("idle connections end: those of HTTP/2 by GOAWAY, handshakes at once", async () => {
    const { wire } = await served();
    const [one, idle, two, begun] = [
      await secured(wire), await secured(wire), await session2(wire), await wire.connect(6),
    ];
    await ask1(wire, one.tls, "/");
    await ask2(wire, two.session, "/");
    begun.write(Buffer.from("16030102", "hex"));
    await wire.turn();
    const goaway = once(two.session, "goaway");
    const ends = [one.end, idle.end, two.end, begun].map((end) => ended(end.resume()));
    for (const { tls } of [one, idle]) tls.resume();
    drain(wire);
    const [code] = await wire.during(goaway) as [number];
    assert.equal(code, constants.NGHTTP2_NO_ERROR);
    await wire.during(Promise.all(ends));
    for (const { tls } of [one, idle, two]) tls.destroy();
    begun.destroy();
    await isEmpty(wire);
  });

  test("they end by close_notify", async () => {
    for (const protocol of ["http/1.1", "h2"]) {
      const { wire } = await served();
      const { tls, end } = await secured(wire, { ALPNProtocols: [protocol], maxVersion: "TLSv1.2" });
      let last: Buffer = Buffer.alloc(0);
      end.on("data", (chunk: Buffer) => { last = chunk; });
      const over = ended(end);
      drain(wire);
      await wire.during(over);
      // The last record is an alert, whose content is encrypted: RFC 5246 §6.2.1 and §6.2.3.3, 24 bytes more than 2.
      assert.equal(last.subarray(-31, -26).toString("hex"), "150303001a", protocol);
      tls.destroy();
    }
  });

  test("others end behind their responses", async () => {
    const late: (() => void)[] = [];
    const { wire } = await served(({ url }, response) => {
      if (url === "/now") response.end("now");
      else late.push(() => response.end("late"));
    });
    const [one, two] = [await secured(wire), await session2(wire)];
    const answers = [ask1(wire, one.tls, "/"), answerTo(two.session, "/").then(({ body }) => body)];
    await wire.until(() => late.length === 2);
    drain(wire);
    await wire.turn();
    assert.ok(!wire.rig.sockets.some(({ destroyed }) => destroyed));
    for (const answer of late) answer();
    assert.deepEqual(await wire.during(Promise.all(answers)), ["late", "late"]);
    await wire.until(() => wire.rig.sockets.every(({ writableEnded }) => writableEnded));
    one.tls.destroy();
    two.session.destroy();
    await isEmpty(wire);
  });
});
