/**
 * What a service thread counts, in memory that the threads which read it share: nobody has to ask a thread that may
 * hang. The thread writes, and while there is none, the supervisor.
 */
import type { Counts } from "./readhistogram.js";

/** Services that are counted by themselves. */
export const MAX_COUNTED = 256;
/** Upper bounds in seconds; the last bucket has none. */
export const DURATION_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
export const DELAY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const FIRST_CODE = 100;
const CODES = 500;

// f64 places: of the thread, and then of each service.
const BEATS = 0;
const RESTARTS = BEATS + 1;
const DELAYS = RESTARTS + 1;
const THREAD_SIZE = DELAYS + DELAY_BUCKETS.length + 2;
const STREAMS = 0;
const ERRORS = STREAMS + 1;
const DURATIONS = ERRORS + 1;
const BY_CODE = DURATIONS + DURATION_BUCKETS.length + 2;
const SERVICE_SIZE = BY_CODE + CODES;

export class ServiceCounts {
  readonly #counts: Float64Array;

  constructor(readonly buffer = new SharedArrayBuffer(8 * (THREAD_SIZE + SERVICE_SIZE * MAX_COUNTED))) {
    this.#counts = new Float64Array(buffer);
  }

  /** How often the thread has come round; one that stays as it is has hung. */
  get beats(): number {
    return this.#counts[BEATS];
  }

  /** The event loop was `seconds` late. */
  beat(seconds: number): void {
    this.#counts[BEATS]++;
    this.#observe(DELAYS, DELAY_BUCKETS, seconds);
  }

  /** Times that the thread was started again. */
  get restarts(): number {
    return this.#counts[RESTARTS];
  }

  get delays(): Counts {
    return this.#histogram(DELAYS, DELAY_BUCKETS.length);
  }

  /** Connections of the service that the thread has. */
  streams(service: number): number {
    return this.#counts[place(service) + STREAMS];
  }

  opened(service: number): void {
    this.#counts[place(service) + STREAMS]++;
  }

  closed(service: number): void {
    this.#counts[place(service) + STREAMS]--;
  }

  errors(service: number): number {
    return this.#counts[place(service) + ERRORS];
  }

  /** A handler of the service has thrown. */
  failed(service: number): void {
    this.#counts[place(service) + ERRORS]++;
  }

  /** A response with this status has ended, so many seconds after its request. */
  responded(service: number, status: number, seconds: number): void {
    this.#count(service, status);
    this.#observe(place(service) + DURATIONS, DURATION_BUCKETS, seconds);
  }

  /** A request was refused with this status before anybody has seen it. */
  refused(service: number, status: number): void {
    this.#count(service, status);
  }

  /** Responses by their status, those of which there were any. */
  responses(service: number): Map<number, number> {
    const found = new Map<number, number>();
    const at = place(service) + BY_CODE;
    for (let i = 0; i < CODES; i++) if (this.#counts[at + i] > 0) found.set(FIRST_CODE + i, this.#counts[at + i]);
    return found;
  }

  durations(service: number): Counts {
    return this.#histogram(place(service) + DURATIONS, DURATION_BUCKETS.length);
  }

  /** The thread has ended, and all of its connections have; another one is started in its place. */
  restarted(): void {
    this.#counts[RESTARTS]++;
    for (let service = 0; service < MAX_COUNTED; service++) this.#counts[place(service) + STREAMS] = 0;
  }

  /** The place of a service is another one's from now on. */
  clear(service: number): void {
    this.#counts.fill(0, place(service), place(service + 1));
  }

  #count(service: number, status: number): void {
    if (status < FIRST_CODE || status >= FIRST_CODE + CODES) return;
    this.#counts[place(service) + BY_CODE + status - FIRST_CODE]++;
  }

  #observe(at: number, bounds: readonly number[], seconds: number): void {
    const found = bounds.findIndex((bound) => seconds <= bound);
    this.#counts[at + (found < 0 ? bounds.length : found)]++;
    this.#counts[at + bounds.length + 1] += seconds;
  }

  #histogram(at: number, bounds: number): Counts {
    return { buckets: [...this.#counts.subarray(at, at + bounds + 1)], sum: this.#counts[at + bounds + 1] };
  }
}

function place(service: number): number {
  return THREAD_SIZE + SERVICE_SIZE * service;
}
