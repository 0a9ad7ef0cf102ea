/** Why tests of Node.js fail with pongd's Sockets, and not with other streams. */
const DIFFERENCES: readonly { readonly why: string; readonly tests: readonly string[] }[] = [];

/** Returns why a test fails; nothing if it has to pass. */
export function differenceOf(name: string): string | undefined {
  return DIFFERENCES.find(({ tests }) => tests.some((test) => name === `test-${test}.js`))?.why;
}
