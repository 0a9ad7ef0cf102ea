/**
 * Sends packets into a device at a constant rate, past the kernel's IP layer: `steady.js DEVICE RATE PACKET…` sends
 * RATE packets a second, of the given ones (hexadecimal) in turn, until standard input ends. A late timer does not
 * change how many there are: at any moment as many have been sent as were due. Prints as JSON when it began (Unix time
 * in s), how many it sent, and for how many of these the queue had no room.
 */
import * as libc from "../../src/sys/libc.js";
import { openInto } from "./into.js";

const [, , device, rate, ...packets] = process.argv;
const fd = openInto(device);
const bytes = packets.map((packet) => Buffer.from(packet, "hex"));
let sent = 0;
let refused = 0;
const began = Date.now() / 1000;
const start = performance.now();
const timer = setInterval(() => {
  for (const due = Math.floor((performance.now() - start) * Number(rate) / 1000); sent < due; sent++) {
    const packet = bytes[sent % bytes.length];
    if (libc.send(fd, packet, packet.length, 0) >= 0) continue;
    if (libc.errno() !== libc.E.ENOBUFS) libc.check(-1, "send", device);
    refused++;
  }
}, 1);
process.stdin.resume().on("end", () => {
  clearInterval(timer);
  console.log(JSON.stringify({ began, sent, refused }));
});
