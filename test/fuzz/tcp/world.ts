/**
 * Plays an input of the fuzzer's TCP target: every few bytes are something that happens to an engine, such as segments
 * of a peer's, time that goes by, another table, or an ICMP error. Peers know the sequence numbers of what they see, so
 * that most of their segments mean something. After each batch everything is compared with everything else.
 */
import assert from "node:assert/strict";
import {
  CONNECTION_SIZE, CONNECTIONS, CONNECTIONS_TOUCHED, MAX_CONNECTIONS, PORTS, State, STATE,
} from "../../../abi/tcp.js";
import { tableOf, type Table } from "../../../src/engine/table.js";
import { parsePrefix, serving } from "../../../src/prefix/prefixes.js";
import { BY_DEFAULT } from "../../support/engines.js";
import { fragmentsOf6, PREFIX6 } from "../../support/ipv6.js";
import { fragmentsOf, PREFIX } from "../../support/packets.js";
import { ADDRESSES, PORTS as SERVED, SERVICES, TcpHost, TICK_US } from "../../support/tcphost.js";
import { checkState, stateOf } from "../../support/tcpstate.js";
import { Opener, ORDERS } from "./opener.js";
import {
  ACK, decode, encode, FIN, flagsText, ipPacket, isTcp, remainder, RST, spanOf, SYN, type TcpOptions,
} from "../../support/tcp.js";

/** A peer's side of a connection. */
interface Flow {
  readonly family: 4 | 6;
  /** True if it is opened from here. */
  readonly isOpened: boolean;
  port: number;
  readonly peerPort: number;
  /** What it sends next, and the first number that was not acknowledged; and those of pongd's. */
  nxt: number;
  una: number;
  theirNxt: number;
  theirUna: number;
  theirIsn: number | undefined;
  edge: number;
  scale: number;
  /** The numbers of all SYNs of pongd's, and all numbers that were acknowledged: each cookie is good for a time. */
  readonly isns: Set<number>;
  readonly acks: Set<number>;
  ts: number;
}

/** A segment of a peer's. */
interface Segment {
  readonly flow: Flow;
  readonly flags: number;
  readonly isDamaged: boolean;
  readonly packet: Uint8Array;
}

const CLOSED: number = State.CLOSED;
const MTU = 1500;
const START_US = 2 ** 32 * 16.384 - 5e6;
/** By then the last of what waits for a peer has given up. */
const FORGOTTEN_US = 5 * 3600e6;
const MAX_BATCH = 8;
/** Bytes of a TCP header with all options, rounded up to what a fragment may have. */
const MAX_HEADER_LEN = 64;
/** More bytes than a connection sends. */
const MOST_SENT = 1 << 26;
/** Most operations of an input, whatever its length. */
const MAX_OPERATIONS = 300;

const SERVICE_PORTS = [SERVED.echo, SERVED.discard, SERVED.chargen, SERVED.reply, SERVED.banner, SERVED.tarpit];
const FLAGS = [
  SYN, ACK, ACK | FIN, RST, RST | ACK, ACK | 8, SYN | ACK, FIN, 0, SYN | FIN, ACK | 32, SYN | 64 | 128, ACK | 64,
  SYN | RST, ACK, ACK | 8,
];
const WINDOWS = [0, 1, 10, 500, 1000, 5000, 32767, 65535];
const LENGTHS = [0, 0, 1, 4, 10, 536, 1000, 1400];
const TIMES_US = [100, 5000, 40_000, 200_000, 1e6, 10e6, 120e6, 8000e6];
const SEQUENCES = [0, 0, 0, 0, -1, 1, -1000, 1000, 5000, 65535, -65536, 2 ** 31, 3000, 2000, 10, -10];

/** Flows that peers open, and those that are opened from here. */
const FLOWS = 16;
const OPENED_FLOWS = 6;
/** Bytes that a peer acknowledges before they are sent. */
const AHEAD = 1000;
/** What peers' bytes are. */
const PEER_BYTES = new Set([10, 11, 12, 13]);
/** Types and codes of ICMP errors, of each family. */
const ERRORS = {
  4: [[3, 0], [3, 1], [3, 2], [3, 3], [3, 9], [3, 10], [3, 13], [3, 99], [11, 0], [12, 0], [4, 0], [3, 15]],
  6: [[1, 0], [1, 1], [1, 2], [1, 3], [1, 4], [1, 5], [1, 6], [1, 99], [3, 0], [4, 0], [4, 1], [3, 1]],
} as const;

/** Reads an input's bytes; behind its end all are 0. */
class Bytes {
  #at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  next(): number {
    return this.#bytes.at(this.#at++) ?? 0;
  }
}

export class World {
  readonly #host: TcpHost;
  readonly #tables: readonly Table[];
  readonly #opener: Opener;
  /** What inputs have made happen, each in a word. */
  readonly features = new Set<string>();
  #flows: Flow[] = [];
  #table: number | undefined;
  /** Packets that were cut into fragments. */
  #fragmented = 0;

  private constructor(host: TcpHost, tables: readonly Table[]) {
    this.#host = host;
    this.#tables = tables;
    this.#opener = new Opener(host, PEER_BYTES, (number) => isAnswered(this.#flows[FLOWS + number]));
  }

  static async create(): Promise<World> {
    const host = await TcpHost.create({
      mtu: MTU, reloadable: true, limits: { connections: 6, memory: 27 * 4096, bySource: 4, threads: 1 },
    });
    const tables = [SERVICES, SERVICES.slice(0, 2), [], undefined].map((ports) => {
      const { sourceRoute, sourceLimit, ...answers } = BY_DEFAULT;
      const prefixes = ports ? [PREFIX, PREFIX6] : ["10.98.0.0/16"];
      return tableOf(serving(
        prefixes.map(parsePrefix),
        { ...answers, tcp: { ports: ports ?? [] }, exceptions: [], policy: { sourceRoute, sourceLimit } },
      ));
    });
    return new World(host, tables);
  }

  /** Runs an input. @throws what does not hold */
  feed(input: Uint8Array): void {
    this.#begin();
    const bytes = new Bytes(input);
    for (let i = 0; i < MAX_OPERATIONS && bytes.left > 0; i++) this.#step(bytes);
    checkState(this.#host.rig);
    this.#use(0);
    this.#opener.end();
    this.#host.advance(FORGOTTEN_US);
    this.#opener.turn();
    this.#host.take().forEach(({ packet }) => { this.#look(packet, false); });
    checkState(this.#host.rig);
    this.#opener.isEmpty();
    const { lent } = this.#opener;
    assert.deepEqual(
      stateOf(this.#host.rig), { connections: 0, halfOpen: 0, waits: 0, pages: lent, timers: 0 }, "nothing is left",
    );
  }

  /** Begins anew, as after a crash of the packet loop. */
  #begin(): void {
    this.#host.rig.linear.recover();
    this.#host.restart(START_US);
    this.#use(0);
    this.#host.advance(1);
    this.#opener.begin();
    this.#flows = Array.from({ length: FLOWS + OPENED_FLOWS }, (_, i): Flow => {
      const nxt = i % 3 === 0 ? 0xffff_ff00 : 1000 * i;
      const isOpened = i >= FLOWS;
      return {
        family: i & 1 ? 6 : 4, isOpened, peerPort: 50_000 + i,
        port: isOpened ? 60_000 + i : SERVICE_PORTS[(i >> 1) % SERVICE_PORTS.length],
        nxt, una: nxt,
        theirNxt: 0, theirUna: 0, theirIsn: undefined, edge: 0, scale: 0, isns: new Set(), acks: new Set(), ts: 1000,
      };
    });
  }

  #step(bytes: Bytes): void {
    const operation = bytes.next();
    switch (operation & 15) {
      case 0: {
        const us = TIMES_US[operation >> 4 & 7];
        this.#host.advance(us);
        this.#after(`time ${us}`, false);
        return;
      }
      case 1: {
        const { deadlineUs } = this.#host;
        if (deadlineUs !== Infinity) this.#host.advanceTo(deadlineUs + TICK_US);
        this.#after("deadline", false);
        return;
      }
      case 2:
        this.#use(operation >> 4 & 3);
        this.#host.advance(1000);
        this.#after(`table ${this.#table}`, false);
        return;
      case 3:
        this.#host.inject(this.#tooBig(bytes));
        this.#after("too big", false);
        return;
      case 5:
        this.#opened(operation >> 4, bytes);
        return;
      default: {
        const count = 1 + (operation >> 4) % MAX_BATCH;
        const inPieces = (operation & 15) === 4;
        const length = operation & 8 || inPieces ? 1 : count;
        this.#segments(
          Array.from({ length }, () => this.#segment(this.#flows[bytes.next() % FLOWS], bytes)), inPieces,
        );
      }
    }
  }

  #segments(batch: readonly Segment[], inPieces: boolean): void {
    const onlyResets = batch.every(({ flags }) => flags & RST);
    const before = batch.map(({ flow }) => this.#stateOf(flow));
    this.#host.inject(...batch.flatMap(({ packet }) => inPieces ? this.#pieces(packet) : [packet]));
    if (batch.every(({ isDamaged }) => isDamaged)) {
      assert.equal(this.#host.outputs.length, 0, "nothing answers what is damaged");
    }
    const answers = this.#after("", onlyResets);
    batch.forEach(({ flow, flags }, i) => {
      const what = flow.isOpened ? "opened" : flow.port;
      this.features.add(`${what} ${before[i]} ${flagsText(flags)} ${this.#stateOf(flow)} ${answers}`);
    });
  }

  /** What happens to a connection that is opened from here. */
  #opened(what: number, bytes: Bytes): void {
    const number = bytes.next() % OPENED_FLOWS;
    const flow = this.#flows[FLOWS + number];
    const { local, peer } = ADDRESSES[flow.family];
    switch (what) {
      case 0: case 1:
        // Half of them have their port chosen.
        this.#opener.open(number, {
          localAddress: local, localPort: what === 0 ? 60_000 + FLOWS + number : 0, remoteAddress: peer,
          remotePort: flow.peerPort,
        });
        break;
      case 2: case 3:
        this.#opener.order(number, bytes.next() % ORDERS);
        break;
      case 4: {
        const errors = ERRORS[flow.family];
        const [type, code] = errors[bytes.next() % errors.length];
        this.#host.inject(this.#icmp(flow, type, code, 0, bytes.next() & 1 ? flow.theirNxt : flow.theirUna));
        break;
      }
      default:
        this.#segments([this.#segment(flow, bytes)], false);
        return;
    }
    this.#after(`opened ${what}`, false);
    this.features.add(`opened ${what} ${this.#stateOf(flow)} ${this.#opener.heardOf(number)}`);
  }

  #use(table: number): void {
    // Writing a table takes longer than a batch.
    if (table === this.#table) return;
    this.#table = table;
    this.#host.rig.linear.serve(this.#tables[table]);
  }

  #segment(flow: Flow, bytes: Bytes): Segment {
    const what = bytes.next();
    const flags = FLAGS[what & 15];
    const shape = bytes.next();
    const rest = bytes.next();
    const isDamaged = rest >= 0xf8;
    const seq = flow.nxt + SEQUENCES[what >> 4] >>> 0;
    // It acknowledges all that came, or only what it did before, or less; or what was never sent.
    const ahead = flow.isOpened && shape & 16 ? -AHEAD : 0;
    const behind = shape & 8 ? shape & 16 ? flow.theirNxt - flow.theirUna : 100 : ahead;
    const ack = flags & ACK ? flow.theirNxt - behind >>> 0 : 0;
    const data = new Uint8Array(LENGTHS[shape & 7]).fill(10 + (shape & 3));
    const packet = encode({
      src: ADDRESSES[flow.family].peer, dst: ADDRESSES[flow.family].local, srcPort: flow.peerPort, dstPort: flow.port,
      seq, ack, flags, window: WINDOWS[shape >> 5], data, options: this.#options(flow, flags, rest),
    }, isDamaged ? { checksumError: 1 } : {});
    // A peer goes on from what it has sent in order.
    if (isDamaged) return { flow, flags, isDamaged, packet };
    if (seq === flow.nxt) flow.nxt = seq + spanOf({ data, flags }) >>> 0;
    if (flags & ACK) {
      flow.acks.add(ack);
      flow.theirUna = ack;
    }
    if (flags === SYN || flags === (SYN | 192)) flow.scale = 0;
    return { flow, flags, isDamaged, packet };
  }

  /** Returns a packet in two fragments, if it is long enough. The first one has the whole header. */
  #pieces(packet: Uint8Array): Uint8Array[] {
    const six = packet[0] >> 4 === 6;
    const length = packet.length - (six ? 40 : 20);
    if (length <= MAX_HEADER_LEN) return [packet];
    const offsets = [0, MAX_HEADER_LEN, length];
    return six ? fragmentsOf6(packet, offsets, this.#fragmented++) : fragmentsOf(packet, offsets);
  }

  #options(flow: Flow, flags: number, rest: number): TcpOptions {
    flow.ts += rest & 64 ? 50 : 0;
    const timestamps = rest & 1 ? { timestamps: { val: rest & 128 ? flow.ts - 500 : flow.ts, ecr: 0 } } : {};
    if (flags & SYN) {
      return {
        ...timestamps, ...rest & 2 ? { mss: [0, 1, 88, 536, 1000, 1460, 9000, 65535][rest >> 4 & 7] } : {},
        ...rest & 4 ? { scale: rest >> 4 } : {}, ...rest & 8 ? { sackPermitted: true } : {},
      };
    }
    const first = flow.theirUna + 1000 * (rest >> 5) >>> 0;
    return { ...timestamps, ...rest & 16 ? { sacks: [[first, first + 1000 >>> 0] as const] } : {} };
  }

  #tooBig(bytes: Bytes): Uint8Array {
    const flow = this.#flows[bytes.next() % FLOWS];
    const mtu = [0, 68, 552, 600, 1280, 1300, 1499, 9000][bytes.next() & 7];
    return this.#icmp(flow, flow.family === 4 ? 3 : 2, flow.family === 4 ? 4 : 0, mtu, flow.theirUna);
  }

  /** Returns an ICMP error about a segment with this number. */
  #icmp(flow: Flow, type: number, code: number, rest: number, seq: number): Uint8Array {
    const { peer, local } = ADDRESSES[flow.family];
    const about = encode({
      src: local, dst: peer, srcPort: flow.port, dstPort: flow.peerPort, seq, ack: flow.nxt, flags: ACK,
    });
    const quoted = about.subarray(0, flow.family === 4 ? 28 : 60);
    const message = new Uint8Array(8 + quoted.length);
    message.set(quoted, 8);
    message.set([type, code]);
    new DataView(message.buffer).setUint32(4, rest);
    const start = flow.family === 4 ? 0 : remainder(local, remainder(peer, 58 + message.length));
    new DataView(message.buffer).setUint16(2, (65535 - remainder(message, start)) % 65535);
    return ipPacket(flow.family === 4 ? 1 : 58, message, { src: peer, dst: local });
  }

  /** Looks at what was sent and at the state, and returns a few words about the answers. */
  #after(what: string, onlyResets: boolean): string {
    const kinds = this.#host.take().map(({ packet }) => this.#look(packet, onlyResets));
    if (this.#opener.isUsed) {
      this.#opener.turn();
      kinds.push(...this.#host.take().map(({ packet }) => this.#look(packet, false)));
    }
    checkState(this.#host.rig, false);
    const answers = [...new Set(kinds)].join(" ");
    if (what !== "") this.features.add(`${what} ${answers} ${this.#states()}`);
    return answers;
  }

  #look(packet: Uint8Array, onlyResets: boolean): string {
    assert.ok(packet.length <= MTU, `a packet of ${packet.length} bytes`);
    if (!isTcp(packet)) return "icmp";
    const { flags, data, seq, srcPort, dstPort, ack, window, options } = decode(packet);
    const flow = this.#flows.find(({ peerPort }) => peerPort === dstPort);
    assert.ok(flow, "it goes to a peer");
    if (flags & RST) {
      assert.ok(!onlyResets, "no reset answers a reset");
      assert.equal(data.length, 0);
      return "R";
    }
    if (flow.isOpened && flags & SYN && !(flags & ACK)) {
      assert.equal(data.length, 0, "a SYN has no data");
      flow.port = srcPort;
      flow.isns.add(seq);
      flow.theirUna = seq;
      flow.theirNxt = seq + 1 >>> 0;
      return "O";
    }
    assert.ok(flags & ACK, "all else acknowledges");
    if (flags & SYN) {
      assert.equal(data.length, 0, "a SYN-ACK has no data");
      flow.theirIsn = seq;
      flow.isns.add(seq);
      flow.theirUna = flow.theirNxt = seq + 1 >>> 0;
      flow.scale = options.scale ?? 0;
      flow.edge = ack + window;
      return "S";
    }
    assert.ok(data.length === 0 || isOpen(flow, seq), "no data before the handshake is complete (I7)");
    const end = seq + spanOf({ data, flags }) >>> 0;
    if ((end - flow.theirNxt | 0) > 0) flow.theirNxt = end;
    return `${flagsText(flags & FIN)}${data.length > 0 ? "d" : ""}${options.sacks ? "s" : ""}`;
  }

  /** Returns the state of a flow's connection, as its number. */
  #stateOf({ peerPort, family }: Flow): string {
    const { words, bytes } = this.#host.rig;
    const port = (peerPort & 255) << 8 | peerPort >> 8;
    for (let i = 0; i < Math.min(words[CONNECTIONS_TOUCHED / 4], words[MAX_CONNECTIONS / 4]); i++) {
      const block = words[CONNECTIONS / 4] + CONNECTION_SIZE * i;
      const state = bytes[block + STATE];
      if (state !== CLOSED && (words[(block + PORTS) / 4] & 0xffff) === port) return `${family}:${state}`;
    }
    return "-";
  }

  #states(): string {
    const { connections, halfOpen, waits } = stateOf(this.#host.rig);
    return `${connections > 0} ${halfOpen > 0} ${waits > 0}`;
  }
}

/** Returns whether the peer has acknowledged a SYN. */
function isAnswered({ isns, acks }: Flow): boolean {
  return [...isns].some((isn) => acks.has(isn + 1 >>> 0));
}

/** Returns whether the handshake is complete that data with this sequence number comes after. */
function isOpen({ isns, acks }: Flow, seq: number): boolean {
  return [...isns].some((isn) => (seq - isn >>> 0) <= MOST_SENT && acks.has(isn + 1 >>> 0));
}
