// One packet of the slow path: has it judged, carries out the verdict and counts it.

import { CONTEXT, UNJUDGED } from "../abi/control";
import { DROPPED } from "../abi/counters";
import { LINKED } from "../abi/tables";
import { ipv4Input } from "./judge/ipv4";
import { ipv6Input } from "./judge/ipv6";
import * as kept from "./kept";
import { goBackFrom, leave } from "./link/link";
import { add, answered, free, queue } from "./memory";
import { answers, begin, family, owner, protocol, setCrossed, setFamily, setRoute } from "./packet";
import { isDrop, isReply, KEPT, reason, SPOILT } from "./verdict";
import * as ipv4 from "./wire/ipv4";

/** Returns whose packet it is by its version, 4 or 6. What is neither is for IPv4's judge to drop. */
export function familyOf(ip: usize): u32 {
  return ipv4.version(ip) == 6 ? 6 : 4;
}

/** Has the packet of `length` bytes judged whose context is at CONTEXT. */
export function carryOut(ip: usize, length: u32): void {
  let verdict = input(ip, length);
  if (verdict == SPOILT) {
    setFamily(CONTEXT, familyOf(ip));
    verdict = input(ip, length);
  }
  if (isReply(verdict)) {
    if (answers(CONTEXT) & LINKED) {
      leave(CONTEXT, ip, verdict);
    } else {
      answered(protocol(CONTEXT), owner(CONTEXT), 1);
      queue(ip, verdict);
    }
  } else if (verdict != KEPT) {
    free(ip);
    if (isDrop(verdict)) add(DROPPED + reason(verdict), 1);
  }
}

/** Has a packet judged that comes now, after it was kept for that. */
export function arrived(record: usize): void {
  const ip = kept.packetOf(record);
  kept.arrived();
  begin(CONTEXT, ip, familyOf(ip));
  setCrossed(CONTEXT);
  setRoute(CONTEXT, kept.routeOf(record));
  const unjudged = reserve();
  carryOut(ip, kept.lengthOf(record));
  store<u32>(UNJUDGED, unjudged);
}

/** Has an error of a hop go back, after it was kept for that. */
export function returned(record: usize): void {
  kept.returned();
  const unjudged = reserve();
  goBackFrom(
    kept.ownerOf(record), kept.routeOf(record), kept.placeOf(record), kept.packetOf(record), kept.lengthOf(record),
  );
  store<u32>(UNJUDGED, unjudged);
}

/** The caller has seen that there is room for one packet. Nothing else may take that. Returns what UNJUDGED was. */
function reserve(): u32 {
  const unjudged = load<u32>(UNJUDGED);
  store<u32>(UNJUDGED, unjudged + 1);
  return unjudged;
}

function input(ip: usize, length: u32): i32 {
  return family(CONTEXT) == 6 ? ipv6Input(CONTEXT, ip, length) : ipv4Input(CONTEXT, ip, length);
}
