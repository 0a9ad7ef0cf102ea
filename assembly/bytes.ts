// Big-endian loads.

export function load16(p: usize): u32 {
  return (<u32>load<u8>(p) << 8) | load<u8>(p, 1);
}
