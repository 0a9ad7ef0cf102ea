/** Checks values of a configuration against each other. Each of them is right by itself. */
import { MIN_TCP_MTU } from "../engine/memory.js";
import { isSamePlace, parseEndpoint } from "../prefix/endpoints.js";
import type { Prefix } from "../prefix/prefixes.js";
import { ETH_HLEN, ETH_MAX_MTU, ETH_MIN_MTU, IPV6_MIN_MTU } from "../sys/uapi.js";
import type { Diagnostics } from "./diagnostics.js";
import {
  DEVICE_NAME, DEVICE_NAME_RULE, DURATION, DURATION_RULE, MIN_TCP_MEMORY, type Key, type Values,
} from "./keys.js";
import type { Path } from "./path.js";
import type { PortLists } from "./ports.js";
import type { PortProtocol } from "./types.js";

/** Refuses values of the device, the page and the engine that do not go together. */
export function checkTogether(
  values: Values, prefixes: readonly (Prefix | undefined)[], diagnostics: Diagnostics,
): void {
  const name = values["device.name"];
  if (!DEVICE_NAME.test(name)) diagnostics.say("device.name", `device name "${name}": write ${DEVICE_NAME_RULE}`);
  const delay = values.shutdown_delay;
  if (!DURATION.test(delay)) {
    diagnostics.say("shutdown_delay", `'--shutdown-delay <time>' is "${delay}": write ${DURATION_RULE}`);
  }

  checkListen(values, diagnostics);
  const mtu = values["device.mtu"];
  const mode = values["device.mode"];
  // RFC 8200 §5; the kernel takes IPv6 away from a link with less.
  if (mtu !== "auto" && mtu < IPV6_MIN_MTU && prefixes.some((prefix) => prefix?.family === 6)) {
    const mend = `raise ${diagnostics.called("device.mtu")}, or give IPv4 prefixes alone`;
    diagnostics.say("device.mtu", `MTU ${mtu}: IPv6 prefixes need at least ${IPV6_MIN_MTU}; ${mend}`);
  }
  if (mode === "tap" && mtu !== "auto" && mtu > ETH_MAX_MTU - ETH_HLEN) {
    const range = `${ETH_MIN_MTU} to ${ETH_MAX_MTU - ETH_HLEN}`;
    diagnostics.say("device.mtu", `${diagnostics.called("device.mtu")} ${mtu}: a TAP device takes ${range}`);
  }
  if (mode === "tun" && !diagnostics.isDefault("device.mac")) {
    const mend = diagnostics.as("device.mac", "add --mode tap", "write mode: tap");
    const called = diagnostics.called("device.mac");
    diagnostics.say("device.mac", `a TUN device has no MAC addresses: leave ${called} out, or ${mend}`);
  }
  if (values.engine === "js") checkJs(values, diagnostics);
}

function checkListen(values: Values, diagnostics: Diagnostics): void {
  const texts = values.listen;
  const endpoints = texts.map((text) => parseEndpoint(text));
  for (const [i, endpoint] of endpoints.entries()) {
    const first = endpoints.findIndex((other) => isSamePlace(other, endpoint));
    if (first === i) continue;
    diagnostics.say("listen", `listen address "${texts[i]}" is given twice`, ["listen", i], ["listen", first]);
  }
}

/** Refuses what the JavaScript engine cannot do. */
function checkJs(values: Values, diagnostics: Diagnostics): void {
  const refuse = (key: Key, what: string, path?: Path, called = diagnostics.called(key)) => {
    const left = called.replace(/^unreachable\.\w+$/, "unreachable");
    const engine = diagnostics.as(key, "--engine js", "engine: js");
    diagnostics.say(key, `the js engine ${what}: leave ${left} out, or ${engine}`, path);
  };
  const errors = "sends no ICMP errors";
  const { answer, prefixes, source_route: sourceRoute, reassembly } = values;
  const asked = (["unreachable.udp", "unreachable.other"] as const).find((key) => values[key] !== "off");
  if (asked) refuse(asked, errors);
  if (answer.includes("unreachable")) refuse("answer", errors);
  for (const [i, entry] of prefixes.entries()) {
    if (typeof entry === "string" || !entry.answer?.includes("unreachable")) continue;
    refuse("prefixes", errors, ["prefixes", i, "answer"], `prefixes[${i}].answer`);
  }
  if (sourceRoute === "reverse") refuse("source_route", "drops IP options");
  if (reassembly > 0) refuse("reassembly", "does not reassemble");
  const impairsNone = "has no links";
  if (values.link !== "none") refuse("link", impairsNone);
  if (values.path !== "none") refuse("path", "has no paths");
  if (values.held_packets > 0) refuse("held_packets", impairsNone);
  if (values["device.offload"] === "on") refuse("device.offload", "takes finished packets alone");
  const speaksNone = "speaks no TCP";
  const servesNone = "has no UDP services";
  const probesNone = "does not answer PROBE";
  if (Object.keys(values.tcp).length > 0) refuse("tcp", speaksNone);
  if (Object.keys(values.udp).length > 0) refuse("udp", servesNone);
  if (values.interfaces.length > 0) refuse("interfaces", probesNone);
  for (const key of ["tcp_connections", "tcp_memory", "tcp_source_connections"] as const) {
    if (values[key] > 0) refuse(key, speaksNone);
  }
  for (const [i, entry] of prefixes.entries()) {
    if (typeof entry === "string") continue;
    const own = (["tcp", "tcp_connections", "udp", "interfaces", "link", "path"] as const)
      .find((key) => entry[key] !== undefined);
    const lacks = {
      tcp: speaksNone, tcp_connections: speaksNone, udp: servesNone, interfaces: probesNone, link: impairsNone,
      path: "has no paths",
    };
    if (own) refuse("prefixes", lacks[own], ["prefixes", i, own], `prefixes[${i}].${own}`);
  }
}

/** Refuses links and paths in a memory that has none. */
export function checkKept(values: Values, diagnostics: Diagnostics): void {
  if (values.held_packets > 0 || values.engine === "js") return;
  const called = diagnostics.called("held_packets");
  const message = `${called} is 0, so there can be no links and no paths: raise it, or leave them out`;
  diagnostics.say("held_packets", message);
}

/** Refuses limits with which the services of ports could not work. */
export function checkServices(
  values: Values, ports: Readonly<Record<PortProtocol, PortLists>>, diagnostics: Diagnostics,
): void {
  if (values.engine === "js") return;
  if (ports.tcp.accepts) checkRoom(values, diagnostics);
  else checkThreads(values, ports.udp, diagnostics);
}

/** Refuses limits with which there are no service threads, since these come with connections. */
function checkThreads(values: Values, udp: PortLists, diagnostics: Diagnostics): void {
  const service = udp.streams.at(0)?.name;
  const { tcp_connections: connections, "device.mtu": mtu } = values;
  if (service === undefined) return;
  if (connections === 0) {
    const called = diagnostics.called("tcp_connections");
    const why = `${called} is 0, so there are no service threads, which ${service} needs`;
    diagnostics.say("tcp_connections", `${why}: raise it, or leave the service out`);
  }
  if (mtu !== "auto" && mtu < MIN_TCP_MTU) {
    const why = `MTU ${mtu}: service threads, which ${service} needs, need at least ${MIN_TCP_MTU}`;
    diagnostics.say("device.mtu", `${why}; raise ${diagnostics.called("device.mtu")}, or leave the service out`);
  }
}

/** Refuses limits with which no service could accept a connection. */
function checkRoom(values: Values, diagnostics: Diagnostics): void {
  const { tcp_connections: connections, tcp_memory: memory, "device.mtu": mtu } = values;
  if (connections === 0) {
    const why = `${diagnostics.called("tcp_connections")} is 0, so no port can have a service that accepts connections`;
    diagnostics.say("tcp_connections", `${why}: raise it, or leave the services out`);
  }
  if (memory < MIN_TCP_MEMORY) {
    const why = `${diagnostics.called("tcp_memory")} is ${memory}; services need ${MIN_TCP_MEMORY}`;
    diagnostics.say("tcp_memory", `${why}: raise it, or leave the services out`);
  }
  if (mtu !== "auto" && mtu < MIN_TCP_MTU) {
    const mend = `raise ${diagnostics.called("device.mtu")}, or leave the services out`;
    diagnostics.say("device.mtu", `MTU ${mtu}: TCP's services need at least ${MIN_TCP_MTU}; ${mend}`);
  }
}
