// A connection: its control block (abi/tcp.ts has the fields) has four cache lines, and its state is RFC 9293's. The
// fields are read and written by name, load<u32>(c, SND_NXT), where `c` is the block's address.

import { NOW } from "../../abi/control";
import {
  ACK_AT, END_AT, FLAGS, HEARD_AT, MARKS, RETRANSMIT_AT, SERVICE, SERVICE_KIND, Service, STATE, State,
} from "../../abi/tcp";
import { TICK_BITS } from "../../abi/timers";

export {
  SIX, TIMESTAMPS, SACK, SCALED, ECN, CLOSING, FIN_SENT, IN_TOUCHED, ACK_NOW, RECOVERY, LOSS, TAIL_PROBE,
  PERSIST, ECHO_CONGESTION, CWR_DUE, PROBED,
} from "../../abi/tcp";

export function state(c: usize): State {
  return <State>load<u8>(c, STATE);
}

export function setState(c: usize, state: State): void {
  store<u8>(c, <u8>state, STATE);
}

export function has(c: usize, flag: u32): bool {
  return (load<u8>(c, FLAGS) & flag) != 0;
}

export function setFlag(c: usize, flag: u32): void {
  store<u8>(c, <u8>(load<u8>(c, FLAGS) | flag), FLAGS);
}

export function marked(c: usize, mark: u32): bool {
  return (load<u8>(c, MARKS) & mark) != 0;
}

export function mark(c: usize, mark: u32): void {
  store<u8>(c, <u8>(load<u8>(c, MARKS) | mark), MARKS);
}

export function unmark(c: usize, mark: u32): void {
  store<u8>(c, <u8>(load<u8>(c, MARKS) & ~mark), MARKS);
}

/** Returns what kind of service the connection has. */
export function kind(c: usize): Service {
  return <Service>load<u32>(load<u32>(c, SERVICE), SERVICE_KIND);
}

/** Compares sequence numbers, which wrap (RFC 9293 §3.4). */
export function before(a: u32, b: u32): bool {
  return a - b >>> 31 != 0;
}

export function after(a: u32, b: u32): bool {
  return before(b, a);
}

// ---- time: ticks of 2^14 ns, u32, which wrap after 19 hours; 0 stands for never -------------------------------------

const NS_PER_S: u64 = 1_000_000_000;

export function tick(): u32 {
  return <u32>(load<u64>(NOW) >>> TICK_BITS);
}

/** Returns the microseconds of the clock, which wrap after 71 minutes. */
export function micros(): u32 {
  return <u32>(load<u64>(NOW) / 1000);
}

export function seconds(): u32 {
  return <u32>(load<u64>(NOW) / NS_PER_S);
}

/** Returns the tick that comes `us` microseconds from now. */
export function inMicros(us: u32): u32 {
  const at = <u32>(load<u64>(NOW) + <u64>us * 1000 + (1 << TICK_BITS) - 1 >>> TICK_BITS);
  return at || 1;
}

/** Returns how many ticks `seconds` are, rounded up; they have to be fewer than 35,000. */
export function ticksOf(seconds: u32): u32 {
  return <u32>(<u64>seconds * NS_PER_S + (1 << TICK_BITS) - 1 >>> TICK_BITS);
}

/** Returns whether the time has come, which is not 0. */
export function isDue(at: u32): bool {
  return at != 0 && <i32>(tick() - at) >= 0;
}

export function retransmitIn(c: usize, us: u32): void {
  store<u32>(c, inMicros(us), RETRANSMIT_AT);
}

export function stopRetransmission(c: usize): void {
  store<u32>(c, 0, RETRANSMIT_AT);
}

export function acknowledgeIn(c: usize, us: u32): void {
  store<u32>(c, inMicros(us), ACK_AT);
}

/** Has the connection end at a time, unless that is nearer already. */
export function endIn(c: usize, us: u32): void {
  const at = inMicros(us);
  const last = load<u32>(c, END_AT);
  if (!last || before(at, last)) store<u32>(c, at, END_AT);
}

export function heard(c: usize): void {
  store<u32>(c, tick(), HEARD_AT);
}
