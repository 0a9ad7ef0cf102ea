/**
 * node:http without an import. An import looks at each export, and from Node.js 22.5 on one of them is a getter that
 * loads an HTTP client with WebAssembly of its own. Nothing here uses that client, and loading it would add tens of
 * milliseconds to every start.
 */
export const http = process.getBuiltinModule("node:http");
