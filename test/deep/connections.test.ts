/**
 * Tests the list of TCP connections where there are very many, with clients that do not read, and as
 * `pongd connections` shows it.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { after, afterEach, describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import {
  ADDRESSES, CONNECTION_SIZE, CONNECTIONS, CONNECTIONS_TOUCHED, PORTS, SERVICE, Service, SERVICE_SIZE, SERVICES, State,
  STATE,
} from "../../abi/tcp.js";
import { LinearMemory } from "../../src/engine/memory.js";
import { PrefixList } from "../../src/prefix/list.js";
import { ConnectionList } from "../../src/telemetry/connections.js";
import { Folder, hash } from "../support/certificates.js";
import { CLI, type Result } from "../support/netns.js";
import { ask, closeServed, served } from "../support/served.js";
import { LIMITS } from "../support/tcphost.js";

/** Returns a list of so many connections, of which each thousandth has the port 80 and the others 7. */
function listOf(count: number): ConnectionList {
  const { memory } = LinearMemory.create({
    mtu: 1500, reassembly: 0, blocks: 1, tcp: { ...LIMITS, connections: count, memory: 0 },
  });
  const words = new Uint32Array(memory.buffer);
  const view = new DataView(memory.buffer);
  words[CONNECTIONS_TOUCHED / 4] = count;
  for (let i = 0; i < count; i++) {
    const block = words[CONNECTIONS / 4] + CONNECTION_SIZE * i;
    view.setUint8(block + STATE, State.ESTABLISHED);
    view.setUint32(block + ADDRESSES, 0x0a00_0000 + i);
    view.setUint32(block + ADDRESSES + 4, 0x0a63_0101);
    view.setUint16(block + PORTS, 40_000);
    view.setUint16(block + PORTS + 2, i % 1000 === 0 ? 80 : 7);
    words[(block + SERVICE) / 4] = SERVICES + SERVICE_SIZE * Service.echo;
  }
  return new ConnectionList([{ index: 0, memory }], { prefixes: PrefixList.of([]) });
}

describe("very many", () => {
  afterEach(closeServed);

  test("a walk over a million leaves the event loop to others again and again", async (t) => {
    const { url } = await served({ list: listOf(1_000_000) });
    let over = false;
    let longest = 0;
    let turns = 0;
    const begun = performance.now();
    const walk = ask(`${url}/connections?port=80&service=echo&remote=10.0.0.0/9&limit=50000`).finally(() => {
      over = true;
    });
    for (let last = begun; !(over as boolean); turns++) {
      await setImmediate();
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }
    const { body } = await walk;
    const whole = performance.now() - begun;
    t.diagnostic(`${Math.round(whole)} ms in all, the longest turn ${longest.toFixed(1)} ms`);
    assert.equal(body.split("\n").length, 1001);
    assert.ok(turns > 20 && longest < whole / 4, `${turns} turns, the longest of ${longest} ms of ${whole}`);
  });

  test("requests at the same time have their slices in turn, and each gets all", async () => {
    const { url } = await served({ list: listOf(50_000), maxRequests: 40 });
    const bodies = await Promise.all(Array.from({ length: 30 }, () => ask(`${url}/connections?port=80`)));
    for (const { body } of bodies) assert.equal(body.split("\n").length, 51);
  });

  test("a scrape waits for none of them", async () => {
    const { url } = await served({ list: listOf(100_000), maxRequests: 1 });
    let done = 0;
    const walks = Array.from({ length: 40 }, async () => {
      const { body } = await ask(`${url}/connections?port=80`);
      assert.equal(body.split("\n").length, 101);
      done++;
    });
    assert.equal((await ask(`${url}/metrics`)).status, 200);
    assert.ok(done < walks.length, "they are still under way");
    await Promise.all(walks);
  });

  test("who does not read has no more made for him, and is cut", async () => {
    const list = listOf(50_000);
    let steps = 0;
    const counted = Object.assign(Object.create(list) as ConnectionList, {
      * pieces(...args: Parameters<ConnectionList["pieces"]>): ReturnType<ConnectionList["pieces"]> {
        for (const piece of ConnectionList.prototype.pieces.apply(list, args)) {
          steps++;
          yield piece;
        }
      },
    });
    const whole = [...list.pieces({ wanted: { states: 1 << State.ESTABLISHED }, limit: 50_000 })].length;
    const { port } = await served({ list: counted, termMs: 500 });
    const socket = connect(port, "127.0.0.1").pause().on("error", () => undefined);
    await once(socket, "connect");
    socket.write("GET /connections?limit=50000 HTTP/1.1\r\nHost: a\r\n\r\n");
    // By the time that a later client is cut, the term of the first is over but for the time of its pieces.
    for (let i = 0; i < 4; i++) {
      const idle = connect(port, "127.0.0.1").on("error", () => undefined);
      idle.write("GET");
      await once(idle.resume(), "close");
    }
    await once(socket.resume(), "close");
    assert.ok(steps < whole, `${steps} pieces of ${whole}`);
  });
});

describe("pongd connections", () => {
  const folder = new Folder();
  afterEach(closeServed);
  after(() => folder.remove());

  const connections = async (...args: readonly string[]): Promise<Result> => {
    const child = spawn(process.execPath, [CLI, "connections", ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk) => { stdout += String(chunk); });
    child.stderr.on("data", (chunk) => { stderr += String(chunk); });
    const [status] = await once(child, "close") as [number | null];
    return { status, stdout, stderr };
  };
  const against = async (answer: RequestListener): Promise<Result & { address: string }> => {
    const server = createServer(answer).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      return { ...await connections(address), address };
    } finally {
      server.closeAllConnections();
      server.close();
    }
  };

  test("two lines each with a heading, or an object a line, of what the options ask for", async () => {
    const { url } = await served({ list: listOf(3000) });
    const people = await connections(url, "--port", "80");
    assert.deepEqual([people.status, people.stderr], [0, ""]);
    assert.match(people.stdout, /^STATE +LOCAL +REMOTE +SERVICE +PREFIX\n(established +10\.99\.1\.1:80 .*\n +.*\n){3}$/);
    const json = await connections(
      `${url}/metrics`, "--json", "--port", "80", "--remote", "10.0.3.233", "--state", "all",
    );
    assert.deepEqual(
      [json.status, json.stderr, json.stdout], [0, "pongd: no connections\n", ""], "10.0.3.233 has another port",
    );
    const one = await connections(url, "--json", "--remote", "10.0.3.232/29", "--service", "echo");
    assert.deepEqual(
      one.stdout.trimEnd().split("\n").map((line) => (JSON.parse(line) as { remoteAddress: string }).remoteAddress),
      Array.from({ length: 8 }, (_, i) => `10.0.3.${232 + i}`),
    );
  });

  test("a service that there is not: it says so, if its list is empty", async () => {
    const text = () => "# TYPE x\npongd_tcp_accepted_total{service=\"echo\",queue=\"0\"} 1\n";
    const { url } = await served({ list: listOf(1), text });
    for (const [service, port, stderr] of [
      ["nope", "80", "pongd: no port has a service \"nope\" that accepts connections\n"],
      ["ech", "80", "pongd: no port has a service \"ech\" that accepts connections\n"],
      ["echo", "81", "pongd: no connections\n"], ["echo", "80", ""],
    ]) {
      const listed = await connections(url, "--service", service, "--port", port);
      assert.deepEqual([listed.status, listed.stderr], [0, stderr], service);
    }
  });

  test("a list that ends at its limit says so", async () => {
    const { url } = await served({ list: listOf(600) });
    const byDefault = await connections(url);
    assert.equal(byDefault.stdout.split("\n").length, 1002);
    assert.match(byDefault.stderr, /there may be more than these 500; see --limit/);
    const few = await connections(url, "--limit", "2", "--json");
    assert.deepEqual([few.status, few.stdout.split("\n").length], [0, 3]);
    assert.match(few.stderr, /there may be more than these 2; see --limit/);
    assert.equal((await connections(url, "--limit", "601")).stderr, "");
  });

  test("the end of who reads the list is no error", async () => {
    const { url } = await served({ list: listOf(50_000) });
    const child = spawn(
      process.execPath, [CLI, "connections", url, "--limit", "50000"], { stdio: ["ignore", "pipe", "pipe"] },
    );
    let stderr = "";
    child.stderr.on("data", (chunk) => { stderr += String(chunk); });
    child.stdout.once("data", () => { child.stdout.destroy(); });
    const [status] = await once(child, "close") as [number | null];
    assert.equal(status, 0, stderr);
  });

  test("a user and a password", async () => {
    const web = folder.write("users.yml", `basic_auth_users: { ada: "${hash("right")}" }\n`);
    const { url, port } = await served({ list: listOf(1), web });
    const refused = await connections(url);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /connections: it wants another user or password; .*\n$/);
    const password = folder.write("password", "right\n");
    const { status, stdout, stderr } = await connections(`ada@127.0.0.1:${port}`, "--password-file", password);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, /10\.99\.1\.1:80/);
  });

  for (const [args, message] of [
    [["--port", "x"], "--port: \"x\" is not a whole number from 1 to 65535"],
    [["--state", "ESTAB"], "--state: \"ESTAB\" is not a state; expected syn-sent, .*"],
    [["--local", "1"], "--local: \"1\" is not a prefix; .*"], [["--limit", "1e9"], "--limit: \"1e9\" is not a .*"],
    [["--ca", "x"], "--ca: for TLS alone; write https:// before the host"], [["http://"], "the address is no URL .*"],
    [["a", "b"], ".*too many arguments.*"], [["--sort", "x"], "unknown option '--sort'.*"],
  ] as const) {
    test(`${args.join(" ")} is wrong, in one line, before anything is asked`, async () => {
      const { status, stdout, stderr } = await connections(...args);
      assert.deepEqual([status, stdout], [2, ""], stderr);
      assert.match(stderr, new RegExp(`^(pongd: )?(error: )?${message}\\n$`));
    });
  }

  for (const [what, answer, message] of [
    ["503", (_, response) => response.writeHead(503).end(), "503: pongd is not up yet"],
    ["404", (_, response) => response.writeHead(404).end(),
      "404 Not Found: no connections are there; is it a pongd\\?"],
    ["something else", (_, response) => response.end("<html>\n"), "line 1 is no connection; is it a pongd\\?"],
    ["an answer that does not end", (_, response) => { response.write("{}\n", () => response.destroy()); },
      "the connection was closed before the answer's end .*"],
  ] as const satisfies readonly (readonly [string, RequestListener, string])[]) {
    test(`a server that answers ${what} is told in one line`, async () => {
      const { status, stdout, stderr, address } = await against(answer);
      assert.deepEqual([status, stdout], [1, ""]);
      assert.match(stderr, new RegExp(`http://${address}/connections: ${message}\\n$`));
      assert.match(stderr, /^[^\n]*\n$/);
    });
  }

  test("nothing listens there", async () => {
    const { status, stderr } = await connections("127.0.0.1:1");
    assert.equal(status, 1);
    assert.match(stderr, /http:\/\/127\.0\.0\.1:1\/connections: nothing listens there; .*\n$/);
  });
});
