/** Steps that tests of the sending side have in common. */
import assert from "node:assert/strict";
import { TICK_NS } from "../../abi/timers.js";
import { Sender, type Sent, type SenderOptions } from "./sender.js";

export const MSS = 1460;
/** In µs, as all times here. */
export const MS = 1000;
const TICK = TICK_NS / 1000;
/** The threshold before any loss. */
export const NO_THRESHOLD = 0x7fff_ffff;

/** Returns a sender that has sent a whole window, and has more to send. */
export async function sending(options: SenderOptions = {}): Promise<Sender> {
  const sender = await Sender.create({ rtt: 20 * MS, ...options });
  sender.offer(100_000_000);
  sender.output();
  return sender;
}

/** Returns segments as numbers: those sent again as negative ones, and the first one again as "-0". */
export function numbers(sent: readonly Sent[], mss = MSS): string {
  return sent.map(({ seq, again }) => `${again ? "-" : ""}${seq / mss}`).join(" ");
}

/** Asserts that the timer comes after so many µs, as precise as its ticks are. */
export function timerIs(sender: Sender, us: number): void {
  const { timer } = sender;
  assert.ok(timer !== undefined && Math.abs(timer - us) <= 2 * TICK, `the timer comes after ${timer} µs, not ${us}`);
}

/** Waits for the timer, and lets it come. */
export function toTimer(sender: Sender): boolean {
  sender.wait(sender.timer ?? assert.fail("no timer"));
  return sender.expire();
}
