/**
 * Scripts of segments and times, in the spirit of packetdrill: rows in TypeScript tables.
 *
 *     [0, "<", "S 0:0(0) win 1000 <mss 1000,sackOK>"],
 *     [0, ">", "S. 0:0(0) ack 1 <mss 1460,sackOK>"],
 *     [0.2, ">", "S. 0:0(0) ack 1"],
 *
 * A row has the seconds since the row before, and
 * - `<` a packet to pongd, or several of one batch in an array;
 * - `>` the next packet from it: at once if there are 0 seconds, and else at that time, never early and at most a tick
 *   late; the times behind it count from when it came;
 * - `~` the next packet from it, at any time until then;
 * - `-` nothing comes until then;
 * - `?` something that the test does or looks at; it may take what has come from `stage.outputs`.
 *
 * A packet is written as flags, first:end(length), and then as needed `ack`, `win`, `urg`, `<options>`, `{fields}` and
 * the data in quotes. `@2 ` before it names another connection. Numbers count from the initial sequence number of
 * whoever sent them, so a SYN is 0:0(0). An answer is compared in what is written of it, but always in its flags, its
 * sequence numbers, its acknowledgement and its data. Without quotes, data is the peer's stream, which an echo sends
 * back, or the script's `stream`. The flag `p` is PSH or not. `MSS` stands for 1460 in IPv4 and 1440 in IPv6, `*` for
 * any number.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { ADDRESSES, TICK_US, type Family, type Output } from "./tcphost.js";
import { addr6 } from "./ipv6.js";
import { addr } from "./packets.js";
import {
  ACK, decode, encode, FIN, flagsOf, flagsText, ipPacket, isTcp, PSH, remainder, RST, SYN, type TcpOptions,
} from "./tcp.js";

export type Row
  = | readonly [seconds: number, direction: "<", packet: string | readonly string[]]
    | readonly [seconds: number, direction: ">" | "~", packet: string]
    | readonly [seconds: number, direction: "-"]
    | readonly [seconds: number, direction: "?", look: (player: Player) => void];

export interface Script {
  /** A fact, with the numbers of RFC 9293 that it shows in parentheses. */
  readonly name: string;
  /** The port that is asked; the echo's by default. */
  readonly port?: number;
  /** One family, where it makes a difference. */
  readonly only?: Family;
  /** The peer's initial sequence number. */
  readonly isn?: number;
  /** Bytes of the stream that pongd sends, by their position; by default what the peer sends. */
  readonly stream?: (position: number) => number;
  /** True where the script looks at what a kernel has not, or waits for long. */
  readonly pongdOnly?: boolean;
  readonly rows: readonly Row[];
}

/** Whatever a script can be played to. */
export interface Stage {
  readonly us: number;
  readonly outputs: Output[];
  inject(...packets: readonly Uint8Array[]): void;
  advanceTo(us: number): void;
  /** Lets time go by until something comes, but not longer than until then. */
  advanceToOutput(us: number): void;
}

/** Both sides of a connection. */
interface Flow {
  /** An address of pongd's; each connection has another one. */
  readonly local: Uint8Array;
  readonly peerPort: number;
  readonly peerIsn: number;
  /** Of pongd; undefined until it has sent a SYN. */
  isn: number | undefined;
  /** The first value of its timestamps, and the last. */
  firstVal: number | undefined;
  lastVal: number;
}

export const FIRST_PORT = 40_000;
/** Ports of the peer's that a script may use. */
export const SCRIPT_PORTS = 10;
/** What a round-trip time of a microsecond, the least that is measured, adds to a timeout of 200 ms. */
const RTT_SHARE = 1e-4;
/** Bytes of data that a message shows. */
const SHOWN = 8;
const ISN = 0xffff_f000;
const GRAMMAR = new RegExp(
  "^(?:@(?<flow>\\d+) )?(?<flags>[SFRPUEWp.]+|-) (?<first>\\d+):(?<end>\\d+)\\((?<length>\\d+)\\)(?: ack (?<ack>\\d+))?"
  + "(?: win (?<win>\\d+|\\*))?(?: urg (?<urg>\\d+))?(?: <(?<options>[^>]*)>)?(?: \\{(?<fields>[^}]*)\\})?"
  + "(?: (?<data>\"(?:[^\"\\\\]|\\\\.)*\"))?$",
);
const ICMP = /^(?:@(?<flow>\d+) )?icmp (?<what>[a-z_]+)(?: mtu (?<mtu>\d+))? about (?<first>\d+):(?<end>\d+)\((?<length>\d+)\)$/;
const ROUTERS = { 4: addr("192.0.2.1"), 6: addr6("2001:db8::fe") };
/** ICMP errors by family: type and code. */
const ERRORS: Record<string, Record<Family, readonly [type: number, code: number]>> = {
  net_unreachable: { 4: [3, 0], 6: [1, 0] },
  host_unreachable: { 4: [3, 1], 6: [1, 3] },
  protocol_unreachable: { 4: [3, 2], 6: [4, 1] },
  port_unreachable: { 4: [3, 3], 6: [1, 4] },
  too_big: { 4: [3, 4], 6: [2, 0] },
  source_quench: { 4: [4, 0], 6: [1, 7] },
  source_route_failed: { 4: [3, 5], 6: [1, 5] },
  time_exceeded: { 4: [11, 0], 6: [3, 0] },
  parameter_problem: { 4: [12, 0], 6: [4, 0] },
};

/** The stream that the peer sends: no two parts of it look alike. */
export function peerByte(position: number): number {
  return Math.imul(position + 1, 0x9e37_79b1) >>> 24;
}

/** How a script is played. */
export interface Manner {
  /**
   * What comes within that time counts as at once, and times are not looked at. An acknowledgement may come before the
   * data or FIN that also acknowledges, since a server answers later than its kernel. Without it, all is as pongd does.
   */
  readonly patienceUs?: number;
  readonly firstPort?: number;
}

export function play(script: Script, family: Family, stage: Stage, manner?: Manner): void {
  new Player(script, family, stage, manner).play();
}

export class Player {
  readonly stage: Stage;
  readonly script: Script;
  readonly family: Family;
  readonly #patienceUs: number | undefined;
  readonly #firstPort: number;
  readonly #flows = new Map<number, Flow>();
  #at: number;

  constructor(script: Script, family: Family, stage: Stage, { patienceUs, firstPort = FIRST_PORT }: Manner = {}) {
    this.script = script;
    this.family = family;
    this.stage = stage;
    this.#patienceUs = patienceUs;
    this.#firstPort = firstPort;
    this.#at = stage.us;
  }

  /** Plays rows, those of the script unless told otherwise. Others may follow. */
  play(rows = this.script.rows): void {
    for (const [i, row] of rows.entries()) {
      try {
        this.#row(row);
      } catch (error) {
        const shown = rows.map(([seconds, direction, what], at) => {
          return `${at === i ? "→" : " "} +${seconds} ${direction} ${typeof what === "function" ? "…" : String(what ?? "")}`;
        });
        throw new Error(`row ${i}, after ${(this.stage.us - this.#at) / 1e6} s\n${shown.join("\n")}\n`
          + (error as Error).message, { cause: error });
      }
    }
    this.#nothing();
  }

  #row(row: Row): void {
    const { stage } = this;
    const until = this.#at + 1e6 * row[0];
    if (row[1] === ">" || row[1] === "~") {
      const late = row[1] === ">" && row[0] > 0 ? TICK_US + 1e6 * row[0] * RTT_SHARE : 0;
      this.#expect(row[2], row[1] === "~", until, late);
      return;
    }
    if (row[1] !== "?") this.#nothing();
    if (row[0] > 0) stage.advanceTo(until);
    this.#at = Math.max(this.#at, until);
    if (row[1] !== "?") this.#nothing();
    if (row[1] === "<") {
      stage.inject(...(typeof row[2] === "string" ? [row[2]] : row[2]).map((text) => this.packet(text)));
    } else if (row[1] === "?") {
      row[2](this);
      this.#at = Math.max(this.#at, stage.us);
    }
  }

  #nothing(): void {
    const texts = this.stage.outputs.map(({ packet }) => this.textOf(packet));
    assert.deepEqual(texts, [], "nothing more comes");
  }

  /** Expects a packet: then, but not later than `late` microseconds after that; or at any time until then. */
  #expect(text: string, anyTime: boolean, until: number, late: number): void {
    const { stage } = this;
    const latest = until + (this.#patienceUs ?? late);
    if (stage.outputs.length === 0) stage.advanceToOutput(latest);
    let output = stage.outputs.shift();
    if (output && this.#patienceUs !== undefined && this.#isEarlyAck(output.packet, text)) {
      if (stage.outputs.length === 0) stage.advanceToOutput(latest);
      output = stage.outputs.shift() ?? output;
    }
    assert.ok(output, `nothing came, but not ${text}`);
    this.#learn(output.packet);
    assert.equal(this.textOf(output.packet, text), this.#canonical(text));
    if (this.#patienceUs === undefined) {
      assert.ok(anyTime || output.us >= until - 1e-3, `it came ${(until - output.us).toFixed(3)} µs early`);
      assert.ok(output.us <= latest + 1e-3, `it came ${(output.us - until).toFixed(3)} µs late`);
    }
    this.#at = output.us;
  }

  /** Returns whether this only acknowledges what the packet that is expected acknowledges along with data or FIN. */
  #isEarlyAck(packet: Uint8Array, text: string): boolean {
    if (!isTcp(packet) || !GRAMMAR.test(this.#named(text))) return false;
    const wanted = parse(this.#named(text));
    const { flags, data, ack } = decode(packet);
    const relativeAck = relative(ack, this.flow(wanted.flow).peerIsn);
    return (wanted.length > 0 || (wanted.flags & FIN) !== 0) && (wanted.flags & (SYN | RST)) === 0
      && flags === ACK && data.length === 0 && relativeAck === wanted.ack;
  }

  /** Learns from what pongd sends on a connection where its numbers begin. */
  #learn(packet: Uint8Array): void {
    if (!isTcp(packet)) return;
    const { seq, flags, options, dstPort } = decode(packet);
    const flow = this.flow(dstPort - this.#firstPort);
    if (flags & SYN) flow.isn ??= seq;
    if (!options.timestamps) return;
    flow.firstVal ??= options.timestamps.val;
    flow.lastVal = options.timestamps.val;
  }

  /** Forgets what pongd's numbers are, because the next SYN begins a new connection. */
  forget(flow = 1): void {
    this.#flows.set(flow, { ...this.flow(flow), isn: undefined, firstVal: undefined });
  }

  flow(number: number): Flow {
    let flow = this.#flows.get(number);
    if (!flow) {
      const local = ADDRESSES[this.family].local.slice();
      local[local.length - 1] += number - 1;
      flow = {
        local, peerPort: this.#firstPort + number, peerIsn: this.script.isn ?? ISN, isn: undefined, firstVal: undefined,
        lastVal: 0,
      };
      this.#flows.set(number, flow);
    }
    return flow;
  }

  get port(): number {
    return this.script.port ?? 7;
  }

  /** Returns the packet that a row describes. */
  packet(text: string): Uint8Array {
    const icmp = ICMP.exec(text)?.groups;
    if (icmp) return this.#icmp(icmp);
    const { flow: number, flags, first, length, ack, win, urg, options, fields, data } = parse(this.#named(text));
    const flow = this.flow(number);
    const { peer } = ADDRESSES[this.family];
    const { local } = flow;
    const { options: parsed, raw } = this.#optionsOf(options ?? "", flow);
    return encode({
      src: fields.src === undefined ? peer : hexBytes(fields.src),
      dst: fields.dst === undefined ? local : hexBytes(fields.dst),
      srcPort: flow.peerPort, dstPort: this.port, seq: flow.peerIsn + first >>> 0,
      ack: ack === undefined ? 0 : (flow.isn ?? 0) + ack >>> 0, flags, window: win === undefined ? 65535 : Number(win),
      urgent: urg ?? 0, options: parsed, data: data ?? bytesOf(peerByte, first, length),
      ttl: numberOf(fields.ttl, 64), tos: numberOf(fields.tos, 0),
    }, {
      ...raw ? { rawOptions: raw } : {},
      ...fields.offset === undefined ? {} : { dataOffset: Number(fields.offset) },
      checksumError: numberOf(fields.bad, 0), reserved: numberOf(fields.reserved, 0),
      ...fields.ipopt === undefined ? {} : { ipOptions: hexBytes(fields.ipopt) },
    });
  }

  /** Returns an ICMP error about a segment that pongd sent. */
  #icmp({ flow: number, what, mtu, first, length }: Record<string, string | undefined>): Uint8Array {
    const flow = this.flow(Number(number ?? 1));
    const { peer } = ADDRESSES[this.family];
    const { local } = flow;
    const about = encode({
      src: local, dst: peer, srcPort: this.port, dstPort: flow.peerPort, seq: (flow.isn ?? 0) + Number(first) >>> 0,
      ack: flow.peerIsn + 1 >>> 0, flags: ACK, window: 1000, data: new Uint8Array(Number(length)),
    });
    const quoted = about.subarray(0, this.family === 4 ? 28 : 88);
    const message = new Uint8Array(8 + quoted.length);
    message.set(quoted, 8);
    const [type, code] = ERRORS[what ?? ""][this.family];
    message[0] = type;
    message[1] = code;
    new DataView(message.buffer).setUint32(4, Number(mtu ?? 0));
    const src = ROUTERS[this.family];
    const start = this.family === 4 ? 0 : remainder(local, remainder(src, 58 + message.length));
    new DataView(message.buffer).setUint16(2, (65535 - remainder(message, start)) % 65535);
    return ipPacket(this.family === 4 ? 1 : 58, message, { src, dst: local });
  }

  /** Returns a row's text with its placeholders filled in. */
  #named(text: string): string {
    return text.replaceAll("MSS", this.family === 4 ? "1460" : "1440");
  }

  #optionsOf(text: string, flow: Flow): { options: TcpOptions; raw?: Uint8Array } {
    const parts = text.split(",").map((part) => part.trim()).filter((part) => part !== "" && part !== "nop");
    if (parts[0]?.startsWith("raw ")) return { options: {}, raw: hexBytes(parts[0].slice(4)) };
    const options: { -readonly [Key in keyof TcpOptions]: TcpOptions[Key] } = {};
    for (const part of parts) {
      const [word, ...rest] = part.split(" ");
      if (word === "mss") options.mss = Number(rest[0]);
      else if (word === "wscale") options.scale = Number(rest[0]);
      else if (word === "sackOK") options.sackPermitted = true;
      else if (word === "TS") {
        // Seen from the peer: `ecr last` is what pongd sent last, and a number counts from its first value.
        const ecr = rest[3] === "last"
          ? flow.lastVal
          : rest[3] === "0" && flow.firstVal === undefined
            ? 0
            : (flow.firstVal ?? 0) + Number(rest[3]) >>> 0;
        options.timestamps = { val: Number(rest[1]), ecr };
      } else if (word === "sack") {
        options.sacks = rest.map((block) => {
          const [first, end] = block.split(":").map((number) => (flow.isn ?? 0) + Number(number) >>> 0);
          return [first, end] as const;
        });
      } else throw new Error(`no option ${part}`);
    }
    return { options };
  }

  /** Returns the text of an answer as textOf() writes it. */
  #canonical(text: string): string {
    if (!GRAMMAR.test(this.#named(text))) return text;
    const wanted = parse(this.#named(text));
    assert.equal(wanted.end - wanted.first, wanted.length, `${text}: first and end are as far apart as it is long`);
    const data = wanted.data ?? bytesOf(this.script.stream ?? peerByte, wanted.first, wanted.length);
    return [
      `${flagsText(wanted.flags)}${wanted.anyPush ? "p" : ""} ${wanted.first}:${wanted.end}(${wanted.length})`,
      wanted.ack === undefined ? "" : ` ack ${wanted.ack}`,
      wanted.win === undefined ? "" : ` win ${wanted.win}`,
      wanted.options === undefined ? "" : ` <${wanted.options.split(",").filter((part) => part !== "nop").sort().join(",")}>`,
      Object.entries(wanted.fields).sort().map(([key, value]) => ` {${key} ${value}}`).join(""),
      wanted.flags & SYN ? "" : ` ${dataText(data)}`,
    ].join("");
  }

  /** Returns a packet of pongd's in a script's words; of what `like` leaves out, only what is always compared. */
  textOf(packet: Uint8Array, like?: string): string {
    if (!isTcp(packet)) return icmpText(packet);
    const segment = decode(packet);
    const { seq, ack, flags, data, options, window } = segment;
    const number = segment.dstPort - this.#firstPort;
    const flow = this.flow(number);
    assert.deepEqual([segment.src, segment.srcPort], [flow.local, this.port], "it comes from where it was sent to");
    assert.deepEqual(segment.dst, ADDRESSES[this.family].peer, "it goes to who asked");
    const wanted = like === undefined ? undefined : parse(this.#named(like));
    const first = relative(seq, flow.isn ?? 0);
    const shown = optionsText(options, flow, wanted?.options);
    const fields = like === undefined ? {} : wanted?.fields ?? {};
    const seen: Record<string, string> = { ttl: String(segment.ttl), tos: String(segment.tos) };
    return [
      like === undefined && number !== 1 ? `@${number} ` : "",
      `${wanted?.anyPush ? `${flagsText(flags & ~PSH)}p` : flagsText(flags)} ${first}:${first + data.length}(${data.length})`,
      flags & ACK ? ` ack ${relative(ack, flow.peerIsn)}` : "",
      like !== undefined && wanted?.win === undefined ? "" : ` win ${wanted?.win === "*" ? "*" : window}`,
      like !== undefined && wanted?.options === undefined ? "" : ` <${shown}>`,
      Object.keys(fields).sort().map((key) => ` {${key} ${seen[key]}}`).join(""),
      flags & SYN ? "" : ` ${dataText(data)}`,
    ].join("");
  }
}

/** What is said of a packet in braces. */
type Fields = Partial<Record<string, string>>;

interface Parsed {
  readonly flow: number;
  readonly flags: number;
  /** PSH does not count. */
  readonly anyPush: boolean;
  readonly first: number;
  readonly end: number;
  readonly length: number;
  readonly ack: number | undefined;
  readonly win: string | undefined;
  readonly urg: number | undefined;
  readonly options: string | undefined;
  readonly fields: Fields;
  readonly data: Uint8Array | undefined;
}

/** @throws Error if the text is no packet's */
function parse(text: string): Parsed {
  const found = GRAMMAR.exec(text)?.groups as Record<string, string | undefined> | undefined;
  if (!found) throw new Error(`this is no packet: ${text}`);
  const { flow = "1", flags = "", first, end, length, ack, win, urg, options, fields = "", data } = found;
  return {
    flow: Number(flow), flags: flagsOf(flags.replace("p", "")), anyPush: flags.includes("p"),
    first: Number(first), end: Number(end), length: Number(length),
    ack: ack === undefined ? undefined : Number(ack), win, urg: urg === undefined ? undefined : Number(urg), options,
    fields: fieldsOf(fields),
    data: data === undefined ? undefined : Buffer.from(JSON.parse(data) as string),
  };
}

function optionsText(
  { mss, scale, sackPermitted, timestamps, sacks }: TcpOptions, flow: Flow, wanted: string | undefined,
): string {
  const wild = wanted?.split(",").filter((part) => part.includes("*")) ?? [];
  const parts = [
    ...mss === undefined ? [] : [`mss ${mss}`],
    ...sackPermitted ? ["sackOK"] : [],
    ...timestamps ? [`TS val ${timestamps.val - (flow.firstVal ?? 0) >>> 0} ecr ${timestamps.ecr}`] : [],
    ...scale === undefined ? [] : [`wscale ${scale}`],
    ...sacks
      ? [`sack ${sacks.map((block) => block.map((at) => relative(at, flow.peerIsn)).join(":")).join(" ")}`]
      : [],
  ].map((part) => {
    const words = part.split(" ");
    const like = wild.find((other) => other.startsWith(words[0]))?.split(" ");
    return like ? words.map((word, i) => like[i] === "*" ? "*" : word).join(" ") : part;
  });
  return parts.sort().join(",");
}

/** Returns data in hexadecimal, and of long data its beginning and a digest of all. */
function dataText(data: Uint8Array): string {
  const hex = Buffer.from(data).toString("hex");
  if (data.length <= 2 * SHOWN) return hex;
  return `${hex.slice(0, 2 * SHOWN)}…${createHash("sha1").update(data).digest("hex").slice(0, 2 * SHOWN)}`;
}

function icmpText(packet: Uint8Array): string {
  const at = packet[0] >> 4 === 4 ? (packet[0] & 15) * 4 : 40;
  return `icmp ${packet[at]}/${packet[at + 1]}`;
}

/** Returns a number that counts from `base`; one a little before it is negative. */
function relative(number: number, base: number): number {
  const distance = number - base >>> 0;
  return distance > 0xf000_0000 ? distance - 2 ** 32 : distance;
}

/** Returns bytes of a stream, whose first one has the number 1 as SYN has 0. */
export function bytesOf(stream: (position: number) => number, first: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => stream(first - 1 + i));
}

function hexBytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

/** Reads `name value, …`. */
function fieldsOf(text: string): Fields {
  const fields: Fields = {};
  for (const field of text.split(",").filter(Boolean)) {
    const [name, value] = field.trim().split(" ");
    fields[name] = value;
  }
  return fields;
}

function numberOf(text: string | undefined, otherwise: number): number {
  return text === undefined ? otherwise : Number(text);
}
