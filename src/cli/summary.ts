/** The fate of the packets, for a command's last line. */
interface Outcome {
  readonly received: number;
  readonly replied: number;
  /** Segments that TCP took, some of which it may have answered. */
  readonly tcp: number;
  /** Datagrams that handlers took, some of which they may have answered. */
  readonly handled: number;
  readonly dropped: Readonly<Record<string, number>>;
}

/**
 * Makes the first parts of a command's last line. Where TCP or handlers took most packets, "answered 0 of 9" would read
 * like a failure. `time`: how long it took, as " in 3.0 s".
 */
export function outcome({ received, replied, tcp, handled, dropped }: Outcome, time = ""): string[] {
  const drops = tally("dropped", dropped);
  if (tcp + handled === 0) return [`answered ${replied} of ${received} packets${time}`, ...drops];
  const [fate] = [...drops, "dropped 0"];
  const took = [...tcp > 0 ? [`TCP took ${tcp}`] : [], ...handled > 0 ? [`handlers took ${handled}`] : []];
  return [`${received} packet${received === 1 ? "" : "s"}${time}: ${[`answered ${replied}`, ...took, fate].join(", ")}`];
}

/** Makes a part of a command's last line: "dropped 3 (ip_csum 1, icmp_csum 2)"; empty if all counts are 0. */
export function tally(verb: string, counts: Readonly<Record<string, number>>): string[] {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return total > 0
    ? [`${verb} ${total} (${Object.entries(counts).map(([reason, count]) => `${reason} ${count}`).join(", ")})`]
    : [];
}

/** Makes the part about fragments whose datagram was still incomplete at the end; empty if there are none. */
export function waiting(held: number): string[] {
  return held > 0 ? [`held ${held} fragment${held === 1 ? "" : "s"} for the rest of their datagrams`] : [];
}
