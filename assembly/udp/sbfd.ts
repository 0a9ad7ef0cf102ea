// An S-BFD reflector, RFC 7880 and RFC 7881. It answers every control packet of an initiator (RFC 5880 §4.1), keeps
// nothing, and has no timers. A reply is as long as its request.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     ├─────┬─────────┼───┬─┬─┬─┬─┬─┬─┼───────────────┼───────────────┤
//    0│vers │  diag   │sta│P│F│C│A│D│M│  detect mult  │    length     │
//     ├─────┴─────────┴───┴─┴─┴─┴─┴─┴─┴───────────────┴───────────────┤
//    4│                       my discriminator                        │
//    8│                      your discriminator                       │
//   12│                    desired min TX interval                    │
//   16│                   required min RX interval                    │
//   20│                 required min echo RX interval                 │
//     └───────────────────────────────────────────────────────────────┘

import { Drop, Protocol } from "../../abi/counters";
import { SBFD_ADMIN_DOWN, SBFD_DISCRIMINATORS } from "../../abi/sbfd";
import { SOURCE_LIMIT } from "../../abi/tables";
import { SERVICE_BYTES, SERVICE_BYTES_LEN } from "../../abi/tcp";
import { setProtocol } from "../packet";
import { table } from "../prefix";
import { drop } from "../verdict";
import * as wire from "../wire/udp";
import { replySummed } from "./reply";

const MIN_LEN: u32 = 24;
const VERSION: u32 = 1;
/** RFC 7881: replies leave with a TTL and hop limit of 255. */
const TTL: u32 = 255;

const VERSION_AND_DIAG: usize = 0;
const FLAGS: usize = 1;
const DETECT_MULT: usize = 2;
const LENGTH: usize = 3;
const MY_DISCRIMINATOR: usize = 4;
const YOUR_DISCRIMINATOR: usize = 8;
const REQUIRED_MIN_RX: usize = 16;
const REQUIRED_MIN_ECHO_RX: usize = 20;

const ADMIN_DOWN: u32 = 0 << 6;
const UP: u32 = 3 << 6;
const POLL: u32 = 1 << 5;
const FINAL: u32 = 1 << 4;
const AUTHENTICATION: u32 = 1 << 2;
const DEMAND: u32 = 1 << 1;
const MULTIPOINT: u32 = 1;
/** The diagnostic of AdminDown. */
const ADMINISTRATIVELY_DOWN: u32 = 7;

/** Answers a datagram of `len` bytes. */
export function reflectSbfd(packet: usize, ip: usize, datagram: usize, len: u32, service: usize): i32 {
  const control = datagram + wire.HEADER_LEN;
  if (!isControl(control, len - wire.HEADER_LEN)) return drop(Drop.sbfd_malformed);
  const flags: u32 = load<u8>(control, FLAGS);
  // RFC 7880: an initiator sets this bit, a reflector clears it, so that no reflector answers another one.
  if (!(flags & DEMAND)) return drop(Drop.udp_loop);
  const bytes: usize = load<u32>(service, SERVICE_BYTES);
  const bytesLen = load<u32>(service, SERVICE_BYTES_LEN);
  const discriminator = load<u32>(control, YOUR_DISCRIMINATOR);
  if (!hasDiscriminator(bytes, bytesLen, discriminator)) return drop(Drop.sbfd_discriminator);

  const isDown = bytesLen != 0 && load<u32>(bytes, SBFD_ADMIN_DOWN) != 0;
  store<u8>(control, <u8>(VERSION << 5 | (isDown ? ADMINISTRATIVELY_DOWN : 0)), VERSION_AND_DIAG);
  // RFC 5880 §6.5: whoever polls gets a packet with F.
  store<u8>(control, <u8>((isDown ? ADMIN_DOWN : UP) | (flags & POLL ? FINAL : 0)), FLAGS);
  store<u32>(control, load<u32>(control, MY_DISCRIMINATOR), YOUR_DISCRIMINATOR);
  store<u32>(control, discriminator, MY_DISCRIMINATOR);
  store<u32>(control, bswap<u32>(interval()), REQUIRED_MIN_RX);
  store<u32>(control, 0, REQUIRED_MIN_ECHO_RX);
  setProtocol(packet, Protocol.sbfd);
  return replySummed(packet, ip, datagram, len, TTL);
}

/** RFC 5880 §6.8.6: returns whether a control packet is one that may be answered. None with authentication is. */
function isControl(control: usize, len: u32): bool {
  // If the datagram is so short that it has no length, this is of no importance: none is that short.
  const length: u32 = load<u8>(control, LENGTH);
  return <u32>load<u8>(control, VERSION_AND_DIAG) >>> 5 == VERSION && length >= MIN_LEN && length <= len
    && load<u8>(control, DETECT_MULT) != 0 && !(<u32>load<u8>(control, FLAGS) & (AUTHENTICATION | MULTIPOINT))
    && load<u32>(control, MY_DISCRIMINATOR) != 0 && load<u32>(control, YOUR_DISCRIMINATOR) != 0;
}

/** Returns whether the service has a discriminator, which is as it lies in a packet. */
function hasDiscriminator(bytes: usize, bytesLen: u32, discriminator: u32): bool {
  if (bytesLen <= <u32>SBFD_DISCRIMINATORS) return true;
  for (let at: u32 = SBFD_DISCRIMINATORS; at < bytesLen; at += 4) {
    if (load<u32>(bytes + at) == discriminator) return true;
  }
  return false;
}

/** Returns how many microseconds a source has to leave between two packets, by its limit. */
function interval(): u32 {
  return <u32>min<f64>(u32.MAX_VALUE, max<f64>(1, Math.ceil(1000 / <f64>load<f32>(table(), SOURCE_LIMIT))));
}
