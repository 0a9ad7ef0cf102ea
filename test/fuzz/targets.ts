/** All there is to fuzz. */
import { guided } from "./guided.js";
import { config } from "./readers/config.js";
import { exposition } from "./readers/exposition.js";
import { http } from "./readers/http.js";
import { netlink } from "./readers/netlink.js";
import { pcap } from "./readers/pcap.js";
import { proc } from "./readers/proc.js";
import { text } from "./readers/text.js";
import { webconfig } from "./readers/webconfig.js";
import type { Target } from "./target.js";

export const TARGETS: readonly Target[] = [config, webconfig, pcap, http, netlink, proc, exposition, text].map(guided);
