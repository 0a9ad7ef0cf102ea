/**
 * The C library by FFI: the only file that uses koffi. Prototypes follow the man pages, except that ssize_t is read as
 * int. A packet's length fits, and koffi converts an int in three quarters of the time.
 */
import { createRequire } from "node:module";
import { isMainThread } from "node:worker_threads";
// Before koffi, since modules run in this order.
import { leave } from "./gate.js";
import koffi from "koffi";
import { RTLD_LAZY, RTLD_NODELETE } from "./uapi.js";

const libc = koffi.load(null);

const dlopen = libc.func("void *dlopen(const char *filename, int flags)") as (name: string, flags: number) => unknown;
// When the last thread that has koffi ends, Node.js unmaps it before the event loop closes what onReadable() has
// opened, for which libuv calls koffi. So it stays. The main thread keeps it for as long as the process lives.
if (!isMainThread) {
  const addon = Object.keys(createRequire(import.meta.url).cache).find((path) => path.endsWith("/koffi.node"));
  if (addon !== undefined) dlopen(addon, RTLD_LAZY | RTLD_NODELETE);
}

export const open: (pathname: string, flags: number) => number = libc.func("int open(const char *pathname, int flags)");
export const close: (fd: number) => number = libc.func("int close(int fd)");
/** `argp` is a buffer, or a bigint for requests whose argument is a number. */
export const ioctl: (fd: number, request: number, argp: Uint8Array | bigint) => number = libc
  .func("int ioctl(int fd, unsigned long request, void *argp)");
/** `buf` is an address. A bigint made once needs no new number at every call. */
export const read: (fd: number, buf: bigint, count: number) => number = libc.func(
  "int read(int fd, void *buf, size_t count)",
);
export const write: (fd: number, buf: bigint, count: number) => number = libc.func(
  "int write(int fd, const void *buf, size_t count)",
);
/**
 * `fds` has one struct pollfd {int fd; short events; short revents} each. `timeout` is in
 * milliseconds, -1 to wait for ever.
 */
export const poll: (fds: Uint8Array, nfds: number, timeout: number) => number = libc
  .func("int poll(void *fds, unsigned long nfds, int timeout)");
/**
 * `fds` as for poll(). `timeout` is the address of a struct timespec, 0 to wait for ever. Addresses are bigints made
 * once, as for read().
 */
export const ppoll: (fds: bigint, nfds: number, timeout: bigint, sigmask: bigint) => number = libc
  .func("int ppoll(void *fds, unsigned long nfds, const void *tmo_p, const void *sigmask)");
export const clock_gettime: (clockid: number, tp: Uint8Array) => number = libc
  .func("int clock_gettime(int clockid, void *tp)");
/** Returns the state of the clock, or -1. */
export const adjtimex: (buf: Uint8Array) => number = libc.func("int adjtimex(void *buf)");
export const eventfd: (initval: number, flags: number) => number = libc.func(
  "int eventfd(unsigned int initval, int flags)",
);
export const eventfd_write: (fd: number, value: number) => number = libc.func(
  "int eventfd_write(int fd, uint64_t value)",
);
/** `pipefd` gets the descriptors of the read end and of the write end, two ints. */
export const pipe2: (pipefd: Uint8Array, flags: number) => number = libc.func("int pipe2(void *pipefd, int flags)");
export const socket: (domain: number, type: number, protocol: number) => number = libc
  .func("int socket(int domain, int type, int protocol)");
export const bind: (fd: number, addr: Uint8Array, addrlen: number) => number = libc
  .func("int bind(int sockfd, const void *addr, unsigned int addrlen)");
/** `addrlen` is a u32. It has the length of `addr` before the call and that of the address after it. */
export const getsockname: (fd: number, addr: Uint8Array, addrlen: Uint8Array) => number = libc
  .func("int getsockname(int sockfd, void *addr, void *addrlen)");
export const setsockopt: (
  fd: number, level: number, optname: number, optval: Uint8Array, optlen: number,
) => number = libc.func("int setsockopt(int sockfd, int level, int optname, const void *optval, unsigned int optlen)");
export const send: (fd: number, buf: Uint8Array, len: number, flags: number) => number = libc
  .func("int send(int sockfd, const void *buf, size_t len, int flags)");
export const recv: (fd: number, buf: Uint8Array, len: number, flags: number) => number = libc
  .func("int recv(int sockfd, void *buf, size_t len, int flags)");

export const connect: (fd: number, addr: Uint8Array, addrlen: number) => number = libc
  .func("int connect(int sockfd, const void *addr, unsigned int addrlen)");
/** `msgvec` is the address of `vlen` struct mmsghdr. Returns how many were sent. */
export const sendmmsg: (fd: number, msgvec: bigint, vlen: number, flags: number) => number = libc
  .func("int sendmmsg(int sockfd, void *msgvec, unsigned int vlen, int flags)");
/** `pid` 0 is the calling thread. `mask` has one bit for each CPU. */
export const sched_setaffinity: (pid: number, cpusetsize: number, mask: Uint8Array) => number = libc
  .func("int sched_setaffinity(int pid, size_t cpusetsize, const void *mask)");
export const sched_getaffinity: (pid: number, cpusetsize: number, mask: Uint8Array) => number = libc
  .func("int sched_getaffinity(int pid, size_t cpusetsize, void *mask)");
export const fcntl: (fd: number, cmd: number, arg: number) => number = libc.func("int fcntl(int fd, int cmd, int arg)");
export const prctl: (option: number, arg2: number, arg3: number, arg4: number, arg5: number) => number = libc
  .func("int prctl(int option, unsigned long arg2, unsigned long arg3, unsigned long arg4, unsigned long arg5)");
/**
 * `hdrp` is u32 version, int pid. `datap` has the u32 effective, permitted and inheritable sets of the first 32
 * capabilities, then those of the rest.
 */
export const capset: (hdrp: Uint8Array, datap: Uint8Array) => number = libc.func(
  "int capset(void *hdrp, const void *datap)",
);
/** `argv` and `envp` end with null. Returns only if it fails. */
export const execve: (pathname: string, argv: (string | null)[], envp: (string | null)[]) => number = libc
  .func("int execve(const char *pathname, const char **argv, const char **envp)");
export const unshare: (flags: number) => number = libc.func("int unshare(int flags)");

// The C library has no wrappers for io_uring, so these call syscall(2), each with its own prototype.
// uapi.ts has the numbers.
export const io_uring_setup: (number: number, entries: number, params: Uint8Array) => number = libc
  .func("int syscall(long number, unsigned int entries, void *params)");
export const io_uring_enter: (
  number: number, fd: number, toSubmit: number, minComplete: number, flags: number, arg: null,
  argsz: number,
) => number = libc
  .func("int syscall(long number, unsigned int fd, unsigned int to_submit, unsigned int min_complete, unsigned int "
    + "flags, void *arg, size_t argsz)");
export const io_uring_register: (
  number: number, fd: number, opcode: number, arg: Uint8Array | null, nrArgs: number,
) => number = libc
  .func("int syscall(long number, unsigned int fd, unsigned int opcode, void *arg, unsigned int nr_args)");

// Only the fields up to the number of the user or group are declared.
const passwd = koffi.struct({ pw_name: "const char *", pw_passwd: "const char *", pw_uid: "unsigned int" });
const group = koffi.struct({ gr_name: "const char *", gr_passwd: "const char *", gr_gid: "unsigned int" });
const findUser = libc.func("getpwnam", koffi.pointer(passwd), ["const char *"]) as (name: string) => unknown;
const findGroup = libc.func("getgrnam", koffi.pointer(group), ["const char *"]) as (name: string) => unknown;

/**
 * Returns the number of the user with that name, looked up wherever nsswitch.conf(5) says; undefined if there is none.
 */
export function getpwnam(name: string): number | undefined {
  const found = findUser(name);
  return found === null ? undefined : (koffi.decode(found, passwd) as { pw_uid: number }).pw_uid;
}

/** Returns the number of the group with that name, looked up likewise. */
export function getgrnam(name: string): number | undefined {
  const found = findGroup(name);
  return found === null ? undefined : (koffi.decode(found, group) as { gr_gid: number }).gr_gid;
}

/** errno of the last call made on this thread. */
export const errno: () => number = () => koffi.errno();

type Errno = "EACCES" | "EADDRNOTAVAIL" | "EAFNOSUPPORT" | "EAGAIN" | "EBUSY" | "EEXIST" | "EINPROGRESS" | "EINVAL"
  | "EINTR" | "EIO" | "ENOBUFS" | "ENOTTY" | "ENETDOWN" | "ENODEV" | "EOPNOTSUPP" | "EPERM" | "ESRCH" | "ETIME";
export const E = koffi.os.errno as Record<Errno, number>;

/** Returns the address of the first byte. It stays the same, since the contents of a buffer never move. */
export function addressOf(buffer: ArrayBufferLike): bigint {
  return koffi.address(new Uint8Array(buffer));
}

/**
 * Calls back from the event loop whenever `fd` is readable or has an error to be read, without keeping the process
 * alive. Returns a function that ends this.
 */
export function onReadable(fd: number, callback: () => void): () => void {
  const options = { readable: true };
  let ended = false;
  const polled = (status: unknown) => {
    // libuv stops polling a descriptor that has an error, such as a netlink socket's ENOBUFS.
    if (status !== 0) handle.start(options, polled);
    // With Node.js 26, promises that are settled in here would wait for whatever else the event loop does next.
    setImmediate(() => { if (!ended) callback(); });
  };
  const handle = koffi.node.poll(fd, options, polled);
  handle.unref();
  return () => {
    if (ended) return;
    ended = true;
    handle.close();
  };
}

/** Explanations of errnos that any call may end with, and where to look. */
const SHORTAGES: Partial<Record<string, string>> = {
  EMFILE: "this process has no descriptors left; see: ulimit -n",
  ENFILE: "this host has no descriptors left; see: sysctl fs.file-nr",
  ENOBUFS: "the kernel is short of memory",
};

/** A failed system call: which one, on what, and why, by the errno's name. */
export class SystemError extends Error {
  override readonly name: string = "SystemError";
  readonly errno: number;
  readonly code: string;

  constructor(syscall: string, subject: string, errno: number, detail = SHORTAGES[errnoName(errno)]) {
    const code = errnoName(errno);
    super(`${syscall} ${subject}: ${code}${detail ? ` (${detail})` : ""}`);
    this.errno = errno;
    this.code = code;
  }
}

/** Returns `result` unchanged. @throws SystemError where it is below 0. */
export function check(result: number, syscall: string, subject: string): number {
  if (result < 0) throw new SystemError(syscall, subject, errno());
  return result;
}

function errnoName(errno: number): string {
  return Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
}

leave();
