/** A table in a queue's memory: how one is written there, and which services one has. */
import { NEXT_TABLE, REASSEMBLY, TABLE_SIZE } from "../../abi/control.js";
import { LINKED_TABLES } from "../../abi/links.js";
import {
  FIRST_NODE, INTERFACE_LISTS, MAX_INTERFACE_LISTS, MAX_PORT_LISTS, NODES, PORT_LISTS, PORT_RANGE_SIZE,
  PREFIX_ANSWERS, PREFIX_INDICES, PREFIX_INTERFACES, PREFIX_LIMITS, PREFIX_LINK, PREFIX_PATH, PREFIX_TCP, PREFIX_UDP,
  TRIE,
} from "../../abi/tables.js";
import * as links from "./links.js";
import * as paths from "./paths.js";
import * as services from "./services.js";
import type { Table } from "./table.js";

/**
 * Writes a table at an address at which nobody looks.
 * @throws RangeError if the table or a service does not fit
 */
export function placeTable(memory: WebAssembly.Memory, at: number, table: Table): void {
  placeTries(memory, at, table);
  placePorts(memory, at, table);
  placeInterfaces(memory, at, table);
  placeLinks(memory, at, table);
}

/** Writes the tries and, by a prefix's index, what it answers. */
function placeTries({ buffer }: WebAssembly.Memory, at: number, { roots, nodes, answers, limits }: Table): void {
  const words = new Uint32Array(buffer);
  if (at + NODES + nodes.byteLength > Math.min(at + words[TABLE_SIZE / 4], words[REASSEMBLY / 4])) {
    throw new RangeError(`a table with ${nodes.byteLength} bytes of nodes`);
  }
  const place = (entries: Uint32Array, to: number, from = 0) => {
    for (let i = from; i < entries.length; i++) {
      words[to + i] = entries[i] < FIRST_NODE ? entries[i] : entries[i] - FIRST_NODE + at + NODES;
    }
  };
  words.set(roots.subarray(0, TRIE / 4), at / 4);
  place(roots, at / 4, TRIE / 4);
  place(nodes, (at + NODES) / 4);
  words.set(answers, (at + PREFIX_ANSWERS) / 4);
  // What was kept for a prefix that is gone may still ask.
  words.fill(0, (at + PREFIX_ANSWERS) / 4 + answers.length, (at + PREFIX_ANSWERS) / 4 + PREFIX_INDICES);
  new Float32Array(buffer).set(limits, (at + PREFIX_LIMITS) / 4);
}

/** Writes the services, and the lists of ports that have them. */
function placePorts(memory: WebAssembly.Memory, at: number, table: Table): void {
  const { tcp, udp, ports, udpPorts, services: all } = table;
  const words = new Uint32Array(memory.buffer);
  const used = servicesOf(words, words[NEXT_TABLE / 4]);
  const records = services.place(memory, all, new Set([...used.tcp, ...used.udp]));
  let to = (at + PORT_LISTS) / 4;
  /** Writes lists and a 0, and returns their addresses by their places. */
  const write = (own: Table["ports"]) => {
    const addresses = [0];
    for (const list of own) {
      // Behind it, both zeros still have room.
      if (4 * (to + 3 + 2 * list.length) > at + PORT_LISTS + MAX_PORT_LISTS) throw new RangeError("too many ports");
      addresses.push(4 * to);
      words[to++] = list.length;
      for (const { first, last, service } of list) {
        words[to++] = first | last << 16;
        words[to++] = records[all.indexOf(service)];
      }
    }
    words[to++] = 0;
    return addresses;
  };
  const lists = write(ports);
  for (let i = 0; i < tcp.length; i += 2) {
    words[(at + PREFIX_TCP) / 4 + i] = lists[tcp[i]];
    words[(at + PREFIX_TCP) / 4 + i + 1] = tcp[i + 1];
  }
  const udpLists = write(udpPorts);
  for (let i = 0; i < udp.length; i++) words[(at + PREFIX_UDP) / 4 + i] = udpLists[udp[i]];
}

function placeInterfaces({ buffer }: WebAssembly.Memory, at: number, { interfaces, interfaceLists }: Table): void {
  let to = at + INTERFACE_LISTS;
  const addresses = [0];
  for (const list of interfaceLists) {
    if (to + list.length > at + INTERFACE_LISTS + MAX_INTERFACE_LISTS) throw new RangeError("too many interfaces");
    new Uint8Array(buffer).set(list, to);
    addresses.push(to);
    to += list.length;
  }
  const words = new Uint32Array(buffer, at + PREFIX_INTERFACES, interfaces.length);
  for (let i = 0; i < interfaces.length; i++) words[i] = addresses[interfaces[i]];
}

/** Writes the links and the paths. */
function placeLinks(memory: WebAssembly.Memory, at: number, table: Table): void {
  const words = new Uint32Array(memory.buffer);
  const tables = words[LINKED_TABLES / 4];
  try {
    const placed = [0, ...links.place(memory, at, table.links, table.seed)];
    for (let i = 0; i < table.linkOf.length; i++) words[(at + PREFIX_LINK) / 4 + i] = placed[table.linkOf[i]];
    const routes = [0, ...paths.place(memory, at, table, placed.slice(1))];
    for (let i = 0; i < table.pathOf.length; i++) words[(at + PREFIX_PATH) / 4 + i] = routes[table.pathOf[i]];
  } catch (error) {
    // The table does not count: the names of the one in use would be forgotten a table too early.
    words[LINKED_TABLES / 4] = tables;
    throw error;
  }
}

/** Returns the addresses of the services that a table has; none if there is no table yet. */
export function servicesOf(words: Uint32Array, table: number): services.Records {
  const records = { tcp: new Set<number>(), udp: new Set<number>() };
  if (table === 0) return records;
  let at = (table + PORT_LISTS) / 4;
  for (const own of [records.tcp, records.udp]) {
    while (words[at] > 0) {
      const end = at + 1 + PORT_RANGE_SIZE / 4 * words[at];
      for (at += 2; at < end; at += PORT_RANGE_SIZE / 4) own.add(words[at]);
      at = end;
    }
    at++;
  }
  return records;
}
