/** Makes the hops of a path of what a configuration says about them. */
import { isIP } from "node:net";
import type { Hop, HopInterface } from "../prefix/path.js";
import { parseAddress, rangeProblemOf, type Address } from "../prefix/prefixes.js";
import { IPV6_MIN_MTU } from "../sys/uapi.js";
import type { Links, Say } from "./links.js";
import { nameOf, type Path } from "./path.js";
import { withBurst, type HopInterfaceMap, type HopMap } from "./types.js";

/** TTL with which errors start, and their limit: as many as pongd's own of a kind. */
export const DEFAULT_TTL = 64;
export const DEFAULT_ERRORS = { rate: 1000, burst: 50 };
/** A name and its length fill 64 bytes at most (RFC 5837 §4.3). */
const MAX_INTERFACE_NAME = 63;

/** Something is wrong with the value of one of these keys. `what` goes on from the key's name. */
class Wrong extends Error {
  constructor(readonly keys: Path, readonly what: string) {
    super();
  }
}

/** Returns the hop that a map at this path stands for; undefined once it is reported what is wrong. */
export function hopOf(map: HopMap, path: Path, links: Links, say: Say): Hop | undefined {
  try {
    const { mtu, black_hole: blackHole = false, silent = false, ttl = DEFAULT_TTL, icmp, mpls = [], name } = map;
    if (map.hop === undefined && !silent) throw new Wrong([], " needs an address; expected hop, or silent: true");
    const [ipv4, ipv6] = addressesOf(map.hop);
    if (blackHole && mtu === undefined) {
      throw new Wrong(["black_hole"], " is about what is longer than the MTU; give mtu, too");
    }
    if (mtu !== undefined && mtu < IPV6_MIN_MTU && ipv6) {
      throw new Wrong(["mtu"], ` is ${mtu}; a hop with an IPv6 address forwards at least ${IPV6_MIN_MTU} bytes`);
    }
    const link = map.link === undefined ? undefined : links.of(map.link, [...path, "link"], say);
    return {
      ipv4, ipv6, name, silent, link, mtu, blackHole, ttl, icmp: icmp ? withBurst(icmp) : DEFAULT_ERRORS,
      mpls: typeof mpls === "number" ? [mpls] : mpls, interface: map.interface && interfaceOf(map.interface),
    };
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    const at = [...path, ...error.keys];
    say(at, `${nameOf(at)}${error.what}`);
    return undefined;
  }
}

/** Reads an address, or one of each family. */
function addressesOf(hop: HopMap["hop"]): readonly [ipv4: Address | undefined, ipv6: Address | undefined] {
  const texts = typeof hop === "string" ? [hop] : hop ?? [];
  const keysOf = (i: number) => typeof hop === "string" ? ["hop"] : ["hop", i];
  const addresses = texts.map((text, i) => {
    if (isIP(text) === 0 || text.includes("%")) {
      throw new Wrong(keysOf(i), ` is "${text.slice(0, 64)}"; expected an address like 10.98.0.1 or 2001:db8::1`);
    }
    const address = parseAddress(text);
    const problem = rangeProblemOf(address);
    if (problem !== undefined) throw new Wrong(keysOf(i), ` is ${text}, of ${problem}; choose another address`);
    return address;
  });
  const second = addresses.findIndex(({ family }, i) => i > 0 && family === addresses[0].family);
  if (second > 0) throw new Wrong(["hop", second], ` is another IPv${addresses[0].family} address; give one of each family`);
  return [addresses.find(({ family }) => family === 4), addresses.find(({ family }) => family === 6)];
}

function interfaceOf({ name, index, mtu, address = false }: HopInterfaceMap): HopInterface {
  if (name === undefined && index === undefined && mtu === undefined && !address) {
    throw new Wrong(["interface"], " says nothing; expected name, index, mtu or address: true");
  }
  const bytes = Buffer.byteLength(name ?? "");
  if (bytes > MAX_INTERFACE_NAME) {
    throw new Wrong(["interface", "name"], ` has ${bytes} bytes; at most ${MAX_INTERFACE_NAME} fit`);
  }
  return { name, index, mtu, address };
}
