/**
 * rtnetlink(7)'s messages about routes. There may be a million of them, so they are read and made without an object for
 * each.
 */
import type { Address, Block, Family } from "../prefix/prefixes.js";
import { blockFamily } from "../prefix/blocks.js";
import {
  attribute, familyOf, malformed, need, nextAttribute, numberAt, request, typeOfAttribute, u32,
} from "./messages.js";
import * as uapi from "../sys/uapi.js";

export interface Route {
  /** Destination, 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  /** Prefix length of the destination. */
  readonly length: number;
  /** RTN_UNICAST, RTN_LOCAL, RTN_BLACKHOLE … */
  readonly type: number;
  /** Index of the outgoing interface; 0 where there is none or several. */
  readonly oif: number;
  /** Number of its table, often RT_TABLE_MAIN. */
  readonly table: number;
  /** Type of service that a packet must have for it (IPv4); 0 for any. */
  readonly tos: number;
  /** Metric. Among routes that are otherwise the same, the lowest wins. */
  readonly metric: number;
  /** Maker of the route: RTPROT_KERNEL, RTPROT_STATIC … */
  readonly protocol: number;
}

/** Metric of pongd's routes. The kernel has no IPv6 route of metric 0. */
export const ROUTE_METRIC: Readonly<Record<Family, number>> = { 4: 0, 6: uapi.IP6_RT_PRIO_USER };

/** Reads routes of a family, each into the same record. */
export class RouteReader {
  readonly #family: Family;
  readonly #route: { -readonly [key in keyof Route]: Route[key] };

  constructor(family: Family) {
    this.#family = family;
    const bytes = new Uint8Array(family === 4 ? 4 : 16);
    this.#route = { bytes, length: 0, type: 0, oif: 0, table: 0, tos: 0, metric: 0, protocol: 0 };
  }

  /** The route that was read last. The next read() overwrites it. */
  get route(): Route {
    return this.#route;
  }

  /**
   * Reads a message's payload, which lies between these offsets. Returns false for a route of another family, and for
   * one that is only in the kernel's cache.
   * @throws Failure
   */
  read(datagram: Buffer, from: number, to: number): boolean {
    if (to - from < uapi.SIZEOF_RTMSG) need(datagram.subarray(from, to), uapi.SIZEOF_RTMSG, "a route");
    if (datagram[from] !== familyOf({ family: this.#family })) return false;
    if ((datagram.readUInt32LE(from + 8) & uapi.RTM_F_CLONED) !== 0) return false;
    const route = this.#route;
    // struct rtmsg: u8 family, dst_len, src_len, tos, table, protocol, scope, type. A table above 255
    // is only in its attribute.
    route.length = datagram[from + 1];
    route.tos = datagram[from + 3];
    route.table = datagram[from + 4];
    route.protocol = datagram[from + 5];
    route.type = datagram[from + 7];
    route.oif = 0;
    route.metric = 0;
    route.bytes.fill(0);
    for (let at = from + uapi.SIZEOF_RTMSG; at + 4 <= to;) {
      const next = nextAttribute(datagram, at, to);
      switch (typeOfAttribute(datagram, at)) {
        case uapi.RTA_DST: this.#destination(datagram, at); break;
        case uapi.RTA_OIF: route.oif = numberAt(datagram, at); break;
        case uapi.RTA_PRIORITY: route.metric = numberAt(datagram, at); break;
        case uapi.RTA_TABLE: route.table = numberAt(datagram, at); break;
        default:
      }
      at = next;
    }
    if (route.length > 8 * route.bytes.length) throw this.#wrong(route.bytes.length);
    return true;
  }

  #destination(datagram: Buffer, at: number): void {
    const { bytes } = this.#route;
    const length = datagram.readUInt16LE(at) - 4;
    if (length !== bytes.length) throw this.#wrong(length);
    for (let i = 0; i < length; i++) bytes[i] = datagram[at + 4 + i];
  }

  #wrong(bytes: number): Error {
    return malformed(`a route to ${bytes} bytes, of which ${this.#route.length} bits count`);
  }
}

/** Returns undefined for a route of another family, and for one that is only in the kernel's cache. @throws Failure */
export function routeOf(payload: Buffer, family: Family): Route | undefined {
  const reader = new RouteReader(family);
  return reader.read(payload, 0, payload.length) ? reader.route : undefined;
}

/**
 * Returns a route of the block to the interface. `source` is the address that the host prefers as its own towards it.
 */
export function routeTo(index: number, block: Block, source: Address | undefined): Buffer[] {
  const family = blockFamily(block);
  const header = Buffer.alloc(uapi.SIZEOF_RTMSG);
  header[0] = familyOf({ family });
  header[1] = block.length;
  header[4] = uapi.RT_TABLE_MAIN;
  header[5] = uapi.RTPROT_STATIC;
  header[6] = family === 4 ? uapi.RT_SCOPE_LINK : uapi.RT_SCOPE_UNIVERSE;
  header[7] = uapi.RTN_UNICAST;
  return [
    header,
    attribute(uapi.RTA_DST, block.bytes),
    attribute(uapi.RTA_OIF, u32(index)),
    attribute(uapi.RTA_PRIORITY, u32(ROUTE_METRIC[family])),
    ...source ? [attribute(uapi.RTA_PREFSRC, source.bytes)] : [],
  ];
}

/** Where a request of routeTo()'s has the prefix length and the address. */
const LENGTH_AT = uapi.SIZEOF_NLMSGHDR + 1;
const ADDRESS_AT = uapi.SIZEOF_NLMSGHDR + uapi.SIZEOF_RTMSG + 4;

/** Requests about routes of one family to an interface, to be sent together. They differ in their blocks alone. */
export class RouteRequests {
  readonly #template: Buffer;
  readonly #buffer: Buffer;
  #count = 0;

  /** `source` is as in routeTo(). At most `max` requests are sent together. */
  constructor(
    type: number, flags: number, family: Family, index: number, source: Address | undefined, readonly max: number,
  ) {
    const any = { bytes: new Uint8Array(family === 4 ? 4 : 16), length: 0 };
    this.#template = request(type, flags, 0, routeTo(index, any, source));
    this.#buffer = Buffer.alloc(max * this.#template.length);
  }

  get count(): number {
    return this.#count;
  }

  add({ bytes, length }: Block, sequence: number): void {
    const at = this.#count++ * this.#template.length;
    this.#buffer.set(this.#template, at);
    this.#buffer.writeUInt32LE(sequence, at + 8);
    this.#buffer[at + LENGTH_AT] = length;
    this.#buffer.set(bytes, at + ADDRESS_AT);
  }

  /** Returns request `i`'s block. */
  block(i: number): Block {
    const at = i * this.#template.length;
    const width = this.#template.readUInt16LE(ADDRESS_AT - 4) - 4;
    const bytes = Uint8Array.from(this.#buffer.subarray(at + ADDRESS_AT, at + ADDRESS_AT + width));
    return { bytes, length: this.#buffer[at + LENGTH_AT] };
  }

  /** Returns the requests. The last one asks for an acknowledgement: about others the kernel reports refusals alone. */
  get bytes(): Buffer {
    const bytes = this.#buffer.subarray(0, this.#count * this.#template.length);
    const flags = bytes.length - this.#template.length + 6;
    bytes.writeUInt16LE(bytes.readUInt16LE(flags) | uapi.NLM_F_ACK, flags);
    return bytes;
  }

  clear(): void {
    this.#count = 0;
  }
}
