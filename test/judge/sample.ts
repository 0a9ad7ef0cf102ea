/** A test in the form of Node.js's own: what goes wrong is thrown, or ends the process with another status. */
import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import net from "node:net";

const server = createServer((request, response) => {
  assert.equal((request.socket as object) instanceof net.Socket, false);
  assert.match(String(request.socket.remoteAddress), /^10\.98\./);
  request.pipe(response);
});
server.listen(0, () => {
  const at = server.address() as net.AddressInfo;
  const body = "x".repeat(1 << 20);
  const sent = request({ port: at.port, method: "POST" }, (response) => {
    let heard = "";
    response.setEncoding("utf8").on("data", (text: string) => { heard += text; });
    response.on("end", () => {
      assert.equal(heard, body);
      server.close();
    });
  });
  sent.end(body);
});
