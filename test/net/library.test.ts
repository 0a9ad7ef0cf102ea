/** Tests pongd as a library: programs that use it, in a namespace, and what clients and servers there see. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { CLI, ended, needs, Netns, poll, said } from "../support/netns.js";
import { asUser, USER } from "../support/user.js";
import { certificate } from "../support/x509.js";

/** curl's status when it cannot connect. */
const REFUSED = 7;

/** What each program begins with: it does what comes on standard input, and prints what comes of it. */
const PRELUDE = `
import { open } from "pongd";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { once } from "node:events";
import { createInterface } from "node:readline";
const lines = createInterface(process.stdin)[Symbol.asyncIterator]();
const asked = async () => (await lines.next()).value;
const say = (what) => console.log(typeof what === "string" ? what : JSON.stringify(what));
const failing = (promise) => promise.then(() => "nothing", ({ name, code, message }) => ({ name, code, message }));
/** A kernel's server, which says who connects, and ends when they do. */
const server = net.createServer((socket) => {
  socket.on("error", () => {}).end(\`you are \${socket.remoteAddress} \${socket.remotePort}\`).resume();
}).listen(9000, "10.99.0.1", () => {}).unref();
server.on("error", () => {});
`;

class Program {
  readonly child;
  #said = "";
  #wrong = "";

  constructor(ns: Netns, code: string, wrapper: readonly string[] = []) {
    const [command, ...args] = [...wrapper, process.execPath, "--input-type=module", "-e", PRELUDE + code];
    this.child = ns.spawn(command, ...args);
    this.child.stdout.on("data", (chunk) => { this.#said += String(chunk); });
    this.child.stderr.on("data", (chunk) => { this.#wrong += String(chunk); });
  }

  /** What it has written on standard error. */
  get wrong(): string {
    return this.#wrong;
  }

  /** Fulfilled when it has said a line that matches, or that is this text. */
  async says(line: RegExp | string): Promise<void> {
    const pattern = typeof line === "string" ? new RegExp(`^${line}$`, "m") : line;
    try {
      await said(this.child.stdout, pattern, this.#said);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.#wrong}`, { cause: error });
    }
  }

  /** All that it has said so far, a line each. */
  get lines(): string[] {
    return this.#said.split("\n").slice(0, -1);
  }

  tell(line = ""): void {
    this.child.stdin.write(`${line}\n`);
  }

  /** Its status once it has ended, which standard input does not keep it from. */
  async status(): Promise<number | null> {
    this.child.stdin.end();
    return ended(this.child);
  }
}

describe("the library", needs("curl", "socat"), () => {
  let ns: Netns;
  before(async () => { ns = await Netns.open(); });
  after(() => ns.close());
  afterEach(async () => {
    await ns.close();
    ns = await Netns.open();
  });

  const get = (url: string, ...options: string[]) => ns.ok("curl", "-sS", "--max-time", "100", ...options, url);
  const status = async (url: string) => (await ns.run("curl", "-sS", "--max-time", "100", url)).status;
  const devices = async () => (await ns.ip<{ ifname: string }>("link")).map(({ ifname }) => ifname);
  const gone = () => poll(devices, (names) => names.join() === "lo");
  /** Runs a program to its end, and returns what it said. */
  const run = async (code: string, wrapper: readonly string[] = []) => {
    const program = new Program(ns, code, wrapper);
    const status = await program.status();
    assert.equal(status, 0, program.wrong);
    return program.lines;
  };

  test("an http.Server serves every address, of all prefixes or of one, until its port is closed", async () => {
    const program = new Program(ns, `
      const pongd = await open({ prefixes: ["10.99.0.0/16", { prefix: "10.99.8.0/24" }, "fd99::/64"] });
      const answer = (text) => http.createServer((request, response) => {
        const { localAddress, localPort, remoteAddress } = request.socket;
        response.end(\`\${text} \${localAddress} \${localPort} \${remoteAddress}\`);
      });
      const all = await pongd.serve(80, answer("all"));
      const one = await pongd.serve("80-81", answer("one"), { prefix: "10.99.8.0/24" });
      say([pongd.device, pongd.mtu, pongd.addresses, pongd.hostAddresses, pongd.urls, all.ports, one.ports]);
      await asked();
      await Promise.all([all.close(), all.close()]);
      say("refuses");
      await asked();
      await pongd.close();
      await pongd.close();
      say(await failing(pongd.serve(1, answer())));
      say(await failing(pongd.metrics()));
      say(await pongd.closed === undefined);
    `);
    await program.says(/pong0/);
    assert.deepEqual(JSON.parse(program.lines[0]), [
      "pong0", 1500, ["10.99.1.1", "fd99::101"], ["10.99.0.1", "fd99::1"], [], "80", "80-81",
    ]);
    for (const address of ["10.99.1.1", "10.99.255.254"]) {
      assert.equal(await get(`http://${address}/`), `all ${address} 80 10.99.0.1`);
    }
    assert.equal(await get("http://[fd99::77]/"), "all fd99::77 80 fd99::1");
    assert.equal(await get("http://10.99.8.1:81/"), "one 10.99.8.1 81 10.99.0.1");
    assert.equal(await get("http://10.99.8.1/"), "one 10.99.8.1 80 10.99.0.1");
    assert.equal(await status("http://10.99.1.1:81/"), REFUSED);
    await ns.pings(1, "10.99.1.1");
    program.tell();
    await program.says("refuses");
    assert.equal(await status("http://10.99.1.1/"), REFUSED);
    assert.equal(await get("http://10.99.8.1/"), "one 10.99.8.1 80 10.99.0.1");
    program.tell();
    assert.equal(await program.status(), 0, program.wrong);
    const closed = { name: "PongdError", code: "ERR_PONGD_CLOSED", message: "pongd is closed" };
    assert.deepEqual(program.lines.slice(2).map((line) => JSON.parse(line) as unknown), [closed, closed, true]);
    assert.deepEqual(await devices(), ["lo"]);
  });

  test("listen() hands over sockets, half open if asked; a net.Server and an https.Server take them, too", async () => {
    const { cert, key } = certificate("DNS:pongd.test");
    const program = new Program(ns, `
      const pongd = await open({ prefixes: ["10.99.0.0/16"] });
      await pongd.listen("7-9", (socket) => socket.pipe(socket));
      await pongd.listen(10, (socket) => {
        const chunks = [];
        // Not at once: a socket that is not half open would have ended by then.
        socket.on("data", (chunk) => chunks.push(chunk)).on("end", () => setImmediate(() => {
          socket.end(\`heard \${Buffer.concat(chunks)}\`);
        }));
      }, { allowHalfOpen: true });
      await pongd.serve(11, net.createServer((socket) => socket.end(\`net \${socket.localPort}\\n\`)));
      const [cert, key] = ${JSON.stringify([cert, key])};
      await pongd.serve(443, https.createServer({ cert, key }, (request, response) => {
        response.end(\`secure \${request.socket.localAddress}\`);
      }));
      say("ready");
      await asked();
      // An idle connection of HTTP's does not delay this.
      await pongd.close();
    `);
    await program.says("ready");
    const say = (port: number, text: string) => {
      const child = ns.spawn("socat", "-t", "100", "-", `TCP:10.99.3.3:${port}`);
      child.stdin.end(text);
      return said(child.stdout, /heard there|echo this|net 11/);
    };
    assert.equal(await say(8, "echo this"), "echo this");
    assert.equal(await say(10, "there"), "heard there");
    assert.equal(await say(11, ""), "net 11\n");
    assert.equal(await get("https://10.99.3.3/", "-k"), "secure 10.99.3.3");
    program.tell();
    assert.equal(await program.status(), 0, program.wrong);
  });

  test("bind() hands over datagrams, of all prefixes or of one; answers come at any time", async () => {
    const lines = await run(`
      import dgram from "node:dgram";
      process.on("uncaughtException", ({ message }) => say(\`uncaught: \${message}\`));
      const pongd = await open({ prefixes: ["10.99.0.0/16", { prefix: "fd99::/64", name: "lab" }] });
      const bound = await pongd.bind("53-54", (message, { address, port, ...remote }, reply) => {
        if (message.length === 0) throw new Error("told to fail");
        reply(JSON.stringify(remote));
        setTimeout(() => reply(message), 1);
      });
      await pongd.bind(55, (message, remote, reply) => reply("one"), { prefix: "10.99.0.0/16", sources: "any" });
      const ask = async (address, port, data, from = 0) => {
        const socket = dgram.createSocket(address.includes(":") ? "udp6" : "udp4");
        socket.bind(from);
        await once(socket, "listening");
        socket.connect(port, address);
        await once(socket, "connect");
        socket.send(data);
        const heard = [];
        const over = once(socket, "error").then(([{ code }]) => code);
        const two = new Promise((resolve) => socket.on("message", (text) => {
          if (heard.push(String(text)) === (port === 55 ? 1 : 2)) resolve(heard);
        }));
        say(await Promise.race([two, over]));
        socket.close();
      };
      await ask("10.99.7.7", 54, "four");
      await ask("fd99::7", 53, "six");
      await ask("10.99.7.7", 55, "?", 53);
      await ask("fd99::7", 55, "?");
      const thrown = once(process, "uncaughtException");
      const socket = dgram.createSocket("udp4");
      socket.send("", 53, "10.99.1.1");
      await thrown;
      socket.close();
      await ask("10.99.1.1", 53, "goes on");
      say(await failing(pongd.bind(54, () => {})));
      await bound.close();
      await ask("10.99.7.7", 53, "?");
      await pongd.close();
    `);
    const remote = (family: string, localAddress: string, localPort: number, more: object) =>
      JSON.stringify([JSON.stringify({ family, localAddress, localPort, ...more }), ""]).slice(0, -3);
    const [four, six, one, refused, failed, again, taken, closed, ...rest] = lines;
    assert.ok(four.startsWith(remote("IPv4", "10.99.7.7", 54, { prefix: "10.99.0.0/16" })), four);
    assert.ok(four.endsWith("\"four\"]"), four);
    assert.ok(six.startsWith(remote("IPv6", "fd99::7", 53, { prefix: "fd99::/64", name: "lab" })), six);
    assert.deepEqual([one, refused, failed], ["[\"one\"]", "ECONNREFUSED", "uncaught: told to fail"]);
    assert.ok(again.endsWith("\"goes on\"]"), again);
    assert.deepEqual(JSON.parse(taken), {
      name: "PongdError", code: "ERR_PONGD_PORT",
      message: "port 54 is taken: 53-54 has the service \"UDP port 53-54\"",
    });
    assert.deepEqual([closed, rest], ["ECONNREFUSED", []]);
  });

  for (const mode of ["tun", "tap"]) {
    test(`${mode}: connect() reaches a server of the kernel's from any address, or says why not`, async () => {
      const heard = await run(`
        const pongd = await open({ prefixes: ["10.99.0.0/16"], device: { mode: "${mode}" } });
        if (!server.listening) { server.listen(9000, "10.99.0.1"); await once(server, "listening"); }
        const talk = async (options) => {
          const socket = pongd.connect({ host: "10.99.0.1", port: 9000, ...options });
          const told = [socket.connecting];
          await once(socket, "connect");
          const { localAddress, localPort = 0, remotePort } = socket;
          told.push(socket.connecting, localAddress, remotePort);
          for await (const chunk of socket) told.push(String(chunk).replace(/ \\d+$/, (port) => {
            return Number(port) === (options.localPort ?? localPort) ? "" : \` from\${port}\`;
          }));
          return told;
        };
        say(await talk({ localAddress: "10.99.77.7" }));
        say(await talk({ localAddress: "10.99.77.7", localPort: 1234, host: "10.99.0.1" }));
        say(await talk({ lookup: (name, options, done) => done(null, "10.99.0.1", 4), host: "a.name" }));
        const refused = pongd.connect({ host: "10.99.0.1", port: 9001 });
        const [{ code, syscall, address, port }] = await once(refused, "error");
        say([code, syscall, address, port]);
        await pongd.close();
      `);
      assert.deepEqual(heard.map((line) => JSON.parse(line) as unknown), [
        [true, false, "10.99.77.7", 9000, "you are 10.99.77.7"],
        [true, false, "10.99.77.7", 9000, "you are 10.99.77.7"],
        [true, false, "10.99.1.1", 9000, "you are 10.99.1.1"], ["ECONNREFUSED", "connect", "10.99.0.1", 9001],
      ]);
    });
  }

  test("connect(): a timeout, a signal, a name that there is not, options that are wrong", async () => {
    const heard = await run(`
      const pongd = await open({ prefixes: ["10.99.0.0/16"] });
      // Nothing answers behind a route that leads to pongd itself.
      const silent = { host: "192.0.2.1", port: 80, localAddress: "10.99.1.1" };
      const late = pongd.connect({ ...silent, timeout: 10 });
      await once(late, "timeout");
      say([late.connecting, late.destroyed]);
      late.destroy();
      const aborted = new AbortController();
      const socket = pongd.connect({ ...silent, signal: aborted.signal });
      aborted.abort();
      say((await once(socket, "error"))[0].name);
      const lookup = (name, options, done) => done(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }));
      say((await once(pongd.connect({ ...silent, host: "a.name", lookup }), "error"))[0].code);
      say((await once(pongd.connect({ ...silent, localAddress: undefined, host: "2001:db8::1" }), "error"))[0].code);
      say((await once(pongd.connect({ ...silent, localAddress: "192.0.2.9" }), "error"))[0].code);
      for (const wrong of [{ port: 0 }, { port: "x" }, { localPort: 70000 }, { localAddress: "x" }]) {
        try { pongd.connect({ ...silent, ...wrong }); } catch ({ code }) { say(code); }
      }
      const left = pongd.connect(silent);
      left.on("error", ({ code }) => say(code));
      await new Promise(setImmediate);
      await pongd.close();
      try { pongd.connect(silent); } catch ({ code }) { say(code); }
    `);
    assert.deepEqual(heard, [
      "[true,false]", "AbortError", "ENOTFOUND", "ERR_PONGD_ADDRESS", "EADDRNOTAVAIL", "ERR_SOCKET_BAD_PORT",
      "ERR_SOCKET_BAD_PORT", "ERR_SOCKET_BAD_PORT", "ERR_INVALID_IP_ADDRESS", "ECONNABORTED", "ERR_PONGD_CLOSED",
    ]);
  });

  test("connect() refuses several queues", async () => {
    assert.deepEqual(await run(`
      const pongd = await open({ prefixes: ["10.99.0.0/16"], device: { queues: 2 } });
      try { pongd.connect({ host: "10.99.0.1", port: 1 }); } catch ({ code }) { say(code); }
      await pongd.close();
    `), ["ERR_PONGD_QUEUES"]);
  });

  test("http.request() and an Agent use its connections", async () => {
    const heard = await run(`
      const pongd = await open({ prefixes: ["10.99.0.0/16"] });
      const web = http.createServer((request, response) => response.end(request.socket.remoteAddress));
      await once(web.listen(8000, "10.99.0.1"), "listening");
      const agent = new http.Agent({ keepAlive: true });
      agent.createConnection = (options) => pongd.connect({ ...options, localAddress: "10.99.5.5" });
      const get = async (options) => {
        const request = http.get({ host: "10.99.0.1", port: 8000, ...options });
        const [response] = await once(request, "response");
        let text = "";
        for await (const chunk of response) text += chunk;
        say(text + (request.reusedSocket ? " again" : ""));
      };
      await get({ createConnection: (options) => pongd.connect({ ...options, localAddress: "10.99.4.4" }) });
      await get({ agent });
      await new Promise(setImmediate);
      await get({ agent });
      agent.destroy();
      web.close();
      await pongd.close();
    `);
    assert.deepEqual(heard, ["10.99.4.4", "10.99.5.5", "10.99.5.5 again"]);
  });

  test("close() gives connections shutdown_delay: whoever hears of it may end, the others are reset", async () => {
    const program = new Program(ns, `
      const pongd = await open({ prefixes: ["10.99.0.0/16"], shutdown_delay: "200ms" });
      const sockets = new Set();
      await pongd.listen(7, (socket) => { socket.write("hello\\n"); socket.once("closing", () => socket.end("bye\\n")); });
      await pongd.listen(8, (socket) => {
        socket.write("hello\\n");
        socket.on("closing", () => say("closing")).on("error", ({ code }) => say(code)).on("close", () => say("close"));
      });
      say("ready");
      await asked();
      await pongd[Symbol.asyncDispose]();
      say("over");
    `);
    await program.says("ready");
    const [polite, stubborn] = [7, 8].map((port) => ns.spawn("socat", "-d", "-t", "100", "-", `TCP:10.99.1.1:${port}`));
    await Promise.all([polite, stubborn].map(({ stdout }) => said(stdout, /hello/)));
    const [bye, reset] = [said(polite.stdout, /bye/), said(stubborn.stderr, /reset by peer/)];
    program.tell();
    await Promise.all([bye, reset]);
    assert.equal(await program.status(), 0, program.wrong);
    assert.deepEqual(program.lines, ["ready", "closing", "ECONNRESET", "close", "over"]);
  });

  for (const [what, scheme, create] of [
    ["HTTP/2", "http", "http2.createServer"],
    ["HTTP/2 over TLS", "https", `http2.createSecureServer.bind(undefined, ${JSON.stringify(certificate("DNS:pongd.test"))})`],
  ]) {
    test(`close() ends sessions of ${what} behind the responses that they owe`, async () => {
      const program = new Program(ns, `
        const http2 = await import("node:http2");
        const pongd = await open({ prefixes: ["10.99.0.0/16"], shutdown_delay: "100s" });
        const owed = [];
        await pongd.serve(80, (${create})((request, response) => {
          if (request.url === "/later") owed.push(response);
          else response.end();
        }));
        const begin = async (name, path) => {
          const session = http2.connect("${scheme}://10.99.1.1:80", { rejectUnauthorized: false });
          session.on("goaway", (code) => say(\`\${name}: goaway \${code}\`)).on("error", ({ code }) => say(code));
          session.on("close", () => say(\`\${name}: close\`));
          const stream = session.request({ ":path": path });
          stream.on("response", ({ ":status": status }) => say(\`\${name}: \${status}\`)).resume().end();
          if (path === "/") await once(stream, "close");
        };
        await begin("idle", "/");
        await begin("busy", "/later");
        while (owed.length === 0) await new Promise(setImmediate);
        say("ready");
        await asked();
        const closed = pongd.close();
        await asked();
        for (const response of owed) response.end();
        await closed;
        say("over");
      `);
      await program.says("ready");
      program.tell();
      await Promise.all(["idle: close", "busy: goaway 0"].map((line) => program.says(line)));
      program.tell();
      assert.equal(await program.status(), 0, program.wrong);
      const of = (name: string) => program.lines.filter((line) => line.startsWith(name));
      assert.deepEqual(of("idle"), ["idle: 200", "idle: goaway 0", "idle: close"]);
      assert.deepEqual(of("busy"), ["busy: goaway 0", "busy: 200", "busy: close"]);
      assert.deepEqual(of("over"), ["over"]);
    });
  }

  test("what a handler throws is the caller's, and the connections that are there go on", async () => {
    const program = new Program(ns, `
      process.on("uncaughtException", ({ message }) => say(\`uncaught: \${message}\`));
      const pongd = await open({ prefixes: ["10.99.0.0/16"] });
      const fail = (text) => { throw new Error(text); };
      await pongd.listen(7, (socket) => socket.pipe(socket));
      await pongd.listen(8, () => fail("at once"));
      await pongd.listen(9, (socket) => socket.on("data", () => fail("at data")).on("end", () => fail("at end")));
      await pongd.listen(10, async () => fail("later"));
      say("ready");
      await asked();
      await pongd.close();
    `);
    await program.says("ready");
    const echo = ns.spawn("socat", "-t", "100", "-", "TCP:10.99.1.1:7");
    echo.stdin.write("one\n");
    await said(echo.stdout, /one/);
    for (const [port, texts] of [[8, ["at once"]], [9, ["at data", "at end"]], [10, ["later"]]] as const) {
      const child = ns.spawn("socat", "-t", "100", "-", `TCP:10.99.1.1:${port}`);
      child.stdin.end("x\n");
      for (const text of texts) await program.says(`uncaught: ${text}`);
      child.kill();
    }
    echo.stdin.write("two\n");
    await said(echo.stdout, /two/);
    echo.stdin.end();
    await ended(echo);
    program.tell();
    assert.equal(await program.status(), 0, program.wrong);
  });

  for (const [when, code] of [
    ["once it is open", "await open({ prefixes: [\"10.99.0.0/16\"] }); process.exit(77);"],
    [
      "while it opens, at any moment",
      "void open({ prefixes: [\"10.99.0.0/16\"] }); setTimeout(() => process.exit(77), Math.random() * 300);",
    ],
    ["with connections", `
      const pongd = await open({ prefixes: ["10.99.0.0/16"] });
      await pongd.listen(7, () => process.exit(77));
      net.connect(7, "10.99.1.1");
    `],
    ["by an exception", `
      const pongd = await open({ prefixes: ["10.99.0.0/16"] });
      await pongd.listen(7, () => { throw new Error("it fails"); });
      process.exitCode = 1;
      process.once("uncaughtExceptionMonitor", () => process.once("exit", () => { process.exitCode = 77; }));
      net.connect(7, "10.99.1.1");
    `],
  ]) {
    test(`the process ends ${when}: packet loops do not keep it, and the device goes`, async () => {
      const program = new Program(ns, code);
      assert.equal(await program.status(), 77, program.wrong);
      await gone();
    });
  }

  test("a signal ends the process as any other, and the device goes", async () => {
    const program = new Program(ns, "await open({ prefixes: [\"10.99.0.0/16\"] }); say(\"ready\");");
    await program.says("ready");
    program.child.kill("SIGTERM");
    await program.status();
    assert.equal(program.child.signalCode, "SIGTERM");
    await gone();
  });

  test("unref() lets the process end, ref() does not", async () => {
    assert.deepEqual(await run(`
      const pongd = await open({ prefixes: ["10.99.0.0/16"] });
      pongd.unref().ref().unref();
      process.on("exit", () => say("exit"));
    `), ["exit"]);
    await gone();
  });

  test("it is opened in a thread that is terminated: that ends, the device goes, and the process goes on", async () => {
    const program = new Program(ns, `
      import { Worker } from "node:worker_threads";
      const worker = new Worker(\`
        import("pongd").then(async ({ open }) => {
          const pongd = await open({ prefixes: ["10.99.0.0/16"] });
          await pongd.listen(7, (socket) => socket.pipe(socket));
          require("node:worker_threads").parentPort.postMessage("open");
        });
      \`, { eval: true, execArgv: [] });
      say(String(await Promise.race([once(worker, "message"), once(worker, "error")])));
      await asked();
      await worker.terminate();
      say("terminated");
      await asked();
      const pongd = await open({ prefixes: ["10.99.0.0/16"] });
      await pongd.close();
      say("again");
    `);
    await program.says("open");
    const echo = ns.spawn("socat", "-t", "100", "-", "TCP:10.99.1.1:7");
    echo.stdin.write("one\n");
    await said(echo.stdout, /one/);
    program.tell();
    await program.says("terminated");
    await gone();
    program.tell();
    await program.says("again");
    assert.equal(await program.status(), 0, program.wrong);
  });

  test("a thread that alone has pongd is terminated, and the process goes on", async () => {
    // Without the prelude, which has the main thread import pongd.
    const code = `
      const { Worker } = require("node:worker_threads");
      const worker = new Worker(\`
        import("pongd").then(async ({ open }) => {
          await open({ prefixes: ["10.99.0.0/16"] });
          require("node:worker_threads").parentPort.postMessage("open");
        });
      \`, { eval: true });
      worker.once("message", async () => {
        await worker.terminate();
        console.log("goes on");
      });
    `;
    assert.equal(await ns.ok(process.execPath, "-e", code), "goes on\n");
    await gone();
  });

  test("ports are served and closed under load: connections that are there lose nothing", async () => {
    const [count] = await run(`
      const pongd = await open({ prefixes: ["10.99.0.0/16"] });
      await pongd.listen(7, (socket) => socket.pipe(socket));
      const talk = async (socket, text) => {
        socket.write(text);
        let heard = "";
        while (heard.length < text.length) heard += String((await once(socket, "data"))[0]);
        if (heard !== text) throw new Error(\`\${heard} for \${text}\`);
      };
      const connected = async (port) => {
        const socket = net.connect(port, "10.99.1.1");
        await once(socket, "connect");
        return socket;
      };
      const steady = await connected(7);
      let rounds = 0;
      let over = false;
      const load = (async () => {
        for (; !over; rounds++) {
          await talk(steady, \`round \${rounds}\\n\`);
          const once = await connected(7);
          await talk(once, "hello");
          once.destroy();
        }
      })();
      const kept = [];
      for (let i = 0; i < 40; i++) {
        const served = await pongd.listen(8, (socket) => socket.on("data", (data) => socket.write(data)));
        const socket = await connected(8);
        await talk(socket, \`\${i}\`);
        kept.push(socket);
        await served.close();
        const refused = net.connect(8, "10.99.1.1");
        const [{ code }] = await once(refused, "error");
        if (code !== "ECONNREFUSED") throw new Error(code);
      }
      for (const [i, socket] of kept.entries()) await talk(socket, \`still \${i}\`);
      // Those who ask at the same time are served one after the other.
      await Promise.all([9, 10, 11].map((port) => pongd.listen(port, (socket) => socket.end("x"))));
      for (const port of [9, 10, 11]) await once(await connected(port), "data");
      over = true;
      await load;
      for (const socket of [steady, ...kept]) socket.destroy();
      await pongd.close();
      say(rounds > 10 ? "many" : rounds);
    `);
    assert.equal(count, "many");
  });

  test("a configuration that is wrong is refused, line by line", async () => {
    const heard = (await run(`
      const refused = async (configuration) => say(await failing(open(configuration)));
      await refused({ prefixes: ["10.99.0.0/99", "10.1.0.0/16", "x"], device: { mtu: 1 }, tpc: {} });
      await refused({ prefixes: [] });
      await refused({});
      await refused(undefined);
      await refused({ prefixes: ["10.99.0.0/16"], tcp: { 80: "nothing" } });
      await refused({ prefixes: ["10.99.0.0/16"], privileges: "drop", log: { format: "json" }, service_threads: 2 });
      await refused({ prefixes: ["10.99.0.0/16"], comment: () => {} });
      const reason = new Error("not now");
      say((await failing(open({ prefixes: ["10.99.0.0/16"] }, { signal: AbortSignal.abort(reason) }))).message);
      const aborted = new AbortController();
      const opening = failing(open({ prefixes: ["10.99.0.0/16"] }, { signal: aborted.signal }));
      aborted.abort(reason);
      say((await opening).message);
      const pongd = await open({ prefixes: ["10.99.0.0/16"], tcp: { "80-90": "echo" } });
      for (const [port, options] of [[0], ["http"], [85], ["79-80"], [1, { prefix: "10.98.0.0/16" }]]) {
        say(await failing(pongd.listen(port, () => {}, options)));
      }
      await pongd.listen(7, () => {});
      say(await failing(pongd.listen(7, () => {})));
      say(await failing(pongd.serve(8, () => {})));
      say(await failing(pongd.serve(8)));
      say(await failing(pongd.listen(8, server)));
      say(await failing(pongd.bind(8)));
      await pongd.close();
    `)).map((line) => line.startsWith("{") ? JSON.parse(line) as unknown : line);
    const error = (code: string, message: string) => ({ name: "PongdError", code, message });
    const config = (...lines: string[]) => error("ERR_PONGD_CONFIG", lines.join("\n"));
    const port = (message: string) => error("ERR_PONGD_PORT", message);
    const noServer = { name: "TypeError", message: "serve() needs a server; listen() takes a function" };
    const unused = ["service_threads", "privileges", "log.format"];
    const none = "configuration.prefixes: there is none; expected at least one, like 10.99.0.0/16";
    assert.deepEqual(heard, [
      config(
        "configuration.device.mtu is 1; expected a whole number from 68 to 65535",
        "configuration.tpc: unknown key \"tpc\"; did you mean tcp?",
        "configuration.prefixes[0]: prefix \"10.99.0.0/99\": write a whole number from 0 to 32 after \"/\"",
        "configuration.prefixes[2]: \"x\" is not a prefix; write it like 10.99.0.0/16 or 2001:db8::/64",
      ),
      config(none), config(none), config("configuration: it is empty; expected keys like prefixes"),
      config("configuration.tcp[\"80\"]: port 80: \"nothing\" is not a service; expected refuse, silent, echo, "
        + "discard, chargen, tarpit, http, proxy:HOST:PORT or a name under services"),
      config(...unused.map((key) => `configuration.${key}: it has no use here; leave it out`)),
      config("the configuration is no plain object: () => {} could not be cloned."),
      "not now", "not now",
      port("\"0\" is not a port; expected 1 to 65535, or a range like 8000-8010"),
      port("\"http\" is not a port; expected 1 to 65535, or a range like 8000-8010"),
      port("port 85 is taken: 80-90 has the service \"echo\""),
      port("port 79-80 is taken: 80-90 has the service \"echo\""),
      port("10.98.0.0/16 is none of the prefixes"),
      port("port 7 is taken: 7 has the service \"port 7\""),
      noServer, noServer,
      { name: "TypeError", message: "listen() needs a function; serve() takes a server" },
      { name: "TypeError", message: "bind() needs a function" },
    ]);
  });

  test("the log comes as objects, or as warnings; metrics come as text; listen has a page", async () => {
    const heard = await run(`
      const log = [];
      const configuration = { prefixes: ["10.99.0.0/16"], log: { level: "debug" }, listen: "127.0.0.1:0" };
      const pongd = await open(configuration, { log: (entry) => log.push(entry) });
      await pongd.serve(80, http.createServer((request, response) => response.end("x")));
      await (await fetch("http://10.99.1.1/")).text();
      const metrics = await pongd.metrics();
      say(/^pongd_tcp_accepted_total\\{service="port 80",queue="0"\\} 1$/m.test(metrics));
      say((await (await fetch(pongd.urls[0] + "/metrics")).text()).includes("pongd_tcp_accepted_total{service=\\"port 80\\""));
      await pongd.close();
      say(log.every(({ level, time, msg }) => /^(debug|info)$/.test(level) && !isNaN(Date.parse(time)) && msg.length > 0));
      say(log.some(({ msg, device }) => msg === "device open" && device === "pong0"));
    `);
    assert.deepEqual(heard, ["true", "true", "true", "true"]);
  });

  test("the page, proxies and handlers of a configuration run in the caller's thread", async () => {
    const program = new Program(ns, `
      const backend = net.createServer((socket) => socket.end("HTTP/1.0 200 OK\\r\\n\\r\\nbackend")).listen(8080, "127.0.0.1");
      await once(backend, "listening");
      const pongd = await open({ prefixes: ["10.99.0.0/16"], tcp: { 80: "http", 81: "proxy:127.0.0.1:8080", 82: "site" },
        services: { site: { http: { root: "docs" } } } });
      say("ready");
      await asked();
      backend.close();
      await pongd.close();
    `);
    await program.says("ready");
    assert.match(await get("http://10.99.1.1/"), /^10\.99\.1\.1:80 of 10\.99\.0\.0\/16 answers /);
    assert.equal(await get("http://10.99.1.1:81/"), "backend");
    assert.match(await get("http://10.99.1.1:82/tcp.md"), /^# /);
    program.tell();
    assert.equal(await program.status(), 0, program.wrong);
  });

  test("two at once, on devices of their own; the same device twice is refused", async () => {
    const program = new Program(ns, `
      const [one, two] = await Promise.all(["10.98.0.0/16", "10.99.0.0/16"].map((prefix, i) =>
        open({ prefixes: [prefix], device: { name: \`lib\${i}\` } })));
      say(await failing(open({ prefixes: ["10.97.0.0/16"], device: { name: "lib0" } })));
      for (const [text, pongd] of [["one", one], ["two", two]]) {
        await pongd.serve(80, http.createServer((request, response) => response.end(text)));
      }
      say("ready");
      await asked();
      await one.close();
      say("one");
      await asked();
      await two.close();
    `);
    await program.says("ready");
    assert.match(program.lines[0], /"ERR_PONGD_RUNTIME".*lib0 .*; choose another name \(--device or device\.name\)"/);
    assert.equal(await get("http://10.98.1.1/"), "one");
    assert.equal(await get("http://10.99.1.1/"), "two");
    program.tell();
    await program.says("one");
    assert.equal(await get("http://10.99.1.1/"), "two");
    program.tell();
    assert.equal(await program.status(), 0, program.wrong);
  });

  test("it needs no privilege on a device that was made before, and says so without one", rootOnly(), async () => {
    const wrapper = asUser();
    const denied = await run("say(await failing(open({ prefixes: [\"10.99.0.0/16\"] })));", wrapper);
    assert.match(denied[0], /"ERR_PONGD_PERMISSION"/);
    await ns.ok(process.execPath, CLI, "device", "create", "pong0", "10.99.0.0/16", "--user", String(USER));
    const program = new Program(ns, `
      const pongd = await open({ prefixes: ["10.99.0.0/16"] });
      await pongd.serve(80, http.createServer((request, response) => response.end("hello")));
      say("ready");
      await asked();
      await pongd.close();
    `, wrapper);
    await program.says("ready");
    assert.equal(await get("http://10.99.1.1/"), "hello");
    program.tell();
    assert.equal(await program.status(), 0, program.wrong);
    assert.deepEqual((await devices()).sort(), ["lo", "pong0"]);
  });
});

function rootOnly(): { skip: string | false } {
  return { skip: process.getuid?.() === 0 ? false : "missing: root, to become another user" };
}
