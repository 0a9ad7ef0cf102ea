/** From a frame to the IP packet in it, for the link types of tcpdump's LINKTYPE list (tcpdump.org/linktypes.html) that are read. */

const ETHERTYPE_IP = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
/** 802.1Q and 802.1ad: two bytes of tag, and then the type of what follows. */
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_QINQ = 0x88a8;

/** The packet, with whatever padding follows it; undefined where the frame carries no IP. */
type ToPacket = (frame: Uint8Array) => Uint8Array | undefined;

/** By LINKTYPE_ value. */
export const LINK_TYPES: ReadonlyMap<number, ToPacket> = new Map<number, ToPacket>([
  // LINKTYPE_ETHERNET: two addresses, the type.
  [1, (frame) => payload(frame, 12, 14)],
  // LINKTYPE_RAW, LINKTYPE_IPV4, LINKTYPE_IPV6, and the DLT_RAW of some systems, in files written before LINKTYPE_RAW.
  ...[101, 228, 229, 12, 14].map((linkType) => [linkType, (frame: Uint8Array) => frame] as const),
  // LINKTYPE_LINUX_SLL: packet type, ARPHRD_ type, address length, address, the protocol.
  [113, (frame) => payload(frame, 14, 16)],
  // LINKTYPE_LINUX_SLL2: the protocol, reserved, interface index, ARPHRD_ type, packet type, address length, address.
  [276, (frame) => payload(frame, 0, 20)],
]);

/** What begins at `start`, of the type that is at `typeAt`, without the tags before it. */
function payload(frame: Uint8Array, typeAt: number, start: number): Uint8Array | undefined {
  let etherType = uint16(frame, typeAt);
  let at = start;
  while (etherType === ETHERTYPE_VLAN || etherType === ETHERTYPE_QINQ) {
    etherType = uint16(frame, at + 2);
    at += 4;
  }
  return (etherType === ETHERTYPE_IP || etherType === ETHERTYPE_IPV6) && at <= frame.length ? frame.subarray(at) : undefined;
}

/** NaN, which is no type, where the frame ends before it. */
function uint16(frame: Uint8Array, at: number): number {
  return at + 2 <= frame.length ? frame[at] << 8 | frame[at + 1] : NaN;
}
