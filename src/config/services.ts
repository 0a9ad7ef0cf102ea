/** Makes services of what a configuration says about them, and reads the files with their bytes. */
import { resolve } from "node:path";
import { MAX_AFTER, Service } from "../../abi/tcp.js";
import { EXIT, Failure } from "../base/failure.js";
import { padsOf } from "../base/sha256.js";
import type { PortService } from "../prefix/policy.js";
import { DEFAULT_STAMP, stampBytes, withKeys, type StampKeys } from "../prefix/stamp.js";
import { PAGE } from "../prefix/streams.js";
import { readRegular } from "./bytes.js";
import { millisecondsOf } from "./keys.js";
import type { Path } from "./path.js";
import { irttOf, sbfdOf } from "./measurement.js";
import { keyAt, keysAt, keysIn } from "./hmackeys.js";
import { streamOf } from "./streams.js";
import {
  BUILTIN_SERVICES, SERVICE_KINDS, UDP_SERVICES, type PortProtocol, type ServiceMap, type ServiceMaps, type StampMap,
  type TcpMap,
} from "./types.js";

/** Most services. Those of two configurations fit, and some that old connections keep. */
const MAX_SERVICES = 120;
/** Most bytes of a service, and of all. */
const MAX_BYTES = 1 << 20;
const MAX_ALL_BYTES = 4 << 20;
const NAME = /^[a-z][\w-]{0,63}$/i;
/** Words that mean something else than a service of one's own, now or later. */
const RESERVED: ReadonlySet<string> = new Set(
  [...BUILTIN_SERVICES, ...UDP_SERVICES, "banner", "reply", "https", "proxy", "datagram"],
);

/** Keys of a service that name a file or a folder. */
const FILES: ReadonlySet<string> = new Set(
  ["reply", "handler", "root", "cert", "key", "key_file", "key_dir"],
);

/** Reports what is wrong at a path. */
export type Say = (path: Path, message: string, which?: "key") => void;

/** Services by name, for each protocol. */
export type ServicesByName = Readonly<Record<PortProtocol, Map<string, PortService>>>;

/** Returns the services that need no entry. */
export function builtinServices(): ServicesByName {
  return {
    tcp: new Map(BUILTIN_SERVICES.map((name) =>
      [name, { name, kind: Service[name], ...name === "http" && { stream: PAGE } }])),
    // What a port is that no list has: no record of its own.
    udp: new Map(UDP_SERVICES.map((name) =>
      [name, { name, kind: name === "unreachable" ? Service.refuse : Service[name] }])),
  };
}

/**
 * Returns the services of a configuration, the built-in ones among them. Relative paths of files are relative to
 * `folder`.
 */
export function servicesOf(maps: ServiceMaps, folder: string, say: Say): ServicesByName {
  const services = builtinServices();
  const entries = Object.entries(maps);
  if (entries.length > MAX_SERVICES) {
    say(["services"], `${entries.length} services given; at most ${MAX_SERVICES} fit`);
    return services;
  }
  let bytes = 0;
  for (const [name, map] of entries) {
    const path = ["services", name];
    if (!NAME.test(name)) {
      say(path, `"${name.slice(0, 64)}" is no name of a service; expected a letter, then up to 63 letters, digits, "_" or "-"`, "key");
    } else if (RESERVED.has(name)) {
      say(path, `"${name}" is a word of pongd's own; choose another name for the service`, "key");
    } else {
      const service = serviceOf(name, map, folder, (key, message) => { say([...path, ...key], message); });
      bytes += service?.bytes?.length ?? 0;
      // A port may name a service that is wrong: that has been reported.
      const [kind = "tcp"] = kindsOf(map);
      services[SERVICE_KINDS[kind]].set(name, service ?? { name, kind: Service.banner });
    }
  }
  if (bytes > MAX_ALL_BYTES) say(["services"], `services have ${bytes} bytes in all; at most ${MAX_ALL_BYTES} fit`);
  return services;
}

/** Returns the kinds that a service is of, which should be a single one. */
function kindsOf(map: ServiceMap): (keyof ServiceMap)[] {
  return (Object.keys(SERVICE_KINDS) as (keyof ServiceMap)[]).filter((kind) => map[kind] !== undefined);
}

function serviceOf(
  name: string, map: ServiceMap, folder: string, say: (path: Path, message: string) => void,
): PortService | undefined {
  const { tcp, udp, stamp, sbfd, irtt } = map;
  if (kindsOf(map).length !== 1) {
    const kinds = Object.keys(SERVICE_KINDS);
    const all = `${kinds.slice(0, -1).join(", ")} and ${kinds.slice(-1).join("")}`;
    say([], `services.${name}: expected exactly one of ${all}`);
    return undefined;
  }
  if (stamp) return stampOf(name, stamp, folder, (key, message) => { say(["stamp", ...key], message); });
  if (irtt) return irttOf(name, irtt, folder, (key, message) => { say(["irtt", ...key], message); });
  if (sbfd) return sbfdOf(name, sbfd, (key, message) => { say(["sbfd", ...key], message); });
  const sent = tcp && [tcp.banner, tcp.reply ?? tcp.after].some((each) => each !== undefined);
  if (sent) return fixedOf(name, tcp, folder, (key, message) => { say(["tcp", ...key], message); });
  const stream = streamOf(name, map, folder, say);
  if (!stream) return undefined;
  const id = Buffer.from(stream.id, "hex");
  if (udp) {
    const anySource = udp.sources === "any";
    return { name, kind: Service.datagram, bytes: Buffer.of(...id, anySource ? 1 : 0), stream, anySource };
  }
  return { name, kind: tcp ? Service.stream : Service.http, bytes: id, stream };
}

/** Returns a STAMP reflector. */
function stampOf(
  name: string, { idle_timeout: idle, key_file: file, key_dir: dir, ...given }: StampMap, folder: string,
  say: (path: Path, message: string) => void,
): PortService | undefined {
  const options = { ...DEFAULT_STAMP, ...given, ...idle !== undefined && { idleMs: millisecondsOf(idle) } };
  const service = { name, kind: Service.stamp, bytes: stampBytes(options), anySource: options.sources === "any" };
  if (file === undefined && dir === undefined) return service;
  const stamp = `services.${name}.stamp`;
  if (file !== undefined && dir !== undefined) {
    say(["key_dir"], `${stamp}: expected key_file or key_dir, and not both`);
    return undefined;
  }
  const key = file === undefined ? "key_dir" : "key_file";
  const found = keysAt<StampKeys>(
    `${stamp}.${key}`, () => file === undefined ? keysIn(dir ?? "", folder) : keyAt(file, folder, padsOf),
    (message) => { say([key], message); },
  );
  return found && { ...service, bytes: withKeys(service.bytes, found.keys), exposed: found.exposed };
}

/** Returns a service that sends the same bytes to everybody. */
function fixedOf(
  name: string, { banner, reply, after, handler, proxy, proxy_protocol: header }: TcpMap, folder: string,
  say: (path: Path, message: string) => void,
): PortService | undefined {
  const tcp = `services.${name}.tcp`;
  const others = handler ?? proxy ?? header;
  if (banner !== undefined && (reply ?? after ?? others) === undefined) {
    const bytes = Buffer.from(banner);
    if (bytes.length <= MAX_BYTES) return { name, kind: Service.banner, bytes };
    say(["banner"], `${tcp}.banner has ${bytes.length} bytes; at most ${MAX_BYTES} fit`);
  } else if (banner !== undefined || reply === undefined || after === undefined || others !== undefined) {
    say([], `${tcp}: expected banner, or reply and after, or handler, or proxy`);
  } else if (Buffer.byteLength(after) > MAX_AFTER) {
    say(["after"], `${tcp}.after has ${Buffer.byteLength(after)} bytes; expected 1 to ${MAX_AFTER}`);
  } else {
    const bytes = bytesOf(reply, folder, (message) => { say(["reply"], `${tcp}.reply: ${message}`); });
    if (bytes) return { name, kind: Service.reply, bytes, after: Buffer.from(after) };
  }
  return undefined;
}

/** Reads the file of a reply, which must not be empty. */
function bytesOf(reply: string, folder: string, say: (message: string) => void): Buffer | undefined {
  try {
    const bytes = readRegular(reply, resolve(folder, reply), MAX_BYTES, "reply");
    if (bytes.length > 0) return bytes;
    say(`${reply}: the file is empty`);
  } catch (error) {
    if (!(error instanceof Failure) || error.exitStatus !== EXIT.CONFIG) throw error;
    say(error.what);
  }
  return undefined;
}

/** Returns the services with full paths of their files. */
export function withFullPaths(maps: ServiceMaps, folder: string): ServiceMaps {
  const full = (path: string) => resolve(folder, path);
  return Object.fromEntries(Object.entries(maps).map(([name, map]) => [name, mapped(map, full) as ServiceMap]));
}

/** Returns a part of a service with each file's path replaced. */
function mapped(value: unknown, full: (path: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => mapped(item, full));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) =>
    [key, FILES.has(key) && typeof item === "string" ? full(item) : mapped(item, full)]));
}
