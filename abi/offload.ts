/** Offload: what the kernel may be left to do to packets that are sent. These are bits of the control word OFFLOAD. */

/** sizeof(struct virtio_net_hdr), include/uapi/linux/virtio_net.h. */
export const SIZEOF_VNET_HEADER = 10;

// The kernel's TUN_F_* (include/uapi/linux/if_tun.h).

/** The kernel computes checksums. */
export const OFFLOAD_CSUM = 1;
/** The kernel cuts TCP over IPv4 into segments; OFFLOAD_TSO6 is that over IPv6. */
export const OFFLOAD_TSO4 = 2;
export const OFFLOAD_TSO6 = 4;
/** The kernel cuts segments with CWR. */
export const OFFLOAD_TSO_ECN = 8;
