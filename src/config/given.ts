/** The sources of a configuration: values of flags and environment, and a file or what stands for one. */
import type { PortService } from "../prefix/policy.js";
import type { Document } from "./document.js";
import type { Problem } from "./judge.js";
import type { Key, Values } from "./keys.js";
import type { PortProtocol } from "./types.js";

/** Values from outside the file, each with the flag or the variable that gave it. */
export interface Given {
  readonly values: Partial<Values>;
  readonly names: Partial<Record<Key, string>>;
  /** True with --ignore-echo, which takes echo out of the answers that the file or the default gives. */
  readonly ignoreEcho: boolean;
  readonly queueFds: readonly number[] | undefined;
  /** Seed of links where none is given. */
  readonly drawnSeed?: number;
  /** Services that ports may name besides those of the configuration. */
  readonly services?: Readonly<Partial<Record<PortProtocol, readonly PortService[]>>>;
  /** A command line that would be right, for the message about missing prefixes; undefined if none are needed. */
  readonly example: string | undefined;
}

/** A file, or what stands for one. */
export interface Source {
  /** Its name in messages. */
  readonly name: string;
  /** The folder in which it names other files. */
  readonly folder: string;
  /** The content; if there are problems, the part that can still be looked at. */
  readonly document: Document;
  /** Problems that the schema found. */
  readonly problems: readonly Problem[];
  /** Returns a line for each problem; only the first ones if there are very many. */
  linesOf(problems: readonly Problem[]): string[];
}
