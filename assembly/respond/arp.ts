// ARP, RFC 826 and RFC 5227: requests for addresses of the prefixes are answered, and nothing is learnt from them.
// ../ethernet.ts has the frames.

import { Drop, Protocol } from "../../abi/counters";
import { FIRST_PREFIX, INVALID, NOBODY } from "../../abi/tables";
import { mac } from "../mac";
import { answered, queue } from "../memory";
import { owner, table } from "../prefix";
import { DONE, drop } from "../verdict";
import * as wire from "../wire/arp";
import * as ethernet from "../wire/ethernet";

export function arp(frame: usize, headerLen: u32, length: u32): i32 {
  if (length < headerLen + wire.LEN) return drop(Drop.pkt_too_small);
  const packet = frame + headerLen;
  if (!wire.isRequest(packet)) return drop(Drop.arp_invalid);
  if (!ethernet.isStation(wire.senderMac(packet))) return drop(Drop.mac_invalid_source);
  const sender = wire.sender(packet);
  const target = wire.target(packet);
  // RFC 5227 §2.1.1: the sender is about to take the address. An owner would object, but pongd owns none.
  if (load<u32>(sender) == 0) return drop(Drop.arp_probe);
  if (owner(table(), sender) != NOBODY) return drop(Drop.martian_source);
  if (load<u32>(sender) == load<u32>(target)) return drop(Drop.arp_announcement);
  const prefix = owner(table(), target);
  if (prefix < FIRST_PREFIX) return prefix == INVALID ? drop(Drop.ip_invalid_dest) : drop(Drop.not_our_prefix);
  const own = mac(target);
  // A neighbour that already has the MAC address may ask it alone. An interface hears no multicast group but broadcast.
  if (!ethernet.isBroadcast(ethernet.dstMac(frame)) && ethernet.load48(ethernet.dstMac(frame)) != own) {
    return drop(Drop.otherhost);
  }
  if (!ethernet.isPeer(ethernet.srcMac(frame), own) || !ethernet.isPeer(wire.senderMac(packet), own)) {
    return drop(Drop.mac_invalid_source);
  }

  ethernet.store48(ethernet.dstMac(frame), ethernet.load48(wire.senderMac(packet)));
  ethernet.store48(ethernet.srcMac(frame), own);
  wire.setReply(packet, own);
  answered(Protocol.arp, prefix, 1);
  queue(frame, headerLen + wire.LEN);
  return DONE;
}
