/** What ends pongd. */
import { EXIT, type Failure } from "../base/failure.js";

/** A person's second signal comes later than this after the first, in ms. */
const TWICE_MS = 500;

/**
 * The first of the signals and a failure. A later second signal ends the process at once; the kernel then removes the
 * device.
 */
export class StopRequest {
  readonly requested: Promise<void>;
  signalled = false;
  fail: (failure: Failure) => void = () => undefined;
  readonly #signals: readonly NodeJS.Signals[];
  readonly #onSignal: () => void;

  constructor(signals: readonly NodeJS.Signals[]) {
    this.#signals = signals;
    let signalledAt = 0;
    let stop = (): void => undefined;
    this.requested = new Promise((resolve, reject) => {
      stop = resolve;
      this.fail = reject;
    });
    // A failure before anybody waits is still there when somebody does.
    this.requested.catch(() => undefined);
    this.#onSignal = () => {
      // A terminal's Ctrl-C may come twice, by way of npm; a person's second one comes later, and means at once.
      if (this.signalled && performance.now() - signalledAt > TWICE_MS) process.exit(EXIT.RUNTIME);
      if (!this.signalled) signalledAt = performance.now();
      this.signalled = true;
      stop();
    };
    for (const signal of this.#signals) process.on(signal, this.#onSignal);
  }

  dispose(): void {
    for (const signal of this.#signals) process.off(signal, this.#onSignal);
  }
}
