/** Makes TCP services of what a configuration says about them, and reads the files with their bytes. */
import { resolve } from "node:path";
import { MAX_AFTER, Service } from "../../abi/tcp.js";
import { EXIT, Failure } from "../base/failure.js";
import type { TcpService } from "../prefix/policy.js";
import { readRegular } from "./bytes.js";
import type { Path } from "./path.js";
import { BUILTIN_SERVICES, type ServiceMap, type ServiceMaps } from "./types.js";

/** Most services. Those of two configurations fit, and some that old connections keep. */
const MAX_SERVICES = 120;
/** Most bytes of a service, and of all. */
const MAX_BYTES = 1 << 20;
const MAX_ALL_BYTES = 4 << 20;
const NAME = /^[a-z][\w-]{0,63}$/i;
/** Words that mean something else than a service of one's own, now or later. */
const RESERVED: ReadonlySet<string> = new Set(
  [...BUILTIN_SERVICES, "banner", "reply", "http", "https", "proxy", "unreachable", "stamp", "irtt"],
);

/** Reports what is wrong at a path. */
export type Say = (path: Path, message: string, which?: "key") => void;

/** Returns the services that need no entry, by name. */
export function builtinServices(): Map<string, TcpService> {
  return new Map(BUILTIN_SERVICES.map((name) => [name, { name, kind: Service[name] }]));
}

/**
 * Returns the services of a configuration by name, the built-in ones among them. Relative paths of files are relative
 * to `folder`.
 */
export function servicesOf(maps: ServiceMaps, folder: string, say: Say): Map<string, TcpService> {
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
      const service = serviceOf(name, map, folder, (key, message) => { say([...path, "tcp", ...key], message); });
      bytes += service?.bytes?.length ?? 0;
      // A port may name a service that is wrong: that has been reported.
      services.set(name, service ?? { name, kind: Service.banner });
    }
  }
  if (bytes > MAX_ALL_BYTES) say(["services"], `services have ${bytes} bytes in all; at most ${MAX_ALL_BYTES} fit`);
  return services;
}

function serviceOf(
  name: string, { tcp: { banner, reply, after } }: ServiceMap, folder: string,
  say: (path: Path, message: string) => void,
): TcpService | undefined {
  const tcp = `services.${name}.tcp`;
  if (banner !== undefined && (reply ?? after) === undefined) {
    const bytes = Buffer.from(banner);
    if (bytes.length <= MAX_BYTES) return { name, kind: Service.banner, bytes };
    say(["banner"], `${tcp}.banner has ${bytes.length} bytes; at most ${MAX_BYTES} fit`);
  } else if (banner !== undefined || reply === undefined || after === undefined) {
    say([], `${tcp}: expected either banner, or reply and after`);
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
  return Object.fromEntries(Object.entries(maps).map(([name, { tcp }]) =>
    [name, { tcp: tcp.reply === undefined ? tcp : { ...tcp, reply: resolve(folder, tcp.reply) } }]));
}
