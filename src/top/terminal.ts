/**
 * The terminal as one screen of ours: it is as it was before, however this ends, and whenever somebody else has it in
 * between.
 */

/** The alternate screen, and no cursor on it. */
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";

const QUIT = ["q", "Q", "\x03"];
const CTRL_L = "\f";
const CTRL_Z = "\x1a";
const ESCAPE = "\x1b";

export class Terminal {
  #open = false;
  readonly #undo: (() => void)[] = [];

  /** `redraw`: when its size is another, or somebody else has drawn on it. */
  constructor(quit: () => void, redraw: () => void) {
    const { stdin, stdout } = process;
    this.#on(stdout, "resize", redraw);
    this.#on(process, "SIGTSTP", () => {
      this.#leave();
      process.kill(process.pid, "SIGSTOP");
    });
    this.#on(process, "SIGCONT", () => {
      this.#enter();
      redraw();
    });
    // Before what is said of it, which would else be gone with the screen.
    this.#on(process, "uncaughtExceptionMonitor", () => { this.#leave(); });
    this.#on(process, "exit", () => { this.#leave(); });
    if (stdin.isTTY) {
      this.#on(stdin, "error", quit);
      this.#on(stdin, "end", quit);
      this.#on(stdin, "data", (data: Buffer) => {
        const keys = data.toString("latin1");
        if (keys.startsWith(ESCAPE)) return;
        if (QUIT.some((key) => keys.includes(key))) quit();
        else if (keys.includes(CTRL_L)) redraw();
        // Whoever started this with us stops as well.
        else if (keys.includes(CTRL_Z)) process.kill(0, "SIGTSTP");
      });
    }
    this.#enter();
  }

  get size(): { columns: number; rows: number } {
    // A terminal without a size says 0.
    return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
  }

  draw(lines: readonly string[]): void {
    // Erased first: behind a line's last column the cursor is still on that.
    if (this.#open) process.stdout.write(`\x1b[H\x1b[J${lines.join("\r\n")}`);
  }

  close(): void {
    for (const undo of this.#undo) undo();
    this.#leave();
  }

  #enter(): void {
    if (this.#open) return;
    this.#open = true;
    if (process.stdin.isTTY) process.stdin.setRawMode(true).resume();
    process.stdout.write(ENTER);
  }

  #leave(): void {
    if (!this.#open) return;
    this.#open = false;
    process.stdout.write(LEAVE);
    if (process.stdin.isTTY) process.stdin.setRawMode(false).pause();
  }

  #on(emitter: NodeJS.EventEmitter, event: string, listener: (data: Buffer) => void): void {
    emitter.on(event, listener);
    this.#undo.push(() => { emitter.off(event, listener); });
  }
}
