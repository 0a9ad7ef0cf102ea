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

/** What a person is told in one line: what is wrong, with which value, and what mends it. The stack is for debugging alone. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly what: string;
  readonly mend: string | undefined;
  /** One for each thing that is wrong. */
  readonly lines: readonly string[];

  /** `what`: one line, or several about as many things. */
  constructor(what: string | readonly string[], readonly exitStatus: typeof EXIT[keyof typeof EXIT], options: { mend?: string; cause?: unknown } = {}) {
    const lines = typeof what === "string" ? [what] : what;
    super(options.mend === undefined ? lines.join("\n") : `${lines.join("\n")}; ${options.mend}`, { cause: options.cause });
    this.what = lines.join("\n");
    this.mend = options.mend;
    const whole = options.mend === undefined ? lines : [this.message];
    this.lines = whole.map(exitStatus === EXIT.USAGE || exitStatus === EXIT.CONFIG ? legible : oneLine);
  }
}

/** Characters that a terminal does not show, or shows as something else: controls, line ends, zero-width and bidirectional ones, spaces other than the usual one. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/gu;
/** Most of them that a message names. */
const MAX_NAMED = 3;

/** Whatever is in a value that a user gave. */
export function oneLine(text: string): string {
  return text.replace(INVISIBLE, escaped);
}

/** A message about something that a user wrote, as one line; the invisible characters in it, which a copied value brings along, are named. */
export function legible(message: string): string {
  const found = [...new Set(message.match(INVISIBLE))].slice(0, MAX_NAMED).map(escaped);
  return found.length === 0 ? message : `${oneLine(message)} (leave out ${found.join(", ")}, which cannot be seen)`;
}

function escaped(character: string): string {
  if (character < " ") return JSON.stringify(character).slice(1, -1);
  const code = (character.codePointAt(0) ?? 0).toString(16);
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
}

export const NET_ADMIN_MEND = "run as root (sudo); for a container: --cap-add NET_ADMIN";
export const IPV6_MEND = "sudo sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0";

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
