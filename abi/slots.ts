/**
 * Slots, which hold one packet each, and the descriptors, the stack and the records that say where each packet is. A
 * slot is free, received, queued to be sent, kept, or with the kernel.
 */
import { TIMER_SIZE } from "./timers.ts";
import { URING_END } from "./uring.ts";

/** Maximum number of packets in one call of an engine's respond(). */
export const BATCH = 256;
/** Packets to send that one call of respond() may leave: a reply to each packet, and as many of its own accord. */
export const SENDS = 480;
/**
 * Slots where no packets are kept: one batch can be read while the replies of the last one are still being written.
 */
export const SLOTS = 512;
/** Maximum number of slots, a choice made when a memory is created. */
export const MAX_SLOTS = 131_072;
/** Alignment of a slot, a cache line. Rounding down an address in the slot's first line gives the slot. */
export const SLOT_ALIGN = 64;

/** A descriptor: {u32 address of a packet or frame, u32 its length}. */
export const DESCRIPTOR_SIZE = 8;
/** Descriptors [BATCH]: received packets. */
export const RECEIVED = URING_END;
/** Descriptors [SENDS]: packets to send. */
export const TO_SEND = RECEIVED + DESCRIPTOR_SIZE * BATCH;
/** u32[MAX_SLOTS]: the free stack. */
export const FREE = TO_SEND + DESCRIPTOR_SIZE * SENDS;

/** Records [MAX_SLOTS] of the packets that are kept, one for each slot; assembly/kept.ts has their fields. */
export const KEPT = (FREE + 4 * MAX_SLOTS + 63) & -64;
export const KEPT_SIZE = TIMER_SIZE + 16;

/**
 * The first slot, on a page of its own. The length of a slot follows from the MTU. The tables lie behind the last slot.
 */
export const SLOT_BASE = (KEPT + KEPT_SIZE * MAX_SLOTS + 4095) & -4096;
