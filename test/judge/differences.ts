/** Why tests of Node.js fail with pongd's Sockets, and not with other streams. */
const DIFFERENCES: readonly { readonly why: string; readonly tests: readonly string[] }[] = [{
  why: "wants addresses of 127.0.0.0/8",
  tests: ["http-localaddress", "net-local-address-port", "net-remote-address-port"],
}, {
  why: "looks for a call that net.Socket makes of its handle or prototype",
  tests: ["http-nodelay"],
}, {
  why: "the server here does not count connections before they are accepted",
  tests: [
    "net-server-drop-connections", "net-server-max-connections-close-makes-more-available",
    "net-server-max-connections",
  ],
}, {
  why: "depends on which of two connections is heard of first",
  tests: ["http-writable-true-after-close"],
}, {
  why: "its timeout of a millisecond is over a second time while the engines here have their turn",
  tests: ["http2-compat-serverresponse-settimeout"],
}, {
  why: "wants a write that Node.js's JSStreamSocket has made to be over before a file has been read",
  tests: ["http2-respond-file-fd-invalid"],
}, {
  why: "Node.js's JSStreamSocket fails an assertion when a session ends while it writes",
  tests: ["http2-empty-frame-without-eof"],
}];

/** Returns why a test fails; nothing if it has to pass. */
export function differenceOf(name: string): string | undefined {
  return DIFFERENCES.find(({ tests }) => tests.some((test) => name === `test-${test}.js`))?.why;
}
