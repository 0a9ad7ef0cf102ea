/**
 * rtnetlink(7), as much of it as a TUN device needs: links, addresses and routes of both families, over an AF_NETLINK
 * socket. Requests are synchronous: the kernel answers within send(2), so the answer is there to be received.
 */
import { EXIT, Failure } from "../failure.js";
import { formatBytes, type Address, type Family, type Prefix } from "../prefixes.js";
import * as libc from "./libc.js";
import * as uapi from "./uapi.js";

/** A request that the kernel refused, with its extended error text where it gave one. */
export class NetlinkError extends libc.SystemError {}

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  /** Of a virtual one: "tun", "bridge", "dummy" … */
  readonly kind: string | undefined;
  readonly tun: TunInfo | undefined;
}

/** What the kernel keeps of a TUN or TAP device (Linux 4.17). */
export interface TunInfo {
  /** IFF_TUN or IFF_TAP. */
  readonly type: number;
  readonly owner: number | undefined;
  readonly group: number | undefined;
  readonly pi: boolean;
  readonly vnetHdr: boolean;
  readonly persist: boolean;
  readonly multiQueue: boolean;
  /** That programs hold open; 0 also where the device is of one queue alone, of which the kernel does not say. */
  readonly queues: number;
}

/** The kernel's own counters of a link, from its side: what pongd writes is received there. */
export interface LinkStats {
  readonly rxPackets: number;
  readonly txPackets: number;
  /** Packets for which the queue towards pongd had no room. */
  readonly txDropped: number;
}

export interface Route {
  /** Destination, 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  /** Prefix length of the destination. */
  readonly length: number;
  /** RTN_UNICAST, RTN_LOCAL, RTN_BLACKHOLE … */
  readonly type: number;
  /** Index of the outgoing interface; 0 where there is none or several. */
  readonly oif: number;
}

/** Requests in one send(2): the socket has room for as many refusals. */
const REQUESTS = 64;

export class Netlink {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(65536);
  #sequence = 0;

  /** @throws SystemError from socket(2) or setsockopt(2). */
  constructor() {
    this.#fd = netlinkSocket(0);
    const one = new Uint8Array(Int32Array.of(1).buffer);
    libc.check(libc.setsockopt(this.#fd, uapi.SOL_NETLINK, uapi.NETLINK_EXT_ACK, one, one.length), "setsockopt", "NETLINK_EXT_ACK");
    // Not before Linux 4.20: a dump then has more than was asked for.
    libc.setsockopt(this.#fd, uapi.SOL_NETLINK, uapi.NETLINK_GET_STRICT_CHK, one, one.length);
  }

  close(): void {
    libc.close(this.#fd);
  }

  /** The link of that name or index. @throws NetlinkError: ENODEV where there is none. */
  link(which: string | number): Link {
    const header = ifinfomsg(typeof which === "number" ? which : 0);
    const name = typeof which === "number" ? [] : [attribute(uapi.IFLA_IFNAME, cString(which))];
    const answer = this.#request(uapi.RTM_GETLINK, 0, [header, ...name], `link ${which}`).at(0);
    if (!answer) throw new Failure(`netlink: no answer about link ${which}`, EXIT.RUNTIME);
    return parseLink(answer);
  }

  /** As link(), or undefined where there is none. */
  find(name: string): Link | undefined {
    try {
      return this.link(name);
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === libc.E.ENODEV) return undefined;
      throw error;
    }
  }

  links(): Link[] {
    return this.#request(uapi.RTM_GETLINK, uapi.NLM_F_DUMP, [ifinfomsg(0)], "links").map(parseLink);
  }

  /** @throws NetlinkError: ENODEV where there is no such link. */
  stats(index: number): LinkStats {
    const answer = this.#request(uapi.RTM_GETLINK, 0, [ifinfomsg(index)], `link ${index}`).at(0);
    // struct rtnl_link_stats64: u64 each
    const stats = answer && parseAttributes(answer.subarray(uapi.SIZEOF_IFINFOMSG)).get(uapi.IFLA_STATS64);
    if (!stats) throw new Failure(`netlink: no statistics of link ${index}`, EXIT.RUNTIME);
    const [rxPackets, txPackets, txDropped] = [0, 1, 7].map((i) => Number(stats.readBigUInt64LE(8 * i)));
    return { rxPackets, txPackets, txDropped };
  }

  /** Sets MTU (bytes) and transmit queue length (packets), and takes the link up. */
  setLinkUp(index: number, mtu: number, txQueueLen: number): void {
    this.#request(uapi.RTM_NEWLINK, uapi.NLM_F_ACK, [
      ifinfomsg(index, uapi.IFF_UP, uapi.IFF_UP),
      attribute(uapi.IFLA_MTU, u32(mtu)),
      attribute(uapi.IFLA_TXQLEN, u32(txQueueLen)),
    ], `link ${index} up, mtu ${mtu}, txqueuelen ${txQueueLen}`);
  }

  /**
   * Keeps the kernel from giving the interface an IPv6 link-local address, and so from soliciting routers and reporting groups
   * there. @throws NetlinkError: EAFNOSUPPORT where the interface has no IPv6.
   */
  setNoLinkLocal(index: number): void {
    const mode = attribute(uapi.IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(uapi.IN6_ADDR_GEN_MODE_NONE));
    this.#request(uapi.RTM_NEWLINK, uapi.NLM_F_ACK, [
      ifinfomsg(index),
      attribute(uapi.IFLA_AF_SPEC | uapi.NLA_F_NESTED, attribute(uapi.AF_INET6 | uapi.NLA_F_NESTED, mode)),
    ], `link ${index}, no IPv6 link-local address`);
  }

  /** Gives the interface one address, alone in its own prefix: no route but the local one comes with it. */
  addAddress(index: number, addr: Address): void {
    const header = Buffer.alloc(uapi.SIZEOF_IFADDRMSG);
    header[0] = familyOf(addr);
    header[1] = addr.bytes.length * 8;
    // Nobody else is on a TUN device to have the address already, and detection would delay its use by a second.
    header[2] = addr.family === 6 ? uapi.IFA_F_NODAD : 0;
    header[3] = uapi.RT_SCOPE_UNIVERSE;
    header.writeUInt32LE(index, 4);
    this.#request(uapi.RTM_NEWADDR, uapi.NLM_F_ACK | uapi.NLM_F_CREATE | uapi.NLM_F_EXCL, [
      header,
      attribute(uapi.IFA_LOCAL, addr.bytes),
      attribute(uapi.IFA_ADDRESS, addr.bytes),
    ], `address ${addr.text}`);
  }

  /** The interface's addresses but for those of the link alone, in the kernel's order. */
  addresses(index: number): Address[] {
    // struct ifaddrmsg: the index in it is what NETLINK_GET_STRICT_CHK filters by.
    const header = Buffer.alloc(uapi.SIZEOF_IFADDRMSG);
    header.writeUInt32LE(index, 4);
    return this.#request(uapi.RTM_GETADDR, uapi.NLM_F_DUMP, [header], `addresses of link ${index}`)
      .filter((answer) => answer.readUInt32LE(4) === index && answer.readUInt8(3) < uapi.RT_SCOPE_LINK)
      .flatMap((answer) => {
        const attributes = parseAttributes(answer.subarray(uapi.SIZEOF_IFADDRMSG));
        // IFA_LOCAL: IPv4's, and IPv6's where there is a peer, whose IFA_ADDRESS is then.
        const bytes = attributes.get(uapi.IFA_LOCAL) ?? attributes.get(uapi.IFA_ADDRESS);
        return bytes ? [{ family: bytes.length === 4 ? 4 : 6, bytes, text: formatBytes(bytes) } as const] : [];
      });
  }

  /**
   * Routes the prefixes to the interface; returns those that are routed already, in the same table and with the same metric.
   * `source`: the address that the host prefers as its own towards them.
   */
  addRoutes(index: number, prefixes: readonly Prefix[], source: Address | undefined): Prefix[] {
    return this.#eachRoute(uapi.RTM_NEWROUTE, uapi.NLM_F_CREATE | uapi.NLM_F_EXCL, libc.E.EEXIST, prefixes, (prefix) => routeOf(index, prefix, source));
  }

  /** Removes the routes that addRoutes() made; those that are gone already are no matter. */
  deleteRoutes(index: number, prefixes: readonly Prefix[]): void {
    this.#eachRoute(uapi.RTM_DELROUTE, 0, libc.E.ESRCH, prefixes, (prefix) => routeOf(index, prefix, undefined));
  }

  /** A request for each prefix; returns those that the kernel refuses with `tolerated`. @throws NetlinkError for any other refusal. */
  #eachRoute(type: number, flags: number, tolerated: number, prefixes: readonly Prefix[], payload: (prefix: Prefix) => Buffer[]): Prefix[] {
    const refused: Prefix[] = [];
    for (let first = 0; first < prefixes.length; first += REQUESTS) {
      const some = prefixes.slice(first, first + REQUESTS);
      const sequence = this.#sequence + 1;
      // Of those before the last, the kernel says only what it refuses.
      const requests = some.map((prefix, i) => this.#message(
        type,
        flags | (i === some.length - 1 ? uapi.NLM_F_ACK : 0),
        payload(prefix),
      ));
      this.#send(Buffer.concat(requests), "routes");
      for (let done = false; !done;) {
        for (const { type: answer, flags, seq, payload } of this.#receive("routes")) {
          if (answer !== uapi.NLMSG_ERROR || seq < sequence) continue;
          const prefix = some[seq - sequence];
          const errno = -payload.readInt32LE(0);
          if (errno === tolerated) refused.push(prefix);
          else if (errno !== 0) throw new NetlinkError("netlink:", `route ${prefix.text}`, errno, extendedError(payload, flags));
          done = seq === this.#sequence;
        }
      }
    }
    return refused;
  }

  /** The routes of all tables and types; `oif`: those alone that lead to this interface, where the kernel can tell. */
  routes(family: Family, oif?: number): Route[] {
    const header = Buffer.alloc(uapi.SIZEOF_RTMSG);
    header[0] = familyOf({ family });
    const filter = oif === undefined ? [] : [attribute(uapi.RTA_OIF, u32(oif))];
    return this.#request(uapi.RTM_GETROUTE, uapi.NLM_F_DUMP, [header, ...filter], `routes of IPv${family}`)
      // Where a family is not there, the kernel dumps all that are.
      .filter((answer) => answer[0] === header[0])
      .map((answer) => {
        const attributes = parseAttributes(answer.subarray(uapi.SIZEOF_RTMSG));
        return {
          bytes: attributes.get(uapi.RTA_DST) ?? new Uint8Array(family === 4 ? 4 : 16),
          length: answer.readUInt8(1),
          type: answer.readUInt8(7),
          oif: attributes.get(uapi.RTA_OIF)?.readUInt32LE(0) ?? 0,
        };
      });
  }

  /** Sends one request and collects its answers' payloads until the acknowledgement, the end of a dump, or the one answer. */
  #request(type: number, flags: number, payload: Uint8Array[], subject: string): Buffer[] {
    this.#send(this.#message(type, flags, payload), subject);
    const answers: Buffer[] = [];
    const several = (flags & uapi.NLM_F_DUMP) === uapi.NLM_F_DUMP || (flags & uapi.NLM_F_ACK) !== 0;
    for (;;) {
      for (const { type, flags, seq, payload } of this.#receive(subject)) {
        if (seq !== this.#sequence) continue;
        if (type === uapi.NLMSG_DONE) return answers;
        if (type === uapi.NLMSG_ERROR) {
          const errno = -payload.readInt32LE(0);
          if (errno !== 0) throw new NetlinkError("netlink:", subject, errno, extendedError(payload, flags));
          return answers;
        }
        answers.push(Buffer.from(payload));
        if (!several) return answers;
      }
    }
  }

  /** A request with the next sequence number. */
  #message(type: number, flags: number, payload: readonly Uint8Array[]): Buffer {
    const message = Buffer.concat([Buffer.alloc(uapi.SIZEOF_NLMSGHDR), ...payload]);
    message.writeUInt32LE(message.length, 0);
    message.writeUInt16LE(type, 4);
    message.writeUInt16LE(uapi.NLM_F_REQUEST | flags, 6);
    message.writeUInt32LE(++this.#sequence, 8);
    return message;
  }

  #send(messages: Buffer, subject: string): void {
    libc.check(libc.send(this.#fd, messages, messages.length, 0), "netlink send:", subject);
  }

  /** The messages of the next datagram; they are gone with the next call. */
  #receive(subject: string): Generator<Message> {
    for (;;) {
      const length = libc.recv(this.#fd, this.#buffer, this.#buffer.length, 0);
      if (length < 0 && libc.errno() === libc.E.EINTR) continue;
      libc.check(length, "netlink recv:", subject);
      return messages(this.#buffer.subarray(0, length));
    }
  }
}

/**
 * Calls back, from the event loop, when something about the link changed or may have: look what holds now, for several
 * changes may lie behind one call. Returns how to end that. @throws SystemError from socket(2) or bind(2).
 */
export function watchLink(index: number, callback: () => void): () => void {
  const fd = netlinkSocket(uapi.RTMGRP_LINK);
  const buffer = Buffer.alloc(65536);
  const unwatch = libc.onReadable(fd, () => {
    let changed = false;
    for (;;) {
      const length = libc.recv(fd, buffer, buffer.length, 0);
      if (length < 0 && libc.errno() === libc.E.EAGAIN) break;
      // Else ENOBUFS: the kernel had more to say than the socket could hold.
      changed ||= length < 0 || [...messages(buffer.subarray(0, length))].some(({ payload }) => payload.readInt32LE(4) === index);
    }
    if (changed) callback();
  });
  return () => {
    unwatch();
    libc.close(fd);
  };
}

function netlinkSocket(groups: number): number {
  const nonblock = groups === 0 ? 0 : uapi.SOCK_NONBLOCK;
  const fd = libc.check(libc.socket(uapi.AF_NETLINK, uapi.SOCK_RAW | uapi.SOCK_CLOEXEC | nonblock, uapi.NETLINK_ROUTE), "socket", "AF_NETLINK");
  // struct sockaddr_nl: u16 family, u16 padding, u32 pid (0: the kernel chooses), u32 groups
  const sockaddr = Buffer.alloc(12);
  sockaddr.writeUInt16LE(uapi.AF_NETLINK, 0);
  sockaddr.writeUInt32LE(groups, 8);
  libc.check(libc.bind(fd, sockaddr, sockaddr.length), "bind", "AF_NETLINK");
  return fd;
}

interface Message {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly payload: Buffer;
}

function* messages(datagram: Buffer): Generator<Message> {
  for (let at = 0; at + uapi.SIZEOF_NLMSGHDR <= datagram.length;) {
    const length = datagram.readUInt32LE(at);
    if (length < uapi.SIZEOF_NLMSGHDR || at + length > datagram.length) return;
    yield {
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      seq: datagram.readUInt32LE(at + 8),
      payload: datagram.subarray(at + uapi.SIZEOF_NLMSGHDR, at + length),
    };
    at += align4(length);
  }
}

function parseLink(payload: Buffer): Link {
  const attributes = parseAttributes(payload.subarray(uapi.SIZEOF_IFINFOMSG));
  return {
    index: payload.readInt32LE(4),
    name: attributes.get(uapi.IFLA_IFNAME)?.toString("latin1").replace(/\0.*$/, "") ?? "",
    up: (payload.readUInt32LE(8) & uapi.IFF_UP) !== 0,
    mtu: attributes.get(uapi.IFLA_MTU)?.readUInt32LE(0) ?? 0,
    ...parseLinkInfo(attributes.get(uapi.IFLA_LINKINFO)),
  };
}

function parseLinkInfo(nested: Buffer | undefined): Pick<Link, "kind" | "tun"> {
  const info = parseAttributes(nested ?? Buffer.alloc(0));
  const kind = info.get(uapi.IFLA_INFO_KIND)?.toString("latin1").replace(/\0.*$/, "");
  const data = kind === "tun" ? info.get(uapi.IFLA_INFO_DATA) : undefined;
  if (!data) return { kind, tun: undefined };
  const attributes = parseAttributes(data);
  const u8 = (type: number) => attributes.get(type)?.readUInt8(0) ?? 0;
  const number = (type: number) => attributes.get(type)?.readUInt32LE(0);
  return {
    kind,
    tun: {
      type: u8(uapi.IFLA_TUN_TYPE),
      owner: number(uapi.IFLA_TUN_OWNER),
      group: number(uapi.IFLA_TUN_GROUP),
      pi: u8(uapi.IFLA_TUN_PI) !== 0,
      vnetHdr: u8(uapi.IFLA_TUN_VNET_HDR) !== 0,
      persist: u8(uapi.IFLA_TUN_PERSIST) !== 0,
      multiQueue: u8(uapi.IFLA_TUN_MULTI_QUEUE) !== 0,
      queues: (number(uapi.IFLA_TUN_NUM_QUEUES) ?? 0) + (number(uapi.IFLA_TUN_NUM_DISABLED_QUEUES) ?? 0),
    },
  };
}

function parseAttributes(bytes: Buffer): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break;
    attributes.set(bytes.readUInt16LE(at + 2) & 0x3fff, bytes.subarray(at + 4, at + length));
    at += align4(length);
  }
  return attributes;
}

/** The kernel's own sentence: after the request it quotes, whole unless NLM_F_CAPPED (Documentation/userspace-api/netlink/intro.rst). */
function extendedError(payload: Buffer, flags: number): string | undefined {
  if ((flags & uapi.NLM_F_ACK_TLVS) === 0) return undefined;
  const quoted = (flags & uapi.NLM_F_CAPPED) !== 0 ? uapi.SIZEOF_NLMSGHDR : align4(payload.readUInt32LE(4));
  return parseAttributes(payload.subarray(4 + quoted)).get(uapi.NLMSGERR_ATTR_MSG)?.toString("utf8").replace(/\0.*$/, "");
}

function attribute(type: number, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align4(4 + data.length));
  bytes.writeUInt16LE(4 + data.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(data, 4);
  return bytes;
}

/** struct ifinfomsg: u8 family, u8, u16 type, i32 index, u32 flags, u32 change */
function ifinfomsg(index: number, flags = 0, change = 0): Buffer {
  const bytes = Buffer.alloc(uapi.SIZEOF_IFINFOMSG);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(change, 12);
  return bytes;
}

function routeOf(index: number, prefix: Prefix, source: Address | undefined): Buffer[] {
  const header = Buffer.alloc(uapi.SIZEOF_RTMSG);
  header[0] = familyOf(prefix);
  header[1] = prefix.length;
  header[4] = uapi.RT_TABLE_MAIN;
  header[5] = uapi.RTPROT_STATIC;
  header[6] = prefix.family === 4 ? uapi.RT_SCOPE_LINK : uapi.RT_SCOPE_UNIVERSE;
  header[7] = uapi.RTN_UNICAST;
  return [
    header,
    attribute(uapi.RTA_DST, prefix.bytes),
    attribute(uapi.RTA_OIF, u32(index)),
    ...source ? [attribute(uapi.RTA_PREFSRC, source.bytes)] : [],
  ];
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`, "latin1");
}

function familyOf({ family }: { readonly family: Family }): number {
  return family === 4 ? uapi.AF_INET : uapi.AF_INET6;
}

function align4(length: number): number {
  return (length + 3) & ~3;
}
