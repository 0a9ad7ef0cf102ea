/**
 * node:http, but not by an import: that looks at each of its exports, and from Node.js 22.5 on one is a getter that
 * loads an HTTP client, with WebAssembly of its own, that nothing here uses. It would be tens of milliseconds of every
 * start.
 */
export const http = process.getBuiltinModule("node:http");
