/**
 * Serves the files of a folder. The library @fastify/send reads the path and the headers, and says what the response
 * is. The file is opened here: what has been checked is what is sent, whatever becomes of its name meanwhile.
 */
import { constants, type Stats } from "node:fs";
import { open, readlink, realpath, type FileHandle } from "node:fs/promises";
import { STATUS_CODES, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { send } from "@fastify/send";
import { breakOff, taken, turnOf } from "./response.js";

/** Bytes that are read at a time. */
const CHUNK = 1 << 16;
/** RFC 9112 §3.2: the path and the query of a request's target, which may be a whole URL. */
const TARGET = /^(?:https?:\/\/[^/?#]+|(?=\/))([^?#]*)(\?[^#]*)?/i;
/** Errors of the machine. Any other means that there is no such file for whoever asks. */
const FAULTS = new Set(["EIO", "EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"]);

type Headers = Readonly<Record<string, string | number>>;

interface Client {
  isGone: boolean;
}

/** The answer is this status in place of a file. */
class Refusal extends Error {
  constructor(readonly status: number, readonly headers: Headers = {}) {
    super(STATUS_CODES[status]);
  }
}

/**
 * Returns what serves files below `root`, where index.html is the page of a folder. Names that begin with a dot are not
 * there, nor is what a symbolic link leads to outside. `root` itself may be a link, which is followed at each request.
 */
export function files(root: string): RequestListener {
  return (request, response) => {
    serve(root, request, response).catch((error: unknown) => {
      if (response.headersSent) breakOff(response);
      else refuse(response, error instanceof Refusal ? error : new Refusal(statusOf(error)));
    });
  };
}

async function serve(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const client: Client = { isGone: false };
  response.once("close", () => { client.isGone = true; });
  await turnOf(response);
  if (client.isGone) return;
  const { method, url = "" } = request;
  if (method !== "GET" && method !== "HEAD") throw new Refusal(405, { Allow: "GET, HEAD" });
  const target = TARGET.exec(url);
  if (!target) throw new Refusal(400);
  const [, path, query = ""] = target;
  const folder = await realpath(root);
  let file: FileHandle | undefined;
  try {
    // A response to HEAD: the library is not to open the file, too.
    const head = { method: "HEAD", headers: request.headers } as unknown as IncomingMessage;
    const result = await send(head, path || "/", { root: folder, onFile: async (name, stat) => {
      file = await openWithin(folder, name, stat);
    } });
    const { type, statusCode, headers } = result;
    if (type === "directory") {
      if (!isWithin(folder, await realpath(result.metadata.path))) throw new Refusal(404);
      throw new Refusal(301, { Location: locationOf(path, query) });
    }
    if (type === "error") throw refusalOf(statusCode, headers, result.metadata.error);
    if (statusCode !== 304) headers["Content-Type"] ??= "application/octet-stream";
    response.writeHead(statusCode, headers);
    if (method === "GET" && file && statusCode !== 304) await pour(file, headers, response, client);
    response.end();
  } finally {
    await file?.close();
  }
}

/**
 * Opens a file if it is a regular one below a folder, and makes `stat` that of the open file.
 * @throws Refusal, or an error of the kernel's
 */
async function openWithin(folder: string, name: string, stat: Stats): Promise<FileHandle> {
  // A device may do something when it is opened.
  if (!stat.isFile()) throw new Refusal(404);
  // If a pipe has taken the file's place by now, opening does not wait for whoever writes to it.
  const file = await open(name, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const opened = await file.stat();
    if (!opened.isFile() || !isWithin(folder, await readlink(`/proc/self/fd/${file.fd}`))) throw new Refusal(404);
    stat.size = opened.size;
    stat.mtime = opened.mtime;
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}

/** Returns where a folder is, whose path lacks the slash. */
function locationOf(path: string, query: string): string {
  // Browsers take several slashes at the beginning for another host, and a backslash for a slash.
  return `${path.replace(/^[/\\]+/, "/")}/${query}`.replace(/[^!-~]|\\/g, encodeURIComponent);
}

/**
 * Sends the part of a file that the headers say.
 * @throws Error if the file has become shorter
 */
async function pour(file: FileHandle, headers: Headers, response: ServerResponse, client: Client): Promise<void> {
  let at = Number(/^bytes (\d+)-/.exec(String(headers["Content-Range"]))?.[1] ?? 0);
  const end = at + Number(headers["Content-Length"]);
  while (at < end) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(end - at, CHUNK)), { position: at });
    if (client.isGone) return;
    if (bytesRead === 0) throw new Error("the file has become shorter");
    at += bytesRead;
    if (!response.write(buffer.subarray(0, bytesRead))) await taken(response);
  }
}

function refusalOf(status: number, headers: Headers, error: Error): Refusal {
  const range = headers["Content-Range"] as string | undefined;
  return new Refusal(status === 500 ? statusOf(error) : status, range === undefined ? {} : { "Content-Range": range });
}

function statusOf(error: unknown): number {
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined || FAULTS.has(code) ? 500 : 404;
}

/** Answers without a file, and without a word about the host's. */
function refuse(response: ServerResponse, { status, headers }: Refusal): void {
  const body = `${STATUS_CODES[status]}\n`;
  response.writeHead(status, {
    "Content-Type": "text/plain; charset=utf-8", "Content-Length": Buffer.byteLength(body), ...headers,
  });
  // Node.js leaves the body out for HEAD.
  response.end(body);
}
