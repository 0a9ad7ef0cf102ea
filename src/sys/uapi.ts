/** Names and values verbatim from the kernel's uapi headers. They are the same on x86-64, arm64 and riscv64. */

// <linux/if_tun.h>
export const IFF_TUN = 0x0001;
export const IFF_TAP = 0x0002;
export const IFF_MULTI_QUEUE = 0x0100;
export const IFF_NO_PI = 0x1000;
export const IFF_VNET_HDR = 0x4000;
export const IFF_TUN_EXCL = 0x8000;
export const TUNSETIFF = 0x400454ca;
export const TUNSETPERSIST = 0x400454cb;
export const TUNSETOWNER = 0x400454cc;
export const TUNSETGROUP = 0x400454ce;
export const TUNSETOFFLOAD = 0x400454d0;
export const TUNSETVNETHDRSZ = 0x400454d8;
export const TUNGETIFF = 0x800454d2;

// <linux/if.h>
export const IFNAMSIZ = 16;
export const IFF_UP = 0x1;
export const IFF_LOWER_UP = 0x10000;
/** struct ifreq: the name, then a union of 24 bytes that begins with ifr_flags. */
export const SIZEOF_IFREQ = 40;

// <linux/if_ether.h>, <linux/if_tun.h>: the bounds of a TUN device's MTU
export const ETH_MIN_MTU = 68;
/** MTU of a device unless another one was asked for. */
export const ETH_DATA_LEN = 1500;
export const ETH_MAX_MTU = 65535;
/** Bytes of an Ethernet header. A TAP device's maximum MTU is smaller by these. */
export const ETH_HLEN = 14;

// <linux/ipv6.h>, <linux/ipv6_route.h>
export const IPV6_MIN_MTU = 1280;
/** Metric of an IPv6 route that was given none. */
export const IP6_RT_PRIO_USER = 1024;

// <linux/time.h>, <linux/timex.h>
export const CLOCK_REALTIME = 0;
export const SIZEOF_TIMEX = 208;
/** Offsets of fields of struct timex: a long of microseconds, and an int. */
export const TIMEX_MAXERROR = 24;
export const TIMEX_STATUS = 40;
export const STA_UNSYNC = 0x0040;

// <asm-generic/fcntl.h>, <linux/eventfd.h>, <asm-generic/poll.h>
export const O_RDWR = 0o2;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const EFD_NONBLOCK = O_NONBLOCK;
export const EFD_SEMAPHORE = 1;
export const EFD_CLOEXEC = O_CLOEXEC;
export const POLLIN = 0x1;
export const POLLOUT = 0x4;
/** struct pollfd {int fd; short events; short revents} and struct timespec {s64 tv_sec, tv_nsec}. */
export const SIZEOF_POLLFD = 8;
export const SIZEOF_TIMESPEC = 16;

export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const FD_CLOEXEC = 1;
/** Duplicates a descriptor, with FD_CLOEXEC. */
export const F_DUPFD_CLOEXEC = 1030;

// <linux/sched.h>
export const CLONE_FILES = 0x400;
export const CLONE_NEWNET = 0x40000000;

// <linux/socket.h>, <linux/net.h>
export const AF_UNIX = 1;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = O_NONBLOCK;
export const SOCK_CLOEXEC = O_CLOEXEC;
export const SOL_SOCKET = 1;
export const SOL_PACKET = 263;
export const SOL_NETLINK = 270;
export const SO_SNDBUFFORCE = 32;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const IPPROTO_ICMP = 1;
/** Sizes of struct msghdr and struct mmsghdr where pointers have 8 bytes. */
export const SIZEOF_MSGHDR = 56;
export const SIZEOF_MMSGHDR = 64;

// <linux/if_ether.h>, <linux/if_packet.h>
export const ETH_P_IP = 0x0800;
export const PACKET_QDISC_BYPASS = 20;
export const SIZEOF_SOCKADDR_LL = 20;

// <linux/netlink.h>
export const NETLINK_ROUTE = 0;
export const NETLINK_EXT_ACK = 11;
export const NETLINK_GET_STRICT_CHK = 12;
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLMSGERR_ATTR_MSG = 1;
export const NLA_F_NESTED = 0x8000;
export const SIZEOF_NLMSGHDR = 16;

// <linux/rtnetlink.h>, <linux/if_link.h>, <linux/if_addr.h>
export const RTMGRP_LINK = 0x1;
export const RTMGRP_IPV4_IFADDR = 0x10;
export const RTMGRP_IPV4_ROUTE = 0x40;
export const RTMGRP_IPV6_IFADDR = 0x100;
export const RTMGRP_IPV6_ROUTE = 0x400;
export const RTMGRP_IPV6_IFINFO = 0x800;
export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const SIZEOF_IFINFOMSG = 16;
export const SIZEOF_IFADDRMSG = 8;
export const SIZEOF_RTMSG = 12;
export const IFLA_ADDRESS = 1;
export const IFLA_IFNAME = 3;
export const IFLA_MTU = 4;
export const IFLA_TXQLEN = 13;
export const IFLA_LINKINFO = 18;
export const IFLA_NET_NS_PID = 19;
export const IFLA_STATS64 = 23;
export const IFLA_AF_SPEC = 26;
export const IFLA_INET6_ADDR_GEN_MODE = 8;
export const IFLA_INFO_KIND = 1;
export const IFLA_INFO_DATA = 2;
export const VETH_INFO_PEER = 1;
export const IFLA_TUN_OWNER = 1;
export const IFLA_TUN_GROUP = 2;
export const IFLA_TUN_TYPE = 3;
export const IFLA_TUN_PI = 4;
export const IFLA_TUN_VNET_HDR = 5;
export const IFLA_TUN_PERSIST = 6;
export const IFLA_TUN_MULTI_QUEUE = 7;
export const IFLA_TUN_NUM_QUEUES = 8;
export const IFLA_TUN_NUM_DISABLED_QUEUES = 9;
export const IN6_ADDR_GEN_MODE_NONE = 1;
export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;
export const IFA_F_NODAD = 0x02;
export const RTA_DST = 1;
export const RTA_OIF = 4;
export const RTA_GATEWAY = 5;
export const RTA_PRIORITY = 6;
export const RTA_PREFSRC = 7;
export const RTA_TABLE = 15;
export const RTM_F_CLONED = 0x200;
export const RTM_F_FIB_MATCH = 0x2000;
export const RT_TABLE_DEFAULT = 253;
export const RT_TABLE_MAIN = 254;
export const RT_TABLE_LOCAL = 255;
export const RTPROT_KERNEL = 2;
export const RTPROT_STATIC = 4;
export const RTPROT_RA = 9;
export const RTPROT_DHCP = 16;
export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_LINK = 253;
export const RT_SCOPE_HOST = 254;
export const RTNH_F_ONLINK = 0x4;
export const RTN_UNICAST = 1;
export const RTN_LOCAL = 2;

// <asm-generic/unistd.h>, <linux/io_uring.h>
export const SYS_io_uring_setup = 425;
export const SYS_io_uring_enter = 426;
export const SYS_io_uring_register = 427;
export const IORING_SETUP_CQSIZE = 1 << 3;
export const IORING_SETUP_SUBMIT_ALL = 1 << 7;
export const IORING_SETUP_SINGLE_ISSUER = 1 << 12;
export const IORING_SETUP_DEFER_TASKRUN = 1 << 13;
export const IORING_SETUP_NO_MMAP = 1 << 14;
export const IORING_SETUP_NO_SQARRAY = 1 << 16;
export const IORING_ENTER_GETEVENTS = 1;
export const IORING_REGISTER_BUFFERS = 0;
export const IORING_REGISTER_FILES = 2;
export const IORING_UNREGISTER_FILES = 3;
/** Offsets in struct io_uring_params of the fields that are used here. */
export const SIZEOF_IO_URING_PARAMS = 120;
export const IO_URING_PARAMS = {
  cq_entries: 4, flags: 8,
  sq_off_head: 40, sq_off_tail: 44, sq_off_user_addr: 72,
  cq_off_head: 80, cq_off_tail: 84, cq_off_cqes: 100, cq_off_user_addr: 112,
} as const;

// <linux/capability.h>, <linux/prctl.h>, <linux/securebits.h>
export const CAP_NET_ADMIN = 12;
export const _LINUX_CAPABILITY_VERSION_3 = 0x20080522;
export const PR_CAPBSET_DROP = 24;
export const PR_SET_TIMERSLACK = 29;
export const PR_SET_SECUREBITS = 28;
export const PR_SET_NO_NEW_PRIVS = 38;
export const PR_CAP_AMBIENT = 47;
export const PR_CAP_AMBIENT_CLEAR_ALL = 4;
/** SECBIT_NOROOT, SECBIT_NO_SETUID_FIXUP and SECBIT_NO_CAP_AMBIENT_RAISE, each with the bit that locks it. */
export const SECUREBITS = 0b1100_1111;

// <bits/dlfcn.h>, which is glibc's; musl has the same values
export const RTLD_LAZY = 0x1;
export const RTLD_NODELETE = 0x1000;
