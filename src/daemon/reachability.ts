/**
 * Watches whether packets reach pongd. If the kernel changes the device's link, addresses or routes, this puts them
 * back where pongd may, and logs them where it may not.
 */
import type { Logger } from "pino";
import { word } from "../base/shell.js";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { Stopped } from "../base/pace.js";
import type { TunDevice } from "../tun/device.js";
import * as libc from "../sys/libc.js";
import type { DeviceLink } from "../telemetry/snapshot.js";
import type { LinkState } from "../tun/routing.js";
import { IPV6_MIN_MTU } from "../sys/uapi.js";

/** Interval in ms between looks while something is missing. */
const RETRY_MS = 5000;
/**
 * Shortest time in ms between looks at changes of addresses and routes: others may make any number of them, and make
 * them again once pongd has undone them.
 */
const PACE_MS = 1000;
/** After a look that took long, at least this many times as long passes before the next such look. */
const REST = 4;

export class Reachability {
  readonly #device: TunDevice;
  readonly #log: Logger;
  #link: DeviceLink;
  #name: string;
  /** Lines that the last look reported. */
  #told: string[] = [];
  /** Reasons why something served cannot be reached, a line each. */
  #obstacles: readonly string[] = [];
  /** Number of families and prefixes that cannot be reached. */
  #missing = 0;
  #retry: NodeJS.Timeout | undefined;
  /** Time, by performance.now(), from which the next look at changes of addresses and routes may begin. */
  #mayLookAt = -Infinity;
  /** True if something is missing, so that another look is due soon. */
  #again = false;
  /** Settles when the look that runs is over. */
  #running: Promise<void> = Promise.resolve();
  /** The look that comes after it, for all who have asked since it began. */
  #next: Promise<void> | undefined;
  #looking = false;
  /** Number of notifications about addresses and routes that came while it looked. */
  #changes = 0;
  #ended = false;
  readonly #changed: () => void;
  readonly #failed: (failure: Failure) => void;

  /** `changed` is called after each look; `failed` is called when the device is gone or its state cannot be read. */
  constructor(device: TunDevice, log: Logger, changed: () => void, failed: (failure: Failure) => void) {
    this.#device = device;
    this.#name = device.name;
    this.#log = log;
    this.#link = { state: "up", mtu: device.mtu };
    this.#changed = changed;
    this.#failed = failed;
  }

  /** True if all served prefixes could be reached at the last look. */
  get answering(): boolean {
    return this.obstacle === undefined;
  }

  /** The device's name at the last look. */
  get device(): string {
    return this.#name;
  }

  /** The device's link at the last look. */
  get link(): DeviceLink {
    return this.#link;
  }

  /** Returns in one line why something served cannot be reached; undefined if all can. */
  get obstacle(): string | undefined {
    const [first, ...others] = this.#obstacles;
    return others.length > 0 ? `${first}; and ${others.length} more like it, in the log` : first;
  }

  /** Logs the lines that the last look has not logged already. */
  warn(lines: readonly string[]): void {
    for (const line of lines) if (!this.#told.includes(line)) this.#log.warn(line);
  }

  /** The failure to end with when the device is gone. */
  get gone(): Failure {
    return new Failure(
      `device ${this.#device.name} was deleted while pongd ran; start pongd again to make it anew`, EXIT.RUNTIME,
    );
  }

  /** Returns why pongd ended: `gone` if the device is, which a worker may notice before pongd does, or else `error`. */
  explain(error: unknown): unknown {
    return this.#device.exists ? error : this.gone;
  }

  /**
   * Looks whenever the kernel reports a change, and now, for earlier changes. Fulfilled after that look, with a
   * function that ends the watch.
   * @throws SystemError if the kernel cannot be asked to report
   */
  async watch(): Promise<() => void> {
    const end = this.#device.watch((link) => {
      if (link) void this.look();
      else if (this.#looking) this.#changes++;
      else this.#lookAt(this.#mayLookAt);
    });
    await this.look();
    return () => {
      this.#ended = true;
      end();
      clearTimeout(this.#retry);
    };
  }

  /**
   * Looks, after the look that runs if there is one. Fulfilled when that is done. Never rejected: the event loop calls
   * this, where nobody catches an exception.
   */
  look(): Promise<void> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#running = this.#look();
    });
    return this.#next;
  }

  async #look(): Promise<void> {
    clearTimeout(this.#retry);
    this.#looking = true;
    const [began, changes] = [performance.now(), this.#changes];
    try {
      await this.#restore();
      if (!this.#ended) this.#changed();
    } catch (error) {
      if (this.#ended || error instanceof Stopped) return;
      const failure = `device ${this.#device.name}: ${messageOf(error)}`;
      this.#failed(error instanceof Failure ? error : new Failure(failure, EXIT.RUNTIME, { cause: error }));
    } finally {
      this.#looking = false;
    }
    const now = performance.now();
    this.#mayLookAt = now + Math.max(PACE_MS, REST * (now - began));
    if (this.#changes !== changes) this.#lookAt(this.#mayLookAt);
    // Somebody may repair it in a way that the kernel does not report.
    else if (this.#again) this.#lookAt(now + RETRY_MS);
  }

  async #restore(): Promise<void> {
    try {
      const link = await this.#device.routing.restore();
      if (this.#ended) return;
      if (!link) throw this.gone;
      this.#report(link);
    } catch (error) {
      if (this.#ended || !(error instanceof libc.SystemError)) throw error;
      // The kernel may be short of memory. Packets are still answered.
      const line = `cannot tell whether packets reach pongd, and asks again: ${error.message}`;
      this.warn([line]);
      this.#told = [line];
      this.#again = true;
    }
  }

  /** Looks at that time, by performance.now(), and not at another one that was planned. */
  #lookAt(time: number): void {
    clearTimeout(this.#retry);
    if (this.#ended) return;
    this.#retry = setTimeout(() => { void this.look(); }, Math.max(0, time - performance.now())).unref();
  }

  #report(link: LinkState): void {
    const { name, mtu } = this.#device;
    const log = this.#log;
    const was = this.#link.state;
    const state = !link.up ? "down" : link.carrier ? "up" : "no carrier";
    this.#link = { state, mtu: link.mtu };
    if (name !== this.#name) log.info(`device ${this.#name} is called ${name} now`);
    this.#name = name;
    const unlinked = state === "down"
      ? `the link is down: nothing is answered until it is up; sudo ip link set ${word(name)} up`
      : `the link has no carrier: nothing is answered until it has; sudo ip link set ${word(name)} carrier on`;
    // These lines have no fields, so that people can copy the commands in them.
    if (state !== was && state === "up") log.info("the link is up");
    else if (state !== was) log.warn(unlinked);
    const obstacles = [
      ...[...link.refused].map(([family, why]) => family === 6 && link.mtu < IPV6_MIN_MTU
        ? `nothing is answered by IPv6: the device's MTU is ${link.mtu}, and has to be ${IPV6_MIN_MTU}`
        : why),
      ...lostLines(link.lost),
    ];
    this.#obstacles = state === "up" ? obstacles : [unlinked];
    const lines = [
      ...obstacles,
      ...link.mtu > mtu
        ? [`the device's MTU was raised: packets above ${mtu} bytes are dropped; start pongd with --mtu ${link.mtu}`]
        : [],
      ...link.notes,
    ];
    this.warn(lines);
    this.#told = lines;
    this.#again = false;
    if (!link.up) return;
    const missing = link.refused.size + link.lost.count;
    if (missing === 0 && this.#missing > 0) log.info("what was missing is answered again");
    else if (was !== "down") for (const line of link.mended) log.warn(`${line}: put back`);
    this.#missing = missing;
    this.#again = missing > 0;
  }
}

function lostLines({ count, first }: LinkState["lost"]): string[] {
  const lines = first.map(
    (prefix) => `prefix ${prefix} is routed elsewhere now: nothing is answered there; see: ip route show table all ${prefix}`,
  );
  const others = count - first.length;
  return others > 0
    ? [...lines, `and ${others} more prefixes are routed elsewhere now; see: ip route show table all`]
    : lines;
}
