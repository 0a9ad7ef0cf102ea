/** Makes what service threads do of what a configuration says about it. */
import { statSync, type Stats } from "node:fs";
import { resolve } from "node:path";
import { Service } from "../../abi/tcp.js";
import { Failure, messageOf } from "../base/failure.js";
import { parseTarget } from "../prefix/endpoints.js";
import type { PortService } from "../prefix/policy.js";
import {
  streamService, type Certificate, type Content, type Does, type Handler, type StreamService,
} from "../prefix/streams.js";
import type { Path } from "./path.js";
import type { ContentMap, HttpsMap, ServiceMap, TcpMap, UdpMap } from "./types.js";

/** Services that need no entry are written like this in a map of ports, with where they connect to. */
const PROXY = "proxy:";

type Say = (path: Path, message: string) => void;

/** Returns what a service of service threads does, or undefined once it is reported what is wrong with it. */
export function streamOf(
  name: string, { tcp, http, https, udp }: ServiceMap, folder: string, say: Say,
): StreamService | undefined {
  const services = new Streams(folder);
  try {
    const does = tcp
      ? services.tcp(tcp)
      : http ? services.http(http) : https ? services.https(https) : udp && services.udp(udp);
    return does && streamService(name, does);
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    const key = error.at.map((part) => typeof part === "number" ? `[${part}]` : `.${part}`).join("");
    say(error.at, `services.${name}${key}: ${error.message}`);
    return undefined;
  }
}

/** What is wrong, and where in the service. */
class Wrong extends Error {
  constructor(readonly at: Path, message: string) {
    super(message);
  }
}

/**
 * Returns the service of a port that says "proxy:127.0.0.1:8080"; undefined for other texts.
 * @throws Failure (usage) if it cannot connect there
 */
export function proxyOf(text: string): PortService | undefined {
  if (!text.startsWith(PROXY)) return undefined;
  const stream = streamService(text, { proxy: parseTarget(text.slice(PROXY.length), "proxy"), header: undefined });
  return { name: text, kind: Service.stream, bytes: Buffer.from(stream.id, "hex"), stream };
}

/** @throws Wrong by each method */
class Streams {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  tcp({ handler, proxy, proxy_protocol: header }: TcpMap): Does {
    if (handler !== undefined && (proxy ?? header) === undefined) {
      return { tcp: this.#handler(["tcp", "handler"], handler) };
    }
    if (handler !== undefined || proxy === undefined) {
      throw new Wrong(["tcp"], "expected banner, or reply and after, or handler, or proxy");
    }
    try {
      return { proxy: parseTarget(proxy, "proxy"), header };
    } catch (error) {
      throw error instanceof Failure ? new Wrong(["tcp", "proxy"], error.what) : error;
    }
  }

  udp({ handler, sources = "unprivileged" }: UdpMap): Does {
    return { udp: this.#handler(["udp", "handler"], handler), sources };
  }

  http(map: ContentMap): Does {
    return { http: this.#content("http", map) };
  }

  https(map: HttpsMap): Does {
    const { cert, key, certificates } = map;
    const one = cert !== undefined && key !== undefined ? [{ cert, key }] : undefined;
    const pairs = one ?? certificates ?? [];
    if (pairs.length === 0 || (certificates && (cert ?? key) !== undefined)) {
      throw new Wrong(["https"], "expected cert and key, or certificates, a list of such pairs");
    }
    const full = pairs.map((pair, i) => this.#certificate(one ? [] : ["certificates", i], pair));
    return { https: { ...this.#content("https", map), certificates: full } };
  }

  #content(protocol: "http" | "https", { root, handler }: ContentMap): Content {
    if (root !== undefined && handler !== undefined) throw new Wrong([protocol], "expected either root or handler");
    if (handler !== undefined) return this.#handler([protocol, "handler"], handler);
    if (root === undefined) return { page: true };
    return { root: this.#existing([protocol, "root"], root, (stat) => stat.isDirectory(), "folder").full };
  }

  #handler(at: Path, handler: string): Handler {
    const { full, stat } = this.#file(at, handler);
    return { handler: full, version: `${stat.ino}-${stat.size}-${stat.mtimeMs}` };
  }

  #certificate(at: Path, { cert, key }: Certificate): Certificate {
    return {
      cert: this.#file(["https", ...at, "cert"], cert).full, key: this.#file(["https", ...at, "key"], key).full,
    };
  }

  #file(at: Path, path: string): Existing {
    return this.#existing(at, path, (stat) => stat.isFile(), "regular file");
  }

  #existing(at: Path, path: string, isRight: (stat: Stats) => boolean, kind: string): Existing {
    const full = resolve(this.#folder, path);
    let stat: Stats;
    try {
      stat = statSync(full);
    } catch (error) {
      throw new Wrong(at, `${path}: cannot be read: ${messageOf(error)}`);
    }
    if (!isRight(stat)) throw new Wrong(at, `${path} is no ${kind}`);
    return { full, stat };
  }
}

interface Existing {
  /** Full path. */
  readonly full: string;
  readonly stat: Stats;
}
