/** ARP in JavaScript; assembly/respond/arp.ts has the RFCs. */
import { Drop, Protocol } from "../../../abi/counters.js";
import { FIRST_PREFIX, INVALID, NOBODY } from "../../../abi/tables.js";
import type { Core, Responder } from "./core.js";

// ../js.ts says why imported constants are defined anew.
const FIRST_OWNER = FIRST_PREFIX;
const NO_PREFIX = NOBODY;
const NO_HOST = INVALID;
const PROTOCOL = Protocol.arp as number;

const LEN = 28;

// Words of a packet.
/** Hardware type, protocol type. */
const TYPES = 0;
/** Address lengths, operation. */
const OPERATION = 1;
/**
 * First word of the sender's MAC address, which lies early (frame.ts). The IPv4 address is behind it, half in each of
 * the next two words. The target's MAC address lies late, and its IPv4 address is one word.
 */
const SENDER_MAC = 2;
const SENDER = 3;
const TARGET_MAC = 4;
const TARGET = 6;

// Values of the first two words, in memory order: addresses of 6 and 4 bytes.
const ETHERNET_IPV4 = 0x00080100;
const IEEE802_IPV4 = 0x00080600;
const REQUEST = 0x01000406;
const REPLY = 0x02000406;

export function createArp({ i32, frames, owner, answer }: Core): Responder {
  const {
    earlyRest, earlyStart, sourceStart, sourceRest, destinationStart, destinationRest, setDestination, setSource,
    isStation, isPeer, macStart, macRest,
  } = frames;

  function arp(frame: number, headerLen: number, length: number, table: number): number {
    if (length < headerLen + LEN) return ~Drop.pkt_too_small;
    const at = frame >> 2;
    const packet = frame + headerLen >> 2;
    const types = i32[packet + TYPES];
    if ((types !== ETHERNET_IPV4 && types !== IEEE802_IPV4) || i32[packet + OPERATION] !== REQUEST) {
      return ~Drop.arp_invalid;
    }
    const senderStart = earlyStart(packet + SENDER_MAC);
    const senderRest = earlyRest(packet + SENDER_MAC);
    if (!isStation(senderStart, senderRest)) return ~Drop.mac_invalid_source;
    const sender = i32[packet + SENDER] >>> 16 | i32[packet + SENDER + 1] << 16;
    const target = i32[packet + TARGET];
    if (sender === 0) return ~Drop.arp_probe;
    if (owner(sender, table) !== NO_PREFIX) return ~Drop.martian_source;
    if (sender === target) return ~Drop.arp_announcement;
    const prefix = owner(target, table);
    if (prefix < FIRST_OWNER) return prefix === NO_HOST ? ~Drop.ip_invalid_dest : ~Drop.not_our_prefix;
    const start = macStart();
    const rest = macRest(target);
    const toStart = destinationStart(at);
    const toRest = destinationRest(at);
    const isBroadcast = toStart === 0xffff && toRest === -1;
    if (!isBroadcast && (toStart !== start || toRest !== rest)) return ~Drop.otherhost;
    if (!isPeer(sourceStart(at), sourceRest(at), start, rest)) return ~Drop.mac_invalid_source;
    if (!isPeer(senderStart, senderRest, start, rest)) return ~Drop.mac_invalid_source;

    setDestination(at, senderStart, senderRest);
    setSource(at, start, rest);
    i32[packet + TYPES] = ETHERNET_IPV4;
    i32[packet + OPERATION] = REPLY;
    // The sender is now the MAC address and the IPv4 address that was asked for. The target is whoever asked.
    i32[packet + SENDER_MAC] = start | rest << 16;
    i32[packet + SENDER] = rest >>> 16 | target << 16;
    i32[packet + TARGET_MAC] = target >>> 16 | senderStart << 16;
    i32[packet + TARGET_MAC + 1] = senderRest;
    i32[packet + TARGET] = sender;
    return answer(PROTOCOL, prefix, frame, headerLen + LEN);
  }

  return arp;
}
