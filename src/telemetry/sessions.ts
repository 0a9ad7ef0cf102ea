/** Lists the sessions of UDP services of all queues, and reads from a URL's parameters which ones are wanted. */
import { OpenSessions, type Session, type WantedSessions } from "../engine/opensessions.js";
import { SESSION_PROTOCOLS } from "../engine/sessions.js";
import {
  DEFAULT_LIMIT, endsOf, MAX_LIMIT, monotonic, Parameters, piecesOf, rounded, type List, type Listed,
} from "./lists.js";

/** Which sessions are asked for, and how many at most. */
export interface SessionsQuery {
  readonly wanted: WantedSessions;
  readonly limit: number;
}

export const SESSION_PARAMETERS = ["protocol", "local", "remote", "port", "service", "limit"] as const;

/**
 * Reads a URL's parameters. `dashes` stands before their names in messages.
 * @throws Failure (usage)
 */
export function sessionsQueryOf(parameters: URLSearchParams, dashes = ""): SessionsQuery {
  const given = new Parameters(parameters, SESSION_PARAMETERS, dashes);
  const name = given.value("protocol");
  const protocols = SESSION_PROTOCOLS.filter((protocol) => name === undefined || protocol === name);
  if (protocols.length === 0) {
    throw given.wrong("protocol", `"${name ?? ""}" has no sessions; expected ${SESSION_PROTOCOLS.join(" or ")}`);
  }
  return {
    wanted: {
      protocols, local: given.block("local"), remote: given.block("remote"), port: given.whole("port", 65_535),
      service: given.value("service"),
    },
    limit: given.whole("limit", MAX_LIMIT) ?? DEFAULT_LIMIT,
  };
}

export class SessionList implements List {
  readonly #queues: readonly { readonly index: number; readonly sessions: OpenSessions }[];

  constructor(queues: readonly Listed[]) {
    this.#queues = queues.map(({ index, memory }) => ({ index, sessions: new OpenSessions(memory) }));
  }

  lines(parameters: URLSearchParams): Generator<string, void, undefined> {
    return this.pieces(sessionsQueryOf(parameters));
  }

  /** Yields the lines of what is asked for, in pieces. `now` returns nanoseconds of CLOCK_MONOTONIC. */
  pieces({ wanted, limit }: SessionsQuery, now = monotonic): Generator<string, void, undefined> {
    return piecesOf(this.#queues, limit, function* ({ index, sessions }) {
      for (const session of sessions.find(wanted, now)) yield session && describe(index, session);
    });
  }
}

function describe(queue: number, session: Session): object {
  const { protocol, service, ssid, place, packets, ageMs, idleMs, expiresMs } = session;
  return {
    queue, protocol, ...endsOf(session), service, ssid, place, packets, ageMs: rounded(ageMs), idleMs: rounded(idleMs),
    expiresMs: rounded(expiresMs),
  };
}
