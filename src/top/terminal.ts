/** Takes over the whole terminal, and restores it however this ends, and whenever the shell has it in between. */

/** Switches to the alternate screen and hides the cursor; LEAVE undoes that. */
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";

const QUIT = ["q", "Q", "\x03"];
const CTRL_L = "\f";
const CTRL_Z = "\x1a";
const ESCAPE = "\x1b";

export class Terminal {
  #open = false;
  readonly #undo: (() => void)[] = [];

  /** `redraw` is called when the size has changed, or something else has drawn on the screen. */
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
    // Leaves the screen before the error is printed, which would be gone with the screen otherwise.
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
        // Stops the whole process group, so that whatever started pongd stops as well.
        else if (keys.includes(CTRL_Z)) process.kill(0, "SIGTSTP");
      });
    }
    this.#enter();
  }

  get size(): { columns: number; rows: number } {
    // A terminal without a size reports 0.
    return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
  }

  draw(lines: readonly string[]): void {
    // Erases first: while the cursor is still on a line's last column, erasing would remove what is written there.
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
