/**
 * Puts packets into a device exactly as they are, past the kernel's IP layer: `inject.js DEVICE` reads them from
 * standard input, one a line in hexadecimal. With `frames` as second argument it reads frames. It waits where the queue
 * is full.
 */
import { readFileSync } from "node:fs";
import * as libc from "../../src/sys/libc.js";
import { openInto } from "./into.js";

const [, , device, frames] = process.argv;
const fd = openInto(device, Boolean(frames));
for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const packet = Buffer.from(line, "hex");
  while (libc.send(fd, packet, packet.length, 0) < 0) {
    if (libc.errno() !== libc.E.EAGAIN && libc.errno() !== libc.E.ENOBUFS) libc.check(-1, "send", line);
  }
}
