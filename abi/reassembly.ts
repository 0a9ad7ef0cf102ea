/**
 * Reassembly: behind the slots and the tables, at the address that the control word REASSEMBLY has;
 * assembly/reassembly.ts draws it.
 */

/** Most datagrams that may be in reassembly at a time. */
export const MAX_REASSEMBLIES = 1024;
/** An entry of the table, of a buffer each: {u32 hash, u32 serial}. */
export const REASSEMBLY_ENTRY_SIZE = 8;
export const REASSEMBLY_TABLE_SIZE = REASSEMBLY_ENTRY_SIZE * MAX_REASSEMBLIES;
/** State, link header and header, then 64 KiB of payload: an odd number of cache lines, as in a slot. */
export const REASSEMBLY_BUFFER_SIZE = 49 * 64 + 65536;
