// An open: a client asks for a session, and is told its token and what was agreed.

import { MTU } from "../../../abi/control";
import { Drop } from "../../../abi/counters";
import { IRTT_FIELDS, IRTT_LENGTH, IRTT_RANDOM, IRTT_TOKEN, IRTT_USED_AT } from "../../../abi/irtt";
import { SERVICE_BYTES } from "../../../abi/tcp";
import { drop } from "../../verdict";
import * as wire from "../../wire/udp";
import { CLOSE, FLAGS, HEADER_LEN, HMAC_LEN, REPLY, send, sign, TOKEN, TOKEN_LEN } from "./packet";
import {
  fieldsOf, LENGTH, parameter, PROTOCOL_VERSION, read, restrict, setParameter, VERSION, write,
} from "./parameters";
import { assign, create, find, time } from "./sessions";

/** Answers an open with the parameters that the session has, and with its token. */
export function open(packet: usize, ip: usize, datagram: usize, messageLen: u32, service: usize, pads: usize): i32 {
  const message = datagram + wire.HEADER_LEN;
  const hmacLen: u32 = pads ? HMAC_LEN : 0;
  const random = read(message + hmacLen + HEADER_LEN, messageLen - hmacLen - HEADER_LEN);
  if (random < 0) return drop(Drop.irtt_malformed);
  const fields = fieldsOf();
  if (fields < 0) return drop(Drop.irtt_malformed);
  restrict(load<u32>(service, SERVICE_BYTES));
  let flags: u32 = load<u8>(message, FLAGS) | REPLY;
  if (parameter(VERSION) != PROTOCOL_VERSION) {
    setParameter(VERSION, PROTOCOL_VERSION);
    flags |= CLOSE;
  }
  // How much longer the reply may be is known only when it is written: 16 bytes are more than that.
  if (<u32>(message - ip) + messageLen + 16 > load<u32>(MTU)) return drop(Drop.irtt_malformed);
  let token: u64 = 0;
  if (!(flags & CLOSE)) {
    const length = <u32>max<i64>(0, min<i64>(parameter(LENGTH), 0xffff));
    // One that is only asked for again keeps its token, whichever reply arrives. One that is in use, or was opened with
    // other parameters, stays beside a new one: otherwise whoever forges an open from its client's port would end it.
    let session = find(packet, ip, datagram, 0, fields, random, length);
    if (!session) session = create(packet, ip, datagram);
    if (!session) return drop(Drop.irtt_sessions);
    store<u64>(session, time(), IRTT_USED_AT);
    assign(session, service);
    store<u8>(session, <u8>fields, IRTT_FIELDS);
    store<u8>(session, <u8>random, IRTT_RANDOM);
    store<u32>(session, length, IRTT_LENGTH);
    token = load<u64>(session, IRTT_TOKEN);
  }
  store<u8>(message, <u8>flags, FLAGS);
  store<u64>(message + hmacLen, token, TOKEN);
  const end = write(message + hmacLen + HEADER_LEN + TOKEN_LEN, random != 0);
  if (pads) sign(message, <u32>(end - message), pads);
  return send(packet, ip, datagram, <u32>(end - datagram));
}
