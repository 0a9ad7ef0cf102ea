/** The page at / and what belongs to it, as the browser asks for them: by their places in the tree, since modules import one another by these. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { ICON, PAGE } from "../page/html.js";
import { STYLE as PAGE_STYLE } from "../page/style.js";
import { STYLE } from "../style.js";
import { uplotScript, uplotStyle } from "../uplot.js";

export interface File {
  readonly type: string;
  readonly body: string;
  readonly etag: string;
}

const SOURCES: Readonly<Record<string, () => Omit<File, "etag">>> = {
  "/": () => ({ type: "text/html; charset=utf-8", body: PAGE }),
  "/page/icon.svg": () => ({ type: "image/svg+xml", body: ICON }),
  "/page/style.css": () => ({ type: "text/css; charset=utf-8", body: uplotStyle() + STYLE + PAGE_STYLE }),
  "/page/uplot.js": () => script(uplotScript()),
  ...Object.fromEntries(["/page/page.js", "/page/chart.js", "/figures.js", "/numbers.js"].map((path) => [path, () => script(readFileSync(new URL(`..${path}`, import.meta.url), "utf8"))])),
};

const files = new Map<string, File>();

/** The file at a path, if there is one. */
export function fileAt(path: string): File | undefined {
  if (!Object.hasOwn(SOURCES, path)) return undefined;
  let file = files.get(path);
  if (!file) {
    const source = SOURCES[path]();
    file = { ...source, etag: `"${createHash("sha256").update(source.body).digest("base64url")}"` };
    files.set(path, file);
  }
  return file;
}

function script(body: string): Omit<File, "etag"> {
  return { type: "text/javascript; charset=utf-8", body };
}
