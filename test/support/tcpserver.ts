/**
 * Serves on a kernel's TCP what pongd's services do, on every address that the kernel has: the other side of scripts
 * that are played to Linux. Prints "ready" when it listens, and ends with its standard input.
 */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { chargenByte } from "./tcpscenario.js";
import { AFTER, BANNER, PORTS, REPLY } from "./tcphost.js";

const CHARGEN = Buffer.from(Uint8Array.from({ length: 74 * 95 * 20 }, (_, i) => chargenByte(i)));

const SERVERS: Record<number, (socket: Socket) => void> = {
  [PORTS.echo]: (socket) => socket.pipe(socket),
  [PORTS.discard]: (socket) => socket.resume().on("end", () => socket.end()),
  [PORTS.tarpit]: (socket) => socket.pause(),
  [PORTS.chargen]: (socket) => {
    const more = () => { while (socket.writable && socket.write(CHARGEN)); };
    socket.resume().on("drain", more).on("end", () => socket.end());
    more();
  },
  [PORTS.banner]: (socket) => { socket.resume().on("end", () => socket.end()).write(BANNER); },
  [PORTS.reply]: (socket) => {
    let text = "";
    socket.on("data", (chunk) => {
      const parts = (text + chunk.toString("latin1")).split(AFTER.toString());
      text = parts.at(-1) ?? "";
      for (let i = 1; i < parts.length; i++) socket.write(REPLY);
    }).on("end", () => socket.end());
  },
};

const servers = Object.entries(SERVERS).map(([port, serve]) => {
  return createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    serve(socket);
  }).listen({ port: Number(port), host: "::" });
});
await Promise.all(servers.map((server) => once(server, "listening")));
console.log("ready");
process.stdin.resume().on("end", () => process.exit());
