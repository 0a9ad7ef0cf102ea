// Tells senders what is not to be reached here, by the error that their family has for it.

import { IcmpError } from "../../abi/counters";
import { family } from "../packet";
import * as icmp from "../wire/icmp";
import * as icmpv6 from "../wire/icmpv6";
import { error } from "./error";
import { error6 } from "./error6";

/** Nobody listens at the port. */
export function portUnreachable(packet: usize, ip: usize): void {
  const kind = IcmpError.port_unreachable;
  if (family(packet) == 6) error6(packet, ip, kind, icmpv6.DESTINATION_UNREACHABLE, icmpv6.PORT_UNREACHABLE, 0);
  else error(packet, ip, kind, icmp.DESTINATION_UNREACHABLE, icmp.PORT_UNREACHABLE, 0);
}

/** Nobody here speaks the protocol whose number is in the field at `field`. */
export function protocolUnreachable(packet: usize, ip: usize, field: usize): void {
  if (family(packet) == 6) error6(
    packet, ip, IcmpError.parameter_problem, icmpv6.PARAMETER_PROBLEM, icmpv6.UNRECOGNIZED_NEXT_HEADER,
    <u32>(field - ip),
  );
  else error(
    packet, ip, IcmpError.protocol_unreachable, icmp.DESTINATION_UNREACHABLE, icmp.PROTOCOL_UNREACHABLE, 0,
  );
}
