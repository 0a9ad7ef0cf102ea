import { readFileSync } from "node:fs";
import { release } from "node:os";
import { Command } from "commander";
import { EXIT, Failure, IPV6_MEND, messageOf, NET_ADMIN_MEND } from "../failure.js";
import { capabilitySet } from "../proc.js";
import { CAP_NET_ADMIN } from "../tun/uapi.js";
import { notes } from "./notes.js";

const NODE_NEEDED = [20, 19];
/** io_uring's rings in the application's own memory: IORING_SETUP_NO_SQARRAY. */
const IO_URING_NEEDED = [6, 6];

/** One line: what is there, or what is missing and the command that mends it. `optional`: pongd runs without it. */
interface Finding {
  readonly ok: boolean;
  readonly optional?: boolean;
  readonly what: string;
  readonly mend?: string;
}

export function doctorCommand(): Command {
  return new Command("doctor")
    .description("Say what pongd needs and lacks here, and the command that mends it.")
    .addHelpText("after", notes("Exit status: 0 when pongd can run here, 4 when something is missing."))
    .action(async () => {
      const findings = [node(), await koffi(), await tun(), await capability(), ipv6(), ioUring()];
      for (const { ok, optional, what, mend } of findings) {
        process.stdout.write(`${ok ? "ok     " : optional ? "note   " : "missing"}  ${what}\n`);
        if (mend) process.stdout.write(`         mend: ${mend}\n`);
      }
      if (findings.some(({ ok, optional }) => !ok && !optional)) process.exitCode = EXIT.PERMISSION;
    });
}

function node(): Finding {
  return {
    ok: atLeast(process.versions.node, NODE_NEEDED),
    what: `Node.js ${process.versions.node} (needs ${NODE_NEEDED.join(".")} or newer)`,
    mend: atLeast(process.versions.node, NODE_NEEDED) ? undefined : "install a current Node.js from nodejs.org or your distribution",
  };
}

/** Its binary comes as an optional dependency, one package a platform. */
async function koffi(): Promise<Finding> {
  try {
    await import("../tun/libc.js");
    return { ok: true, what: "koffi loads its binary" };
  } catch (error) {
    return {
      ok: false,
      what: `koffi cannot load its binary for ${process.platform}-${process.arch}: ${messageOf(error).split("\n")[0]}`,
      mend: "npm ci --include=optional",
    };
  }
}

async function tun(): Promise<Finding> {
  try {
    const [{ checkTunPath, TUN_PATH }, { TunDevice }] = await Promise.all([import("../tun/tun.js"), import("../tun/device.js")]);
    checkTunPath();
    if (!hasCapability(CAP_NET_ADMIN)) return { ok: true, what: `${TUN_PATH} opens` };
    new TunDevice({ name: `pongd${process.pid}`, mtu: 1500, queues: 1 }).close();
    return { ok: true, what: `${TUN_PATH} opens, and a device can be made` };
  } catch (error) {
    if (error instanceof Failure) return { ok: false, what: error.what, mend: error.mend };
    return { ok: false, what: "/dev/net/tun cannot be tried without koffi", mend: "what mends koffi" };
  }
}

function hasCapability(capability: number): boolean {
  const effective = capabilitySet(read("/proc/self/status") ?? "", "CapEff") ?? 0n;
  return (effective >> BigInt(capability) & 1n) === 1n;
}

async function capability(): Promise<Finding> {
  if (hasCapability(CAP_NET_ADMIN)) return { ok: true, what: "CAP_NET_ADMIN is in effect" };
  const own = await premade();
  if (own !== undefined) return { ok: true, what: `CAP_NET_ADMIN is not in effect, and device ${own} is there to run without: --device ${own}` };
  return { ok: false, what: "CAP_NET_ADMIN is not in effect", mend: `${NET_ADMIN_MEND}; or run on a device of your own: sudo pongd device create pong0 PREFIX --user ${process.geteuid?.() ?? "USER"}` };
}

/** A persistent device that is this user's. */
async function premade(): Promise<string | undefined> {
  try {
    const { Netlink } = await import("../tun/netlink.js");
    const netlink = new Netlink();
    const links = netlink.links();
    netlink.close();
    return links.find(({ tun }) => tun?.persist && tun.owner === process.geteuid?.())?.name;
  } catch {
    // Without koffi; of that there is a line already.
    return undefined;
  }
}

function ipv6(): Finding {
  const disabled = read("/proc/sys/net/ipv6/conf/default/disable_ipv6")?.trim();
  if (disabled === undefined) return { ok: false, optional: true, what: "IPv6: this kernel has none, so IPv6 prefixes cannot be routed", mend: "start it without ipv6.disable=1" };
  if (disabled !== "0") return { ok: false, optional: true, what: `IPv6: net.ipv6.conf.default.disable_ipv6 is ${disabled}, so IPv6 prefixes cannot be routed`, mend: IPV6_MEND };
  return { ok: true, what: "IPv6: not disabled" };
}

function ioUring(): Finding {
  const kernel = release();
  const disabled = read("/proc/sys/kernel/io_uring_disabled")?.trim();
  if (!atLeast(kernel, IO_URING_NEEDED)) {
    return { ok: false, optional: true, what: `io_uring: Linux ${kernel} is older than ${IO_URING_NEEDED.join(".")}`, mend: "run a newer kernel" };
  }
  if (disabled === "1" || disabled === "2") {
    return { ok: false, optional: true, what: `io_uring: kernel.io_uring_disabled is ${disabled}`, mend: "sudo sysctl -w kernel.io_uring_disabled=0" };
  }
  return { ok: true, what: `io_uring: Linux ${kernel}, not disabled` };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function atLeast(version: string, needed: readonly number[]): boolean {
  const parts = version.split(/[.-]/).map(Number);
  return parts[0] !== needed[0] ? parts[0] > needed[0] : parts[1] >= needed[1];
}
