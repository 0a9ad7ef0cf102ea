/**
 * Ends packet loops when this thread's process.exit() or its last event ends it. They sleep in a system call, for which
 * the end of the process would have to wait.
 */
const open = new Set<() => void>();

function stopAll(): void {
  for (const stop of open) stop();
}

/** Has `stop` called at the end. Returns what takes that back. */
export function atExit(stop: () => void): () => void {
  if (open.size === 0) process.on("exit", stopAll);
  open.add(stop);
  return () => {
    open.delete(stop);
    if (open.size === 0) process.off("exit", stopAll);
  };
}
