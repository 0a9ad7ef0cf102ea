// MAC addresses of the prefixes' addresses: one for all, or one each. They are unicast and locally administered
// in either case. One each begins with 02:70 and ends with the IPv4 address, or begins with 02:76 and ends with
// 32 bits mixed from the IPv6 address. Two addresses with the same MAC address do no harm, since a frame is
// judged by its IP destination as well.

import { MAC, MAC_POLICY, MacPolicy } from "../abi/control";
import { load48 } from "./wire/ethernet";

const FIRST_BYTES: u64 = 0x7002;
const FIRST_BYTES6: u64 = 0x7602;

/** Returns the MAC address of the IPv4 address at `addr`, as load48() reads it from a frame. */
export function mac(addr: usize): u64 {
  return load<u32>(MAC_POLICY) == MacPolicy.shared ? load48(MAC) : FIRST_BYTES | <u64>load<u32>(addr) << 16;
}

/** Returns the MAC address of the IPv6 address at `addr`, as load48() reads it from a frame. */
export function mac6(addr: usize): u64 {
  return load<u32>(MAC_POLICY) == MacPolicy.shared ? load48(MAC) : FIRST_BYTES6 | <u64>mix(addr) << 16;
}

/**
 * Mixes an IPv6 address into 32 bits. Each word affects all bits above its own, and the last rotation brings them down.
 */
function mix(addr: usize): u32 {
  let bits: u32 = 0;
  for (let i: u32 = 0; i < 16; i += 4) bits = rotl<u32>((bits ^ load<u32>(addr + i)) * 0x9e3779b1, 15);
  return bits;
}
