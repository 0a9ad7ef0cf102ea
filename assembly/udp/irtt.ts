// An IRTT server (github.com/heistp/irtt, protocol version 1), which has no RFC. irtt/ has its packets' shape, its
// sessions, and what it answers.
//
// A client opens a session, and is told a token. Each request is answered by a reply that has, in optional fields, what
// the client has asked for: how many requests came, which of the last 64, and when the request came and the reply
// leaves. The request has room for these fields, so that a reply is never longer. Only the reply to an open is: by the
// token, and by a longer interval that the parameters may say.
//
// A reply's times are those of its batch, as STAMP's are (stamp.ts).

import { Drop, Protocol } from "../../abi/counters";
import { setProtocol } from "../packet";
import { drop } from "../verdict";
import * as wire from "../wire/udp";
import { echo } from "./irtt/echo";
import { open } from "./irtt/open";
import {
  ALL_FLAGS, CLOSE, FLAGS, HEADER_LEN, HMAC_LEN, isAuthentic, MAGIC, OPEN, padsOf, REPLY, TOKEN, TOKEN_LEN,
} from "./irtt/packet";
import { end, find } from "./irtt/sessions";

/** Answers a datagram of `len` bytes as the service's options say (../../abi/irtt.ts). */
export function answerIrtt(packet: usize, ip: usize, datagram: usize, len: u32, service: usize): i32 {
  const message = datagram + wire.HEADER_LEN;
  const messageLen = len - wire.HEADER_LEN;
  if (messageLen < HEADER_LEN || (load<u32>(message) & 0xffffff) != MAGIC) return drop(Drop.irtt_malformed);
  const flags: u32 = load<u8>(message, FLAGS);
  if (flags & ~ALL_FLAGS) return drop(Drop.irtt_malformed);
  if (flags & REPLY) return drop(Drop.udp_loop);
  const pads = padsOf(service);
  // Before anything else in it is looked at.
  if (!isAuthentic(message, messageLen, pads)) return drop(Drop.irtt_hmac);
  setProtocol(packet, Protocol.irtt);
  if (flags & OPEN) return open(packet, ip, datagram, messageLen, service, pads);
  const hmacLen: u32 = pads ? HMAC_LEN : 0;
  if (messageLen < hmacLen + HEADER_LEN + TOKEN_LEN) return drop(Drop.irtt_malformed);
  const token = load<u64>(message + hmacLen, TOKEN);
  const session: usize = token ? find(packet, ip, datagram, token) : 0;
  if (!session) return drop(Drop.irtt_token);
  if (flags & CLOSE) {
    end(session);
    return drop(Drop.irtt_close);
  }
  return echo(packet, ip, datagram, messageLen, service, session, pads);
}
