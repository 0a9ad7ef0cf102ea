/** Requests to the supervisor, each of which it answers by its number. */
import { errorOf, isClosed } from "./error.js";
import type { FromSupervisor, ToSupervisor } from "./messages.js";

interface Waiting {
  readonly resolve: (text: string | undefined) => void;
  readonly reject: (error: unknown) => void;
}

export class Requests {
  readonly #post: (message: ToSupervisor) => void;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  constructor(post: (message: ToSupervisor) => void) {
    this.#post = post;
  }

  /** Fulfilled with what the answer says, or rejected with a PongdError. */
  ask(message: (request: number) => ToSupervisor): Promise<string | undefined> {
    const request = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(request, { resolve, reject });
      this.#post(message(request));
    });
  }

  answered({ request, failed, text }: Extract<FromSupervisor, { kind: "answer" }>): void {
    const waiting = this.#waiting.get(request);
    this.#waiting.delete(request);
    if (failed) waiting?.reject(errorOf(failed));
    else waiting?.resolve(text);
  }

  /** Nobody answers any more. */
  end(): void {
    for (const { reject } of this.#waiting.values()) reject(isClosed());
    this.#waiting.clear();
  }
}
