/**
 * Takes a service manager's part: `manager.js PATH` prints each message that comes to the socket PATH as a line of
 * JSON, with the milliseconds of the monotonic clock at which it came. It waits in one system call, so that it is as
 * punctual as the machine allows.
 */
import { writeSync } from "node:fs";
import { hrtime } from "node:process";
import { NotifySocket } from "./notified.js";

export interface Message {
  readonly atMs: number;
  readonly lines: readonly string[];
}

const socket = new NotifySocket(process.argv[2]);
writeSync(1, "listening\n");
for (;;) {
  const lines = socket.wait();
  const message: Message = { atMs: Number(hrtime.bigint()) / 1e6, lines };
  writeSync(1, `${JSON.stringify(message)}\n`);
}
