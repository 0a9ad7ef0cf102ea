/** Lists the TCP connections of all queues, and reads from a URL's parameters which ones are wanted. */
import { PREFIX_INDICES } from "../../abi/tables.js";
import { ECN, SACK, SCALED, State, TIMESTAMPS } from "../../abi/tcp.js";
import { Connections, type Connection, type Details, type Wanted } from "../engine/connections.js";
import type { Endpoint } from "../engine/records.js";
import type { PrefixList } from "../prefix/list.js";
import type { Block } from "../prefix/prefixes.js";
import {
  DEFAULT_LIMIT, endsOf, MAX_LIMIT, monotonic, Parameters, piecesOf, rounded, type List, type Listed,
} from "./lists.js";
import type { Serves } from "./prefixreplies.js";

/** Bytes of each segment that timestamps take. */
const TIMESTAMPS_LEN = 12;

/** Names of the states, as RFC 9293 has them, but in lower case. */
const STATES = new Map(
  Object.entries(State)
    .filter((entry): entry is [string, State] => typeof entry[1] === "number" && entry[1] !== State.CLOSED)
    .map(([name, state]) => [name.toLowerCase().replaceAll("_", "-"), state] as const),
);
export const STATE_NAMES = [...STATES.keys()];
const ALL = [...STATES.values()].reduce((bits, state) => bits | 1 << state, 0);
/** In TIME-WAIT there is nothing to see of a connection. */
const BY_DEFAULT = ALL & ~(1 << State.TIME_WAIT);

const OPTIONS = [["ts", TIMESTAMPS], ["sack", SACK], ["wscale", SCALED], ["ecn", ECN]] as const;

/** Which connections are asked for, and how many at most. */
export interface Query {
  readonly wanted: Wanted;
  readonly limit: number;
}

export const PARAMETERS = ["state", "local", "remote", "port", "service", "limit"] as const;

/**
 * Reads a URL's parameters. `dashes` stands before their names in messages.
 * @throws Failure (usage)
 */
export function queryOf(parameters: URLSearchParams, dashes = ""): Query {
  const given = new Parameters(parameters, PARAMETERS, dashes);
  const states = (text: string) => text.split(",").reduce((bits, name) => {
    if (name === "all") return ALL;
    const state = STATES.get(name);
    if (state === undefined) {
      throw given.wrong("state", `"${name}" is not a state; expected ${STATE_NAMES.join(", ")} or all`);
    }
    return bits | 1 << state;
  }, 0);
  const state = given.value("state");
  return {
    wanted: {
      states: state === undefined ? BY_DEFAULT : states(state),
      local: given.block("local"), remote: given.block("remote"), port: given.whole("port", 65_535),
      service: given.value("service"),
    },
    limit: given.whole("limit", MAX_LIMIT) ?? DEFAULT_LIMIT,
  };
}

export class ConnectionList implements List {
  readonly #queues: readonly { readonly index: number; readonly connections: Connections }[];
  readonly #served: Serves;
  #prefixes: PrefixNames | undefined;

  constructor(queues: readonly Listed[], served: Serves) {
    this.#queues = queues.map(({ index, memory }) => ({ index, connections: new Connections(memory) }));
    this.#served = served;
  }

  lines(parameters: URLSearchParams): Generator<string, void, undefined> {
    return this.pieces(queryOf(parameters));
  }

  /** Yields the lines of what is asked for, in pieces. `now` returns nanoseconds of CLOCK_MONOTONIC. */
  pieces({ wanted, limit }: Query, now = monotonic): Generator<string, void, undefined> {
    const describe = this.#describe.bind(this);
    return piecesOf(this.#queues, limit, function* ({ index, connections }) {
      for (const connection of connections.find(wanted, now)) yield connection && describe(index, connection);
    });
  }

  #describe(queue: number, connection: Connection): object {
    const { state, details, expiresMs } = connection;
    return {
      queue, state: STATE_NAMES[state - 1], ...endsOf(connection),
      ...details && { ...this.#prefixOf(details, connection.local), ...describe(details) },
      expiresMs: rounded(expiresMs),
    };
  }

  /** Returns text and name of the prefix. After a reload its index may be another one's, which has other addresses. */
  #prefixOf({ prefix: index }: Details, { bytes }: Endpoint): { prefix?: string; name?: string | undefined } {
    const { prefixes } = this.#served;
    if (this.#prefixes?.list !== prefixes) this.#prefixes = new PrefixNames(prefixes);
    const found = this.#prefixes.at(index);
    return found && contains(found, bytes) ? { prefix: found.text, name: found.name } : {};
  }
}

/** Prefixes by the index at which they are counted. */
class PrefixNames {
  /** The position of each in the list, plus 1; 0 for none. */
  readonly #positions = new Uint32Array(PREFIX_INDICES);

  constructor(readonly list: PrefixList) {
    for (let i = 0; i < list.length; i++) this.#positions[list.index(i)] = i + 1;
  }

  at(index: number): ReturnType<PrefixList["at"]> | undefined {
    const position = index < 0 ? 0 : this.#positions.at(index) ?? 0;
    return position === 0 ? undefined : this.list.at(position - 1);
  }
}

function describe({ service, flags, rtt, timer, ...rest }: Details): Record<string, unknown> {
  return {
    service,
    options: OPTIONS.filter(([, bit]) => flags & bit).map(([name]) => name),
    ...flags & SCALED && { sendScale: rest.sendScale, receiveScale: rest.receiveScale },
    rttMs: rounded(rtt?.ms), rttVarMs: rounded(rtt?.variationMs), rtoMs: rounded(rest.rtoMs),
    mss: Math.max(0, rest.mss - (flags & TIMESTAMPS ? TIMESTAMPS_LEN : 0)), cwnd: rest.cwnd, ssthresh: rest.ssthresh,
    acknowledged: rest.acknowledged, received: rest.received, inFlight: rest.inFlight,
    sendWindow: rest.sendWindow, receiveWindow: rest.receiveWindow,
    retransmits: rest.retransmits, probes: rest.probes, idleMs: rounded(rest.idleMs),
    ...timer && { [`${timer.kind}Ms`]: rounded(timer.ms) },
    ackMs: rounded(rest.ackMs), endMs: rounded(rest.endMs), keepaliveMs: rounded(rest.keepaliveMs),
  };
}

function contains({ bytes, length }: Block, address: Uint8Array): boolean {
  if (bytes.length !== address.length) return false;
  return bytes.every((byte, i) => (byte ^ address[i]) >> Math.max(0, Math.min(8, 8 * (i + 1) - length)) === 0);
}
