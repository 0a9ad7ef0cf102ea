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

/** Makes the part about segments that TCP took, some of which it may have answered; empty if there are none. */
export function segments(taken: number): string[] {
  return taken > 0 ? [`took ${taken} TCP segment${taken === 1 ? "" : "s"}`] : [];
}
