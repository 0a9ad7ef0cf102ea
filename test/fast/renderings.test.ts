/** Tests what bounds the work and the memory of responses: shared renderings, pieces, and how many there may be. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { setImmediate } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import type { Metrics } from "../../src/web/exposition.js";
import { Crowd, Gate } from "../../src/web/gate.js";
import { Renderings } from "../../src/web/renderings.js";

const FORMAT = { openMetrics: false, gzip: false };

/** A response whose client takes nothing until `take()` is called. */
class Unread extends EventEmitter {
  destroyed = false;
  readonly written: (Uint8Array | undefined)[] = [];

  get response(): ServerResponse {
    return this as unknown as ServerResponse;
  }

  write(piece: Uint8Array): boolean {
    this.written.push(piece);
    return false;
  }

  end(piece: Uint8Array | undefined): void {
    this.written.push(piece);
  }

  take(): void {
    this.emit("drain");
  }

  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

/** Metrics that count how often they are read. */
function counting(length = 1): { metrics: Metrics; made: () => number } {
  let made = 0;
  const metrics = { registry: { metrics: () => Promise.resolve(`${++made}`.padEnd(length)) } };
  return { metrics, made: () => made };
}

/** Returns pieces that can be told apart. */
const pieces = (count: number) => Array.from({ length: count }, (_, i) => Uint8Array.of(i));

describe("renderings", () => {
  // The break between two renderings keeps no process alive.
  let awake: NodeJS.Timeout;
  before(() => { awake = setInterval(() => undefined, 1000); });
  after(() => { clearInterval(awake); });

  test("all who ask before one begins share it, and who asks later gets one that begins after that", async () => {
    const { metrics, made } = counting();
    const renderings = new Renderings();
    const first = await Promise.all(Array.from({ length: 500 }, () => renderings.get(metrics, FORMAT)));
    assert.equal(made(), 1);
    assert.ok(first.every((rendering) => rendering === first[0]));
    const later = await Promise.all([renderings.get(metrics, FORMAT), renderings.get(metrics, FORMAT)]);
    assert.equal(made(), 2);
    assert.equal(Buffer.concat(later[1].pieces).toString(), "2");
  });

  test("each format has its own", async () => {
    const { metrics } = counting();
    const renderings = new Renderings();
    const [classic, open] = await Promise.all([
      renderings.get(metrics, FORMAT), renderings.get(metrics, { ...FORMAT, openMetrics: true }),
    ]);
    assert.notEqual(classic, open);
  });

  test("one that fails is an error for all who wait, and not for those who come later", async () => {
    let fails = true;
    const metrics = { registry: { metrics: () => fails ? Promise.reject(new Error("no")) : Promise.resolve("yes") } };
    const renderings = new Renderings();
    const asked = [renderings.get(metrics, FORMAT), renderings.get(metrics, FORMAT)];
    for (const one of asked) await assert.rejects(one, /^Error: no$/);
    fails = false;
    assert.equal(Buffer.concat((await renderings.get(metrics, FORMAT)).pieces).toString(), "yes");
  });

  test("if too many bytes are read at a time, those who read the oldest are cut; what nobody reads is not "
    + "kept", async () => {
    const { metrics } = counting(1000);
    const renderings = new Renderings(2500);
    const readers: Unread[] = [];
    for (let i = 0; i < 4; i++) {
      const rendering = await renderings.get(metrics, FORMAT);
      for (let j = 0; j < 2; j++) {
        const reader = new Unread();
        renderings.read(rendering, reader.response);
        readers.push(reader);
      }
      assert.ok(renderings.bytes <= 2500, `${renderings.bytes} bytes`);
    }
    assert.deepEqual(readers.map(({ destroyed }) => destroyed), [true, true, true, true, false, false, false, false]);
    for (const reader of readers) reader.destroy();
    assert.equal(renderings.bytes, 0);
  });
});

describe("a gate", () => {
  test("hands a client one piece, and the next when that is taken", async () => {
    const reader = new Unread();
    const poured = new Gate(1).pour(reader.response, pieces(3));
    for (let count = 1; count <= 3; count++) {
      await setImmediate();
      await setImmediate();
      assert.equal(reader.written.length, count);
      reader.take();
    }
    await poured;
    assert.deepEqual(reader.written, pieces(3));
  });

  test("when all places are taken, gives that of the client that takes nothing for longest to the next", async () => {
    const gate = new Gate(2);
    const [lazy, reading, next] = [new Unread(), new Unread(), new Unread()];
    for (const one of [lazy, reading]) void gate.pour(one.response, pieces(9));
    await setImmediate();
    await setImmediate();
    reading.take();
    void gate.pour(next.response, pieces(9));
    while (next.written.length === 0) await setImmediate();
    assert.deepEqual([lazy.destroyed, reading.destroyed, next.destroyed], [true, false, false]);
    assert.equal(gate.size, 2);
  });

  test("cuts none of those who read, however many there are: they take turns", async () => {
    const gate = new Gate(2);
    const readers = Array.from({ length: 20 }, () => new Unread());
    const poured = Promise.all(readers.map(({ response }) => gate.pour(response, pieces(3))));
    const all = poured.then(() => true);
    while (!await Promise.race([all, setImmediate(false)])) {
      for (const reader of readers) {
        reader.take();
        if (reader.written.length === 3) reader.emit("close");
      }
    }
    for (const reader of readers) assert.deepEqual(reader.written, pieces(3));
    assert.ok(readers.every(({ destroyed }) => !destroyed));
  });

  test("has no place for a client that left before its turn", async () => {
    const gate = new Gate(1);
    const reader = new Unread();
    const poured = gate.pour(reader.response, pieces(2));
    reader.destroy();
    await poured;
    assert.equal(gate.size, 0);
    assert.deepEqual(reader.written, []);
  });
});

test("of too many requests, the connection with the most is closed, and its responses count no more", () => {
  const closed: string[] = [];
  const crowd = new Crowd<{ readonly name: string }>(10, ({ name }) => { closed.push(name); });
  const [one, many, other] = ["one", "many", "other"].map((name) => ({ name }));
  const responses: EventEmitter[] = [];
  const enter = (connection: { readonly name: string }) => {
    const response = new EventEmitter();
    responses.push(response);
    crowd.enter(connection, response as unknown as ServerResponse);
  };
  enter(one);
  for (let i = 0; i < 6; i++) enter(many);
  for (let i = 0; i < 3; i++) enter(other);
  assert.deepEqual([crowd.total, closed], [10, []]);
  enter(other);
  assert.deepEqual([crowd.total, closed], [5, ["many"]]);
  for (const response of responses) response.emit("close");
  assert.equal(crowd.total, 0);
});
