/** Leaves the working directory for the root, if it is gone: Node.js cannot start a thread there. */
export function leaveGoneDirectory(): void {
  try {
    process.cwd();
  } catch {
    process.chdir("/");
  }
}
