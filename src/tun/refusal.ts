import { SystemError } from "../sys/libc.js";

/** A request that the kernel refused, with its extended error text where it gave one. */
export class NetlinkError extends SystemError {}
