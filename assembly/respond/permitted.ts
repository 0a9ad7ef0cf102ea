// Whether an ICMP error may be sent: RFC 1122 §3.2.2, RFC 4443 §2.4, and the limits.

import { NOW } from "../../abi/control";
import { Counter } from "../../abi/counters";
import { BUCKET_SIZE, ERROR_BUCKETS, ERROR_BURST, ERRORS_PER_MS } from "../../abi/limits";
import { ANSWER_ERRORS } from "../../abi/tables";
import { permitsPrefix, permitsSource, take } from "../limit";
import { add, spare } from "../memory";
import { answers } from "../packet";
import * as extension from "../wire/extension";
import * as icmp from "../wire/icmp";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";

/** RFC 1122 §3.2.2: no error is about an error, or about any fragment but the first. */
export function maySpeakOf(ip: usize): bool {
  return !ipv4.fragmentOffset(ip) && (ipv4.protocol(ip) != ipv4.PROTOCOL_ICMP || isQuery(ip));
}

/** Returns whether the ICMP message is a query. A message without a first byte is none. */
function isQuery(ip: usize): bool {
  const headerLen = ipv4.headerLen(ip);
  return ipv4.totalLen(ip) > headerLen && icmp.isQuery(ip + headerLen);
}

/** RFC 4443 §2.4 e: no error is about the error behind all extension headers. A missing message is none. */
export function maySpeakOf6(ip: usize): bool {
  const end = ip + ipv6.HEADER_LEN + ipv6.payloadLen(ip);
  const found = extension.behind(ip + ipv6.HEADER_LEN, ipv6.nextHeader(ip), end);
  const msg = <usize><u32>found;
  return found >>> 32 != ipv6.ICMPV6 || msg >= end || !icmpv6.isError(icmpv6.type(msg));
}

/**
 * Returns whether an error of this kind may be sent about the packet and there is a slot for it. `kind` counts from
 * ERRORS, and so includes ICMPv6's kinds. If `own` is not 0, it is a bucket of the router that speaks, which gains
 * `perMs` and holds `most`.
 */
export function mayError(packet: usize, ip: usize, kind: u32, own: usize = 0, perMs: f64 = 0, most: f64 = 0): bool {
  const limits = answers(packet);
  if (!(limits & ANSWER_ERRORS) || !spare()) return false;
  const now = load<u64>(NOW);
  // An error that a router withholds takes nothing from its prefix, and one about a source above its rate nothing from
  // the router.
  if (permitsSource(packet, ip, limits) && (!own || take(own, perMs, most, now)) && permitsPrefix(packet, limits)
    && take(ERROR_BUCKETS + kind * BUCKET_SIZE, ERRORS_PER_MS, ERROR_BURST, now)) return true;
  add(Counter.errorsLimited, 1);
  return false;
}
