/** The timeout of a socket on which nothing was sent and has come for a while, as a net.Socket has it. */
import { inspect } from "node:util";

/** Longest time in ms that a timer of Node.js takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Whoever may be idle. */
interface Owner {
  /** Time in ms after which it emits "timeout"; 0 never does. */
  readonly timeout: number;
  readonly destroyed: boolean;
  emit(event: "timeout"): boolean;
}

/** Has its owner emit "timeout". Times are in ms by performance.now(). */
export class IdleTimer {
  readonly #owner: Owner;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer is over, and when something was last sent or has come. */
  #timerAt = 0;
  #activeAt = 0;

  constructor(owner: Owner) {
    this.#owner = owner;
  }

  /** Another timeout holds, whose time begins now. */
  changed(now: number): void {
    const { timeout } = this.#owner;
    if (this.#timer && this.#timerAt > now + timeout) this.end();
    if (timeout > 0) this.refresh(now);
  }

  /**
   * Something was sent or has come. There is a timer already if there was one for whatever was before, and when that is
   * over, it is seen how long nothing has been: HTTP sets its timeouts anew with each request.
   */
  refresh(now: number): void {
    this.#activeAt = now;
    if (!this.#timer && !this.#owner.destroyed) this.#start(this.#owner.timeout);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #start(ms: number): void {
    const part = Math.min(ms, MAX_TIMER_MS);
    this.#timerAt = performance.now() + part;
    this.#timer = setTimeout(this.#over, part).unref();
  }

  readonly #over = (): void => {
    this.#timer = undefined;
    const { timeout } = this.#owner;
    if (timeout === 0) return;
    const left = this.#activeAt + timeout - performance.now();
    // Timers of Node.js have whole milliseconds.
    if (left >= 1) this.#start(left);
    else this.#owner.emit("timeout");
  };
}

/** @throws TypeError and RangeError as a net.Socket's setTimeout() does */
export function checkTimeout(ms: unknown, listener: unknown): void {
  const wrong = (what: string, type: string, value: unknown) => Object.assign(
    new TypeError(`The "${what}" argument must be of type ${type}. Received ${inspect(value)}`),
    { code: "ERR_INVALID_ARG_TYPE" },
  );
  if (typeof ms !== "number") throw wrong("msecs", "number", ms);
  if (!(ms >= 0 && ms < Infinity)) {
    const message = `The value of "msecs" is out of range. It must be a non-negative finite number. Received ${ms}`;
    throw Object.assign(new RangeError(message), { code: "ERR_OUT_OF_RANGE" });
  }
  if (listener !== undefined && typeof listener !== "function") throw wrong("callback", "function", listener);
}
