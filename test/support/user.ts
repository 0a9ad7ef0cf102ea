/** Runs programs as somebody without privileges, where everybody may open /dev/net/tun. */

/** The user and group "nobody". */
export const USER = 65534;

/**
 * Returns the beginning of a command line that runs the rest as USER, with those capabilities, in a /dev/net of its
 * own. Only root may become somebody else.
 */
export function asUser(...capabilities: string[]): string[] {
  const given = capabilities.map((capability) => `+${capability}`).join(",");
  const privileges = given === "" ? ["--bounding-set=-all"] : [`--inh-caps=${given}`, `--ambient-caps=${given}`];
  return [...withTun(), "setpriv", `--reuid=${USER}`, `--regid=${USER}`, "--clear-groups", ...privileges];
}

/** Returns the beginning of a command line like that of asUser(), but keeps the user. */
export function withTun(): string[] {
  return [
    "unshare", "-m", "sh", "-c", "mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec \"$@\"",
    "sh",
  ];
}
