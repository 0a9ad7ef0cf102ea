// Big-endian loads and stores. An offset must be a constant where it is used, so it becomes the instruction's immediate.

export function load16(p: usize): u32 {
  return bswap<u16>(load<u16>(p));
}

export function load32(p: usize): u32 {
  return bswap<u32>(load<u32>(p));
}

export function store16(p: usize, value: u32): void {
  store<u16>(p, bswap<u16>(<u16>value));
}
