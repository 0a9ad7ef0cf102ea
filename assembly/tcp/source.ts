// The sources of connections: an IPv4 address, or an IPv6 /64, which is what one host may have.

import { SEED } from "../../abi/control";
import { SOURCES } from "../../abi/limits";
import { mix } from "../limit";

/** Returns a hash, below SOURCES, of the source whose address comes first at `addresses`. */
export function sourceOf(addresses: usize, six: bool): u32 {
  const low: u32 = six ? load<u32>(addresses, 4) : 4;
  return mix(mix(load<u32>(addresses) ^ load<u32>(SEED)) ^ low) & (SOURCES - 1);
}
