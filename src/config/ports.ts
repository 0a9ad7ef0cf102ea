/**
 * Makes the lists of ports of a configuration. Very many prefixes may have ports of their own: those that come to the
 * same share a list, and all lists fit into a table.
 */
import { MAX_PORT_LISTS, PORT_RANGE_SIZE } from "../../abi/tables.js";
import { Failure } from "../base/failure.js";
import type { PortRange, PortService } from "../prefix/policy.js";
import type { StreamService } from "../prefix/streams.js";
import { joined, laidOver, parsePorts, unnested } from "../prefix/ports.js";
import { builtinServices, type ServicesByName } from "./services.js";
import { proxyOf } from "./streams.js";
import { eitherOf, namable, type PortMap, type PortProtocol } from "./types.js";

/** Most bytes of all lists: a table has a 0 behind those of each protocol. */
const MAX_BYTES = MAX_PORT_LISTS - 8;
const HEADER = 4;
/** Most texts of maps that are kept. */
const ALIKE = 1000;

/** Reports what is wrong with a port of a map: with its service, or with the key. */
export type SayOfPort = (port: string, message: string, which?: "key") => void;

interface WrittenRange extends PortRange {
  readonly text: string;
}

/** RFCs of services that UDP once had, by name. Each answers anybody with more than was asked. */
const DANGEROUS: ReadonlyMap<string, string> = new Map([
  ["chargen", "RFC 864"], ["daytime", "RFC 867"], ["qotd", "RFC 865"], ["time", "RFC 868"],
]);

/** Room that lists of several protocols share. */
export class ListRoom {
  bytes = 0;

  /** True if all lists fit into a table. If not, lists are empty from then on. */
  get fits(): boolean {
    return this.bytes <= MAX_BYTES;
  }
}

export class PortLists {
  readonly #protocol: PortProtocol;
  readonly #services: ReadonlyMap<string, PortService>;
  readonly #others: ReadonlyMap<string, PortService>;
  readonly #room: ListRoom;
  /** What a port is that has no other service. */
  readonly #none: PortService;
  /** Services that need no entry but say where to. */
  readonly #proxies = new Map<string, PortService>();
  /** The lists by what they come to. */
  readonly #lists = new Map<string, readonly PortRange[]>();
  /** The lists by a prefix's map, which prefixes share if a file says the same for them, and by its text. */
  readonly #byMap = new WeakMap<PortMap, readonly PortRange[]>();
  readonly #byText = new Map<string, readonly PortRange[]>();
  /** Ports of the whole file, with those that refuse. */
  #ranges: readonly PortRange[] = [];
  #common: readonly PortRange[] = [];

  constructor(protocol: PortProtocol, services: ServicesByName = builtinServices(), room = new ListRoom()) {
    this.#protocol = protocol;
    this.#services = services[protocol];
    this.#others = services[protocol === "tcp" ? "udp" : "tcp"];
    this.#room = room;
    [this.#none] = this.#services.values();
  }

  get fits(): boolean {
    return this.#room.fits;
  }

  /** True if a port of any list has a service that accepts connections, or takes datagrams. */
  get accepts(): boolean {
    return [...this.#lists.values()].some((list) => list.some(({ service: { name } }) => name !== "silent"));
  }

  /** Services of all lists that service threads have, each once. */
  get streams(): readonly StreamService[] {
    const services = [...this.#lists.values()].flatMap((list) => list.map(({ service }) => service));
    return [...new Set(services)].flatMap(({ stream }) => stream ?? []);
  }

  /** The list of prefixes that have no ports of their own. */
  get common(): readonly PortRange[] {
    return this.#common;
  }

  /** Sets the ports of the whole file. */
  setCommon(ports: PortMap, say: SayOfPort): void {
    this.#ranges = this.#rangesOf(ports, say) ?? [];
    this.#common = this.#listOf(this.#ranges);
  }

  /** Returns the list of a prefix with ports of its own. */
  of(ports: PortMap, say: SayOfPort): readonly PortRange[] {
    const same = this.fits ? this.#byMap.get(ports) : [];
    if (same) return same;
    const text = JSON.stringify(ports);
    const known = this.#byText.get(text);
    if (known) return known;
    const own = this.#rangesOf(ports, say);
    // What is wrong is said again for each prefix that has it.
    if (!own) return [];
    const list = this.#listOf(laidOver(this.#ranges, own));
    this.#byMap.set(ports, list);
    if (this.#byText.size < ALIKE) this.#byText.set(text, list);
    return list;
  }

  /** Returns the ranges of a map, or undefined if something is wrong with it. */
  #rangesOf(ports: PortMap, say: SayOfPort): PortRange[] | undefined {
    const ranges: WrittenRange[] = [];
    for (const [text, name] of Object.entries(ports)) {
      const range = parsePorts(text);
      const service = this.#serviceOf(name, (message) => { say(text, `port ${text}: ${message}`); });
      if (!range) say(text, `"${text.slice(0, 40)}" is not a port; expected 1 to 65535, or a range like 8000-8010`, "key");
      else if (service) ranges.push({ ...range, service, text });
    }
    if (ranges.length < Object.keys(ports).length) return undefined;
    const laid = unnested(ranges);
    if (Array.isArray(laid)) return laid;
    const { first, second } = laid as { first: WrittenRange; second: WrittenRange };
    const same = first.first === second.first && first.last === second.last;
    say(second.text, `ports ${first.text} and ${second.text} ${same ? "are the same" : "overlap in part"}; expected `
    + "ranges that are apart, or one within the other", "key");
    return undefined;
  }

  /** Returns the service of a name; undefined once it is reported that there is none. */
  #serviceOf(name: string, say: (message: string) => void): PortService | undefined {
    const known = this.#services.get(name) ?? this.#proxies.get(name);
    if (known) return known;
    try {
      const proxy = this.#protocol === "tcp" ? proxyOf(name) : undefined;
      if (!proxy) say(this.#unknown(name));
      else this.#proxies.set(name, proxy);
      return proxy;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      say(error.what);
      return undefined;
    }
  }

  #unknown(name: string): string {
    const rfc = this.#protocol === "udp" ? DANGEROUS.get(name) : undefined;
    if (rfc !== undefined) {
      return `pongd has no ${name} over UDP (${rfc}): it answers whoever seems to ask, and so helps to flood others; `
        + "expected another service, such as echo or discard";
    }
    if (name === "https" && this.#protocol === "tcp") {
      return "https needs a certificate, which an entry under services names; write that name";
    }
    const known = namable(this.#protocol);
    const own = [...this.#services.keys()].filter((each) => !known.includes(each));
    const expected = [...known, ...own.length > 0 && own.length <= 10 ? own : ["a name under services"]];
    const [here, there] = this.#protocol === "tcp" ? ["TCP", "UDP"] : ["UDP", "TCP"];
    const what = this.#others.has(name) ? `a service of ${there}, not of ${here}` : "not a service";
    return `"${name.slice(0, 64)}" is ${what}; expected ${eitherOf(expected)}`;
  }

  /** Returns the list that all share who have these ports. */
  #listOf(ranges: readonly PortRange[]): readonly PortRange[] {
    if (!this.fits) return [];
    const list = joined(ranges, this.#none);
    const text = list.map(({ first, last, service: { name } }) => `${first}-${last}=${name}`).join();
    const known = this.#lists.get(text);
    if (known) return known;
    if (list.length > 0) this.#room.bytes += HEADER + PORT_RANGE_SIZE * list.length;
    this.#lists.set(text, list);
    return list;
  }
}
