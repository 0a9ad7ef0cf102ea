/** The host's own addresses on the device: those that are given, or one of the prefixes' own. */
import type { Address, Family } from "./address.js";
import { BlockMap } from "./blockmap.js";
import {
  contains, FAMILIES, lastOf, parseAddress, plus, rangeProblemOf, sizeOf, usage, type Prefix,
} from "./prefixes.js";

/**
 * Returns the host's own addresses for prefixes that have been parsed. `texts` are addresses, at most one of
 * each family, or "none". A family without a given address gets the first usable one, outside the
 * exceptions, which belong to others.
 * @throws Failure (usage) for an address that cannot be the host's, and where no other address is left to answer.
 */
export function parseHostAddresses(
  texts: readonly string[], prefixes: readonly Prefix[], exceptions: readonly Prefix[] = [],
): Address[] {
  if (texts.includes("none")) {
    if (texts.length > 1) throw usage(`host address "none" leaves no room for `
      + `${texts.find((text) => text !== "none") ?? "a second one"}; give one or the other`);
    return [];
  }
  const given = texts.map((text) => parseHostAddress(text, prefixes));
  const hosts = FAMILIES.flatMap((family) => {
    const own = given.filter((host) => host.family === family);
    if (own.length > 1) throw usage(`host addresses ${own[0].text} and ${own[1].text} are both IPv${family}; give one`);
    return own.at(0) ?? firstUsable(prefixes, exceptions, family) ?? [];
  });
  const own = new Set(hosts.map(({ text, bytes }) => `${text}/${8 * bytes.length}`));
  if (prefixes.every(({ text }) => own.has(text))) {
    throw usage(`host address ${given[0].text} is all there is to answer; choose another one, or "none"`);
  }
  return hosts;
}

function parseHostAddress(text: string, prefixes: readonly Prefix[]): Address {
  const host = parseAddress(text);
  const problem = rangeProblemOf(host);
  if (problem !== undefined) throw usage(`host address ${text} lies in ${problem}; choose another one`);
  if (prefixes.every(({ family }) => family !== host.family)) {
    throw usage(`host address ${text}: the prefixes are IPv${prefixes[0].family}, and so must it be`);
  }
  return host;
}

/**
 * Returns the first usable address of the first prefix of the family that has room for the host
 * and others, or undefined.
 */
function firstUsable(prefixes: readonly Prefix[], exceptions: readonly Prefix[], family: Family): Address | undefined {
  const own = prefixes.filter((prefix) => prefix.family === family);
  // Exceptions belong to others, and a prefix of one address is there to answer.
  const taken = new BlockMap(
    [...exceptions.filter((exception) => exception.family === family), ...own.filter((prefix) => sizeOf(prefix) === 1)],
  );
  for (const prefix of own.filter((prefix) => sizeOf(prefix) > 1)) {
    // The first address is the network's, and the Subnet-Router anycast address (RFC 4291 §2.6.1). RFC 3021, RFC 6164:
    // a prefix of two addresses has neither, so both are usable, but one has to be left to answer.
    let candidate = plus(prefix, sizeOf(prefix) > 2 ? 1 : 0);
    for (;;) {
      const block = { ...candidate, length: 8 * candidate.bytes.length };
      if (!contains(prefix, block)) break;
      const whose = taken.get(block) ?? taken.around(block);
      if (!whose) return candidate;
      if (sizeOf(prefix) === 2) break;
      candidate = plus({ ...whose, bytes: lastOf(whose) }, 1);
    }
  }
  return undefined;
}
