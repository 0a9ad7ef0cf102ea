/**
 * Watches whether packets reach pongd. If the kernel changes the device's link, addresses or routes, this puts them
 * back where pongd may, and logs them where it may not.
 */
import type { Logger } from "pino";
import { word } from "../base/shell.js";
import { EXIT, Failure, messageOf } from "../base/failure.js";
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
  #lookedAt = -Infinity;
  /** True if something is missing, so that another look is due soon. */
  #again = false;
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
    return this.#device.routing.restore() ? error : this.gone;
  }

  /**
   * Looks now, for earlier changes, and whenever the kernel reports a change. Returns a function that ends the watch.
   */
  watch(): () => void {
    const end = this.#device.watch((link) => {
      if (link) this.look();
      else this.#retryIn(Math.max(0, this.#lookedAt + PACE_MS - performance.now()));
    });
    this.look();
    return () => {
      end();
      clearTimeout(this.#retry);
    };
  }

  /** Looks now. The event loop calls this, where nobody catches an exception, so it throws nothing. */
  look(): void {
    try {
      this.#look();
      this.#changed();
    } catch (error) {
      const failure = `device ${this.#device.name}: ${messageOf(error)}`;
      this.#failed(error instanceof Failure ? error : new Failure(failure, EXIT.RUNTIME, { cause: error }));
    }
  }

  #look(): void {
    clearTimeout(this.#retry);
    this.#lookedAt = performance.now();
    try {
      const link = this.#device.routing.restore();
      if (!link) throw this.gone;
      this.#report(link);
    } catch (error) {
      if (!(error instanceof libc.SystemError)) throw error;
      // The kernel may be short of memory. Packets are still answered.
      const line = `cannot tell whether packets reach pongd, and asks again: ${error.message}`;
      this.warn([line]);
      this.#told = [line];
      this.#again = true;
    }
    // Somebody may repair it in a way that the kernel does not report.
    if (this.#again) this.#retryIn(RETRY_MS);
  }

  #retryIn(ms: number): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => { this.look(); }, ms).unref();
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
      ...link.lost.map((
        { text },
      ) => `prefix ${text} is routed elsewhere now: nothing is answered there; see: ip route show table all ${text}`),
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
    const missing = link.refused.size + link.lost.length;
    if (missing === 0 && this.#missing > 0) log.info("what was missing is answered again");
    else if (was !== "down") for (const line of link.mended) log.warn(`${line}: put back`);
    this.#missing = missing;
    this.#again = missing > 0;
  }
}
