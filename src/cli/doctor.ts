import { readFileSync } from "node:fs";
import { release } from "node:os";
import { Command, Option } from "commander";
import { NEEDED_NODE } from "../base/node-version.js";
import { printable } from "../base/printable.js";
import { word } from "../base/shell.js";
import { DEFAULTS } from "../config/keys.js";
import { EXIT, Failure, IPV6_MEND, messageOf, NET_ADMIN_MEND } from "../base/failure.js";
import { capabilitySet } from "../sys/proc.js";
import { CAP_NET_ADMIN } from "../sys/uapi.js";
import type { Finding } from "./diagnosis.js";
import { notes } from "./notes.js";
import { givenOf, prefixArgument, readHere } from "./settings.js";

/** Linux version from which io_uring's rings may lie in the application's own memory (IORING_SETUP_NO_SQARRAY). */
const IO_URING_NEEDED = [6, 6];

const LABELS: Readonly<Record<Finding["state"], string>> = {
  ok: "ok     ", note: "note   ", missing: "missing", wrong: "wrong  ",
};

export function doctorCommand(): Command {
  return new Command("doctor")
    .description(
      "Say what pongd needs and lacks here, and the command that mends it; with prefixes, how packets get to them.",
    )
    .addArgument(prefixArgument())
    .addOption(new Option("--config <file>", "a configuration file to take the prefixes from").env("PONGD_CONFIG"))
    .addOption(new Option("--device <name>", "the device that they are for")
      .default(DEFAULTS["device.name"])
      .env("PONGD_DEVICE"))
    .addHelpText("after", notes(`
With prefixes it looks at routes, forwarding and the firewall's policy. Where pongd runs, it pings an address of each
family from this machine, and says where the way ends. A note is about what pongd runs without.
Exit status: 0 when pongd can run here, 4 when something is missing or wrong.

Examples:
  pongd doctor
  pongd doctor 10.99.0.0/16
  pongd doctor --config /etc/pongd.yaml`))
    .action(async (texts: string[], flags: { config?: string }, command: Command) => {
      const asked = flags.config !== undefined || givenOf(texts, command, undefined).values.prefixes !== undefined;
      const options = asked ? (await readHere(texts, command, "pongd doctor 10.99.0.0/16")).options : undefined;
      const findings = [node(), await koffi(), await tun(), await capability(), ipv6(), ioUring()];
      if (options) findings.push(...await (await import("./diagnosis.js")).diagnose(options));
      for (const { state, what, mend } of findings) {
        process.stdout.write(`${LABELS[state]}  ${printable(what)}\n`);
        if (mend) process.stdout.write(`         mend: ${printable(mend)}\n`);
      }
      if (findings.some(({ state }) => state === "missing" || state === "wrong")) process.exitCode = EXIT.PERMISSION;
    });
}

function node(): Finding {
  // An older Node.js has been refused before any command.
  return { state: "ok", what: `Node.js ${process.versions.node} (needs ${NEEDED_NODE} or newer)` };
}

/** Tries koffi, whose binary comes as an optional dependency, one package per platform. */
async function koffi(): Promise<Finding> {
  try {
    await import("../sys/libc.js");
    return { state: "ok", what: "koffi loads its binary" };
  } catch (error) {
    return {
      state: "missing",
      what: `koffi cannot load its binary for ${process.platform}-${process.arch}: ${messageOf(error).split("\n")[0]}`,
      mend: "npm ci --include=optional",
    };
  }
}

async function tun(): Promise<Finding> {
  try {
    const [{ checkTunPath, TUN_PATH }, { TunDevice }] = await Promise.all(
      [import("../tun/tun.js"), import("../tun/device.js")],
    );
    checkTunPath();
    if (!hasCapability(CAP_NET_ADMIN)) return { state: "ok", what: `${TUN_PATH} opens` };
    const device = new TunDevice({ name: `pongd${process.pid}`, mtu: 1500, queues: 1, vnetHeader: "wanted" });
    const { enableOffload } = await import("../tun/offload.js");
    const offload = device.vnetHeader && enableOffload(device.queues[0]) !== 0;
    device.close();
    const what = offload ? "with offload (--offload on)" : "without offload, which this kernel has not";
    return { state: "ok", what: `${TUN_PATH} opens, and a device can be made, ${what}` };
  } catch (error) {
    if (error instanceof Failure) return { state: "missing", what: error.what, mend: error.mend };
    return { state: "missing", what: "/dev/net/tun cannot be tried without koffi", mend: "what mends koffi" };
  }
}

function hasCapability(capability: number): boolean {
  const effective = capabilitySet(read("/proc/self/status") ?? "", "CapEff") ?? 0n;
  return (effective >> BigInt(capability) & 1n) === 1n;
}

async function capability(): Promise<Finding> {
  if (hasCapability(CAP_NET_ADMIN)) return { state: "ok", what: "CAP_NET_ADMIN is in effect" };
  const own = await premade();
  if (own !== undefined) return {
    state: "ok",
    what: `CAP_NET_ADMIN is not in effect, and device ${own} is there to run without: --device ${word(own)}`,
  };
  return { state: "missing", what: "CAP_NET_ADMIN is not in effect", mend: `${NET_ADMIN_MEND}; or run on a device of `
    + `your own: sudo pongd device create pong0 PREFIX --user ${process.geteuid?.() ?? "USER"}` };
}

/**
 * Finds a persistent device that this user may take a queue of. The user must be its owner, if it has one, and in its
 * group, if it has one (tun_not_capable() in Linux).
 */
async function premade(): Promise<string | undefined> {
  try {
    const { Netlink } = await import("../tun/netlink.js");
    const netlink = new Netlink();
    const links = netlink.links();
    netlink.close();
    const groups = [process.getegid?.(), ...process.getgroups?.() ?? []];
    return links.find(({ tun }) => tun?.persist
      && (tun.owner === undefined || tun.owner === process.geteuid?.())
      && (tun.group === undefined || groups.includes(tun.group)))?.name;
  } catch {
    // koffi is missing, which has a line of its own already.
    return undefined;
  }
}

function ipv6(): Finding {
  const disabled = read("/proc/sys/net/ipv6/conf/default/disable_ipv6")?.trim();
  if (disabled === undefined) return {
    state: "note", what: "IPv6: this kernel has none, so IPv6 prefixes cannot be routed",
    mend: "start it without ipv6.disable=1",
  };
  if (disabled !== "0") return {
    state: "note", what: `IPv6: net.ipv6.conf.default.disable_ipv6 is ${disabled}, so IPv6 prefixes cannot be routed`,
    mend: IPV6_MEND,
  };
  return { state: "ok", what: "IPv6: not disabled" };
}

function ioUring(): Finding {
  const kernel = release();
  const disabled = read("/proc/sys/kernel/io_uring_disabled")?.trim();
  if (!atLeast(kernel, IO_URING_NEEDED)) {
    return {
      state: "note", what: `io_uring: Linux ${kernel} is older than ${IO_URING_NEEDED.join(".")}`,
      mend: "run a newer kernel",
    };
  }
  if (disabled === "1" || disabled === "2") {
    return {
      state: "note", what: `io_uring: kernel.io_uring_disabled is ${disabled}`,
      mend: "sudo sysctl -w kernel.io_uring_disabled=0",
    };
  }
  return { state: "ok", what: `io_uring: Linux ${kernel}, not disabled` };
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
