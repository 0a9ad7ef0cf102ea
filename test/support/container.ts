/**
 * Runs podman where no image can be fetched: the base image of
 * deploy/Containerfile is made from this machine's Node.js.
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setImmediate } from "node:timers/promises";

const BASE = "docker.io/library/node:22-bookworm-slim";

/** Returns the environment of a podman that keeps its storage, with BASE in it, in `folder`. */
export function podman(folder: string): NodeJS.ProcessEnv {
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const env = {
    ...process.env,
    // runc works with either version of cgroups, and with both at
    // once. Limits above one's own would need CAP_SYS_RESOURCE.
    CONTAINERS_CONF: file("containers.conf", `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
`),
    CONTAINERS_STORAGE_CONF: file("storage.conf", `[storage]
driver = "overlay"
runroot = "${folder}/run"
graphroot = "${folder}/storage"
`),
  };
  const node = realpathSync(process.execPath);
  const root = join(folder, "base");
  const copy = (from: string, to: string) => { cpSync(from, join(root, to), { recursive: true, dereference: true }); };
  for (const library of new Set(
    execFileSync("ldd", [node, "/bin/sh"], { encoding: "utf8" }).match(/\/\S+(?= \(0x)/g),
  )) copy(library, library);
  copy("/bin/sh", "bin/sh");
  copy(node, "usr/bin/node");
  // Not every Node.js comes with npm, so the npm on PATH is taken.
  const npm = realpathSync(execFileSync("sh", ["-c", "command -v npm"], { encoding: "utf8" }).trim());
  copy(join(dirname(npm), ".."), "usr/lib/node_modules/npm");
  copy("/usr/bin/env", "usr/bin/env");
  symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(root, "usr/bin/npm"));
  mkdirSync(join(root, "tmp"));
  const archive = join(folder, "base.tar");
  execFileSync("tar", ["-C", root, "-cf", archive, "."]);
  execFileSync("podman", ["import", "--quiet", archive, BASE], { env, stdio: "ignore" });
  rmSync(root, { recursive: true });
  rmSync(archive);
  return env;
}

/**
 * Removes `folder` with the storage in it, once nothing uses it: a container's monitor, and the processes that it
 * starts to clean up, outlive their podman.
 */
export async function removeStorage(folder: string): Promise<void> {
  const storage = join(folder, "storage");
  while (readdirSync("/proc").some((pid) => commandLine(pid).includes(storage))) await setImmediate();
  // A podman mounts it on itself while it runs, and leaves it mounted where it was killed.
  spawnSync("umount", ["--quiet", "--lazy", join(storage, "overlay")]);
  rmSync(folder, { recursive: true });
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // There is no such process, or it has ended meanwhile.
    return "";
  }
}
