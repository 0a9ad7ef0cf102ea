/** Sessions of UDP services in a queue's memory: where they lie, and what becomes of them after a crash. */
import {
  IRTT_SERVICE, IRTT_SESSION_SIZE, IRTT_SESSIONS, IRTT_SETS, IRTT_SPOILT, IRTT_TIMER, IRTT_TOKEN, IRTT_WAYS,
} from "../../abi/irtt.js";
import {
  MAX_SESSIONS, SESSION_HASH, SESSION_HASH_MASK, SESSION_SERVICE, SESSION_SIZE, SESSION_TIMER, SESSIONS,
  SESSIONS_SPOILT, SESSIONS_TOUCHED, SOURCE_SESSIONS,
} from "../../abi/sessions.js";
import { SERVICE_USERS } from "../../abi/tcp.js";
import { TIMER_SIZE } from "../../abi/timers.js";

const ALIGN = 64;

/** Protocols that have sessions. */
export const SESSION_PROTOCOLS = ["stamp", "irtt"] as const;
export type SessionProtocol = typeof SESSION_PROTOCOLS[number];
export type SessionLimits = Readonly<Record<SessionProtocol, number>>;

interface SessionsLayout {
  readonly hash: number;
  readonly hashEntries: number;
  readonly records: number;
  readonly end: number;
}

/** Returns where the table and the records of so many sessions lie behind `from`. */
export function layoutOf(from: number, sessions: number): SessionsLayout {
  const hashEntries = sessions > 0 ? 2 ** Math.ceil(Math.log2(sessions)) : 0;
  const hash = Math.ceil(from / ALIGN) * ALIGN;
  const records = Math.ceil((hash + 4 * hashEntries) / ALIGN) * ALIGN;
  return { hash, hashEntries, records, end: records + SESSION_SIZE * sessions };
}

/** Writes the words that say where they lie. */
export function describe(words: Uint32Array, sessions: number, { hash, hashEntries, records }: SessionsLayout): void {
  if (sessions === 0) return;
  words[MAX_SESSIONS / 4] = sessions;
  words[SESSIONS / 4] = records;
  words[SESSION_HASH / 4] = hash;
  words[SESSION_HASH_MASK / 4] = hashEntries - 1;
}

/** Returns the maximum number of sessions. */
export function limitsOf(words: Uint32Array): SessionLimits {
  return { stamp: words[MAX_SESSIONS / 4], irtt: IRTT_SETS * IRTT_WAYS };
}

/** Keeps the sessions after a crash, as the engine's restore() then finds them. Nobody else uses services by now. */
export function keep(words: Uint32Array): void {
  words.fill(0, SESSION_TIMER / 4, SOURCE_SESSIONS / 4);
  for (let i = 0; i < words[SESSIONS_TOUCHED / 4]; i++) {
    const service = words[(words[SESSIONS / 4] + SESSION_SIZE * i + SESSION_SERVICE) / 4];
    if (service !== 0) words[(service + SERVICE_USERS) / 4]++;
  }
  if (words[SESSIONS_TOUCHED / 4] > 0) words[SESSIONS_SPOILT / 4] = 1;
  for (let i = 0; i < IRTT_SETS * IRTT_WAYS; i++) {
    const session = (IRTT_SESSIONS + IRTT_SESSION_SIZE * i) / 4;
    const isOpen = words[session + IRTT_TOKEN / 4] !== 0 || words[session + IRTT_TOKEN / 4 + 1] !== 0;
    const service = words[session + IRTT_SERVICE / 4];
    if (!isOpen) words[session + IRTT_SERVICE / 4] = 0;
    else if (service !== 0) words[(service + SERVICE_USERS) / 4]++;
  }
  words.fill(0, IRTT_TIMER / 4, (IRTT_TIMER + TIMER_SIZE) / 4);
  words[IRTT_SPOILT / 4] = 1;
}
