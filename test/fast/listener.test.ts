/** Tests where HTTP is served: several places at once, files of sockets, and sockets that systemd has opened. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync,
} from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, describe, test } from "node:test";
import { EXIT, Failure } from "../../src/base/failure.js";
import { isSamePlace, parseEndpoint, textOf, urlOf, type Endpoint } from "../../src/prefix/endpoints.js";
import { Events } from "../../src/web/events.js";
import { type HttpServer, noReload, serveAt as serveAtPlaces } from "../support/served.js";
import { forgetInheritedSockets, inheritedSockets, type InheritedSocket } from "../../src/sys/activation.js";

const dir = mkdtempSync(join(tmpdir(), "pongd-listener-"));
after(() => { rmSync(dir, { recursive: true }); });

const open: HttpServer[] = [];
afterEach(() => Promise.all(open.splice(0).map((server) => server.close())));

async function serveAt(...places: (Endpoint | InheritedSocket)[]): Promise<HttpServer> {
  const server = await serveAtPlaces(places, {
    metrics: () => undefined, list: () => undefined,
    obstacle: () => undefined, reload: noReload, events: new Events(() => undefined),
  });
  open.push(server);
  return server;
}

/** Returns the body of /-/ready at that URL. */
async function ask(url: string): Promise<string> {
  const asked = url.startsWith("unix:")
    ? request({ socketPath: url.slice("unix:".length), path: "/-/ready" })
    : request(`${url}/-/ready`);
  const [response] = await once(asked.end(), "response") as [IncomingMessage];
  return (await response.toArray()).join("");
}

function refused(message: RegExp, exitStatus: Failure["exitStatus"] = EXIT.RUNTIME) {
  return (error: unknown) => {
    assert.ok(error instanceof Failure, String(error));
    assert.match(error.message, message);
    assert.equal(error.exitStatus, exitStatus);
    return true;
  };
}

const local = { host: "127.0.0.1", port: 0 };

describe("an endpoint", () => {
  for (const [text, endpoint, url] of [
    ["127.0.0.1:7664", { host: "127.0.0.1", port: 7664 }, "http://127.0.0.1:7664"],
    ["localhost:0", { host: "localhost", port: 0 }, "http://localhost:0"],
    ["[::1]:80", { host: "::1", port: 80 }, "http://[::1]:80"],
    ["[fe80::1%eth0]:7664", { host: "fe80::1%eth0", port: 7664 }, "http://[fe80::1%25eth0]:7664"],
    [":9000", { host: undefined, port: 9000 }, "http://localhost:9000"],
    ["unix:/run/pongd.sock", { path: "/run/pongd.sock" }, "unix:/run/pongd.sock"],
    [`unix:/${"x".repeat(106)}`, { path: `/${"x".repeat(106)}` }, `unix:/${"x".repeat(106)}`],
  ] as const) {
    test(`${text} is read, written and shown`, () => {
      assert.deepEqual(parseEndpoint(text), endpoint);
      assert.equal(textOf(endpoint), text);
      assert.equal(urlOf(endpoint, "http"), url);
    });
  }

  for (const wrong of [
    "", "7664", "host", "host:", "::1:80", "[::1]", "[x]:1", "a b:1", "host:65536", "host:-1", "[fe80::1%]:1",
    "unix:", "unix:pongd.sock", "unix:/", "unix:/run/", "unix:/a\nb", "unix:/a\0", `unix:/${"x"
      .repeat(107)}`, `unix:/${"\u00e4".repeat(54)}`, "unix:@pongd",
  ]) {
    test(
      `${JSON.stringify(wrong)} is none`,
      () => { assert.throws(() => parseEndpoint(wrong), refused(/^listen address "/, EXIT.USAGE)); },
    );
  }

  test("two are the same place however they are written", () => {
    const same = (one: string, other: string) => isSamePlace(parseEndpoint(one), parseEndpoint(other));
    for (const [one, other] of [
      ["[::1]:1", "[0:0::1]:1"], [":1", "[::]:1"], ["Localhost:1", "localhost:1"], ["unix:/a", "unix:/a"],
    ]) assert.ok(same(one, other), one);
    for (const [one, other] of [
      ["[::1]:1", "[::1]:2"], ["[::1]:1", "127.0.0.1:1"], ["unix:/a", "unix:/b"], ["unix:/a", ":1"],
      [":1", "0.0.0.0:1"],
    ]) {
      assert.ok(!same(one, other), `${one} ${other}`);
    }
  });
});

test("several places are served alike, and all closed", async () => {
  const path = join(dir, "several");
  const server = await serveAt(local, { host: "::1", port: 0 }, { path });
  assert.match(server.urls.join(" "), /^http:\/\/127\.0\.0\.1:\d+ http:\/\/\[::1\]:\d+ unix:\S+\/several$/);
  for (const url of server.urls) assert.equal(await ask(url), "Ready\n");
  await open.splice(0)[0].close();
  for (const url of server.urls) await assert.rejects(ask(url), url);
  assert.ok(!existsSync(path));
});

test("where one place cannot be had, the others are given back", async () => {
  const path = join(dir, "given-back");
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  await assert.rejects(serveAt({ path }, { host: "127.0.0.1", port }), refused(
    new RegExp(`^127\\.0\\.0\\.1:${port} is in use, perhaps by another pongd; choose another address with --listen$`),
  ));
  assert.ok(!existsSync(path));
  taken.close();
});

test("one that is a part of another is said to be", async () => {
  const [url] = (await serveAt({ host: undefined, port: 0 })).urls;
  const port = Number(new URL(url).port);
  await open.splice(0)[0].close();
  await assert.rejects(serveAt({ host: undefined, port }, { host: "127.0.0.1", port }), refused(
    new RegExp(`^127\\.0\\.0\\.1:${port} overlaps with :${port}, where pongd listens too; leave one of them out$`),
  ));
});

for (const [what, host, message] of [
  [
    "a name that is nobody's", "pong.invalid",
    /^pong\.invalid:0 is no address of this machine, or not yet; choose another with --listen$/,
  ],
  ["another machine's address", "192.0.2.1", /^192\.0\.2\.1:0 is no address of this machine, or not yet/],
  [
    "a link-local address without its interface", "fe80::1",
    /^\[fe80::1\]:0 is an address of one interface, which is not named or not there; write it like \[fe80::1%eth0\]:0$/,
  ],
  [
    "one of an interface that is not there", "fe80::1%nope",
    /^\[fe80::1%nope\]:0 is an address of one interface, which is not named or not there/,
  ],
] as const) {
  test(`${what} is refused`, async () => { await assert.rejects(serveAt({ host, port: 0 }), refused(message)); });
}

describe("a socket's file", () => {
  for (const umask of [0, 0o22, 0o777]) {
    test(`is for its owner and its group, under umask ${umask.toString(8)}`, async () => {
      const path = join(dir, `mode-${umask}`);
      const before = process.umask(umask);
      try {
        await serveAt({ path });
        assert.equal(lstatSync(path).mode & 0o777, 0o660);
      } finally {
        process.umask(before);
      }
    });
  }

  test("that a killed process left is replaced", async () => {
    const path = join(dir, "stale");
    const script = "require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, "
      + "'SIGKILL'))";
    await once(spawn(process.execPath, ["-e", script, path]), "exit");
    assert.ok(lstatSync(path).isSocket());
    assert.equal(await ask((await serveAt({ path })).urls[0]), "Ready\n");
  });

  test("that is in use is refused, and goes on to be served", async () => {
    const path = join(dir, "used");
    const [url] = (await serveAt({ path })).urls;
    await assert.rejects(serveAt({ path }), refused(/^unix:\S+\/used is in use, perhaps by another pongd/));
    assert.equal(await ask(url), "Ready\n");
  });

  test("of another kind is refused, and stays as it is", async () => {
    const path = join(dir, "file");
    writeFileSync(path, "precious");
    const link = join(dir, "link");
    symlinkSync(path, link);
    for (const occupied of [path, link, dir]) {
      await assert.rejects(serveAt({ path: occupied }), refused(/: that file is no socket; choose another path$/));
    }
    assert.equal(readFileSync(path, "utf8"), "precious");
  });

  test("in a folder that is not there is refused", async () => {
    await assert.rejects(
      serveAt({ path: join(dir, "no/folder") }),
      refused(/^unix:\S+: there is no folder \S+\/no; make it, or choose another path$/),
    );
  });
});

describe("sockets that systemd has opened", () => {
  test("are those of the variables, if these are meant for this process", () => {
    const LISTEN_PID = String(process.pid);
    assert.deepEqual(
      inheritedSockets({ LISTEN_PID, LISTEN_FDS: "2", LISTEN_FDNAMES: "web:admin" }),
      [{ fd: 3, name: "web" }, { fd: 4, name: "admin" }],
    );
    assert.deepEqual(inheritedSockets({ LISTEN_PID, LISTEN_FDS: "1" }), [{ fd: 3, name: "unknown" }]);
    for (const environment of [
      {}, { LISTEN_FDS: "1" }, { LISTEN_PID: "1", LISTEN_FDS: "1" }, { LISTEN_PID }, { LISTEN_PID, LISTEN_FDS: "0" },
      { LISTEN_PID, LISTEN_FDS: "-1" }, { LISTEN_PID, LISTEN_FDS: "1e9" },
    ]) {
      assert.deepEqual(inheritedSockets(environment), [], JSON.stringify(environment));
    }
  });

  test("are forgotten, so that no child takes them for its own", () => {
    const environment = { LISTEN_PID: "1", LISTEN_FDS: "1", LISTEN_FDNAMES: "web", PATH: "/bin" };
    forgetInheritedSockets(environment);
    assert.deepEqual(environment, { PATH: "/bin" });
  });

  test("that are none to listen on are refused by name", async () => {
    const name = "pongd.socket";
    for (const fd of [readdirSync("/proc/self/fd").length + 1000, 0]) {
      await assert.rejects(
        serveAt({ fd, name }),
        refused(new RegExp(`^systemd handed over descriptor ${fd} \\(pongd\\.socket\\), which is no stream socket to `
          + "listen on; in its unit, write ListenStream= and Accept=no$")),
      );
    }
  });
});
