// Where a connection's record is, and the other way round.

import { STREAM_SIZE, STREAMS } from "../../abi/streams";
import { CONNECTION_SIZE, CONNECTIONS, CONNECTIONS_TOUCHED } from "../../abi/tcp";

export function indexOf(c: usize): u32 {
  return <u32>(c - load<u32>(CONNECTIONS)) / CONNECTION_SIZE;
}

/** Returns the record of the connection `c`. */
export function recordOf(c: usize): usize {
  return <usize>load<u32>(STREAMS) + <usize>indexOf(c) * STREAM_SIZE;
}

/** Returns the control block with this index; 0 if there was never one. */
export function connectionAt(index: u32): usize {
  if (index >= load<u32>(CONNECTIONS_TOUCHED)) return 0;
  return <usize>load<u32>(CONNECTIONS) + <usize>index * CONNECTION_SIZE;
}
