/** Tests ports and services in a queue's memory: how tables have them, and what a reload keeps. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NEXT_TABLE } from "../../abi/control.js";
import { ACCEPTED } from "../../abi/counters.js";
import {
  MAX_PORT_LISTS, PORT_LISTS, PREFIX_TCP, PREFIX_TCP_SIZE,
} from "../../abi/tables.js";
import {
  MAX_SERVICES, NAMED_SERVICES, Service, SERVICE_AFTER, SERVICE_AFTER_LEN, SERVICE_BYTES, SERVICE_BYTES_LEN,
  SERVICE_KIND, SERVICE_SIZE, SERVICE_USERS, SERVICES,
} from "../../abi/tcp.js";
import { EXIT, Failure } from "../../src/base/failure.js";
import { Content } from "../../src/config/content.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { SECRETS } from "../../src/engine/tcp.js";
import { tableOf, type Table } from "../../src/engine/table.js";
import type { PortRange, PortService } from "../../src/prefix/policy.js";
import { parsePrefix, serving } from "../../src/prefix/prefixes.js";
import { read } from "../support/config.js";

const ECHO: PortService = { name: "echo", kind: Service.echo };
const banner = (name: string, text: string): PortService => ({ name, kind: Service.banner, bytes: Buffer.from(text) });
const SSH = banner("ssh", "SSH-2.0-x\r\n");
const HEALTH: PortService = {
  name: "health", kind: Service.reply, bytes: Buffer.from("HTTP/1.1 200 OK\r\n\r\n"), after: Buffer.from("\r\n\r\n"),
};

function reloadable(): LinearMemory {
  return LinearMemory.create({
    mtu: 1500, reassembly: 0, reloadable: true,
    tcp: { connections: 16, memory: 1 << 16, bySource: 0, secrets: new Uint8Array(SECRETS) },
  });
}

/** Returns a table of prefixes with these lists of ports. */
function tableWith(...lists: readonly (readonly PortRange[])[]): Table {
  const prefixes = lists.map((ports, i) => {
    const [prefix] = serving([parsePrefix(`10.${i >> 8}.${i & 255}.0/24`)], { tcp: { ports } }).prefixes;
    return prefix;
  });
  return tableOf({ ...serving([]), prefixes });
}

function port(first: number, service: PortService, last = first): PortRange {
  return { first, last, service };
}

function wordsOf({ memory }: LinearMemory): Uint32Array {
  return new Uint32Array(memory.buffer);
}

/** Returns the ports of prefix `index` as they are in a table, with the address of each one's service. */
function portsAt(linear: LinearMemory, table: number, index: number): { list: number; ports: number[][] } {
  const words = wordsOf(linear);
  const list = words[(table + PREFIX_TCP + PREFIX_TCP_SIZE * index) / 4];
  if (list === 0) return { list, ports: [] };
  return { list, ports: Array.from({ length: words[list / 4] }, (_, i) => {
    const at = list / 4 + 1 + 2 * i;
    return [words[at] & 0xffff, words[at] >>> 16, words[at + 1]];
  }) };
}

function recordAt(index: number): number {
  return SERVICES + SERVICE_SIZE * index;
}

function textAt(linear: LinearMemory, address: number, length: number): string {
  return Buffer.from(new Uint8Array(linear.memory.buffer, address, length)).toString();
}

describe("ports in a table", () => {
  test("prefixes with the same ports share a list; the lists lie in their table, and a 0 is behind them", () => {
    const linear = reloadable();
    const [first, second] = [[port(7, ECHO), port(8000, SSH, 8010)], [port(22, SSH)]];
    const table = tableWith(first, second, first, []);
    const [a, b] = [linear.write(table), (linear.use(linear.write(table)), linear.write(table))];
    assert.notEqual(a, b);
    for (const at of [a, b]) {
      const [one, two, three, four] = [0, 1, 2, 3].map((i) => portsAt(linear, at, i));
      const ssh = recordAt(NAMED_SERVICES);
      assert.deepEqual(one.ports, [[7, 7, recordAt(Service.echo)], [8000, 8010, ssh]]);
      assert.deepEqual(two.ports, [[22, 22, ssh]]);
      assert.equal(three.list, one.list);
      assert.equal(four.list, 0);
      assert.deepEqual([one.list, two.list], [at + PORT_LISTS, at + PORT_LISTS + 20]);
      assert.equal(wordsOf(linear)[(two.list + 12) / 4], 0);
      assert.equal(wordsOf(linear)[(two.list + 16) / 4], 0, "and there are no ports of UDP");
    }
  });

  test("as many as there is room for, and not one more", () => {
    const linear = reloadable();
    const most = (MAX_PORT_LISTS - 12) / 8;
    const listOf = (length: number) => Array.from({ length }, (_, i) => port(1 + i % 65535, ECHO));
    linear.use(linear.write(tableWith(listOf(Math.floor(most)))));
    const before = wordsOf(linear)[NEXT_TABLE / 4];
    assert.throws(() => linear.write(tableWith(listOf(Math.floor(most) + 1))), RangeError);
    assert.equal(wordsOf(linear)[NEXT_TABLE / 4], before);
    assert.equal(portsAt(linear, before, 0).ports.length, Math.floor(most));
  });

  test("the limit of a prefix is shared by the queues, and is at least 1", () => {
    const limited = serving([parsePrefix("10.0.0.0/24")], { tcp: { ports: [], connections: 5 } });
    for (const [shares, each] of [[1, 5], [2, 3], [8, 1]]) {
      assert.deepEqual([...tableOf(limited, { shares }).tcp], [0, each]);
    }
  });
});

describe("a service", () => {
  test("has its bytes, and the end of a request, in its record", () => {
    const linear = reloadable();
    const words = wordsOf(linear);
    linear.write(tableWith([port(22, SSH), port(80, HEALTH)]));
    const [ssh, health] = [0, 1].map((i) => recordAt(NAMED_SERVICES + i) / 4);
    const kinds = [ssh, health].map((record) => words[record + SERVICE_KIND / 4]);
    assert.deepEqual(kinds, [Service.banner, Service.reply]);
    for (const [record, bytes, after] of [[ssh, SSH.bytes, undefined], [health, HEALTH.bytes, HEALTH.after]] as const) {
      const [at, length] = [words[record + SERVICE_BYTES / 4], words[record + SERVICE_BYTES_LEN / 4]];
      assert.equal(textAt(linear, at, length), Buffer.from(bytes ?? []).toString());
      const end = words[record + SERVICE_AFTER / 4];
      assert.equal(textAt(linear, end, words[record + SERVICE_AFTER_LEN / 4]), Buffer.from(after ?? []).toString());
    }
  });

  test("that does not change keeps its record and its count, whatever comes and goes beside it", () => {
    const linear = reloadable();
    const reload = (...services: PortService[]) => {
      const at = linear.write(tableWith(services.map((service, i) => port(1 + i, service))));
      linear.use(at);
      return new Map(linear.accepting(at).map(({ service, counter }) => [service, counter]));
    };
    const first = reload(banner("a", "a"), SSH, HEALTH, ECHO);
    const ssh = first.get("ssh") ?? 0;
    linear.counters[ssh] = 5;
    linear.counters[first.get("health") ?? 0] = 7;
    for (let i = 0; i < 5; i++) {
      // Another object with the same content, as each reading of a file makes it.
      const again = reload(banner(`b${i}`, "b"), HEALTH, banner("ssh", "SSH-2.0-x\r\n"), banner(`c${i}`, "c"));
      assert.deepEqual([again.get("ssh"), again.get("health")], [ssh, first.get("health")]);
      assert.deepEqual([linear.counters[ssh], linear.counters[first.get("health") ?? 0]], [5, 7]);
    }
  });

  for (const [what, changed] of [
    ["bytes", banner("ssh", "SSH-2.0-y\r\n")], ["length", banner("ssh", "SSH-2.0-x")],
    ["name", banner("sh", "SSH-2.0-x\r\n")],
    ["kind", { ...SSH, kind: Service.reply, after: Buffer.from("x") }],
  ] as const) {
    test(`of another ${what} is another one, which counts from 0; connections keep the old one`, () => {
      const linear = reloadable();
      const words = wordsOf(linear);
      const serve = (service: PortService) => {
        const at = linear.write(tableWith([port(22, service)]));
        linear.use(at);
        return linear.accepting(at)[0].counter;
      };
      const old = serve(SSH);
      const record = recordAt(old - ACCEPTED) / 4;
      linear.counters[old] = 5;
      words[record + SERVICE_USERS / 4] = 1;
      const now = serve(changed);
      assert.notEqual(now, old);
      assert.equal(linear.counters[now], 0);
      // Tables come and go; the record of a connection stays, with its bytes.
      for (let i = 0; i < 5; i++) serve(banner(`x${i}`, "x".repeat(100)));
      assert.equal(linear.counters[old], 5);
      const [bytes, length] = [words[record + SERVICE_BYTES / 4], words[record + SERVICE_BYTES_LEN / 4]];
      assert.equal(textAt(linear, bytes, length), "SSH-2.0-x\r\n");
      // It is the same service again, with the connection that it has had all the time.
      assert.equal(serve(SSH), old);
      words[record + SERVICE_USERS / 4] = 0;
      serve(ECHO);
      linear.counters[old] = 9;
      // Nobody has the old record any more, so it is somebody else's, and its count begins.
      const others = Array.from({ length: 120 }, (_, i) => banner(`y${i}`, "y"));
      const table = linear.write(tableWith(others.map((service, i) => port(1 + i, service))));
      assert.ok(linear.accepting(table).some(({ counter }) => counter === old));
      assert.equal(linear.counters[old], 0);
    });
  }

  test("is named as the configuration names it; those that accept nothing are left out", () => {
    const linear = reloadable();
    const silent: PortService = { name: "silent", kind: Service.silent };
    const at = linear.write(tableWith([port(1, silent), port(7, ECHO), port(22, SSH)]));
    assert.deepEqual(linear.accepting(at), [
      { protocol: "tcp", service: "echo", counter: ACCEPTED + Service.echo },
      { protocol: "tcp", service: "ssh", counter: ACCEPTED + NAMED_SERVICES },
    ]);
  });

  test("for which there is no room, since connections have all old ones, is refused; the old table stays", async () => {
    const linear = reloadable();
    const words = wordsOf(linear);
    const files = ["a", "b", "c"].map((letter) => {
      const names = Array.from({ length: 120 }, (_, i) => `${letter}${i}`);
      return `services: { ${names.map((name) => `${name}: { tcp: { banner: ${name} } }`).join(", ")} }\n`
        + `tcp: { ${names.map((name, i) => `${i + 1}: ${name}`).join(", ")} }\nprefixes: [10.99.0.0/16]\n`;
    });
    const place = async (text: string) =>
      (await new Content(read(text)).place({ hosts: [], others: [], memories: [linear.memory] })).tables[0];
    for (const text of files.slice(0, 2)) linear.use(await place(text));
    for (let i = NAMED_SERVICES; i < MAX_SERVICES; i++) words[(recordAt(i) + SERVICE_USERS) / 4] = 1;
    const before = words[NEXT_TABLE / 4];
    await assert.rejects(place(files[2]), (error) => {
      assert.ok(error instanceof Failure);
      assert.deepEqual([error.lines, error.exitStatus], [[
        "there is no room for this configuration: only 0 services can be added; connections have the old ones until "
        + "they end (see: pongd connections); try again then, or restart pongd",
      ], EXIT.CONFIG]);
      return true;
    });
    assert.equal(words[NEXT_TABLE / 4], before);
    assert.deepEqual(linear.accepting(before).map(({ service }) => service).sort()[0], "b0");
    // The one that is in use is read again, and needs no room.
    linear.use(await place(files[1]));
  });

  test("for whose bytes there is no room, since connections have the old ones, is refused", () => {
    const linear = reloadable();
    const words = wordsOf(linear);
    let served = 0;
    const serve = (letter: string) => {
      const services = Array.from({ length: 4 }, (_, i): PortService =>
        ({ name: `${letter}${i}`, kind: Service.banner, bytes: new Uint8Array(1 << 20).fill(letter.charCodeAt(0)) }));
      linear.use(linear.write(tableWith(services.map((service, i) => port(1 + i, service)))));
      for (const end = served + services.length; served < end; served++) {
        words[(recordAt(NAMED_SERVICES + served) + SERVICE_USERS) / 4] = 1;
      }
    };
    for (const letter of ["a", "b", "c"]) serve(letter);
    assert.throws(() => { serve("d"); }, /^RangeError: a service of \d+ bytes; connections have the old ones until they /);
  });
});

test("a million connections fit into a memory that is reloadable, and cost nothing until they come", () => {
  const linear = LinearMemory.create({
    mtu: 1500, reassembly: 1024, reloadable: true,
    tcp: { connections: 1_000_000, memory: 1 << 30, bySource: 0, secrets: new Uint8Array(SECRETS) },
  });
  assert.deepEqual(linear.tcpLimits, { connections: 1_000_000, memory: 1 << 30 });
  assert.ok(linear.memory.buffer.byteLength < 2 ** 31);
});
