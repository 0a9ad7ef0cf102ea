import { legible, printable } from "./printable.js";

/** The documented exit statuses. */
export const EXIT = {
  /** Something failed while running. */
  RUNTIME: 1,
  USAGE: 2,
  /** The configuration file is wrong, or cannot be read. */
  CONFIG: 3,
  /** No permission, or the device is missing. */
  PERMISSION: 4,
} as const;

/**
 * An error for people, in one line: what is wrong, with which value, and how to mend it. The
 * stack is only for debugging.
 */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly what: string;
  /** The lines of `what`, as they were given: a value in one may have line ends. */
  readonly whats: readonly string[];
  readonly mend: string | undefined;
  /** One line for each thing that is wrong. */
  readonly lines: readonly string[];

  /** `what` is one line, or one line for each thing that is wrong. */
  constructor(
    what: string | readonly string[], readonly exitStatus: typeof EXIT[keyof typeof EXIT],
    options: { mend?: string; cause?: unknown } = {},
  ) {
    const lines = typeof what === "string" ? [what] : what;
    super(
      options.mend === undefined ? lines.join("\n") : `${lines.join("\n")}; ${options.mend}`, { cause: options.cause },
    );
    this.what = lines.join("\n");
    this.whats = lines;
    this.mend = options.mend;
    const written = exitStatus === EXIT.USAGE || exitStatus === EXIT.CONFIG;
    this.lines = (options.mend === undefined ? lines : [this.message]).map(written ? legible : printable);
  }
}

export const NET_ADMIN_MEND = "run as root (sudo); for a container: --cap-add NET_ADMIN";
export const IPV6_MEND = "sudo sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0";

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
