// IPv6 extension headers, RFC 8200 §4. Shapes alone. The caller knows that MIN_LEN bytes are there.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   ├───────────────┬───────────────┬───────────────────────────────┤
//  0│  next header  │  hdr ext len  │      options …                │  hop-by-hop, destination
//   ├───────────────┼───────────────┼───────────────┬───────────────┤
//  0│  next header  │  hdr ext len  │ routing type  │ segments left │  routing, with data behind
//   ├───────────────┼───────────────┼───────────────┴─────────┬───┬─┤
//  0│  next header  │   reserved    │     fragment offset     │res│M│  fragment
//   ├───────────────┴───────────────┴─────────────────────────┴───┴─┤
//  4│                        identification                         │
//
// A header is 8 bytes times (hdr ext len + 1) long, a fragment header 8 bytes.

import { load16 } from "../bytes";

export const HOP_BY_HOP: u32 = 0;
export const ROUTING: u32 = 43;
export const FRAGMENT: u32 = 44;
export const DESTINATION: u32 = 60;
/** RFC 4302 §2: its length field counts units of 4 bytes, minus 2. */
const AUTHENTICATION: u32 = 51;

export const MIN_LEN: u32 = 8;
/** Offset of the first option. */
export const OPTIONS_AT: u32 = 2;
/** Offsets of these fields, for an error that points at them. */
export const ROUTING_TYPE_AT: u32 = 2;
export const FRAGMENT_OFFSET_AT: u32 = 2;

export const PAD1: u32 = 0;
export const PADN: u32 = 1;

export function isExtension(nextHeader: u32): bool {
  return nextHeader == HOP_BY_HOP || nextHeader == ROUTING || nextHeader == FRAGMENT || nextHeader == DESTINATION;
}

export function nextHeader(extension: usize): u32 {
  return load<u8>(extension);
}

/** Returns the header's length in bytes. `number` is the header's own number. */
export function len(extension: usize, number: u32): u32 {
  return number == FRAGMENT ? MIN_LEN : (<u32>load<u8>(extension, 1) + 1) << 3;
}

export function segmentsLeft(routing: usize): u32 {
  return load<u8>(routing, 3);
}

/** Returns the offset in bytes. */
export function fragmentOffset(fragment: usize): u32 {
  return load16(fragment + 2) & 0xfff8;
}

export function moreFragments(fragment: usize): bool {
  return (load<u8>(fragment, 3) & 1) != 0;
}

/** Returns the identification as it lies in memory. */
export function identification(fragment: usize): u32 {
  return load<u32>(fragment, 4);
}

/** Makes a fragment header. `identification` is given as it lies in memory. */
export function setFragment(fragment: usize, nextHeader: u32, offset: u32, more: bool, identification: u32): void {
  store<u32>(fragment, <u32>bswap<u16>(<u16>(offset | u32(more))) << 16 | nextHeader);
  store<u32>(fragment, identification, 4);
}

/**
 * Returns the address of the byte that has the number of the first fragment header. `extension` is the first extension
 * header, and `field` has its number. The caller knows that there is a fragment header.
 */
export function fragmentField(field: usize, extension: usize): usize {
  for (let number = nextHeader(field); number != FRAGMENT; number = nextHeader(field)) {
    field = extension;
    extension += len(extension, number);
  }
  return field;
}

export function optionType(option: usize): u32 {
  return load<u8>(option);
}

/** Returns the bytes of data behind type and length. All options but Pad1 have these. */
export function optionDataLen(option: usize): u32 {
  return load<u8>(option, 1);
}

/** §4.2: returns the action for a packet with an unknown option of this type. */
export function action(optionType: u32): u32 {
  return optionType >>> 6;
}

/**
 * Skips the header `number` at `extension` and all extension headers behind it. Returns the number of what follows in
 * the upper half, and its address in the lower one. That address is beyond `end` if the headers do not end before. In a
 * fragment other than the first it stops at the fragment header, since anything may be behind that.
 */
export function behind(extension: usize, number: u32, end: usize): u64 {
  let at = extension;
  while ((isExtension(number) || number == AUTHENTICATION) && at + MIN_LEN <= end) {
    if (number == FRAGMENT && fragmentOffset(at)) break;
    const next = nextHeader(at);
    at += number == AUTHENTICATION ? (<u32>load<u8>(at, 1) + 2) << 2 : len(at, number);
    number = next;
  }
  return <u64>number << 32 | at;
}
