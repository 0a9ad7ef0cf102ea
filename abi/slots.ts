/**
 * Slots, which hold one packet each, and the descriptors that say where a packet lies and how long it is. A slot is
 * free, received, queued to be sent, kept, or with the kernel (pool.ts).
 */
import { MAX_LETTERS } from "./tcp.ts";
import { URING_END } from "./uring.ts";

/** Packets that the device queues for a reader that falls behind. The kernel's default of 500 loses bursts. */
export const TX_QUEUE_LEN = 4096;
/** Maximum number of packets in one call of an engine's respond(). */
export const BATCH = 256;
/** Packets to send that one call of respond() may leave: a reply to each packet, and as many of its own accord. */
export const SENDS = 480;
/**
 * Slots where no packets are kept: one batch can be read while the replies of the last one are still being written.
 */
export const SLOTS = 512;
/** Alignment of a slot, a cache line. Rounding down an address in the slot's first line gives the slot. */
export const SLOT_ALIGN = 64;

/** A descriptor: {u32 address of a packet or frame, u32 its length}. */
export const DESCRIPTOR_SIZE = 8;
/** Descriptors [BATCH]: received packets. */
export const RECEIVED = URING_END;
/** Descriptors [SENDS]: packets to send. */
export const TO_SEND = RECEIVED + DESCRIPTOR_SIZE * BATCH;
/** Maximum number of orders of service threads that a round takes. */
export const MAX_ORDERS = 256;
/**
 * u32[MAX_TOUCHED]: connections that a packet of this batch, a letter or an order has changed. They are asked
 * afterwards what they have to send.
 */
export const MAX_TOUCHED = BATCH + MAX_LETTERS + MAX_ORDERS;
export const TOUCHED = TO_SEND + DESCRIPTOR_SIZE * SENDS;
/**
 * Replies [BATCH] of this batch that have to be completed before they are sent (assembly/udp/stamp.ts): each as at
 * STAMPED_REPLY and what follows there. If the options' word is odd, it is one of IRTT's, as
 * assembly/udp/irtt/packet.ts has it, and of what follows there is STAMPED_HMAC alone.
 */
export const STAMPED = TOUCHED + 4 * MAX_TOUCHED;
export const STAMPED_SIZE = 20;
/** u32: address of the packet. */
export const STAMPED_REPLY = 0;
/** u32: address of the service's options (stamp.ts). */
export const STAMPED_OPTIONS = STAMPED_REPLY + 4;
/** u32: address of the session, or 0. */
export const STAMPED_SESSION = STAMPED_OPTIONS + 4;
/** u32: offset in UDP's data of the value of a Follow-Up Telemetry TLV that is to have the times, or 0. */
export const STAMPED_FOLLOW_UP = STAMPED_SESSION + 4;
/**
 * u32: offset in UDP's data of an HMAC TLV that is to have the HMAC, or 0; of IRTT, the address of the pads of its key,
 * or 0.
 */
export const STAMPED_HMAC = STAMPED_FOLLOW_UP + 4;
/**
 * The first slot, on a page of its own. The length of a slot follows from the MTU. The tables lie behind the last slot.
 */
export const SLOT_BASE = (STAMPED + STAMPED_SIZE * BATCH + 4095) & -4096;
