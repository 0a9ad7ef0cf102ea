// Options of the IPv4 header that are malformed (RFC 791 §3.1, RFC 1122 §3.2.1.8), found as Linux does.

import * as ipv4 from "../wire/ipv4";
import * as options from "../wire/options";

export const ADDRESS_LEN: u32 = 4;
export const TIME_LEN: u32 = 4;
const ROUTER_ALERT_LEN: u32 = 4;

/** Returns the address of the byte that is wrong, or 0. */
export function malformed(ip: usize): usize {
  const end = ip + ipv4.headerLen(ip);
  for (let option = ip + ipv4.MIN_HEADER_LEN; option < end && options.type(option) != options.END;) {
    if (options.type(option) == options.NO_OPERATION) { option++; continue; }
    if (option + 1 == end || options.len(option) < 2 || option + options.len(option) > end) return option;
    const fault = malformedOption(ip, option);
    if (fault) return fault;
    option += options.len(option);
  }
  return 0;
}

/**
 * Returns the address of the wrong byte of one option, or 0. The caller has checked that its length, at least 2, and
 * those of all options before it lie within the header.
 */
function malformedOption(ip: usize, option: usize): usize {
  const repeated = options.find(ip, options.kind(option)) != option;
  switch (options.kind(option)) {
    case options.RECORD_ROUTE:
      if (repeated) return option;
      return malformedSlots(option, options.ROUTE_HEADER_LEN, ADDRESS_LEN);
    case options.TIMESTAMP:
      if (repeated) return option;
      if (options.len(option) < options.TIMESTAMP_HEADER_LEN) return option + 1;
      if (isCounted(option) && options.overflow(option) == options.MAX_OVERFLOW) return option + 3;
      return malformedSlots(option, options.TIMESTAMP_HEADER_LEN, options.timestampSlotLen(option));
    case options.LOOSE_SOURCE_ROUTE: {
      const fault = malformedSlots(option, options.ROUTE_HEADER_LEN, 1);
      return !fault && repeated ? option : fault;
    }
    case options.ROUTER_ALERT:
      return options.len(option) < ROUTER_ALERT_LEN ? option + 1 : 0;
    // RFC 1122 §3.2.1.8: an unknown option is ignored.
    default:
      return 0;
  }
}

function malformedSlots(option: usize, headerLen: u32, slotLen: u32): usize {
  if (options.len(option) < headerLen) return option + 1;
  if (options.pointer(option) <= headerLen) return option + 2;
  // RFC 791 §3.1: it is an error if there is room, but not enough for a slot.
  const room = options.room(option);
  return room && room < slotLen ? option + 2 : 0;
}

/**
 * Returns whether the overflow has to count this host because there is no room for its time. A Timestamp with
 * prespecified addresses asks other hosts, so it misses none.
 */
export function isCounted(option: usize): bool {
  return !options.room(option) && options.flag(option) != options.PRESPECIFIED;
}
