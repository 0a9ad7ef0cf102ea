/** Tries the completion scripts in the shells themselves, and the manual page in the programs that format it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { createProgram } from "../../src/cli/program.js";
import { manualPage } from "../../src/help/man.js";
import { describe as describeCommands, flatten } from "../../src/help/tree.js";
import { source } from "../support/assembly.js";
import { CLI, needsCommands } from "../support/netns.js";

const program = describeCommands(createProgram());
const commands = flatten(program);
const dir = mkdtempSync(join(tmpdir(), "pongd-completion-"));
after(() => { rmSync(dir, { recursive: true }); });
writeFileSync(join(dir, "config.yaml"), "");

/** Lines up to the cursor, and what is offered for each. */
const CASES: readonly (readonly [string, readonly string[]])[] = [
  ["pongd ", program.commands.map(({ path }) => path[1])],
  ["pongd d", ["device", "doctor"]],
  ["pongd device ", ["create", "remove"]],
  ["pongd bench t", ["tun"]],
  ["pongd bench h", ["http"]],
  ["pongd bench http --com", ["--compare"]],
  ["pongd help ", program.commands.map(({ path }) => path[1])],
  ["pongd help device ", ["create", "remove"]],
  ["pongd completion ", ["bash", "fish", "zsh"]],
  ["pongd run --en", ["--engine"]],
  ["pongd run --engine ", ["js", "wasm"]],
  ["pongd run --engine=w", ["wasm"]],
  ["pongd run --engine js --en", []],
  ["pongd run --engine=js --en", []],
  ["pongd run --device device --en", ["--engine"]],
  ["pongd run 10.99.0.0/16 --en", ["--engine"]],
  ["pongd run --except 10.99.0.0/24 --exc", ["--except"]],
  ["pongd run --mtu ", []],
  ["pongd run --config conf", ["config.yaml"]],
  ["pongd check conf", ["config.yaml"]],
  ["pongd check config.yaml conf", []],
  ["pongd replay config.yaml conf", ["config.yaml"]],
  ["pongd device create --user roo", ["root"]],
  ["pongd bench tun --io read", ["readwrite"]],
  ["pongd bench tun --io uring,r", ["readwrite"]],
  ["pongd top --json --js", []],
  ["pongd connections --state la", ["last-ack"]],
  ["pongd connections --state established,cl", ["close-wait", "closing"]],
  ["pongd connections --service c", ["chargen"]],
  ["pongd sessions --protocol s", ["stamp"]],
];

type Complete = (lines: readonly string[]) => string[][];

/** Runs a script in a shell, and returns the lines that it prints up to each END. */
function run(shell: string, option: string, script: string): string[][] {
  const { status, stdout, stderr } = spawnSync(
    shell, [option, "-c", script], { cwd: dir, encoding: "utf8", timeout: 120_000 },
  );
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout.replaceAll("\r", "").split("END\n").slice(0, -1).map((text) => text.split("\n").filter(Boolean));
}

/** Hands words over as readline does, where "=" breaks them. */
const bash: Complete = (lines) => run("bash", "--norc", `source "${source("build/completion/pongd.bash")}"
complete() { COMP_WORDS=("$@"); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _pongd; printf '%s\\n' "\${COMPREPLY[@]}" END; }
${lines.map((line) => `complete ${line.replace("=", " = ").split(" ").map((word) => `'${word}'`).join(" ")}`)
  .join("\n")}
`);

const fish: Complete = (lines) => run("fish", "--no-config", `source "${source("build/completion/pongd.fish")}"
${lines.map((line) => `complete -C '${line}'; echo END`).join("\n")}
`);

/** Starts a shell of its own on a pseudo terminal, where a key prints all that is offered instead of showing it. */
const zsh: Complete = (lines) => run("zsh", "-f", `zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1=; fpath=("${source("build/completion")}" $fpath); autoload -Uz compinit; compinit -u -D'
zpty -w z 'compadd() { [[ " \${@[1,(i)(-|--)]}" == *" -"(O|A|D)* ]] && { builtin compadd "$@"; return }; local -a hits; builtin compadd -O hits "$@"; print -rl -- "HIT "\${^hits}; builtin compadd "$@" }'
zpty -w z 'offer() { print BEGIN; _main_complete; print -r -- END; compstate[insert]=; compstate[list]= }; zle -C offer complete-word offer; bindkey "^I" offer; bindkey "^U" kill-buffer; print RE""ADY'
zpty -r z seen '*READY*'
for line in ${lines.map((line) => `'${line}'`).join(" ")}; do
  zpty -n -w z $'\\C-u'$line$'\\t'
  zpty -r z seen '*BEGIN*END*'
  print -r -- $seen | tr -d '\\r' | grep '^HIT ' | cut -c5-
  print END
done
zpty -d z
`);

for (const [shell, complete, needed] of [
  ["bash", bash, []], ["zsh", zsh, ["zsh"]], ["fish", fish, ["fish"]],
] as const) {
  describe(`completion in ${shell}`, needsCommands(...needed), () => {
    test("it offers what may follow, and nothing that has been given", () => {
      const offered = complete(CASES.map(([line]) => line));
      // Shells differ in whether they repeat what stands before "=" and ",", and describe what they offer.
      const words = offered.map(
        (texts) => texts.map((text) => text.replace(/\t.*|\/$/, "").replace(/^.*[=,]/, "")).sort(),
      );
      assert.deepEqual(
        CASES.map(([line], i) => [line, words[i]]), CASES.map(([line, expected]) => [line, [...expected].sort()]),
      );
    });

    test("every option of every command is offered", () => {
      const offered = complete(commands.map(({ path }) => `${path.join(" ")} --`));
      const longs = offered.map(
        (texts) => texts.map((text) => text.replace(/\t.*/, "")).filter((text) => text.startsWith("--")).sort(),
      );
      assert.deepEqual(
        commands.map(({ path }, i) => [path, longs[i]]),
        commands.map(({ path, options }) => [path, options.map(({ long }) => long).sort()]),
      );
    });
  });

  if (shell === "bash") test("bash: what was typed is never expanded", () => {
    const file = join(dir, "expanded");
    run("bash", "--norc", `source "${source("build/completion/pongd.bash")}"
for word in '\`touch\${IFS}${file}\`,' '$(touch\${IFS}${file}),' '"$(touch\${IFS}${file})",w'; do
  COMP_WORDS=(pongd bench engine --engine "$word"); COMP_CWORD=4; COMPREPLY=(); _pongd; printf '%s\\n' "\${COMPREPLY[@]}" END
done
`);
    assert.ok(!existsSync(file));
  });

  test(`pongd completion ${shell} prints what the build wrote, whatever the environment says`, () => {
    const env = { ...process.env, PONGD_MTU: "9000", PONGD_ENGINE: "", NO_COLOR: "1", COLUMNS: "40" };
    const { status, stdout, stderr } = spawnSync(
      process.execPath, [CLI, "completion", shell], { encoding: "utf8", env },
    );
    assert.equal(stdout, readFileSync(
      source(`build/completion/${{ bash: "pongd.bash", zsh: "_pongd", fish: "pongd.fish" }[shell]}`), "utf8",
    ));
    assert.deepEqual([status, stderr], [0, ""]);
  });
}

test("fish and zsh are told what is what", () => {
  assert.match(
    readFileSync(source("build/completion/pongd.fish"), "utf8"),
    /-l engine -x -a 'wasm js' -d 'what handles the packets'$/m,
  );
  assert.match(
    readFileSync(source("build/completion/_pongd"), "utf8"), /--engine'=\[what handles the packets\]:name:\(wasm js\)'/,
  );
});

describe("the manual page", () => {
  const page = readFileSync(source("build/man/pongd.1"), "utf8");

  test("it has its sections, and in them every command, every argument with its default and every option with its "
    + "default and variable", () => {
    assert.deepEqual([...page.matchAll(/^\.SH (.*)$/gm)].map(([, name]) => name),
      [
        "NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS", "ENVIRONMENT", "EXIT STATUS", "FILES", "SIGNALS",
        "EXAMPLES", "SEE ALSO",
      ]);
    for (const { path, options, commands, arguments: operands } of flatten(program).slice(1)) {
      const start = page.indexOf(`\n.SS ${path.join(" ")}\n`);
      assert.ok(start >= 0, path.join(" "));
      const section = page.slice(start + 1, page.indexOf("\n.S", start + 1)).replaceAll("\\-", "-");
      if (commands.length > 0) continue;
      for (const { name, default: fallback } of operands) {
        const [, described] = new RegExp(`\\\\fI${name}\\\\fR.*\n(.*)`).exec(section) ?? [];
        assert.ok(described, `${path.join(" ")} ${name}`);
        if (fallback !== undefined) assert.ok(described.includes(`default: ${fallback}`), name);
      }
      for (const { long, value, variable, default: fallback } of options.filter(({ long }) => long !== "--help")) {
        const [, described] = new RegExp(`\\\\fB${long}\\\\fR(?: \\\\fI${value?.name ?? ""}\\\\fR)?\n(.*)`)
          .exec(section) ?? [];
        assert.ok(described, `${path.join(" ")} ${long}`);
        if (fallback !== undefined) assert.ok(described.includes(`default: ${fallback}`), long);
        if (variable !== undefined) assert.ok(described.includes(`variable: ${variable}`), long);
      }
    }
  });

  test("it has no date but one that it is given", () => {
    assert.match(page, /^\.TH PONGD 1 "(\d{4}-\d\d-\d\d)?" "pongd /m);
    assert.match(manualPage(program, "2001-02-03"), /^\.TH PONGD 1 "2001-02-03" "pongd /m);
    assert.equal(manualPage(program), manualPage(describeCommands(createProgram())));
  });

  for (const [command, ...args] of [
    ["groff", "-ww", "-man", "-Tutf8", "-z"],
    ["man", "--warnings", "-Tutf8", "-l"],
    ["mandoc", "-Tlint", "-Wwarning"],
  ]) {
    test(`${command} has nothing to warn of`, needsCommands(command), () => {
      const file = join(dir, "pongd.1");
      writeFileSync(file, manualPage(program, "2001-02-03"));
      const { status, stdout, stderr } = spawnSync(
        command, [...args, file], { encoding: "utf8", env: { ...process.env, LC_ALL: "C.UTF-8", MANPAGER: "cat" } },
      );
      assert.deepEqual([status, stderr, command === "mandoc" ? stdout : ""], [0, "", ""]);
    });
  }
});
