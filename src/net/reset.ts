/** Resets of the host's sockets. */
import type { Socket } from "node:net";

/**
 * Resets a connection of TCP, and destroys what is none. While Node.js ends a socket, its own resetAndDestroy() fails
 * with EINVAL, and leaves behind an open descriptor and a handle that its thread can never end for: so the end is
 * awaited first.
 */
export function reset(socket: Socket): void {
  // A socket of a unix path, or one that is not connected, cannot be reset.
  if (socket.remoteFamily === undefined) socket.destroy();
  else if (isEnding(socket)) socket.once("finish", () => { socket.resetAndDestroy(); });
  else socket.resetAndDestroy();
}

/** Returns whether everything has been written, and then the end, which has not been done yet. */
function isEnding({ writableEnded, writableFinished, writableLength }: Socket): boolean {
  return writableEnded && !writableFinished && writableLength === 0;
}
