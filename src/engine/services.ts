/**
 * Services of ports in a queue's memory: a record each, and its bytes. A connection keeps its service when a reload
 * takes that away, so a record is used again only when no connection and no table has it any more.
 */
import { ACCEPTED, COUNTERS, SERVED } from "../../abi/counters.js";
import {
  MAX_AFTER, MAX_SERVICE_NAME, MAX_SERVICES, NAMED_SERVICES, Service, SERVICE_AFTER, SERVICE_AFTER_LEN, SERVICE_BYTES,
  SERVICE_BYTES_LEN, SERVICE_KIND, SERVICE_NAME, SERVICE_NAME_LEN, SERVICE_ROOM, SERVICE_ROOM_SIZE, SERVICE_SIZE,
  SERVICE_USERS, SERVICES,
} from "../../abi/tcp.js";
import type { PortService } from "../prefix/policy.js";
import { DEFAULT_IRTT, irttBytes } from "../prefix/irtt.js";
import { DEFAULT_STAMP, stampBytes } from "../prefix/stamp.js";

/** Bytes behind a service's own: the end of a request, as many of its borders, and the service's name. */
const AFTER_ROOM = 2 * MAX_AFTER + MAX_SERVICE_NAME;
const ALIGN = 16;
const NOTHING = new Uint8Array(0);
/** Advice where connections take the room for services. */
const WAIT = "connections have the old ones until they end (see: pongd connections); try again then, or restart pongd";

/** RFC 864: each line has the 95 printing characters from another one on, 72 of them. */
const CHARGEN = Buffer.from(
  Array.from({ length: 95 }, (_, line) => Array.from(
    { length: 72 }, (_, i) => String.fromCharCode(32 + (line + i) % 95),
  ).join("") + "\r\n").join(""),
);

/** Services that have bytes although a configuration says nothing of them. They lie first in the room. */
const BUILTIN: readonly (readonly [kind: Service, bytes: Uint8Array])[] = [
  [Service.chargen, CHARGEN], [Service.stamp, stampBytes(DEFAULT_STAMP)],
  [Service.irtt, irttBytes(DEFAULT_IRTT)],
];
const BUILTIN_SIZE = BUILTIN.reduce((sum, [, bytes]) => sum + sizeOfBytes(bytes), 0);

/** Returns the bytes of memory that these services need. */
export function roomFor(services: readonly PortService[]): number {
  return services.reduce((sum, service) => sum + sizeOf(service), BUILTIN_SIZE);
}

/** Writes the services of which no configuration says more than the name. Called once, for a new memory. */
export function placeBuiltin({ buffer }: WebAssembly.Memory): void {
  const words = new Uint32Array(buffer);
  for (let kind = 0; kind < NAMED_SERVICES; kind++) words[recordOf(kind) + SERVICE_KIND / 4] = kind;
  let at = words[SERVICE_ROOM / 4];
  for (const [kind, bytes] of BUILTIN) {
    words[recordOf(kind) + SERVICE_BYTES / 4] = at;
    words[recordOf(kind) + SERVICE_BYTES_LEN / 4] = bytes.length;
    new Uint8Array(buffer).set(bytes, at);
    at += sizeOfBytes(bytes);
  }
}

/**
 * Writes services where nobody looks, and returns the address of each one's record. A service that is there already,
 * with the same name and bytes, keeps its record, and so its connections and its count. `used` are addresses of the
 * records that the table in use has.
 * @throws RangeError if there is no room
 */
export function place(
  { buffer }: WebAssembly.Memory, services: readonly PortService[], used: ReadonlySet<number>,
): number[] {
  const words = new Uint32Array(buffer);
  const taken: Taken[] = [{ from: words[SERVICE_ROOM / 4], end: words[SERVICE_ROOM / 4] + BUILTIN_SIZE }];
  const free: number[] = [];
  /** Records by the service's name: those of the table in use come last, and so first where there are two. */
  const there = new Map<string, number[]>();
  for (let index = NAMED_SERVICES; index < MAX_SERVICES; index++) {
    const record = recordOf(index);
    const inUse = used.has(4 * record);
    if (!inUse && Atomics.load(words, record + SERVICE_USERS / 4) === 0) {
      free.push(record);
      continue;
    }
    const from = words[record + SERVICE_BYTES / 4];
    taken.push({ from, end: from + sizeOfBytes({ length: words[record + SERVICE_BYTES_LEN / 4] }) });
    const name = nameOf(words, record);
    there.set(name, inUse ? [record, ...there.get(name) ?? []] : [...there.get(name) ?? [], record]);
  }
  const kept = free.length;
  return services.map((service) => {
    if (isNamed(service)) return 4 * recordOf(service.kind);
    const same = there.get(service.name)?.find((record) => isSame(buffer, record, service));
    if (same !== undefined) return 4 * same;
    const record = free.shift();
    if (record === undefined) {
      throw new RangeError(`only ${kept} services can be added; ${WAIT}`);
    }
    const from = gap(taken, sizeOf(service), words[SERVICE_ROOM / 4] + words[SERVICE_ROOM_SIZE / 4]);
    write(buffer, record, service, service.bytes ?? NOTHING, from);
    return 4 * record;
  });
}

/** Addresses of the records that a table's ports of a protocol have. */
export type Records = Readonly<Record<"tcp" | "udp", ReadonlySet<number>>>;

/** Returns the services that accept connections or take datagrams among those with these records. */
export function acceptingOf({ buffer }: WebAssembly.Memory, records: Records): Accepting[] {
  const words = new Uint32Array(buffer);
  const silent: readonly number[] = [Service.refuse, Service.silent];
  return (["tcp", "udp"] as const).flatMap((protocol) => {
    const indices = [...records[protocol]].map((address) => (address - SERVICES) / SERVICE_SIZE).sort((a, b) => a - b);
    return indices.filter((index) => !silent.includes(index)).map((index) => ({
      protocol, service: index < NAMED_SERVICES ? Service[index] : nameOf(words, recordOf(index)),
      counter: (protocol === "tcp" ? ACCEPTED : SERVED) + index,
    }));
  });
}

/** A service that accepts connections or takes datagrams, and the index of the counter that counts them. */
export interface Accepting {
  readonly protocol: "tcp" | "udp";
  readonly service: string;
  readonly counter: number;
}

/**
 * Returns the name of the service whose record lies at an address, whatever that is; undefined if there is none.
 * Another thread may be writing the record.
 */
export function serviceAt(words: Uint32Array, address: number): string | undefined {
  const index = (address - SERVICES) / SERVICE_SIZE;
  if (!Number.isInteger(index) || index < 0 || index >= MAX_SERVICES) return undefined;
  if (index < NAMED_SERVICES) return Service[index];
  const length = words[(address + SERVICE_NAME_LEN) / 4];
  const isText = length > 0 && length <= MAX_SERVICE_NAME
    && words[(address + SERVICE_NAME) / 4] + length <= words.byteLength;
  return isText ? nameOf(words, address / 4) : undefined;
}

/** Returns the addresses of the records of the services with this name. */
export function servicesCalled(words: Uint32Array, name: string): Set<number> {
  const addresses = Array.from({ length: MAX_SERVICES }, (_, i) => SERVICES + SERVICE_SIZE * i);
  return new Set(addresses.filter((address) => serviceAt(words, address) === name));
}

function nameOf(words: Uint32Array, record: number): string {
  const from = words[record + SERVICE_NAME / 4];
  // Text cannot be decoded from shared memory.
  return Buffer.from(new Uint8Array(words.buffer, from, words[record + SERVICE_NAME_LEN / 4])).toString("latin1");
}

/** Returns true if a record has this service, whose name it has. */
function isSame(buffer: ArrayBufferLike, record: number, { kind, bytes, after }: PortService): boolean {
  const words = new Uint32Array(buffer);
  const isAt = (at: number, data: Uint8Array | undefined) => words[at + 1] === (data?.length ?? 0)
    && (data === undefined || Buffer.from(buffer as ArrayBuffer, words[at], data.length).equals(data));
  return words[record + SERVICE_KIND / 4] === (kind as number) && isAt(record + SERVICE_BYTES / 4, bytes)
    && isAt(record + SERVICE_AFTER / 4, after);
}

/** Bytes of the room that are in use. */
interface Taken {
  readonly from: number;
  readonly end: number;
}

/** Takes the first gap of this size, and returns where it begins. */
function gap(taken: Taken[], size: number, end: number): number {
  taken.sort((a, b) => a.from - b.from);
  const before = taken.findIndex((each, i) => (taken.at(i + 1)?.from ?? end) - each.end >= size);
  if (before < 0) throw new RangeError(`a service of ${size} bytes; ${WAIT}`);
  const from = taken[before].end;
  taken.push({ from, end: from + size });
  return from;
}

function write(
  buffer: ArrayBufferLike, record: number, { kind, name, after }: PortService, data: Uint8Array, at: number,
): void {
  const words = new Uint32Array(buffer);
  const bytes = new Uint8Array(buffer);
  const end = at + Math.ceil(data.length / ALIGN) * ALIGN;
  bytes.set(data, at);
  bytes.set(Buffer.from(name, "latin1"), end + 2 * MAX_AFTER);
  words[record + SERVICE_KIND / 4] = kind;
  words[record + SERVICE_BYTES / 4] = at;
  words[record + SERVICE_BYTES_LEN / 4] = data.length;
  words[record + SERVICE_AFTER / 4] = end;
  words[record + SERVICE_AFTER_LEN / 4] = after?.length ?? 0;
  words[record + SERVICE_NAME / 4] = end + 2 * MAX_AFTER;
  words[record + SERVICE_NAME_LEN / 4] = name.length;
  // The record may have been another service's.
  for (const first of [ACCEPTED, SERVED]) {
    new Float64Array(buffer)[COUNTERS / 8 + first + (4 * record - SERVICES) / SERVICE_SIZE] = 0;
  }
  if (!after) return;
  bytes.set(after, end);
  bytes.set(bordersOf(after), end + MAX_AFTER);
}

/**
 * Returns for each position in a text the length of the longest border of what ends there: how much still matches when
 * the next byte does not (Knuth, Morris and Pratt 1977).
 */
function bordersOf(text: Uint8Array): Uint8Array {
  const borders = new Uint8Array(text.length);
  for (let i = 1, length = 0; i < text.length; i++) {
    while (length > 0 && text[i] !== text[length]) length = borders[length - 1];
    if (text[i] === text[length]) length++;
    borders[i] = length;
  }
  return borders;
}

/** Returns whether a service is one of the first of the table: it has the name of its kind, and no bytes. */
function isNamed({ kind, name, bytes }: PortService): boolean {
  return bytes === undefined && name === Service[kind];
}

function sizeOf(service: PortService): number {
  return isNamed(service) ? 0 : sizeOfBytes(service.bytes ?? NOTHING);
}

function sizeOfBytes({ length }: { readonly length: number }): number {
  return Math.ceil(length / ALIGN) * ALIGN + AFTER_ROOM;
}

/** Returns the index of a record's first word. */
function recordOf(index: number): number {
  return (SERVICES + SERVICE_SIZE * index) / 4;
}
