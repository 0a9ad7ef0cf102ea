/**
 * Merges flags, environment, file and defaults into the configuration that pongd runs with. For each key, the first of
 * them that has it counts. If values do not go together, the message names them as they were given, and has their place
 * in the file.
 */
import { dirname, isAbsolute, join } from "node:path";
import { MacPolicy } from "../../abi/control.js";
import { SourceRoute } from "../../abi/tables.js";
import { Failure } from "../base/failure.js";
import { parseEndpoint } from "../prefix/endpoints.js";
import { parseHostAddresses } from "../prefix/hostaddresses.js";
import { misfits } from "../prefix/misfits.js";
import { parsePrefix, type Address, type Prefix } from "../prefix/prefixes.js";
import { ethernetOf, type Ethernet } from "../tun/mac.js";
import { PrefixAnswers, toLimit } from "./answers.js";
import { checkKept, checkServices, checkTogether } from "./consistency.js";
import { Diagnostics } from "./diagnostics.js";
import { flatten } from "./document.js";
import type { Given, Source } from "./given.js";
import { collect, DEFAULTS, defaultsWith, inWords, millisecondsOf, SETTINGS, type Values } from "./keys.js";
import type { FullOptions } from "./runoptions.js";
import { withFullPaths } from "./services.js";
import { PORT_PROTOCOLS } from "./types.js";

/** Seeds that are drawn are short enough to be typed. */
export const MAX_DRAWN_SEED = 2 ** 31;

export interface Effective {
  readonly options: FullOptions;
  readonly values: Values;
}

/**
 * Merges flags and environment with the file, if there is one, and with the defaults.
 * @throws Failure with a line for each problem: configuration if one of them is in the file, else usage
 */
export function effective(given: Given, file?: Source): Effective {
  return new Merger(given, file).merge();
}

class Merger {
  readonly #given: Given;
  readonly #file: Source | undefined;
  readonly #values: Values;
  readonly #diagnostics: Diagnostics;

  constructor(given: Given, file?: Source) {
    this.#given = given;
    this.#file = file;
    const inFile: Partial<Values> = file ? flatten(file.document) : {};
    this.#diagnostics = new Diagnostics(given, file, inFile);
    const defaults = defaultsWith(given.values.engine ?? inFile.engine ?? DEFAULTS.engine);
    const values = collect(({ key }) => given.values[key] ?? inFile[key] ?? defaults[key]);
    const answer = values.answer.filter((name) => name !== "echo" || !given.ignoreEcho);
    this.#values = { ...values, answer };
  }

  merge(): Effective {
    // If the schema refuses part of a file, the rest may mean something else once that part is mended.
    const allowed = (this.#file?.problems.length ?? 0) === 0;
    const texts = this.#values.prefixes.map((entry) => typeof entry === "string" ? entry : entry.prefix);
    const prefixes = this.#blocks("prefixes", texts);
    const exceptions = this.#blocks("except", this.#values.except);
    if (allowed && prefixes.length === 0 && (this.#file ?? this.#given.example) !== undefined) {
      const inFile = "prefixes: there is none; expected at least one, like 10.99.0.0/16";
      this.#diagnostics.say("prefixes", this.#file ? inFile : `no prefix given; try: ${this.#given.example ?? ""}`);
    }
    for (const { index, message, first } of misfits(prefixes, exceptions)) {
      this.#diagnostics.sayOf(prefixes.length, index, message, first);
    }
    const answers = new PrefixAnswers(this.#values, this.#given, this.#folder, this.#diagnostics);
    if (allowed) {
      checkTogether(this.#values, prefixes, this.#diagnostics);
      answers.makePorts();
      checkServices(this.#values, answers.portLists, this.#diagnostics);
      answers.makeInterfaces();
      answers.makeLinks();
      answers.checkRoutes(prefixes);
      answers.checkRoom();
      if (answers.linked) checkKept(this.#values, this.#diagnostics);
    }
    const whole = prefixes.length > 0 && ![...prefixes, ...exceptions].includes(undefined);
    const hostAddresses = allowed && whole ? this.#hostAddresses(prefixes as Prefix[], exceptions as Prefix[]) : [];
    this.#diagnostics.end();

    const values = { ...this.#values, services: withFullPaths(this.#values.services, this.#folder) };
    const mtu = values["device.mtu"];
    const { exposed, linked, portLists } = answers;
    const accepts = values.engine === "wasm" && portLists.tcp.accepts;
    const seed = values.seed === 0 ? this.#given.drawnSeed ?? 0 : values.seed;
    return {
      values,
      options: {
        serving: {
          prefixes: answers.served(prefixes as Prefix[]),
          exceptions: exceptions as Prefix[],
          policy: {
            sourceRoute: SourceRoute[values.source_route], sourceLimit: toLimit(values.source_rate_limit),
            seed: BigInt(seed),
          },
        },
        hostAddresses,
        hostAddressGiven: !this.#diagnostics.isDefault("device.host_address") && hostAddresses.length > 0,
        device: values["device.name"],
        link: this.#link(values),
        routes: values["device.routes"],
        mtu: mtu === "auto" ? undefined : mtu,
        // With auto it is for those who serve TCP: the header that it needs costs each packet a tenth to a sixth of its
        // time, and only long streams of TCP gain from it. Behind a link, each packet has a fate of its own.
        offload: values["device.offload"] === "on" || (values["device.offload"] === "auto" && accepts && !linked),
        offloadGiven: values["device.offload"] === "on",
        queues: values["device.queues"],
        engine: values.engine,
        io: values.io,
        spin: values.spin,
        precision: values.precision,
        shutdownDelayMs: millisecondsOf(values.shutdown_delay),
        reassembly: values.reassembly,
        tcp: values.tcp_connections === 0
          ? undefined
          : {
              connections: values.tcp_connections, memory: values.tcp_memory, bySource: values.tcp_source_connections,
              threads: values.service_threads,
            },
        // Only a file says of a service that it has sessions, and a reload may.
        sessions: this.#file ? values.udp_sessions : 0,
        // A reload may bring links.
        kept: this.#file || linked ? values.held_packets : 0,
        linked,
        seed,
        accepts,
        streams: PORT_PROTOCOLS.flatMap((protocol) => portLists[protocol].streams),
        exposed,
        listen: values.listen.map((text) => parseEndpoint(text)),
        listenGiven: !this.#diagnostics.isDefault("listen"),
        webConfig: this.#webConfig(values),
        maxRequests: values.max_requests,
        dropPrivileges: values.privileges === "drop",
        logLevel: values["log.level"],
        logFormat: values["log.format"],
        queueFds: this.#given.queueFds,
      },
    };
  }

  /** Parses prefixes or exceptions, one by one. It reports each that is wrong, and returns undefined in its place. */
  #blocks(key: "prefixes" | "except", texts: readonly string[]): (Prefix | undefined)[] {
    return texts.map((text, i) => {
      try {
        return parsePrefix(text);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        // An empty text may stand for an entry that the schema refused. That has been reported.
        if (text !== "" || (this.#file?.problems.length ?? 0) === 0) {
          this.#diagnostics.say(key, error.what, this.#diagnostics.pathOf(key, i));
        }
        return undefined;
      }
    });
  }

  #hostAddresses(prefixes: readonly Prefix[], exceptions: readonly Prefix[]): readonly Address[] {
    try {
      return parseHostAddresses(this.#values["device.host_address"], prefixes, exceptions);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#diagnostics.say("device.host_address", error.what);
      return [];
    }
  }

  get #folder(): string {
    return this.#file?.folder ?? ".";
  }

  #link(values: Values): Ethernet | undefined {
    if (values["device.mode"] === "tun") return undefined;
    const policy = values["device.mac"] === "shared" ? MacPolicy.shared : MacPolicy.per_address;
    return ethernetOf(values["device.name"], policy);
  }

  /** Returns the path of the web configuration. In the configuration file, a relative path is relative to that file. */
  #webConfig({ web_config: name }: Values): string | undefined {
    if (name === "none") return undefined;
    const isRelative = this.#diagnostics.isOfFile("web_config") && !isAbsolute(name);
    return this.#file && isRelative ? join(dirname(this.#file.name), name) : name;
  }
}

/**
 * Returns a line for each value that differs but needs a restart. The host's addresses are left out: the daemon
 * compares them, since it knows the ones that it has.
 */
export function needsRestart(before: Values, after: Values): string[] {
  const changed = SETTINGS.filter(({ key, reload }) =>
    !reload && key !== "device.host_address" && JSON.stringify(before[key]) !== JSON.stringify(after[key]));
  return changed.map(({ key }) =>
    `${key} stays ${inWords(before[key])} until pongd is started again, when it will be ${inWords(after[key])}`);
}
