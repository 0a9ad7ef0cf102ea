/**
 * Calls what may throw, be it a user's listener. What it throws is thrown again once whoever calls this is done: it is
 * for the thread to end by, or for its listeners of "uncaughtException", and it must not leave work half done here.
 */
export function apart(call: () => void): void {
  try {
    call();
  } catch (error) {
    process.nextTick(() => { throw error; });
  }
}
