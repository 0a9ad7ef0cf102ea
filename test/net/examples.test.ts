/** Tests examples/: each program as it is, and what clients see of it. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { source } from "../support/assembly.js";
import { ended, needs, Netns, said } from "../support/netns.js";

/** Says whose connection it is, and what comes on it up to the end. */
const BACKEND = `
import { createServer } from "node:net";
createServer({ allowHalfOpen: true }, (socket) => {
  let heard = "";
  socket.on("data", (chunk) => { heard += chunk; }).on("end", () => socket.end(\`heard \${heard}\`));
}).listen(8080, "127.0.0.1", () => console.log("listens"));
`;

describe("the examples", needs("curl", "socat"), () => {
  let ns: Netns;
  before(async () => { ns = await Netns.open(); });
  after(() => ns.close());
  afterEach(async () => {
    await ns.close();
    ns = await Netns.open();
  });

  /** Runs an example until it says a line that matches; `end` ends it as Ctrl-C does. */
  const start = async (name: string, line: RegExp, ...args: string[]) => {
    const child = ns.spawn(process.execPath, source(`examples/${name}.mjs`), ...args);
    let wrong = "";
    child.stderr.on("data", (chunk) => { wrong += String(chunk); });
    const text = await said(child.stdout, line).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}\n${wrong}`, { cause: error });
    });
    return {
      text,
      end: async (signal?: NodeJS.Signals) => {
        if (signal) child.kill(signal);
        assert.equal(await ended(child), 0, wrong);
        assert.equal(wrong, "");
        assert.deepEqual((await ns.ip<{ ifname: string }>("link")).map(({ ifname }) => ifname), ["lo"]);
      },
    };
  };
  const get = (url: string) => ns.ok("curl", "-sS", "--max-time", "100", url);
  const talk = (address: string, text: string, answer: RegExp) => {
    const child = ns.spawn("socat", "-t", "100", "-", address);
    child.stdin.end(text);
    return said(child.stdout, answer);
  };

  test("hello: each address answers by its name", async () => {
    const hello = await start("hello", /try: curl http:\/\/10\.99\.1\.1\/\n/);
    for (const address of ["10.99.1.1", "10.99.200.7"]) {
      assert.equal(await get(`http://${address}/`), `${address} answers 10.99.0.1\n`);
    }
    await hello.end("SIGINT");
  });

  test("echo: what is sent comes back, in both families", async () => {
    const echo = await start("echo", /try: nc 10\.99\.1\.1 7, or nc fd99::101 7\n/);
    await talk("TCP:10.99.9.9:7", "one", /^one$/);
    await talk("TCP:[fd99::9]:7", "two", /^two$/);
    await echo.end("SIGINT");
  });

  test("proxy: connections go on, and say whose they are; without a server they are reset", async () => {
    const backend = ns.spawn(process.execPath, "--input-type=module", "-e", BACKEND);
    await said(backend.stdout, /listens/);
    const proxy = await start("proxy", /go to 127\.0\.0\.1:8080\n/, "127.0.0.1", "8080");
    await talk("TCP:10.99.3.4:25", "hello", /^heard PROXY TCP4 10\.99\.0\.1 10\.99\.3\.4 \d+ 25\r\nhello$/);
    backend.kill();
    await ended(backend);
    // The reset may come before curl knows that it is connected.
    const { stderr } = await ns.run("curl", "-sS", "http://10.99.3.4/");
    assert.match(stderr, /reset by peer|Couldn't connect/);
    await proxy.end("SIGINT");
  });

  test("dns: each name has the address that is asked, in both families", async () => {
    const dns = await start("dns", /try: dig \+short anything\.example @10\.99\.1\.1, or @fd99::101\n/);
    const asked = await ns.ok(process.execPath, "--input-type=module", "-e", `
      import { Resolver } from "node:dns/promises";
      for (const [address, type] of [["10.99.7.7", "A"], ["fd99::7", "AAAA"], ["10.99.7.7", "AAAA"]]) {
        const resolver = new Resolver();
        resolver.setServers([address]);
        console.log(await resolver.resolve("a.b.example", type).catch(({ code }) => code));
      }`);
    assert.equal(asked, "[ '10.99.7.7' ]\n[ 'fd99::7' ]\nENODATA\n");
    await dns.end("SIGINT");
  });

  test("clients: the server sees as many addresses as there are clients", async () => {
    const clients = await start("clients", /\n/);
    assert.equal(clients.text, "1000 clients were answered; the server saw 1000 addresses\n");
    await clients.end();
  });

  test("fastify: an application is served unchanged", async () => {
    const app = await start("fastify", /try: curl http:\/\/10\.99\.1\.1\/\n/);
    assert.equal(await get("http://10.99.1.1/"), "{\"address\":\"10.99.1.1\",\"client\":\"10.99.0.1\"}");
    assert.equal(await get("http://10.99.7.7/sum/2/3"), "{\"sum\":5}");
    await app.end("SIGINT");
  });
});
