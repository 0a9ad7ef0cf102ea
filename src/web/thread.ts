/**
 * The web thread: the HTTP server and all that it needs, apart from the supervisor. It may be slow, hang or die:
 * nothing but HTTP waits for it, and src/daemon/web.ts starts it again.
 */
import { parentPort, workerData } from "node:worker_threads";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { limitedLogger } from "../base/limitedlog.js";
import { Netlink } from "../tun/netlink.js";
import type { FromWeb, ToWeb, WebInput } from "./messages.js";
import { Mirror } from "./mirror.js";
import { serve } from "./server.js";

const LIMIT = { lines: 100, everyMs: 20, about: "HTTP" };

const input = workerData as WebInput;

const log = limitedLogger(
  input.state.logLevel, input.logFormat, input.drops, (line) => { post({ kind: "line", line }); }, LIMIT,
);

try {
  const web = input.webConfig === undefined
    ? undefined
    : new (await import("./webconfig.js")).WebFile(input.webConfig, log);
  const status = new Mirror(
    input.state,
    new Netlink(input.netlink),
    { web, log: { get dropped() { return Atomics.load(input.drops, 0); } } },
    () => { post({ kind: "reload" }); },
  );
  Atomics.store(input.taken, 0, 1);
  const close = await serve(input.sockets, status, { web, maxRequests: input.maxRequests, log });
  parentPort?.on("message", (message: ToWeb) => {
    if (message.kind === "close") {
      status.events.close();
      void close().finally(() => { process.exit(); });
      return;
    }
    log.level = message.state.logLevel;
    status.take(message.state);
    if (message.kind === "reloaded") status.reloaded(message.outcome);
    else post({ kind: "seen" });
  });
  post({ kind: "serving", secure: web?.current().tls !== undefined });
} catch (error) {
  const { whats: what, exitStatus, mend } = error instanceof Failure
    ? error
    : new Failure(`HTTP cannot be served: ${messageOf(error)}`, EXIT.RUNTIME);
  post({ kind: "failed", what, exitStatus, mend });
}

function post(message: FromWeb): void {
  parentPort?.postMessage(message);
}
