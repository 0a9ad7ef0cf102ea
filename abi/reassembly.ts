/**
 * Reassembly: its table and buffers lie behind the slots and the tables, at the address in the control word REASSEMBLY.
 * assembly/reassembly.ts draws them.
 */

/** Maximum number of datagrams in reassembly at a time. */
export const MAX_REASSEMBLIES = 1024;
/** An entry of the table, one for each buffer: {u32 hash, u32 serial}. */
export const REASSEMBLY_ENTRY_SIZE = 8;
export const REASSEMBLY_TABLE_SIZE = REASSEMBLY_ENTRY_SIZE * MAX_REASSEMBLIES;
/** State, link header and headers, then 64 KiB of payload. Like a slot, it is an odd number of cache lines. */
export const REASSEMBLY_BUFFER_SIZE = 51 * 64 + 65536;
