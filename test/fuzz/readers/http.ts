/**
 * Fuzzes the server of the operator's side, over the loopback interface: bytes in pieces, as a client sends them. It
 * answers with HTTP or closes, never with a defect of its own (500), in bounded time, and then answers somebody else.
 * The first byte of an input says how it is sent.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { basic, closeServed, served, type Served } from "../../support/served.js";
import type { Reader } from "../guided.js";
import { Folder } from "./folder.js";

/**
 * The milliseconds that a server waits for a request and for a response. Only the last server has the short time, and
 * soon cuts whoever says less than a request; the others' time is longer than any test.
 */
const TERM_MS = 300;
const LONG_MS = 3_600_000;
/** The longest that an answer may take, on whatever machine. */
const BOUND_MS = 20_000;
/** A hash of "x" at bcrypt's least cost. */
const HASH = "$2b$04$Fyw8stjx/KST7hhQYz5JuOUklPlYDSgebCyapSQ4kVjabLFhBHkti";
/**
 * Bits of the first byte: to which server the input goes, in how many pieces, and whether the client stays to be cut,
 * which only the last server does.
 */
const SERVER = 0x03;
const PIECES = 0x1c;
const STAYS = 0xe0;
/** Turns of the event loop in which what was sent is read and answered. */
const TURNS = 6;

const METHODS = ["GET", "HEAD", "POST", "PUT", "OPTIONS", "CONNECT", "DELETE", "PRI", "get"];
const PATHS = [
  "/metrics", "/-/healthy", "/-/ready", "/-/reload", "/events", "/", "/web/page/page.js", "/web/page/icon.svg",
  "/telemetry/figures.js", "/../etc/passwd", "*", "http://a/metrics", "//", "/metrics?x=%00",
];
const HEADERS = [
  "Host: a", "Accept: application/openmetrics-text", "Accept-Encoding: gzip", "Connection: close",
  "Connection: keep-alive", "Connection: upgrade", "Upgrade: websocket", "Upgrade: h2c", "Expect: 100-continue",
  "Expect: x", "Content-Length: 5", "Content-Length: 18446744073709551616", "Transfer-Encoding: chunked",
  "Transfer-Encoding: x", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: none", "If-None-Match: x", "Range: bytes=0-",
  `Authorization: ${basic(
    "admin", "x",
  )}`, `Authorization: ${basic("admin", "y")}`, "Authorization: Basic :", "Trailer: x", "Cookie: a",
];

let folder: Folder;
let servers: Served[] = [];

const request = (mode: number, text: string) => Buffer.concat([Uint8Array.of(mode), Buffer.from(text)]);

export const http: Reader = {
  covers: ["/build/src/http/", "node:_http_server", "node:_http_incoming", "node:_http_outgoing", "node:_http_common"],
  dictionary: [
    ...METHODS.map((method) => `${method} `), ...PATHS, ...HEADERS.map((header) => `${header}\r\n`),
    " HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/2.0\r\n", "\r\n\r\n", "\r\n", "\n",
    "5\r\nhello\r\n", "0\r\n\r\n", "ffffffffffffffff\r\n", "\0", "\u0080", ": ",
  ],
  seeds: [
    ...PATHS.map((path, i) => request(i & SERVER, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)),
    request(1, `GET /metrics HTTP/1.1\r\nHost: a\r\n${HEADERS[18]}\r\nAccept: `
    + `application/openmetrics-text\r\nAccept-Encoding: gzip\r\n\r\n`),
    request(1, `GET /metrics HTTP/1.1\r\nHost: a\r\n${HEADERS[19]}\r\n\r\n`),
    request(0x08, "GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /events "
    + "HTTP/1.1\r\nHost: a\r\n\r\n"),
    request(0x1e, "POST /-/reload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    request(0x02, "PUT /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"),
    request(0xe3, "GET /metrics HTTP/1.1\r\nHost: a\r\n"), request(0xe7, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"),
  ],
  async open() {
    folder = new Folder();
    const web = folder.write(
      "web.yml", `basic_auth_users: { admin: ${HASH} }\nhttp_server_config: { headers: { X-Frame-Options: deny } }\n`,
    );
    const limited = folder.write("limited.yml", "rate_limit: { interval: 1ms, burst: 2 }\n");
    const reload = () => Promise.resolve(["mtu stays"]);
    servers = await Promise.all([{}, { web }, { reload, maxRequests: 1 }, { web: limited, termMs: TERM_MS }]
      .map((options) => served({ termMs: LONG_MS, ...options })));
  },
  async close() {
    await closeServed();
    folder.remove();
  },
  async feed(input) {
    const mode = input.at(0) ?? 0;
    const server = servers[mode & SERVER];
    const answered = await bounded(send(
      server, input.subarray(1), 1 + ((mode & PIECES) >> 2), (mode & STAYS) === STAYS && (mode & SERVER) === SERVER,
    ));
    if (answered.length > 0) assert.match(answered.toString("latin1", 0, 12), /^HTTP\/1\.1 [1-5]\d\d$/);
    assert.doesNotMatch(answered.toString("latin1"), /^HTTP\/1\.1 500 /m);
    const other = await bounded(
      send(servers[0], Buffer.from("GET /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 1, true),
    );
    assert.match(other.toString(), /^HTTP\/1\.1 200 .*\r\n\r\nHealthy\n$/s);
  },
};

/**
 * Sends the bytes in so many pieces, and returns what came back until the connection was closed. A client that does not
 * stay ends it.
 */
async function send({ port }: Served, bytes: Uint8Array, pieces: number, stays: boolean): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const socket: Socket = connect({ port, host: "127.0.0.1", noDelay: true })
    .on("error", () => undefined)
    .on("data", (chunk: Buffer) => chunks.push(chunk));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await once(socket, "connect");
  const step = Math.max(1, Math.ceil(bytes.length / pieces));
  for (let at = 0; at < bytes.length && !socket.destroyed; at += step) {
    socket.write(bytes.subarray(at, at + step));
    await setImmediate();
  }
  for (let turn = 0; turn < TURNS; turn++) await setImmediate();
  if (!stays || chunks.length > 0) socket.end();
  await closed;
  return Buffer.concat(chunks);
}

async function bounded<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => { reject(new Error(`neither answered nor closed within ${BOUND_MS / 1000} s`)); }, BOUND_MS,
    );
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
