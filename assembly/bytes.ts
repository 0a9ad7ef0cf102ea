// Big-endian loads.

export function load16(p: usize): u32 {
  return bswap<u16>(load<u16>(p));
}

export function load32(p: usize): u32 {
  return bswap<u32>(load<u32>(p));
}
