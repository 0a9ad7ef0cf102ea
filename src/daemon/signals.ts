/** Ends pongd on a signal or a failure. */
import { EXIT, type Failure } from "../base/failure.js";

/** Shortest time in ms between a person's first and second signal. */
export const TWICE_MS = 500;

/**
 * A request to stop, by a signal or by a failure, whichever comes first. A later second signal ends the process at
 * once; the kernel then removes the device, and nobody resets connections.
 */
export class StopRequest {
  readonly requested: Promise<void>;
  signalled = false;
  fail: (failure: Failure) => void = () => undefined;
  /** Asks to stop, as the first signal does. */
  readonly stop: () => void;
  readonly #signals: readonly NodeJS.Signals[];
  readonly #onSignal: () => void;

  /** `atOnce` is called before a second signal ends the process. */
  constructor(signals: readonly NodeJS.Signals[], atOnce: () => void) {
    this.#signals = signals;
    let signalledAt = 0;
    let resolveRequested = (): void => undefined;
    this.requested = new Promise((resolve, reject) => {
      resolveRequested = resolve;
      this.fail = reject;
    });
    // A failure may come before anybody awaits `requested`. Without this handler Node.js would end the process.
    this.requested.catch(() => undefined);
    this.#onSignal = () => {
      // By way of npm, a terminal's Ctrl-C may arrive twice. A person's second one comes later, and means "at once".
      if (this.signalled && performance.now() - signalledAt > TWICE_MS) {
        atOnce();
        process.exit(EXIT.RUNTIME);
      }
      if (!this.signalled) signalledAt = performance.now();
      this.stop();
    };
    this.stop = () => {
      this.signalled = true;
      resolveRequested();
    };
    for (const signal of this.#signals) process.on(signal, this.#onSignal);
  }

  dispose(): void {
    for (const signal of this.#signals) process.off(signal, this.#onSignal);
  }
}
