/**
 * Checks Basic authentication (RFC 7617) against bcrypt hashes. Another thread does the hashing, one password at a
 * time, and results are kept. Whoever has been let in once is therefore answered at once, however many wrong passwords
 * come meanwhile.
 */
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Comparison } from "./bcrypt.js";

/** Results kept, of each kind. */
const KEPT = 100;
/** Most passwords that wait for their turn. With more, clients are told to come again. */
const WAITING = 30;

export type Verdict = "granted" | "denied" | "busy";

/** Compares a password with a hash. */
export type Compare = (password: string, hash: string) => Promise<boolean>;

export class BasicAuth {
  readonly #compare: Compare;
  /** Secret for the keys of the kept results, which without it say nothing about passwords. */
  readonly #secret = randomBytes(32);
  /** Results by kind, kept apart so that wrong passwords never push out right ones. */
  readonly #kept = { granted: new Map<string, true>(), denied: new Map<string, true>() };
  readonly #pending = new Map<string, Promise<Verdict>>();

  constructor(compare: Compare) {
    this.#compare = compare;
  }

  /**
   * Checks a request's credentials. `users`: each user's password hash. `authorization`: the header, if there is one.
   */
  check(users: ReadonlyMap<string, string>, authorization: string | undefined): Verdict | Promise<Verdict> {
    const { user, password } = credentials(authorization) ?? {};
    if (user === undefined || password === undefined) return "denied";
    // An unknown name is compared with some user's hash, always the same one, so that it takes as long as a known name.
    const hash = users.get(user) ?? [...users.values()][this.#digest(user)[0] % users.size];
    const key = this.#digest(JSON.stringify([user, users.has(user), hash, password])).toString("base64");
    for (const verdict of ["granted", "denied"] as const) {
      if (this.#kept[verdict].has(key)) return this.#keep(verdict, key);
    }
    const pending = this.#pending.get(key);
    if (pending) return pending;
    if (this.#pending.size > WAITING) return "busy";
    const verdict = this.#compare(password, hash)
      .then((same) => this.#keep(same && users.has(user) ? "granted" : "denied", key))
      .finally(() => this.#pending.delete(key));
    this.#pending.set(key, verdict);
    return verdict;
  }

  /** Keeps a result as the newest, and drops the one that has not been used for longest. */
  #keep(verdict: "granted" | "denied", key: string): Verdict {
    const kept = this.#kept[verdict];
    kept.delete(key);
    kept.set(key, true);
    const [oldest] = kept.keys();
    if (kept.size > KEPT) kept.delete(oldest);
    return verdict;
  }

  #digest(text: string): Buffer {
    return createHmac("sha256", this.#secret).update(text).digest();
  }
}

function credentials(authorization = ""): { user: string; password: string } | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(authorization)?.[1];
  const text = Buffer.from(encoded ?? "", "base64").toString();
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Runs bcrypt in a thread of its own. */
export class BcryptThread {
  #worker: Promise<Worker> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** Fulfilled once the thread runs. */
  async start(): Promise<void> {
    await this.#running();
  }

  readonly compare: Compare = (password, hash) => {
    const same = this.#last.then(() => this.#ask({ password, hash }));
    this.#last = same.catch(() => undefined);
    return same;
  };

  async close(): Promise<void> {
    await (await this.#worker)?.terminate();
  }

  async #ask(comparison: Comparison): Promise<boolean> {
    const worker = await this.#running();
    worker.postMessage(comparison);
    const [same] = await once(worker, "message") as [boolean];
    return same;
  }

  #running(): Promise<Worker> {
    return this.#worker ??= (async () => {
      const worker = new Worker(new URL("./bcrypt.js", import.meta.url));
      await once(worker, "online");
      worker.unref();
      // once() rejects for whoever waits now; the next password gets a new thread.
      worker.on("error", () => { this.#worker = undefined; });
      return worker;
    })();
  }
}
