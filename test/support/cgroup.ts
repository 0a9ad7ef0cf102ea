/** Limits memory as systemd's MemoryMax= does: by a control group, of either version. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Names in /proc/PID/cgroup, and files of a group: its limit, and how often the kernel's OOM killer came. */
const VERSION_1 = { controllers: "memory", limit: "memory.limit_in_bytes", kills: "memory.oom_control" };
const VERSION_2 = { controllers: "", limit: "memory.max", kills: "memory.events" };

/** A folder in which groups are made. */
interface Hierarchy {
  readonly root: string;
  readonly limit: string;
  readonly kills: string;
}

export class MemoryGroup {
  readonly #path: string;
  readonly #hierarchy: Hierarchy;

  private constructor(path: string, hierarchy: Hierarchy) {
    this.#path = path;
    this.#hierarchy = hierarchy;
  }

  /** Returns a group with that limit, or undefined where this machine lets nobody make one. */
  static create(bytes: number): MemoryGroup | undefined {
    for (const hierarchy of hierarchies()) {
      const path = join(hierarchy.root, `pongd-test-${process.pid}-${made++}`);
      try {
        mkdirSync(path);
      } catch {
        continue;
      }
      const group = new MemoryGroup(path, hierarchy);
      try {
        writeFileSync(join(path, hierarchy.limit), String(bytes));
        return group;
      } catch {
        group.remove();
      }
    }
    return undefined;
  }

  /** Returns the beginning of a command line that runs the rest in the group, in the same process. */
  get wrapper(): string[] {
    return ["sh", "-c", `echo $$ > ${join(this.#path, "cgroup.procs")} && exec "$@"`, "sh"];
  }

  /** How often the kernel has killed a process for the limit. */
  get kills(): number {
    const text = readFileSync(join(this.#path, this.#hierarchy.kills), "utf8");
    return Number(/^oom_kill (\d+)/m.exec(text)?.[1] ?? 0);
  }

  /** Removes the group, whose processes have ended. */
  remove(): void {
    rmdirSync(this.#path);
  }
}

let made = 0;

/** Returns where this process's groups are: version 2 if it has the memory controller, or version 1. */
function hierarchies(): Hierarchy[] {
  const groups = readFileSync("/proc/self/cgroup", "utf8").split("\n").map((line) => line.split(":"));
  const mounts = readFileSync("/proc/mounts", "utf8").split("\n").map((line) => line.split(" "));
  return mounts.flatMap(([, root, type, options = ""]) => {
    const files = type === "cgroup2" ? VERSION_2 : VERSION_1;
    if (type !== "cgroup2" && !(type === "cgroup" && options.split(",").includes("memory"))) return [];
    const own = groups.find(([, controllers]) => controllers === files.controllers)?.slice(2).join(":");
    if (own === undefined) return [];
    // A container's own group may be its root, whatever it is called outside. Version 2 gives no group with processes a
    // controller for its children, but the root.
    return [join(root, own), root].map((root) => ({ ...files, root }));
  });
}
