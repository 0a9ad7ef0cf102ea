/** Clients of Node.js's own over a StreamRig: what a rig's client hears and says is a Duplex here. */
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import type { Client, StreamRig } from "./streamrig.js";
import type { Family } from "./tcphost.js";

/** A rig's network, which goes on for as long as somebody waits for something. */
export class RigWire {
  readonly rig: StreamRig;
  readonly #ends = new Set<ClientEnd>();

  constructor(rig: StreamRig) {
    this.rig = rig;
  }

  /** Connects a client. */
  async connect(family: Family): Promise<ClientEnd> {
    const end = new ClientEnd(await this.rig.connect(family), this.rig);
    this.#ends.add(end);
    return end;
  }

  /** Lets packets go to and fro until a promise is settled. `between`: called again and again meanwhile. */
  async during<T>(awaited: Promise<T>, between?: () => void): Promise<T> {
    const wait = { isOver: false };
    const end = () => { wait.isOver = true; };
    awaited.then(end, end);
    while (!wait.isOver) {
      await this.turn();
      between?.();
    }
    return await awaited;
  }

  /** Lets packets go to and fro until a condition holds. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.turn();
  }

  /** Asserts that nothing is left of what there was. */
  async isEmpty(): Promise<void> {
    await this.turn();
    this.rig.isEmpty();
  }

  async turn(): Promise<void> {
    await this.rig.settle();
    for (const end of this.#ends) {
      end.look();
      if (end.destroyed) this.#ends.delete(end);
    }
    await setImmediate();
  }
}

/** The client's end of a connection, which Node.js's clients take for a socket. */
export class ClientEnd extends Duplex {
  readonly client: Client;
  readonly #rig: StreamRig;
  #isFinished = false;

  constructor(client: Client, rig: StreamRig) {
    super({ allowHalfOpen: true });
    this.client = client;
    this.#rig = rig;
  }

  /** Takes what has come. */
  look(): void {
    const { tcp } = this.client;
    if (this.destroyed) return;
    const heard = this.client.heard();
    if (heard.length > 0) this.push(heard);
    if (tcp.outcome === "reset") {
      this.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }));
    } else if (tcp.finished && !this.#isFinished) {
      this.#isFinished = true;
      this.push(null);
    }
  }

  override _read(): void {
    // look() pushes whatever comes.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.client.tcp.write(chunk, this.#rig.host.us);
    done();
  }

  override _final(done: () => void): void {
    this.client.tcp.shutdown(this.#rig.host.us);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.writableFinished) this.client.tcp.shutdown(this.#rig.host.us);
    done(error);
  }
}

/** A response of HTTP/1, as far as it came. */
export interface Heard {
  readonly status: number;
  readonly head: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly bytes: Buffer;
  readonly body: string;
}

/** Reads until the connection ends, and takes it for one response. */
export async function heardBy(end: Duplex): Promise<Heard> {
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve) => {
    end.on("data", (chunk: Buffer) => chunks.push(chunk));
    end.once("end", resolve).once("error", () => { resolve(); });
  });
  end.destroy();
  const all = Buffer.concat(chunks);
  const at = all.indexOf("\r\n\r\n");
  const head = all.toString("latin1", 0, at);
  const [line, ...lines] = head.split("\r\n");
  const bytes = all.subarray(at + 4);
  return {
    status: Number(line.split(" ")[1]), head, bytes, body: bytes.toString(),
    headers: Object.fromEntries(lines.map((line) => /^(.*?): (.*)$/.exec(line)?.slice(1) ?? [line, ""])
      .map(([name, value]) => [name.toLowerCase(), value])),
  };
}
