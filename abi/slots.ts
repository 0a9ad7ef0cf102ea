/** Slots, which hold one packet each, and the descriptors and the stack that say where each slot is. */
import { URING_END } from "./uring.ts";

/** Maximum number of packets in one call of an engine's respond(). */
export const BATCH = 256;
/** Slots in the pool: one batch can be read while the replies of the last one are still being written. */
export const SLOTS = 512;
/** Alignment of a slot, a cache line. Rounding down an address in the slot's first line gives the slot. */
export const SLOT_ALIGN = 64;

/** A descriptor: {u32 address of a packet or frame, u32 its length}. */
export const DESCRIPTOR_SIZE = 8;
/** Descriptors [BATCH]: received packets. */
export const RECEIVED = URING_END;
/** Descriptors [SLOTS]: packets to send. */
export const TO_SEND = RECEIVED + DESCRIPTOR_SIZE * BATCH;
/** u32[SLOTS]: the free stack. */
export const FREE = TO_SEND + DESCRIPTOR_SIZE * SLOTS;

/**
 * The first slot, on a page of its own. The length of a slot follows from the MTU. The tables lie behind the last slot.
 */
export const SLOT_BASE = (FREE + 4 * SLOTS + 4095) & -4096;
