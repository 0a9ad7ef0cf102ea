/** Feeds the service manager's watchdog for as long as every packet loop keeps coming to its top. */
import type { ServiceManager } from "../sys/notify.js";
import type { Queues } from "./queues.js";

/** Feeds the watchdog three times per timeout. Returns a function that stops it. */
export function feedWatchdog(manager: ServiceManager, queues: Queues): () => void {
  if (manager.watchdogMs === undefined) return () => undefined;
  let asked = false;
  const timer = setInterval(() => {
    if (asked) return;
    asked = true;
    queues.atTop().then(() => {
      asked = false;
      manager.notify({ WATCHDOG: "1" });
    }, () => undefined);
  }, manager.watchdogMs / 3).unref();
  return () => { clearInterval(timer); };
}
