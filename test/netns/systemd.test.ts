/** deploy/pongd.service for real: systemd, booted in a container by systemd-nspawn, starts it in the unit's own sandbox. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { source } from "../support/assembly.js";
import { needs } from "../support/netns.js";
import { withTun } from "../support/user.js";

const SYSTEM = "etc/systemd/system";

/** What differs from the unit: where things are, and how long it may stand still. */
const DROP_IN = `[Service]
WatchdogSec=5
Environment=PATH=/opt/node:/usr/bin
ExecStart=
ExecStart=/opt/node/${basename(process.execPath)} /opt/pongd/build/src/cli.js run --config /etc/pongd.yaml --drop-privileges
`;
const CONFIGURATION = "device: { queues: 2 }\nprefixes: [10.99.0.0/16, fd99::/64]\nttl: 64\n";

/** Runs once systemd is up, and powers off at its end. */
const TRY = `[Unit]
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStart=/bin/sh /try.sh
StandardOutput=file:/out
StandardError=file:/out
`;

const SCRIPT = `
answering() { until ping -q -c 1 -W 1 10.99.1.1 >/dev/null 2>&1; do systemctl is-failed -q pongd && break; done; }
restarted() { until [ "$(systemctl show -p NRestarts --value pongd)" = "$1" ] && [ "$(systemctl show -p ActiveState --value pongd)" = active ]; do :; done; }
systemctl start pongd; echo "start: $?"
systemctl is-active -q pongd || { journalctl -u pongd -o cat; exit 1; }
pid=$(systemctl show -p MainPID --value pongd)
echo "ping: $(ping -q -c 2 -i 0.01 10.99.1.1 | grep -o '[0-9]* received'), $(ping -q -c 2 -i 0.01 fd99::77 | grep -o '[0-9]* received')"
echo "a dynamic user: $(test $(stat -c %u /proc/$pid) -ge 61184; echo $?)"
echo "threads with capabilities: $(grep -hE '^Cap(Eff|Prm|Amb)' /proc/$pid/task/*/status | grep -vc '[[:space:]]0*$')"
echo "seccomp: $(grep -c 'Seccomp:[[:space:]]2' /proc/$pid/status)"
echo "status: $(systemctl show -p StatusText --value pongd)"
sed -i s/64$/9/ /etc/pongd.yaml; systemctl reload pongd
answering; until ping -c 1 -W 1 10.99.1.1 | grep -q ttl=9; do systemctl is-active -q pongd || break; done
echo "after a reload: $(systemctl show -p NRestarts --value pongd) restarts, $(ping -c 1 10.99.1.1 | grep -o 'ttl=[0-9]*')"
systemctl kill -s KILL pongd; restarted 1
echo "after kill -9: $(ping -q -c 1 10.99.1.1 | grep -o '[0-9]* received')"
systemctl kill -s STOP pongd; restarted 2
echo "after it stood still: $(ping -q -c 1 10.99.1.1 | grep -o '[0-9]* received')"
systemctl stop pongd; echo "stop: $? $(systemctl show -p Result -p ExecMainStatus --value pongd | tr '\\n' ' ')"
echo "links: $(ls /sys/class/net | tr '\\n' ' ')"
journalctl -u pongd -o cat
`;

test("the unit's service starts as a user of its own, answers, has no capability left, reloads, comes back after kill -9 and after it stood still, and leaves nothing", needs("systemd-nspawn"), (context) => {
  if (process.getuid?.() !== 0) {
    context.skip("needs root, for systemd-nspawn");
    return;
  }
  const root = mkdtempSync(join(tmpdir(), "pongd-systemd-"));
  try {
    chmodSync(root, 0o755);
    for (const dir of [`${SYSTEM}/pongd.service.d`, "opt/pongd", "usr", "var", "run", "tmp", "root", "proc", "sys", "dev"]) mkdirSync(join(root, dir), { recursive: true });
    for (const dir of ["bin", "sbin", "lib", "lib64"]) symlinkSync(`usr/${dir}`, join(root, dir));
    copyFileSync(source("deploy/pongd.service"), join(root, SYSTEM, "pongd.service"));
    writeFileSync(join(root, SYSTEM, "pongd.service.d/test.conf"), DROP_IN);
    writeFileSync(join(root, SYSTEM, "try.service"), TRY);
    writeFileSync(join(root, "try.sh"), SCRIPT);
    writeFileSync(join(root, "etc/pongd.yaml"), CONFIGURATION);
    writeFileSync(join(root, "etc/os-release"), "ID=test\n");
    // Else it is a first boot, which asks questions.
    writeFileSync(join(root, "etc/machine-id"), `${"0".repeat(31)}1\n`);
    // The unit hides /home, /root and /tmp, where this may be.
    const binds = ["/usr", `${dirname(process.execPath)}:/opt/node`, `${source("")}:/opt/pongd`].map((bind) => `--bind-ro=${bind}`);
    // Without a systemd outside, there is nobody to make a scope for it.
    const alone = existsSync("/run/systemd/system") ? [] : ["--keep-unit"];
    const [command, ...args] = [
      ...withTun(), "systemd-nspawn", "--quiet", "--register=no", ...alone, "--directory", root, ...binds, "--bind=/dev/net/tun",
      "--private-network", "--capability=CAP_NET_ADMIN", "--boot", "systemd.unit=try.service",
    ];
    const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: 300_000, input: "" });
    const said = existsSync(join(root, "out")) ? readFileSync(join(root, "out"), "utf8") : `${stdout}${stderr}`;
    for (const line of ["start: 0", "ping: 2 received, 2 received", "a dynamic user: 0", "threads with capabilities: 0", "seccomp: 1", "status: answers on pong0",
      "after a reload: 0 restarts, ttl=9", "after kill -9: 1 received", "after it stood still: 1 received", "stop: 0 success 0", "links: lo"]) {
      assert.ok(said.split("\n").map((text) => text.trim()).includes(line), `${line}, in:\n${said}`);
    }
  } finally {
    rmSync(root, { recursive: true });
  }
});
