// Neighbor discovery, RFC 4861 §7.1.1, §7.2.3, §7.2.4, §7.2.8: solicitations for addresses of the prefixes are answered
// as a proxy does, which overrides nobody. Nothing is learnt from them. ../ethernet.ts has the frames.
//
// The answer to a multicast solicitation has the link-layer address option (§7.2.4). It goes to the frame's source if
// the solicitation has no such option. The answer to a unicast solicitation has the option if the solicitation has it.

import { Drop, Protocol } from "../../abi/counters";
import { FIRST_PREFIX, INVALID, NOBODY } from "../../abi/tables";
import { checksum, holds, sumScalar } from "../checksum";
import { mac6 } from "../mac";
import { answered, queue } from "../memory";
import { owner6, table } from "../prefix";
import { DONE, drop } from "../verdict";
import * as ethernet from "../wire/ethernet";
import * as ipv6 from "../wire/ipv6";
import * as ndp from "../wire/ndp";

const HOP_LIMIT: u32 = 255;

/** Returns whether a packet of that length is a solicitation. One in a fragment does not count (RFC 6980 §5). */
export function isSolicitation(ip: usize, length: u32): bool {
  return length > ipv6.HEADER_LEN && ipv6.nextHeader(ip) == ipv6.ICMPV6
    && load<u8>(ip, ipv6.HEADER_LEN) == ndp.SOLICITATION;
}

export function neighbor(frame: usize, headerLen: u32, length: u32): i32 {
  const ip = frame + headerLen;
  const msgLen = ipv6.payloadLen(ip);
  if (msgLen < ndp.LEN || msgLen > length - headerLen - ipv6.HEADER_LEN) return drop(Drop.pkt_too_small);
  const msg = ip + ipv6.HEADER_LEN;
  if (ipv6.hopLimit(ip) != HOP_LIMIT) return drop(Drop.ipv6_ndisc_hop_limit);
  if (!holds(ipv6.pseudoSum(ip, ipv6.ICMPV6, msgLen) + sumScalar(msg, msgLen))) return drop(Drop.icmp_csum);
  if (ndp.code(msg) != 0) return drop(Drop.ipv6_ndisc_bad_code);

  let source: usize = 0;
  for (let option = msg + ndp.LEN, end = msg + msgLen; option < end; option += ndp.optionLen(option)) {
    if (option + 2 > end || ndp.optionLen(option) == 0 || option + ndp.optionLen(option) > end) {
      return drop(Drop.ipv6_ndisc_bad_options);
    }
    if (!ndp.isSourceOption(option)) continue;
    if (ndp.optionLen(option) != ndp.OPTION_LEN) return drop(Drop.ipv6_ndisc_bad_options);
    source = ndp.linkAddress(option);
  }
  const target = ndp.target(msg);
  const dst = ipv6.dstAddr(ip);
  const multicast = load<u8>(dst) == 0xff;
  if (multicast ? !ndp.isSolicitedNode(dst, target) : !ipv6.isSame(dst, target)) {
    return drop(Drop.ipv6_ndisc_ns_otherhost);
  }
  const unspecified = ndp.isUnspecified(ipv6.srcAddr(ip));
  if (multicast && unspecified && source) return drop(Drop.ipv6_ndisc_bad_options);
  // RFC 4862 §5.4.3: the sender is about to take the address. An owner would object, but pongd owns none.
  if (multicast && unspecified) return drop(Drop.ndisc_probe);
  if (owner6(table(), ipv6.srcAddr(ip)) != NOBODY) return drop(Drop.martian_source);
  const prefix = owner6(table(), target);
  if (prefix < FIRST_PREFIX) return prefix == INVALID ? drop(Drop.ip_invalid_dest) : drop(Drop.not_our_prefix);
  const own = mac6(target);
  const to = ethernet.load48(ethernet.dstMac(frame));
  if (to != own && !(multicast && to == ndp.multicastMac(dst))) return drop(Drop.otherhost);
  if (!ethernet.isPeer(ethernet.srcMac(frame), own) || (source && !ethernet.isPeer(source, own))) {
    return drop(Drop.mac_invalid_source);
  }

  ethernet.store48(ethernet.dstMac(frame), ethernet.load48(source ? source : ethernet.srcMac(frame)));
  ethernet.store48(ethernet.srcMac(frame), own);
  const replyLen = multicast || source ? ndp.LEN + ndp.OPTION_LEN : ndp.LEN;
  ndp.setAdvertisement(msg);
  if (multicast || source) ndp.setTargetOption(msg, own);
  ipv6.swapAddrs(ip);
  ipv6.setHeader(ip, replyLen, ipv6.ICMPV6, HOP_LIMIT, target, ipv6.dstAddr(ip));
  store<u16>(msg, checksum(ipv6.pseudoSum(ip, ipv6.ICMPV6, replyLen) + sumScalar(msg, replyLen)), 2);
  answered(Protocol.ndisc, prefix, 1);
  queue(frame, headerLen + ipv6.HEADER_LEN + replyLen);
  return DONE;
}
