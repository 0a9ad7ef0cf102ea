// STAMP's authenticated packets, RFC 8762 §4.2.2 and §4.3.2: longer than the others, with an HMAC over all but itself.
//
//        sender's packet        reply
//   0    sequence number        the same
//   4    0                      0
//  16    timestamp              T3, when it is sent
//  24    error estimate         that of both times
//  26    SSID                   the same
//  28    0                      0
//  32    0                      T2, when the request came
//  40    0                      0
//  48    0                      sender's sequence number
//  52    0                      0
//  64    0                      sender's timestamp
//  72    0                      sender's error estimate
//  74    0                      0
//  80    0                      sender's TTL
//  81    0                      0
//  96    HMAC                   HMAC
// 112    TLVs                   the same, with flags

import { KEY_BY_SSID, STAMP_FLAGS, STAMP_KEY_COUNT, STAMP_KEY_PADS, STAMP_KEY_SIZE, STAMP_KEYS } from "../../abi/stamp";
import { load16 } from "../bytes";
import { isTag, setTag } from "../sha256";
import * as tlv from "./tlv";

export const BASE_LEN: u32 = 112;

export const TIMESTAMP: usize = 16;
const ERROR: usize = 24;
export const SSID: usize = 26;
const RECEIVED_AT: usize = 32;
const SENDER_SEQUENCE: usize = 48;
const SENDER_TIMESTAMP: usize = 64;
const SENDER_ERROR: usize = 72;
const SENDER_TTL: usize = 80;
/** The HMAC is behind what it covers. */
const HMAC: u32 = 96;

/** Returns whether a packet, which is long enough, has the HMAC of this key. */
export function isAuthentic(message: usize, pads: usize): bool {
  return isTag(message + HMAC, pads, message, HMAC);
}

/** Returns whether a packet is as a reflector makes it: see stamp.ts. */
export function isReflected(message: usize): bool {
  const zeros = load<u16>(message, SENDER_ERROR + 2) | load<u32>(message, SENDER_ERROR + 4)
    | load<u32>(message, SENDER_TTL) & 0xffffff00 | load<u32>(message, SENDER_TTL + 4)
    | load<u32>(message, SENDER_TTL + 8) | load<u32>(message, SENDER_TTL + 12);
  return !zeros && load<u64>(message, RECEIVED_AT) != 0 && load<u8>(message, SENDER_TTL) != 0;
}

/** Makes an authentic packet its reply, but for T3 and the HMAC. `received` and `error` are in network order. */
export function answer(message: usize, received: u64, error: u16, ttl: u32): void {
  const timestamp = load<u64>(message, TIMESTAMP);
  const senderError = load<u16>(message, ERROR);
  const ssid = load<u16>(message, SSID);
  memory.fill(message + 4, 0, HMAC - 4);
  store<u16>(message, error, ERROR);
  store<u16>(message, ssid, SSID);
  store<u64>(message, received, RECEIVED_AT);
  store<u32>(message, load<u32>(message), SENDER_SEQUENCE);
  store<u64>(message, timestamp, SENDER_TIMESTAMP);
  store<u16>(message, senderError, SENDER_ERROR);
  store<u8>(message, <u8>ttl, SENDER_TTL);
}

/**
 * Writes the HMACs of a reply that is complete but for them: that of the TLVs if their HMAC TLV lies at offset `hmac`,
 * which is 0 if there is none, and that of the packet.
 */
export function sign(message: usize, options: usize, hmac: u32): void {
  const pads = padsOf(message, options);
  // The first one is made with the room of the second one.
  if (hmac) tlv.sign(message, message + BASE_LEN, hmac - BASE_LEN, pads);
  setTag(message + HMAC, pads, message, HMAC);
}

/** Returns the address of the pads of a packet's key; 0 if there is no key for its SSID. */
export function padsOf(message: usize, options: usize): usize {
  const keys = options + STAMP_KEYS;
  if (!(load<u8>(options, STAMP_FLAGS) & KEY_BY_SSID)) return keys + STAMP_KEY_PADS;
  const ssid = load16(message + SSID);
  let first: u32 = 0;
  let end = load<u32>(options, STAMP_KEY_COUNT);
  while (first < end) {
    const middle = first + end >> 1;
    const key = keys + middle * STAMP_KEY_SIZE;
    const other = load<u32>(key);
    if (other == ssid) return key + STAMP_KEY_PADS;
    if (other < ssid) first = middle + 1;
    else end = middle;
  }
  return 0;
}
