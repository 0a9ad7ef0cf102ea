/** The service manager's watchdog: it hears that pongd lives for as long as every packet loop comes to its top. */
import type { ServiceManager } from "../sys/notify.js";
import type { Queues } from "./queues.js";

/** Feeds it, three times as often as it wants to hear. Returns how to end that. */
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
