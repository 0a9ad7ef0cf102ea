/**
 * rtnetlink(7), as far as a TUN device needs it: links, addresses and routes of both families, over an AF_NETLINK
 * socket. messages.ts and route.ts have the messages, dump.ts reads the host's routes. A request is answered at once.
 * Many routes are made or removed in slices, between which the event loop, and so another request, gets its turn.
 */
import { EXIT, Failure } from "../base/failure.js";
import type { Pace } from "../base/pace.js";
import { textOf } from "../prefix/blocks.js";
import { formatBytes, type Address, type Block, type Family } from "../prefix/prefixes.js";
import * as libc from "../sys/libc.js";
import {
  addressOf, attribute, cString, familyOf, ifinfomsg, linkOf, messages, outcomeOf, request, statsOf, u32, type Link,
  type LinkStats, type Message,
} from "./messages.js";
import { NetlinkError } from "./refusal.js";
import { routeOf, RouteRequests, type Route } from "./route.js";
import { DATAGRAM, openNetlink, receive, send } from "./socket.js";
import * as uapi from "../sys/uapi.js";

/** Requests about routes in one send(2). The socket has room for that many refusals. */
const REQUESTS = 64;

export class Netlink {
  #fd: number;
  readonly #buffer = Buffer.alloc(DATAGRAM);
  #sequence = 0;

  /** `fd`: a socket of openNetlink(), if there is one to be used. @throws SystemError if none can be opened. */
  constructor(fd = openNetlink()) {
    this.#fd = fd;
  }

  /** Requests fail with EBADF from now on. */
  close(): void {
    libc.close(this.#fd);
    this.#fd = -1;
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
   * Routes the blocks, which are of one family, to the interface. Returns the indices of those that have a route in the
   * same table and with the same metric already. `source` is the address that the host prefers as its own towards them.
   * @throws NetlinkError at the first that the kernel refuses otherwise; Stopped
   */
  addRoutes(
    index: number, family: Family, blocks: Iterable<Block>, source: Address | undefined, pace: Pace,
  ): Promise<number[]> {
    const flags = uapi.NLM_F_CREATE | uapi.NLM_F_EXCL;
    const requests = new RouteRequests(uapi.RTM_NEWROUTE, flags, family, index, source, REQUESTS);
    return this.#eachRoute(requests, blocks, libc.E.EEXIST, pace);
  }

  /**
   * Removes the routes that addRoutes() made. It does not matter if some are gone already.
   * @throws NetlinkError, Stopped
   */
  async deleteRoutes(index: number, family: Family, blocks: Iterable<Block>, pace: Pace): Promise<void> {
    const requests = new RouteRequests(uapi.RTM_DELROUTE, 0, family, index, undefined, REQUESTS);
    await this.#eachRoute(requests, blocks, libc.E.ESRCH, pace);
  }

  /** Sends a request for each block. Returns the indices of those that the kernel refuses with `tolerated`. */
  async #eachRoute(
    requests: RouteRequests, blocks: Iterable<Block>, tolerated: number, pace: Pace,
  ): Promise<number[]> {
    const refused: number[] = [];
    let first = 0;
    const exchange = () => {
      for (const i of this.#exchange(requests, tolerated)) refused.push(first + i);
      first += requests.count;
      requests.clear();
    };
    for (const block of blocks) {
      requests.add(block, ++this.#sequence);
      if (requests.count < requests.max) continue;
      exchange();
      if (pace.over) await pace.turn();
    }
    if (requests.count > 0) exchange();
    return refused;
  }

  /** Sends the requests, the last of which has the latest sequence number, and waits until the kernel has done them. */
  #exchange(requests: RouteRequests, tolerated: number): number[] {
    const refused: number[] = [];
    const sequence = this.#sequence - requests.count + 1;
    send(this.#fd, requests.bytes, "routes");
    for (;;) {
      for (const message of this.#receive("routes")) {
        if (message.type !== uapi.NLMSG_ERROR || message.seq < sequence) continue;
        const { errno, text } = outcomeOf(message);
        const i = message.seq - sequence;
        if (errno === tolerated) refused.push(i);
        else if (errno !== 0) throw new NetlinkError("netlink:", `route ${textOf(requests.block(i))}`, errno, text);
        if (message.seq === this.#sequence) return refused;
      }
    }
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
    send(this.#fd, this.#message(type, flags, payload), subject);
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

  /** Returns the messages of the next datagram. The next call overwrites them. */
  #receive(subject: string): Generator<Message, void, undefined> {
    return messages(this.#buffer.subarray(0, receive(this.#fd, this.#buffer, subject)));
  }
}
