// A fastify application as it would be anywhere, on every address of a prefix.
//
//     sudo node examples/fastify.mjs
//     curl http://10.99.1.1/ http://10.99.1.1/sum/2/3
import Fastify from "fastify";
import { open } from "pongd";

const app = Fastify();
app.get("/", (request) => ({ address: request.socket.localAddress, client: request.ip }));
app.get("/sum/:a/:b", (request) => ({ sum: Number(request.params.a) + Number(request.params.b) }));
// In place of app.listen():
await app.ready();
const pongd = await open({ prefixes: ["10.99.0.0/16"] });
await pongd.serve(80, app.server);
console.log(`try: curl http://${pongd.addresses[0]}/`);
process.once("SIGINT", async () => {
  await pongd.close();
  await app.close();
});
