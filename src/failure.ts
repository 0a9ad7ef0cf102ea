/** The documented exit statuses. */
export const EXIT = {
  /** Something failed while running. */
  RUNTIME: 1,
  USAGE: 2,
  /** No permission, or the device is missing. */
  PERMISSION: 4,
} as const;

/** What a person is told in one line: what is wrong, with which value, and what mends it. The stack is for debugging alone. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly mend: string | undefined;

  constructor(readonly what: string, readonly exitStatus: typeof EXIT[keyof typeof EXIT], options: { mend?: string; cause?: unknown } = {}) {
    super(options.mend === undefined ? what : `${what}; ${options.mend}`, { cause: options.cause });
    this.mend = options.mend;
  }
}

export const NET_ADMIN_MEND = "run as root (sudo); for a container: --cap-add NET_ADMIN";
export const IPV6_MEND = "sudo sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0";

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
