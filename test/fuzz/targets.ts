/** All there is to fuzz. */
import { guided } from "./guided.js";
import { config } from "./readers/config.js";
import { exposition } from "./readers/exposition.js";
import { pcap } from "./readers/pcap.js";
import { webconfig } from "./readers/webconfig.js";
import type { Target } from "./target.js";

export const TARGETS: readonly Target[] = [config, webconfig, pcap, exposition].map(guided);
