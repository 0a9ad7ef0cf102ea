/** Tests static files: what of a folder is served, how, and that nothing else is. */
import "../support/process.js";
import assert from "node:assert/strict";
import {
  appendFileSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync, truncateSync,
  utimesSync, writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Service } from "../../abi/tcp.js";
import { files } from "../../src/net/files.js";
import { httpService } from "../../src/net/http.js";
import { StreamRig } from "../support/streamrig.js";
import { heardBy, type Heard, RigWire } from "../support/rigwire.js";

const DATE = "Wed, 01 Jul 2026 12:00:00 GMT";
const LARGE = Buffer.from(Uint8Array.from({ length: 1 << 20 }, (_, i) => Math.imul(i + 1, 0x9e37_79b1) >>> 24));

describe("files", () => {
  /** Has the root, and beside it what nobody may get. */
  const dir = mkdtempSync(join(tmpdir(), "pongd-files-"));
  const root = join(dir, "root");
  const put = (path: string, text: string | Buffer) => { writeFileSync(join(root, path), text); };

  before(() => {
    for (const folder of ["", "folder", "folder/sub", "a b", ".git", "empty", "b\\c"]) mkdirSync(join(root, folder));
    put("index.html", "<p>root\n");
    put("folder/index.html", "<p>folder\n");
    put("folder/sub/x.json", "{}\n");
    put("a b/ü.txt", "umlaut\n");
    put(".git/config", "secret\n");
    put(".env", "secret\n");
    put("digits", "0123456789");
    put("nothing.css", "");
    writeFileSync(join(dir, "secret.txt"), "secret\n");
    mkdirSync(join(dir, "root2"));
    writeFileSync(join(dir, "root2", "secret.txt"), "secret\n");
    utimesSync(join(root, "digits"), new Date(DATE), new Date(DATE));
  });
  after(() => { rmSync(dir, { recursive: true }); });

  async function served(folder = root): Promise<RigWire> {
    return new RigWire(await StreamRig.create({ kind: Service.http, handler: httpService(files(folder)).take }));
  }

  /** Asks over a connection of its own. `target` may hold anything. */
  async function ask(
    wire: RigWire, target: string, { method = "GET", headers = {} }: Asked = {},
  ): Promise<Heard> {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const end = await wire.connect(6);
    end.write(`${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines.join("")}\r\n`, "latin1");
    return wire.during(heardBy(end));
  }

  test("have their content types; index.html is a folder's page", async () => {
    const wire = await served();
    for (const [target, type, body] of [
      ["/", "text/html; charset=utf-8", "<p>root\n"],
      ["/index.html", "text/html; charset=utf-8", "<p>root\n"],
      ["/?query", "text/html; charset=utf-8", "<p>root\n"],
      ["http://10.99.1.1/folder/", "text/html; charset=utf-8", "<p>folder\n"],
      ["HTTP://10.99.1.1", "text/html; charset=utf-8", "<p>root\n"],
      ["/folder/sub/x.json", "application/json; charset=utf-8", "{}\n"],
      ["/folder//sub/./x.json?a=b", "application/json; charset=utf-8", "{}\n"],
      ["/folder%2Fsub%2Fx.json", "application/json; charset=utf-8", "{}\n"],
      ["/folder/../digits", "application/octet-stream", "0123456789"],
      ["/a%20b/%C3%BC.txt", "text/plain; charset=utf-8", "umlaut\n"],
      ["/nothing.css", "text/css; charset=utf-8", ""],
    ]) {
      const { status, headers, body: got } = await ask(wire, target);
      assert.deepEqual([status, headers["content-type"], got], [200, type, body], target);
      assert.equal(headers["content-length"], String(body.length), target);
    }
    await wire.isEmpty();
  });

  test("a folder without its slash is redirected, and never to another host", async () => {
    const wire = await served();
    for (const [target, location] of [
      ["/folder", "/folder/"], ["/folder?a=b", "/folder/?a=b"], ["//folder", "/folder/"], ["/a%20b", "/a%20b/"],
      ["/b\\c", "/b%5Cc/"], ["/empty", "/empty/"], ["/\\/../folder", "/../folder/"],
    ]) {
      const { status, headers, body } = await ask(wire, target);
      assert.deepEqual([status, headers.location, body], [301, location, "Moved Permanently\n"], target);
    }
    assert.equal((await ask(wire, "/empty/")).status, 404);
  });

  test("HEAD has the headers of GET, and nothing else does but these two", async () => {
    const wire = await served();
    for (const target of ["/digits", "/", "/missing", "/folder"]) {
      const [get, head] = [await ask(wire, target), await ask(wire, target, { method: "HEAD" })];
      assert.deepEqual({ ...head.headers, date: "" }, { ...get.headers, date: "" }, target);
      assert.deepEqual([head.status, head.body], [get.status, ""], target);
    }
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]) {
      const { status, headers, body } = await ask(wire, "/digits", { method });
      assert.deepEqual([status, headers.allow, body], [405, "GET, HEAD", "Method Not Allowed\n"], method);
    }
  });

  test("conditions are judged by ETag and Last-Modified", async () => {
    const wire = await served();
    const { headers: { etag = "", "last-modified": modified } } = await ask(wire, "/digits");
    assert.equal(modified, DATE);
    assert.match(etag, /^W\/".+"$/);
    const [earlier, later] = ["Tue, 30 Jun 2026 12:00:00 GMT", "Thu, 02 Jul 2026 12:00:00 GMT"];
    for (const [name, value, status] of [
      ["If-None-Match", etag, 304], ["If-None-Match", `"other", ${etag}`, 304], ["If-None-Match", "*", 304],
      ["If-None-Match", "\"other\"", 200], ["If-Modified-Since", DATE, 304], ["If-Modified-Since", later, 304],
      ["If-Modified-Since", earlier, 200], ["If-Modified-Since", "nonsense", 200], ["If-Match", "*", 200],
      ["If-Match", "\"other\"", 412], ["If-Unmodified-Since", earlier, 412], ["If-Unmodified-Since", DATE, 200],
    ] as const) {
      const { status: got, body, headers } = await ask(wire, "/digits", { headers: { [name]: value } });
      assert.equal(got, status, `${name}: ${value}`);
      assert.equal(body, status === 200 ? "0123456789" : status === 304 ? "" : "Precondition Failed\n");
      if (status === 304) assert.deepEqual([headers.etag, headers["content-length"]], [etag, undefined]);
    }
  });

  test("ranges: one is sent, several are the whole file, and one that is not there is refused", async () => {
    const wire = await served();
    for (const [range, status, length, body] of [
      ["bytes=0-0", 206, "bytes 0-0/10", "0"], ["bytes=2-4", 206, "bytes 2-4/10", "234"],
      ["bytes=7-", 206, "bytes 7-9/10", "789"], ["bytes=-3", 206, "bytes 7-9/10", "789"],
      ["bytes=8-99999999999999999999", 206, "bytes 8-9/10", "89"], ["bytes=0-1,2-3", 206, "bytes 0-3/10", "0123"],
      ["bytes=0-1,5-6", 200, undefined, "0123456789"], ["lines=1-2", 200, undefined, "0123456789"],
      ["bytes=10-", 416, "bytes */10", "Range Not Satisfiable\n"],
      ["bytes=-99", 416, "bytes */10", "Range Not Satisfiable\n"],
      ["bytes=x", 416, "bytes */10", "Range Not Satisfiable\n"],
    ] as const) {
      const { status: got, headers, body: sent } = await ask(wire, "/digits", { headers: { Range: range } });
      assert.deepEqual([got, headers["content-range"], sent], [status, length, body], range);
    }
    const many = `bytes=${Array.from({ length: 1000 }, (_, i) => `${i}-${i}`).join()}`;
    assert.equal((await ask(wire, "/digits", { headers: { Range: many } })).body, "0123456789");
    const { headers: { etag = "" } } = await ask(wire, "/digits");
    for (const [condition, status] of [[etag, 206], ["\"other\"", 200], [DATE, 206]] as const) {
      const asked = await ask(wire, "/digits", { headers: { Range: "bytes=1-2", "If-Range": condition } });
      assert.equal(asked.status, status, condition);
    }
    assert.equal((await ask(wire, "/nothing.css", { headers: { Range: "bytes=0-" } })).status, 416);
  });

  test("there is no way out of the folder, nor to names with a dot", async () => {
    const wire = await served();
    symlinkSync(join(dir, "secret.txt"), join(root, "link.txt"));
    symlinkSync(join(dir, "root2"), join(root, "linked"));
    symlinkSync("..", join(root, "up"));
    symlinkSync("loop", join(root, "loop"));
    symlinkSync("/dev/zero", join(root, "zero"));
    symlinkSync("/proc/self/environ", join(root, "environ"));
    for (const [target, status] of [
      ["/../secret.txt", 403], ["/folder/../../secret.txt", 403], ["/%2e%2e/secret.txt", 403],
      ["/..%2fsecret.txt", 403], ["/folder%2f..%2f..%2fsecret.txt", 403], ["/%2e%2e%2fsecret.txt", 403],
      ["/..%5csecret.txt", 403], ["/..\\secret.txt", 403], ["/%252e%252e/secret.txt", 404],
      ["/..%c0%afsecret.txt", 400], ["/../root2/secret.txt", 403], ["/..", 403], ["//../secret.txt", 403],
      ["http://x/../secret.txt", 403], ["/folder/..;/secret.txt", 404], ["/secret.txt", 404],
      [`/${join(dir, "secret.txt")}`, 404], ["/digits%00.html", 400], ["/%00", 400], ["/%", 400], ["/%zz", 400],
      ["/%ff", 400], ["*", 400], ["secret.txt", 400], ["/digits/", 404], ["/digits/x", 404],
      [`/${"x".repeat(300)}`, 404], [`/${"x/".repeat(4000)}`, 404],
      ["/link.txt", 404], ["/linked", 404], ["/linked/", 404], ["/linked/secret.txt", 404], ["/up", 404],
      ["/up/secret.txt", 404], ["/up/root/digits", 200], ["/loop", 404], ["/loop/x", 404], ["/zero", 404],
      ["/environ", 404],
      ["/.env", 404], ["/.git", 404], ["/.git/", 404], ["/.git/config", 404], ["/%2egit/config", 404],
      ["/folder/../.env", 404],
    ] as const) {
      const { status: got, head, body } = await ask(wire, target);
      assert.equal(got, status, target);
      assert.ok(!body.includes("secret") && !`${head}${body}`.includes(dir), `${target}: ${head}${body}`);
    }
  });

  test("links within the folder are followed, as a ConfigMap has them", async () => {
    const folder = join(dir, "map");
    mkdirSync(join(folder, "..one"), { recursive: true });
    mkdirSync(join(folder, "..two"));
    writeFileSync(join(folder, "..one", "page.html"), "one\n");
    writeFileSync(join(folder, "..two", "page.html"), "two\n");
    symlinkSync("..one", join(folder, "..data"));
    symlinkSync("..data/page.html", join(folder, "page.html"));
    const wire = await served(folder);
    assert.equal((await ask(wire, "/page.html")).body, "one\n");
    symlinkSync("..two", join(folder, "..new"));
    renameSync(join(folder, "..new"), join(folder, "..data"));
    assert.equal((await ask(wire, "/page.html")).body, "two\n");
  });

  test("a folder that is a link is what it leads to at each request; one that is gone has nothing", async () => {
    const link = join(dir, "current");
    symlinkSync("root2", link);
    writeFileSync(join(dir, "root2", "index.html"), "two\n");
    const wire = await served(link);
    assert.equal((await ask(wire, "/")).body, "two\n");
    rmSync(link);
    assert.deepEqual(await ask(wire, "/").then(({ status, body }) => [status, body]), [404, "Not Found\n"]);
    symlinkSync("root", link);
    assert.equal((await ask(wire, "/")).body, "<p>root\n");
    rmSync(link);
    writeFileSync(link, "a file");
    for (const target of ["/", "/x", "/current"]) assert.equal((await ask(wire, target)).status, 404, target);
  });

  test("what is no file is not opened", async () => {
    const server = createServer().listen(join(root, "socket"));
    const wire = await served();
    assert.equal((await ask(wire, "/socket")).status, 404);
    server.close();
  });

  /** Names of this process's open files below the root. */
  const openFiles = () => readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const name = readlinkSync(`/proc/self/fd/${fd}`);
      return name.startsWith(root) ? [name] : [];
    } catch {
      return [];
    }
  });

  /** Asks for a large file, and waits until the client has its headers, and reads no further. */
  async function begun(wire: RigWire, name: string): Promise<Begun> {
    put(name, LARGE);
    const end = await wire.connect(4);
    end.client.holds = true;
    end.write(`GET /${name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    await wire.until(() => end.readableLength > 0);
    assert.deepEqual(openFiles(), [join(root, name)]);
    return { end, resume: () => {
      end.client.holds = false;
      end.client.tcp.consume(Infinity, wire.rig.host.us);
      return wire.during(heardBy(end));
    } };
  }

  test("a large file comes whole, also if it is removed or grows meanwhile", async () => {
    const wire = await served();
    for (const change of [
      () => undefined, () => { rmSync(join(root, "large")); }, () => { appendFileSync(join(root, "large"), "more"); },
    ]) {
      const { resume } = await begun(wire, "large");
      change();
      const { status, bytes } = await resume();
      assert.equal(status, 200);
      assert.ok(bytes.equals(LARGE));
      await wire.until(() => openFiles().length === 0);
    }
    await wire.isEmpty();
  });

  test("the connection ends where a file has become shorter", async () => {
    const wire = await served();
    const { resume } = await begun(wire, "short");
    truncateSync(join(root, "short"), 1 << 19);
    const { headers, bytes } = await resume();
    assert.equal(headers["content-length"], String(LARGE.length));
    assert.ok(bytes.equals(LARGE.subarray(0, 1 << 19)), `${bytes.length} bytes`);
    await wire.until(() => openFiles().length === 0);
  });

  test("a client that leaves leaves no file open; requests behind its first open none", async () => {
    const wire = await served();
    const { end } = await begun(wire, "left");
    end.client.tcp.abort(wire.rig.host.us);
    await wire.until(() => openFiles().length === 0);
    put("second", LARGE);
    const pipelined = await wire.connect(4);
    pipelined.client.holds = true;
    pipelined.write("GET /left HTTP/1.1\r\nHost: x\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n");
    await wire.until(() => openFiles().length > 0);
    for (let i = 0; i < 10; i++) await wire.turn();
    assert.deepEqual(openFiles(), [join(root, "left")]);
    pipelined.client.tcp.abort(wire.rig.host.us);
    await wire.until(() => openFiles().length === 0);
    await wire.isEmpty();
  });
});

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Begun {
  readonly end: Awaited<ReturnType<RigWire["connect"]>>;
  readonly resume: () => Promise<Heard>;
}
