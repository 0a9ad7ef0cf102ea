/**
 * Makes what /metrics answers as the scraper asks for it: OpenMetrics or Prometheus's own text, compressed or not. It
 * comes in pieces, which any number of responses can share.
 */
import type { IncomingHttpHeaders } from "node:http";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { Registry } from "prom-client";
import { PIECE_LEN } from "../telemetry/prefixreplies.js";

/** Sources of the metrics. */
export interface Metrics {
  readonly registry: Pick<Registry, "metrics">;
  /** Further metrics, in pieces. */
  readonly more?: readonly { pieces(openMetrics: boolean): Iterable<Buffer> }[];
}

export interface Format {
  readonly openMetrics: boolean;
  readonly gzip: boolean;
}

/** The metrics of one moment. */
export interface Exposition {
  readonly pieces: readonly Uint8Array[];
  /** Bytes of all pieces. */
  readonly length: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Returns the format that a scraper's headers ask for. */
export function formatFor({ accept, "accept-encoding": encoding }: IncomingHttpHeaders): Format {
  return { openMetrics: wantsOpenMetrics(accept), gzip: wantsGzip(encoding) };
}

export async function expose(metrics: Metrics, { openMetrics, gzip }: Format): Promise<Exposition> {
  const pieces: Uint8Array[] = [];
  const collect = async (source: AsyncIterable<Uint8Array>) => {
    for await (const piece of source) pieces.push(piece);
  };
  if (gzip) await pipeline(piecesOf(metrics, openMetrics), createGzip({ chunkSize: PIECE_LEN }), collect);
  else await collect(piecesOf(metrics, openMetrics));
  return {
    pieces,
    length: pieces.reduce((sum, { length }) => sum + length, 0),
    headers: {
      "Content-Type": openMetrics ? Registry.OPENMETRICS_CONTENT_TYPE : Registry.PROMETHEUS_CONTENT_TYPE,
      Vary: "Accept, Accept-Encoding",
      ...gzip && { "Content-Encoding": "gzip" },
    },
  };
}

async function* piecesOf(
  { registry, more = [] }: Metrics, openMetrics: boolean,
): AsyncGenerator<Buffer, void, undefined> {
  const classic = await registry.metrics();
  const text = Buffer.from(openMetrics ? familiesOf(classic) : classic);
  for (let at = 0; at < text.length; at += PIECE_LEN) yield text.subarray(at, at + PIECE_LEN);
  for (const metric of more) yield* metric.pieces(openMetrics);
  if (openMetrics) yield Buffer.from(END);
}

/** The line that ends OpenMetrics. */
const END = "# EOF\n";

/** Converts Prometheus's text to OpenMetrics 1.0.0. */
export function toOpenMetrics(classic: string): string {
  return familiesOf(classic) + END;
}

/**
 * Converts all but the last line. prom-client could write OpenMetrics, but it renames the metrics in the registry to do
 * so, and the registry's text is then wrong in the other format.
 */
function familiesOf(classic: string): string {
  return classic
    .replaceAll(/^# HELP (\S+)_total (.*)\n# TYPE \1_total counter$/gm, "# HELP $1 $2\n# TYPE $1 counter")
    // OpenMetrics escapes a quotation mark, too.
    .replaceAll(/^# HELP .*$/gm, (line) => line.replaceAll("\"", "\\\""))
    .replaceAll(/\n{2,}/g, "\n");
}

/** Negotiates as Prometheus's client for Go does: of the types by preference, the first that is known decides. */
export function wantsOpenMetrics(accept: string | undefined): boolean {
  for (const { value, parameters } of preferences(accept)) {
    const version = parameters.get("version");
    if (value === "application/openmetrics-text"
      && (version === undefined || version === "1.0.0" || version === "0.0.1")) return true;
    if (value === "text/plain" && (version === undefined || version === "0.0.4")) return false;
  }
  return false;
}

export function wantsGzip(acceptEncoding: string | undefined): boolean {
  return preferences(acceptEncoding).some(({ value }) => value === "gzip");
}

interface Preference {
  readonly value: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly q: number;
}

/**
 * Parses a header of RFC 9110 §12.4.2: the most preferred items first, without those that are not acceptable. A library
 * that chooses among given types would not do: it wants every parameter to match, and Prometheus 3 adds one, escaping.
 */
function preferences(header = ""): Preference[] {
  return header.split(",").map((item) => {
    const [value, ...rest] = item.split(";").map((part) => part.trim().toLowerCase());
    const parameters = new Map(rest.map((part) => part.split("=", 2).map((side) => side.trim()) as [string, string]));
    const q = Number(parameters.get("q") ?? 1);
    return { value, parameters, q: Number.isNaN(q) ? 0 : q };
  }).filter(({ q }) => q > 0).sort((a, b) => b.q - a.q);
}
