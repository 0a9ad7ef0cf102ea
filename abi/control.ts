/**
 * Control: single words at the start of linear memory, which the host and assembly/ share. Like all of abi/, this file
 * is read by two compilers, tsc and asc: it holds plain constants and enums alone, the part of both languages that
 * means the same in each. An offset is a byte of linear memory and follows from the one before it, except in tables.ts;
 * assembly/memory.ts draws the whole.
 */

/** u64: this memory's address in the process, for addresses that the kernel reads and writes. */
export const MEMORY_ADDRESS = 0;
/** u64: buffer for a read of the eventfd. */
export const WOKEN = MEMORY_ADDRESS + 8;
/**
 * u64: nanoseconds of a clock that nobody sets (CLOCK_MONOTONIC). The host writes both clocks before each call of the
 * engine. Everything that waits depends on this one.
 */
export const NOW = WOKEN + 8;
/** u64: nanoseconds since 1970 (CLOCK_REALTIME), for what is told to others alone. */
export const WALL = NOW + 8;
/**
 * u64: time on the clock of NOW at which the engine is to be called even if no packet came; 0 for never. A multiple of
 * TICK_NS, and so exact as a JavaScript number. assembly/timers.ts alone writes it.
 */
export const DEADLINE = WALL + 8;

// ---- the packet loop and its supervisor -----------------------------------------------------------------------------

/** u32: not 0 when the packet loop is to end. Written by the main thread while the loop runs. */
export const STOP = DEADLINE + 8;
/** u32: how often the main thread has asked to be told that the packet loop has come to its top. */
export const ASKED = STOP + 4;
/** u32: the table for the next batch and later ones. Written by the main thread while the loop runs. */
export const NEXT_TABLE = ASKED + 4;
/** i32: the ring's descriptor, which the main thread closes if the packet loop could not; 0 where there is none. */
export const RING_FD = NEXT_TABLE + 4;
/**
 * u32: how far WALL may be off, as an error estimate of RFC 4656 §4.1.2, in the host's order; see src/sys/timex.ts.
 * Written by the main thread while the loop runs.
 */
export const ERROR_ESTIMATE = RING_FD + 4;
/** That of a clock of which nothing is known: not synchronized, and off by as much as can be said. */
export const UNKNOWN_ERROR = 0x3fff;

// ---- the batch, and the packet in hand ------------------------------------------------------------------------------

/** u32: how many slots lie on the free stack. */
export const FREE_COUNT = ERROR_ESTIMATE + 4;
/** u32: descriptors of TO_SEND that the slow path has filled so far. */
export const QUEUED = FREE_COUNT + 4;
/** u32: packets of the batch that the slow path has not judged yet. Each may need a descriptor of TO_SEND. */
export const UNJUDGED = QUEUED + 4;
/**
 * u32: how many packets have come since the queue was last found empty, or since the worker was last held up. At 0
 * everything counts as read that had come (assembly/batch.ts).
 */
export const UNREAD = UNJUDGED + 4;
/** u32: the table of this batch: whose the addresses are, and what they answer. */
export const TABLE = UNREAD + 4;
/** u32: number of datagrams whose reassembly has begun. */
export const SERIAL = TABLE + 4;
/** u32: how many replies STAMPED has. */
export const STAMPED_COUNT = SERIAL + 4;
/** u64: NOW of the batch before. */
export const BATCH_AT = (STAMPED_COUNT + 4 + 7) & -8;
/** Context of the packet being judged; assembly/packet.ts has its fields. */
export const CONTEXT = BATCH_AT + 8;
export const CONTEXT_SIZE = 32;

// ---- what holds from the start on -----------------------------------------------------------------------------------

/** u32: number of slots. */
export const SLOT_COUNT = CONTEXT + CONTEXT_SIZE;
/** u32: bytes from one slot to the next. */
export const SLOT_SIZE = SLOT_COUNT + 4;
/** u32: maximum bytes of a read, struct virtio_net_hdr included. */
export const PACKET_SIZE = SLOT_SIZE + 4;
/** u32: maximum bytes of an IP packet that is sent, the MTU. */
export const MTU = PACKET_SIZE + 4;
/** u32: seed of the hashes of addresses. Because of it nobody outside knows which sources share a bucket. */
export const SEED = MTU + 4;
/** u32: bytes of a table, nodes included. There are two tables, behind the slots. */
export const TABLE_SIZE = SEED + 4;
/** u32: maximum number of datagrams in reassembly at a time; 0 where fragments are dropped. */
export const REASSEMBLIES = TABLE_SIZE + 4;
/** u32: address of the reassembly table. The buffers lie behind it. */
export const REASSEMBLY = REASSEMBLIES + 4;
/** u32, a Mode: what the device delivers. */
export const MODE = REASSEMBLY + 4;
/**
 * u32: offset in a slot at which a packet or frame begins that has come. A packet lies at a multiple of 4, and so does
 * that in a frame, behind a header of 14, 18 or 22 bytes: 0 for packets and 2 for frames, or, behind struct
 * virtio_net_hdr, 12 and 14.
 */
export const FRAME_OFFSET = MODE + 4;
/**
 * u32: SIZEOF_VNET_HEADER where the kernel puts struct virtio_net_hdr before each packet or frame, and expects one
 * there; else 0. Descriptors leave it out: the I/O reads and writes it along.
 */
export const VNET_HEADER_LEN = FRAME_OFFSET + 4;
/** u32: OFFLOAD_ bits, what the kernel may be left to do. They are 0 for good once it has refused a packet for that. */
export const OFFLOAD = VNET_HEADER_LEN + 4;
/** u32, a MacPolicy: the MAC addresses of the prefixes' addresses. */
export const MAC_POLICY = OFFLOAD + 4;
/** u8[6]: the shared MAC address. As in a frame, it lies two bytes behind a multiple of 4. */
export const MAC = MAC_POLICY + 4 + 2;

/** The members' names are the flag's values. */
export enum Mode {
  /** IP packets. */
  tun,
  /** Ethernet frames. */
  tap,
}

export enum MacPolicy {
  /** One for all addresses, the one at MAC. */
  shared,
  /** One for each address; see assembly/mac.ts. */
  per_address,
}

// ---- io_uring: u32 addresses of the fields of struct io_rings, and the packet loop's state --------------------------

export const SQ_HEAD_AT = MAC + 6;
export const SQ_TAIL_AT = SQ_HEAD_AT + 4;
export const CQ_HEAD_AT = SQ_TAIL_AT + 4;
export const CQ_TAIL_AT = CQ_HEAD_AT + 4;
export const CQES_AT = CQ_TAIL_AT + 4;
/** u32: replies of TO_SEND that the kernel has taken and whose slots are not free yet. */
export const WRITES_PENDING = CQES_AT + 4;
/** i32: negative errno of a read that failed for good. */
export const READ_ERROR = WRITES_PENDING + 4;
/**
 * u32: end of the slots that are registered with the kernel as one buffer, from SLOT_BASE on; 0 where none are. Packets
 * of slots behind it are read and written by address.
 */
export const SLOTS_REGISTERED = READ_ERROR + 4;

// ---- room to work in ------------------------------------------------------------------------------------------------

/** u8[40]: options of a reply, kept here while its header still has those of the request. */
export const REPLY_OPTIONS = SLOTS_REGISTERED + 4;

// ---- the host -------------------------------------------------------------------------------------------------------

/**
 * u64: MAC address of the device itself, which the host has on this link, with its first byte lowest; 0 where it is not
 * known. Frames that answer none go there. The main thread may write it while the loop runs.
 */
export const DEVICE_MAC = (REPLY_OPTIONS + 40 + 7) & -8;

/** End of the control words, rounded up so that the counters begin on a cache line of their own. */
export const CONTROL_END = (DEVICE_MAC + 8 + 63) & -64;
