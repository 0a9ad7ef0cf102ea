// A way of a link, with the state and the counters that belong to it.

import { HOP_LINK, HOP_LINK_STATE, HOP_STATE } from "../../abi/hops";
import {
  EFFECTS_AT, LINK_STATE_SIZE, LINK_STATES_AT, MAX_EFFECTS, PREFIX_EFFECTS_SIZE, WAY_STATE_SIZE,
} from "../../abi/links";
import { FIRST_PREFIX, PREFIX_LINK } from "../../abi/tables";
import { MAX_LINKS, NO_STATE, WAY_SIZE, WAY_STATE } from "../../abi/ways";
import { table } from "../prefix";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import { Copy } from "./copy";
import { cross } from "./cross";

/** The ways of a link. */
export const IN: u32 = 0;
export const OUT: u32 = 1;

/** Returns a way of a prefix's link. */
export function wayOf(prefix: i32, direction: u32): usize {
  return <usize>load<u32>(table() + (<usize>(prefix - FIRST_PREFIX) << 2), PREFIX_LINK) + direction * WAY_SIZE;
}

/**
 * Has a packet of `len` bytes go through a way of the link to a hop, or to the prefix if that is 0, from `from` on, as
 * cross() does.
 */
export function pass(prefix: i32, hop: usize, direction: u32, from: u64, ip: usize, len: u32, copy: Copy): u64 {
  const index = <u32>(prefix - FIRST_PREFIX);
  const way = hop ? <usize>load<u32>(hop, HOP_LINK) + direction * WAY_SIZE : wayOf(prefix, direction);
  const named = load<u32>(way, WAY_STATE);
  const states: usize = load<u32>(LINK_STATES_AT);
  let state: usize;
  if (named != NO_STATE) state = states + named * LINK_STATE_SIZE;
  else if (hop) state = <usize>load<u32>(hop, HOP_STATE) + HOP_LINK_STATE;
  else state = states + (MAX_LINKS + index) * LINK_STATE_SIZE;
  state += direction * WAY_STATE_SIZE;
  const effects = load<u32>(EFFECTS_AT) + index * PREFIX_EFFECTS_SIZE + direction * (MAX_EFFECTS << 3);
  return cross(way, state, from, len, isEcnCapable(ip), copy, effects);
}

/** RFC 3168 §5: returns whether the packet can be marked, or has been. */
function isEcnCapable(ip: usize): bool {
  return (ipv4.version(ip) == 6 ? ipv6.ecn(ip) : ipv4.ecn(ip)) != 0;
}
