/**
 * Lists the TCP connections of all queues as lines of JSON, and reads from a URL's parameters which ones are wanted. A
 * walk over a million of them takes a while, so it is made in slices.
 */
import { PREFIX_INDICES } from "../../abi/tables.js";
import { ECN, SACK, SCALED, State, TIMESTAMPS } from "../../abi/tcp.js";
import { EXIT, Failure } from "../base/failure.js";
import { Connections, type Connection, type Details, type Endpoint, type Wanted } from "../engine/connections.js";
import type { PrefixList } from "../prefix/list.js";
import { formatBytes, parseBlock, type Block } from "../prefix/prefixes.js";
import { PIECE_LEN, type Serves } from "./prefixreplies.js";

/** Connections that are listed unless a limit is given, and at most. */
export const DEFAULT_LIMIT = 500;
export const MAX_LIMIT = 50_000;
/** Bytes of each segment that timestamps take. */
const TIMESTAMPS_LEN = 12;
/** Milliseconds of a slice. */
const SLICE_MS = 5;

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
  const wrong = (name: string, what: string) => new Failure(`${dashes}${name}: ${what}`, EXIT.USAGE);
  const valueOf = (name: typeof PARAMETERS[number]) => {
    const values = parameters.getAll(name);
    if (values.length > 1) throw wrong(name, "it is given twice");
    return values.at(0);
  };
  for (const name of parameters.keys()) {
    if (!PARAMETERS.some((known) => known === name)) throw wrong(name, `unknown parameter; expected one of ${PARAMETERS.join(", ")}`);
  }
  const whole = (name: "port" | "limit", most: number) => {
    const text = valueOf(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
    if (!(value >= 1 && value <= most)) throw wrong(name, `"${text}" is not a whole number from 1 to ${most}`);
    return value;
  };
  const block = (name: "local" | "remote"): Block | undefined => {
    const text = valueOf(name);
    try {
      return text === undefined ? undefined : parseBlock(text);
    } catch (error) {
      throw error instanceof Failure ? wrong(name, error.message) : error;
    }
  };
  const states = (text: string) => text.split(",").reduce((bits, name) => {
    if (name === "all") return ALL;
    const state = STATES.get(name);
    if (state === undefined) throw wrong("state", `"${name}" is not a state; expected ${STATE_NAMES.join(", ")} or all`);
    return bits | 1 << state;
  }, 0);
  const state = valueOf("state");
  return {
    wanted: {
      states: state === undefined ? BY_DEFAULT : states(state),
      local: block("local"), remote: block("remote"), port: whole("port", 65_535), service: valueOf("service"),
    },
    limit: whole("limit", MAX_LIMIT) ?? DEFAULT_LIMIT,
  };
}

/** A queue whose connections are listed. */
export interface Listed {
  readonly index: number;
  readonly memory: WebAssembly.Memory;
}

export class ConnectionList {
  readonly #queues: readonly { readonly index: number; readonly connections: Connections }[];
  readonly #served: Serves;
  #prefixes: PrefixNames | undefined;

  constructor(queues: readonly Listed[], served: Serves) {
    this.#queues = queues.map(({ index, memory }) => ({ index, connections: new Connections(memory) }));
    this.#served = served;
  }

  /**
   * Yields the lines of what is asked for, in pieces. Each step of the iteration is a slice of the walk; an empty piece
   * says that it found nothing. The next step may come at any time. `now` returns nanoseconds of CLOCK_MONOTONIC.
   */
  * pieces({ wanted, limit }: Query, now = monotonic): Generator<string, void, undefined> {
    let piece = "";
    let left = limit;
    let since = performance.now();
    for (const { index, connections } of this.#queues) {
      for (const connection of connections.find(wanted, now)) {
        if (connection) {
          piece += `${JSON.stringify(this.#describe(index, connection))}\n`;
          if (--left === 0) break;
        }
        if (piece.length < PIECE_LEN && performance.now() - since < SLICE_MS) continue;
        yield piece;
        piece = "";
        since = performance.now();
      }
      if (left === 0) break;
    }
    yield piece;
  }

  #describe(queue: number, { state, local, remote, details, expiresMs }: Connection): Record<string, unknown> {
    return {
      queue, state: STATE_NAMES[state - 1], ...endOf("local", local), ...endOf("remote", remote),
      ...details && { ...this.#prefixOf(details, local), ...describe(details) },
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

function endOf(name: "local" | "remote", { bytes, port }: Endpoint): Record<string, unknown> {
  return { [`${name}Address`]: formatBytes(bytes), [`${name}Port`]: port };
}

function contains({ bytes, length }: Block, address: Uint8Array): boolean {
  if (bytes.length !== address.length) return false;
  return bytes.every((byte, i) => (byte ^ address[i]) >> Math.max(0, Math.min(8, 8 * (i + 1) - length)) === 0);
}

/** Rounds to microseconds. */
function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(1000 * ms) / 1000;
}

function monotonic(): number {
  return Number(process.hrtime.bigint());
}
