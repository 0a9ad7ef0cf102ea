/**
 * Pings an address every few milliseconds: `pinger.js ADDRESS EVERY_MS`. For each line on standard input it waits until
 * all requests are answered, or late, and prints what became of them as JSON; it then begins anew. A late process loses
 * no reply, since the socket keeps them, and each reply is told by its number.
 */
import { readSync, writeSync } from "node:fs";
import { parseAddress } from "../../src/prefix/prefixes.js";
import * as libc from "../../src/sys/libc.js";
import * as uapi from "../../src/sys/uapi.js";
import { icmpPacket } from "./packets.js";

export interface Pings {
  readonly sent: number;
  readonly lost: number;
  /** Longest round trip. */
  readonly longestMs: number;
}

/** The longest that a reply may take. */
const LATE_MS = 10_000;
const IDENTIFIER = process.pid & 0xffff;

const [, , address, everyMs] = process.argv;
const fd = libc.check(
  libc.socket(uapi.AF_INET, uapi.SOCK_RAW | uapi.SOCK_CLOEXEC, uapi.IPPROTO_ICMP), "socket", "IPPROTO_ICMP",
);
const sockaddr = Buffer.alloc(16);
sockaddr.writeUInt16LE(uapi.AF_INET);
sockaddr.set(parseAddress(address).bytes, 4);
libc.check(libc.connect(fd, sockaddr, sockaddr.length), "connect", address);

/** Of requests under way, when each was sent. */
const waiting = new Map<number, number>();
const packet = Buffer.alloc(1500);
let [sent, lost, longestMs] = [0, 0, 0];
let [sequence, due] = [0, performance.now()];

/** struct pollfd of the socket and of standard input. */
const polled = Buffer.alloc(16);
polled.writeInt32LE(fd);
polled.writeInt16LE(uapi.POLLIN, 4);
polled.writeInt16LE(uapi.POLLIN, 12);
const line = Buffer.alloc(256);
let asked = false;
for (;;) {
  libc.poll(polled, 2, asked ? 1 : Math.max(0, Math.ceil(due - performance.now())));
  receive();
  if (!asked && polled.readInt16LE(14) !== 0) {
    // Standard input ends with the test.
    if (readSync(0, line) === 0) process.exit();
    asked = true;
  }
  if (!asked) send();
  else if (waiting.size === 0) report();
}

function send(): void {
  for (const now = performance.now(); due <= now; due += Number(everyMs)) {
    sequence = sequence + 1 & 0xffff;
    const request = icmpPacket({ identifier: IDENTIFIER, sequence, data: Buffer.alloc(56) }).subarray(20);
    waiting.set(sequence, performance.now());
    libc.check(libc.send(fd, request, request.length, 0), "send", address);
    sent++;
  }
}

function receive(): void {
  while (libc.recv(fd, packet, packet.length, uapi.MSG_DONTWAIT) >= 0) {
    const reply = packet.subarray((packet[0] & 15) * 4);
    const sentAt = waiting.get(reply.readUInt16BE(6));
    if (reply[0] !== 0 || reply.readUInt16BE(4) !== IDENTIFIER || sentAt === undefined) continue;
    waiting.delete(reply.readUInt16BE(6));
    longestMs = Math.max(longestMs, performance.now() - sentAt);
  }
  for (const [number, sentAt] of waiting) {
    // They are in the order in which they were sent.
    if (performance.now() - sentAt < LATE_MS) break;
    waiting.delete(number);
    lost++;
  }
}

function report(): void {
  const pings: Pings = { sent, lost, longestMs };
  writeSync(1, `${JSON.stringify(pings)}\n`);
  [sent, lost, longestMs] = [0, 0, 0];
  [asked, due] = [false, performance.now()];
}
