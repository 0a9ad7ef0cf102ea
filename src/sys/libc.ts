/**
 * The C library, by FFI: the only file that knows koffi. Prototypes follow the man pages, but for ssize_t, which is
 * read as int: a packet's length fits, and koffi converts an int in three quarters of the time.
 */
import koffi from "koffi";

const libc = koffi.load(null);

export const open: (pathname: string, flags: number) => number = libc.func("int open(const char *pathname, int flags)");
export const close: (fd: number) => number = libc.func("int close(int fd)");
/** `argp`: a buffer, or a bigint for the requests whose argument is a number. */
export const ioctl: (fd: number, request: number, argp: Uint8Array | bigint) => number = libc
  .func("int ioctl(int fd, unsigned long request, void *argp)");
/** `buf` as an address: a bigint made once is passed on at every call without boxing a number for it. */
export const read: (fd: number, buf: bigint, count: number) => number = libc.func(
  "int read(int fd, void *buf, size_t count)",
);
export const write: (fd: number, buf: bigint, count: number) => number = libc.func(
  "int write(int fd, const void *buf, size_t count)",
);
/** `fds`: struct pollfd {int fd; short events; short revents} each. `timeout` in milliseconds, -1 to wait for ever. */
export const poll: (fds: Uint8Array, nfds: number, timeout: number) => number = libc
  .func("int poll(void *fds, unsigned long nfds, int timeout)");
export const eventfd: (initval: number, flags: number) => number = libc.func(
  "int eventfd(unsigned int initval, int flags)",
);
export const eventfd_write: (fd: number, value: number) => number = libc.func(
  "int eventfd_write(int fd, uint64_t value)",
);
export const socket: (domain: number, type: number, protocol: number) => number = libc
  .func("int socket(int domain, int type, int protocol)");
export const bind: (fd: number, addr: Uint8Array, addrlen: number) => number = libc
  .func("int bind(int sockfd, const void *addr, unsigned int addrlen)");
/** `addrlen`: a u32, of `addr` at first and then of the address. */
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
/** `msgvec`: the address of `vlen` struct mmsghdr. Returns how many were sent. */
export const sendmmsg: (fd: number, msgvec: bigint, vlen: number, flags: number) => number = libc
  .func("int sendmmsg(int sockfd, void *msgvec, unsigned int vlen, int flags)");
/** `pid` 0: the calling thread. `mask`: a bit a CPU. */
export const sched_setaffinity: (pid: number, cpusetsize: number, mask: Uint8Array) => number = libc
  .func("int sched_setaffinity(int pid, size_t cpusetsize, const void *mask)");
export const sched_getaffinity: (pid: number, cpusetsize: number, mask: Uint8Array) => number = libc
  .func("int sched_getaffinity(int pid, size_t cpusetsize, void *mask)");
export const fcntl: (fd: number, cmd: number, arg: number) => number = libc.func("int fcntl(int fd, int cmd, int arg)");
export const prctl: (option: number, arg2: number, arg3: number, arg4: number, arg5: number) => number = libc
  .func("int prctl(int option, unsigned long arg2, unsigned long arg3, unsigned long arg4, unsigned long arg5)");
/**
 * `hdrp`: u32 version, int pid. `datap`: u32 effective, permitted and inheritable of the first 32 capabilities, then of
 * the rest.
 */
export const capset: (hdrp: Uint8Array, datap: Uint8Array) => number = libc.func(
  "int capset(void *hdrp, const void *datap)",
);
/** `argv` and `envp` end with null. Returns only where it fails. */
export const execve: (pathname: string, argv: (string | null)[], envp: (string | null)[]) => number = libc
  .func("int execve(const char *pathname, const char **argv, const char **envp)");
export const unshare: (flags: number) => number = libc.func("int unshare(int flags)");

// io_uring has no wrappers in the C library: syscall(2), a prototype each. Numbers: uapi.ts.
export const io_uring_setup: (number: number, entries: number, params: Uint8Array) => number = libc
  .func("int syscall(long number, unsigned int entries, void *params)");
export const io_uring_enter: (
  number: number, fd: number, toSubmit: number, minComplete: number, flags: number, arg: BigInt64Array | null,
  argsz: number,
) => number = libc
  .func("int syscall(long number, unsigned int fd, unsigned int to_submit, unsigned int min_complete, unsigned int "
    + "flags, void *arg, size_t argsz)");
export const io_uring_register: (
  number: number, fd: number, opcode: number, arg: Uint8Array | null, nrArgs: number,
) => number = libc
  .func("int syscall(long number, unsigned int fd, unsigned int opcode, void *arg, unsigned int nr_args)");

// Of a user or a group its number alone.
const passwd = koffi.struct({ pw_name: "const char *", pw_passwd: "const char *", pw_uid: "unsigned int" });
const group = koffi.struct({ gr_name: "const char *", gr_passwd: "const char *", gr_gid: "unsigned int" });
const findUser = libc.func("getpwnam", koffi.pointer(passwd), ["const char *"]) as (name: string) => unknown;
const findGroup = libc.func("getgrnam", koffi.pointer(group), ["const char *"]) as (name: string) => unknown;

/** The number of the user of that name, wherever nsswitch.conf(5) has users looked up; undefined for nobody's. */
export function getpwnam(name: string): number | undefined {
  const found = findUser(name);
  return found === null ? undefined : (koffi.decode(found, passwd) as { pw_uid: number }).pw_uid;
}

/** As getpwnam() for a group. */
export function getgrnam(name: string): number | undefined {
  const found = findGroup(name);
  return found === null ? undefined : (koffi.decode(found, group) as { gr_gid: number }).gr_gid;
}

/** errno of the last call made on this thread. */
export const errno: () => number = () => koffi.errno();

type Errno = "EACCES" | "EADDRNOTAVAIL" | "EAFNOSUPPORT" | "EAGAIN" | "EBUSY" | "EEXIST" | "EINVAL" | "EINTR" | "EIO"
  | "ENOBUFS" | "ENOTTY" | "ENETDOWN" | "ENODEV" | "EOPNOTSUPP" | "EPERM" | "ESRCH" | "ETIME";
export const E = koffi.os.errno as Record<Errno, number>;

/** Address of the first byte. It stays: what a buffer holds never moves. */
export function addressOf(buffer: ArrayBufferLike): bigint {
  return koffi.address(new Uint8Array(buffer));
}

/**
 * Calls back from the event loop whenever `fd` is readable, without keeping the process alive; returns how to end that.
 */
export function onReadable(fd: number, callback: () => void): () => void {
  const handle = koffi.node.poll(fd, { readable: true }, callback);
  handle.unref();
  return () => { handle.close(); };
}

/** What the errnos mean that any call may end with, and where to look. */
const SHORTAGES: Partial<Record<string, string>> = {
  EMFILE: "this process has no descriptors left; see: ulimit -n",
  ENFILE: "this host has no descriptors left; see: sysctl fs.file-nr",
  ENOBUFS: "the kernel is short of memory",
};

/** A system call that failed: which, on what, and why, by the errno's name. */
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

/** Passes a result on; @throws SystemError where it is below 0. */
export function check(result: number, syscall: string, subject: string): number {
  if (result < 0) throw new SystemError(syscall, subject, errno());
  return result;
}

function errnoName(errno: number): string {
  return Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
}
