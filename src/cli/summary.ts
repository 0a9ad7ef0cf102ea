/** A part of a command's last line: "dropped 3 (ip_csum 1, icmp_csum 2)", or nothing where nothing was. */
export function tally(verb: string, counts: Readonly<Record<string, number>>): string[] {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return total > 0 ? [`${verb} ${total} (${Object.entries(counts).map(([reason, count]) => `${reason} ${count}`).join(", ")})`] : [];
}
