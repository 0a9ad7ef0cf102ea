/**
 * rtnetlink(7)'s messages, as bytes and as values: requests to the kernel, its answers and its notifications. route.ts
 * has those about routes. No length in them is trusted: one that does not fit is a Failure.
 */
import { EXIT, Failure } from "../base/failure.js";
import { formatBytes, type Address, type Family } from "../prefix/prefixes.js";
import * as uapi from "../sys/uapi.js";

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  /** Whether the link has a carrier. Without one it carries no packets, even if it is up. */
  readonly carrier: boolean;
  readonly mtu: number;
  /** MAC address; empty where the link has none. */
  readonly address: Uint8Array;
  /** IN6_ADDR_GEN_MODE_*; undefined where the link has no IPv6. */
  readonly addrGenMode: number | undefined;
  /** Kind of a virtual link: "tun", "bridge", "dummy" … */
  readonly kind: string | undefined;
  readonly tun: TunInfo | undefined;
}

/** The kernel's data about a TUN or TAP device (Linux 4.17). */
export interface TunInfo {
  /** IFF_TUN or IFF_TAP. */
  readonly type: number;
  readonly owner: number | undefined;
  readonly group: number | undefined;
  readonly pi: boolean;
  readonly vnetHdr: boolean;
  readonly persist: boolean;
  readonly multiQueue: boolean;
  /** Queues that programs hold open. Also 0 for a device of one queue, about which the kernel does not say. */
  readonly queues: number;
}

/** The kernel's own counters of a link, from its side: it receives what pongd writes. */
export interface LinkStats {
  readonly rxPackets: number;
  readonly txPackets: number;
  /** Packets for which the queue towards pongd had no room. */
  readonly txDropped: number;
}

/** One message. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly payload: Buffer;
}

/**
 * Result of a request. `errno` is 0 if the kernel did as asked. `text` is the kernel's own sentence about a
 * failure, if it gave one.
 */
export interface Outcome {
  readonly errno: number;
  readonly text: string | undefined;
}

/** Makes a request with that sequence number. */
export function request(type: number, flags: number, sequence: number, payload: readonly Uint8Array[]): Buffer {
  const message = Buffer.concat([Buffer.alloc(uapi.SIZEOF_NLMSGHDR), ...payload]);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(uapi.NLM_F_REQUEST | flags, 6);
  message.writeUInt32LE(sequence, 8);
  return message;
}

/** A message where it lies in a datagram. */
class MessageIn implements Message {
  /** Offsets in the datagram of its payload, and of the first byte behind it. */
  readonly from: number;
  readonly to: number;
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly #datagram: Buffer;

  constructor(datagram: Buffer, at: number, to: number) {
    this.#datagram = datagram;
    this.from = at + uapi.SIZEOF_NLMSGHDR;
    this.to = to;
    this.type = datagram.readUInt16LE(at + 4);
    this.flags = datagram.readUInt16LE(at + 6);
    this.seq = datagram.readUInt32LE(at + 8);
  }

  get payload(): Buffer {
    return this.#datagram.subarray(this.from, this.to);
  }
}

/** @throws Failure */
export function* messages(datagram: Buffer): Generator<MessageIn, void, undefined> {
  for (let at = 0; at + uapi.SIZEOF_NLMSGHDR <= datagram.length;) {
    const length = datagram.readUInt32LE(at);
    if (length < uapi.SIZEOF_NLMSGHDR || at + length > datagram.length) {
      throw malformed(`a message of ${length} bytes, ${datagram.length - at} of which are there`);
    }
    yield new MessageIn(datagram, at, at + length);
    at += align4(length);
  }
}

/**
 * Reads an NLMSG_ERROR: i32 negative errno, the header of the request, and the rest of it unless NLM_F_CAPPED is set
 * (Documentation/userspace-api/netlink/intro.rst).
 * @throws Failure
 */
export function outcomeOf({ payload, flags }: Message): Outcome {
  need(payload, 4 + uapi.SIZEOF_NLMSGHDR, "an error");
  const errno = -payload.readInt32LE(0);
  if ((flags & uapi.NLM_F_ACK_TLVS) === 0) return { errno, text: undefined };
  const quoted = (flags & uapi.NLM_F_CAPPED) !== 0 ? uapi.SIZEOF_NLMSGHDR : payload.readUInt32LE(4);
  need(payload, 4 + quoted, "an error");
  const text = attributesOf(payload.subarray(4 + Math.ceil(quoted / 4) * 4)).get(uapi.NLMSGERR_ATTR_MSG);
  return { errno, text: text && cText(text, "utf8") };
}

/** Subjects of notifications, certain or possible: the link itself, and addresses and routes that lead to it. */
export interface News {
  readonly link: boolean;
  readonly reach: boolean;
}

/** Returns what a datagram of notifications says about that link. */
export function newsOf(datagram: Buffer, index: number): News {
  let [link, reach] = [false, false];
  try {
    for (const message of messages(datagram)) {
      if (message.type === uapi.RTM_NEWROUTE || message.type === uapi.RTM_DELROUTE) reach ||= concerns(message, index);
      // struct ifinfomsg, struct ifaddrmsg
      else if (need(message.payload, 8, "a notification").readInt32LE(4) !== index) continue;
      else if (message.type === uapi.RTM_NEWLINK || message.type === uapi.RTM_DELLINK) link = true;
      else reach = true;
    }
    return { link, reach };
  } catch {
    return { link: true, reach: true };
  }
}

/**
 * Returns whether a message about a route may concern the link. A route that replaces another one may, since the kernel
 * does not say anything else about the replaced one.
 */
function concerns({ flags, payload }: Message, index: number): boolean {
  if ((flags & uapi.NLM_F_REPLACE) !== 0) return true;
  // No map is made of the attributes here: there may be a million such messages in a few seconds.
  for (let at = uapi.SIZEOF_RTMSG; at + 4 <= payload.length; at = nextAttribute(payload, at, payload.length)) {
    if (typeOfAttribute(payload, at) === uapi.RTA_OIF) return numberAt(payload, at) === index;
  }
  return false;
}

/** @throws Failure */
export function linkOf(payload: Buffer): Link {
  const attributes = attributesBehind(payload, uapi.SIZEOF_IFINFOMSG, "a link");
  const name = attributes.get(uapi.IFLA_IFNAME);
  return {
    index: payload.readInt32LE(4),
    name: name ? cText(name, "latin1") : "",
    up: (payload.readUInt32LE(8) & uapi.IFF_UP) !== 0,
    carrier: (payload.readUInt32LE(8) & uapi.IFF_LOWER_UP) !== 0,
    mtu: numberOf(attributes, uapi.IFLA_MTU) ?? 0,
    address: Uint8Array.from(attributes.get(uapi.IFLA_ADDRESS) ?? []),
    addrGenMode: addrGenModeOf(attributes.get(uapi.IFLA_AF_SPEC)),
    ...linkInfoOf(attributes.get(uapi.IFLA_LINKINFO)),
  };
}

function addrGenModeOf(nested: Buffer | undefined): number | undefined {
  const inet6 = nested && attributesOf(nested).get(uapi.AF_INET6);
  return inet6 && attributesOf(inet6).get(uapi.IFLA_INET6_ADDR_GEN_MODE)?.at(0);
}

function linkInfoOf(nested: Buffer | undefined): Pick<Link, "kind" | "tun"> {
  const info = attributesOf(nested ?? Buffer.alloc(0));
  const named = info.get(uapi.IFLA_INFO_KIND);
  const kind = named && cText(named, "latin1");
  const data = kind === "tun" ? info.get(uapi.IFLA_INFO_DATA) : undefined;
  if (!data) return { kind, tun: undefined };
  const attributes = attributesOf(data);
  const u8 = (type: number) => attributes.get(type)?.at(0) ?? 0;
  return {
    kind,
    tun: {
      type: u8(uapi.IFLA_TUN_TYPE),
      owner: numberOf(attributes, uapi.IFLA_TUN_OWNER),
      group: numberOf(attributes, uapi.IFLA_TUN_GROUP),
      pi: u8(uapi.IFLA_TUN_PI) !== 0,
      vnetHdr: u8(uapi.IFLA_TUN_VNET_HDR) !== 0,
      persist: u8(uapi.IFLA_TUN_PERSIST) !== 0,
      multiQueue: u8(uapi.IFLA_TUN_MULTI_QUEUE) !== 0,
      queues: (numberOf(attributes, uapi.IFLA_TUN_NUM_QUEUES) ?? 0)
        + (numberOf(attributes, uapi.IFLA_TUN_NUM_DISABLED_QUEUES) ?? 0),
    },
  };
}

/** Returns undefined where there are no statistics. @throws Failure */
export function statsOf(payload: Buffer): LinkStats | undefined {
  // struct rtnl_link_stats64: u64 each
  const stats = attributesBehind(payload, uapi.SIZEOF_IFINFOMSG, "a link").get(uapi.IFLA_STATS64);
  if (!stats) return undefined;
  need(stats, 64, "statistics");
  const [rxPackets, txPackets, txDropped] = [0, 1, 7].map((i) => Number(stats.readBigUInt64LE(8 * i)));
  return { rxPackets, txPackets, txDropped };
}

/**
 * Returns an address of the link with that index. `scope` asks for addresses that are known beyond the link, or for
 * those of the link alone. Returns undefined for any other address.
 * @throws Failure
 */
export function addressOf(payload: Buffer, index: number, scope: "global" | "link" = "global"): Address | undefined {
  const attributes = attributesBehind(payload, uapi.SIZEOF_IFADDRMSG, "an address");
  if (payload.readUInt32LE(4) !== index || (payload.readUInt8(3) >= uapi.RT_SCOPE_LINK) !== (scope === "link")) {
    return undefined;
  }
  // IFA_LOCAL is set for IPv4, and for IPv6 if there is a peer. The peer's address is then in IFA_ADDRESS.
  const bytes = attributes.get(uapi.IFA_LOCAL) ?? attributes.get(uapi.IFA_ADDRESS);
  if (!bytes) return undefined;
  if (bytes.length !== 4 && bytes.length !== 16) throw malformed(`an address of ${bytes.length} bytes`);
  return { family: bytes.length === 4 ? 4 : 6, bytes, text: formatBytes(bytes) };
}

/** Returns the attributes behind the fixed part of a message. */
function attributesBehind(payload: Buffer, fixed: number, what: string): Map<number, Buffer> {
  need(payload, fixed, what);
  return attributesOf(payload.subarray(fixed));
}

function attributesOf(bytes: Buffer): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length;) {
    const next = nextAttribute(bytes, at, bytes.length);
    attributes.set(typeOfAttribute(bytes, at), bytes.subarray(at + 4, at + bytes.readUInt16LE(at)));
    at = next;
  }
  return attributes;
}

/** Returns where the attribute behind the one at `at` begins. @throws Failure if that one does not end by `end`. */
export function nextAttribute(bytes: Buffer, at: number, end: number): number {
  const length = bytes.readUInt16LE(at);
  if (length < 4 || at + length > end) throw malformed(`an attribute of ${length} bytes, ${end - at} of which are there`);
  return at + align4(length);
}

export function typeOfAttribute(bytes: Buffer, at: number): number {
  return bytes.readUInt16LE(at + 2) & 0x3fff;
}

/** Returns the u32 in the attribute at `at`. @throws Failure */
export function numberAt(bytes: Buffer, at: number): number {
  if (bytes.readUInt16LE(at) < 8) throw malformed(`a number of ${bytes.readUInt16LE(at) - 4} bytes`);
  return bytes.readUInt32LE(at + 4);
}

function numberOf(attributes: ReadonlyMap<number, Buffer>, type: number): number | undefined {
  const value = attributes.get(type);
  return value && need(value, 4, "a number").readUInt32LE(0);
}

function cText(bytes: Buffer, encoding: "latin1" | "utf8"): string {
  return bytes.toString(encoding).replace(/\0.*$/s, "");
}

export function need(bytes: Buffer, length: number, what: string): Buffer {
  if (bytes.length < length) throw malformed(`${what} of ${bytes.length} bytes, where there are at least ${length}`);
  return bytes;
}

export function malformed(what: string): Failure {
  return new Failure(`netlink: the kernel sent ${what}`, EXIT.RUNTIME);
}

export function attribute(type: number, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align4(4 + data.length));
  bytes.writeUInt16LE(4 + data.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(data, 4);
  return bytes;
}

/** Returns a struct ifinfomsg: u8 family, u8, u16 type, i32 index, u32 flags, u32 change. */
export function ifinfomsg(index: number, flags = 0, change = 0): Buffer {
  const bytes = Buffer.alloc(uapi.SIZEOF_IFINFOMSG);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(change, 12);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`, "latin1");
}

export function familyOf({ family }: { readonly family: Family }): number {
  return family === 4 ? uapi.AF_INET : uapi.AF_INET6;
}

export function align4(length: number): number {
  return (length + 3) & ~3;
}
