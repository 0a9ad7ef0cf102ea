/** What is put around users' handlers, so that one that fails costs what it was called for, and is counted. */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { ServiceCounts } from "../telemetry/servicecounts.js";

/** Returns a handler that never throws and never rejects. `failed` is called with what it throws, or rejects with. */
export function guarded<A extends unknown[]>(
  handler: (...args: A) => unknown, failed: (error: unknown, ...args: A) => void,
): (...args: A) => void {
  return (...args) => {
    try {
      const result = handler(...args);
      if (result instanceof Promise) result.catch((error: unknown) => { failed(error, ...args); });
    } catch (error) {
      failed(error, ...args);
    }
  };
}

/** Returns a listener whose responses are counted, at the service's place. */
export function counted(listener: RequestListener, counts: ServiceCounts, place: number): RequestListener {
  return (request: IncomingMessage, response: ServerResponse) => {
    const began = performance.now();
    response.on("close", () => {
      counts.responded(place, response.statusCode, (performance.now() - began) / 1000);
    });
    listener(request, response);
  };
}
