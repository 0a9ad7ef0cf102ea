/**
 * Makes the replies of two hosts comparable: says what kind they are, and sets TTL, identification and checksum aside.
 */
import { plainSum } from "./packets.js";

const ICMP = 1;
const TCP = 6;
const UDP = 17;
const ICMPV6 = 58;
const FRAGMENT = 44;
const DAY_MS = 86_400_000;

/** A reply's parts, as views of it. */
interface Parts {
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
  readonly protocol: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** A text that all fragments of one datagram have in common. */
  readonly datagram: string;
  readonly offset: number;
}

/** A reply, made comparable. */
export interface Reply {
  readonly bytes: Uint8Array;
  readonly fault: string;
}

/** Says what kind of reply each is, later fragments left out; "silence" where there is none. */
export function kind(replies: readonly Uint8Array[]): string {
  const kinds = replies.map(parts).filter(({ offset }) => offset === 0).map(kindOf);
  return kinds.length === 0 ? "silence" : kinds.join(" and ");
}

/**
 * Returns copies of the replies in which TTL (hop limit), identification and checksums are 0, and times of the day
 * between `from` and `to` (Unix time in milliseconds) are all the same. With `ttl`, TTLs stay. `fault`: what was wrong
 * with the checksums.
 */
export function comparable(replies: readonly Uint8Array[], from: number, to: number, ttl = false): Reply[] {
  const copies = replies.map((reply) => reply.slice());
  // A first fragment begins a datagram, even if an earlier datagram had its identification.
  let begun = 0;
  const all = copies.map(parts).map((fragment) => {
    if (fragment.offset === 0) begun++;
    return { ...fragment, datagram: `${fragment.datagram} ${begun}` };
  });
  const datagrams = groupBy(all, ({ datagram }) => datagram);
  const wrong = new Set(
    [...datagrams].filter(([, fragments]) => !checksumHolds(fragments)).map(([datagram]) => datagram),
  );
  return copies.map((bytes, i) => {
    const { datagram, header, payload, protocol, offset } = all[i];
    const ipv4 = bytes[0] >> 4 === 4;
    const fault = [
      ...wrong.has(datagram) ? ["wrong checksum"] : [],
      ...ipv4 && plainSum(header) !== 0xffff ? ["wrong header checksum"] : [],
    ].join(", ");
    if (offset === 0) zero(payload, protocol === TCP ? 16 : protocol === UDP ? 6 : 2, 2);
    if (ipv4) {
      zero(header, 4, 2);
      if (!ttl) zero(header, 8, 1);
      zero(header, 10, 2);
      timesOfOption(header, from, to);
      if (protocol === ICMP && payload[0] === 14) for (const at of [12, 16]) replaceTime(payload, at, from, to);
    } else {
      if (!ttl) zero(header, 7, 1);
      if (header[6] === FRAGMENT) zero(header, 44, 4);
    }
    return { bytes, fault };
  });
}

function parts(reply: Uint8Array): Parts {
  const view = new DataView(reply.buffer, reply.byteOffset);
  if (reply[0] >> 4 === 4) {
    const headerLen = (reply[0] & 15) * 4;
    const [source, destination, protocol] = [reply.subarray(12, 16), reply.subarray(16, 20), reply[9]];
    const datagram = `${String(source)} ${String(destination)} ${protocol} ${view.getUint16(4)}`;
    return {
      header: reply.subarray(0, headerLen), payload: reply.subarray(headerLen), protocol, source, destination, datagram,
      offset: (view.getUint16(6) & 0x1fff) * 8,
    };
  }
  const [source, destination] = [reply.subarray(8, 24), reply.subarray(24, 40)];
  const fragment = reply[6] === FRAGMENT;
  const headerLen = fragment ? 48 : 40;
  // A whole packet is a datagram of its own. It is told apart by its bytes, not by where it lies in its buffer.
  const datagram = fragment
    ? `${String(source)} ${String(destination)} ${view.getUint32(44)}`
    : Buffer.from(reply).toString("hex");
  return {
    header: reply.subarray(0, headerLen), payload: reply.subarray(headerLen), protocol: fragment
      ? reply[40]
      : reply[6], source, destination, datagram,
    offset: fragment ? view.getUint16(42) & 0xfff8 : 0,
  };
}

function kindOf({ protocol, payload: [type, code, ...rest] }: Parts): string {
  switch (protocol) {
    case ICMP:
      switch (type) {
        case 0: return "echo reply";
        case 3:
          return code === 2 ? "protocol unreachable" : code === 3 ? "port unreachable" : `unreachable, code ${code}`;
        case 11: return "time exceeded";
        case 12: return "parameter problem";
        case 14: return "timestamp reply";
        case 43: return `PROBE reply, code ${code}`;
        default: return `ICMP type ${type}, code ${code}`;
      }
    case ICMPV6:
      switch (type) {
        case 1: return code === 4 ? "port unreachable" : `unreachable, code ${code}`;
        case 3: return "time exceeded";
        case 4: return `parameter problem, code ${code}`;
        case 129: return "echo reply";
        case 161: return `PROBE reply, code ${code}`;
        default: return `ICMPv6 type ${type}, code ${code}`;
      }
    // The flags are byte 13 of the header.
    case TCP: return (rest[11] & 16) === 0 ? "reset" : "reset with acknowledgement";
    default: return `protocol ${protocol}`;
  }
}

function checksumHolds(fragments: readonly Parts[]): boolean {
  const [{ protocol, source, destination }] = fragments;
  const message = Buffer.concat(fragments.toSorted((a, b) => a.offset - b.offset).map(({ payload }) => payload));
  if (protocol === ICMP) return plainSum(message) === 0xffff;
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(message.length, 0);
  tail.writeUInt32BE(protocol, 4);
  return plainSum(Buffer.concat([source, destination, tail, message])) === 0xffff;
}

function zero(bytes: Uint8Array, at: number, count: number): void {
  bytes.fill(0, at, at + count);
}

/** Blanks the times in the Timestamp options of an IPv4 header, wherever they stand. */
function timesOfOption(header: Uint8Array, from: number, to: number): void {
  for (let at = 20; at < header.length && header[at] !== 0;) {
    const length = header[at] === 1 ? 1 : header[at + 1];
    if (length === 0) return;
    if (header[at] === 68) for (let word = at + 4; word + 4 <= at + length; word++) replaceTime(header, word, from, to);
    at += length;
  }
}

/** Blanks four bytes with milliseconds since midnight if that time lies between `from` and `to`. */
function replaceTime(bytes: Uint8Array, at: number, from: number, to: number): void {
  const time = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
  if (time < DAY_MS && (time - Math.floor(from) % DAY_MS + DAY_MS) % DAY_MS <= to - Math.floor(from)) {
    bytes.fill(0xaa, at, at + 4);
  }
}

/** Does what Map.groupBy does, which Node.js 20 does not have. */
export function groupBy<T>(values: readonly T[], key: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) groups.set(key(value), [...groups.get(key(value)) ?? [], value]);
  return groups;
}
