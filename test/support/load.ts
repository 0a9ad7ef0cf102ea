/**
 * Loads an HTTP server as outsiders can: `load.js LOAD`, where LOAD is JSON. It prints as JSON what came of it. It is
 * a process of its own, so that its work is not the test's.
 */
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";

/** Address and port of the server. */
const [HOST, PORT] = ["127.0.0.1", 7664];
/** Pause between two sips of a slow reader, and bytes of each. */
const [SIP_MS, SIP_BYTES] = [100, 1024];
/** Time after which a new connection takes the oldest one's place. */
const REPLACED_MS = 10;

export type Load
  /** All ask at once for `path`. They read until all is there, or with `read: false` never, for `seconds`. */
  = | { readonly kind: "burst"; readonly connections: number; readonly seconds: number; readonly path: string;
    readonly read: boolean; }
  /** Each asks by TLS and HTTP/2 for /metrics on `streams` streams at once, and reads nothing for `seconds`. */
    | { readonly kind: "streams"; readonly connections: number; readonly streams: number; readonly seconds: number }
  /** Each asks again and again with another wrong password, and reads the answer. */
    | { readonly kind: "passwords"; readonly connections: number; readonly seconds: number }
  /** Each asks for one of `paths` and reads nothing, but every other one a sip now and then. New ones replace old. */
    | { readonly kind: "unread"; readonly connections: number; readonly seconds: number;
      readonly paths: readonly string[]; };

export interface Outcome {
  /** Whole responses that were read, by status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Connections that ended before a whole response was read. */
  readonly cut: number;
  /** Bytes that were read. */
  readonly bytes: number;
}

const statuses: Record<string, number> = {};
let [cut, bytes] = [0, 0];

const load = JSON.parse(process.argv[2]) as Load;
const end = sleep(load.seconds * 1000);
await run();
const outcome: Outcome = { statuses, cut, bytes };
process.stdout.write(`${JSON.stringify(outcome)}\n`, () => process.exit());

async function run(): Promise<void> {
  switch (load.kind) {
    case "burst": {
      const sockets = await Promise.all(Array.from({ length: load.connections }, open));
      const answers = load.read ? sockets.map(read) : [];
      for (const socket of sockets) socket.write(request(load.path, "Connection: close"));
      await Promise.race([end, load.read ? Promise.all(answers) : end]);
      return;
    }
    case "streams": {
      const sockets = await Promise.all(Array.from({ length: load.connections }, openHttp2));
      const burst = Buffer.concat(Array.from({ length: load.streams }, (_, i) => headersFrame(1 + 2 * i)));
      for (const socket of sockets) socket.write(burst);
      await end;
      return;
    }
    case "passwords":
      for (let i = 0; i < load.connections; i++) void guess(i);
      await end;
      return;
    case "unread":
      void holdUnread(load);
      await end;
  }
}

/** Opens a connection whose bytes nobody reads yet. */
function open(): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(PORT, HOST);
    // Its end counts, however it comes.
    socket.on("error", () => undefined);
    for (const event of ["connect", "close"]) socket.once(event, () => { resolve(socket); });
  });
}

function request(path: string, ...headers: string[]): string {
  return [`GET ${path} HTTP/1.1`, `Host: ${HOST}`, ...headers, "", ""].join("\r\n");
}

/** Reads one response, and counts it. Fulfilled with true when it is whole. */
function read(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const head: Buffer[] = [];
    let [status, left] = ["", Infinity];
    const done = (whole: boolean) => {
      socket.removeAllListeners("data").removeListener("close", failed);
      if (whole) statuses[status] = (statuses[status] ?? 0) + 1;
      else cut++;
      resolve(whole);
    };
    const failed = () => { done(false); };
    socket.once("close", failed).on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (left === Infinity) {
        head.push(chunk);
        const text = Buffer.concat(head).toString("latin1");
        const at = text.indexOf("\r\n\r\n");
        if (at < 0) return;
        status = text.slice(9, 12);
        left = Number(/^content-length: *(\d+)/im.exec(text)?.[1]) - (text.length - at - 4);
      } else {
        left -= chunk.length;
      }
      if (left <= 0) done(true);
    });
  });
}

async function guess(number: number): Promise<void> {
  for (let count = 0; ; count++) {
    const socket = await open();
    do {
      const credentials = Buffer.from(`operator:${number}-${count++}`).toString("base64");
      socket.write(request("/metrics", `Authorization: Basic ${credentials}`));
    } while (await read(socket));
    socket.destroy();
  }
}

/** Holds connections that nobody reads. Once all are open, each new one takes the oldest one's place. */
async function holdUnread({ connections, paths }: Load & { kind: "unread" }): Promise<void> {
  const held: Socket[] = [];
  for (let i = 0; ; i++) {
    const socket = await open();
    socket.write(request(paths[i % paths.length]));
    if (i % 2 === 1) {
      const sips = setInterval(() => { bytes += (socket.read(SIP_BYTES) as Buffer | null)?.length ?? 0; }, SIP_MS);
      socket.once("close", () => { clearInterval(sips); });
    }
    held.push(socket);
    if (held.length <= connections) continue;
    held.shift()?.destroy();
    await sleep(REPLACED_MS);
  }
}

/** RFC 9113: opens a connection by TLS, with its preface and SETTINGS. */
function openHttp2(): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connectTls({ port: PORT, host: HOST, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
    socket.on("error", () => undefined);
    socket.once("secureConnect", () => {
      socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
      socket.write(frame(4, 0, 0, Buffer.alloc(0)));
      resolve(socket);
    }).once("close", () => {
      cut++;
      resolve(socket);
    });
  });
}

/** RFC 9113 §4.1. */
function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** Returns HEADERS that ask for /metrics and end the stream. RFC 7541: names are entries of the static table. */
function headersFrame(stream: number): Buffer {
  const literal = (name: number, value: string) => Buffer.concat([Buffer.of(name, value.length), Buffer.from(value)]);
  const [method, scheme] = [0x80 | 2, 0x80 | 7];
  return frame(
    1, 0x05, stream, Buffer.concat([Buffer.of(method, scheme), literal(4, "/metrics"), literal(1, "localhost")]),
  );
}
