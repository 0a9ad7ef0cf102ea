/**
 * Serves the page at / and its files. Paths are those of the build's tree, since modules import one another by them.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { ICON, PAGE } from "./page/html.js";
import { STYLE as PAGE_STYLE } from "./page/style.js";
import { STYLE } from "./style.js";
import { uplotScript, uplotStyle } from "./uplot.js";

export interface File {
  readonly type: string;
  /** Bytes that all responses share. */
  readonly body: Buffer;
  readonly etag: string;
}

const SOURCES = new Map([
  ["/", () => ({ type: "text/html; charset=utf-8", body: PAGE })],
  ["/web/page/icon.svg", () => ({ type: "image/svg+xml", body: ICON })],
  ["/web/page/style.css", () => ({ type: "text/css; charset=utf-8", body: uplotStyle() + STYLE + PAGE_STYLE })],
  ["/web/page/uplot.js", () => script(uplotScript())],
  ...[
    "/web/page/page.js", "/web/page/chart.js", "/telemetry/figures.js", "/telemetry/numbers.js",
    "/telemetry/reasons.js",
  ].map((path) => [path, () => script(readFileSync(new URL(`..${path}`, import.meta.url), "utf8"))] as const),
]);

/** Files that were asked for before. */
const files = new Map<string, File>();

/** Returns the file at a path, if there is one. */
export function fileAt(path: string): File | undefined {
  const known = files.get(path);
  const source = SOURCES.get(path);
  if (known || !source) return known;
  const { type, body } = source();
  const file = { type, body: Buffer.from(body), etag: `"${createHash("sha256").update(body).digest("base64url")}"` };
  files.set(path, file);
  return file;
}

function script(body: string): { readonly type: string; readonly body: string } {
  return { type: "text/javascript; charset=utf-8", body };
}
