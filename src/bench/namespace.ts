/** Gives a process of a benchmark a network namespace of its own. */
import { EXIT, Failure } from "../base/failure.js";
import * as libc from "../sys/libc.js";
import { CLONE_NEWNET } from "../sys/uapi.js";
import { Netlink } from "../tun/netlink.js";

/**
 * Moves this thread, and those that it starts from now on, to a new namespace, whose loopback interface is up. `bench`
 * is the benchmark's name.
 * @throws Failure (permission)
 */
export function enterNamespace(bench: string): void {
  if (libc.unshare(CLONE_NEWNET) < 0) {
    throw new Failure(`bench ${bench} makes a network namespace and a device of its own, and may not: `
      + new libc.SystemError("unshare", "CLONE_NEWNET", libc.errno()).code, EXIT.PERMISSION, {
      mend: `run it as root (sudo), or in a user namespace of your own: unshare -r pongd bench ${bench}`,
    });
  }
  const netlink = new Netlink();
  const loopback = netlink.link("lo");
  netlink.setLinkUp(loopback.index, loopback.mtu, 1000);
  netlink.close();
}
