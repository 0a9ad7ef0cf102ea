/**
 * Tests where pongd serves its metrics: several places, a socket's file, an address of one interface, and sockets that
 * systemd has opened.
 */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CLI, needs, Netns, Pongd } from "../support/netns.js";

const PREFIX = "10.99.0.0/16";

/**
 * Listens at the places in its first argument, and then becomes the command behind it with those sockets, as systemd
 * starts a service.
 */
const ACTIVATE = `
import os, socket, sys
places, command = sys.argv[1].split(","), sys.argv[2:]
sockets = []
for place in places:
    if place.startswith("/"):
        opened = socket.socket(socket.AF_UNIX)
        opened.bind(place)
    else:
        host, port = place.rsplit(":", 1)
        opened = socket.socket()
        opened.bind((host, int(port)))
    opened.listen()
    sockets.append(opened)
for number, opened in enumerate(sockets):
    assert opened.fileno() == 3 + number
    os.set_inheritable(opened.fileno(), True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=":".join("pongd.socket" for _ in sockets))
os.execvp(command[0], command)
`;

describe("where pongd listens", needs("python3"), () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-listen-"));
  const path = join(dir, "pongd.sock");
  let ns: Netns;
  before(async () => {
    ns = await Netns.open();
    await ns.ok("ip", "address", "add", "fe80::7/64", "dev", "lo", "nodad");
  });
  after(async () => {
    await ns.close();
    rmSync(dir, { recursive: true });
  });

  const ready = async (url: string, ...options: string[]) => (await ns.http(`${url}/-/ready`, ...options)).body;
  const readyAtPath = () => ready("http://localhost", "--unix-socket", path);
  const activated = (places: string, ...args: string[]) => Pongd.start(
    ns, { wrapper: ["python3", "-c", ACTIVATE, places] }, PREFIX, ...args,
  );

  test("every place is served, and said at the start; what reads there is told by top as well", async () => {
    const pongd = await Pongd.start(
      ns, PREFIX, "--listen", "127.0.0.1:7665", "--listen", `unix:${path}`, "--listen", "[fe80::7%lo]:7664,[::1]:7666",
    );
    assert.match(pongd.stdout, new RegExp(`^  metrics       http://127\\.0\\.0\\.1:7665/metrics\n {16}unix:${path}\n `
      + `{16}http://\\[fe80::7%25lo\\]:7664/metrics\n {16}http://\\[::1\\]:7666/metrics\n`, "m"));
    for (const url of ["http://127.0.0.1:7665", "http://[fe80::7%25lo]:7664", "http://[::1]:7666"]) {
      assert.equal(await ready(url), "Ready\n", url);
    }
    assert.equal(await readyAtPath(), "Ready\n");
    assert.equal((await ns.run("curl", "-sS", "http://127.0.0.1:7664/-/ready")).status, 7, "the default is replaced");
    for (const address of [`unix:${path}`, "[fe80::7%lo]:7664"]) {
      assert.match(
        await ns.ok(process.execPath, CLI, "top", address, "--json", "--count", "1", "--interval", "0.1"),
        /"rates":/,
        address,
      );
    }
    await pongd.stop();
    assert.ok(!existsSync(path));
    assert.deepEqual(await ns.run(process.execPath, CLI, "top", `unix:${path}`), {
      status: 1, stdout: "",
      stderr: `pongd: unix:${path}: there is no such socket; is pongd running, and with which --listen?\n`,
    });
  });

  test("after kill -9 the next one takes the socket's file over; while it is served, another is refused", async () => {
    const killed = await Pongd.start(ns, PREFIX, "--listen", `unix:${path}`);
    await killed.stop("SIGKILL");
    assert.ok(statSync(path).isSocket());
    const pongd = await Pongd.start(ns, "10.98.0.0/16", "--device", "pong1", "--listen", `unix:${path}`);
    const { status, stderr } = await Pongd.fail(ns, "10.97.0.0/16", "--device", "pong2", "--listen", `unix:${path}`);
    assert.deepEqual(
      [status, stderr],
      [1, `pongd: unix:${path} is in use, perhaps by another pongd; choose another address with --listen\n`],
    );
    assert.equal(await readyAtPath(), "Ready\n");
    await pongd.stop();
  });

  for (const how of [[], ["--drop-privileges"]]) {
    test("sockets that systemd has opened are served in place of the "
      + `default${how.map((flag) => `, with ${flag}`).join("")}, and stay when it ends`, async () => {
      const pongd = await activated(`127.0.0.2:7667,${path}`, ...how);
      assert.match(
        pongd.stdout, new RegExp(`^  metrics       http://127\\.0\\.0\\.2:7667/metrics\n {16}unix:${path}\n`, "m"),
      );
      assert.equal(await ready("http://127.0.0.2:7667"), "Ready\n");
      assert.equal(await readyAtPath(), "Ready\n");
      assert.equal((await ns.run("curl", "-sS", "http://127.0.0.1:7664/-/ready")).status, 7);
      assert.equal((await pongd.stop()).status, 0);
      assert.ok(statSync(path).isSocket(), "it is systemd's to remove");
      rmSync(path);
    });
  }

  test("--listen adds to them, and names one of them without a conflict", async () => {
    const pongd = await activated("127.0.0.2:7667", "--listen", "127.0.0.1:7664", "--listen", "127.0.0.2:7667");
    assert.match(
      pongd.stdout,
      /^ {2}metrics {7}http:\/\/127\.0\.0\.2:7667\/metrics\n {16}http:\/\/127\.0\.0\.1:7664\/metrics\n {0,1}\S/m,
    );
    for (const url of ["http://127.0.0.2:7667", "http://127.0.0.1:7664"]) assert.equal(await ready(url), "Ready\n");
    await pongd.stop();
  });
});
