/**
 * Makes the lists of interfaces that PROBE tells of. Very many prefixes may have interfaces of their own: those with
 * the same ones share a list, and all lists fit into a table.
 */
import { isIP } from "node:net";
import { AFI_IPV4, AFI_IPV6, AFI_MAC48 } from "../../abi/probe.js";
import { MAX_INTERFACE_LISTS } from "../../abi/tables.js";
import { interfaceBytes, type ProbedAddress, type ProbedInterface } from "../prefix/interfaces.js";
import { parseAddress } from "../prefix/prefixes.js";
import type { Path } from "./path.js";
import type { InterfaceMap } from "./types.js";

/** Most interfaces of a prefix, and most addresses of an interface. A query looks at all of them. */
export const MAX_INTERFACES = 64;
export const MAX_ADDRESSES = 16;
/** Most bytes of an interface's name. */
export const MAX_NAME = 64;
export const INTERFACE_ADDRESS = "an IPv4, IPv6 or MAC address, like 192.0.2.1, 2001:db8::1 or 02:00:5e:00:53:01";
const MAC = /^[\da-f]{2}(?::[\da-f]{2}){5}$/i;

/** Reports what is wrong at a path within a list of interfaces. */
type Say = (path: Path, message: string) => void;

export class InterfaceLists {
  /** The lists by the text of what they are made of. */
  readonly #lists = new Map<string, Uint8Array>();
  #bytes = 0;

  /** True if all lists fit into a table. */
  get fits(): boolean {
    return this.#bytes <= MAX_INTERFACE_LISTS;
  }

  /** Returns the list of these interfaces; undefined if there are none, or something is wrong with them. */
  of(maps: readonly InterfaceMap[], say: Say): Uint8Array | undefined {
    if (maps.length === 0 || !this.fits) return undefined;
    const text = JSON.stringify(maps);
    const known = this.#lists.get(text);
    if (known) return known;
    const interfaces = maps.map((map, i) => interfaceOf(map, (key, message) => { say([i, ...key], message); }));
    // It is not kept: each prefix that has it says what is wrong.
    if (interfaces.includes(undefined)) return undefined;
    const bytes = interfaceBytes(interfaces as ProbedInterface[]);
    this.#lists.set(text, bytes);
    this.#bytes += bytes.length;
    return bytes;
  }
}

function interfaceOf(map: InterfaceMap, say: Say): ProbedInterface | undefined {
  const { name, index, address = [], active, ipv4, ipv6, neighbor } = map;
  const texts = typeof address === "string" ? [address] : address;
  const addresses = texts.map(addressOf);
  const wrong = addresses.indexOf(undefined);
  if (wrong >= 0) {
    const path = typeof address === "string" ? ["address"] : ["address", wrong];
    say(path, `"${texts[wrong].slice(0, 64)}" is no address of an interface; expected ${INTERFACE_ADDRESS}`);
    return undefined;
  }
  const all = addresses as ProbedAddress[];
  if (neighbor !== undefined) {
    const other = (["name", "index", "active", "ipv4", "ipv6"] as const).find((key) => map[key] !== undefined);
    if (other !== undefined) say([other], `an interface with neighbor has no ${other}; expected address alone with it`);
    else if (all.length === 0) say([], "an interface with neighbor needs an address");
    else return { addresses: all, neighbor };
    return undefined;
  }
  if (name === undefined && index === undefined && all.length === 0) {
    say([], "an interface needs a name, an index or an address");
    return undefined;
  }
  return {
    name: name === undefined ? undefined : Buffer.from(name), index, addresses: all,
    active: active ?? true, ipv4: ipv4 ?? true, ipv6: ipv6 ?? true,
  };
}

function addressOf(text: string): ProbedAddress | undefined {
  if (MAC.test(text)) return { afi: AFI_MAC48, bytes: Buffer.from(text.replaceAll(":", ""), "hex") };
  if (isIP(text) === 0 || text.includes("%")) return undefined;
  const { family, bytes } = parseAddress(text);
  return { afi: family === 4 ? AFI_IPV4 : AFI_IPV6, bytes };
}
