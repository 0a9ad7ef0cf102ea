// An echo server (RFC 862) on every address of two prefixes. The peer may end its side first, and gets the rest.
//
//     sudo node examples/echo.mjs
//     nc 10.99.1.1 7
import { open } from "pongd";

const pongd = await open({ prefixes: ["10.99.0.0/16", "fd99::/64"] });
await pongd.listen(7, (socket) => socket.pipe(socket), { allowHalfOpen: true });
console.log(`try: nc ${pongd.addresses.join(" 7, or nc ")} 7`);
process.once("SIGINT", () => pongd.close());
