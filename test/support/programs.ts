/**
 * Finds the programs that tests run, and tells them from others of the same name and from versions that lack what the
 * tests use.
 */
import { spawnSync } from "node:child_process";

interface Program {
  /** The program that the command has to be. */
  readonly is: string;
  /** Arguments that make the program say which one it is, and what it says then. */
  readonly args: readonly string[];
  readonly says: RegExp;
}

const IPUTILS = (name: string): Program => ({ is: `${name} of iputils`, args: ["-V"], says: /iputils/ });
const UTIL_LINUX = (name: string): Program => ({
  is: `${name} of util-linux`, args: ["--version"], says: /util-linux/,
});
const SYSTEMD = (name: string): Program => ({
  is: `${name} of systemd 252 or newer`, args: ["--version"], says: /^systemd (?:25[2-9]|2[6-9]\d|[3-9]\d\d)\b/,
});

/** Programs by name. A name that is missing here belongs to one program only, and any version of it will do. */
const PROGRAMS: Readonly<Record<string, Program | undefined>> = {
  arping: { is: "arping by Thomas Habets", args: ["--help"], says: /Thomas Habets/ },
  chrt: UTIL_LINUX("chrt"),
  clockdiff: IPUTILS("clockdiff"),
  fish: { is: "fish 3.3 or newer", args: ["--no-config", "--version"], says: /version/ },
  fping: { is: "fping 4 or newer", args: ["-v"], says: /Version (?:[4-9]|\d\d)/ },
  "inetutils-ping": { is: "ping of GNU inetutils", args: ["--version"], says: /inetutils/ },
  man: { is: "man of man-db", args: ["--version"], says: /^man \d/ },
  openssl: { is: "OpenSSL 3 or newer", args: ["version"], says: /^OpenSSL (?:[3-9]|\d\d)/ },
  ping: IPUTILS("ping"),
  setpriv: UTIL_LINUX("setpriv"),
  "systemd-analyze": SYSTEMD("systemd-analyze"),
  "systemd-nspawn": SYSTEMD("systemd-nspawn"),
  taskset: UTIL_LINUX("taskset"),
  tracepath: IPUTILS("tracepath"),
  tcptraceroute: { is: "tcptraceroute by Michael Toren", args: ["-v"], says: /Michael C\. Toren/ },
  traceroute: { is: "traceroute by Dmitry Butskoy", args: ["--version"], says: /^Modern traceroute/ },
};

const known = new Map<string, string | undefined>();

/**
 * Says what is missing where `command` is needed: a program of that name, or the one that it has to be. Returns
 * undefined where nothing is.
 */
export function missing(command: string): string | undefined {
  if (!known.has(command)) known.set(command, look(command));
  return known.get(command);
}

function look(command: string): string | undefined {
  const { status, stdout } = spawnSync("sh", ["-c", "command -v \"$0\"", command], { encoding: "utf8" });
  if (status !== 0) return command;
  const program = PROGRAMS[command];
  if (program === undefined) return undefined;
  const said = spawnSync(command, program.args, { encoding: "utf8", input: "", timeout: 20_000 });
  return program.says.test(said.stdout + said.stderr) ? undefined : `${program.is} (${stdout.trim()} is another)`;
}
