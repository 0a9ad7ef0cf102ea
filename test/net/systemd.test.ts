/**
 * Tests deploy/pongd.service for real: systemd, booted in a
 * container by systemd-nspawn, starts it in the unit's own sandbox.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { source } from "../support/assembly.js";
import { needs } from "../support/netns.js";
import { withTun } from "../support/user.js";

const SYSTEM = "etc/systemd/system";

/**
 * Changes the unit: where things are, and how soon it is tried again. It also adds a variable and a credential.
 */
const DROP_IN = `[Service]
RestartSec=100ms
ExecSearchPath=/opt/bin:/usr/bin
LoadCredential=web.yml:/etc/web.yml
Environment=PONGD_WEB_CONFIG=%d/web.yml
`;
const CONFIGURATION = "device: { queues: 2 }\nprefixes: [10.99.0.0/16, fd99::/64]\nttl: 64\n";

/** A unit that runs once systemd is up, and powers off at its end. */
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
status() { systemctl show -p StatusText --value pongd; }
echo "status: $(status)"
ip link set pong0 down; until status | grep -q 'is down'; do systemctl is-active -q pongd || break; done
echo "down: $(status), and $(curl -s http://127.0.0.1:7664/-/ready)"
# Without privileges pongd does not put them back.
ip link set pong0 up; ip route add 10.99.0.0/16 dev pong0; ip addr add fd99::1/128 dev pong0 nodad; ip route add fd99::/64 dev pong0
until status | grep -q '^Ready'; do systemctl is-active -q pongd || break; done
echo "up: $(status)"
cp /etc/pongd.yaml /etc/right.yaml; echo 'lisen: :1' >> /etc/pongd.yaml
systemctl reload pongd 2>/dev/null; echo "wrong: $? $(systemctl is-active pongd) $(systemctl show -p NRestarts --value pongd) restarts, $(ping -c 1 10.99.1.1 | grep -o 'ttl=[0-9]*')"
echo "why: $(journalctl -u pongd -o cat | grep -c '^/etc/pongd.yaml:4:1: unknown key "lisen"; did you mean listen?$')"
cp /etc/right.yaml /etc/pongd.yaml
sed -i s/64$/9/ /etc/pongd.yaml; systemctl reload pongd; echo "right: $?"
answering; until ping -c 1 -W 1 10.99.1.1 | grep -q ttl=9; do systemctl is-active -q pongd || break; done
echo "after a reload: $(systemctl show -p NRestarts --value pongd) restarts, $(ping -c 1 10.99.1.1 | grep -o 'ttl=[0-9]*')"
systemctl kill -s KILL pongd; restarted 1
echo "after kill -9: $(ping -q -c 1 10.99.1.1 | grep -o '[0-9]* received')"
# What standing still costs with the unit's own RestartSec=.
drop_in=/etc/systemd/system/pongd.service.d/test.conf; cp $drop_in /drop-in; sed -i /^RestartSec/d $drop_in; systemctl daemon-reload
stopped=$(date +%s%3N); systemctl kill -s STOP pongd; restarted 2; answering
echo "stood still, and answered $(($(date +%s%3N) - stopped)) ms later"
echo "after it stood still: $(ping -q -c 1 10.99.1.1 | grep -o '[0-9]* received')"
cp /drop-in $drop_in; systemctl daemon-reload
systemctl stop pongd; echo "stop: $? $(systemctl show -p Result -p ExecMainStatus --value pongd | tr '\\n' ' ')"
echo "links: $(ls /sys/class/net | tr '\\n' ' ')"
# An address that comes late.
echo 'listen: 192.0.2.1:7664' >> /etc/pongd.yaml
before=$(systemctl show -p NRestarts --value pongd)
systemctl start --no-block pongd
until [ "$(systemctl show -p NRestarts --value pongd)" -gt 7 ]; do systemctl is-failed -q pongd && break; done
echo "without its address: $(systemctl show -p ActiveState --value pongd)"
ip addr add 192.0.2.1/32 dev lo
until systemctl is-active -q pongd; do systemctl is-failed -q pongd && break; done
echo "with it: $(systemctl is-active pongd), $(status)"
systemctl stop pongd
# Sockets that systemd opens.
cp /etc/right.yaml /etc/pongd.yaml
systemctl start pongd.socket
echo "by a connection: $(curl -s http://127.0.0.1:7664/-/healthy), $(curl -s --unix-socket /run/pongd.sock http://localhost/-/healthy)"
journalctl -u pongd -o cat
`;

test("the unit's service starts as a user of its own, answers, has no capability left, says whether it is ready, "
  + "reloads what is right, comes back after kill -9, after it stood still and when its address comes late, has its "
  + "sockets opened, and leaves nothing", needs(
  "systemd-nspawn",
), (context) => {
  if (process.getuid?.() !== 0) {
    context.skip("needs root, for systemd-nspawn");
    return;
  }
  const root = mkdtempSync(join(tmpdir(), "pongd-systemd-"));
  try {
    chmodSync(root, 0o755);
    for (const dir of [
      `${SYSTEM}/pongd.service.d`, "opt/pongd", "opt/bin", "usr", "var", "run", "tmp", "root", "proc", "sys", "dev",
    ]) mkdirSync(join(root, dir), { recursive: true });
    for (const dir of ["bin", "sbin", "lib", "lib64"]) symlinkSync(`usr/${dir}`, join(root, dir));
    copyFileSync(source("deploy/pongd.service"), join(root, SYSTEM, "pongd.service"));
    writeFileSync(
      join(root, SYSTEM, "pongd.socket"),
      readFileSync(source("deploy/pongd.socket"), "utf8").replace("#ListenStream=", "ListenStream="),
    );
    symlinkSync("/opt/pongd/build/src/cli.js", join(root, "opt/bin/pongd"));
    symlinkSync(`/opt/node/${basename(process.execPath)}`, join(root, "opt/bin/node"));
    writeFileSync(join(root, "etc/web.yml"), "http_server_config: {}\n");
    writeFileSync(join(root, SYSTEM, "pongd.service.d/test.conf"), DROP_IN);
    writeFileSync(join(root, SYSTEM, "try.service"), TRY);
    writeFileSync(join(root, "try.sh"), SCRIPT);
    writeFileSync(join(root, "etc/pongd.yaml"), CONFIGURATION);
    writeFileSync(join(root, "etc/os-release"), "ID=test\n");
    // Without an id this would be a first boot, which asks questions.
    writeFileSync(join(root, "etc/machine-id"), `${"0".repeat(31)}1\n`);
    // The unit hides /home, /root and /tmp, where the project and Node.js may be.
    const binds = ["/usr", `${dirname(process.execPath)}:/opt/node`, `${source("")}:/opt/pongd`]
      .map((bind) => `--bind-ro=${bind}`);
    // Without a systemd outside, nobody makes a scope for the container.
    const alone = existsSync("/run/systemd/system") ? [] : ["--keep-unit"];
    const [command, ...args] = [
      ...withTun(), "systemd-nspawn", "--quiet", "--register=no", ...alone, "--directory", root, ...binds,
      "--bind=/dev/net/tun",
      "--private-network", "--capability=CAP_NET_ADMIN", "--boot", "systemd.unit=try.service",
    ];
    const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: 500_000, input: "" });
    const said = existsSync(join(root, "out")) ? readFileSync(join(root, "out"), "utf8") : `${stdout}${stderr}`;
    context.diagnostic(/^stood still.*/m.exec(said)?.[0] ?? "did not stand still");
    for (const line of ["start: 0", "ping: 2 received, 2 received", "a dynamic user: 0", "threads with capabilities: 0",
      "seccomp: 1", "status: Ready: answers on pong0",
      "down: Not ready: the link is down: nothing is answered until it is up; sudo ip link set pong0 up, and Not "
      + "Ready: the link is down: nothing is answered until it is up; sudo ip link set pong0 up",
      "up: Ready: answers on pong0", "wrong: 1 active 0 restarts, ttl=64", "why: 1", "right: 0", "without its "
      + "address: activating", "with it: active, Ready: answers on pong0",
      "by a connection: Healthy, Healthy",
      "after a reload: 0 restarts, ttl=9", "after kill -9: 1 received", "after it stood still: 1 received",
      "stop: 0 success 0", "links: lo"]) {
      assert.ok(said.split("\n").map((text) => text.trim()).includes(line), `${line}, in:\n${said}`);
    }
  } finally {
    rmSync(root, { recursive: true });
  }
});
