import { SourceRoute, Unreachable } from "../abi.js";

/** How an engine is to treat what it may answer. */
export interface Policy {
  /** TTL, or hop limit, of what is sent, 1 to 255. */
  readonly ttl: number;
  /** Leave echo requests unanswered. */
  readonly ignoreEcho: boolean;
  /** What becomes of UDP, to whatever port, and of protocols that nobody here speaks. The wasm engine's alone. */
  readonly unreachable: { readonly udp: Unreachable; readonly other: Unreachable };
  /** What becomes of IPv4 packets with a source route. The wasm engine's alone. */
  readonly sourceRoute: SourceRoute;
  /** Datagrams that may be in reassembly at a time, 64 KiB each; 0 drops fragments. The wasm engine's alone. */
  readonly reassembly: number;
}

export const DEFAULT_POLICY: Policy = {
  ttl: 64, ignoreEcho: false, unreachable: { udp: Unreachable.on, other: Unreachable.on }, sourceRoute: SourceRoute.drop, reassembly: 64,
};
