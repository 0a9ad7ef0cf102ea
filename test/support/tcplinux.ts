/**
 * Plays scripts to Linux itself, in a network namespace of its own:
 *
 *   this script ── tun0 ── kernel, with  ip route add local 10.99.0.0/16 dev lo  ── support/tcpserver.ts
 *
 *   node build/test/support/tcplinux.js [PART OF A NAME]       (as root, or after: unshare -r)
 *
 * Each line of standard output is how a script went: {"name", "family", "fault"}, where the fault is null if Linux did
 * all that it says. Times of the kernel's are not compared, only what comes and in which order.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import * as libc from "../../src/sys/libc.js";
import { CLONE_NEWNET, POLLIN } from "../../src/sys/uapi.js";
import { TunDevice } from "../../src/tun/device.js";
import { SCRIPTS } from "../vectors/tcp/scripts.js";
import { source } from "./assembly.js";
import { HOST6, PREFIX6, TARGET6 } from "./ipv6.js";
import { HOST, PREFIX } from "./packets.js";
import { isTcp } from "./tcp.js";
import type { Family, Output } from "./tcphost.js";
import { play, SCRIPT_PORTS, type Stage } from "./tcpscript.js";

const MTU = 1500;
/** The longest that the server may take to answer. */
const PATIENCE_US = 2e6;
const FIRST_PORT = 20_000;
const EINVAL = 22;

const SYSCTLS: Record<string, string> = {
  "net.ipv4.conf.all.rp_filter": "0",
  "net.ipv4.conf.tun0.rp_filter": "0",
  "net.ipv4.conf.all.forwarding": "0",
  "net.ipv6.auto_flowlabels": "0",
  "net.ipv6.conf.tun0.addr_gen_mode": "1",
  // Nothing is remembered of a path from one script to the next.
  "net.ipv4.tcp_no_metrics_save": "1",
};

libc.check(libc.unshare(CLONE_NEWNET), "unshare", "CLONE_NEWNET");
const device = new TunDevice({ name: "tun0", mtu: MTU, queues: 1 });
for (const [name, value] of Object.entries(SYSCTLS)) writeFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, value);
execFileSync("ip", ["-batch", "-"], { input: `
  link set lo up
  link set tun0 mtu ${MTU} txqueuelen 4096 up
  route add local ${PREFIX} dev lo
  route add ${HOST} dev tun0 table local
  route add 0.0.0.0/0 dev tun0
  route add local ${PREFIX6} dev lo
  addr add ${TARGET6}/128 dev lo nodad
  route add ${HOST6} dev tun0 table local
  route add ::/0 dev tun0
` });

const server = spawn(process.execPath, [source("build/test/support/tcpserver.js")], {
  stdio: ["pipe", "pipe", "inherit"],
});
await once(server.stdout, "data");

const [fd] = device.queues;
const bytes = new Uint8Array(65536);
const address = libc.addressOf(bytes.buffer);
const pollfd = new Uint8Array(Int32Array.of(fd, POLLIN).buffer);

/** The kernel, as far as it speaks to ports of one script. */
class Kernel implements Stage {
  readonly outputs: Output[] = [];
  readonly #firstPort: number;

  constructor(firstPort: number) {
    this.#firstPort = firstPort;
  }

  get us(): number {
    return performance.now() * 1000;
  }

  inject(...packets: readonly Uint8Array[]): void {
    for (const packet of packets) {
      bytes.set(packet);
      if (libc.write(fd, address, packet.length) < 0 && libc.errno() !== EINVAL) libc.check(-1, "write", "tun0");
    }
    this.#drain();
  }

  advanceTo(us: number): void {
    while (this.us < us) this.#wait(us);
  }

  advanceToOutput(us: number): void {
    while (this.outputs.length === 0 && this.us < us) this.#wait(us);
  }

  #wait(us: number): void {
    libc.poll(pollfd, 1, Math.max(0, Math.ceil((us - this.us) / 1000)));
    this.#drain();
  }

  #drain(): void {
    for (;;) {
      const length = libc.read(fd, address, bytes.length);
      if (length < 0) {
        if (libc.errno() !== libc.E.EAGAIN) libc.check(-1, "read", "tun0");
        return;
      }
      const packet = bytes.slice(0, length);
      if (this.#isOurs(packet)) this.outputs.push({ us: this.us, packet });
    }
  }

  #isOurs(packet: Uint8Array): boolean {
    if (!isTcp(packet)) return false;
    const at = packet[0] >> 4 === 4 ? (packet[0] & 15) * 4 : 40;
    const port = packet[at + 2] * 256 + packet[at + 3] - this.#firstPort;
    return port >= 0 && port < SCRIPT_PORTS;
  }
}

const part = process.argv.at(2) ?? "";
let firstPort = FIRST_PORT;
for (const script of SCRIPTS) {
  if (script.pongdOnly === true || !script.name.includes(part)) continue;
  for (const family of [4, 6] as const satisfies readonly Family[]) {
    if ((script.only ?? family) !== family) continue;
    firstPort += SCRIPT_PORTS;
    let fault: string | null = null;
    try {
      play(script, family, new Kernel(firstPort), { patienceUs: PATIENCE_US, firstPort });
    } catch (error) {
      fault = (error as Error).message;
    }
    console.log(JSON.stringify({ name: script.name, family, fault }));
  }
}
server.stdin.end();
device.close();
