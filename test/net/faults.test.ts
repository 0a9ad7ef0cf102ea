/**
 * Makes system calls fail, one at a time. A fault at the start leaves pongd answering, or ends it with one line and its
 * status, and nothing stays behind. After a fault while it runs, it answers on. CI tries the failures that a kernel has
 * reason for; FAULTS=all tries every call of pongd's own with every errno.
 */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { EXIT } from "../../src/base/failure.js";
import { IO_NAMES } from "../../src/io/contract.js";
import { callsOf, failing, type Call } from "../support/faults.js";
import { addUp, needs, Netns, onlyUp, Pongd, sum } from "../support/netns.js";

const PREFIXES = ["10.99.0.0/16", "fd99::/64"];
const ERRNOS = ["ENOBUFS", "ENOMEM", "EIO", "EAGAIN", "EINTR", "EPERM", "EINVAL", "EMFILE", "ENFILE"];
const ALL = process.env.FAULTS === "all";

interface Row {
  /** The pattern of the call to fail, which is the first that matches. */
  readonly call: RegExp;
  readonly errnos: readonly string[];
  /** The end that pongd comes to; it answers where this is missing. */
  readonly ends?: readonly [status: number, message: RegExp];
}

const { RUNTIME, PERMISSION } = EXIT;
const ROWS: Record<string, readonly Row[]> = {
  uring: [
    {
      call: /^socket/, errnos: ["EMFILE"],
      ends: [RUNTIME, /socket AF_NETLINK: EMFILE \(this process has no descriptors left; see: ulimit -n\)/],
    },
    { call: /^bind/, errnos: ["ENOMEM"], ends: [RUNTIME, /bind AF_NETLINK: ENOMEM/] },
    { call: /NETLINK_GET_STRICT_CHK/, errnos: ["EINVAL"] },
    { call: /^sendto.*RTM_GETLINK/, errnos: ["ENOBUFS"], ends: [RUNTIME, /netlink send: link pong0: ENOBUFS/] },
    { call: /^sendto.*RTM_NEWLINK/, errnos: ["EINTR"] },
    {
      call: /^recvfrom.*RTM_NEWADDR/, errnos: ["ENOBUFS"],
      ends: [RUNTIME, /netlink recv: address 10\.99\.0\.1: ENOBUFS \(the kernel is short of memory\)/],
    },
    { call: /^recvfrom.*RTM_NEWROUTE/, errnos: ["EINTR"] },
    { call: /net\/tun/, errnos: ["EMFILE", "ENFILE"], ends: [
      RUNTIME,
      /cannot open \/dev\/net\/tun: E[MN]FILE \(this (process|host) has no descriptors left; see: \w+ [-\w.]+\)/,
    ] },
    { call: /TUNSETIFF/, errnos: ["ENOMEM"], ends: [RUNTIME, /cannot make device pong0: TUNSETIFF pong0: ENOMEM$/m] },
    {
      call: /TUNSETIFF/, errnos: ["EINVAL"],
      ends: [RUNTIME, /cannot make device pong0: TUNSETIFF pong0: EINVAL; choose another name/],
    },
    { call: /TUNSETIFF/, errnos: ["EPERM"], ends: [PERMISSION, /making device pong0 needs CAP_NET_ADMIN/] },
    { call: /^eventfd2/, errnos: ["EMFILE"], ends: [RUNTIME, /eventfd of queue 0: EMFILE/] },
    { call: /IORING_REGISTER_BUFFERS/, errnos: ["ENOMEM"] },
    { call: /PR_SET_TIMERSLACK/, errnos: ["EINVAL"] },
  ],
  readwrite: [
    { call: /^unshare/, errnos: ["EPERM"] },
    { call: /PR_SET_TIMERSLACK/, errnos: ["EINVAL"] },
  ],
};
const DROPPING: readonly Row[] = [
  {
    call: /^prctl\(PR_SET_NO_NEW_PRIVS/, errnos: ["EINVAL"],
    ends: [PERMISSION, /privileges cannot be dropped: PR_SET_NO_NEW_PRIVS: EINVAL; run without --drop-privileges/],
  },
  { call: /^execve/, errnos: ["ENOMEM"], ends: [PERMISSION, /privileges cannot be dropped: execve: ENOMEM/] },
  { call: /^capset/, errnos: ["EPERM"] },
];

describe("at the start", needs("ping", "strace"), () => {
  let ns: Netns;
  beforeEach(async () => { ns = await Netns.open(); });
  afterEach(() => ns.close());

  /** Starts pongd with that fault, asserts that it does something that it may do, and returns how it ended. */
  const attempt = async ({ call, when, text }: Call, errno: string, args: readonly string[]) => {
    const what = `${errno} of ${text}`;
    const { pongd, answers } = await Pongd.attempt(ns, { wrapper: failing(call, errno, when) }, ...args);
    if (answers) {
      await ns.ok("ping", "-c", "1", "-w", "10", "10.99.1.1");
      addUp(await pongd.metrics());
    }
    const { status, stderr } = answers ? await pongd.stop() : await pongd.ended;
    if (!answers) assert.match(stderr, /^pongd: [^\n]*\n$/, what);
    assert.ok(
      answers ? status === 0 : status === RUNTIME || status === PERMISSION,
      `${what}: ${answers ? "it answered, and" : "it"} ended with ${status}`,
    );
    assert.deepEqual((await ns.ip<{ ifname: string }>("link")).map(({ ifname }) => ifname), ["lo"], what);
    return { answers, status, stderr };
  };

  for (const [how, rows, args] of [
    ...IO_NAMES.map((io) => [io, ROWS[io], ["--io", io]] as const),
    ["--drop-privileges", DROPPING, ["--drop-privileges"]] as const,
  ]) {
    test(`${how}: ${rows.length} calls that may fail: it answers, or says why it does not; `
      + "nothing is left", async () => {
      const calls = await callsOf(ns, ...PREFIXES, ...args);
      for (const { call: pattern, errnos, ends } of rows) {
        const call = calls.find(({ text }) => pattern.test(text));
        assert.ok(call, `it makes ${String(pattern)}: ${calls.map(({ text }) => text).join("\n")}`);
        for (const errno of errnos) {
          const { answers, status, stderr } = await attempt(call, errno, [...PREFIXES, ...args]);
          assert.deepEqual(
            [answers, status], ends ? [false, ends[0]] : [true, 0], `${errno} of ${call.text}: ${stderr}`,
          );
          assert.match(stderr, ends?.[1] ?? /^$/);
        }
      }
    });

    if (ALL) test(`${how}: every call of its own, with every errno`, async () => {
      const outcomes: Record<string, string> = {};
      for (const call of await callsOf(ns, ...PREFIXES, ...args)) {
        for (const errno of ERRNOS) {
          const { answers, stderr } = await attempt(call, errno, [...PREFIXES, ...args]);
          outcomes[`${call.call} ${call.when} ${errno}`] = answers ? "answers" : stderr.trim();
        }
      }
      console.table(outcomes);
    });
  }

  test("in JSON, a call that fails is a line of the log as well", async () => {
    const call = (await callsOf(ns, ...PREFIXES)).find(({ text }) => text.startsWith("bind"));
    assert.ok(call);
    const { pongd } = await Pongd.attempt(
      ns, { wrapper: failing("bind", "ENOMEM", call.when) }, ...PREFIXES, "--log-format", "json",
    );
    const { status, stderr } = await pongd.ended;
    assert.equal(status, RUNTIME);
    assert.match(stderr, /^\{"level":"error",[^\n]*"status":1,"msg":"bind AF_NETLINK: ENOMEM"\}\n$/);
  });
});

describe("while it runs", needs("ping", "strace"), () => {
  let ns: Netns;
  beforeEach(async () => { ns = await Netns.open(); });
  afterEach(() => ns.close());
  const ping = () => ns.ok("ping", "-c", "1", "-w", "10", "10.99.1.1");
  const refused = (metrics: Map<string, number>) => sum(metrics, "pongd_write_errors_total");

  for (const io of IO_NAMES) {
    test(`${io}: a read or a wait that is to be tried again is, and a reply that is refused is counted`, async () => {
      const pongd = await Pongd.start(ns, ...PREFIXES, "--io", io);
      await ping();
      for (const fault of ["read:error=EAGAIN", "read:error=EINTR", "ppoll:error=EINTR"]) {
        const injection = await pongd.inject(pongd.worker, fault);
        await ping();
        await injection.over();
      }
      let before = await pongd.metrics();
      assert.equal(refused(before), 0);
      for (const [i, errno] of ["ENOBUFS", "ENOMEM", "EIO", "EAGAIN", "EINTR", "EPERM", "EINVAL"].entries()) {
        const injection = await pongd.inject(pongd.worker, `write:error=${errno}`);
        // ping sends again until it is answered.
        await ping();
        const after = await pongd.metrics();
        assert.equal(refused(after), i + 1, errno);
        onlyUp(before, before = after);
        await injection.over();
      }
      addUp(before);
      assert.equal(sum(before, "pongd_worker_restarts_total"), 0);
      assert.equal((await pongd.stop()).status, 0);
    });
  }

  // Many at once have the ring used. A loop that is given so much need not sleep, and so has no ppoll.
  const [many, few] = [["-f", "-q", "-l", "100"], ["-i", "0.2"]] as const;
  for (const [io, fault, pings] of [
    ["readwrite", "ppoll:error=ENOMEM", few], ["uring", "ppoll:error=ENOMEM", few],
    ["uring", "io_uring_enter:error=ENOMEM", many],
  ] as const) {
    test(`${io}: ${fault}: the worker is started again, and answers`, async () => {
      const pongd = await Pongd.start(ns, ...PREFIXES, "--io", io);
      await ping();
      const before = await pongd.metrics();
      const { ended } = await pongd.inject(pongd.worker, fault);
      const load = ns.spawn("ping", ...pings, "10.99.1.1");
      await ended;
      load.kill();
      await pongd.until((metrics) => sum(metrics, "pongd_worker_restarts_total") === 1);
      await ping();
      const after = await pongd.metrics();
      onlyUp(before, after);
      addUp(after);
      assert.match(pongd.stderr, new RegExp(` error the worker of queue 0 died: ${fault.replace(/:.*/, "")} the `
        + `device's queue: ${fault.replace(/.*=/, "")}; it is started again queue=0\n$`));
      assert.equal((await pongd.stop()).status, 0);
    });
  }

  test("the kernel cannot say how the link is: it says so, answers on, and asks again", async () => {
    const pongd = await Pongd.start(ns, ...PREFIXES);
    const injection = await pongd.inject(pongd.pid, "sendto:error=ENOBUFS");
    await ns.ok("ip", "link", "set", "pong0", "alias", "changed");
    await pongd.logged(/warn cannot tell whether packets reach pongd, and asks again: netlink send: link \d+: ENOBUFS/);
    await ping();
    await injection.over();
    await ns.ok("ip", "link", "set", "pong0", "down");
    await pongd.logged(/the link is down/);
    assert.equal((await pongd.stop()).status, 0);
  });
});
