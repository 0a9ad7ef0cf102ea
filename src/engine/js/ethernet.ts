/**
 * TAP mode in JavaScript; assembly/ethernet.ts draws a slot.
 *
 *  1. unwrap   frames become the packets that they carry, or are answered (arp.ts, neighbor.ts) or dropped at once
 *  2. ../js.ts judges the packets
 *  3. wrap     replies become frames
 */
import { FRAME_OFFSET, FREE_COUNT, QUEUED } from "../../../abi/control.js";
import { Counter, Drop, DROPPED, PREFIX_REPLIES, REPLIES } from "../../../abi/counters.js";
import { FREE } from "../../../abi/pool.js";
import { RECEIVED, SLOT_ALIGN, TO_SEND } from "../../../abi/slots.js";
import { FIRST_PREFIX, INVALID } from "../../../abi/tables.js";
import { createArp } from "./arp.js";
import type { Core } from "./core.js";
import { createFrames } from "./frame.js";
import { createNeighbor, isSolicitation } from "./neighbor.js";

// ../js.ts says why imported constants are defined anew.
const RECEIVED_WORDS = RECEIVED / 4;
const TO_SEND_WORDS = TO_SEND / 4;
const FREE_WORDS = FREE / 4;
const FREE_COUNT_WORD = FREE_COUNT / 4;
const QUEUED_WORD = QUEUED / 4;
const FRAME_OFFSET_WORD = FRAME_OFFSET / 4;
const SLOT_MASK = -SLOT_ALIGN;
const DROPPED_COUNTERS = DROPPED;
const REPLIES_COUNTERS = REPLIES;
const OWNER_REPLIES_COUNTERS = PREFIX_REPLIES - FIRST_PREFIX;
const NO_HOST = INVALID;

const HEADER_LEN = 14;
const TAG_LEN = 4;
// EtherTypes in memory order.
const IPV4 = 0x0008;
const ARP = 0x0608;
const IPV6 = 0xdd86;
const CUSTOMER_TAG = 0x0081;
const SERVICE_TAG = 0xa888;
const MAX_TAGS = 2;
/** Bits of a tag's VLAN in the word that the tag shares with the type behind it. */
const VLAN_ID = 0xff0f;

// Words of an IP packet.
const DST = 4;
const DST6 = 6;
const IPV4_HEADER_LEN = 20;
const IPV6_HEADER_LEN = 40;

export interface Ethernet {
  /**
   * Leaves the packets that are to be judged in RECEIVED, and returns how many there are. `table` is the word index of
   * this batch's table.
   */
  unwrap(count: number, table: number): number;
  /** Turns the packets in TO_SEND from `first` up to `end` into frames. */
  wrap(first: number, end: number): void;
}

export function createEthernet(core: Omit<Core, "frames" | "answer"> & { readonly counters: Float64Array }): Ethernet {
  const { i32, counters, owner, owner6 } = core;
  const frames = createFrames(i32);
  const { typeBehind, sourceStart, sourceRest, destinationStart, destinationRest, setDestination, setSource } = frames;
  const { isGroup, isStation, macStart, macRest, macStart6, macRest6 } = frames;
  const arp = createArp({ ...core, frames, answer });
  const neighbor = createNeighbor({ ...core, frames, answer });

  function unwrap(count: number, table: number): number {
    i32[QUEUED_WORD] = 0;
    let packets = 0;
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const frame = i32[RECEIVED_WORDS + 2 * i];
      const length = i32[RECEIVED_WORDS + 2 * i + 1];
      const verdict = judge(frame, length, table);
      if (verdict > 0) {
        i32[RECEIVED_WORDS + 2 * packets] = frame + verdict;
        i32[RECEIVED_WORDS + 2 * packets + 1] = length - verdict;
        packets++;
        bytes += verdict;
      } else {
        if (verdict < 0) {
          i32[FREE_WORDS + i32[FREE_COUNT_WORD]++] = frame & SLOT_MASK;
          counters[DROPPED_COUNTERS + ~verdict]++;
        }
        bytes += length;
      }
    }
    // input() counts the bytes of the packets themselves.
    counters[Counter.bytesReceived] += bytes;
    return packets;
  }

  /**
   * Returns a verdict. Above 0, it is the length of the header before a packet. 0 means that the frame has been
   * answered. Below 0, it is ~ the reason to drop the frame.
   */
  function judge(frame: number, length: number, table: number): number {
    if (length < HEADER_LEN) return ~Drop.pkt_too_small;
    const at = frame >> 2;
    let type = typeBehind(at, 0);
    let tags = 0;
    let reserved = false;
    while (tags < MAX_TAGS && (type === CUSTOMER_TAG || type === SERVICE_TAG)) {
      tags++;
      if (length < HEADER_LEN + TAG_LEN * tags) return ~Drop.pkt_too_small;
      reserved ||= (i32[at + 3 + tags] & VLAN_ID) === VLAN_ID;
      type = typeBehind(at, tags);
    }
    if (reserved) return ~Drop.vlan_reserved;
    const fromStart = sourceStart(at);
    const fromRest = sourceRest(at);
    if (!isStation(fromStart, fromRest)) return ~Drop.mac_invalid_source;
    const headerLen = HEADER_LEN + TAG_LEN * tags;
    const packetLen = length - headerLen;
    const ip = frame + headerLen >> 2;
    if (type === IPV4) {
      if (packetLen < IPV4_HEADER_LEN || (i32[ip] & 0xf0) !== 0x40) return ~Drop.ip_inhdr;
      const dst = i32[ip + DST];
      return packet(at, headerLen, fromStart, fromRest, macStart(), macRest(dst), owner(dst, table));
    }
    if (type === IPV6) {
      if (packetLen < IPV6_HEADER_LEN || (i32[ip] & 0xf0) !== 0x60) return ~Drop.ip_inhdr;
      if (isSolicitation(i32, ip, packetLen)) return neighbor(frame, headerLen, length, table);
      const dst = ip + DST6;
      return packet(at, headerLen, fromStart, fromRest, macStart6(), macRest6(dst), owner6(dst << 2, table));
    }
    return type === ARP ? arp(frame, headerLen, length, table) : ~Drop.unhandled_proto;
  }

  /**
   * Judges the frame of a packet from one station to an address with this MAC address and this owner. If the packet is
   * handed on, its MAC addresses are exchanged already.
   */
  function packet(
    at: number, headerLen: number, fromStart: number, fromRest: number, start: number, rest: number, owner: number,
  ): number {
    const toStart = destinationStart(at);
    if (isGroup(toStart)) return owner === NO_HOST ? ~Drop.ip_invalid_dest : ~Drop.unicast_in_l2_multicast;
    if (toStart !== start || destinationRest(at) !== rest) return ~Drop.otherhost;
    if (fromStart === start && fromRest === rest) return ~Drop.mac_invalid_source;
    setDestination(at, fromStart, fromRest);
    setSource(at, start, rest);
    return headerLen;
  }

  function answer(protocol: number, prefix: number, frame: number, length: number): number {
    counters[REPLIES_COUNTERS + protocol]++;
    counters[OWNER_REPLIES_COUNTERS + prefix]++;
    const index = i32[QUEUED_WORD]++;
    i32[TO_SEND_WORDS + 2 * index] = frame;
    i32[TO_SEND_WORDS + 2 * index + 1] = length;
    return 0;
  }

  function wrap(first: number, end: number): void {
    const offset = i32[FRAME_OFFSET_WORD];
    for (let i = first; i < end; i++) {
      const packet = i32[TO_SEND_WORDS + 2 * i];
      const frame = (packet & SLOT_MASK) + offset;
      i32[TO_SEND_WORDS + 2 * i] = frame;
      i32[TO_SEND_WORDS + 2 * i + 1] += packet - frame;
    }
  }

  return { unwrap, wrap };
}
