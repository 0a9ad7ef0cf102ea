// A web server on every address of a prefix, each of which says its own name.
//
//     sudo node examples/hello.mjs
//     curl http://10.99.1.1/ http://10.99.200.7/
import { createServer } from "node:http";
import { open } from "pongd";

const pongd = await open({ prefixes: ["10.99.0.0/16"] });
await pongd.serve(80, createServer((request, response) => {
  response.end(`${request.socket.localAddress} answers ${request.socket.remoteAddress}\n`);
}));
console.log(`try: curl http://${pongd.addresses[0]}/`);
process.once("SIGINT", () => pongd.close());
