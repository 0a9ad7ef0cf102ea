/**
 * Basic authentication (RFC 7617) by bcrypt hashes. The hashing is another thread's, one at a time, and its outcomes
 * are kept: so who has been let in once is answered at once, however many wrong passwords come meanwhile.
 */
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Comparison } from "./bcrypt.js";

/** Outcomes that are kept, of each kind. */
const KEPT = 100;
/** Passwords that may wait for their turn; whoever comes then is told to come again. */
const WAITING = 30;

export type Verdict = "granted" | "denied" | "busy";

/** Whether a password has that hash. */
export type Compare = (password: string, hash: string) => Promise<boolean>;

export class BasicAuth {
  readonly #compare: Compare;
  /** What outcomes are kept under tells nothing about passwords without this. */
  readonly #secret = randomBytes(32);
  /** Apart, so that wrong passwords never take the place of right ones. */
  readonly #kept = { granted: new Map<string, true>(), denied: new Map<string, true>() };
  readonly #pending = new Map<string, Promise<Verdict>>();

  constructor(compare: Compare) {
    this.#compare = compare;
  }

  /** `users`: the hash of each one's password. `authorization`: the header, if there is one. */
  check(users: ReadonlyMap<string, string>, authorization: string | undefined): Verdict | Promise<Verdict> {
    const { user, password } = credentials(authorization) ?? {};
    if (user === undefined || password === undefined) return "denied";
    // A name that nobody has costs as much as one of somebody, always the same.
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

  /** As the newest; the one that was longest without use goes. */
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

/** bcrypt in a thread of its own. */
export class BcryptThread {
  #worker: Promise<Worker> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** Fulfilled once the thread is there. */
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
      // once() tells whoever waits; whoever comes next gets another one.
      worker.on("error", () => { this.#worker = undefined; });
      return worker;
    })();
  }
}
