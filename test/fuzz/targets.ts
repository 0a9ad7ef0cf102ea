/** Lists all that there is to fuzz. */
import { engineTarget } from "./engine/target.js";
import { FAMILIES } from "./engine/world.js";
import { guided } from "./guided.js";
import type { Target } from "./target.js";
import { tcpTarget } from "./tcp/target.js";

export const TARGETS: readonly Target[] = [
  // The engines come before the targets that V8 is to watch, because it does not stop watching then.
  ...FAMILIES.map(engineTarget),
  tcpTarget,
  guided("config", async () => (await import("./readers/config.js")).config),
  guided("webconfig", async () => (await import("./readers/webconfig.js")).webconfig),
  guided("pcap", async () => (await import("./readers/pcap.js")).pcap),
  guided("http", async () => (await import("./readers/http.js")).http),
  guided("netlink", async () => (await import("./readers/netlink.js")).netlink),
  guided("proc", async () => (await import("./readers/proc.js")).proc),
  guided("exposition", async () => (await import("./readers/exposition.js")).exposition),
  guided("text", async () => (await import("./readers/text.js")).text),
];
