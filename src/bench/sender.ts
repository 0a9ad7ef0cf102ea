/**
 * The other end of the tunnel, on a thread and a CPU of its own. It sends echo requests straight into the device
 * (AF_PACKET, past the kernel's IP layer and queueing disciplines, by sendmmsg), and pings whose replies it waits for.
 * It never sleeps while it measures, so that it measures the responder's time, and not its own waking up.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../base/failure.js";
import { parseAddress } from "../prefix/prefixes.js";
import { ranNs } from "../sys/proc.js";
import * as libc from "../sys/libc.js";
import { Netlink } from "../tun/netlink.js";
import * as uapi from "../sys/uapi.js";
import { setAffinity } from "./affinity.js";
import { Histogram } from "./histogram.js";
import type { Latency } from "./report.js";
import { echoRequest, randomBytes } from "./workload.js";

export interface SenderInput {
  readonly device: string;
  /** CPU to run on; undefined if there is only one. */
  readonly cpu: number | undefined;
  readonly seed: number;
}

export type Command = FloodCommand | PingCommand;

/** Sends `packetsPerSecond` packets a second; Infinity for as many as the sender can. */
export interface FloodCommand {
  readonly kind: "flood";
  readonly packetBytes: number;
  readonly seconds: number;
  readonly packetsPerSecond: number;
  /** Rate of further packets, which carry the time when they were sent. */
  readonly timedPerSecond?: number;
}

/** Sends one ping after another, while `packetsPerSecond` other packets pass. */
export interface PingCommand {
  readonly kind: "ping";
  readonly packetBytes: number;
  readonly seconds: number;
  readonly packetsPerSecond: number;
}

export interface FloodResult {
  readonly seconds: number;
  /** Packets that the device took, and those that it could not take. */
  readonly taken: number;
  readonly dropped: number;
  readonly replies: number;
  /** CPU time of all threads but this one, in ns. */
  readonly cpuNs: number;
  /** Round trips of the timed packets that were answered. */
  readonly latenciesMs: readonly number[];
}

export type SenderAnswer
  = | { readonly kind: "flood"; readonly flood: FloodResult }
    | { readonly kind: "ping"; readonly ping: Latency }
    | { readonly error: string };

/** Packets in one system call. */
const VECTOR = 64;
const FLOOD_WARM_UP_MS = 100;
/** Time in which the queue empties after an earlier flood. */
const SETTLE_MS = 100;
/** Time in which the queue empties if the responder has only a share of a CPU. */
const REST_MS = 300;
const TARGET = "10.99.1.1";
/** Time between a reply and the next ping, long enough for the responder to fall asleep. */
const PING_GAP_MS = 0.2;
const PING_TIMEOUT_MS = 1000;

const { device, cpu, seed } = workerData as SenderInput;
if (cpu !== undefined) setAffinity(cpu);
const thread = readlinkSync("/proc/thread-self").split("/").at(-1) ?? "";
const netlink = new Netlink();
const { index: ifindex } = netlink.link(device);
const packetSocket = openPacketSocket();
const pingSocket = openPingSocket();

parentPort?.on("message", (command: Command) => {
  let answer: SenderAnswer;
  try {
    answer = command.kind === "flood"
      ? { kind: "flood", flood: flood(command) }
      : { kind: "ping", ping: ping(command) };
  } catch (error) {
    answer = { error: messageOf(error) };
  }
  parentPort?.postMessage(answer);
});

function flood({ packetBytes, seconds, packetsPerSecond, timedPerSecond = 0 }: FloodCommand): FloodResult {
  const packets = new Packets(packetBytes, packetsPerSecond);
  const timed = new Timed(timedPerSecond);
  packets.sendFor(FLOOD_WARM_UP_MS);
  const before = { ...netlink.stats(ifindex), cpuNs: othersCpuNs(), time: performance.now() };
  packets.sendFor(seconds * 1000, timed);
  const after = { ...netlink.stats(ifindex), cpuNs: othersCpuNs(), time: performance.now() };
  timed.rest();
  return {
    latenciesMs: timed.latenciesMs,
    seconds: (after.time - before.time) / 1000,
    taken: after.txPackets - before.txPackets,
    dropped: after.txDropped - before.txDropped,
    replies: after.rxPackets - before.rxPackets,
    cpuNs: after.cpuNs - before.cpuNs,
  };
}

function ping({ packetBytes, seconds, packetsPerSecond }: PingCommand): Latency {
  const packets = new Packets(packetBytes, packetsPerSecond);
  const request = new Uint8Array(packetBytes - 20);
  request[0] = 8;
  const reply = new Uint8Array(request.length);
  const histogram = new Histogram();
  let lost = 0;
  let sequence = 0;
  let sentAt: number | undefined;
  for (const settled = performance.now() + SETTLE_MS; performance.now() < settled;);
  const start = performance.now();
  let now = start;
  for (let next = start; now < start + seconds * 1000 || sentAt !== undefined; now = performance.now()) {
    packets.sendDue(now);
    if (sentAt === undefined) {
      if (now < next) continue;
      sequence = sequence + 1 & 0xffff;
      request[6] = sequence >> 8;
      request[7] = sequence & 0xff;
      sentAt = performance.now();
      libc.send(pingSocket, request, request.length, uapi.MSG_DONTWAIT);
    } else {
      const isReply = libc.recv(pingSocket, reply, reply.length, uapi.MSG_DONTWAIT) > 0
        && (reply[6] << 8 | reply[7]) === sequence;
      const took = performance.now() - sentAt;
      if (isReply) histogram.record(Math.round(took * 1e6));
      else if (took > PING_TIMEOUT_MS) lost++;
      else continue;
      sentAt = undefined;
      next = performance.now() + PING_GAP_MS;
    }
  }
  const us = (fraction: number) => histogram.percentile(fraction) / 1000;
  return {
    packetsPerSecond: Math.round(packets.sent / (now - start) * 1000),
    count: histogram.count,
    lost,
    p50Us: us(0.5),
    p90Us: us(0.9),
    p99Us: us(0.99),
    p999Us: us(0.999),
    maxUs: histogram.max / 1000,
    histogram: [...histogram.buckets()].map(([upper, count]) => [upper / 1000, count] as const),
  };
}

/** Holds VECTOR echo requests, and the struct mmsghdr and struct iovec that send them. */
class Packets {
  readonly #vector: bigint;
  /** Memory that the vector points into, kept so that it is not freed. */
  readonly #memory: Uint8Array;
  readonly #perMs: number;
  /** Packets that the kernel took. */
  sent = 0;
  /** Time at which the next packet is due. */
  #due = performance.now();

  constructor(packetBytes: number, packetsPerSecond: number) {
    this.#perMs = packetsPerSecond / 1000;
    const headers = VECTOR * uapi.SIZEOF_MMSGHDR;
    const vectors = headers + VECTOR * 16;
    const packets = vectors + uapi.SIZEOF_SOCKADDR_LL;
    this.#memory = new Uint8Array(packets + VECTOR * packetBytes);
    const base = libc.addressOf(this.#memory.buffer);
    const view = new DataView(this.#memory.buffer);
    const random = randomBytes(seed);
    this.#memory.set(linkAddress(), vectors);
    for (let i = 0; i < VECTOR; i++) {
      const header = i * uapi.SIZEOF_MMSGHDR;
      const iov = headers + i * 16;
      const packet = packets + i * packetBytes;
      view.setBigUint64(header, base + BigInt(vectors), true);
      view.setUint32(header + 8, uapi.SIZEOF_SOCKADDR_LL, true);
      view.setBigUint64(header + 16, base + BigInt(iov), true);
      view.setBigUint64(header + 24, 1n, true);
      view.setBigUint64(iov, base + BigInt(packet), true);
      view.setBigUint64(iov + 8, BigInt(packetBytes), true);
      this.#memory.set(echoRequest(packetBytes, random), packet);
    }
    this.#vector = base;
  }

  /**
   * Sends the packets that are due, at most VECTOR. Any more are skipped, since catching up would make a burst. Packets
   * that the device refuses are not sent again.
   */
  sendDue(now: number): void {
    const due = Math.floor((now - this.#due) * this.#perMs);
    if (!(due > 0)) return;
    const count = Math.min(VECTOR, due);
    this.sent += Math.max(0, libc.sendmmsg(packetSocket, this.#vector, count, uapi.MSG_DONTWAIT));
    this.#due = due > VECTOR ? now : this.#due + count / this.#perMs;
  }

  sendFor(ms: number, timed?: Timed): void {
    let now = performance.now();
    for (const end = now + ms; now < end; now = performance.now()) {
      this.sendDue(now);
      timed?.sendDue(now);
    }
  }
}

/** Sends pings at a fixed rate, whether or not others have been answered, each with the time at which it was sent. */
class Timed {
  static #runs = 0;
  readonly latenciesMs: number[] = [];
  /**
   * Echo request (type 8). After the header it has the time, and the number of its run, so that a late reply is not
   * counted in a later run.
   */
  readonly #request = new Uint8Array(24);
  readonly #reply = new Uint8Array(24);
  readonly #sentAt = new DataView(this.#request.buffer);
  readonly #cameFrom = new DataView(this.#reply.buffer);
  readonly #run = ++Timed.#runs;
  readonly #everyMs: number;
  #due = performance.now();

  constructor(perSecond: number) {
    this.#everyMs = 1000 / perSecond;
    this.#request[0] = 8;
    this.#sentAt.setUint32(16, this.#run);
  }

  sendDue(now: number): void {
    if (now >= this.#due + this.#everyMs) {
      this.#due = now;
      this.#sentAt.setFloat64(8, now);
      libc.send(pingSocket, this.#request, this.#request.length, uapi.MSG_DONTWAIT);
    }
    this.#receive();
  }

  /** Receives the replies that are still in the queue. */
  rest(): void {
    if (this.#everyMs === Infinity) return;
    for (const end = performance.now() + REST_MS; performance.now() < end;) this.#receive();
  }

  #receive(): void {
    if (this.#everyMs === Infinity || libc.recv(pingSocket, this.#reply, this.#reply.length, uapi.MSG_DONTWAIT) <= 0) {
      return;
    }
    if (this.#cameFrom.getUint32(16) === this.#run) {
      this.latenciesMs.push(performance.now() - this.#cameFrom.getFloat64(8));
    }
  }
}

function openPacketSocket(): number {
  const fd = libc.check(libc.socket(uapi.AF_PACKET, uapi.SOCK_DGRAM | uapi.SOCK_CLOEXEC, 0), "socket", "AF_PACKET");
  const set = (level: number, option: number, value: number) => libc.setsockopt(
    fd, level, option, new Uint8Array(Int32Array.of(value).buffer), 4,
  );
  libc.check(set(uapi.SOL_PACKET, uapi.PACKET_QDISC_BYPASS, 1), "setsockopt", "PACKET_QDISC_BYPASS");
  // This needs CAP_NET_ADMIN in the initial user namespace. Without it packets are refused a little sooner.
  set(uapi.SOL_SOCKET, uapi.SO_SNDBUFFORCE, 1 << 24);
  return fd;
}

/** Opens a ping socket, which gets the replies to its own requests, and no others. */
function openPingSocket(): number {
  const fd = libc.check(
    libc.socket(uapi.AF_INET, uapi.SOCK_DGRAM | uapi.SOCK_CLOEXEC, uapi.IPPROTO_ICMP), "socket", "IPPROTO_ICMP",
  );
  // struct sockaddr_in: u16 family, be16 port, be32 address
  const address = Buffer.alloc(16);
  address.writeUInt16LE(uapi.AF_INET, 0);
  address.set(parseAddress(TARGET).bytes, 4);
  libc.check(libc.connect(fd, address, address.length), "connect", TARGET);
  return fd;
}

/** Makes a struct sockaddr_ll: u16 family, be16 protocol, i32 ifindex, … */
function linkAddress(): Uint8Array {
  const address = Buffer.alloc(uapi.SIZEOF_SOCKADDR_LL);
  address.writeUInt16LE(uapi.AF_PACKET, 0);
  address.writeUInt16BE(uapi.ETH_P_IP, 2);
  address.writeInt32LE(ifindex, 4);
  return address;
}

function othersCpuNs(): number {
  return readdirSync("/proc/self/task").filter((task) => task !== thread).reduce((sum, task) => sum + cpuNs(task), 0);
}

/** Returns a thread's time on a CPU, in ns. The thread may have ended by now. */
function cpuNs(task: string): number {
  try {
    return ranNs(readFileSync(`/proc/self/task/${task}/schedstat`, "utf8"));
  } catch {
    return 0;
  }
}
