/**
 * Gives a device two packets of several TCP segments each: `offer.js IO MODE`. The first is for the kernel to cut. The
 * header of the second has a kind that no kernel knows, so that it is refused. Says "ready" once the device is there,
 * sends when a line comes, and prints what was counted. The device stays until another line comes.
 */
import { once } from "node:events";
import { DEADLINE, Mode, OFFLOAD } from "../../abi/control.js";
import { Counter } from "../../abi/counters.js";
import { SIZEOF_VNET_HEADER } from "../../abi/offload.js";
import { Clock } from "../../src/engine/clock.js";
import { moduleOf } from "../../src/engine/create.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { tableOf } from "../../src/engine/table.js";
import { compile, load } from "../../src/engine/wasm.js";
import { ReadWriteIo } from "../../src/io/readwrite.js";
import { UringIo } from "../../src/io/uring.js";
import { parseAddress, parsePrefix, serving } from "../../src/prefix/prefixes.js";
import * as libc from "../../src/sys/libc.js";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "../../src/sys/uapi.js";
import { TunDevice } from "../../src/tun/device.js";
import { enableOffload, probeOffload } from "../../src/tun/offload.js";
import { build } from "./assembly.js";
import { frame, SHARED } from "./frames.js";
import { bytes, checksum, HOST, ipv4Packet, pattern, TARGET } from "./packets.js";

const [, , ioName, modeName] = process.argv;
const mode = modeName === "tap" ? Mode.tap : Mode.tun;
const host = parseAddress(HOST);
const prefix = parsePrefix("10.99.0.0/16");
const device = new TunDevice({ name: "pong0", mode, mtu: 1500, queues: 1, vnetHeader: "wanted" });
await device.routing.configure([host], [prefix]);
const [fd] = device.queues;
const offload = enableOffload(fd);
const refused = probeOffload(fd, mode);

const linear = LinearMemory.create({
  mtu: 1500, reassembly: 0, offload, link: mode === Mode.tap ? SHARED : undefined,
  table: tableOf(serving([prefix]), { hosts: [host] }),
});
const { memory, slots, counters } = linear;
const assembly = await load(compile(moduleOf("wasm")), memory);
const { partial } = await build("assembly/offload.ts", memory, "release");
const wakeFd = libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
const io = ioName === "uring"
  ? new UringIo(fd, wakeFd, linear, assembly, 0)
  : new ReadWriteIo(fd, wakeFd, linear, assembly.refused);
const clock = new Clock(memory);
clock.read();

console.log("ready");
await once(process.stdin, "data");
const all = new Uint8Array(memory.buffer);
for (const [i, sequence] of [100_000, 200_000].entries()) {
  const at = slots.take() + linear.frameOffset;
  const link = mode === Mode.tap ? frame(new Uint8Array(0)) : new Uint8Array(0);
  const ip = at + link.length;
  const tcp = bytes(new Uint8Array(12), 0x50, 0x18, 0x20, 0, 0, 0, 0, 0, pattern(10_001));
  const view = new DataView(tcp.buffer);
  view.setUint32(0, 80 << 16 | 4711);
  view.setUint32(4, sequence);
  const packet = ipv4Packet(tcp, { src: TARGET, dst: HOST, protocol: 6 });
  const pseudo = bytes(packet.subarray(12, 20), 0, 6, tcp.length >> 8, tcp.length & 255);
  new DataView(packet.buffer).setUint16(36, checksum(pseudo) ^ 0xffff);
  all.set(link, at);
  all.set(packet, ip);
  partial(ip, 20, 16, 40, 1000, 0, 0);
  if (i === 1) all[at - SIZEOF_VNET_HEADER + 1] = 7;
  slots.send(i, at, link.length + packet.length);
}
io.send(2);
const words = new BigInt64Array(memory.buffer);
for (let round = 0; round < 3 || words[DEADLINE / 8] !== 0n; round++) {
  const received = io.receive(0);
  clock.read();
  io.send(assembly.respond(received));
}
io.flush();
console.log(JSON.stringify({
  offload, refused: refused ?? null, left: new Uint32Array(memory.buffer)[OFFLOAD / 4],
  writeErrors: counters[Counter.writeErrors], offloadRefused: counters[Counter.offloadRefused],
}));
io.close();
await once(process.stdin, "data");
device.close();
process.exit();
