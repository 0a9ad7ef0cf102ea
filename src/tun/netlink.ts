/**
 * rtnetlink(7), as far as a TUN device needs it: links, addresses and routes of both families, over an AF_NETLINK
 * socket (messages.ts has the messages). Requests are synchronous: the kernel answers within send(2), so the answer can
 * be received at once.
 */
import { EXIT, Failure } from "../base/failure.js";
import { formatBytes, type Address, type Family, type Prefix } from "../prefix/prefixes.js";
import * as libc from "../sys/libc.js";
import {
  addressOf, attribute, cString, familyOf, ifinfomsg, linkOf, messages, newsOf, outcomeOf, request, routeOf, routeTo,
  statsOf, u32, type Link, type LinkStats, type Message, type Route,
} from "./messages.js";
import * as uapi from "../sys/uapi.js";

/** A request that the kernel refused, with its extended error text where it gave one. */
export class NetlinkError extends libc.SystemError {}

/** Requests in one send(2). The socket has room for that many refusals. */
const REQUESTS = 64;

export class Netlink {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(65536);
  #sequence = 0;

  /** @throws SystemError from socket(2) or setsockopt(2). */
  constructor() {
    this.#fd = netlinkSocket(0);
    const one = new Uint8Array(Int32Array.of(1).buffer);
    libc.check(
      libc.setsockopt(this.#fd, uapi.SOL_NETLINK, uapi.NETLINK_EXT_ACK, one, one.length),
      "setsockopt",
      "NETLINK_EXT_ACK",
    );
    // Linux before 4.20 does not have it. A dump then has more than was asked for.
    libc.setsockopt(this.#fd, uapi.SOL_NETLINK, uapi.NETLINK_GET_STRICT_CHK, one, one.length);
  }

  close(): void {
    libc.close(this.#fd);
  }

  /** Returns the link of that name or index. @throws NetlinkError: ENODEV where there is none. */
  link(which: string | number): Link {
    const header = ifinfomsg(typeof which === "number" ? which : 0);
    const name = typeof which === "number" ? [] : [attribute(uapi.IFLA_IFNAME, cString(which))];
    const answer = this.#request(uapi.RTM_GETLINK, 0, [header, ...name], `link ${which}`).at(0);
    if (!answer) throw new Failure(`netlink: no answer about link ${which}`, EXIT.RUNTIME);
    return linkOf(answer);
  }

  /** Returns the link of that name, or undefined where there is none. */
  find(name: string): Link | undefined {
    try {
      return this.link(name);
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === libc.E.ENODEV) return undefined;
      throw error;
    }
  }

  links(): Link[] {
    return this.#request(uapi.RTM_GETLINK, uapi.NLM_F_DUMP, [ifinfomsg(0)], "links").map(linkOf);
  }

  /** @throws NetlinkError: ENODEV where there is no such link. */
  stats(index: number): LinkStats {
    const answer = this.#request(uapi.RTM_GETLINK, 0, [ifinfomsg(index)], `link ${index}`).at(0);
    const stats = answer && statsOf(answer);
    if (!stats) throw new Failure(`netlink: no statistics of link ${index}`, EXIT.RUNTIME);
    return stats;
  }

  /** Sets MTU (bytes) and transmit queue length (packets), and sets the link up. */
  setLinkUp(index: number, mtu: number, txQueueLen: number): void {
    this.#request(uapi.RTM_NEWLINK, uapi.NLM_F_ACK, [
      ifinfomsg(index, uapi.IFF_UP, uapi.IFF_UP),
      attribute(uapi.IFLA_MTU, u32(mtu)),
      attribute(uapi.IFLA_TXQLEN, u32(txQueueLen)),
    ], `link ${index} up, mtu ${mtu}, txqueuelen ${txQueueLen}`);
  }

  /**
   * Keeps the kernel from giving the interface an IPv6 link-local address, and so from soliciting routers and reporting
   * multicast groups there. @throws NetlinkError: EAFNOSUPPORT where the interface has no IPv6.
   */
  setNoLinkLocal(index: number): void {
    const mode = attribute(uapi.IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(uapi.IN6_ADDR_GEN_MODE_NONE));
    this.#request(uapi.RTM_NEWLINK, uapi.NLM_F_ACK, [
      ifinfomsg(index),
      attribute(uapi.IFLA_AF_SPEC | uapi.NLA_F_NESTED, attribute(uapi.AF_INET6 | uapi.NLA_F_NESTED, mode)),
    ], `link ${index}, no IPv6 link-local address`);
  }

  /** Gives the interface one address with a prefix of its own length, so that only the local route comes with it. */
  addAddress(index: number, addr: Address): void {
    const header = Buffer.alloc(uapi.SIZEOF_IFADDRMSG);
    header[0] = familyOf(addr);
    header[1] = addr.bytes.length * 8;
    // Nobody else on a TUN device could have the address, and duplicate detection would delay its use by a second.
    header[2] = addr.family === 6 ? uapi.IFA_F_NODAD : 0;
    header[3] = uapi.RT_SCOPE_UNIVERSE;
    header.writeUInt32LE(index, 4);
    this.#request(uapi.RTM_NEWADDR, uapi.NLM_F_ACK | uapi.NLM_F_CREATE | uapi.NLM_F_EXCL, [
      header,
      attribute(uapi.IFA_LOCAL, addr.bytes),
      attribute(uapi.IFA_ADDRESS, addr.bytes),
    ], `address ${addr.text}`);
  }

  /** Returns the interface's addresses except link-local ones, in the kernel's order. */
  addresses(index: number): Address[] {
    return this.#addresses(index).flatMap((answer) => addressOf(answer, index) ?? []);
  }

  /** Removes the interface's IPv6 link-local addresses, whoever added them. */
  deleteLinkLocal(index: number): void {
    for (const answer of this.#addresses(index)) {
      const found = addressOf(answer, index, "link");
      if (found?.family !== 6) continue;
      const header = answer.subarray(0, uapi.SIZEOF_IFADDRMSG);
      this.#request(
        uapi.RTM_DELADDR, uapi.NLM_F_ACK, [header, attribute(uapi.IFA_LOCAL, found.bytes)], `address ${found.text}`,
      );
    }
  }

  /** Returns the addresses as the kernel sends them. */
  #addresses(index: number): Buffer[] {
    // NETLINK_GET_STRICT_CHK makes the kernel filter by the index in struct ifaddrmsg.
    const header = Buffer.alloc(uapi.SIZEOF_IFADDRMSG);
    header.writeUInt32LE(index, 4);
    return this.#request(uapi.RTM_GETADDR, uapi.NLM_F_DUMP, [header], `addresses of link ${index}`);
  }

  /**
   * Routes the prefixes to the interface. Returns those that have a route in the same table and with the same metric
   * already. `source` is the address that the host prefers as its own towards them.
   */
  addRoutes(index: number, prefixes: readonly Prefix[], source: Address | undefined): Prefix[] {
    return this.#eachRoute(uapi.RTM_NEWROUTE, uapi.NLM_F_CREATE
      | uapi.NLM_F_EXCL, libc.E.EEXIST, prefixes, (prefix) => routeTo(index, prefix, source));
  }

  /** Removes the routes that addRoutes() made. It does not matter if some are gone already. */
  deleteRoutes(index: number, prefixes: readonly Prefix[]): void {
    this.#eachRoute(uapi.RTM_DELROUTE, 0, libc.E.ESRCH, prefixes, (prefix) => routeTo(index, prefix, undefined));
  }

  /**
   * Sends a request for each prefix. Returns those that the kernel refuses with `tolerated`. @throws NetlinkError for
   * any other refusal.
   */
  #eachRoute(
    type: number, flags: number, tolerated: number, prefixes: readonly Prefix[], payload: (prefix: Prefix) => Buffer[],
  ): Prefix[] {
    const refused: Prefix[] = [];
    for (let first = 0; first < prefixes.length; first += REQUESTS) {
      const some = prefixes.slice(first, first + REQUESTS);
      const sequence = this.#sequence + 1;
      // Only the last request asks for an acknowledgement. About the others the kernel reports refusals alone.
      const requests = some.map((prefix, i) => this.#message(
        type,
        flags | (i === some.length - 1 ? uapi.NLM_F_ACK : 0),
        payload(prefix),
      ));
      this.#send(Buffer.concat(requests), "routes");
      for (let done = false; !done;) {
        for (const message of this.#receive("routes")) {
          const prefix = some.at(message.seq - sequence);
          if (message.type !== uapi.NLMSG_ERROR || message.seq < sequence || !prefix) continue;
          const { errno, text } = outcomeOf(message);
          if (errno === tolerated) refused.push(prefix);
          else if (errno !== 0) throw new NetlinkError("netlink:", `route ${prefix.text}`, errno, text);
          done = message.seq === this.#sequence;
        }
      }
    }
    return refused;
  }

  /**
   * Returns the routes of all tables and types. `oif` limits them to those that lead to this interface,
   * where the kernel can tell.
   */
  routes(family: Family, oif?: number): Route[] {
    const header = Buffer.alloc(uapi.SIZEOF_RTMSG);
    header[0] = familyOf({ family });
    const filter = oif === undefined ? [] : [attribute(uapi.RTA_OIF, u32(oif))];
    return this.#request(uapi.RTM_GETROUTE, uapi.NLM_F_DUMP, [header, ...filter], `routes of IPv${family}`)
      // If a family is missing, the kernel dumps the routes of all families.
      .flatMap((answer) => routeOf(answer, family) ?? []);
  }

  /**
   * Returns the route that a packet of this host's own takes to the address, by its rules and tables;
   * undefined where there is none.
   */
  lookUp(bytes: Uint8Array): Route | undefined {
    const family = bytes.length === 4 ? 4 : 6;
    const header = Buffer.alloc(uapi.SIZEOF_RTMSG);
    header[0] = familyOf({ family });
    header[1] = 8 * bytes.length;
    header.writeUInt32LE(uapi.RTM_F_FIB_MATCH, 8);
    try {
      const subject = `route to ${formatBytes(bytes)}`;
      const answer = this.#request(uapi.RTM_GETROUTE, 0, [header, attribute(uapi.RTA_DST, bytes)], subject).at(0);
      return answer && routeOf(answer, family);
    } catch (error) {
      // ENETUNREACH, EHOSTUNREACH, EACCES or EINVAL, depending on the type of route that refuses it.
      if (error instanceof NetlinkError) return undefined;
      throw error;
    }
  }

  /**
   * Sends one request. Collects its answers' payloads until the acknowledgement, the end of a dump, or the only answer.
   */
  #request(type: number, flags: number, payload: Uint8Array[], subject: string): Buffer[] {
    this.#send(this.#message(type, flags, payload), subject);
    const answers: Buffer[] = [];
    const several = (flags & uapi.NLM_F_DUMP) === uapi.NLM_F_DUMP || (flags & uapi.NLM_F_ACK) !== 0;
    for (;;) {
      for (const message of this.#receive(subject)) {
        if (message.seq !== this.#sequence) continue;
        if (message.type === uapi.NLMSG_DONE) return answers;
        if (message.type === uapi.NLMSG_ERROR) {
          const { errno, text } = outcomeOf(message);
          if (errno !== 0) throw new NetlinkError("netlink:", subject, errno, text);
          return answers;
        }
        answers.push(Buffer.from(message.payload));
        if (!several) return answers;
      }
    }
  }

  /** Makes a request with the next sequence number. */
  #message(type: number, flags: number, payload: readonly Uint8Array[]): Buffer {
    return request(type, flags, ++this.#sequence, payload);
  }

  #send(messages: Buffer, subject: string): void {
    for (;;) {
      const sent = libc.send(this.#fd, messages, messages.length, 0);
      if (sent < 0 && libc.errno() === libc.E.EINTR) continue;
      libc.check(sent, "netlink send:", subject);
      return;
    }
  }

  /** Returns the messages of the next datagram. The next call overwrites them. */
  #receive(subject: string): Generator<Message, void, undefined> {
    for (;;) {
      const length = libc.recv(this.#fd, this.#buffer, this.#buffer.length, 0);
      if (length < 0 && libc.errno() === libc.E.EINTR) continue;
      libc.check(length, "netlink recv:", subject);
      return messages(this.#buffer.subarray(0, length));
    }
  }
}

/**
 * Groups of notifications about everything that may change how a link is reached. RTMGRP_IPV6_IFINFO reports that a
 * sysctl has disabled or enabled IPv6.
 */
const WATCHED = uapi.RTMGRP_LINK | uapi.RTMGRP_IPV4_IFADDR | uapi.RTMGRP_IPV6_IFADDR | uapi.RTMGRP_IPV4_ROUTE
  | uapi.RTMGRP_IPV6_ROUTE | uapi.RTMGRP_IPV6_IFINFO;
/**
 * Datagrams that are read before the event loop goes on. A routing daemon that starts may cause
 * a million notifications.
 */
const READ_AT_ONCE = 256;

/**
 * Calls back from the event loop when the link, its addresses or its routes changed or may have changed. The callback
 * has to look at the present state, since one call may stand for several changes. `link` says whether the link itself
 * may have changed. Returns a function that ends this. @throws SystemError from socket(2) or bind(2).
 */
export function watchLink(index: number, callback: (link: boolean) => void): () => void {
  const fd = netlinkSocket(WATCHED);
  const buffer = Buffer.alloc(65536);
  // After ENOBUFS the kernel drops notifications, without another error, until all that wait have been read.
  let overrun = false;
  const unwatch = libc.onReadable(fd, () => {
    let [link, reach] = [false, false];
    for (let i = 0; i < READ_AT_ONCE; i++) {
      const length = libc.recv(fd, buffer, buffer.length, 0);
      if (length < 0 && libc.errno() === libc.E.EAGAIN) {
        reach ||= overrun;
        overrun = false;
        break;
      }
      overrun ||= length < 0;
      const news = length < 0 ? { link: false, reach: true } : newsOf(buffer.subarray(0, length), index);
      link ||= news.link;
      reach ||= news.reach;
    }
    if (link || reach) callback(link);
  });
  return () => {
    unwatch();
    libc.close(fd);
  };
}

function netlinkSocket(groups: number): number {
  const nonblock = groups === 0 ? 0 : uapi.SOCK_NONBLOCK;
  const fd = libc.check(
    libc.socket(uapi.AF_NETLINK, uapi.SOCK_RAW | uapi.SOCK_CLOEXEC | nonblock, uapi.NETLINK_ROUTE),
    "socket",
    "AF_NETLINK",
  );
  // struct sockaddr_nl: u16 family, u16 padding, u32 pid (0: the kernel chooses), u32 groups
  const sockaddr = Buffer.alloc(12);
  sockaddr.writeUInt16LE(uapi.AF_NETLINK, 0);
  sockaddr.writeUInt32LE(groups, 8);
  libc.check(libc.bind(fd, sockaddr, sockaddr.length), "bind", "AF_NETLINK");
  return fd;
}
