/**
 * Watches whether packets reach pongd: whatever the kernel changed of the device's link, addresses and routes is put
 * back where pongd may, and logged where it may not.
 */
import type { Logger } from "pino";
import { word } from "../base/shell.js";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import type { TunDevice } from "../tun/device.js";
import * as libc from "../sys/libc.js";
import type { DeviceLink } from "../telemetry/snapshot.js";
import type { LinkState } from "../tun/routing.js";
import { IPV6_MIN_MTU } from "../sys/uapi.js";

/** How often to look whether what is missing is there. */
const RETRY_MS = 5000;
/** Time between looks at changes that others may make in any number, and may make again once they are undone. */
const PACE_MS = 1000;

export class Reachability {
  readonly #device: TunDevice;
  readonly #log: Logger;
  #link: DeviceLink;
  #name: string;
  /** What the last look had to say. */
  #told: string[] = [];
  /** Why not all that is served can be reached, a line each. */
  #obstacles: readonly string[] = [];
  /** Of families and prefixes. */
  #missing = 0;
  #retry: NodeJS.Timeout | undefined;
  #lookedAt = -Infinity;
  /** Whether to look again soon. */
  #again = false;
  readonly #changed: () => void;
  readonly #failed: (failure: Failure) => void;

  /** `changed` is called after each look, and `failed` when the device is gone or cannot be asked after. */
  constructor(device: TunDevice, log: Logger, changed: () => void, failed: (failure: Failure) => void) {
    this.#device = device;
    this.#name = device.name;
    this.#log = log;
    this.#link = { state: "up", mtu: device.mtu };
    this.#changed = changed;
    this.#failed = failed;
  }

  /** Whether all that is served can be reached, as of the last look. */
  get answering(): boolean {
    return this.obstacle === undefined;
  }

  /** What the device is called, as of the last look. */
  get device(): string {
    return this.#name;
  }

  /** The device's link, as of the last look. */
  get link(): DeviceLink {
    return this.#link;
  }

  /** Why it cannot, in one line; undefined where it can. */
  get obstacle(): string | undefined {
    const [first, ...others] = this.#obstacles;
    return others.length > 0 ? `${first}; and ${others.length} more like it, in the log` : first;
  }

  /** Logs what is not said by the last look already. */
  warn(lines: readonly string[]): void {
    for (const line of lines) if (!this.#told.includes(line)) this.#log.warn(line);
  }

  /** That the device is no more. */
  get gone(): Failure {
    return new Failure(
      `device ${this.#device.name} was deleted while pongd ran; start pongd again to make it anew`, EXIT.RUNTIME,
    );
  }

  /** What ended pongd: the device's end, of which a worker may hear before pongd does, or else `error`. */
  explain(error: unknown): unknown {
    return this.#device.routing.restore() ? error : this.gone;
  }

  /**
   * Looks whenever the kernel says that something has changed, and now, for what changed before. Returns how to end
   * that.
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

  /** Looks now. Called back from the event loop, where nobody catches what is thrown, so it throws nothing. */
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
      // The kernel may be short of memory. Packets are answered all the same.
      const line = `cannot tell whether packets reach pongd, and asks again: ${error.message}`;
      this.warn([line]);
      this.#told = [line];
      this.#again = true;
    }
    // Somebody may mend it, of which the kernel says nothing.
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
    // Nothing goes with these lines: their commands are for whoever copies them.
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
