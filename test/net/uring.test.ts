/** Tests io_uring where it is refused, where writes fail, and where a worker ends with packets under way. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { EXIT } from "../../src/base/failure.js";
import { IO_NAMES } from "../../src/io/contract.js";
import { source } from "../support/assembly.js";
import { CLI, COMBINATIONS, needs, Netns, poll, Pongd, sum } from "../support/netns.js";

const PREFIX = "10.99.0.0/16";

describe("io_uring", needs("ping", "strace"), () => {
  let ns: Netns;
  before(async () => { ns = await Netns.open(); });
  after(() => ns.close());

  /** Returns strace's arguments to make a system call fail with an errno; pongd's arguments follow. */
  const inject = (call: string, errno: string) => [
    "strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", `trace=${call}`, "-e", `inject=${call}:error=${errno}`,
  ];

  for (const [call, errno, where] of [
    ["io_uring_setup", "ENOSYS", "a kernel without it"],
    ["io_uring_setup", "EINVAL", "a kernel older than 6.6"],
    ["io_uring_setup", "EPERM", "kernel.io_uring_disabled, or seccomp"],
    ["io_uring_setup", "ENOMEM", "RLIMIT_MEMLOCK"],
    ["io_uring_register", "EINVAL", "registered files refused"],
    // From Node.js 22 on libuv makes such calls itself, and aborts where they fail.
    ...parseInt(process.versions.node) < 22
      ? [["io_uring_enter", "EINVAL", "the first write and read refused"]] as const
      : [],
  ] as const) {
    test(`${errno} of ${call} (${where}): auto falls back with one line, uring ends with 4`, async () => {
      const wrapped = await Pongd.start(ns, { wrapper: inject(call, errno) }, PREFIX);
      assert.equal((await wrapped.metrics()).get("pongd_queue_info{queue=\"0\",engine=\"wasm\",io=\"readwrite\"}"), 1);
      assert.match(await ns.ok("ping", "-c", "1", "10.99.1.1"), / 1 received/);
      assert.equal(sum(await wrapped.metrics(), "pongd_bytes_sent_total"), 84, "what was tried is not counted");
      const lines = wrapped.stderr.trim().split("\n");
      assert.equal(lines.length, 1, wrapped.stderr);
      assert.match(lines[0], new RegExp(
        ` info io_uring cannot be used here, so packets cost two system calls each: ${call}.*${errno}.* io=readwrite`,
      ));
      await wrapped.stop();

      const { status, stderr } = await ns.run(
        ...inject(call, errno) as [string, ...string[]], process.execPath, CLI, "run", PREFIX, "--io", "uring",
      );
      assert.match(stderr, new RegExp(
        `^pongd: io_uring cannot be used here: ${call}[^\\n]*${errno}[^\\n]*; run with --io auto[^\\n]*\\n$`,
      ));
      assert.equal(status, EXIT.PERMISSION);
      assert.deepEqual((await ns.ip<{ ifname: string }>("link")).map(({ ifname }) => ifname), ["lo"]);
    });
  }

  for (const errno of ["EINTR", "EAGAIN", "EBUSY"]) {
    test(`io_uring_enter that gives ${errno} now and then: every ping is answered`, async () => {
      const wrapper = inject("io_uring_enter", errno);
      wrapper[wrapper.length - 1] += ":when=5+7";
      const pongd = await Pongd.start(ns, { wrapper }, PREFIX, "--io", "uring");
      await ns.pings(50, "10.99.1.1");
      await pongd.stop();
    });
  }

  test("--spin: it answers, alone and in a flood, and sleeps again", async () => {
    const pongd = await Pongd.start(ns, PREFIX, "--io", "uring", "--spin", "200");
    await ns.pings(3, "10.99.1.1");
    await ns.ok("ping", "-f", "-q", "-c", "2000", "-w", "10", "10.99.1.1");
    let calls = NaN;
    await poll(async () => {
      const before = calls;
      calls = sum(await pongd.metrics(), "pongd_syscalls_total");
      return calls - before;
    }, (more) => more === 0);
    await pongd.stop();
  });

  test("lone packets cost four system calls each: to wait, read, write, and look for another one", async () => {
    const pongd = await Pongd.start(ns, PREFIX, "--io", "uring");
    await ns.ok("ping", "-c", "1", "10.99.1.1");
    await pongd.asleep();
    const before = await pongd.metrics();
    for (let i = 0; i < 40; i++) {
      await ns.pings(1, "10.99.1.1");
      // One that comes while pongd, held up, is still looking for another one would save some of them.
      await pongd.asleep();
    }
    const after = await pongd.metrics();
    const difference = (name: string) => sum(after, name) - sum(before, name);
    assert.equal(difference("pongd_packets_received_total"), 40);
    assert.equal(difference("pongd_syscalls_total"), 40 * 4);
    await pongd.stop();
  });

  test("packets that come together cost one system call a round, their replies included", async () => {
    const pongd = await Pongd.start(ns, PREFIX, "--io", "uring");
    await ns.ok("ping", "-c", "1", "10.99.1.1");
    const before = await pongd.metrics();
    // They wait in the device's queue while pongd is stopped.
    process.kill(pongd.pid, "SIGSTOP");
    await ns.run("ping", "-q", "-c", "200", "-l", "200", "-W", "0.1", "10.99.1.1");
    process.kill(pongd.pid, "SIGCONT");
    const after = await pongd.until(
      (metrics) => sum(metrics, "pongd_packets_received_total") >= sum(before, "pongd_packets_received_total") + 200,
    );
    // Rounds of 1, 2, 4 … 128 packets, and what it takes to sleep again.
    assert.ok(sum(after, "pongd_syscalls_total") - sum(before, "pongd_syscalls_total") <= 20);
    await pongd.stop();
  });
});

describe("what the kernel refuses", needs("ping"), () => {
  for (const { engine, io } of COMBINATIONS) {
    test(`${engine}, ${io}: replies written to a link that is down are counted as refused, and none is `
      + "counted as sent", async () => {
      const ns = await Netns.open();
      const pongd = await Pongd.start(ns, PREFIX, "--io", io, "--engine", engine);
      await ns.ok("ping", "-c", "1", "10.99.1.1");
      const before = await pongd.metrics();
      // pongd is stopped, so that the packets wait in the queue until the link is down. Reading them still works then,
      // writing does not.
      process.kill(pongd.pid, "SIGSTOP");
      await ns.run("ping", "-c", "30", "-i", "0.002", "-W", "0.1", "10.99.1.1");
      await ns.ok("ip", "link", "set", "pong0", "down");
      process.kill(pongd.pid, "SIGCONT");
      const after = await pongd.until(
        (metrics) => sum(metrics, "pongd_packets_received_total") >= sum(before, "pongd_packets_received_total") + 30,
      );
      const difference = (name: string) => sum(after, name) - sum(before, name);
      const final = await pongd.until((metrics) => sum(metrics, "pongd_write_errors_total") >= 30);
      assert.equal(difference("pongd_replies_total"), 30);
      assert.equal(sum(final, "pongd_write_errors_total"), 30);
      assert.equal(sum(final, "pongd_bytes_sent_total"), sum(before, "pongd_bytes_sent_total"));
      await ns.ok("ip", "link", "set", "pong0", "up");
      await pongd.logged(/the link is up/);
      assert.match(await ns.ok("ping", "-c", "1", "10.99.1.1"), / 1 received/);
      const { stdout } = await pongd.stop();
      assert.match(stdout, /the device refused 30 replies/);
      await ns.close();
    });
  }
});

describe("ended with packets under way", needs("ping"), () => {
  for (const io of IO_NAMES) {
    test(`${io}: 50 times, no reply is lost that was counted, no packet that was read is not counted`, async () => {
      const ns = await Netns.open();
      const flood = ns.spawn(
        "sh", "-c", "while ! ip route get 10.99.1.1 2>/dev/null | grep -q pong0; do :; done; exec ping -f -q 10.99.1.1",
      );
      const { written, rx, received, tx } = JSON.parse(
        await ns.ok(process.execPath, source("build/test/support/restart.js"), "50", io, "wasm"),
      ) as Record<string, number>;
      flood.kill();
      assert.equal(written, rx, "replies counted and not refused, and what the device got");
      // tx counts a packet when it is read.
      assert.equal(received, tx, "packets counted, and what was read from the device");
      await ns.close();
    });
  }
});
