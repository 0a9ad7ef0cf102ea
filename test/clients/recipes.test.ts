/**
 * Follows docs/recipes.md, its pages for links and paths, and docs/http.md as they are written: their files, their
 * commands, and what these print. Each recipe has a folder and namespaces of its own.
 */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { source } from "../support/assembly.js";
import { podman, removeStorage } from "../support/container.js";
import { CLI, needs, Netns } from "../support/netns.js";
import { withTun } from "../support/user.js";
import { missing, recipes, type Step, type Word } from "../support/recipes.js";

/** Matches what a program says once it does its work. */
const UP = /pongd answers |[Ll]istening on|Serving HTTP on|ready to receive web requests|start worker processes/;

const PAGES = ["docs/recipes.md", "docs/recipes-links.md", "docs/recipes-paths.md", "docs/http.md"];

const COMMANDS = [
  "fping", "ping", "curl", "smokeping", "prometheus", "promtool", "prometheus-blackbox-exporter",
  "prometheus-smokeping-prober", "podman", "runc", "setpriv", "python3", "openssl", "nginx", "socat",
  "zmap", "masscan", "nmap", "hping3", "irtt", "flent", "chromium",
  "mtr", "traceroute", "tracepath", "scamper", "dot",
];

for (const page of PAGES) describe(page, () => {
  const all = recipes(page).filter(({ steps }) => steps.length > 0);
  for (const { title, steps } of all) test(title, needs(...commandsOf(steps)), async (context) => {
    if (process.getuid?.() !== 0) {
      context.skip("needs root, as the recipe does");
      return;
    }
    const folder = mkdtempSync(join(tmpdir(), "pongd-recipe-"));
    const has = (word: Word) => steps.some((step) => step.kind === "run" && step.words.includes(word));
    const namespaces = has("router") ? await routed() : { here: await Netns.open() };
    const background: ChildProcess[] = [];
    try {
      // A user without privileges has to read the folder, too.
      chmodSync(folder, 0o755);
      writeFileSync(join(folder, "pongd"), `#!/bin/sh\nexec "${process.execPath}" "${CLI}" "$@"\n`, { mode: 0o755 });
      const env = { ...has("project") ? podman(folder) : process.env, PATH: `${folder}:${process.env.PATH ?? ""}` };
      const run = ({ script, words }: Step & { kind: "run" }) => {
        const name = words.find((word) => word === "host" || word === "router") ?? "here";
        const ns = (namespaces as Record<string, Netns>)[name];
        const [command, ...args] = ns.command(
          ...has("project") ? [] : withTun(),
          "bash",
          "-euo",
          "pipefail",
          "-c",
          words.includes("background") ? script.trimEnd().replace(/.*$/, "exec $&") : script,
        );
        return spawn(command, args, { cwd: words.includes("project") ? source("") : folder, env });
      };
      let output = "";
      for (const step of steps) {
        if (step.kind === "file") {
          writeFileSync(join(folder, step.name), step.text);
        } else if (step.kind === "part") {
          continue;
        } else if (step.kind === "output") {
          assert.equal(missing(step.lines, output), undefined, `in:\n${output}`);
        } else {
          const child = run(step);
          let said = "";
          const listen = (chunk: Buffer) => { said += String(chunk); };
          child.stdout.on("data", listen);
          child.stderr.on("data", listen);
          if (step.words.includes("background")) {
            background.push(child);
            await new Promise<void>((resolve, reject) => {
              const look = () => { if (UP.test(said)) resolve(); };
              child.stdout.on("data", look);
              child.stderr.on("data", look);
              child.once("close", () => { reject(new Error(`${step.script}ended: ${said}`)); });
            });
          } else {
            const [status] = await once(child, "close") as [number];
            assert.equal(status, 0, `${step.script}${said}`);
            output = said;
          }
        }
      }
    } finally {
      for (const child of background.reverse()) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill();
        await once(child, "close");
      }
      for (const ns of Object.values(namespaces)) await ns.close();
      if (has("project")) await removeStorage(folder);
      else rmSync(folder, { recursive: true });
    }
  });

  test("there are some of each kind", () => {
    assert.ok(all.length >= 4);
    for (const { title, steps } of all) {
      assert.ok(steps.some(({ kind }) => kind === "run") && steps.some(({ kind }) => kind === "output"), title);
    }
  });
});

/** Returns the commands that have to be installed for these steps. */
function commandsOf(steps: readonly Step[]): string[] {
  const scripts = steps.map((step) => step.kind === "run" ? step.script : "").join("\n");
  return COMMANDS.filter((command) => new RegExp(`(?<![\\w./-])${command}(?![\\w./-])`).test(scripts)
    || (command === "runc" && scripts.includes("podman")));
}

/** Makes a host and a router on one link. */
async function routed(): Promise<Record<"host" | "router", Netns>> {
  const [host, router] = [await Netns.open(), await Netns.open()];
  await host.ok("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", String(router.pid));
  for (const [ns, last, other] of [[host, 2, 1], [router, 1, 2]] as const) {
    await ns.ok("ip", "address", "add", `192.0.2.${last}/24`, "dev", "eth0");
    await ns.ok("ip", "address", "add", `2001:db8::${last}/64`, "dev", "eth0", "nodad");
    await ns.ok("ip", "link", "set", "eth0", "up");
    if (last === 2) await ns.ok("ip", "route", "add", "default", "via", `192.0.2.${other}`);
    if (last === 2) await ns.ok("ip", "-6", "route", "add", "default", "via", `2001:db8::${other}`);
  }
  return { host, router };
}
