/** Where the operator's side listens, from text. */
import { isIP, isIPv4, isIPv6 } from "node:net";
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
  if (!match || Number(port) > 65535 || (v6 !== undefined && !isIPv6(v6)) || isIncomplete(host ?? "")) {
    throw new Failure(`listen address "${text}": ${adviceOn(text)}`, EXIT.USAGE);
  }
  return { host: host === "" ? undefined : v6 ?? host, port: Number(port) };
}

/** Whether a host is numbers, but no address of four. Resolvers make one of it: of 1.2.3, 1.2.0.3. */
export function isIncomplete(host: string): boolean {
  return /(^|\.)(\d+|0x[\da-f]*)\.?$/i.test(host) && !isIPv4(host);
}

/** What to write in place of an endpoint that is wrong. */
function adviceOn(text: string): string {
  const [, host = "", port] = (/^(.*):(\d+)$/s.exec(text) ?? []) as (string | undefined)[];
  if (/^\w+:\/\//.test(text)) return "leave out the scheme, and write it like 127.0.0.1:7664";
  if (/^\d+$/.test(text)) return `write a colon before the port, :${text}, or an address and the port, 127.0.0.1:${text}`;
  if (isIPv6(text)) return "put the IPv6 address in brackets, and its port behind it, like [::1]:7664";
  if (isIP(text.replace(/^\[(.*)\]$/s, "$1")) !== 0) return `add a port: ${text}:7664`;
  if (isIncomplete(port === undefined ? text : host)) return "write the address as four numbers from 0 to 255, like 127.0.0.1:7664";
  if (Number(port) > 65535) return "write a port from 0 to 65535";
  return "write it like 127.0.0.1:7664, [::1]:7664 or :7664";
}
