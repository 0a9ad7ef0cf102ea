/** Tests what a person without rights or without the device is told: status 4, and the command that mends it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { source } from "../support/assembly.js";
import { CLI, needs } from "../support/netns.js";

const NOBODY = "65534";

/** Runs pongd in namespaces where `prepare` has changed /dev/net, as `user`. */
function pongd(prepare: string, user: string, ...args: string[]) {
  const script = `ip link set lo up; ${prepare}; exec setpriv --reuid ${user} --regid ${user} --clear-groups `
    + `${user === "0" ? "" : "--bounding-set=-all"} "$@"`;
  return spawnSync(
    "unshare", ["-n", "-m", "sh", "-c", script, "sh", process.execPath, CLI, ...args], { encoding: "utf8" },
  );
}

const EMPTY = "mount -t tmpfs none /dev/net";
const node = (minor: number, mode: string) => `${EMPTY} && mknod -m ${mode} /dev/net/tun c 10 ${minor}`;

for (const [name, prepare, user, message] of [
  [
    "missing", EMPTY, "0",
    /cannot open \/dev\/net\/tun: ENOENT, it is missing; .*modprobe tun.*--device \/dev\/net\/tun/,
  ],
  [
    "no such device", node(254, "0666"), "0",
    /cannot open \/dev\/net\/tun: ENODEV, no TUN driver is loaded; on the host: sudo modprobe tun/,
  ],
  [
    "not permitted by its mode", node(200, "0600"), NOBODY,
    /cannot open \/dev\/net\/tun: EACCES, its file mode does not let you; run as root/,
  ],
  [
    "no CAP_NET_ADMIN", node(200, "0666"), NOBODY,
    /making device pong0 needs CAP_NET_ADMIN; run as root \(sudo\); for a container: --cap-add NET_ADMIN/,
  ],
] as const) {
  test(`${name}: run says so in one line and ends with 4, doctor names the same and what mends it`, needs(
    "setpriv",
  ), (context) => {
    if (process.getuid?.() !== 0) {
      context.skip("needs root, for device nodes of its own");
      return;
    }
    const run = pongd(prepare, user, "run", "10.99.0.0/16");
    assert.match(run.stderr, message);
    assert.match(run.stderr, /^pongd: [^\n]*\n$/);
    assert.equal(run.status, 4);
    const doctor = pongd(prepare, user, "doctor");
    assert.equal(doctor.status, 4, doctor.stderr);
    assert.match(doctor.stdout, name === "no CAP_NET_ADMIN"
      ? /missing {2}CAP_NET_ADMIN is not in effect\n {9}mend: run as root/
      : /missing {2}cannot open \/dev\/net\/tun: E[A-Z]+, .*\n {9}mend: /);
  });
}

test("nobody else can take a queue of the device, even where everybody may open /dev/net/tun", needs(
  "setpriv",
), (context) => {
  if (process.getuid?.() !== 0) {
    context.skip("needs root, to become somebody else");
    return;
  }
  // Attaches to the device as another user would, and prints the errno's name, or "attached".
  const attach = `
    const libc = await import(${JSON.stringify(source("build/src/sys/libc.js"))});
    const fd = libc.open("/dev/net/tun", 2);
    const ifreq = Buffer.alloc(40);
    ifreq.write("pong0");
    ifreq.writeUInt16LE(0x1101, 16);
    console.log(fd < 0 ? "no fd" : libc.ioctl(fd, 0x400454ca, ifreq) === 0 ? "attached" : new libc.SystemError("", "", libc.errno()).code);`;
  const script = `ip link set lo up; ${node(200, "0666")}; "$1" "$2" run 10.99.0.0/16 >/dev/null & pid=$!
    until ip route | grep -q 10.99.0.0; do :; done
    setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups --bounding-set=-all "$1" --input-type=module -e "$3"
    kill $pid; wait $pid`;
  const { stdout } = spawnSync(
    "unshare", ["-n", "-m", "sh", "-c", script, "sh", process.execPath, CLI, attach], { encoding: "utf8" },
  );
  assert.equal(stdout, "EPERM\n");
});

test("doctor says when io_uring is turned off", needs(), (context) => {
  if (process.getuid?.() !== 0) {
    context.skip("needs root, to mount over /proc");
    return;
  }
  const { status, stdout } = pongd("echo 2 >/tmp/pongd-test-disabled; mount --bind /tmp/pongd-test-disabled "
    + "/proc/sys/kernel/io_uring_disabled; rm -f /tmp/pongd-test-disabled", "0", "doctor");
  assert.match(
    stdout, /note {5}io_uring: kernel\.io_uring_disabled is 2\n {9}mend: sudo sysctl -w kernel\.io_uring_disabled=0/,
  );
  assert.equal(status, 0);
});
