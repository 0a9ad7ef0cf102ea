/**
 * Scenarios of whole connections: peers that open some to an engine's services over a bad network, at random and by a
 * seed. What comes back has to be what each service sends, byte for byte, or the end is told as an error (I8); and
 * afterwards nothing may be left.
 */
import assert from "node:assert/strict";
import { Network, type Impairments } from "./network.js";
import { Random } from "./random.js";
import { ReferenceTcp, type ReferenceOptions } from "./reference-tcp.js";
import { ADDRESSES, AFTER, BANNER, PORTS, REPLY, TcpHost, type Family } from "./tcphost.js";
import { checkState, stateOf } from "./tcpstate.js";

/** How a peer ends: it closes its side and waits for the other, resets, or is never heard again. */
type End = "shutdown" | "abort" | "vanish";

interface Plan {
  readonly service: "echo" | "discard" | "chargen" | "banner" | "reply";
  /** The stream that the peer sends. */
  readonly data: Uint8Array;
  /** Bytes that it wants to have before it ends; what must come before FIN does, if it shuts down. */
  readonly wants: number;
  readonly end: End;
  /** Microseconds from the start on. */
  readonly startUs: number;
  /** Bytes that it writes at once, and how often. */
  readonly chunk: number;
  readonly pauseUs: number;
  /** Bytes that it reads at once, and how often: all of it within an hour. */
  readonly reads: number;
  readonly readUs: number;
}

interface Client {
  readonly plan: Plan;
  readonly peer: ReferenceTcp;
  written: number;
  writeAt: number;
  readAt: number;
  ended: boolean;
}

/** Virtual time within which everything has to end, and after which everything has to be forgotten. */
const LIMIT_US = 3600e6;
const FORGOTTEN_US = 4 * 3600e6;
const MAX_CLIENTS = 6;
const MAX_PIECES = 200;
/** RFC 864: each line has the 95 printing characters from another one on, 72 of them. */
const LINE = 74;

export function chargenByte(position: number): number {
  const [line, column] = [Math.floor(position / LINE), position % LINE];
  return column < 72 ? 32 + (line + column) % 95 : column === 72 ? 13 : 10;
}

/** Runs the scenario of a seed. @throws Error with what does not hold, and how to run it again */
export async function runScenario(seed: number): Promise<void> {
  const scenario = await Scenario.create(seed);
  try {
    scenario.run();
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${scenario.text}\nagain: SEED=${seed} SEEDS=1 node `
      + "build/test/deep/tcp-streams.test.js", { cause: error });
  }
}

class Scenario {
  readonly #host: TcpHost;
  readonly #network: Network;
  readonly #clients: Client[] = [];
  readonly #impairments: Impairments;
  readonly #random: Random;

  private constructor(random: Random, host: TcpHost, impairments: Impairments) {
    this.#random = random;
    this.#host = host;
    this.#impairments = impairments;
    this.#network = new Network(host, random, impairments);
    const count = 1 + random.below(MAX_CLIENTS);
    for (let i = 0; i < count; i++) this.#clients.push(this.#client(i));
    this.#network.act = (now) => { this.#act(now); };
  }

  static async create(seed: number): Promise<Scenario> {
    const random = new Random(seed);
    const mtu = random.pick([576, 1280, 1500, 1500, 1500, 9000]);
    // Ticks of 2^14 ns and microseconds wrap, and so do milliseconds; a few seconds before each is where it shows.
    const wrap = random.pick([0, 2 ** 32 * 16.384, 2 ** 31 * 16.384, 2 ** 32, 2 ** 31, 2 ** 32 * 1000, 2 ** 31 * 1000]);
    const host = await TcpHost.create({ mtu, startUs: wrap + 1000 + random.below(20e6) - (wrap > 0 ? 10e6 : 0) });
    return new Scenario(random, host, impairmentsOf(random, mtu));
  }

  run(): void {
    const network = this.#network;
    const start = network.now;
    const done = () => this.#clients.every(({ peer, plan, ended }) => {
      return peer.outcome !== undefined || (ended && plan.end === "vanish");
    });
    assert.ok(network.run(start + LIMIT_US, done), `all end within ${LIMIT_US / 60e6} minutes`);
    for (const client of this.#clients) this.#judge(client);
    checkState(this.#host.rig);
    network.heal();
    network.act = () => undefined;
    network.wakeUs = Infinity;
    network.run(network.now + FORGOTTEN_US, () => false);
    checkState(this.#host.rig);
    assert.deepEqual(
      stateOf(this.#host.rig), { connections: 0, halfOpen: 0, waits: 0, pages: 0, timers: 0 }, "nothing is left",
    );
  }

  #judge({ plan, peer }: Client): void {
    const what = `${plan.service}, ${plan.end}: ${peer.outcome}, ${peer.came} of ${plan.wants} bytes`;
    if (plan.end === "shutdown") {
      assert.equal(peer.outcome, "closed", what);
      assert.ok(peer.finished, what);
      if (plan.service === "chargen") assert.ok(peer.came >= plan.wants, what);
      else assert.equal(peer.came, plan.wants, what);
      assert.equal(peer.acknowledged, plan.data.length, what);
    } else if (plan.end === "abort") {
      assert.ok(peer.outcome === "aborted", what);
    }
  }

  #act(now: number): void {
    for (const client of this.#clients) {
      const { plan, peer } = client;
      if (now < plan.startUs || peer.outcome !== undefined || (client.ended && plan.end === "vanish")) continue;
      if (peer.state === "closed") {
        peer.connect(now);
        client.writeAt = client.readAt = now;
      }
      if (now >= client.writeAt && client.written < plan.data.length) {
        peer.write(plan.data.subarray(client.written, client.written + plan.chunk), now);
        client.written = Math.min(plan.data.length, client.written + plan.chunk);
        client.writeAt = now + plan.pauseUs;
      }
      if (now >= client.readAt && peer.read < peer.came) {
        peer.consume(plan.reads, now);
        client.readAt = now + plan.readUs;
      }
      if (!client.ended && client.written === plan.data.length && this.#hasEnough(client)) {
        client.ended = true;
        if (plan.end === "abort") peer.abort(now);
        else if (plan.end === "shutdown") peer.shutdown(now);
        else this.#network.silence(this.#clients.indexOf(client));
      }
    }
    this.#network.wakeUs = Math.min(...this.#clients.map((client) => this.#wakeOf(client)));
  }

  /** When a client has something to do by itself. */
  #wakeOf({ plan, peer, written, writeAt, readAt, ended }: Client): number {
    if (peer.outcome !== undefined || (ended && plan.end === "vanish")) return Infinity;
    if (peer.state === "closed") return plan.startUs;
    return Math.min(written < plan.data.length ? writeAt : Infinity, peer.read < peer.came ? readAt : Infinity);
  }

  /** Whether the peer ends now: at once, if pongd sends all that it wants only behind its FIN. */
  #hasEnough({ plan, peer }: Client): boolean {
    return plan.service !== "chargen" || peer.came >= plan.wants;
  }

  #client(i: number): Client {
    const random = this.#random;
    // No link of IPv6 has an MTU below 1280 (RFC 8200 §5).
    const family: Family = this.#host.rig.linear.packetSize < 1280 || random.oneIn(2) ? 4 : 6;
    const segmentSize = random.oneIn(6) ? 1 + random.below(64) : 200 + random.below(9000);
    const buffer = random.pick([10 + random.below(100), 1000 + random.below(5000), 65535, 200_000]);
    // A window is told in units that the buffer has several of.
    const scale = random.oneIn(3) ? undefined : Math.min(random.below(15), Math.floor(Math.log2(buffer)) - 2);
    const plan = planOf(random, this.#network.now, Math.min(segmentSize, buffer));
    const mss = random.pick([undefined, 1460, 1440, 536, 100 + random.below(1361), 8940]);
    const timestamps = random.oneIn(2);
    const options: ReferenceOptions = {
      local: ADDRESSES[family].peer, remote: ADDRESSES[family].local, localPort: 20_000 + i,
      remotePort: PORTS[plan.service], isn: random.oneIn(3) ? 2 ** 32 - 1 - random.below(40_000) : random.next(), mss,
      segmentSize, buffer, scale, timestamps,
      sack: !random.oneIn(3), duplicateSack: random.oneIn(2), segments: 1 + random.below(12),
      rtoUs: random.pick([300_000, 1_000_000]), delayedAckUs: random.pick([0, 10_000, 40_000, 200_000]),
      patienceUs: 900e6, expected: expectedOf(plan), transmit: (packet) => { this.#network.fromPeer(packet); },
    };
    const peer = new ReferenceTcp(options);
    this.#network.peers.push(peer);
    return { plan, peer, written: 0, writeAt: 0, readAt: 0, ended: false };
  }

  /** Says what the scenario is. */
  get text(): string {
    return [JSON.stringify(this.#impairments), `at ${this.#network.now / 1e6} s`, ...this.#clients.map(({ plan, peer, written }) => {
      const { mss, segmentSize, buffer, scale, timestamps, sack, segments, isn } = peer.options;
      return `${plan.service} ${plan.data.length} bytes, ${plan.end}: ${peer.state} ${peer.outcome ?? ""}, written `
        + `${written}, acknowledged ${peer.acknowledged}, came ${peer.came} of ${plan.wants}, read ${peer.read}; `
        + JSON.stringify({ mss, segmentSize, buffer, scale, timestamps, sack, segments, isn });
    })].join("\n");
  }
}

/** `piece`: most bytes that go at once, one way or the other; there are not too many of them. */
function planOf(random: Random, now: number, piece: number): Plan {
  const service = random.pick(["echo", "echo", "discard", "chargen", "banner", "reply"] as const);
  const most = MAX_PIECES * piece;
  const length = random.oneIn(5) ? random.below(3) : random.below(Math.min(most, random.oneIn(4) ? 200_000 : 20_000));
  const data = service === "chargen" ? new Uint8Array(0) : dataOf(random, service, length);
  const end = random.oneIn(6) ? "abort" : random.oneIn(12) && service === "echo" ? "vanish" : "shutdown";
  return {
    service, data, wants: wantsOf(service, data, random, most), end,
    startUs: now + (random.oneIn(2) ? 0 : random.below(3e6)), chunk: 1 + random.below(random.oneIn(3) ? 100 : 60_000),
    pauseUs: random.below(20_000), reads: 20 + random.below(random.oneIn(4) ? 100 : 60_000),
    readUs: 1000 + random.below(50_000),
  };
}

function dataOf(random: Random, service: string, length: number): Uint8Array {
  if (service === "reply") {
    // Ends of requests, parts of them, and what is neither.
    const parts = Array.from({ length: Math.ceil(length / 50) }, () => {
      return random.pick(
        ["GET / HTTP/1.1\r\nHost: pong\r\n\r\n", "\r\n", "\r", "\n", "\r\n\r", "\r\n\r\n", "a", "x".repeat(40)],
      );
    });
    return Buffer.from(parts.join(""));
  }
  const data = new Uint8Array(length);
  for (let i = 0; i < length; i++) data[i] = random.next();
  return data;
}

function wantsOf(service: Plan["service"], data: Uint8Array, random: Random, most: number): number {
  switch (service) {
    case "echo": return data.length;
    case "discard": return 0;
    case "chargen": return random.below(Math.min(most, random.oneIn(4) ? 300_000 : 30_000));
    case "banner": return BANNER.length;
    case "reply": return REPLY.length * endsIn(data);
  }
}

/** Counts the ends of requests, as a server would find them one after another. */
function endsIn(data: Uint8Array): number {
  return Buffer.from(data).toString("latin1").split(AFTER.toString("latin1")).length - 1;
}

function expectedOf({ service, data, wants }: Plan): (position: number) => number | undefined {
  switch (service) {
    case "echo": return (position) => data.at(position);
    case "discard": return () => undefined;
    case "chargen": return chargenByte;
    case "banner": return (position) => BANNER.at(position);
    case "reply": return (position) => position < wants ? REPLY[position % REPLY.length] : undefined;
  }
}

function impairmentsOf(random: Random, mtu: number): Impairments {
  const none = random.oneIn(6);
  const some = (most: number) => none || random.oneIn(2) ? 0 : random.below(1000) / 1000 * most;
  const mtus = none || random.oneIn(2) ? [65535] : [mtu, mtu, mtu, 1400, 1500, 1300];
  return {
    delayUs: random.pick([0, 50, 1000, 20_000, 100_000]), jitterUs: none || random.oneIn(2) ? 0 : random.below(200_000),
    loss: some(0.08), duplicate: some(0.2), corrupt: some(0.03), batchUs: random.pick([0, 0, 100, 5000]),
    forged: some(0.1), stalls: some(0.02), mtus, told: random.oneIn(3) ? 0.7 : 1,
  };
}
