/**
 * Figures that pongd has counted up to a moment, and rates between two such moments. The page at / and `pongd top` show
 * them. This file runs in the browser too, so it imports nothing.
 */

export interface QueueFigures {
  readonly queue: string;
  readonly engine: string;
  readonly io: string;
  readonly received: number;
  readonly replied: number;
  readonly dropped: number;
  /** Segments that TCP took. */
  readonly tcp: number;
  readonly restarts: number;
}

/** TCP connections of all queues. */
export interface TcpFigures {
  /** Connections that there are. */
  readonly connections: number;
  /** Connections that were accepted. */
  readonly accepted: number;
  /** Connections that were opened from here. */
  readonly opened: number;
  /** Segments that were sent again. */
  readonly retransmitted: number;
  /** Bytes of streams that came, and that were acknowledged. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Datagrams of UDP services. */
export interface UdpFigures {
  /** Datagrams that services took, whatever became of them. */
  readonly taken: number;
  /** Datagrams that were sent in answer, by services without a thread and by handlers. */
  readonly answered: number;
  /** Datagrams to services that were dropped for want of room with a handler, or lest a loop begin. */
  readonly dropped: number;
  /** Datagrams of handlers that could not be sent. */
  readonly unsent: number;
}

/** Sessions of a protocol of UDP services, in all queues. */
export interface SessionFigures {
  readonly protocol: "stamp" | "irtt";
  /** Sessions that there are, and that there may be. */
  readonly sessions: number;
  readonly limit: number;
}

/** How long replies of STAMP took from when their requests were read to when they were about to be sent. */
export interface TurnaroundFigures {
  readonly replies: number;
  /** The sum, in s. */
  readonly seconds: number;
}

/** A service of ports. */
export interface ServiceFigures {
  readonly service: string;
  readonly protocol: "tcp" | "udp";
  /** Connections that it accepted, or datagrams that it took. */
  readonly taken: number;
  /** Connections that service threads have; undefined if it has none of their counts. */
  readonly connections?: number | undefined;
  /** Responses of HTTP, by the first digit of their status, which is 1 to 5. */
  readonly responses: readonly number[];
  /** Times that its handler has thrown or rejected. */
  readonly errors: number;
}

/** A service thread. */
export interface ThreadFigures {
  readonly thread: string;
  readonly restarts: number;
  /** How often its event loop has come round, which it does once a second, and by how much it was late in all, in s. */
  readonly beats: number;
  readonly late: number;
}

export interface PrefixFigures {
  readonly prefix: string;
  readonly name?: string | undefined;
  readonly replied: number;
}

/** What the link of a prefix has done to packets on one way. */
export interface LinkFigures {
  readonly prefix: string;
  readonly name?: string | undefined;
  readonly direction: typeof DIRECTIONS[number];
  /** Packets by effect, in the order of LINK_EFFECTS. */
  readonly effects: readonly number[];
  /** The sum of these. */
  readonly affected: number;
}

export interface Figures {
  /** Unix time in ms, on a monotonic clock. */
  readonly at: number;
  readonly version: string;
  /** True if all served prefixes can be reached. */
  readonly ready: boolean;
  readonly queues: readonly QueueFigures[];
  /** Counts by reason; only reasons that occurred. */
  readonly dropped: Readonly<Record<string, number>>;
  /** Packets that found no room in the device's own queue, so pongd never saw them. */
  readonly overrun: number;
  readonly tcp: TcpFigures;
  readonly udp: UdpFigures;
  readonly sessions: readonly SessionFigures[];
  readonly turnaround: TurnaroundFigures;
  /** Services that took most; not all, if there are many. */
  readonly services: readonly ServiceFigures[];
  /** Number of all services. */
  readonly serviceCount: number;
  readonly threads: readonly ThreadFigures[];
  /** Prefixes that answered most; not all, if there are many. */
  readonly prefixes: readonly PrefixFigures[];
  /** Number of all prefixes. */
  readonly prefixCount: number;
  /** Ways of links that have done most to packets; not all, if there are many. */
  readonly links: readonly LinkFigures[];
  /** Number of all that have done anything. */
  readonly linkCount: number;
}

/** Ways of a link: to the prefix, and back. */
export const DIRECTIONS = ["in", "out"] as const;
/** Effects of links, in the order of Effect (abi/links.ts). */
export const LINK_EFFECTS = [
  "delayed", "dropped", "corrupted", "duplicated", "reordered", "ecn_marked", "queue_full",
] as const;

/** What is counted of TCP, and whose rates are shown. */
type Counts = Exclude<keyof TcpFigures, "connections"> | "segments";

/** First digits of a status of HTTP; those that a response ends with are shown. */
export const STATUS_CLASSES = [1, 2, 3, 4, 5];
export const SHOWN_CLASSES = [2, 3, 4, 5];
/** Protocols of replies, as they are counted, that UDP services send. */
export const UDP_PROTOCOLS: readonly string[] = ["udp", "stamp", "sbfd", "irtt"];
/** Reasons for which datagrams to services are dropped, other than that a service or a limit says so. */
export const UDP_DROPS = ["socket_rcvbuff", "udp_loop"];
/** Time in s after which a thread that has not come round is late: it comes round once a second. */
const SILENCE = 2;

/** Rates of a service. */
export interface ServiceRates {
  readonly taken: number;
  readonly responses: readonly number[];
}

/** How late a service thread is. */
export interface Lateness {
  /** Time in s by which it was late on average; undefined while nobody knows. */
  readonly late: number | undefined;
  /** Time in s for which it has not come round. */
  readonly silent: number;
}

/** Rates per second. */
export interface Rates {
  readonly received: number;
  readonly replied: number;
  readonly dropped: number;
  readonly overrun: number;
  readonly tcp: Readonly<Record<Counts, number>>;
  readonly udp: Readonly<Record<keyof UdpFigures, number>>;
  /** Average time that replies of STAMP took, in s; undefined if there were none. */
  readonly turnaround: number | undefined;
  /** By keyOf(). */
  readonly services: Readonly<Record<string, ServiceRates>>;
  readonly threads: Readonly<Record<string, Lateness>>;
  /** Dropped packets by reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Replies by prefix. */
  readonly prefixes: Readonly<Record<string, number>>;
  /** Packets by wayOf(), and by effect as in LinkFigures. */
  readonly links: Readonly<Record<string, readonly number[]>>;
}

/** Sums one figure over the queues. */
export function sumOf({ queues }: Figures, figure: "received" | "replied" | "dropped" | "tcp" | "restarts"): number {
  return queues.reduce((sum, queue) => sum + queue[figure], 0);
}

/** Returns true if there is or was any TCP, so that its figures are worth showing. */
export function hasTcp(figures: Figures): boolean {
  return sumOf(figures, "tcp") > 0 || figures.tcp.connections > 0;
}

/** Returns the reason for which packets of a protocol are dropped that find no room for another session. */
export function refusalOf({ protocol }: SessionFigures): string {
  return `${protocol}_sessions`;
}

/** Returns the protocols whose sessions are worth showing: there are some, or there was no room for some. */
export function withSessions({ sessions, dropped }: Figures): SessionFigures[] {
  return sessions.filter((each) => each.sessions > 0 || (dropped[refusalOf(each)] ?? 0) > 0);
}

/** Returns how many responses a second begin with this digit; undefined if the service has had none at all. */
export function responseRate(
  { responses }: ServiceFigures, rates: ServiceRates | undefined, firstDigit: number,
): number | undefined {
  return responses.some((count) => count > 0) ? rates?.responses[STATUS_CLASSES.indexOf(firstDigit)] : undefined;
}

/** Returns what tells a service from all others: one of UDP may have the name of one of TCP. */
export function keyOf({ protocol, service }: Pick<ServiceFigures, "protocol" | "service">): string {
  return `${protocol} ${service}`;
}

/** Returns what tells a way of a prefix's link from all others. */
export function wayOf({ prefix, direction }: Pick<LinkFigures, "prefix" | "direction">): string {
  return `${prefix} ${direction}`;
}

/**
 * Returns the rates between two moments. A figure that went down started again from 0 in between: pongd was restarted.
 * `before`: the rates up to the first of the moments, if they are known.
 */
export function ratesBetween(older: Figures, newer: Figures, before?: Rates): Rates {
  const seconds = (newer.at - older.at) / 1000;
  const rate = (then: number, now: number) => seconds > 0 ? (now < then ? now : now - then) / seconds : 0;
  const sum = (figure: "received" | "replied" | "dropped" | "tcp") => rate(sumOf(older, figure), sumOf(newer, figure));
  const tcp = (figure: keyof TcpFigures) => rate(older.tcp[figure], newer.tcp[figure]);
  // A reload may take a service away, and with it what it accepted or took.
  const accepted = newer.tcp.accepted < older.tcp.accepted ? 0 : tcp("accepted");
  const udp = (figure: keyof UdpFigures) => rate(older.udp[figure], newer.udp[figure]);
  const taken = newer.udp.taken < older.udp.taken ? 0 : udp("taken");
  const replied = new Map(older.prefixes.map(({ prefix, replied }) => [prefix, replied]));
  const services = new Map(older.services.map((service) => [keyOf(service), service]));
  const lateness = new Map(Object.entries(before?.threads ?? {}));
  const threads = new Map(older.threads.map((thread) => [thread.thread, thread]));
  const links = new Map(older.links.map((link) => [wayOf(link), link]));
  return {
    received: sum("received"),
    replied: sum("replied"),
    dropped: sum("dropped"),
    overrun: rate(older.overrun, newer.overrun),
    tcp: {
      segments: sum("tcp"), accepted, opened: tcp("opened"), retransmitted: tcp("retransmitted"),
      bytesIn: tcp("bytesIn"), bytesOut: tcp("bytesOut"),
    },
    udp: { taken, answered: udp("answered"), dropped: udp("dropped"), unsent: udp("unsent") },
    turnaround: turnaroundBetween(older.turnaround, newer.turnaround),
    // Like a prefix, a service that has just entered the list has no older figure to compare with.
    services: Object.fromEntries(newer.services.map((service) => {
      const { taken, responses } = services.get(keyOf(service)) ?? service;
      return [keyOf(service), {
        taken: rate(taken, service.taken),
        responses: service.responses.map((count, i) => rate(responses[i], count)),
      }];
    })),
    threads: Object.fromEntries(newer.threads.map((thread) => {
      const { thread: name } = thread;
      return [name, latenessOf(threads.get(name) ?? thread, thread, seconds, lateness.get(name))];
    })),
    reasons: Object.fromEntries(
      Object.entries(newer.dropped).map(([reason, now]) => [reason, rate(older.dropped[reason] ?? 0, now)]),
    ),
    // A prefix that has just entered the list has no older figure to compare with.
    prefixes: Object.fromEntries(
      newer.prefixes.map(({ prefix, replied: now }) => [prefix, rate(replied.get(prefix) ?? now, now)]),
    ),
    links: Object.fromEntries(newer.links.map((link) => {
      const { effects } = links.get(wayOf(link)) ?? link;
      return [wayOf(link), link.effects.map((count, i) => rate(effects[i], count))];
    })),
  };
}

function turnaroundBetween(older: TurnaroundFigures, newer: TurnaroundFigures): number | undefined {
  const then = newer.replies < older.replies ? { replies: 0, seconds: 0 } : older;
  const replies = newer.replies - then.replies;
  return replies > 0 ? Math.max(0, newer.seconds - then.seconds) / replies : undefined;
}

/** Returns how late a thread was between two moments, or if it has not come round since, up to the last time it did. */
function latenessOf(
  older: ThreadFigures, newer: ThreadFigures, seconds: number, before: Lateness = { late: undefined, silent: 0 },
): Lateness {
  const then = newer.beats < older.beats ? { beats: 0, late: 0 } : older;
  const beats = newer.beats - then.beats;
  if (beats > 0) return { late: Math.max(0, newer.late - then.late) / beats, silent: 0 };
  const silent = before.silent + Math.max(0, seconds);
  return { late: silent > SILENCE ? silent - 1 : before.late, silent };
}
