/** Finds the IP packet in a frame, for some link types of tcpdump's LINKTYPE list (tcpdump.org/linktypes.html). */

const ETHERTYPE_IP = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
/** Numbers of address families in BSDs: IPv4, then IPv6 in NetBSD and OpenBSD, in FreeBSD, and in Darwin. */
const BSD_FAMILIES = [2, 24, 28, 30];
/** 802.1Q and 802.1ad: two bytes of tag, then the type of what follows. */
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_QINQ = 0x88a8;

/** Returns the packet and any padding behind it; undefined if the frame carries no IP. */
type ToPacket = (frame: Uint8Array) => Uint8Array | undefined;

/** Functions that find the packet, by LINKTYPE_ value. */
export const LINK_TYPES: ReadonlyMap<number, ToPacket> = new Map<number, ToPacket>([
  // LINKTYPE_ETHERNET: two addresses, the type.
  [1, (frame) => payload(frame, 12, 14)],
  // LINKTYPE_RAW, LINKTYPE_IPV4, LINKTYPE_IPV6, and the DLT_RAW of some systems, in files written before LINKTYPE_RAW.
  ...[101, 228, 229, 12, 14].map((linkType) => [linkType, (frame: Uint8Array) => frame] as const),
  // LINKTYPE_NULL, LINKTYPE_LOOP: the address family, in either byte order, whichever the file's is.
  ...[0, 108].map((linkType) => [linkType, ofFamily] as const),
  // LINKTYPE_LINUX_SLL: packet type, ARPHRD_ type, address length, address, the protocol.
  [113, (frame) => payload(frame, 14, 16)],
  // LINKTYPE_LINUX_SLL2: the protocol, reserved, interface index, ARPHRD_ type, packet type, address length, address.
  [276, (frame) => payload(frame, 0, 20)],
]);

/** Link types that people capture and that are not read, as tcpdump names them. */
const UNREAD_NAMES: ReadonlyMap<number, string> = new Map([
  [6, "Token ring"], [7, "BSD ARCNET"], [8, "SLIP"], [9, "PPP"], [10, "FDDI"], [50, "PPP over serial"],
  [51, "PPPoE"], [100, "RFC 1483 LLC-encapsulated ATM"], [104, "Cisco HDLC"], [105, "802.11"], [107, "Frame Relay"],
  [109, "OpenBSD encapsulated IP"], [117, "OpenBSD pflog file"], [119, "802.11 plus Prism header"],
  [122, "RFC 2625 IP-over-Fibre Channel"], [127, "802.11 plus radiotap header"], [138, "Apple IP-over-IEEE 1394"],
  [143, "DOCSIS"], [163, "802.11 plus AVS radio information header"], [166, "PPP for pppd, with direction flag"],
  [187, "Bluetooth HCI UART transport layer"], [189, "USB with Linux header"], [192, "Per-Packet Information"],
  [195, "IEEE 802.15.4 with FCS"], [197, "Endace ERF header"],
  [201, "Bluetooth HCI UART transport layer plus pseudo-header"], [215, "IEEE 802.15.4 with non-ASK PHY data"],
  [219, "MPLS with label as link-layer header"], [220, "USB with padded Linux header"], [226, "Solaris ipnet"],
  [227, "CAN-bus with SocketCAN headers"], [230, "IEEE 802.15.4 without FCS"], [239, "Linux netfilter log messages"],
  [242, "RFC 4391 IP-over-Infiniband"], [247, "InfiniBand"], [249, "USB with USBPcap header"],
  [251, "Bluetooth Low Energy air interface"], [253, "Linux netlink"],
  [256, "Bluetooth Low Energy air interface with pseudo-header"], [258, "Apple DLT_PKTAP"],
  [272, "Nordic Semiconductor Bluetooth LE sniffer frames"], [283, "IEEE 802.15.4 with pseudo-header"],
]);

/** Returns a link type's name for messages. */
export function linkTypeName(linkType: number): string {
  const name = UNREAD_NAMES.get(linkType);
  return name === undefined ? `link type ${linkType}` : `${name} (link type ${linkType})`;
}

/**
 * Returns the packet behind an address family of four bytes. All of these but the first, or all
 * but the last, must be zero.
 */
function ofFamily(frame: Uint8Array): Uint8Array | undefined {
  if (frame.length < 4) return undefined;
  const [a, b, c, d] = frame;
  const family = (a | b | c) === 0 ? d : (b | c | d) === 0 ? a : 0;
  return BSD_FAMILIES.includes(family) ? frame.subarray(4) : undefined;
}

/** Returns the packet that begins at `start`, behind any tags. The first EtherType is at `typeAt`. */
function payload(frame: Uint8Array, typeAt: number, start: number): Uint8Array | undefined {
  let etherType = uint16(frame, typeAt);
  let at = start;
  while (etherType === ETHERTYPE_VLAN || etherType === ETHERTYPE_QINQ) {
    etherType = uint16(frame, at + 2);
    at += 4;
  }
  return (etherType === ETHERTYPE_IP || etherType === ETHERTYPE_IPV6) && at <= frame.length
    ? frame.subarray(at)
    : undefined;
}

/** Returns NaN, which is no type, if the frame ends before it. */
function uint16(frame: Uint8Array, at: number): number {
  return at + 2 <= frame.length ? frame[at] << 8 | frame[at + 1] : NaN;
}
