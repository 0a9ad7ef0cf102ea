/** Slots, which hold a packet each, and the descriptors and the stack that say which is where. */
import { URING_END } from "./uring.ts";

/** Most packets in one call of an engine's respond(). */
export const BATCH = 256;
/** Slots in the pool: one batch being read while the last one's replies are still being written. */
export const SLOTS = 512;
/** A slot begins at a multiple of it, a cache line. What lies in a slot's first line is told from the slot by it. */
export const SLOT_ALIGN = 64;

/** A descriptor: {u32 where a packet, or a frame, begins, u32 its length}. */
export const DESCRIPTOR_SIZE = 8;
/** Descriptors [BATCH]: what was received. */
export const RECEIVED = URING_END;
/** Descriptors [SLOTS]: what is to be sent. */
export const TO_SEND = RECEIVED + DESCRIPTOR_SIZE * BATCH;
/** u32[SLOTS]: the free stack. */
export const FREE = TO_SEND + DESCRIPTOR_SIZE * SLOTS;

/** The first slot, on a page of its own. How long each is, the MTU says; the tables lie behind the last. */
export const SLOT_BASE = (FREE + 4 * SLOTS + 4095) & -4096;
