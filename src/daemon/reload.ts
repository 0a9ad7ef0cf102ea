/**
 * Runs reloads one at a time, and says what each changes. A request is met by a reload that begins after it. All
 * requests that come during a reload are met by the same next one.
 */
import { setImmediate } from "node:timers/promises";
import type { Logger } from "pino";
import { Failure, messageOf } from "../base/failure.js";
import { Stopped } from "../base/pace.js";
import type { Configuration } from "../config/content.js";
import { FAMILIES, type Address, type Prefix } from "../prefix/prefixes.js";
import { reloading, type ServiceManager } from "../sys/notify.js";
import type { TunDevice } from "../tun/device.js";
import { checkMtu, notForwarded } from "./device.js";
import type { Queues } from "./queues.js";
import type { Reachability } from "./reachability.js";
import type { Served } from "./served.js";
import type { Services } from "./services.js";

export class Reloads {
  /** True if the last reload succeeded; the start counts as one. */
  successful = true;
  /** Unix time in seconds of the last reload that succeeded. */
  succeededAt = Date.now() / 1000;
  readonly #apply: () => Promise<readonly string[]>;
  readonly #log: Logger;
  readonly #manager: ServiceManager;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<readonly string[]> | undefined;

  /** `apply` either throws before it has changed anything, or returns what it could not do, a line each. */
  constructor(apply: () => Promise<readonly string[]>, log: Logger, manager: ServiceManager) {
    this.#apply = apply;
    this.#log = log;
    this.#manager = manager;
  }

  /**
   * Requests a reload. Fulfilled with what could not be done, a line each.
   * @throws whatever was wrong with the configuration. It has been logged by then, and the old configuration stays.
   */
  request(): Promise<readonly string[]> {
    // A reload that fails at once never yields to the event loop. In a flood of signals, each signal would then get a
    // reload of its own, and nothing else would run.
    this.#next ??= this.#running.then(() => setImmediate()).then(() => {
      this.#next = undefined;
      const reload = this.#reload();
      this.#running = reload.catch(() => undefined);
      return reload;
    });
    return this.#next;
  }

  async #reload(): Promise<readonly string[]> {
    this.#manager.notify(reloading());
    let stopped = false;
    try {
      const lines = await this.#apply();
      this.successful = true;
      this.succeededAt = Date.now() / 1000;
      this.#log.info("configuration reloaded");
      return lines;
    } catch (error) {
      stopped = error instanceof Stopped;
      if (stopped) throw error;
      this.successful = false;
      for (const line of error instanceof Failure ? error.lines : [messageOf(error)]) this.#log.error(line);
      this.#log.error("the configuration was not reloaded: all is as it was");
      throw error;
    } finally {
      if (!stopped) this.#manager.notify({ READY: "1" });
    }
  }
}

/** The configuration as it was read again. */
export interface Reread {
  readonly configuration: Configuration;
  /** A line for each setting that has changed and that a reload does not change. */
  readonly stays: readonly string[];
}

/** Parts that a reload acts on. */
export interface Changeable {
  readonly device: TunDevice;
  /** The host's own addresses on the device. */
  readonly hosts: readonly Address[];
  /** Other addresses on a pre-made device, which are never answered. */
  readonly others: readonly Prefix[];
  /** True if the prefixes are routed to the device, which no reload changes. */
  readonly routes: boolean;
  readonly served: Served;
  readonly queues: Queues;
  readonly threads: Services;
  readonly reachability: Reachability;
  readonly log: Logger;
}

/**
 * Applies another configuration. All that can fail is done before anything changes: services are loaded, and the tables
 * are written where no engine looks. Then routes of new prefixes are added, the engines get their tables, and routes of
 * prefixes that are gone are removed. Returns what could not be done, a line each.
 */
export async function change({ configuration, stays }: Reread, running: Changeable): Promise<string[]> {
  const { device, hosts, others, routes, served, queues, threads, reachability, log } = running;
  const { options } = configuration;
  const { prefixes } = options.serving;
  const memories = queues.all.map(({ memory }) => memory.memory);
  try {
    checkMtu(device, options);
    const useServices = await threads.prepare(options.streams, prefixes, options.logLevel);
    const { tables, examples, services } = await configuration.place({ hosts, others, memories });
    const families = prefixes.families.filter((family) => !served.prefixes.families.includes(family));
    const lines = [...stays, ...options.exposed];
    if (routes) {
      lines.push(...await device.routing.addRoutes(prefixes.blocks));
      lines.push(...notForwarded(device, families));
    }
    useServices();
    await Promise.all(queues.all.map((queue, i) => queue.serve(tables[i])));
    served.change(prefixes, examples, services);
    if (routes) lines.push(...await device.routing.keepRoutes(prefixes.blocks));
    if (!device.premade) lines.push(...hostsThatStay(hosts, options.hostAddresses));
    log.level = options.logLevel;
    await reachability.look();
    reachability.warn(lines);
    return lines;
  } finally {
    await configuration.end();
  }
}

/** Returns a line for each address of the host that would be different if pongd were started again. */
function hostsThatStay(now: readonly Address[], then: readonly Address[]): string[] {
  return FAMILIES.flatMap((family) => {
    const [own = "none", other = "none"] = [now, then].map(
      (hosts) => hosts.find((host) => host.family === family)?.text,
    );
    if (own === other) return [];
    return [`the host's IPv${family} address stays ${own} until pongd is started again, when it will be ${other}`];
  });
}
