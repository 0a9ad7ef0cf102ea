/**
 * Control: single words at the start of linear memory, which the host and assembly/ share. Like all of abi/, this file
 * is read by two compilers, tsc and asc: it holds plain constants and enums alone, the part of both languages that
 * means the same in each. An offset is a byte of linear memory and follows from the one before it, except in tables.ts;
 * assembly/memory.ts draws the whole.
 */

/** u64: this memory's address in the process, for what the kernel is to read and write. */
export const MEMORY_ADDRESS = 0;
/** u64: what reading the eventfd brings. */
export const WOKEN = MEMORY_ADDRESS + 8;
/** f64: Unix time in milliseconds at which the engine is to be called, though nothing came; 0 for never. */
export const DEADLINE = WOKEN + 8;

// ---- the packet loop and its supervisor -----------------------------------------------------------------------------

/** u32: not 0 when the packet loop is to end. Written by the main thread while the loop runs. */
export const STOP = DEADLINE + 8;
/** u32: how often the main thread has asked to be told when the packet loop comes to its top. */
export const ASKED = STOP + 4;
/** u32: the table that is to be used from the next batch on. Written by the main thread while the loop runs. */
export const NEXT_TABLE = ASKED + 4;
/** i32: the ring's descriptor, for the main thread to close if the packet loop could not; 0 where there is none. */
export const RING_FD = NEXT_TABLE + 4;

// ---- the batch, and the packet in hand ------------------------------------------------------------------------------

/** u32: how many slots lie on the free stack. */
export const FREE_COUNT = RING_FD + 4;
/** u32: descriptors of TO_SEND that the slow path has filled so far. */
export const QUEUED = FREE_COUNT + 4;
/** u32: the table of this batch: whose the addresses are, and what they answer. */
export const TABLE = QUEUED + 4;
/** u32: of the packet that is being judged, what its destination answers; see tables.ts. */
export const ANSWERS = TABLE + 4;
/** u32: of the packet that is being judged, whose its destination is, as an owner. */
export const OWNER = ANSWERS + 4;
/**
 * u32: where the packet lies that is being judged, behind its link header. For the wasm engine's replies in slots of
 * their own.
 */
export const LINK = OWNER + 4;
/** u32: datagrams whose reassembly has begun. */
export const SERIAL = LINK + 4;

// ---- what holds from the start on -----------------------------------------------------------------------------------

/** u32: most bytes that a read takes. */
export const PACKET_SIZE = SERIAL + 4;
/** u32: most bytes of an IP packet that is sent, the MTU. */
export const MTU = PACKET_SIZE + 4;
/** u32: of the hash of sources, so that nobody outside knows which share a bucket. */
export const SEED = MTU + 4;
/** u32: bytes of a table, nodes included; there are two, behind the slots. */
export const TABLE_SIZE = SEED + 4;
/** u32: datagrams that may be in reassembly at a time; 0 where fragments are dropped. */
export const REASSEMBLIES = TABLE_SIZE + 4;
/** u32: where their table lies, and behind it their buffers. */
export const REASSEMBLY = REASSEMBLIES + 4;
/** u32, a Mode: what the device hands over. */
export const MODE = REASSEMBLY + 4;
/**
 * u32: where in a slot a read begins. 2 for frames: behind a header of 14, 18 or 22 bytes a packet is then at a
 * multiple of 4.
 */
export const FRAME_OFFSET = MODE + 4;
/** u32, a MacPolicy: the MAC addresses of the prefixes' addresses. */
export const MAC_POLICY = FRAME_OFFSET + 4;
/** u8[6], as in a frame, and as there two bytes behind a multiple of 4. */
export const MAC = MAC_POLICY + 4 + 2;

/** The members' names are the flag's values. */
export enum Mode {
  /** IP packets. */
  tun,
  /** Ethernet frames. */
  tap,
}

export enum MacPolicy {
  /** One for all, the one at MAC. */
  shared,
  /** One each; assembly/mac.ts. */
  per_address,
}

// ---- io_uring: u32 each, addresses of the fields of struct io_rings, and where the packet loop stands
// ----------------

export const SQ_HEAD_AT = MAC + 6;
export const SQ_TAIL_AT = SQ_HEAD_AT + 4;
export const CQ_HEAD_AT = SQ_TAIL_AT + 4;
export const CQ_TAIL_AT = CQ_HEAD_AT + 4;
export const CQES_AT = CQ_TAIL_AT + 4;
/** u32: replies of TO_SEND that the kernel has been given, their slots not yet free. */
export const WRITES_PENDING = CQES_AT + 4;
/** u32: not 0 while a read that may wait is with the kernel. */
export const READ_ARMED = WRITES_PENDING + 4;
/** u32: not 0 while the kernel watches the eventfd. */
export const WAKE_ARMED = READ_ARMED + 4;
/** i32: errno, below 0, of a read that failed for good. */
export const READ_ERROR = WAKE_ARMED + 4;
/** u32: not 0 when the slots are registered with the kernel as one buffer. */
export const SLOTS_REGISTERED = READ_ERROR + 4;

// ---- room to work in ------------------------------------------------------------------------------------------------

/** u8[40]: the options of a reply, while its header still has those of the request. */
export const REPLY_OPTIONS = SLOTS_REGISTERED + 4;

/** Behind the last word, on a cache line of its own. */
export const CONTROL_END = (REPLY_OPTIONS + 40 + 63) & -64;
