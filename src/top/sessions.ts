/** Formats sessions of UDP services, which another program has listed. */
import { endOf, numberOf, textOf, timeOf, type Form, type Line } from "./listing.js";

export const SESSIONS: Form = {
  what: "session",
  headings: ["PROTOCOL", "LOCAL", "REMOTE", "ID", "PACKETS", "AGE", "IDLE", "SERVICE"],
  columns: (line) => [
    textOf(line.protocol), endOf(line, "localAddress", "localPort"), endOf(line, "remoteAddress", "remotePort"),
    idOf(line), String(numberOf(line.packets) ?? "-"), ageOf(line.ageMs), ageOf(line.idleMs), textOf(line.service),
  ],
};

/** Returns what tells sessions of the same ends from each other. */
function idOf({ ssid, place }: Line): string {
  const [id, at] = [numberOf(ssid), numberOf(place)];
  return id === undefined ? at === undefined ? "-" : `place ${at}` : `ssid ${id}`;
}

/** Formats a time whose parts of a millisecond say nothing in a list. */
function ageOf(value: unknown): string {
  const ms = numberOf(value);
  return ms === undefined ? "-" : timeOf(Math.round(ms));
}
