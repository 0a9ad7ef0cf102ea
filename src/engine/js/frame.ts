/**
 * Ethernet frames as words, in memory order: what assembly/wire/ethernet.ts and assembly/mac.ts are to the other
 * engine. `at` is the index of a slot's first word; a frame begins two bytes behind it (FRAME_OFFSET), so that an IP
 * packet in it begins with a word.
 *
 *      at            at + 1                at + 2                at + 3              at + 4 + tags
 *     ┌──────┬──────┬─────────────────────┬─────────────────────┬──────┬───────────┬────────────────
 *     │  –   │ destination                │ source                     │ EtherType │ tags … packet
 *     └──────┴──────┴─────────────────────┴─────────────────────┴──────┴───────────┴────────────────
 *
 * A MAC address is two numbers: `start`, its first two bytes as a u16, and `rest`, the other four as an i32. It lies in
 * words in one of two ways: late, from the upper half of a word on (the destination), or early, up to the lower half of
 * the next (the source).
 */
import { MAC, MAC_POLICY, MacPolicy } from "../../../abi/control.js";

// ../js.ts says why imported constants are defined anew. An imported function costs as much, so the
// predicates are closures too.
const MAC_POLICY_WORD = MAC_POLICY / 4;
/** Word index of the shared MAC address, which lies late. */
const SHARED_WORD = (MAC - 2) / 4;
const SHARED = MacPolicy.shared as number;

/** First bytes of an address's own MAC address: 02:70 for an IPv4 address, 02:76 for an IPv6 one. */
const OWN_START = 0x7002;
const OWN_START6 = 0x7602;

/** Offsets of a frame's parts, in words from its slot's first word. */
const DESTINATION = 0;
const SOURCE = 2;
const TYPE = 3;

export type Frames = ReturnType<typeof createFrames>;

export function createFrames(i32: Int32Array) {
  /** Returns the EtherType behind so many tags, or the type of the tag in its place. */
  const typeBehind = (at: number, tags: number) => i32[at + TYPE + tags] >>> 16;

  // These read a MAC address from two words, of which `word` is the first.
  const earlyStart = (word: number) => i32[word] & 0xffff;
  const earlyRest = (word: number) => i32[word] >>> 16 | i32[word + 1] << 16;
  const lateStart = (word: number) => i32[word] >>> 16;
  const lateRest = (word: number) => i32[word + 1];

  const sourceStart = (at: number) => earlyStart(at + SOURCE);
  const sourceRest = (at: number) => earlyRest(at + SOURCE);
  const destinationStart = (at: number) => lateStart(at + DESTINATION);
  const destinationRest = (at: number) => lateRest(at + DESTINATION);

  function setDestination(at: number, start: number, rest: number): void {
    i32[at + DESTINATION] = i32[at + DESTINATION] & 0xffff | start << 16;
    i32[at + DESTINATION + 1] = rest;
  }

  function setSource(at: number, start: number, rest: number): void {
    i32[at + SOURCE] = start | rest << 16;
    i32[at + SOURCE + 1] = i32[at + SOURCE + 1] & 0xffff0000 | rest >>> 16;
  }

  /** Returns whether the address is a group's. Its lowest bit, which is sent first, says so (IEEE 802 §8.2.2). */
  function isGroup(start: number): boolean {
    return (start & 1) !== 0;
  }

  /** Returns whether the address is one interface's: no group's, and not all zero. */
  function isStation(start: number, rest: number): boolean {
    return !isGroup(start) && (start | rest) !== 0;
  }

  /** Returns whether the address is that of an interface other than `ownStart`, `ownRest`. */
  function isPeer(start: number, rest: number, ownStart: number, ownRest: number): boolean {
    return isStation(start, rest) && !(start === ownStart && rest === ownRest);
  }

  const isShared = () => i32[MAC_POLICY_WORD] === SHARED;
  // These return the MAC address of an IPv4 address, given as a word.
  const macStart = () => isShared() ? lateStart(SHARED_WORD) : OWN_START;
  const macRest = (addr: number) => isShared() ? lateRest(SHARED_WORD) : addr;
  // These return the MAC address of an IPv6 address, given as the index of its first word.
  const macStart6 = () => isShared() ? lateStart(SHARED_WORD) : OWN_START6;

  function macRest6(addr: number): number {
    if (isShared()) return lateRest(SHARED_WORD);
    let bits = 0;
    for (let i = 0; i < 4; i++) {
      const product = Math.imul(bits ^ i32[addr + i], 0x9e3779b1);
      bits = product << 15 | product >>> 17;
    }
    return bits;
  }

  return {
    typeBehind, earlyStart, earlyRest, lateStart, lateRest, sourceStart, sourceRest, destinationStart, destinationRest,
    setDestination, setSource, isGroup, isStation, isPeer, macStart, macRest, macStart6, macRest6,
  };
}
