/** An engine whose streams this thread has, and clients that talk to it. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { Service } from "../../abi/tcp.js";
import { LENT_COUNT, ORDERED, THREAD_STATE, THREADS, ThreadState } from "../../abi/streams.js";
import type { Target } from "../../src/net/attempt.js";
import { Port } from "../../src/net/port.js";
import { Socket, type SocketOptions } from "../../src/net/socket.js";
import { ReferenceTcp, type ReferenceOptions } from "./reference-tcp.js";
import { decode, isTcp } from "./tcp.js";
import { ADDRESSES, type Family, TcpHost } from "./tcphost.js";
import { Player, type Row } from "./tcpscript.js";
import { checkState, stateOf } from "./tcpstate.js";

export const PORT = 80;
/** Turns without anything new after which nothing more is expected: a promise or two may still be on their way. */
const QUIET = 4;

export interface RigOptions {
  readonly kind?: Service.stream | Service.http;
  readonly handler?: (socket: Socket) => void;
  readonly socket?: SocketOptions;
  readonly memory?: number;
  readonly connections?: number;
}

/** An engine whose streams this thread has, and their sockets. */
export class StreamRig {
  readonly host: TcpHost;
  port: Port;
  readonly sockets: Socket[] = [];

  readonly clients: Client[] = [];
  /** True while what is sent to the clients is on its way. */
  holdsBack = false;

  readonly #options: RigOptions;
  #isDead = false;

  private constructor(host: TcpHost, options: RigOptions) {
    this.host = host;
    this.#options = options;
    this.port = this.#begin();
  }

  static async create(options: RigOptions): Promise<StreamRig> {
    const { kind = Service.stream, memory = 4 << 20, connections = 64 } = options;
    const host = await TcpHost.create({
      ports: [{ first: PORT, last: PORT, service: { name: "mine", kind } }],
      limits: { threads: 1, memory, connections },
    });
    return new StreamRig(host, options);
  }

  #begin(): Port {
    const { linear } = this.host.rig;
    const { handler, socket: options } = this.#options;
    const port = new Port(linear.memory, 0, (stream) => {
      const socket = new Socket(stream, options);
      this.sockets.push(socket);
      handler?.(socket);
      return socket;
    }, () => undefined);
    this.#state = ThreadState.serving;
    return port;
  }

  get #state(): number {
    return new Uint32Array(this.host.rig.linear.memory.buffer)[(THREADS + THREAD_STATE) / 4];
  }

  set #state(state: ThreadState) {
    new Uint32Array(this.host.rig.linear.memory.buffer)[(THREADS + THREAD_STATE) / 4] = state;
  }

  /** The service thread ends, without a word. */
  kill(): void {
    this.#isDead = true;
    this.#state = ThreadState.gone;
    new Uint32Array(this.host.rig.linear.memory.buffer)[ORDERED / 4] = 1;
  }

  /** Another one begins. */
  restart(): void {
    assert.equal(this.#state, ThreadState.ended);
    this.#isDead = false;
    this.port = this.#begin();
  }

  /** Lets handlers, packet loop and clients go on until none has anything to do. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET; quiet++) {
      if (!this.#isDead && this.port.turn()) quiet = 0;
      await setImmediate();
      this.host.inject();
      if (this.clients.length > 0 && this.deliver()) quiet = 0;
    }
  }

  /** Returns what plays rows to the engine, and lets the handler go on after them. */
  player(family: Family): (...rows: readonly Row[]) => Promise<void> {
    const player = new Player({ name: "a stream", port: PORT, rows: [] }, family, this.host);
    return async (...rows) => {
      player.play(rows);
      await this.settle();
    };
  }

  /** Connects a client. */
  async connect(family: Family, options: Partial<ReferenceOptions> = {}): Promise<Client> {
    const client = this.client(family, options);
    client.tcp.connect(this.host.us);
    await this.settle();
    assert.notEqual(client.tcp.state, "syn-sent");
    return client;
  }

  /** Makes a server, which has one connection, and says what connects to it. */
  server(family: Family, options: Partial<ReferenceOptions> = {}): Server {
    const client = this.client(family, { remotePort: 0, ...options });
    client.tcp.listen();
    const { peer, local } = ADDRESSES[family];
    return Object.assign(client, {
      target: { localAddress: local, localPort: 0, remoteAddress: peer, remotePort: client.port },
    });
  }

  /** Makes a client, which has not connected. */
  client(family: Family, options: Partial<ReferenceOptions> = {}): Client {
    const client = new Client(this, family, 50_000 + this.clients.length, options);
    this.clients.push(client);
    return client;
  }

  /** Asserts that nothing is left of what there was. */
  isEmpty(): void {
    checkState(this.host.rig);
    const { connections, pages } = stateOf(this.host.rig);
    const lent = new Uint32Array(this.host.rig.linear.memory.buffer)[(THREADS + LENT_COUNT) / 4];
    assert.deepEqual([connections, pages - lent, this.port.count], [0, 0, 0], "connections, pages, streams");
  }

  /** Hands packets on, both ways. Returns whether there were any. */
  deliver(): boolean {
    let any = false;
    for (const { packet } of this.holdsBack ? [] : this.host.take()) {
      any = true;
      if (isTcp(packet)) this.clients.find(({ port }) => port === decode(packet).dstPort)?.receive(packet);
    }
    for (const client of this.clients) {
      for (const packet of client.sent.splice(0)) {
        any = true;
        this.host.inject(packet);
      }
    }
    return any;
  }
}

/** A client that is connected to. */
export type Server = Client & { readonly target: Target };

/** A client: a simple TCP, and what it has heard. */
export class Client {
  readonly tcp: ReferenceTcp;
  readonly port: number;
  /** Packets on their way to the engine. */
  readonly sent: Uint8Array[] = [];
  /** True while it does not read. */
  holds = false;
  readonly #rig: StreamRig;
  #heard = Buffer.alloc(0);
  #taken = 0;

  constructor(rig: StreamRig, family: Family, port: number, options: Partial<ReferenceOptions>) {
    const { peer, local } = ADDRESSES[family];
    this.#rig = rig;
    this.port = port;
    this.tcp = new ReferenceTcp({
      local: peer, remote: local, localPort: port, remotePort: PORT, isn: 0xffff_fff0, mss: 1400, segmentSize: 1400,
      buffer: 1 << 16, scale: undefined, timestamps: false, sack: true, duplicateSack: false, segments: 32, rtoUs: 1e9,
      delayedAckUs: 0, patienceUs: Infinity, expected: (position) => this.#heard.at(position),
      transmit: (packet) => { this.sent.push(packet.slice()); }, ...options,
    });
  }

  receive(packet: Uint8Array): void {
    const { data } = decode(packet);
    // Nothing is lost or comes twice here.
    if (data.length > 0) this.#heard = Buffer.concat([this.#heard, data]);
    this.tcp.input(packet, this.#rig.host.us);
    if (!this.holds) this.tcp.consume(data.length, this.#rig.host.us);
  }

  /** Sends something, and returns all that comes in return. */
  async ask(text: string | Uint8Array): Promise<Buffer> {
    this.tcp.write(Buffer.from(text), this.#rig.host.us);
    await this.#rig.settle();
    return this.heard();
  }

  /** Returns what has come since the last time. */
  heard(): Buffer {
    const heard = this.#heard.subarray(this.#taken);
    this.#taken = this.#heard.length;
    return heard;
  }

  /** Ends what is sent. */
  async end(): Promise<void> {
    this.tcp.shutdown(this.#rig.host.us);
    await this.#rig.settle();
  }
}
