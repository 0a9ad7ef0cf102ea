/** How what is in a configuration file is pointed at. */

export type Path = readonly (string | number)[];

/** As a person would: device.mtu, prefixes[3].ttl. */
export function nameOf(path: Path): string {
  return path.length === 0
    ? "the file"
    : path.map((step, i) => typeof step === "number" ? `[${step}]` : i === 0 ? step : `.${step}`).join("");
}

/** A key up to where a password or its hash may begin: `ada:$2y…` is a user whose colon lacks its space. */
export function withoutSecret(key: string): string {
  return key.replace(/[:$].*$/s, "…");
}
