/** AF_NETLINK sockets of rtnetlink(7): to open one, to send requests, and to receive answers. */
import * as libc from "../sys/libc.js";
import * as uapi from "../sys/uapi.js";

/** Room for a datagram. The kernel sends none of more than 32 KiB. */
export const DATAGRAM = 65536;

/**
 * Opens a socket: for notifications of these groups, non-blocking, or else for requests. The answer to a request can be
 * received at once, since the kernel makes it within send(2), and a dump's within each recv(2).
 * @throws SystemError from socket(2), bind(2) or setsockopt(2).
 */
export function openNetlink({ groups }: { readonly groups?: number } = {}): number {
  const nonblock = groups === undefined ? 0 : uapi.SOCK_NONBLOCK;
  const fd = libc.check(
    libc.socket(uapi.AF_NETLINK, uapi.SOCK_RAW | uapi.SOCK_CLOEXEC | nonblock, uapi.NETLINK_ROUTE),
    "socket",
    "AF_NETLINK",
  );
  // struct sockaddr_nl: u16 family, u16 padding, u32 pid (0: the kernel chooses), u32 groups
  const sockaddr = Buffer.alloc(12);
  sockaddr.writeUInt16LE(uapi.AF_NETLINK, 0);
  sockaddr.writeUInt32LE(groups ?? 0, 8);
  libc.check(libc.bind(fd, sockaddr, sockaddr.length), "bind", "AF_NETLINK");
  if (groups !== undefined) return fd;
  const one = new Uint8Array(Int32Array.of(1).buffer);
  libc.check(
    libc.setsockopt(fd, uapi.SOL_NETLINK, uapi.NETLINK_EXT_ACK, one, one.length), "setsockopt", "NETLINK_EXT_ACK",
  );
  // Linux before 4.20 does not have it. A dump then has more than was asked for.
  libc.setsockopt(fd, uapi.SOL_NETLINK, uapi.NETLINK_GET_STRICT_CHK, one, one.length);
  return fd;
}

/** Sends messages in one datagram. @throws SystemError */
export function send(fd: number, messages: Buffer, subject: string): void {
  for (;;) {
    const sent = libc.send(fd, messages, messages.length, 0);
    if (sent < 0 && libc.errno() === libc.E.EINTR) continue;
    libc.check(sent, "netlink send:", subject);
    return;
  }
}

/** Receives a datagram, and returns its length. @throws SystemError */
export function receive(fd: number, buffer: Buffer, subject: string): number {
  for (;;) {
    const length = libc.recv(fd, buffer, buffer.length, 0);
    if (length >= 0 || libc.errno() !== libc.E.EINTR) return libc.check(length, "netlink recv:", subject);
  }
}
