/**
 * Linux's TCP as the peer of an engine, over a path that loses, repeats and delays packets, in a network namespace of
 * its own:
 *
 *   sockets of this process ── kernel ── tun0 ── path ── engine
 *
 *   node build/test/support/tcppath.js [SEED]       (as root, or after: unshare -r)
 *
 * It ends with status 0 if every connection had all of its bytes in their order, and the engine has nothing left of
 * them. Otherwise an exception says what is wrong.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import * as libc from "../../src/sys/libc.js";
import { CLONE_NEWNET } from "../../src/sys/uapi.js";
import { TunDevice } from "../../src/tun/device.js";
import { PREFIX6 } from "./ipv6.js";
import { PREFIX } from "./packets.js";
import { Random } from "./random.js";
import { PORTS, TcpHost, type Family } from "./tcphost.js";
import { chargenByte } from "./tcpscenario.js";
import { checkState, stateOf } from "./tcpstate.js";

const MTU = 1500;
/** One packet in so many is lost, comes twice, or comes late by up to MOST_LATE_US. */
const ONE_IN = { lost: 40, twice: 40, late: 10 };
const DELAY_US = 500;
const MOST_LATE_US = 8000;
const MAX_BATCH = 64;
const BYTES = 300_000;
/** By then nothing of a connection waits for its peer any more. */
const FORGOTTEN_US = 3600e6;

interface Passing {
  readonly us: number;
  readonly packet: Uint8Array;
}

const random = new Random(Number(process.argv.at(2) ?? 1));
libc.check(libc.unshare(CLONE_NEWNET), "unshare", "CLONE_NEWNET");
const device = new TunDevice({ name: "tun0", mtu: MTU, queues: 1 });
execFileSync("ip", ["-batch", "-"], { input: `
  link set tun0 mtu ${MTU} txqueuelen 4096 up
  addr add 198.51.100.7/32 dev tun0
  addr add 2001:db8::7/128 dev tun0 nodad
  route add ${PREFIX} dev tun0 src 198.51.100.7
  route add ${PREFIX6} dev tun0 src 2001:db8::7
` });
const [fd] = device.queues;
const bytes = new Uint8Array(65536);
const address = libc.addressOf(bytes.buffer);

const host = await TcpHost.create();
const startUs = host.us - performance.now() * 1000;
const [toEngine, toKernel]: Passing[][] = [[], []];
let running = true;

/** Sends a packet on its way. */
function convey(way: Passing[], us: number, packet: Uint8Array): void {
  if (random.oneIn(ONE_IN.lost)) return;
  for (let copies = random.oneIn(ONE_IN.twice) ? 2 : 1; copies > 0; copies--) {
    way.push({ us: us + DELAY_US + (random.oneIn(ONE_IN.late) ? random.below(MOST_LATE_US) : 0), packet });
  }
}

/** Takes what has arrived by then off the way, in its order. */
function arrived(way: Passing[], us: number): Uint8Array[] {
  const there = way.filter((passing) => passing.us <= us).sort((a, b) => a.us - b.us);
  if (there.length > 0) way.splice(0, way.length, ...way.filter((passing) => passing.us > us));
  return there.map(({ packet }) => packet);
}

function turn(): void {
  if (!running) return;
  const us = Math.max(host.us, startUs + performance.now() * 1000);
  for (let length; (length = libc.read(fd, address, bytes.length)) > 0;) convey(toEngine, us, bytes.slice(0, length));
  host.advanceTo(us);
  for (const packets = arrived(toEngine, us); packets.length > 0;) host.inject(...packets.splice(0, MAX_BATCH));
  for (const output of host.take()) convey(toKernel, output.us, output.packet);
  for (const packet of arrived(toKernel, us)) {
    bytes.set(packet);
    libc.check(libc.write(fd, address, packet.length), "write", "tun0");
  }
  setImmediate(turn);
}

function open(family: Family, port: number): Socket {
  const socket = connect({ port, host: `${family === 4 ? "10.99.1." : "fd99::1:"}${1 + random.below(200)}` });
  socket.on("error", () => undefined);
  return socket;
}

/** Reads until the end, or until there are `most` bytes. */
async function read(socket: Socket, most = Infinity): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= most) break;
  }
  return Buffer.concat(chunks);
}

const hash = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

async function echo(family: Family): Promise<void> {
  const sent = Buffer.from(Uint32Array.from({ length: BYTES / 4 }, () => random.next()).buffer);
  const socket = open(family, PORTS.echo);
  socket.end(sent);
  const got = await read(socket);
  assert.equal(got.length, sent.length, `echo, IPv${family}`);
  assert.equal(hash(got), hash(sent), `echo, IPv${family}`);
}

async function discard(family: Family): Promise<void> {
  const socket = open(family, PORTS.discard);
  socket.end(Buffer.alloc(BYTES, "discard"));
  assert.equal((await read(socket)).length, 0, `discard, IPv${family}`);
}

async function chargen(family: Family): Promise<void> {
  const got = await read(open(family, PORTS.chargen), BYTES);
  assert.equal(hash(got), hash(Uint8Array.from(got, (_, i) => chargenByte(i))), `chargen, IPv${family}`);
}

async function idle(family: Family): Promise<void> {
  const socket = open(family, PORTS.banner);
  await once(socket, "data");
  socket.destroy();
}

turn();
await Promise.all(([4, 6] as const).flatMap(
  (family) => [echo, echo, discard, discard, chargen, idle].map((service) => service(family)),
));
running = false;
host.advance(FORGOTTEN_US);
checkState(host.rig);
assert.deepEqual(stateOf(host.rig), { connections: 0, halfOpen: 0, waits: 0, pages: 0, timers: 0 });
device.close();
