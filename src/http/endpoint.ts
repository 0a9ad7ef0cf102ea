/** Where the operator's side listens, from text. */
import { isIPv6 } from "node:net";
import { EXIT, Failure } from "../failure.js";

export interface Endpoint {
  /** An address or a name; undefined for every address of this machine. */
  readonly host: string | undefined;
  /** 0 for any free one. */
  readonly port: number;
}

/** Reads `host:port`, `[v6]:port` or `:port`. @throws Failure (usage). */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(?:\[([^\]]+)\]|([^:\s[\]]*)):(\d{1,5})$/.exec(text);
  const [, v6, host, port] = (match ?? []) as (string | undefined)[];
  if (!match || Number(port) > 65535 || (v6 !== undefined && !isIPv6(v6))) {
    throw new Failure(`listen address "${text}": write it like 127.0.0.1:7664, [::1]:7664 or :7664`, EXIT.USAGE);
  }
  return { host: host === "" ? undefined : v6 ?? host, port: Number(port) };
}
