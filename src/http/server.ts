/** The HTTP server of the operator's side: where it listens, and how it ends. */
import { once } from "node:events";
import { createServer } from "node:http";
import { isIPv6, type AddressInfo } from "node:net";
import { EXIT, Failure, messageOf } from "../failure.js";
import type { Endpoint } from "./endpoint.js";
import { answer, respond, type Status } from "./routes.js";

export interface HttpServer {
  /** `http://host:port`, with the port that is really open. */
  readonly url: string;
  close(): Promise<void>;
}

/** Opens the server. @throws Failure where the port is in use, not permitted, or the address not this machine's. */
export async function serve({ host, port }: Endpoint, status: Status): Promise<HttpServer> {
  const server = createServer((request, response) => {
    answer(request, response, status).catch((error: unknown) => {
      respond(response, 500, `${messageOf(error)}\n`);
    });
  });
  const literal = host === undefined ? "" : isIPv6(host) ? `[${host}]` : host;
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (error) {
    throw explain(error, `${literal}:${port}`);
  }
  return {
    url: `http://${literal || "localhost"}:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function explain(error: unknown, where: string): unknown {
  if (!(error instanceof Error) || !("code" in error)) return error;
  switch (error.code) {
    case "EADDRINUSE":
      return new Failure(`${where} is in use, perhaps by another pongd; choose another address with --listen`, EXIT.RUNTIME, { cause: error });
    case "EACCES":
      return new Failure(`${where} is not permitted: ports below 1024 need CAP_NET_BIND_SERVICE; choose another with --listen`, EXIT.PERMISSION, { cause: error });
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new Failure(`${where} is no address of this machine; choose another with --listen`, EXIT.RUNTIME, { cause: error });
    default:
      return new Failure(`cannot listen on ${where}: ${error.message}`, EXIT.RUNTIME, { cause: error });
  }
}
