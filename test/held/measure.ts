/**
 * Measures kept packets: what each costs in memory, and how late it leaves by each backend. Run it as root, in a
 * network namespace of its own: `unshare -n node build/test/held/measure.js`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { BATCH } from "../../abi/slots.js";
import { Mode } from "../../abi/control.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { tableOf } from "../../src/engine/table.js";
import { FOREVER, type PacketIo } from "../../src/io/contract.js";
import { ReadWriteIo } from "../../src/io/readwrite.js";
import { UringIo } from "../../src/io/uring.js";
import { parsePrefix, serving } from "../../src/prefix/prefixes.js";
import * as libc from "../../src/sys/libc.js";
import { EFD_CLOEXEC } from "../../src/sys/uapi.js";
import { TunDevice } from "../../src/tun/device.js";
import { icmpPacket } from "../support/packets.js";
import { HeldEngine } from "./engine.js";

const KEPT = 50_000;
const MS = 1_000_000;
const SECONDS = 3;
const module = await HeldEngine.compile();
const table = tableOf(serving([parsePrefix("10.99.0.0/16")]));
const packet = icmpPacket({ data: new Uint8Array(56) });

function make(kept = KEPT): Promise<HeldEngine> {
  return HeldEngine.create(module, LinearMemory.create({ mtu: 1500, reassembly: 0, table, kept }));
}

/** Returns ns a packet for keeping and sending, with `kept` packets at a time, without the copies into slots. */
async function inMemory(kept: number): Promise<number> {
  const engine = await make(kept);
  const { slots } = engine.linear;
  // So many come in the mean time that a packet is kept, give or take a tenth of it.
  const roundNs = 100_000;
  const meanNs = kept / BATCH * roundNs;
  engine.set(1, 0.9 * meanNs, 0.2 * meanNs, 1);
  let [now, spent, packets] = [1n << 40n, 0, 0];
  for (let round = 0; round < 40 * kept / BATCH; round++) {
    engine.receive(packet, BATCH);
    now += BigInt(roundNs);
    engine.clock.set(now);
    const start = performance.now();
    const filled = engine.respond(BATCH);
    const took = performance.now() - start;
    for (let i = 0; i < filled; i++) slots.give(slots.toSend(i));
    if (round < 10 * kept / BATCH) continue;
    spent += took;
    packets += BATCH;
  }
  return spent * MS / packets;
}

/** Returns by how many ns packets were late that were kept for `ms`, half of it more or less. */
async function lateness(io: "uring" | "readwrite", ms: number, rate: number): Promise<Float64Array> {
  const engine = await make();
  const { linear, clock } = engine;
  engine.set(1, ms * MS / 2, ms * MS, 1);
  const device = new TunDevice({ name: "held0", mode: Mode.tun, mtu: 1500, queues: 1 });
  await device.routing.configure([], [parsePrefix("10.99.0.0/16")]);
  const wakeFd = libc.check(libc.eventfd(0, EFD_CLOEXEC), "eventfd", "of a measurement");
  const backend: PacketIo = io === "uring"
    ? new UringIo(device.queues[0], wakeFd, linear, engine.assembly, 0)
    : new ReadWriteIo(device.queues[0], wakeFd, linear);
  const steady = fileURLToPath(new URL("../support/steady.js", import.meta.url));
  const sender = spawn(
    process.execPath, [steady, "held0", String(rate), Buffer.from(packet).toString("hex")],
    { stdio: ["pipe", "ignore", "inherit"] },
  );
  await once(sender, "spawn");
  await sleep(500);
  const view = new DataView(linear.memory.buffer);
  const late: number[] = [];
  for (const end = clock.now + SECONDS * 1e9; clock.now < end;) {
    const { deadline } = clock;
    const received = backend.receive(deadline === 0 ? FOREVER : Math.max(0, Math.ceil(deadline - clock.now)));
    clock.read();
    const filled = engine.respond(received);
    const now = clock.now;
    for (let i = 0; i < filled; i++) late.push(now - Number(view.getBigUint64(linear.slots.toSend(i) + 20, true)));
    backend.send(filled);
  }
  sender.kill();
  await once(sender, "exit");
  backend.close();
  device.close();
  libc.close(wakeFd);
  return Float64Array.from(late).sort();
}

for (const kept of [5_000, KEPT]) console.log(`in memory, ${kept} kept: ${(await inMemory(kept)).toFixed(0)} ns a packet`);
console.log("| backend | kept for | packets/s | sent | late by, µs: p50 | p90 | p99 |\n|---|---|---|---|---|---|---|");
for (const io of ["uring", "readwrite"] as const) {
  for (const [ms, rate] of [[0.1, 1000], [1, 1000], [10, 1000], [100, 1000], [100, 100_000]]) {
    const late = await lateness(io, ms, rate);
    const at = (p: number) => (late[Math.floor(p * late.length)] / 1000).toFixed(1);
    console.log(`| ${io} | ${ms} ms | ${rate} | ${late.length} | ${at(0.5)} | ${at(0.9)} | ${at(0.99)} |`);
  }
}
