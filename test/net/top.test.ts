/**
 * Tests pongd top against a pongd with real traffic, and in a real terminal: tmux's, which tells what it shows and in
 * which state it is.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CLI, needs, Netns, poll, Pongd, sum } from "../support/netns.js";

const PREFIX = "10.99.0.0/16";

interface Line {
  rates: {
    received: number;
    replied: number;
    dropped: number;
    reasons: Partial<Record<string, number>>;
    prefixes: Record<string, number>;
  };
  queues: { received: number; replied: number; dropped: number }[];
  dropped: Record<string, number>;
  prefixes: { prefix: string; replied: number }[];
}

test("top: its figures are those of /metrics, and rates over time come to what was sent", needs("ping"), async () => {
  const ns = await Netns.open();
  const pongd = await Pongd.start(ns, PREFIX, "--queues", "2", "--unreachable", "silent");
  const top = ns.spawn(process.execPath, CLI, "top", "--json", "--interval", "0.2");
  const lines: Line[] = [];
  let text = "";
  const pings = 500;
  let sent = false;
  const before = await pongd.metrics();
  for await (const chunk of top.stdout) {
    text += String(chunk);
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      lines.push(JSON.parse(text.slice(0, end)) as Line);
      text = text.slice(end + 1);
    }
    if (!sent) await Promise.all([
      ns.ok("ping", "-q", "-i", "0.002", "-c", String(pings), "10.99.1.1"),
      ns.ok("bash", "-c", "for i in {1..20}; do echo > /dev/udp/10.99.2.2/9; done"),
    ]);
    sent = true;
    const last = lines.at(-1);
    if (last && last.prefixes[0].replied >= pings && last.dropped.no_socket >= 20) top.kill("SIGTERM");
  }
  const metrics = await pongd.metrics();
  const last = lines.at(-1);
  assert.ok(last);
  assert.equal(
    last.queues.reduce((total, { received }) => total + received, 0), sum(metrics, "pongd_packets_received_total"),
  );
  assert.equal(last.queues.reduce((total, { replied }) => total + replied, 0), sum(metrics, "pongd_replies_total"));
  assert.equal(last.dropped.no_socket, 20);
  assert.deepEqual(
    last.prefixes, [{ prefix: PREFIX, replied: metrics.get(`pongd_prefix_replies_total{prefix="${PREFIX}"}`) }],
  );
  assert.ok(Math.max(...lines.map(({ rates }) => rates.prefixes[PREFIX])) > 0);
  assert.ok(Math.max(...lines.map(({ rates }) => rates.reasons.no_socket ?? 0)) > 0);
  assert.equal(sum(metrics, "pongd_replies_total") - sum(before, "pongd_replies_total"), pings);

  // Nothing is sent any more, so the lines show the present, each under its heading.
  const [header, row] = (await ns.ok(process.execPath, CLI, "top", "--count", "1", "--interval", "0.1"))
    .trimEnd()
    .split("\n")
    .map((line) => line.split(/ +/));
  const column = (name: string) => Number(row[header.indexOf(name)]);
  assert.equal(column("REPLIED"), sum(metrics, "pongd_replies_total"));
  assert.equal(column("DROPPED"), sum(metrics, "pongd_packets_dropped_total"));
  assert.equal(column("REPLIED/S"), 0);
  await pongd.stop();
  await ns.close();
});

/** A shell in a terminal of 100 columns and 30 lines. */
class Shell {
  readonly #ns: Netns;
  readonly #dir = mkdtempSync(join(tmpdir(), "pongd-top-"));

  private constructor(ns: Netns) {
    this.#ns = ns;
  }

  static async open(ns: Netns): Promise<Shell> {
    const shell = new Shell(ns);
    await shell.#tmux("new-session", "-d", "-x", "100", "-y", "30", "env PS1='READY$ ' bash --norc --noprofile");
    await shell.until(async () => (await shell.shown()).includes("READY$"));
    await shell.type(`stty -g > "${shell.#dir}/before"`);
    return shell;
  }

  /** Starts pongd top in the foreground, and waits until it has the screen. */
  async top(...nodeOptions: string[]): Promise<void> {
    await this.type(`sh -c 'echo $$ > "${this.#dir}/pid"; exec "$@"' sh "${process.execPath}" `
      + `${nodeOptions.join(" ")} "${CLI}" top; echo "status=$?"; stty -g > "${this.#dir}/after"`);
    await this.until(async () => (await this.shown()).includes("REPLIED/S"));
    assert.deepEqual(await this.state(), { alternate: true, cursor: false });
  }

  signal(name: NodeJS.Signals): void {
    process.kill(Number(readFileSync(join(this.#dir, "pid"), "utf8")), name);
  }

  async type(text: string): Promise<void> {
    await this.#tmux("send-keys", "-l", text);
    await this.press("Enter");
  }

  async press(key: string): Promise<void> {
    await this.#tmux("send-keys", key);
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux("resize-window", "-x", String(columns), "-y", String(rows));
  }

  shown(...options: string[]): Promise<string> {
    return this.#tmux("capture-pane", "-p", ...options);
  }

  async state(): Promise<{ alternate: boolean; cursor: boolean }> {
    const [alternate, cursor] = (await this.#tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}"))
      .trim()
      .split(" ");
    return { alternate: alternate === "1", cursor: cursor === "1" };
  }

  async until(condition: () => Promise<boolean>): Promise<void> {
    await poll(condition, (fulfilled) => fulfilled);
  }

  /** Returns what pongd top says once it has ended, and asserts that the terminal is as it was. */
  async ended(): Promise<string> {
    await this.until(async () => /status=\d+\n(.*\n)*READY\$/.test(await this.shown()));
    assert.deepEqual(await this.state(), { alternate: false, cursor: true });
    assert.equal(readFileSync(join(this.#dir, "after"), "utf8"), readFileSync(join(this.#dir, "before"), "utf8"));
    const shown = await this.shown();
    await this.type("clear");
    await this.until(async () => !(await this.shown()).includes("status="));
    return shown;
  }

  async close(): Promise<void> {
    await this.#tmux("kill-server");
    rmSync(this.#dir, { recursive: true });
  }

  #tmux(...args: string[]): Promise<string> {
    return this.#ns.ok("tmux", "-S", join(this.#dir, "socket"), "-f", "/dev/null", ...args);
  }
}

test("top: the screen comes, fits, and is as it was before, however it ends", needs("tmux"), async (t) => {
  const ns = await Netns.open();
  let pongd = await Pongd.start(ns, PREFIX);
  const shell = await Shell.open(ns);
  // tmux's server would outlive the test.
  t.after(async () => {
    await shell.close();
    await pongd.stop();
    await ns.close();
  });

  await t.test("q", async () => {
    await shell.top();
    await shell.press("q");
    assert.match(await shell.ended(), /status=0/);
  });

  await t.test("Ctrl-C", async () => {
    await shell.top();
    await shell.press("C-c");
    assert.match(await shell.ended(), /status=0/);
  });

  await t.test("SIGTERM", async () => {
    await shell.top();
    shell.signal("SIGTERM");
    assert.match(await shell.ended(), /status=0/);
  });

  await t.test("an exception that nobody foresaw: what it was is said where it stays", async () => {
    await shell.top("--import", "'data:text/javascript,process.on(\"SIGUSR2\",()=>{throw new Error(\"unforeseen\")})'");
    shell.signal("SIGUSR2");
    assert.match(await shell.ended(), /^pongd: unforeseen$[^]*status=1/m);
  });

  for (const [what, stop] of [
    ["Ctrl-Z", () => shell.press("C-z")], ["SIGTSTP", () => { shell.signal("SIGTSTP"); }],
  ] as const) {
    await t.test(`${what}, and fg`, async () => {
      await shell.top();
      await stop();
      await shell.until(async () => (await shell.shown()).includes("Stopped"));
      assert.deepEqual(await shell.state(), { alternate: false, cursor: true });
      await shell.type("fg");
      await shell.until(async () => (await shell.state()).alternate && (await shell.shown()).includes("REPLIED/S"));
      await shell.press("q");
      await shell.ended();
    });
  }

  await t.test("another size", async () => {
    await shell.top();
    for (const [columns, rows] of [[60, 12], [130, 50], [100, 30]] as const) {
      await shell.resize(columns, rows);
      // The first line is as wide as the screen.
      await shell.until(async () => (await shell.shown()).split("\n")[0].length === columns);
      assert.match(await shell.shown(), /^pongd \S+ .*q: quit\n/);
    }
    await shell.press("q");
    await shell.ended();
  });

  await t.test("NO_COLOR", async () => {
    for (const [variable, expected] of [["", true], ["1", false]] as const) {
      await shell.type(`export NO_COLOR=${variable}`);
      await shell.top();
      assert.equal((await shell.shown("-e")).includes("\x1b["), expected);
      await shell.press("q");
      await shell.ended();
    }
  });

  await t.test("a pongd that ends, and is there again", async () => {
    await shell.top();
    await pongd.stop();
    await shell.until(async () => (await shell.shown()).includes(
      "no new figures: http://127.0.0.1:7664/metrics: nothing listens there",
    ));
    pongd = await Pongd.start(ns, PREFIX);
    await shell.until(async () => !(await shell.shown()).includes("no new figures"));
    await shell.press("q");
    await shell.ended();
  });
});
