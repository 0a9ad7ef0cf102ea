/**
 * Processes of a benchmark, from both sides. A process is given its input at its start, says that it is ready or why it
 * cannot be, then obeys its parent's messages. It exits when its parent does.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { EXIT, Failure, messageOf } from "../base/failure.js";

/** What any of them says: one of these when it is ready or has failed. */
export type Start
  = | { readonly kind: "ready" }
    | { readonly kind: "failed"; readonly what: string; readonly status: Failure["exitStatus"]; readonly mend: string
      | undefined; };

/** A process, as its parent sees it. */
export class Child<Message extends { readonly kind: string }> {
  readonly #child: ChildProcess;
  readonly #died: Promise<never>;

  private constructor(child: ChildProcess, what: string) {
    this.#child = child;
    this.#died = once(child, "exit").then(() => { throw new Failure(`the process that ran ${what} died`, EXIT.RUNTIME); });
    // The process exits in the end, when nobody awaits #died any more.
    this.#died.catch(() => undefined);
  }

  /** Starts the module beside this one, and waits until it is ready. @throws Failure if it cannot run here. */
  static async start<Message extends { readonly kind: string }>(
    module: string, input: unknown, what: string,
  ): Promise<Child<Message>> {
    // The terminal's Ctrl-C must not reach the child. Only this process gets it, and it still wants the results so far.
    const child = fork(
      fileURLToPath(new URL(module, import.meta.url)),
      [JSON.stringify(input)],
      { detached: true, stdio: ["ignore", "ignore", "inherit", "ipc"], serialization: "advanced" },
    );
    const started = new Child<Message>(child, what);
    await started.#hear("ready");
    return started;
  }

  /**
   * Sends a message, and returns the answer, which is of that kind.
   * @throws Failure if it is another one, or if the process dies
   */
  async ask<K extends Message["kind"]>(message: object, kind: K): Promise<Extract<Message, { kind: K }>> {
    this.#child.send(message);
    return await this.#hear(kind) as Extract<Message, { kind: K }>;
  }

  async #hear(kind: string): Promise<{ readonly kind: string }> {
    const [message] = await Promise.race([once(this.#child, "message"), this.#died]) as [{ readonly kind: string }];
    if (isFailed(message)) throw new Failure(message.what, message.status, { mend: message.mend });
    if (message.kind !== kind) throw new Failure(`${kind} was asked for, and ${message.kind} came`, EXIT.RUNTIME);
    return message;
  }

  get ended(): boolean {
    return !this.#child.connected;
  }

  /** Ends the process, whatever it is doing: it exits when its parent disconnects. */
  end(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}

function isFailed(message: { readonly kind: string }): message is Extract<Start, { kind: "failed" }> {
  return message.kind === "failed";
}

/** Called by a child first: returns its input, and has it exit when its parent does. */
export function inputFromParent(): unknown {
  process.once("disconnect", () => { process.exit(); });
  // The parent may have exited while this module was loading.
  if (!process.connected) process.exit();
  return JSON.parse(process.argv[2]) as unknown;
}

/** Called by a child. */
export function tellParent(message: { readonly kind: string }): void {
  if (process.connected) process.send?.(message);
}

/** Called by a child: tells its parent why, and exits. `mend` replaces the error's own advice. */
export function failToParent(error: unknown, mend?: string): void {
  const failure = error instanceof Failure ? error : new Failure(messageOf(error), EXIT.RUNTIME);
  if (!process.connected) process.exit();
  process.send?.(
    { kind: "failed", what: failure.what, status: failure.exitStatus, mend: mend ?? failure.mend } satisfies Start,
    () => process.exit(),
  );
}
