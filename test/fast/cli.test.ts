/** The command line: one line on standard error, the documented status. None of it needs a device. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";
import type { Command } from "commander";
import { Linter } from "eslint";
import { NEEDED_NODE } from "../../src/base/node-version.js";
import { createProgram, withCommands } from "../../src/cli/program.js";
import { outcome } from "../../src/cli/summary.js";
import { source } from "../support/assembly.js";
import { pongd } from "../support/commands.js";
import { CLI } from "../support/netns.js";

const LONG = "x".repeat(300);

/** Runs pongd as a process of its own. */
const started = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
};

describe("usage: status 2 and one line", () => {
  for (const [args, message] of [
    [["run"], /no prefix given; try: pongd run 10\.99\.0\.0\/16/],
    [["run", "10.99.0.0/99"], /prefix "10\.99\.0\.0\/99"/],
    [["run", "10.99.0.0/16", "10.99.0.0/16"], /given twice/],
    [["run", "10.99.0.0/16", "--except", "10.98.0.0/24"], /exception 10\.98\.0\.0\/24 lies in none of the prefixes/],
    [["run", "10.99.0.0/16", "--except", "10.0.0.0/8"], /exception 10\.0\.0\.0\/8 lies in none of the prefixes/],
    [["run", "10.99.0.0/16", "--except", "10.99.0.0/16"], /10\.99\.0\.0\/16 is given as a prefix and as an exception/],
    [
      ["run", "10.99.0.0/16", "--except", "10.99.1.1", "--except", "10.99.1.1/32"],
      /exception 10\.99\.1\.1\/32 is given twice/,
    ],
    [["run", "10.99.0.0/16", "--except", "10.99.1.1/24"], /bits set beyond its length/],
    [["run", "fe80::/64"], /prefix "fe80::\/64" has addresses of fe80::\/10, which is never routed/],
    [["run", "fd00::/64", "--except", "fd01::/80"], /exception fd01::\/80 lies in none of the prefixes/],
    [["run", "fd00::1/64"], /did you mean fd00::\/64/],
    [["run", "10.99.0.0/16", "fd00::/64", "--mtu", "1279"], /MTU 1279: IPv6 prefixes need at least 1280/],
    [["run", "10.99.0.0/16", "--mtu", "67"], /--mtu <bytes>.*'67'.*68 to 65535/],
    [["run", "10.99.0.0/16", "--mtu", "1e3"], /'1e3'/],
    [["run", "10.99.0.0/16", "--mode", "bridge"], /tun, tap/],
    [["run", "10.99.0.0/16", "--mode", "tap", "--mac", "random"], /shared, per-address/],
    [
      ["run", "10.99.0.0/16", "--mac", "shared"],
      /a TUN device has no MAC addresses: leave --mac out, or add --mode tap/,
    ],
    [["run", "10.99.0.0/16", "--mode", "tap", "--mtu", "65522"], /--mtu 65522: a TAP device takes 68 to 65521/],
    [["run", "10.99.0.0/16", "--queues", "0"], /1 to 256/],
    [["run", "10.99.0.0/16", "--ttl", "256"], /1 to 255/],
    [["run", "10.99.0.0/16", "--engine", "go"], /wasm, js/],
    [["run", "10.99.0.0/16", "--tcp", "7=ech"], /^pongd: --tcp: port 7: "ech" is not a service; expected refuse, /],
    [
      ["run", "10.99.0.0/16", "--tcp", "1-10=echo", "--tcp", "5-15=echo"],
      /^pongd: --tcp: ports 1-10 and 5-15 overlap in part; /,
    ],
    [["run", "10.99.0.0/16", "--tcp", "7=echo 007=discard"], /Port 7 is given twice/],
    [
      ["run", "10.99.0.0/16", "--tcp", "7=echo", "--tcp-memory", "4096"],
      /^pongd: --tcp-memory is 4096; services need 65536: raise it, or leave the services out/,
    ],
    [["run", "10.99.0.0/16", "--source-route", "forward"], /drop, reverse/],
    [
      ["run", "10.99.0.0/16", "--engine", "js", "--source-route", "reverse"],
      /the js engine drops IP options: leave --source-route out, or --engine js/,
    ],
    [["run", "10.99.0.0/16", "--device", "a-name-of-16-byte"], /device name "a-name-of-16-byte": write 1 to 15/],
    [["run", "10.99.0.0/16", "--device", "pong%d"], /"pong%d"/],
    [["run", "10.99.0.0/16", "--device", ""], /device name ""/],
    [["run", "10.99.0.0/16", "--host-address", "10.99"], /"10\.99" is not an IP address/],
    [
      ["run", "10.99.0.0/16", "--host-address", "10.99.0.1", "--host-address", "none"],
      /host address "none" leaves no room for 10\.99\.0\.1/,
    ],
    [
      ["run", "10.99.0.0/16", "--host-address", "10.99.0.1", "--host-address", "10.99.0.2"],
      /10\.99\.0\.1 and 10\.99\.0\.2 are both IPv4/,
    ],
    [["run", "10.99.0.0/16", "--host-address", "fd00::1"], /fd00::1: the prefixes are IPv4/],
    [["run", "10.99.0.0/16", "--host-address", "127.0.0.1"], /127\.0\.0\.1 lies in 127\.0\.0\.0\/8/],
    [["run", "10.0.0.2/32", "--host-address", "10.0.0.2"], /10\.0\.0\.2 is all there is to answer/],
    [["run", "10.99.0.0/16", "--listen", "7664"], /listen address "7664"/],
    [["run", "10.99.0.0/16", "--listen", "127.0.0.1:70000"], /127\.0\.0\.1:70000/],
    [
      ["run", "10.99.0.0/16", "--listen", "unix:pongd.sock"],
      /listen address "unix:pongd\.sock": write the whole path, of 107 bytes at most, like unix:\/run\/pongd\.sock/,
    ],
    [["run", "10.99.0.0/16", "--listen", ":1", "--listen", "[::]:1"], /listen address "\[::\]:1" is given twice/],
    [["run", "10.99.0.0/16", "--listen", ","], /listen address ","/],
    [["run", "10.99.0.0/16", "--log-level", "loud"], /debug, info, warn, error/],
    [["run", "10.99.0.0/16", "--reassembly", "1025"], /--reassembly <datagrams>.*0 to 1024/],
    [
      ["run", "10.99.0.0/16", "--reassembly", "1", "--engine", "js"],
      /the js engine does not reassemble: leave --reassembly out/,
    ],
    [["run", "10.99.0.0/16", "--no-such"], /--no-such/],
    [
      ["run", "10.99.0.0/16", "--tcp", "7=echo", "9=discard"],
      /^pongd: "9=discard" is not a prefix; --tcp and --udp take several ports with commas between them, like 7=echo,9=discard/,
    ],
    [["run", "10.99\n.0.0/16"], /"10\.99\\n\.0\.0\/16" is not a prefix/],
    [["run", "10.99.0.0/16", "--device", "a\nb"], /device name "a\\nb"/],
    [["replay"], /missing required argument 'in'/],
    [["replay", "in.pcap"], /missing required argument 'out'/],
    [["replay", "in.pcap", "out.pcapng"], /no prefix given; try: pongd replay IN OUT 10\.99\.0\.0\/16/],
    [["replay", "in.pcap", "out.pcapng", "10.99.0.0/99"], /prefix "10\.99\.0\.0\/99"/],
    [
      ["replay", "in.pcap", "out.pcapng", "10.99.0.0/16", "--except", "10.98.0.0/24"],
      /exception 10\.98\.0\.0\/24 lies in none of the prefixes/,
    ],
    [["replay", "in.pcap", "out.pcapng", "10.99.0.0/16", "--ttl", "256"], /1 to 255/],
    [["replay", "/no/such/file", "-", "10.99.0.0/16"], /the capture cannot be read: ENOENT.*\/no\/such\/file/],
    [["replay", CLI, "/no/such/folder/out", "10.99.0.0/16"], /"\/no\/such\/folder\/out" cannot be written: ENOENT/],
    [["rum"], /unknown command 'rum' \(did you mean run\?\); see: pongd --help/],
    [["help", "zzz"], /unknown command 'zzz'; see: pongd --help/],
    [["help", "device", "rum"], /unknown command 'rum'; see: pongd --help/],
    [["help", "run", "rum"], /run has no command 'rum'; see: pongd --help/],
    [["run", "--devise", "x"], /unknown option '--devise' \(did you mean --device\?\); see: pongd run --help/],
    [["run", "--rate-limits", "x"], /unknown option '--rate-limits' \(did you mean --rate-limit\?\)/],
    [
      ["bench", "engine", "--jsom", "x"],
      /unknown option '--jsom' \(did you mean --json\?\); see: pongd bench engine --help/,
    ],
    [
      ["run", "10.99.0.0/16", `--link==' is invalid${LONG}`],
      /argument '=' is invalidx{27}…' is invalid\. "=' is invalidx{27}…" is not a part of a link: /,
    ],
    [["bench", "engine", "--engine", LONG], /argument 'x{40}…' is invalid\. Allowed/],
    [[LONG], /^pongd: unknown command 'x{40}…'; see/],
    [["run", `--${LONG}`], /unknown option '--x{38}…'; see/],
    [["rn"], /unknown command 'rn' \(did you mean run\?\); see: pongd --help/],
    [["help", "rn"], /unknown command 'rn' \(did you mean run\?\); see: pongd --help/],
    [["device", "creat"], /unknown command 'creat' \(did you mean create\?\); see: pongd device --help/],
    [["help", "device", "creat"], /unknown command 'creat' \(did you mean create\?\); see: pongd --help/],
    [["bench", "disk"], /unknown command 'disk'/],
    [["bench", "engine", "--engine", "wasm,go"], /'wasm,go' is invalid\. Allowed are js, wasm, wasm-scalar, js-naive/],
    [["bench", "engine", "--size", "27"], /28 to 65535/],
    [["bench", "engine", "--prefixes", "100001"], /1 to 100000/],
    [["bench", "engine", "--batch", "64,257"], /1 to 256/],
    [["bench", "engine", "--seconds", "0"], /0\.05 to 600/],
    [
      ["bench", "engine", "--json", "/no/such/folder/report.json"],
      /"\/no\/such\/folder\/report\.json" cannot be written: ENOENT/,
    ],
    [["bench", "engine", "--html", "/"], /"\/" cannot be written: EISDIR/],
    [
      ["bench", "engine", "--json", ""],
      /--json <file>' argument '' is invalid\. It is empty: write a file's path, or leave it out/,
    ],
    [["bench", "engine", "--html", "-"], /--html needs a file/],
    [
      ["bench", "engine", "--json", "/tmp/x", "--html", "/tmp/../tmp/x"],
      /--json and --html are both to be \/tmp\/x; give each a file of its own/,
    ],
    [["bench", "engine", "--json", "-", "--compare", CLI], /give --json a file/],
    [["bench", "engine", "--size", "x"], /see: pongd bench engine --help/],
    [["bench", "engine", "--compare", "/no/such/file"], /--compare: ENOENT/],
    [["bench", "engine", "--compare", CLI], /cli\.js is not a report of pongd bench; give a file that --json wrote/],
    [["bench", "tun", "--io", "auto"], /Allowed are uring, readwrite/],
    [["bench", "http", "--seconds", "601"], /0\.05 to 600/],
    [["bench", "http", "--engine", "js"], /unknown option '--engine'; see: pongd bench http --help/],
    [["bench", "http", "--compare", CLI], /cli\.js is not a report of pongd bench; give a file that --json wrote/],
    [
      ["run", "10.99.0.0/16", "--queue-fds", "x"],
      /'--queue-fds <fds>' argument 'x' is invalid. It is for pongd's own use: leave it out/,
    ],
    [["device", "create"], /missing required argument 'name'/],
    [["device", "create", "pong0"], /give --user, --group or both/],
    [["device", "create", "a/b", "--user", "nobody"], /device name "a\/b"/],
    [
      ["device", "create", "pong0", "--user", "no-such-user"],
      /there is no user "no-such-user"; give the name of one, or a number/,
    ],
    [["device", "create", "pong0", "--group", "4294967295"], /there is no group "4294967295"/],
    [["device", "create", "pong0", "10.99.0.0/99", "--user", "nobody"], /prefix "10\.99\.0\.0\/99"/],
    [["device", "create", "pong0", "--user", "nobody", "--host-address", "10.99.0.1"], /--host-address needs prefixes/],
    [
      ["device", "create", "pong0", "fd00::/64", "--user", "nobody", "--mtu", "1000"],
      /MTU 1000: IPv6 prefixes need at least 1280/,
    ],
    [
      ["device", "create", "pong0", "--user", "nobody", "--mode", "tap", "--mtu", "65522"],
      /a TAP device takes 68 to 65521/,
    ],
    [["device", "create", "pong0", "--user", "nobody", "--queues", "257"], /1 to 256/],
    [["device", "remove"], /missing required argument 'name'/],
    [["doctor", "who"], /"who" is not a prefix/],
  ] as const) {
    test(args.join(" "), async () => {
      const { status, stdout, stderr } = await pongd(...args);
      assert.match(stderr, message);
      assert.match(stderr, /^pongd: [^\n]*[^.\n]\n$/);
      assert.equal(stdout, "");
      assert.equal(status, 2);
    });
  }

  test("no command: the help, and status 2", () => {
    const { status, stderr } = started();
    assert.match(stderr, /^Usage: pongd/);
    assert.equal(status, 2);
  });

  for (const args of [["run"], ["rum"], ["replay", "/no/such/file", "-", "10.99.0.0/16"]]) {
    test(`${args.join(" ")}: a process of its own says the same`, async () => {
      assert.deepEqual(started(...args), await pongd(...args));
    });
  }
});

test("--version is the package's", () => {
  const { version } = JSON.parse(readFileSync(source("package.json"), "utf8")) as { version: string };
  assert.equal(started("--version").stdout, `${version}\n`);
});

for (const names of [[], ["run"], ["device"], ["device", "create"], ["bench", "tun"], ["bench", "http"]]) {
  test(`pongd help ${names.join(" ")} is what --help of it is`, async () => {
    const { status, stdout, stderr } = await pongd("help", ...names);
    assert.equal(stdout, (await pongd(...names, "--help")).stdout);
    assert.match(stdout, new RegExp(`^Usage: ${["pongd", ...names].join(" ")} \\[options\\]`));
    assert.deepEqual([status, stderr], [0, ""]);
  });
}

test("help names the exit statuses, and every option", async () => {
  const { stdout: help } = started("--help");
  assert.match(help, /0 done, 1 failure while running, 2 usage, 3 configuration, 4\npermission or missing device\.\n$/);
  assert.match(help, /replay \[options\] <in> <out> \[prefix\.\.\.\]/);
  const { stdout: replay } = await pongd("replay", "--help");
  for (const option of ["--host-address", "--except", "--engine", "--ttl", "--ignore-echo"]) {
    assert.ok(replay.includes(option), option);
  }
  const { status, stdout } = await pongd("run", "--help");
  for (const option of [
    "--device", "--mode", "--mac", "--no-routes", "--mtu", "--queues", "--host-address", "--engine", "--ttl",
    "--ignore-echo", "--listen",
    "--log-level", "--log-format", "--drop-privileges",
  ]) assert.ok(stdout.includes(option), option);
  assert.equal(status, 0);
});

describe("with the log in JSON every line is JSON, from the first error on", () => {
  const folder = mkdtempSync(join(tmpdir(), "pongd-cli-"));
  after(() => { rmSync(folder, { recursive: true }); });
  const file = (text: string) => {
    const path = join(folder, `${text.length}.yaml`);
    writeFileSync(path, text);
    return path;
  };
  const json = file("log: { format: json }\nttl: 7000\nmtu: 1\n");
  const env = { PONGD_LOG_FORMAT: "json" };
  for (const [what, args, environment, messages] of [
    [
      "an option's value", ["run", "--mtu", "67", "--log-format", "json"], {},
      [/^option '--mtu <bytes>' argument '67' is invalid.*see: pongd run --help$/],
    ],
    [
      "an option", ["run", "--log-format=json", "--no-such"], {},
      [/^unknown option '--no-such'; see: pongd run --help$/],
    ],
    [
      "a prefix", ["run", "10.99\x1b.0.0/16", "--log-format", "json"], {},
      [/^"10\.99\\u001b\.0\.0\/16" is not a prefix/],
    ],
    [
      "a long value of a variable", ["run"], { ...env, PONGD_MTU: LONG },
      [/^option '--mtu <bytes>' value 'x{40}…' from env 'PONGD_MTU' is invalid/],
    ],
    ["no prefix, by the variable", ["run"], env, [/^no prefix given/]],
    [
      "a file, by the variable", ["run", "--config", "/no/such/file"], env,
      [/^\/no\/such\/file: cannot be read: ENOENT/],
    ],
    ["a file that says so itself", ["run", "--config", json], {}, [/ttl is 7000/, /unknown key "mtu"/]],
  ] as const) {
    test(what, () => {
      const { status, stdout, stderr } = spawnSync(
        process.execPath, [CLI, ...args], { encoding: "utf8", env: { ...process.env, ...environment } },
      );
      const lines = stderr.trim().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
      assert.deepEqual(lines.map((line) => [line.level, line.status]), messages.map(() => ["error", status]));
      for (const [i, message] of messages.entries()) assert.match(String(lines[i].msg), message);
      assert.equal(stdout, "");
    });
  }

  test("a flag wins over the file, and other commands have text", () => {
    assert.match(started("run", "--config", json, "--log-format", "text").stderr, /^pongd: .*ttl is 7000/);
    assert.match(
      spawnSync(process.execPath, [CLI, "replay"], { encoding: "utf8", env: { ...process.env, ...env } }).stderr,
      /^pongd: /,
    );
  });
});

describe("the line at the end", () => {
  const counts = { received: 9, replied: 2, tcp: 0, handled: 0, dropped: {} };
  for (const [name, given, line] of [
    ["says what was answered", counts, "answered 2 of 9 packets in 3.0 s"],
    [
      "says why packets were dropped", { ...counts, dropped: { ip_csum: 4, icmp_csum: 3 } },
      "answered 2 of 9 packets in 3.0 s; dropped 7 (ip_csum 4, icmp_csum 3)",
    ],
    [
      "says what TCP took, where it took any", { ...counts, replied: 0, tcp: 9 },
      "9 packets in 3.0 s: answered 0, TCP took 9, dropped 0",
    ],
    [
      "says what handlers took", { ...counts, replied: 1, handled: 8 },
      "9 packets in 3.0 s: answered 1, handlers took 8, dropped 0",
    ],
    [
      "says all of it", { ...counts, tcp: 6, dropped: { tcp_csum: 1 } },
      "9 packets in 3.0 s: answered 2, TCP took 6, dropped 1 (tcp_csum 1)",
    ],
  ] as const) {
    test(name, () => { assert.equal(outcome(given, " in 3.0 s").join("; "), line); });
  }
});

describe("the help", () => {
  const helpOf = (command: Command): [string, string][] => [
    [command.name(), command.helpInformation()], ...command.commands.flatMap(helpOf),
  ];

  test("it shows no default as code, and to replay no services of a file", () => {
    const helps = new Map(helpOf(createProgram()));
    for (const [name, help] of helps) assert.doesNotMatch(help, /default: (\{|\[|"\d+")/, name);
    assert.match(helps.get("run") ?? "", /under\s+services/);
    assert.match(helps.get("replay") ?? "", /--tcp <ports>/);
    assert.doesNotMatch(helps.get("replay") ?? "", /under\s+services/);
  });
});

describe("an older Node.js", () => {
  for (const args of [["doctor"], ["run", "10.99.0.0/16"], ["--help"]]) {
    test(`pongd ${args.join(" ")}: one line says which is needed, and status 1`, () => {
      const older = "Object.defineProperty(process,'versions',{value:{...process.versions,node:'18.20.4'}})";
      const { status, stdout, stderr } = spawnSync(
        process.execPath, [`--import=data:text/javascript,${older}`, CLI, ...args], { encoding: "utf8" },
      );
      assert.match(
        stderr, /^pongd: this is Node\.js 18\.20\.4, and pongd needs 20\.19 or newer; get one from [^\n]+\n$/,
      );
      assert.deepEqual([status, stdout], [1, ""]);
    });
  }

  test("can read what runs first, which imports nothing that it cannot read", () => {
    const read = new Set<string>();
    const look = (file: string) => {
      read.add(file);
      const code = readFileSync(file, "utf8").replace(/^#!.*/, "");
      assert.deepEqual(new Linter().verify(code, { languageOptions: { ecmaVersion: 2020, sourceType: "module" } }), []);
      for (const [, imported] of code.matchAll(/^import .* from "(.*)";$/gm)) look(join(dirname(file), imported));
    };
    look(CLI);
    assert.deepEqual([...read], [CLI, source("build/src/base/node-version.js")]);
  });

  test("is refused by npm too: package.json says the same version", () => {
    const { engines } = JSON.parse(readFileSync(source("package.json"), "utf8")) as { engines: { node: string } };
    assert.equal(engines.node, `>=${NEEDED_NODE}`);
  });
});

describe("help is laid out for the terminal that it is on", () => {
  const printed = (command: Command, width: number) => {
    let text = "";
    command.configureOutput({ getOutHelpWidth: () => width, writeOut: (part) => { text += part; } }).outputHelp();
    return text;
  };
  const commands = withCommands(createProgram());
  // A backslash, which continues an example's line, is no word.
  const words = (text: string) => text.split(/\s+/).filter((word) => word !== "\\");

  for (const width of [64, 80, 100, 120]) {
    test(`${width} columns: no line is longer, and every word is whole`, () => {
      for (const command of commands) {
        const text = printed(command, width);
        for (const line of text.split("\n")) assert.ok(line.length <= width, `${command.name()}: ${line}`);
        assert.deepEqual(words(text), words(printed(command, Infinity)), command.name());
      }
    });
  }

  test("no terminal: 80 columns", () => {
    const lines = started("run", "--help").stdout.split("\n");
    assert.equal(Math.max(...lines.map(({ length }) => length)), 80);
  });

  test("the options of run stand under headings, and what takes no value has no default", async () => {
    const { stdout } = await pongd("run", "--help");
    assert.deepEqual(
      [...stdout.matchAll(/^(\w+):$/gm)].map(([, heading]) => heading),
      ["Arguments", "Options", "Device", "Answers", "Limits", "Web", "Log", "Examples"],
    );
    for (const command of commands) assert.doesNotMatch(printed(command, 80), /default:\s+false/, command.name());
  });

  test("the lines of an example that is too long are one command to a shell", () => {
    const [command] = commands.filter((each) => each.name() === "top");
    const [, example] = /(  pongd top https:[^]*)$/.exec(printed(command, 60)) ?? [];
    const { stdout } = spawnSync(
      "/bin/sh",
      ["-c", `pongd() { printf '%s\\n' "$@"; }\n${example}`],
      { encoding: "utf8", env: { HOME: "/home/ada" } },
    );
    assert.deepEqual(
      stdout.trim().split("\n"),
      ["top", "https://admin@pong.example:7664", "--password-file", "/home/ada/.pongd-password", "--ca", "ca.pem"],
    );
  });
});

test("the stack is shown at --log-level debug alone", async () => {
  assert.match((await pongd("run", "x", "--log-level", "debug")).stderr, /\n {4}at /);
});

test("an empty variable is as if it were not there", () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    [CLI, "check", source("deploy/pongd.yaml")],
    { encoding: "utf8", env: { ...process.env, PONGD_MTU: "", PONGD_NO_ROUTES: "" } },
  );
  assert.deepEqual([status, stderr], [0, ""]);
});

test("check --quiet says what is wrong, and nothing else", () => {
  const right = started("check", "--quiet", source("deploy/pongd.yaml"));
  assert.deepEqual([right.status, right.stdout, right.stderr], [0, "", ""]);
  const wrong = started("check", "--quiet", source("package.json"));
  assert.match(wrong.stderr, /^\S+package\.json:2:3: unknown key "name"/);
  assert.deepEqual([wrong.status, wrong.stdout], [3, ""]);
});

test("nothing that a daemon or pongd top loads brings Node.js's own HTTP client", () => {
  const modules = [
    "build/src/daemon/supervisor.js", "build/src/top/scraper.js",
  ].map((file) => JSON.stringify(source(file)));
  const script = `for (const file of [${modules.join(", ")}]) await import(file); `
    + `console.log(process.moduleLoadList.filter((name) => name.includes("undici")).join());`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  assert.deepEqual([stdout, stderr], ["\n", ""]);
});

test("doctor prints a line for each thing it looked at, and ends with 0 or 4", () => {
  const { status, stdout, stderr } = started("doctor");
  for (const subject of [/Node\.js \d+/, /koffi/, /\/dev\/net\/tun/, /CAP_NET_ADMIN/, /IPv6/, /io_uring/]) {
    assert.match(stdout, subject);
  }
  assert.equal(status, stdout.includes("missing") ? 4 : 0);
  assert.equal(stderr, "");
});
