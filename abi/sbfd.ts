/** Bytes of an S-BFD service (abi/tcp.ts, Service): what its reflectors say, and the discriminators that they have. */

/** u32: 1 if the reflectors say that they are AdminDown, else 0. */
export const SBFD_ADMIN_DOWN = 0;
/** u32[]: the discriminators as they lie in a packet, up to the end of the bytes; none if any is answered. */
export const SBFD_DISCRIMINATORS = SBFD_ADMIN_DOWN + 4;
