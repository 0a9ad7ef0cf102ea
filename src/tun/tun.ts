/**
 * /dev/net/tun: open(2), and the ioctls that bind a descriptor to a device and set the device's properties. Node.js
 * opens and closes it: what a thread other than the main one has opened so is closed when that thread is terminated,
 * and with its last queue goes a device that a library has made.
 */
import { closeSync, openSync } from "node:fs";
import { Mode } from "../../abi/control.js";
import { EXIT, Failure } from "../base/failure.js";
import * as libc from "../sys/libc.js";
import * as uapi from "../sys/uapi.js";

export const TUN_PATH = "/dev/net/tun";

/** Errnos of open(2) that are about the file itself: why, and how to mend it. */
const TUN_PROBLEMS: Partial<Record<string, readonly [why: string, mend: string]>> = {
  ENOENT: ["it is missing", "on a host: sudo modprobe tun; for a container: --device /dev/net/tun --cap-add NET_ADMIN"],
  EACCES: ["its file mode does not let you", "run as root (sudo), or: sudo chmod 0666 /dev/net/tun"],
  EPERM: [
    "the container's device rules forbid it", "start the container with --device /dev/net/tun --cap-add NET_ADMIN",
  ],
  ENODEV: ["no TUN driver is loaded", "on the host: sudo modprobe tun"],
  ENXIO: ["no TUN driver is loaded", "on the host: sudo modprobe tun"],
};

/**
 * Opens /dev/net/tun and closes it again.
 * @throws Failure: one line for each way in which it can be out of reach, and how to mend it.
 */
export function checkTunPath(): void {
  closeQueue(openTun());
}

/**
 * Opens a queue, non-blocking, of the device with that name, which is made if it does not exist. `flags` are IFF_* in
 * addition to the mode's.
 * @throws Failure where /dev/net/tun is out of reach; SystemError with what TUNSETIFF says.
 */
export function openQueue(name: string, mode: Mode, flags: number): number {
  const fd = openTun();
  const ifreq = Buffer.alloc(uapi.SIZEOF_IFREQ);
  ifreq.write(name, "latin1");
  ifreq.writeUInt16LE(kindOf(mode) | flags, uapi.IFNAMSIZ);
  if (libc.ioctl(fd, uapi.TUNSETIFF, ifreq) === 0) return fd;
  const error = new libc.SystemError("TUNSETIFF", name, libc.errno());
  closeQueue(fd);
  if (error.errno === libc.E.ENOTTY) {
    throw new Failure(
      `${TUN_PATH} is not the TUN driver's`,
      EXIT.PERMISSION,
      { mend: `sudo rm ${TUN_PATH} && sudo mknod ${TUN_PATH} c 10 200`, cause: error },
    );
  }
  throw error;
}

/** Closes a queue that openQueue() has opened, or that another process image has. */
export function closeQueue(fd: number): void {
  closeSync(fd);
}

/** Purpose of opening a queue, and the messages if that fails. `mend` is for errors without a message of their own. */
export interface Purpose {
  /** Completes "cannot", as "make device pong0" does. */
  readonly what: string;
  /** Error for EBUSY. */
  readonly busy: Failure;
  /** Message for EPERM; without `what`, in the kernel's words. */
  readonly denied: { readonly what?: string; readonly mend: string };
  readonly mend?: (errno: number) => string | undefined;
}

/** Opens a queue as openQueue() does. @throws Failure, in the words of `purpose`. */
export function openQueueTo(purpose: Purpose, name: string, mode: Mode, flags: number): number {
  try {
    return openQueue(name, mode, flags);
  } catch (error) {
    if (!(error instanceof libc.SystemError)) throw error;
    const { busy, denied, mend, what } = purpose;
    if (error.errno === libc.E.EBUSY) throw busy;
    const failed = `cannot ${what}: ${error.message}`;
    if (error.errno === libc.E.EPERM) {
      throw new Failure(denied.what ?? failed, EXIT.PERMISSION, { mend: denied.mend, cause: error });
    }
    throw new Failure(failed, EXIT.RUNTIME, { mend: mend?.(error.errno), cause: error });
  }
}

/** Returns whether the descriptor is a queue of that device, without packet information (pi) before each packet. */
export function isQueue(fd: number, name: string, mode: Mode): boolean {
  const { name: own, flags } = queueOf(fd) ?? {};
  const mask = uapi.IFF_TUN | uapi.IFF_TAP | uapi.IFF_NO_PI;
  return own === name && flags !== undefined && (flags & mask) === (kindOf(mode) | uapi.IFF_NO_PI);
}

/** Returns whether struct virtio_net_hdr lies before each packet of the queue. */
export function hasVnetHeader(fd: number): boolean {
  return ((queueOf(fd)?.flags ?? 0) & uapi.IFF_VNET_HDR) !== 0;
}

/** Returns what TUNGETIFF says: the name of the device that has this queue, and its flags; undefined if none has it. */
function queueOf(fd: number): { readonly name: string; readonly flags: number } | undefined {
  const ifreq = Buffer.alloc(uapi.SIZEOF_IFREQ);
  if (libc.ioctl(fd, uapi.TUNGETIFF, ifreq) < 0) return undefined;
  const name = ifreq.toString("latin1", 0, uapi.IFNAMSIZ).replace(/\0.*$/s, "");
  return { name, flags: ifreq.readUInt16LE(uapi.IFNAMSIZ) };
}

/** Sets the owner of the device that has this queue. @throws SystemError */
export function setOwner(fd: number, user: number): void {
  libc.check(libc.ioctl(fd, uapi.TUNSETOWNER, BigInt(user)), "TUNSETOWNER", String(user));
}

/** Sets the device's group: whoever opens a queue has to be in it. @throws SystemError */
export function setGroup(fd: number, group: number): void {
  libc.check(libc.ioctl(fd, uapi.TUNSETGROUP, BigInt(group)), "TUNSETGROUP", String(group));
}

/** Sets whether the device outlives its last queue. @throws SystemError */
export function setPersist(fd: number, persist: boolean): void {
  libc.check(libc.ioctl(fd, uapi.TUNSETPERSIST, persist ? 1n : 0n), "TUNSETPERSIST", String(persist));
}

/** Returns IFF_TUN or IFF_TAP. */
export function kindOf(mode: Mode): number {
  return mode === Mode.tap ? uapi.IFF_TAP : uapi.IFF_TUN;
}

function openTun(): number {
  try {
    return openSync(TUN_PATH, uapi.O_RDWR | uapi.O_NONBLOCK | uapi.O_CLOEXEC);
  } catch (thrown) {
    throw unopened(new libc.SystemError("open", TUN_PATH, -((thrown as NodeJS.ErrnoException).errno ?? 0)));
  }
}

function unopened(error: libc.SystemError): Failure {
  const problem = TUN_PROBLEMS[error.code];
  if (!problem) return new Failure(`cannot ${error.message}`, EXIT.RUNTIME, { cause: error });
  const [why, mend] = problem;
  return new Failure(`cannot open ${TUN_PATH}: ${error.code}, ${why}`, EXIT.PERMISSION, { mend, cause: error });
}
