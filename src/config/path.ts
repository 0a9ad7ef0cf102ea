/** Paths to the values in a configuration file, and how messages name them. */

export type Path = readonly (string | number)[];

/** Formats a path as a person would write it: device.mtu, prefixes[3].ttl. */
export function nameOf(path: Path): string {
  return path.length === 0
    ? "the file"
    : path.map((step, i) => typeof step === "number" ? `[${step}]` : i === 0 ? step : `.${step}`).join("");
}

/** Cuts a key off where a password or its hash may begin: `ada:$2y…` is a user whose colon lacks its space. */
export function withoutSecret(key: string): string {
  return key.replace(/[:$].*$/s, "…");
}
