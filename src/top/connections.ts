/** Formats connections, which another program has listed. */
import { endOf, MAX_WIDTH, numberOf, textOf, timeOf, type Form, type Line } from "./listing.js";
import { fit } from "./text.js";

/** Fields of the second line: the name there, the key, and "ms" for a time. */
const FIELDS = [
  ["rto", "rtoMs", "ms"], ["mss", "mss", ""], ["cwnd", "cwnd", ""],
  ["ssthresh", "ssthresh", ""], ["acked", "acknowledged", ""], ["received", "received", ""],
  ["in-flight", "inFlight", ""], ["send-window", "sendWindow", ""], ["receive-window", "receiveWindow", ""],
  ["retransmits", "retransmits", ""], ["probes", "probes", ""], ["idle", "idleMs", "ms"],
  ["retransmit-in", "retransmitMs", "ms"], ["probe-in", "persistMs", "ms"], ["tail-probe-in", "tailProbeMs", "ms"],
  ["ack-in", "ackMs", "ms"], ["end-in", "endMs", "ms"], ["keepalive-in", "keepaliveMs", "ms"],
  ["expires-in", "expiresMs", "ms"],
] as const;

export const CONNECTIONS: Form = {
  what: "connection",
  headings: ["STATE", "LOCAL", "REMOTE", "SERVICE", "PREFIX"],
  columns: (line) => {
    const name = textOf(line.name);
    return [
      textOf(line.state), endOf(line, "localAddress", "localPort"), endOf(line, "remoteAddress", "remotePort"),
      textOf(line.service), `${textOf(line.prefix)}${name === "-" ? "" : ` ${name}`}`,
    ];
  },
  details: detailsOf,
};

function detailsOf(line: Line): string {
  const options = Array.isArray(line.options) ? line.options.map(textOf) : [];
  const [send, receive] = [numberOf(line.sendScale), numberOf(line.receiveScale)];
  const [rtt, variation] = [numberOf(line.rttMs), numberOf(line.rttVarMs)];
  return [
    ...options.map((option) => {
      return option === "wscale" && send !== undefined ? `wscale:${send},${receive ?? "-"}` : fit(option, MAX_WIDTH);
    }),
    ...rtt === undefined ? [] : [`rtt:${rtt}/${variation ?? "-"}ms`],
    ...FIELDS.flatMap(([name, key, unit]) => {
      const value = numberOf(line[key]);
      return value === undefined ? [] : [`${name}:${unit === "ms" ? timeOf(value) : value}`];
    }),
  ].join(" ");
}
