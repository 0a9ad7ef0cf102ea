/** Whether packets reach pongd: what the kernel says of the device's link and routes, mended where it can be, and said where it cannot. */
import type { Logger } from "pino";
import { EXIT, Failure } from "./failure.js";
import type { TunDevice } from "./tun/device.js";
import { IPV6_MIN_MTU } from "./tun/uapi.js";

export class Reach {
  readonly #device: TunDevice;
  readonly #log: Logger;
  #up = true;
  #refused = "";
  #answering = false;

  constructor(device: TunDevice, log: Logger) {
    this.#device = device;
    this.#log = log;
  }

  /** Whether all that is served can be reached, as of the last look. */
  get answering(): boolean {
    return this.#answering;
  }

  /** That the device is no more. */
  get gone(): Failure {
    return new Failure(`device ${this.#device.name} was deleted while pongd ran; start pongd again to make it anew`, EXIT.RUNTIME);
  }

  /** @throws Failure where the device is gone; SystemError. */
  look(): void {
    const device = this.#device;
    const log = this.#log;
    const link = device.restore();
    if (!link) throw this.gone;
    for (const [family, why] of link.refused) {
      const mend = family === 6 && link.mtu < IPV6_MIN_MTU ? `the device's MTU is ${link.mtu}, and has to be ${IPV6_MIN_MTU}` : why;
      if (mend !== this.#refused) log.warn({ device: device.name }, `nothing is answered by IPv${family}: ${mend}`);
      this.#refused = mend;
    }
    if (link.refused.size === 0 && this.#refused !== "") {
      log.warn({ device: device.name }, "what was missing is answered again");
      this.#refused = "";
    }
    if (link.up !== this.#up) log.warn({ device: device.name }, link.up ? "the link is up again" : "the link was set down: nothing is answered until it is up");
    if (link.mtu > device.mtu) log.warn({ device: device.name, mtu: link.mtu }, `the device's MTU was raised: packets above ${device.mtu} bytes are dropped; start pongd with --mtu ${link.mtu}`);
    for (const { text } of link.lost) log.warn(`prefix ${text} is routed elsewhere now: nothing is answered there; see: ip route show table all ${text}`);
    this.#up = link.up;
    this.#answering = link.up && link.lost.length === 0 && link.refused.size === 0;
  }
}
