/**
 * A pipe by which packet loops wake the event loop of another thread. Node.js itself reads it, so the thread may be
 * ended at any moment. A descriptor that koffi polls would be in the way of that: koffi cannot call a thread that is
 * being ended, and aborts the process.
 */
import { Socket, type SocketConstructorOpts } from "node:net";
import * as libc from "./libc.js";
import { O_CLOEXEC, O_NONBLOCK } from "./uapi.js";

export interface WakePipe {
  /** For onWoken(). */
  readonly readFd: number;
  /** For wake(). */
  readonly writeFd: number;
}

const READ_LEN = 64;
/** One byte, whose value does not matter. */
const written = libc.addressOf(new ArrayBuffer(1));

/** Opens a pipe. @throws SystemError */
export function openWakePipe(of: string): WakePipe {
  const fds = new Int32Array(2);
  libc.check(libc.pipe2(new Uint8Array(fds.buffer), O_CLOEXEC | O_NONBLOCK), "pipe2", of);
  return { readFd: fds[0], writeFd: fds[1] };
}

/** Wakes whoever reads the pipe. In one that is full there is enough to read. */
export function wake(writeFd: number): void {
  libc.write(writeFd, written, 1);
}

/**
 * Calls back from the event loop when the pipe is written to, once however often that was, without keeping the process
 * alive. Returns what ends this. The descriptor is the caller's no more.
 */
export function onWoken(readFd: number, callback: () => void): () => void {
  const onread = {
    buffer: Buffer.alloc(READ_LEN),
    callback: () => {
      callback();
      return true;
    },
  };
  const socket = new Socket({ fd: readFd, readable: true, writable: false, onread } as SocketConstructorOpts).unref();
  return () => { socket.destroy(); };
}
