/**
 * The thread that reads a configuration file. It reads the file, and then does what it is asked: write tables,
 * print or draw. reading.ts starts it, and bounds its memory and its time.
 */
import { parentPort, workerData } from "node:worker_threads";
import { Failure, type EXIT } from "../base/failure.js";
import type { LogFormat } from "../base/log.js";
import { PrefixList } from "../prefix/list.js";
import { Content, type Placed, type Printed, type Target } from "./content.js";
import { flatten } from "./document.js";
import type { Given } from "./given.js";
import type { Values } from "./keys.js";
import { effective } from "./merge.js";
import { ConfigFile } from "./reader.js";
import type { Listing, RunOptions } from "./runoptions.js";
import type { Form } from "./topology.js";

export interface ReaderInput {
  /** Name of the file in messages. */
  readonly name: string;
  /** The file's full path, or what is in it. */
  readonly file: string | Uint8Array;
  readonly given: Given;
  /** Buffer of the list of prefixes that are served until now. */
  readonly before: SharedArrayBuffer | undefined;
}

export type Request
  = | { readonly place: Target }
    | { readonly print: { readonly json: boolean } }
    | { readonly topology: { readonly form: Form } };

/** Format comes first, if the file is YAML. Then come Settled, and Done for each request; or Failed in its place. */
export type Answer = Format | Settled | Done | Failed;

interface Format {
  /** The log's format in the file. */
  readonly format: LogFormat | undefined;
}

/** The options, with buffers in place of lists of prefixes, and the settings without these lists. */
export interface Settled {
  readonly options: Omit<RunOptions, "serving">;
  readonly values: Values;
  readonly prefixes: SharedArrayBuffer;
  readonly exceptions: SharedArrayBuffer;
  readonly timestamps: boolean;
  readonly services: Listing["services"];
}

interface Done {
  readonly done: Placed | Printed | string;
}

/** A Failure's parts. */
export interface Failed {
  readonly what: readonly string[];
  readonly mend: string | undefined;
  readonly status: typeof EXIT[keyof typeof EXIT];
}

// The library of YAML looks at process.env once for each token, and Node.js asks the system each time.
process.env = {};

const { name, file, given, before } = workerData as ReaderInput;
const content = attempt(() => {
  const config = new ConfigFile(name, file);
  post({ format: flatten(config.document)["log.format"] });
  return new Content(effective(given, config), before && new PrefixList(before));
});

if (content) {
  const { options: { serving: { prefixes, exceptions, timestamps, services }, ...options }, values } = content;
  post({ options, values, prefixes: prefixes.buffer, exceptions: exceptions.buffer, timestamps, services });
  parentPort?.on("message", (request: Request) => {
    void answerTo(content, request).then((done) => { post({ done }); }, fail);
  });
}

function answerTo(content: Content, request: Request): Promise<Done["done"]> {
  if ("place" in request) return content.place(request.place);
  return "print" in request ? content.print(request.print.json) : content.topology(request.topology.form);
}

/** Does something, or tells why not. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    fail(error);
    return undefined;
  }
}

/** Tells of a failure. @throws every other error, which ends the thread */
function fail(error: unknown): void {
  if (!(error instanceof Failure)) throw error;
  post({ what: error.whats, mend: error.mend, status: error.exitStatus });
}

function post(answer: Answer): void {
  parentPort?.postMessage(answer);
}
