/** Formats /metrics as the scraper asks for it: OpenMetrics or Prometheus's own text, compressed or not. */
import type { IncomingHttpHeaders } from "node:http";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { Registry } from "prom-client";

const compress = promisify(gzip);

export interface Exposition {
  readonly body: string | Uint8Array;
  readonly type: string;
  readonly headers: Readonly<Record<string, string>>;
}

export async function expose(registry: Registry, accepted: IncomingHttpHeaders): Promise<Exposition> {
  const classic = await registry.metrics();
  const open = wantsOpenMetrics(accepted.accept);
  const text = open ? toOpenMetrics(classic) : classic;
  const type = open ? Registry.OPENMETRICS_CONTENT_TYPE : registry.contentType;
  const vary = { Vary: "Accept, Accept-Encoding" };
  if (!wantsGzip(accepted["accept-encoding"])) return { body: text, type, headers: vary };
  return { body: await compress(text), type, headers: { ...vary, "Content-Encoding": "gzip" } };
}

/**
 * Converts Prometheus's text to OpenMetrics 1.0.0. prom-client could write OpenMetrics, but it renames the metrics in
 * the registry to do so, and the registry's text is then wrong in the other format.
 */
export function toOpenMetrics(classic: string): string {
  const families = classic
    .replaceAll(/^# HELP (\S+)_total (.*)\n# TYPE \1_total counter$/gm, "# HELP $1 $2\n# TYPE $1 counter")
    // OpenMetrics escapes a quotation mark, too.
    .replaceAll(/^# HELP .*$/gm, (line) => line.replaceAll("\"", "\\\""))
    .replaceAll(/\n{2,}/g, "\n");
  return `${families}# EOF\n`;
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
