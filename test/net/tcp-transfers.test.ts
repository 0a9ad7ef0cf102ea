/**
 * Tests transfers over TCP while something happens to pongd or its device: the kernel refuses offload, the MTU changes,
 * pongd stands still, the device is deleted. Each byte is compared.
 */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { EXIT } from "../../src/base/failure.js";
import { IO_NAMES } from "../../src/io/contract.js";
import { addUp, needs, Netns, poll, Pongd, sum } from "../support/netns.js";
import { allGone, Bulk, bytes, Clients, moved } from "../support/tcpclients.js";

const ARGS = ["10.99.0.0/16", "--tcp", "7=echo 9=discard 19=chargen"];
const MORE = 5_000_000;

describe("transfers", needs("python3", "strace"), () => {
  let ns: Netns;
  beforeEach(async () => { ns = await Netns.open(); });
  afterEach(() => ns.close());

  /** Starts a transfer with each kind of service, and waits until all go on. */
  const begin = async (pongd: Pongd) => {
    const transfers = {
      up: new Bulk(ns, "up", "10.99.1.1", 9),
      down: new Bulk(ns, "down", "10.99.1.2", 19),
      both: new Bulk(ns, "both", "10.99.1.3", 7),
    };
    await pongd.until((metrics) => sum(metrics, "pongd_tcp_accepted_total") === 3);
    await moved(pongd, MORE, "in", "out");
    return transfers;
  };

  /** Ends them, and asserts that every byte arrived, and once. */
  const finish = async (pongd: Pongd, { up, down, both }: Awaited<ReturnType<typeof begin>>) => {
    const [sent, got, echoed] = await Promise.all([up.end(), down.end(), both.end()]);
    const metrics = await allGone(pongd);
    assert.equal(echoed.got, echoed.sent);
    assert.equal(bytes(metrics, "in"), sent.sent + echoed.sent);
    assert.equal(bytes(metrics, "out"), got.got + echoed.got);
    addUp(metrics);
    assert.equal(await counted("InErrs"), 0, "segments that are no good to the peers");
    return metrics;
  };

  /** Returns a counter of the TCP of the peers' kernel. */
  const counted = async (name: "InErrs" | "RetransSegs") => {
    const [names, values] = [...(await ns.ok("cat", "/proc/self/net/snmp")).matchAll(/^Tcp: (.*)$/gm)]
      .map(([, fields]) => fields.split(" "));
    return Number(values[names.indexOf(name)]);
  };

  test("the kernel refuses a packet that it was to finish: no byte is lost, and it says so", async () => {
    const pongd = await Pongd.start(ns, ...ARGS, "--offload", "on", "--io", "readwrite");
    const transfers = await begin(pongd);
    assert.equal((await pongd.metrics()).get("pongd_offload{queue=\"0\"}"), 1);
    const injection = await pongd.inject(pongd.worker, "write:error=EINVAL");
    await pongd.logged(/offload is off: the kernel has refused a packet that it was to cut or to complete/);
    await injection.over();
    await moved(pongd, MORE, "in", "out");
    const metrics = await finish(pongd, transfers);
    assert.equal(metrics.get("pongd_offload{queue=\"0\"}"), 0);
    assert.ok((metrics.get("pongd_offload_refused_packets_total{queue=\"0\"}") ?? 0) >= 1);
    assert.equal(metrics.get("pongd_write_errors_total{queue=\"0\"}"), 0);
    const { status, stderr } = await pongd.stop();
    assert.equal(status, 0);
    assert.match(stderr, /^[^\n]* warn offload is off: [^\n]*\n$/);
  });

  for (const io of IO_NAMES) {
    test(`${io}: the device's MTU becomes 1400, and 1500 again`, async () => {
      const pongd = await Pongd.start(ns, ...ARGS, "--io", io);
      const transfers = await begin(pongd);
      for (const mtu of [1400, 1500]) {
        await ns.ok("ip", "link", "set", "pong0", "mtu", String(mtu));
        await moved(pongd, MORE, "in", "out");
      }
      await finish(pongd, transfers);
      const { status, stderr } = await pongd.stop();
      assert.equal(status, 0);
      assert.equal(stderr, "");
    });

    test(`${io}: the device's MTU becomes 255, with which no connection were accepted at the start: others still are`,
      async () => {
        const pongd = await Pongd.start(ns, ...ARGS, "--io", io);
        await ns.ok("ip", "link", "set", "pong0", "mtu", "255");
        const clients = new Clients(ns, 7);
        assert.deepEqual(await clients.open(2), { open: 2 });
        assert.deepEqual(await clients.echo(30_000), { right: 2 });
        await clients.close();
        assert.deepEqual([pongd.stderr, (await pongd.stop()).status], ["", 0]);
      });

    test(`${io}: pongd stands still until its peers have sent again, and goes on`, async () => {
      const pongd = await Pongd.start(ns, ...ARGS, "--io", io);
      const transfers = await begin(pongd);
      process.kill(pongd.pid, "SIGSTOP");
      const before = await counted("RetransSegs");
      await poll(() => counted("RetransSegs"), (now) => now > before + 2);
      process.kill(pongd.pid, "SIGCONT");
      await moved(pongd, MORE, "in", "out");
      await finish(pongd, transfers);
      assert.equal((await pongd.stop()).status, 0);
    });

    test(`${io}: the device is deleted: status 1 and one line`, async () => {
      const pongd = await Pongd.start(ns, ...ARGS, "--io", io, "--queues", "2");
      const transfers = await begin(pongd);
      await ns.ok("ip", "link", "del", "pong0");
      const { status, stderr } = await pongd.ended;
      assert.match(stderr, /^pongd: device pong0 was deleted while pongd ran; start pongd again to make it anew\n$/);
      assert.equal(status, EXIT.RUNTIME);
      for (const transfer of Object.values(transfers)) transfer.kill();
    });
  }
});
