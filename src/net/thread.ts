/** A service thread: it has the log and the messages of what serves there. */
import { parentPort, workerData } from "node:worker_threads";
import { ServiceCounts } from "../telemetry/servicecounts.js";
import { threadLog } from "./log.js";
import type { FromService, ServiceInput, ToService } from "./messages.js";
import { Serving } from "./serving.js";

const input = workerData as ServiceInput;
const { thread, wakeFd } = input;
const serving = new Serving({
  thread, wakeFd, counts: new ServiceCounts(input.counts), log: threadLog(input),
  post: (message: FromService) => parentPort?.postMessage(message),
});
parentPort?.on("message", (message: ToService) => { serving.take(message); });
