/** What a hop's errors say besides: the extension structure of RFC 4884 §7, the same in each of them. */
import type { Family } from "../prefix/address.js";
import type { Hop, HopInterface } from "../prefix/path.js";

const VERSION = 2 << 4;
/** RFC 4950 §3: class and type of the incoming stack of MPLS labels. */
const MPLS = [1, 1] as const;
const BOTTOM = 1 << 8;
/** RFC 5837 §4: class of the object about an interface, and the bits of its type for the incoming one. */
const INTERFACE = 2;
const HAS_INDEX = 8;
const HAS_ADDRESS = 4;
const HAS_NAME = 2;
const HAS_MTU = 1;
/** RFC 5837 §4.3: the length of the name with its own octet, a multiple of 4. */
const MAX_NAME_LEN = 64;

/** Returns the structure of a hop's errors over this family, with its checksum; nothing if they say nothing more. */
export function extensionOf(hop: Hop, family: Family): Uint8Array {
  const objects = [...hop.mpls.length > 0 ? [mplsObject(hop.mpls)] : [], ...interfaceObjects(hop, family)];
  if (objects.length === 0) return new Uint8Array(0);
  const structure = Buffer.concat([Buffer.of(VERSION, 0, 0, 0), ...objects]);
  let sum = 0;
  for (let at = 0; at < structure.length; at += 2) sum += structure.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  structure.writeUInt16BE(~sum & 0xffff, 2);
  return structure;
}

function object(objectClass: number, type: number, payload: Buffer): Buffer {
  const header = Buffer.of(0, 0, objectClass, type);
  header.writeUInt16BE(4 + payload.length);
  return Buffer.concat([header, payload]);
}

/** RFC 4950 §3: entries of the stack, whose TTL was 1 as that of the packet. */
function mplsObject(labels: readonly number[]): Buffer {
  const stack = Buffer.alloc(4 * labels.length);
  labels.forEach((label, i) => {
    stack.writeUInt32BE(((label << 12 | (i === labels.length - 1 ? BOTTOM : 0) | 1) >>> 0), 4 * i);
  });
  return object(...MPLS, stack);
}

function interfaceObjects({ interface: own, ipv4, ipv6 }: Hop, family: Family): Buffer[] {
  if (own === undefined) return [];
  const address = own.address ? (family === 4 ? ipv4 : ipv6)?.bytes : undefined;
  const type = (own.index === undefined ? 0 : HAS_INDEX) | (address ? HAS_ADDRESS : 0)
    | (own.name === undefined ? 0 : HAS_NAME) | (own.mtu === undefined ? 0 : HAS_MTU);
  return type === 0 ? [] : [object(INTERFACE, type, Buffer.concat(partsOf(own, address)))];
}

/** RFC 5837 §4: its parts in their order. */
function partsOf({ index, name, mtu }: HopInterface, address: Uint8Array | undefined): Buffer[] {
  const word = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  return [
    ...index === undefined ? [] : [word(index)],
    // RFC 5837 §4.2: the number of the address family, 1 or 2, before it.
    ...address ? [Buffer.of(0, address.length === 4 ? 1 : 2, 0, 0), Buffer.from(address)] : [],
    ...name === undefined ? [] : [nameOf(name)],
    ...mtu === undefined ? [] : [word(mtu)],
  ];
}

/** Returns a name behind its length, with zeros to a multiple of 4; as much as fits, and no part of a character. */
function nameOf(name: string): Buffer {
  let text = Buffer.from(name);
  for (let end = name.length; text.length > MAX_NAME_LEN - 1; end--) text = Buffer.from(name.slice(0, end));
  const bytes = Buffer.alloc(Math.ceil((1 + text.length) / 4) * 4);
  bytes[0] = bytes.length;
  text.copy(bytes, 1);
  return bytes;
}
