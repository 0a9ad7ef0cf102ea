// The table: finds a connection, or the TIME-WAIT record that it left, by both addresses and both ports. A chain hangs
// on each entry. The hash has a secret key, so that nobody outside can make chains long. Nothing is searched by address
// alone, so that a lookup costs the same however many addresses are in use.

import { Counter } from "../../abi/counters";
import {
  ADDRESSES, CONNECTION_COUNT, CONNECTION_SIZE, CONNECTIONS, CONNECTIONS_FREE, CONNECTIONS_TOUCHED, FLAGS, HASH,
  HASH_KEY, HASH_MASK, MAX_CONNECTIONS, NEXT, PORTS, STATE, State,
} from "../../abi/tcp";
import { add } from "../memory";
import { siphash } from "../siphash";
import { SIX } from "./connection";

/**
 * Returns the connection or TIME-WAIT record of these addresses and ports, which are as in a packet of the peer's; 0 if
 * there is none.
 */
export function find(addresses: usize, six: bool, ports: u32): usize {
  if (!load<u32>(MAX_CONNECTIONS)) return 0;
  let c: usize = load<u32>(entryOf(addresses, six, ports));
  while (c && !isOf(c, addresses, six, ports)) c = load<u32>(c, NEXT);
  return c;
}

/** Puts a connection or TIME-WAIT record into the table, by its key. */
export function insert(c: usize): void {
  const entry = entryOf(c + ADDRESSES, isSix(c), load<u32>(c, PORTS));
  store<u32>(c, load<u32>(entry), NEXT);
  store<u32>(entry, <u32>c);
}

/** Takes a connection or TIME-WAIT record out of the table. */
export function remove(c: usize): void {
  const entry = entryOf(c + ADDRESSES, isSix(c), load<u32>(c, PORTS));
  let at: usize = load<u32>(entry);
  if (at == c) {
    store<u32>(entry, load<u32>(c, NEXT));
    return;
  }
  while (<usize>load<u32>(at, NEXT) != c) at = load<u32>(at, NEXT);
  store<u32>(at, load<u32>(c, NEXT), NEXT);
}

/** Takes a control block, all zero, and returns its address; 0 if there is none. */
export function allocate(): usize {
  let c: usize = load<u32>(CONNECTIONS_FREE);
  if (c) {
    store<u32>(CONNECTIONS_FREE, load<u32>(c, NEXT));
    memory.fill(c, 0, CONNECTION_SIZE);
  } else {
    const touched = load<u32>(CONNECTIONS_TOUCHED);
    if (touched == load<u32>(MAX_CONNECTIONS)) return 0;
    store<u32>(CONNECTIONS_TOUCHED, touched + 1);
    c = <usize>load<u32>(CONNECTIONS) + <usize>touched * CONNECTION_SIZE;
    // What an earlier packet loop left, if that crashed.
    memory.fill(c, 0, CONNECTION_SIZE);
  }
  store<u32>(CONNECTION_COUNT, load<u32>(CONNECTION_COUNT) + 1);
  add(Counter.tcpConnections, 1);
  return c;
}

/** Gives back a control block that is not in the table any more. */
export function release(c: usize): void {
  store<u8>(c, <u8>State.CLOSED, STATE);
  store<u32>(c, load<u32>(CONNECTIONS_FREE), NEXT);
  store<u32>(CONNECTIONS_FREE, <u32>c);
  store<u32>(CONNECTION_COUNT, load<u32>(CONNECTION_COUNT) - 1);
  add(Counter.tcpConnections, -1);
}

function isOf(c: usize, addresses: usize, six: bool, ports: u32): bool {
  if (load<u32>(c, PORTS) != ports || load<u64>(c, ADDRESSES) != load<u64>(addresses)) return false;
  if (!six) return !isSix(c);
  return isSix(c) && load<u64>(c, ADDRESSES + 8) == load<u64>(addresses, 8)
    && load<u64>(c, ADDRESSES + 16) == load<u64>(addresses, 16)
    && load<u64>(c, ADDRESSES + 24) == load<u64>(addresses, 24);
}

function isSix(c: usize): bool {
  return (load<u8>(c, FLAGS) & SIX) != 0;
}

/** Returns the address of the table's entry. */
function entryOf(addresses: usize, six: bool, ports: u32): usize {
  const hash = <u32>siphash(HASH_KEY, addresses, six, ports, 0, 1, 3);
  return <usize>load<u32>(HASH) + (<usize>(hash & load<u32>(HASH_MASK)) << 2);
}
