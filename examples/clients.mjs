// A thousand clients, each with an address of its own, that all talk to one server of the host's at the same time.
//
//     sudo node examples/clients.mjs
import { once } from "node:events";
import { createServer } from "node:net";
import { open } from "pongd";

const CLIENTS = 1000;
const pongd = await open({ prefixes: ["10.99.0.0/16"] });
const [host] = pongd.hostAddresses;

// What they talk to: an ordinary server, to which they are strangers.
const seen = new Set();
const server = createServer((socket) => {
  seen.add(socket.remoteAddress);
  socket.pipe(socket);
});
await once(server.listen(9000, host, CLIENTS), "listening");

async function client(number) {
  const localAddress = `10.99.${100 + (number >> 8)}.${number & 255}`;
  const socket = pongd.connect({ host, port: 9000, localAddress });
  await once(socket, "connect");
  socket.end(localAddress);
  let heard = "";
  for await (const chunk of socket) heard += chunk;
  return heard === localAddress;
}

const answers = await Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)));
console.log(`${answers.filter(Boolean).length} clients were answered; the server saw ${seen.size} addresses`);
server.close();
await pongd.close();
