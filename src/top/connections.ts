/** Formats the list of connections for people, or for whatever reads JSON. The list is another program's. */
import { printable } from "../base/printable.js";
import type { MetricsAddress } from "./address.js";
import { fit, padEnd, widthOf } from "./text.js";

const HEADINGS = ["STATE", "LOCAL", "REMOTE", "SERVICE", "PREFIX"];
/** Columns that one value takes at most. */
const MAX_WIDTH = 64;
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

/** Returns where a pongd with its metrics at `address` lists the connections that the parameters ask for. */
export function connectionsAt(address: MetricsAddress, parameters: URLSearchParams): MetricsAddress {
  const url = new URL("connections", address.url);
  url.search = parameters.toString();
  return { ...address, url, name: address.name.replace(/\/metrics(\?.*)?$/, "/connections") };
}

/** Returns whether a service of this name accepts connections, by the text of the metrics. */
export function isService(metrics: string, name: string): boolean {
  return metrics.includes(`\npongd_tcp_accepted_total{service=${JSON.stringify(name)},`);
}

type Line = Readonly<Record<string, unknown>>;

export class Lines {
  readonly #lines: readonly Line[];

  /** @throws Error if it is not a list of connections. */
  constructor(body: string) {
    const texts = body.split("\n");
    if (texts.pop() !== "") throw new Error("the last line does not end; is it a pongd?");
    this.#lines = texts.map(lineOf);
  }

  get count(): number {
    return this.#lines.length;
  }

  json(): string {
    return this.#lines.map((line) => `${printable(JSON.stringify(line))}\n`).join("");
  }

  /** Returns the heading, and two lines for each connection. */
  text(): string {
    const rows = [HEADINGS, ...this.#lines.map(columnsOf)];
    const widths = HEADINGS.map((_, i) => rows.reduce((width, row) => Math.max(width, widthOf(row[i])), 0));
    const [heading, ...heads] = rows.map((row) => row.map((cell, i) => padEnd(cell, widths[i])).join("  ").trimEnd());
    return [heading, ...this.#lines.flatMap((line, i) => [heads[i], `    ${detailsOf(line)}`])]
      .map((line) => `${line}\n`).join("");
  }
}

function lineOf(text: string, i: number): Line {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The line is not shown: it may be anything.
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error(`line ${i + 1} is no connection; is it a pongd?`);
  }
  return value as Line;
}

function columnsOf(line: Line): string[] {
  const at = (address: string, port: string) => {
    const text = textOf(line[address]);
    return `${text.includes(":") ? `[${text}]` : text}:${numberOf(line[port]) ?? "-"}`;
  };
  const name = textOf(line.name);
  return [
    textOf(line.state), at("localAddress", "localPort"), at("remoteAddress", "remotePort"), textOf(line.service),
    `${textOf(line.prefix)}${name === "-" ? "" : ` ${name}`}`,
  ].map((cell) => fit(cell, MAX_WIDTH));
}

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

/** Formats a time: in ms below a second, in seconds below a minute, else in whole seconds as 1h59m58s. */
function timeOf(ms: number): string {
  if (ms < 1000) return `${ms}ms`;
  if (ms < 60_000) return `${Math.round(ms) / 1000}s`;
  const seconds = Math.round(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return `${hours > 0 ? `${hours}h` : ""}${minutes > 0 ? `${minutes}m` : ""}${seconds % 60 > 0 ? `${seconds % 60}s` : ""}`;
}

function textOf(value: unknown): string {
  return typeof value === "string" && value !== "" ? printable(value) : "-";
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}
