/** Tests the services of a running pongd that have threads: what they answer, and how a thread fails. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { EXIT } from "../../src/base/failure.js";
import { Folder } from "../support/certificates.js";
import { ended, needs, Netns, Pongd, poll, said, sum } from "../support/netns.js";
import { certificate } from "../support/x509.js";

/** curl's status when it cannot connect. */
const REFUSED = 7;
/** curl's status when it does not know who has signed the certificate. */
const UNKNOWN_CA = 60;
const PREFIXES = ["10.99.0.0/16", "fd99::/64"];
const CONTENT = `prefixes: [10.99.0.0/16, { prefix: "fd99::/64", name: lab }]\n`;

/** A handler that fails as it is told. */
const API = `
let requests = 0;
const fail = () => { throw new Error("told to fail"); };
export default (request, response) => {
  switch (request.url) {
    case "/throw": return fail();
    case "/reject": return Promise.reject(new Error("told to reject"));
    case "/later": setTimeout(fail); break;
    case "/exit": process.exit(7); break;
    case "/leak": for (const all = []; ;) all.push(new Array(1e6).fill(all)); break;
    case "/hang": for (;;); break;
    case "/print": console.log("printed %d", 1); console.error("two\\nlines"); break;
  }
  response.end(\`VERSION \${++requests} \${request.socket.localAddress}\\n\`);
};`;

/** A handler that answers each line, which no timeout ends. */
const LINES = "export default (socket) => { socket.on(\"data\", () => socket.write(\"VERSION\\n\")); };";

/** Prints what comes on each connection up to its end, and answers it; PATH or ADDRESS PORT. */
const BACKEND = `
import { createServer } from "node:net";
const [host, port] = process.argv.slice(1);
const server = createServer({ allowHalfOpen: true }, (socket) => {
  const chunks = [];
  socket.on("data", (chunk) => chunks.push(chunk)).on("error", () => {}).on("end", () => {
    console.log(Buffer.concat(chunks).toString("hex"));
    socket.end(\`\${chunks.length > 0 ? "heard" : "nothing"}\\n\`);
  });
});
server.listen(...port ? [Number(port), host] : [host], () => console.log("listens"));
`;

/** Asks by HTTP/2, and prints the status. It ends when the server ends the connection, by status 0 if by GOAWAY. */
const IDLE = `
import { connect } from "node:http2";
const session = connect(process.argv[1], { rejectUnauthorized: false });
process.exitCode = 1;
session.on("goaway", (code) => { process.exitCode = code; });
session.request({ ":path": "/" }).on("response", (headers) => console.log(headers[":status"])).resume();
`;

describe("services with threads", needs("curl", "python3", "socat"), () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-services-"));
  const [config, api, lines] = ["pongd.yaml", "api.mjs", "lines.mjs"].map((name) => join(dir, name));
  let ns: Netns;
  before(async () => { ns = await Netns.open(); });
  after(async () => {
    await ns.close();
    rmSync(dir, { recursive: true });
  });
  afterEach(async () => {
    await ns.close();
    ns = await Netns.open();
  });

  const get = (url: string, ...options: string[]) => ns.ok("curl", "-sS", "--max-time", "100", ...options, url);
  const version = (text: string) => {
    writeFileSync(api, API.replaceAll("VERSION", text));
    writeFileSync(lines, LINES.replaceAll("VERSION", text));
  };
  const withHandlers = async (more = "", ...args: string[]) => {
    version("one");
    writeFileSync(config, `${CONTENT}services:
  api: { http: { handler: ./api.mjs } }
  lines: { tcp: { handler: lines.mjs } }
tcp: { 80: api, 9000: lines, 7: echo }\n${more}`);
    return Pongd.start(ns, "--config", config, ...args);
  };
  /** A client that sends lines, and waits for the answer to each. */
  const connected = (address: string, port: number) => {
    const child = ns.spawn("socat", "-d", "-t", "100", "-", `TCP:${address}:${port}`);
    let heard = "";
    child.stderr.on("data", (chunk) => { heard += String(chunk); });
    const ask = async (line: string, answer: RegExp) => {
      const heard = said(child.stdout, answer);
      child.stdin.write(`${line}\n`);
      return heard;
    };
    return { child, ask, reset: () => said(child.stderr, /Connection reset by peer/, heard) };
  };
  /** How a connection fails that the service resets: at once, maybe before the client has seen that it is connected. */
  const failure = (address: string, port: number) =>
    ns.evaluate<string>(`(await import("node:net")).connect(${port}, "${address}")
      .on("error", ({ code }) => { console.log(JSON.stringify(code)); });`);
  /** Pings until it is asked which ones were answered: none is to be missing. */
  const pinging = () => {
    const ping = ns.spawn("ping", "-i", "0.01", "-W", "20", "10.99.1.1");
    let output = "";
    ping.stdout.on("data", (chunk) => { output += String(chunk); });
    return async () => {
      ping.kill("SIGINT");
      await ended(ping);
      const answered = [...output.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, sequence]) => Number(sequence));
      assert.ok(answered.length > 0);
      assert.deepEqual(answered, answered.map((_, i) => i + 1));
    };
  };

  for (const [what, ...args] of [
    ["TUN, offload, io_uring", "--io", "uring"],
    ["TUN, no offload, read and write", "--offload", "off", "--io", "readwrite"],
    ["TAP", "--mode", "tap"],
    ["four queues and four threads", "--queues", "4", "--service-threads", "4"],
    ["without privileges", "--drop-privileges"],
  ]) {
    test(`${what}: the page of every address, in both families, as text and as JSON`, async () => {
      const pongd = await Pongd.start(ns, ...PREFIXES, "--tcp", "80=http", ...args);
      for (const [address, prefix] of [
        ["10.99.1.1", PREFIXES[0]], ["10.99.255.254", PREFIXES[0]],
        ["[fd99::1:1]", PREFIXES[1]], ["[fd99::ffff:1]", PREFIXES[1]],
      ]) {
        const told = JSON.parse(await get(`http://${address}/.json`)) as Record<string, unknown>;
        const { client, clientPort } = told;
        const bare = address.replace(/[[\]]/g, "");
        assert.deepEqual(told, { address: bare, port: 80, prefix, client, clientPort });
        const text = await get(`http://${address}/`);
        assert.ok(text.startsWith(`${address}:80 of ${prefix} answers `) && text.includes(String(client)), text);
      }
      assert.match(await get("http://10.99.1.1/", "-I"), /^HTTP\/1\.1 200 OK\r\n/);
      assert.match(await get("http://10.99.1.1/", "-d", "x", "-i"), /^HTTP\/1\.1 405 /);
      const metrics = await pongd.metrics();
      assert.equal(sum(metrics, "pongd_tcp_accepted_total"), 10);
      assert.equal(metrics.get("pongd_http_requests_total{service=\"http\",code=\"200\"}"), 9);
      assert.equal(metrics.get("pongd_http_requests_total{service=\"http\",code=\"405\"}"), 1);
      assert.equal(sum(metrics, "pongd_http_request_duration_seconds_count"), 10);
      assert.equal((await pongd.stop()).status, 0);
    });
  }

  test("a handler that throws or rejects costs its request; what it prints is logged", async () => {
    const pongd = await withHandlers();
    assert.equal(await get("http://10.99.1.1/"), "one 1 10.99.1.1\n");
    assert.equal(await get("http://10.99.1.1/throw"), "the handler has failed\n");
    assert.equal(await get("http://10.99.1.1/reject"), "the handler has failed\n");
    await pongd.logged(/error service api: its handler has failed: told to reject/);
    assert.equal(await get("http://10.99.1.1/print"), "one 2 10.99.1.1\n");
    await pongd.logged(/info printed 1 thread=service 0\n.* warn two thread=service 0\n.* warn lines thread=service 0/);
    const metrics = await pongd.metrics();
    assert.equal(metrics.get("pongd_service_errors_total{service=\"api\"}"), 2);
    assert.equal(metrics.get("pongd_http_requests_total{service=\"api\",code=\"500\"}"), 2);
    assert.equal(metrics.get("pongd_service_thread_restarts_total{thread=\"0\"}"), 0);
    assert.equal((await pongd.stop()).status, 0);
  });

  for (const [path, why] of [
    ["later", "told to fail"], ["exit", "it ended with status 7"], ["hang", "it has hung for 30 s"],
    ["leak", "Worker terminated due to reaching memory limit: JS heap out of memory"],
  ]) {
    test(`a thread ends by /${path}: its connections are reset, nothing else notices, and the next one serves`, async () => {
      const pongd = await withHandlers();
      const [mine, echo] = [connected("10.99.1.1", 9000), connected("10.99.1.2", 7)];
      await mine.ask("?", /^one\n$/);
      await echo.ask("one", /^one\n$/);
      const answered = pinging();
      const failing = ns.spawn("curl", "-sS", `http://10.99.1.1/${path}`);
      await pongd.logged(
        new RegExp(`error service thread 0 died: ${why}; its connections are reset, and it is started again`),
      );
      await ended(failing);
      await mine.reset();
      assert.equal(await get("http://10.99.1.1/"), "one 1 10.99.1.1\n");
      await echo.ask("two", /^two\n$/);
      echo.child.stdin.end();
      await answered();
      const metrics = await poll(
        () => pongd.metrics(), (metrics) => sum(metrics, "pongd_tcp_connections") === 0
          && sum(metrics, "pongd_service_connections") === 0,
      );
      assert.equal(metrics.get("pongd_service_thread_restarts_total{thread=\"0\"}"), 1);
      assert.equal((await pongd.stop()).status, 0);
    });
  }

  test("its thread hangs: packets and the end do not wait for it, and a reload is refused", async () => {
    const pongd = await withHandlers("shutdown_delay: 100ms\n");
    const failing = ns.spawn("curl", "-sS", "http://10.99.1.1/hang");
    await poll(() => pongd.metrics(), (metrics) => sum(metrics, "pongd_tcp_connections") === 1);
    await ns.pings(10, "10.99.1.1");
    process.kill(pongd.pid, "SIGHUP");
    await pongd.logged(/services are not loaded after 10 s.*\n.*the configuration was not reloaded: all is as it was/);
    assert.equal((await pongd.stop()).status, 0);
    await ended(failing);
  });

  test("a packet loop crashes: its connections end, and it serves again", async () => {
    const pongd = await withHandlers();
    const mine = connected("10.99.1.1", 9000);
    await mine.ask("?", /^one\n$/);
    // The next read of a packet crashes it.
    const ping = ns.spawn("ping", "-i", "0.1", "10.99.1.1");
    await pongd.crash();
    ping.kill();
    await ended(ping);
    await poll(() => pongd.metrics(), (metrics) => sum(metrics, "pongd_worker_restarts_total") === 1);
    mine.child.stdin.write("?\n");
    await mine.reset();
    assert.equal(await get("http://10.99.1.1/"), "one 1 10.99.1.1\n");
    assert.equal((await pongd.stop()).status, 0);
  });

  test("a reload: new connections get the new handler, old ones keep theirs; a wrong one is refused", async () => {
    const pongd = await withHandlers();
    const old = connected("10.99.1.1", 9000);
    await old.ask("?", /^one\n$/);
    version("two");
    process.kill(pongd.pid, "SIGHUP");
    await poll(() => get("http://10.99.1.1/"), (text) => text.startsWith("two "));
    await old.ask("?", /^one\n$/);

    writeFileSync(api, "export default 5");
    process.kill(pongd.pid, "SIGHUP");
    await pongd.logged(/service api: \S+\/api\.mjs: it has no default export that is a function\n.*all is as it was/);
    assert.match(await get("http://10.99.1.1/"), /^two /);
    writeFileSync(api, "export default (");
    process.kill(pongd.pid, "SIGHUP");
    await pongd.logged(/service api: \S+\/api\.mjs: Unexpected end of input\n.*all is as it was/);
    assert.match(await get("http://10.99.1.1/"), /^two /);

    writeFileSync(config, CONTENT);
    process.kill(pongd.pid, "SIGHUP");
    await poll(() => ns.run("curl", "-sS", "http://10.99.1.1/"), ({ status }) => status === REFUSED);
    await old.ask("?", /^one\n$/);
    old.child.stdin.end();
    assert.equal(await ended(old.child), 0);
    assert.equal((await pongd.stop()).status, 0);
  });

  test("reloads cut no response short", needs("ab"), async () => {
    const pongd = await withHandlers();
    const ab = ns.spawn("ab", "-q", "-l", "-n", "20000", "-c", "8", "http://10.99.1.1/");
    let [output, isOver] = ["", false];
    for (const stream of [ab.stdout, ab.stderr]) stream.on("data", (chunk) => { output += String(chunk); });
    const over = ended(ab).finally(() => { isOver = true; });
    for (let i = 0; !isOver || i < 10; i++) {
      version(`v${i}`);
      process.kill(pongd.pid, "SIGHUP");
      await poll(() => get("http://10.99.1.2/"), (text) => text.startsWith(`v${i} `));
    }
    assert.equal(await over, 0, output);
    assert.match(output, /^Complete requests: +20000$[^]*^Failed requests: +0$/m);
    const metrics = await pongd.metrics();
    assert.equal(metrics.get("pongd_tcp_closed_total{how=\"reset\",queue=\"0\"}"), 0);
    assert.equal((await pongd.stop()).status, 0);
  });

  test("a reload starts the threads; a stop ends what is idle at once", async () => {
    writeFileSync(config, CONTENT);
    const pongd = await Pongd.start(ns, "--config", config, "--shutdown-delay", "60s");
    writeFileSync(config, `${CONTENT}tcp: { 80: http }\n`);
    process.kill(pongd.pid, "SIGHUP");
    await poll(() => ns.run("curl", "-sS", "http://10.99.1.1/"), ({ stdout }) => stdout.startsWith("10.99.1.1:80 "));
    const idle = ns.spawn("socat", "-t", "0", "-", "TCP:10.99.1.1:80");
    idle.stdin.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await said(idle.stdout, /200 OK/);
    assert.equal((await pongd.stop()).status, 0);
    assert.equal(await ended(idle), 0);
  });

  test("a handler that cannot be loaded is said in one line, and nothing is left", async () => {
    writeFileSync(api, "import \"./nowhere.mjs\";");
    writeFileSync(config, `${CONTENT}services: { api: { http: { handler: ./api.mjs } } }\ntcp: { 80: api }\n`);
    const { status, stdout, stderr } = await Pongd.fail(ns, "--config", config);
    assert.deepEqual([status, stdout], [EXIT.CONFIG, ""]);
    assert.match(stderr, /^pongd: service api: \S+api\.mjs: Cannot find module '\S+nowhere\.mjs' imported from \S+api\.mjs\n$/);
    assert.deepEqual(await ns.ip("link", "show", "type", "tun"), []);
  });

  test("a handler of TCP: it may speak first, and one that fails costs its connection", async () => {
    writeFileSync(join(dir, "chat.mjs"), `export default (socket) => {
      socket.write("hello\\n");
      socket.once("data", (data) => {
        if (String(data) !== "bye\\n") socket.resetAndDestroy();
        else socket.write(\`bye \${socket.remoteAddress}\\n\`);
      });
      if (socket.localAddress === "10.99.6.6") throw new Error("told to fail");
    };`);
    writeFileSync(config, `${CONTENT}services: { chat: { tcp: { handler: chat.mjs } } }\ntcp: { 9000: chat }\n`);
    const pongd = await Pongd.start(ns, "--config", config);
    const chat = ns.spawn("socat", "-t", "100", "-", "TCP:10.99.1.1:9000");
    await said(chat.stdout, /hello\n/);
    chat.stdin.end("bye\n");
    await said(chat.stdout, /bye 10\.99\.0\.1\n/);
    assert.equal(await ended(chat), 0);
    assert.equal(await failure("10.99.6.6", 9000), "ECONNRESET");
    await pongd.logged(/error service chat: its handler has failed: told to fail; the connection is reset/);
    assert.equal((await pongd.stop()).status, 0);
  });

  test("proxies of the command line, which has no file to reload", async () => {
    const backend = ns.spawn(process.execPath, "--input-type=module", "-e", BACKEND, "127.0.0.1", "8080");
    await said(backend.stdout, /listens\n/);
    const pongd = await Pongd.start(ns, ...PREFIXES, "--tcp", "80=proxy:127.0.0.1:8080,81=proxy:127.0.0.1:9,82=http");
    const client = ns.spawn("socat", "-t", "100", "-", "TCP:10.99.1.1:80");
    client.stdin.end("hello");
    assert.match(await said(client.stdout, /heard\n/), /^heard\n$/);
    assert.equal(await ended(client), 0);
    assert.equal((await pongd.stop()).status, 0);
    backend.kill();
    await once(backend, "close");
  });

  test("a proxy: to TCP and unix sockets, both halves, whose it is; without a backend it resets", async () => {
    const path = join(dir, "backend.sock");
    const backends = await Promise.all([["127.0.0.1", "8080"], ["::1", "8080"], [path]].map(async (args) => {
      const backend = ns.spawn("node", "--input-type=module", "-e", BACKEND, ...args);
      await said(backend.stdout, /listens\n/);
      return backend;
    }));
    writeFileSync(config, `${CONTENT}services:
  plain: { tcp: { proxy: "127.0.0.1:8080" } }
  v1: { tcp: { proxy: "[::1]:8080", proxy_protocol: v1 } }
  v2: { tcp: { proxy: "unix:${path}", proxy_protocol: v2 } }
tcp: { 81: plain, 82: v1, 83: v2, 84: "proxy:127.0.0.1:9", 85: "proxy:unix:${path}" }\n`);
    const pongd = await Pongd.start(ns, "--config", config);
    const through = async (backend: number, target: string, port: number, local: string) => {
      const child = ns.spawn("socat", "-t", "100", "-", `${target},bind=${local}:${port},reuseaddr`);
      const heard = said(backends[backend].stdout, /^[\da-f]+\n/m);
      child.stdin.end("hello");
      assert.match(await said(child.stdout, /heard\n/), /^heard\n$/);
      assert.equal(await ended(child), 0);
      return Buffer.from((await heard).trim().split("\n").at(-1) ?? "", "hex");
    };
    const [v4, v6] = ["10.99.0.1", "[fd99::1]"];
    assert.equal(String(await through(0, "TCP4:10.99.1.1:81", 5001, v4)), "hello");
    assert.equal(
      String(await through(1, "TCP4:10.99.1.1:82", 5002, v4)), "PROXY TCP4 10.99.0.1 10.99.1.1 5002 82\r\nhello",
    );
    assert.equal(
      String(await through(1, "TCP6:[fd99::7]:82", 5003, v6)), "PROXY TCP6 fd99::1 fd99::7 5003 82\r\nhello",
    );
    const signature = "0d0a0d0a000d0a515549540a";
    assert.equal(
      (await through(2, "TCP4:10.99.1.1:83", 5004, v4)).toString("hex"),
      `${signature}2111000c0a6300010a630101138c0053${Buffer.from("hello").toString("hex")}`,
    );
    const [us, them] = ["1", "7"].map((last) => `fd99${last.padStart(28, "0")}`);
    assert.equal(
      (await through(2, "TCP6:[fd99::7]:83", 5005, v6)).toString("hex"),
      `${signature}21210024${us}${them}138d0053${Buffer.from("hello").toString("hex")}`,
    );
    assert.equal(String(await through(2, "TCP4:10.99.1.1:85", 5006, v4)), "hello");
    assert.equal(await failure("10.99.1.1", 84), "ECONNRESET");
    await pongd.logged(/warn proxy to 127\.0\.0\.1:9: connect ECONNREFUSED 127\.0\.0\.1:9; connections are reset/);
    assert.equal((await pongd.stop()).status, 0);
    for (const backend of backends) {
      backend.kill();
      await once(backend, "close");
    }
  });

  test("files of a folder, and nothing outside of it", async () => {
    const root = join(dir, "site");
    mkdirSync(root);
    writeFileSync(join(root, "digits.txt"), "0123456789");
    writeFileSync(join(dir, "secret"), "secret");
    symlinkSync("../secret", join(root, "link"));
    await ns.ok("mkfifo", join(root, "pipe"));
    writeFileSync(config, `${CONTENT}services: { site: { http: { root: ./site } } }\ntcp: { 80: site }\n`);
    const pongd = await Pongd.start(ns, "--config", config);
    const url = "http://10.99.1.1";
    assert.equal(await get(`${url}/digits.txt`, "-r", "2-4"), "234");
    const etag = /^etag: (.*)\r$/im.exec(await get(`${url}/digits.txt`, "-I"))?.[1] ?? "";
    const status = (path: string, ...options: string[]) => {
      return get(`${url}${path}`, "-o", "/dev/null", "-w", "%{http_code}", ...options);
    };
    assert.equal(await status("/digits.txt", "-H", `If-None-Match: ${etag}`), "304");
    assert.equal(await status("/../secret", "--path-as-is"), "403");
    for (const path of ["/link", "/pipe", "/none"]) assert.equal(await status(path), "404", path);
    // A client that has nothing more to say.
    const half = ns.spawn("socat", "-t", "60", "-", "TCP:10.99.1.1:80");
    half.stdin.end("GET /digits.txt HTTP/1.0\r\n\r\n");
    await said(half.stdout, /\r\n\r\n0123456789$/);
    assert.equal(await ended(half), 0);
    assert.equal((await pongd.stop()).status, 0);
  });

  test("HTTPS: certificates by name, which change while it runs; a stop ends an idle connection", async () => {
    const files = new Folder();
    const names = ["one.example", "two.example"];
    const pairs = names.map((name) => certificate(`DNS:${name}`));
    for (const [i, name] of names.entries()) files.writePair(name, pairs[i]);
    const ca = files.write("ca.crt", pairs.map(({ cert }) => cert).join(""));
    const listed = names.map((name) => `{ cert: ${files.file(`${name}.crt`)}, key: ${files.file(`${name}.key`)} }`);
    writeFileSync(config, `${CONTENT}services: { secure: { https: { certificates: [${listed.join()}] } } }
tcp: { 443: secure }\n`);
    const pongd = await Pongd.start(ns, "--config", config, "--shutdown-delay", "60s");
    const ask = (name: string, ...options: string[]) => ns.run(
      "curl", "-sS", "--max-time", "100", "--cacert", ca, "--resolve", `${name}:443:10.99.1.1`,
      "-w", "%{http_version}", ...options, `https://${name}/`,
    );
    for (const name of names) for (const [option, version] of [["--http1.1", "1.1"], ["--http2", "2"]]) {
      const { stdout, stderr } = await ask(name, option);
      assert.match(`${stdout}${stderr}`, new RegExp(`^10\\.99\\.1\\.1:443 .*\\n${version}$`));
    }
    const next = certificate("DNS:two.example");
    files.writePair("two.example", next);
    assert.equal((await ask("two.example")).status, UNKNOWN_CA);
    files.write("ca.crt", next.cert);
    assert.equal((await ask("two.example")).status, 0);
    const idle = ns.spawn("node", "--input-type=module", "-e", IDLE, "https://10.99.1.1");
    await said(idle.stdout, /200\n/);
    assert.equal((await pongd.stop()).status, 0);
    assert.equal(await ended(idle), 0);
    await files.remove();
  });
});
