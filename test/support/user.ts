/** Programs that run as somebody without privileges, where everybody may open /dev/net/tun. */

/** Nobody's user and group. */
export const USER = 65534;

/**
 * A command line's beginning: runs the rest as USER, with those capabilities, in a /dev/net of its own. For root, who
 * can become somebody else.
 */
export function asUser(...capabilities: string[]): string[] {
  const given = capabilities.map((capability) => `+${capability}`).join(",");
  const privileges = given === "" ? ["--bounding-set=-all"] : [`--inh-caps=${given}`, `--ambient-caps=${given}`];
  return [...withTun(), "setpriv", `--reuid=${USER}`, `--regid=${USER}`, "--clear-groups", ...privileges];
}

/** As asUser(), but stays who one is. */
export function withTun(): string[] {
  return [
    "unshare", "-m", "sh", "-c", "mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec \"$@\"",
    "sh",
  ];
}
