// ARP packet for IPv4 over Ethernet, RFC 826. Shapes alone. The caller knows that LEN bytes are there.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   ├───────────────────────────────┼───────────────────────────────┤
//  0│    hardware address space     │    protocol address space     │
//   ├───────────────┬───────────────┼───────────────────────────────┤
//  4│hardware length│protocol length│            opcode             │
//   ├───────────────┴───────────────┴───────────────────────────────┤
//  8│                    sender hardware address                    │
//   │                               ┌───────────────────────────────┤
// 12│                               │    sender protocol address    │
//   │                               ├───────────────────────────────┤
// 16│                               │    target hardware address    │
//   ├───────────────────────────────┘                               │
// 20│                                                               │
//   ├───────────────────────────────────────────────────────────────┤
// 24│                    target protocol address                    │

import { load48, store48 } from "./ethernet";

export const LEN: u32 = 28;

/** Ethernet, IPv4, and addresses of 6 and 4 bytes, as they lie in memory. The opcode follows. */
const IPV4_OVER_ETHERNET: u64 = 0x0000_0406_0008_0100;
const IPV4_OVER_IEEE802: u64 = 0x0000_0406_0008_0600;
const REQUEST: u64 = 0x0100_0000_0000_0000;
const REPLY: u64 = 0x0200_0000_0000_0000;

/**
 * Returns whether it is a request over Ethernet or over IEEE 802 networks. Some stations on an Ethernet send the
 * latter, and Linux takes both there.
 */
export function isRequest(arp: usize): bool {
  const word = load<u64>(arp);
  return word == (IPV4_OVER_ETHERNET | REQUEST) || word == (IPV4_OVER_IEEE802 | REQUEST);
}

/** Pointer to the sender's MAC address. */
export function senderMac(arp: usize): usize {
  return arp + 8;
}

/** Pointer to the sender's IPv4 address. */
export function sender(arp: usize): usize {
  return arp + 14;
}

/** Pointer to the target's IPv4 address. */
export function target(arp: usize): usize {
  return arp + 24;
}

/** Turns a request into the reply to it, over Ethernet: the target has this MAC address. */
export function setReply(arp: usize, mac: u64): void {
  store<u64>(arp, IPV4_OVER_ETHERNET | REPLY);
  const asked = load<u32>(target(arp));
  store<u32>(target(arp), load<u32>(sender(arp)));
  store48(arp + 18, load48(senderMac(arp)));
  store48(senderMac(arp), mac);
  store<u32>(sender(arp), asked);
}
