/** A peer of the engine's TCP that says what it is told to say, segment by segment. */
import assert from "node:assert/strict";
import { ACK, decode, encode, type Segment, type Sent, SYN } from "./tcp.js";
import { ADDRESSES, type Family, type TcpHost } from "./tcphost.js";

/** Microseconds. */
export const SECOND = 1e6;

/** One end of a connection. */
export class Peer {
  readonly host: TcpHost;
  readonly #ends: Pick<Sent, "src" | "dst" | "srcPort" | "dstPort">;

  constructor(host: TcpHost, family: Family, port: number, srcPort = 40_000) {
    const { peer, local } = ADDRESSES[family];
    this.host = host;
    this.#ends = { src: peer, dst: local, srcPort, dstPort: port };
  }

  /** Sends a segment, and returns the answers. */
  say(segment: Partial<Sent>): Segment[] {
    this.host.inject(encode({ window: 65535, ...segment, ...this.#ends }));
    return this.heard();
  }

  heard(): Segment[] {
    return this.host.outputs.splice(0).map(({ packet }) => decode(packet));
  }

  /** Lets time go by, and returns what came meanwhile, with the seconds from now. */
  wait(seconds: number): { readonly after: number; readonly segment: Segment }[] {
    const from = this.host.us;
    this.host.advance(seconds * SECOND);
    return this.host.outputs.splice(0).map(
      ({ us, packet }) => ({ after: (us - from) / SECOND, segment: decode(packet) }),
    );
  }

  /** Opens a connection with this initial sequence number, and returns that of the other side. */
  open(seq: number, options: Segment["options"] = { mss: 1000 }): number {
    const [answer] = this.say({ seq, flags: SYN, options });
    assert.equal(answer.flags, SYN | ACK);
    assert.deepEqual(this.say({ seq: seq + 1, ack: answer.seq + 1 >>> 0, flags: ACK }), []);
    return answer.seq;
  }
}

/** Returns a counter of abi/counters.ts. */
export function count(host: TcpHost, index: number): number {
  return host.rig.linear.counters[index];
}
