/**
 * Runs the engines over memories of their own, and asserts after every batch of a journal:
 *
 *   - every engine that may answer it leaves the same replies and the same counters; each has other bytes around its
 *     packets
 *   - those bytes are untouched, whatever came, and no slot is lost or used twice
 *   - the oracle has no objection to what was sent
 *   - I5: received and doubled = replied + dropped + held + kept
 *
 * The JavaScript engine joins in the batches that it knows all of. A finding is an Error.
 *
 * Where links and paths lie between, the engines are called at each of their deadlines, as a worker calls them, so that
 * nothing is late. A packet may then stay in its slot, and another be free again that was never sent; so what is beside
 * packets is not compared, and free slots are filled anew now and then.
 */
import {
  Counter, COUNTERS, DROPPED, ERRORS, LATENESS, LATENESS_BUCKETS, MAX_PROTOCOLS, MAX_ERRORS, MAX_DROPS, PREFIX_REPLIES,
  REPLIES,
} from "../../../abi/counters.js";
import { ERROR_BURST, ERRORS_PER_MS } from "../../../abi/limits.js";
import { BATCH, SLOT_BASE } from "../../../abi/slots.js";
import { Unreachable } from "../../../abi/tables.js";
import { createJsEngine } from "../../../src/engine/js.js";
import { Rig, type Maker } from "../../support/engines.js";
import { addr, icmpPacket } from "../../support/packets.js";
import { frame, macBytes, SHARED_MAC } from "../../support/frames.js";
import { HEADER_LEN, MAX_LEN, TIME, TOGETHER } from "./journal.js";
import { KEPT } from "./between.js";
import { compare, examine, isSilent, type, type Sent } from "./oracle.js";
import { rigOptions, worldOf, type Family, type World } from "./world.js";
import { slotOf } from "../../../src/engine/slots.js";

/** The kinds of IPv4's errors, and then of IPv6's. */
const ERROR_KINDS = 2 * MAX_ERRORS;
const COUNTED = 8 * (PREFIX_REPLIES + 64);
/** Counters that are compared with the JavaScript engine's: all but the prefixes'. */
const SHARED = 100;
const HELD: number = Counter.held;
const START = Date.UTC(2026, 0, 1);
const NOTHING = Buffer.alloc(0);
/** Milliseconds that are longer than a datagram waits, and than a packet is kept. */
const LATER = 70_000;
const NS_PER_MS = 1e6;
/** The first of the buckets for what is later than 32 µs: a tick is shorter. */
const LATE = LATENESS + 6;
/** More deadlines than there are in any time that goes by, since few packets are kept. */
const MAX_DEADLINES = 100_000;

interface Side {
  readonly rig: Rig;
  readonly bytes: Buffer;
  /** The memory as a plain Uint8Array, whose methods are not hidden by Buffer's own. */
  readonly plain: Uint8Array;
  readonly guard: Buffer;
  /** The byte that the guard consists of. */
  readonly fill: number;
  /** The slots that the packets of this batch were put into. */
  readonly slots: Uint32Array;
  filled: number;
}

/** The only packet of which anything may be under way. */
interface Single {
  readonly journal: Buffer;
  readonly from: number;
  readonly end: number;
  answers: number;
}

export class Harness {
  readonly world: World;
  readonly #sides: readonly Side[];
  readonly #js: Side | undefined;
  readonly #before = new Float64Array(SHARED);
  readonly #jsBefore = new Float64Array(SHARED);
  readonly #lengths = new Uint32Array(BATCH);
  readonly #starts = new Uint32Array(BATCH);
  readonly #slotSize: number;
  readonly #offset: number;
  readonly #most: number;
  /** A deadline of 0 would be none. */
  #now = 1000;
  #wall = START;
  #bytesIn = 0;
  #single: Single | undefined;
  /**
   * Bytes asked and answered since nothing was held or kept, so that requests without an answer pay for no later
   * answer.
   */
  #asked = 0;
  #answered = 0;
  /** Errors of each kind that may be sent at once. */
  readonly #tokens = new Float64Array(ERROR_KINDS).fill(ERROR_BURST);
  readonly #errors = new Float64Array(ERROR_KINDS);
  /** Packets so far. */
  packets = 0;
  replies = 0;

  private constructor(world: World, sides: readonly Side[], js: Side | undefined) {
    this.world = world;
    this.#sides = sides;
    this.#js = js;
    const { slotSize, frameOffset, packetSize } = sides[0].rig.linear;
    this.#slotSize = slotSize;
    this.#offset = frameOffset;
    this.#most = packetSize;
    for (const { bytes, guard } of js ? [...sides, js] : sides) guard.copy(bytes, SLOT_BASE);
  }

  /** Creates the harness. `makers` make the engines that are compared; the first one's replies are examined. */
  static async create(family: Family, configuration: number, makers: readonly Maker[]): Promise<Harness> {
    const world = worldOf(family, configuration);
    const options = rigOptions(world);
    const side = async (maker: Maker, fill: number): Promise<Side> => {
      const rig = await Rig.over(maker, options);
      const guard = Buffer.alloc(rig.slots.count * rig.linear.slotSize, fill);
      return {
        rig, bytes: Buffer.from(rig.linear.memory.buffer), plain: rig.bytes, fill, guard, slots: new Uint32Array(BATCH),
        filled: 0,
      };
    };
    const fills = [0xa5, 0x00];
    const sides = await Promise.all(makers.map((maker, i) => side(maker, fills[i])));
    // The JavaScript engine does not get every batch, but what is left of a rate depends on all that came before. And
    // it has neither links nor paths.
    return new Harness(
      world, sides,
      world.limited || world.between ? undefined : await side(({ memory }) => createJsEngine(memory), 0xff),
    );
  }

  /** Gives the engines the entries of a journal from `from` to `to`. @throws Error that says what does not hold. */
  run(journal: Buffer, from = HEADER_LEN, to = journal.length): void {
    let count = 0;
    for (let at = from; at + 2 <= to;) {
      const word = journal[at] | journal[at + 1] << 8;
      at += 2;
      if (word & TIME) {
        this.#batch(journal, count);
        count = 0;
        this.#pass(word & 128 ? -(2 ** (word & 31)) : 2 ** (word & 31));
        continue;
      }
      const length = Math.min(word & MAX_LEN, this.#most);
      if (at + (word & MAX_LEN) > to) break;
      if (length > 0) {
        this.#starts[count] = at;
        this.#lengths[count++] = length;
      }
      at += word & MAX_LEN;
      if (!(word & TOGETHER) || count === BATCH) {
        this.#batch(journal, count);
        count = 0;
      }
    }
    this.#batch(journal, count);
  }

  /**
   * Asserts at the end that what waits is given up, that nothing
   * is out of place, and that an echo request is still answered.
   */
  finish(): void {
    this.#pass(LATER);
    this.sweep();
    const { rig } = this.#sides[0];
    const { [Counter.held]: held, [Counter.keptAll]: kept } = rig.linear.counters;
    if (held + kept !== 0) throw new Error(`${held} fragments are held for ever, and ${kept} packets are kept`);
    if (rig.clock.deadline !== 0) {
      throw new Error("a deadline with nothing to wait for");
    }
    const { echo, ttl, between } = this.world;
    if (!echo || between?.loses || between?.spoilsIn || between?.spoilsOut) return;
    if (between?.backs.some((back) => back >= ttl)) return;
    const packet = icmpPacket({ src: "198.51.100.77" });
    const own = this.world.perAddress ? macBytes("02:70:00:00:00:00").fill(0, 2) : macBytes(SHARED_MAC);
    if (this.world.perAddress) own.set(addr("10.99.1.1"), 2);
    const asked = this.world.tap
      ? frame(packet, { dst: Buffer.from(own).toString("hex").replace(/..(?=.)/g, "$&:") })
      : packet;
    if (asked.length > Math.min(this.#most, between?.room ?? Infinity)) return;
    const before = this.replies;
    const journal = Buffer.alloc(2 + asked.length);
    journal.writeUInt16LE(asked.length);
    journal.set(asked, 2);
    this.run(journal, 0);
    if (between) this.#pass(LATER);
    const answers = this.replies - before;
    if (answers < 1 || answers > (between?.copies ?? 1)) throw new Error("no answer any more");
  }

  /** Checks every slot, and the stack of those that are free. @throws Error */
  sweep(): void {
    for (const side of this.#js ? [...this.#sides, this.#js] : this.#sides) {
      const { rig: { slots: { stack, count, free } }, rig, bytes, guard } = side;
      if (this.world.between) this.#fill(side);
      else if (guard.compare(bytes, SLOT_BASE, SLOT_BASE + guard.length) !== 0) {
        throw new Error("a byte was touched in a slot that was not in use");
      }
      const seen = new Set<number>();
      for (let i = 0; i < free; i++) {
        const slot = stack[i] - SLOT_BASE;
        if (slot % this.#slotSize !== 0 || slot < 0 || slot >= guard.length) {
          throw new Error("no slot on the free stack");
        }
        seen.add(slot);
      }
      if (seen.size !== count - rig.linear.counters[Counter.keptAll]) throw new Error("a slot that is free twice");
    }
  }

  /** Fills free slots. Nothing may have been written where no packet has room. */
  #fill({ rig: { slots }, plain, bytes, fill, guard }: Side): void {
    const room = this.#offset + this.#most;
    for (let slot = SLOT_BASE; slot < SLOT_BASE + guard.length; slot += this.#slotSize) {
      if (bytes.compare(guard, 0, this.#slotSize - room, slot + room, slot + this.#slotSize) !== 0) {
        throw new Error("I4: a byte behind the room for a packet was touched");
      }
    }
    for (const slot of slots.stack) plain.fill(fill, slot, slot + this.#slotSize);
  }

  /** Lets time go by, and sets the wall clock forward or back. Has the engines do what is due then. */
  #pass(ms: number): void {
    const end = this.#now + Math.max(0, ms);
    this.#wall = Math.max(START, this.#wall + ms);
    if (this.world.between) this.#keepDeadlines(end);
    this.#advance(end);
  }

  /** Lets time go by, up to then, and has the engines do what is due. */
  #advance(to: number): void {
    for (let i = 0; i < ERROR_KINDS; i++) {
      this.#tokens[i] = Math.min(ERROR_BURST, this.#tokens[i] + (to - this.#now) * ERRORS_PER_MS);
    }
    this.#now = to;
    // An engine does as much at a time as there are slots for.
    do this.#batch(NOTHING, 0); while (this.#sides[0].filled > 0);
  }

  /** Calls the engines at each of their deadlines before `end`, with this wall clock. */
  #keepDeadlines(end: number): void {
    const { clock, linear: { counters } } = this.#sides[0].rig;
    for (let calls = 0; clock.deadline > 0 && clock.deadline / NS_PER_MS < end; calls++) {
      if (calls > MAX_DEADLINES) throw new Error("deadlines do not end");
      this.#advance(Math.max(this.#now, clock.deadline / NS_PER_MS));
    }
    for (let i = LATE; i < LATENESS + LATENESS_BUCKETS; i++) if (counters[i] > 0) throw new Error("a packet was late");
  }

  #batch(journal: Buffer, count: number): void {
    const [first] = this.#sides;
    let known = this.#js !== undefined && count > 0;
    for (let i = 0; i < count && known; i++) {
      known = this.#isKnown(journal, this.#starts[i], this.#starts[i] + this.#lengths[i]);
    }
    const { counters } = first.rig.linear;
    if (this.world.between && count > 0) this.#begin(journal, count, counters);
    if (known && this.#js) {
      for (let i = 0; i < SHARED; i++) this.#before[i] = counters[i];
      for (let i = 0; i < SHARED; i++) this.#jsBefore[i] = this.#js.rig.linear.counters[i];
    }
    for (const side of this.#sides) this.#respond(side, journal, count);
    if (known && this.#js) this.#respond(this.#js, journal, count);

    this.packets += count;
    for (let i = 0; i < count; i++) {
      this.#bytesIn += this.#lengths[i];
      this.#asked += this.#lengths[i];
    }
    for (let i = 1; i < this.#sides.length; i++) {
      const other = this.#sides[i];
      this.#sameReplies(other);
      if (first.bytes.compare(other.bytes, COUNTERS, COUNTERS + COUNTED, COUNTERS, COUNTERS + COUNTED) !== 0) {
        throw new Error(`counters differ: ${this.#counts(first)} and ${this.#counts(other)}`);
      }
    }
    if (known && this.#js) {
      this.#sameReplies(this.#js);
      const theirs = this.#js.rig.linear.counters;
      for (let i = 0; i < SHARED; i++) {
        if (i !== HELD && counters[i] - this.#before[i] !== theirs[i] - this.#jsBefore[i]) throw new Error(
          `the js engine counts ${theirs[i] - this.#jsBefore[i]} in place of ${counters[i] - this.#before[i]} at ${i}`,
        );
      }
    }
    this.#account(counters);
    this.#examine(first, journal, count);
    for (const side of this.#sides) this.#restore(side, count);
    if (known && this.#js) this.#restore(this.#js, count);
  }

  /** Notes whether a packet is alone under way. */
  #begin(journal: Buffer, count: number, counters: Float64Array): void {
    const isAlone = count === 1 && counters[Counter.held] + counters[Counter.keptAll] === 0;
    const [from] = this.#starts;
    this.#single = isAlone ? { journal, from, end: from + this.#lengths[0], answers: 0 } : undefined;
  }

  #respond(side: Side, journal: Buffer, count: number): void {
    const { rig, bytes, slots } = side;
    const free = rig.slots;
    for (let i = 0; i < count; i++) {
      const slot = free.take();
      journal.copy(bytes, slot + this.#offset, this.#starts[i], this.#starts[i] + this.#lengths[i]);
      free.receive(i, slot + this.#offset, this.#lengths[i]);
      slots[i] = slot;
    }
    rig.now = this.#now;
    rig.wall = this.#wall;
    side.filled = rig.call(count);
    const lost = free.count - side.filled - free.free - rig.linear.counters[Counter.keptAll];
    if (lost !== 0) throw new Error(`${lost} slots are lost`);
  }

  #sameReplies(other: Side): void {
    const [first] = this.#sides;
    if (first.filled !== other.filled) throw new Error(`the engines answer ${first.filled} and ${other.filled}`);
    for (let i = 0; i < first.filled; i++) {
      const at = first.rig.slots.toSend(i);
      const length = first.rig.slots.toSendLength(i);
      const theirs = other.rig.slots.toSend(i);
      if (other.rig.slots.toSendLength(i) !== length) throw new Error("the engines' replies differ in length");
      if (first.bytes.compare(other.bytes, theirs, theirs + length, at, at + length) !== 0) {
        throw new Error("the engines' replies differ");
      }
    }
  }

  /** Checks I5, and the rates of errors. */
  #account(counters: Float64Array): void {
    const copies = counters[Counter.linkCopies];
    let verdicts = counters[Counter.held] + counters[Counter.kept] + counters[Counter.tcpReceived]
      + counters[Counter.udpHandled];
    for (let i = REPLIES; i < REPLIES + MAX_PROTOCOLS; i++) verdicts += counters[i];
    for (let i = DROPPED; i < DROPPED + MAX_DROPS; i++) verdicts += counters[i];
    const received = counters[Counter.packetsReceived];
    if (received + copies !== verdicts || received !== this.packets) throw new Error(`I5: of ${this.packets} packets `
      + `${received} are received, ${copies} doubled, and ${verdicts} have a verdict`);
    if (counters[Counter.keptAll] > KEPT) throw new Error("more packets are kept than may be");
    for (let i = 0; i < ERROR_KINDS; i++) {
      this.#tokens[i] -= counters[ERRORS + i] - this.#errors[i];
      this.#errors[i] = counters[ERRORS + i];
      if (this.#tokens[i] < 0) throw new Error("I2: more errors than their rate");
    }
    if (counters[Counter.bytesReceived] !== this.#bytesIn) throw new Error("bytes received");
  }

  #examine({ rig: { slots, linear: { counters } }, bytes, filled }: Side, journal: Buffer, count: number): void {
    const { between } = this.world;
    const single = between ? this.#single : this.#onlyOne(journal, count);
    for (let i = 0; i < filled; i++) {
      const at = slots.toSend(i);
      const length = slots.toSendLength(i);
      if (length > this.#most) throw new Error("longer than a slot takes");
      // A bit may have changed since the packet was right.
      if (between?.spoilsOut) continue;
      const sent = examine(this.world, bytes, at, at + length);
      if (!sent.isError) this.#answered += length - sent.extra;
      if (single) this.#compare(single, bytes, sent, at + length);
    }
    if (!between?.spoilsOut && this.#answered > this.#asked * (between?.copies ?? 1)) {
      throw new Error(`I2: ${this.#answered} bytes for ${this.#asked}`);
    }
    if (counters[Counter.held] + counters[Counter.keptAll] === 0) this.#asked = this.#answered = 0;
  }

  /** Returns the packet if the batch is one packet, with where it begins behind the link's header. */
  #onlyOne(journal: Buffer, count: number): Single | undefined {
    const [from] = this.#starts;
    return count === 1 ? { journal, from, end: from + this.#lengths[0], answers: 0 } : undefined;
  }

  /** Checks an answer to the only packet there was. */
  #compare(single: Single, bytes: Buffer, sent: Sent, end: number): void {
    const { tap, between } = this.world;
    const { journal } = single;
    const from = single.from + (tap ? headerLen(journal, single.from, single.end) : 0);
    this.replies++;
    single.answers++;
    // A bit of the packet may have changed before it was answered.
    if (between?.spoilsIn) return;
    const areWhole = isWhole(bytes, sent.at) && isWhole(journal, from);
    if (bytes[sent.at] >> 4 === journal[from] >> 4 && bytes[sent.at] >> 4 !== 0 && areWhole) {
      compare(this.world, bytes, sent, end, journal, from, single.end);
      if (single.answers > (between?.copies ?? 1)) throw new Error("I2: more answers than a packet has copies");
    }
    // A hop speaks of whatever is no error.
    if (!sent.isHops && isSilent(journal, from, single.end, tap)) {
      throw new Error("I3: an answer to what is none's to answer");
    }
  }

  /** Gives the replies' slots back, and puts the guard over what was there. Around it, the guard has to be whole. */
  #restore(side: Side, count: number): void {
    const { slots } = side.rig;
    for (let i = 0; i < side.filled; i++) {
      const at = slots.toSend(i);
      const slot = slotOf(at);
      if (this.world.between) {
        side.plain.fill(side.fill, slot, slot + this.#slotSize);
        slots.give(slot);
        continue;
      }
      this.#guard(side, slot, Math.max(at + slots.toSendLength(i), this.#end(side, slot, count)));
      slots.give(slot);
    }
    if (this.world.between) return;
    // Packets that were answered in place have their slots in order again already.
    for (let i = 0; i < count; i++) this.#guard(side, side.slots[i], side.slots[i] + this.#offset + this.#lengths[i]);
  }

  /** Checks the guard in a slot's first bytes, which nothing is read to, and from `used` on. Restores it in between. */
  #guard(side: Side, slot: number, used: number): void {
    const { bytes, guard } = side;
    const end = slot + this.#slotSize;
    if (this.#offset > 0 && bytes.compare(guard, 0, this.#offset, slot, slot + this.#offset) !== 0) {
      throw new Error("I4: a byte before the packet was touched");
    }
    if (end > used && bytes.compare(guard, 0, end - used, used, end) !== 0) {
      throw new Error("I4: a byte behind the packet was touched");
    }
    side.plain.fill(side.fill, slot, used);
  }

  /** Returns where the packet ended that was read into the slot, or where the slot begins if there was none. */
  #end({ slots }: Side, slot: number, count: number): number {
    for (let i = 0; i < count; i++) if (slots[i] === slot) return slot + this.#offset + this.#lengths[i];
    return slot;
  }

  /** True if the JavaScript engine does with a packet what the other does. docs/reference.md has what it leaves out. */
  #isKnown(b: Buffer, start: number, end: number): boolean {
    const { tap, reassembly, unreachable, udp, interfaces } = this.world;
    const at = tap ? start + headerLen(b, start, end) : start;
    const six = tap ? end - at > 1 && type(b, at - 2) === 0x86dd : b[at] >> 4 === 6;
    if (tap && !six && type(b, at - 2) !== 0x0800) return true;
    const services = udp !== undefined && udp.ports.length > 0 && b[six ? at + 6 : at + 9] === 17;
    const silent = unreachable.udp === Unreachable.off && unreachable.other === Unreachable.off && !services;
    // The JavaScript engine does not answer PROBE.
    if (interfaces && (six ? b[at + 40] === 160 : b[at + 20] === 42)) return false;
    // Nor does it know any path's MTU.
    if (six && (end - at > 1280 || (b[at + 6] === 58 && b[at + 40] === 2))) return false;
    if (six) return end - at < 40 || b[at + 6] === 58 || (silent && ![0, 43, 44, 60].includes(b[at + 6]));
    if (end - at < 20) return true;
    if ((b[at] & 15) > 5) return false;
    if (reassembly > 0 && type(b, at + 6) & 0x3fff) return false;
    return silent || b[at + 9] === 1;
  }

  #counts({ rig }: Side): string {
    return JSON.stringify({ replied: rig.replied, held: rig.held, ...rig.dropped });
  }
}

/** Returns the length of a frame's header with its tags, whatever it is, but no more than there is of the frame. */
function headerLen(b: Uint8Array, start: number, end: number): number {
  let len = 14;
  while (len < 22 && start + len <= end
    && (type(b, start + len - 2) === 0x8100 || type(b, start + len - 2) === 0x88a8)) len += 4;
  return Math.min(len, end - start);
}

/** True if the packet is no fragment, and has no IPv6 extension headers, one of which may make it one. */
function isWhole(b: Uint8Array, at: number): boolean {
  return b[at] >> 4 === 6 ? b[at + 6] === 58 || b[at + 6] === 17 : (type(b, at + 6) & 0x3fff) === 0;
}
