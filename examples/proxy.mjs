// A proxy: connections to any address of a prefix go on to one server. A line tells it first whose they are (PROXY
// protocol, version 1), which the server has to expect.
//
//     sudo node examples/proxy.mjs 127.0.0.1 8080
//     curl http://10.99.1.1/
import { connect } from "node:net";
import { open } from "pongd";

const [host = "127.0.0.1", port = "8080"] = process.argv.slice(2);
const pongd = await open({ prefixes: ["10.99.0.0/16"] });
await pongd.listen("1-65535", (client) => {
  const { remoteAddress, localAddress, remotePort, localPort } = client;
  const server = connect({ host, port: Number(port), allowHalfOpen: true });
  server.write(`PROXY TCP4 ${remoteAddress} ${localAddress} ${remotePort} ${localPort}\r\n`);
  client.pipe(server);
  server.pipe(client);
  // Whatever ends one side for good ends the other one.
  server.once("error", () => client.resetAndDestroy());
  client.once("error", () => server.resetAndDestroy()).once("close", () => server.destroySoon());
}, { allowHalfOpen: true });
console.log(`connections to 10.99.0.0/16 go to ${host}:${port}`);
process.once("SIGINT", () => pongd.close());
