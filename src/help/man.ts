/** Makes the manual page, in the macros of man(7) that groff and mandoc share. */
import { version } from "../base/version.js";
import { nameOf } from "./shell.js";
import { flatten, type ArgumentInfo, type CommandInfo, type OptionInfo } from "./tree.js";

const DESCRIPTION = [
  "pongd opens a Linux TUN or TAP device, and every address of the prefixes that it is given answers ping like a "
  + "host, and can serve TCP: IPv4 and IPv6, with a reason and a counter for every packet that gets no answer. It "
  + "needs /dev/net/tun and CAP_NET_ADMIN, or a device that pongd device create has made. It leaves nothing behind, "
  + "however it ends.",
  "Precedence: flags, environment, file, defaults, key by key.",
];

const ENVIRONMENT: readonly (readonly [string, string])[] = [
  ["PONGD_PREFIXES", "The prefixes of pongd run, separated by spaces or commas, where no arguments are given."],
  ["PONGD_PASSWORD", "The password of pongd top, for the user in its URL."],
  ["LISTEN_PID, LISTEN_FDS", "Sockets that systemd has opened for pongd run: they are served beside those of "
  + "--listen, and in place of its default."],
  ["NO_COLOR", "Where it is not empty, nothing is coloured."],
];

const EXIT_STATUS: readonly (readonly [string, string])[] = [
  ["0", "Done."],
  ["1", "A failure while running, or a second signal."],
  ["2", "Wrong usage."],
  ["3", "The configuration file is wrong, or cannot be read."],
  ["4", "No permission, or the device is missing."],
];

const FILES: readonly (readonly [string, string])[] = [
  ["/dev/net/tun", "What makes the device; pongd doctor says whether it can be used."],
  ["/etc/pongd.yaml", "By custom the configuration file, where --config or the systemd unit names it. pongd check "
  + "--schema prints its JSON Schema."],
];

const SIGNALS: readonly (readonly [string, string])[] = [
  [
    "SIGINT, SIGTERM",
    "End pongd run: connections end, the device is taken down, and what was answered is said. A second one, half a "
    + "second later or more, ends it at once, with status 1 and without resetting connections.",
  ],
  ["SIGHUP", "Has pongd run read its configuration file anew. A file that is wrong changes nothing."],
  ["SIGTSTP, SIGCONT", "Stop and continue pongd top; the terminal is as it was in between."],
];

const SEE_ALSO = ["ping(8)", "ip(8)", "systemd.service(5)", "prometheus(1)"];

/** Returns the manual page. `date`: the page's date as YYYY-MM-DD, or "" for none. */
export function manualPage(program: CommandInfo, date = ""): string {
  const [, ...commands] = flatten(program);
  const leaves = commands.filter(({ commands }) => commands.length === 0);
  return [
    ".\\\" Made from pongd's commands when it was built.",
    `.TH PONGD 1 "${date}" "pongd ${version}" "User Commands"`,
    ".SH NAME",
    `pongd \\- ${text(program.description.replace(/\.$/, "").replace(/^M/, "m"))}`,
    ".SH SYNOPSIS",
    ...leaves.flatMap((command, i) => [...i > 0 ? [".br"] : [], `${bold(nameOf(command))} ${text(command.usage)}`]),
    ".br",
    `${bold("pongd")} ${program.options.map(({ long }) => bold(long)).join(" | ")}`,
    ".SH DESCRIPTION",
    ...paragraphs(DESCRIPTION),
    ".SH COMMANDS",
    ...commands.flatMap(section),
    ".SH OPTIONS",
    ...program.options.flatMap(optionItem),
    ".SH ENVIRONMENT",
    "Each option of pongd run has a variable, which stands with it above. An empty one is as if it were not there.",
    ...items(ENVIRONMENT),
    ".SH EXIT STATUS",
    ...items(EXIT_STATUS),
    ".SH FILES",
    ...items(FILES),
    ".SH SIGNALS",
    ...items(SIGNALS),
    ".SH EXAMPLES",
    ...commands.filter(({ examples }) => examples.length > 0)
      .flatMap((command, i) => [...i > 0 ? [".PP"] : [], `${bold(nameOf(command))}:`, ...verbatim(command.examples)]),
    ".SH SEE ALSO",
    SEE_ALSO.map((page) => page.replace(/^(.*)(\(\d\))$/, (_, name: string, section: string) => bold(name) + section))
      .join(", "),
    "",
  ].join("\n");
}

function section(command: CommandInfo): string[] {
  return [
    `.SS ${text(nameOf(command))}`,
    text(command.description),
    ...command.commands.length === 0 ? [".PP", `${bold(nameOf(command))} ${text(command.usage)}`] : [],
    ...command.arguments.flatMap(argumentItem),
    ...optionItems(command.options.filter(({ long }) => long !== "--help")),
    ...command.notes.flatMap((note) => note.includes("\n  ")
      ? [".PP", ...verbatim(note.split("\n"))]
      : [".PP", text(note.replaceAll("\n", " ").trim())]),
  ];
}

function argumentItem({ name, description, choices, default: fallback, variadic }: ArgumentInfo): string[] {
  return item(`${italic(name)}${variadic ? " ..." : ""}`, sentence(
    description,
    choices.length > 0 ? `one of ${choices.join(", ")}` : undefined,
    fallback === undefined ? undefined : `default: ${fallback}`,
  ));
}

/** Lists options under the headings of the help. */
function optionItems(options: readonly OptionInfo[]): string[] {
  let heading: string | undefined;
  return options.flatMap((option) => {
    const lines = option.group === undefined || option.group === heading ? [] : [".PP", bold(option.group)];
    heading = option.group;
    return [...lines, ...optionItem(option)];
  });
}

function optionItem({ flags, description, value, default: fallback, variable }: OptionInfo): string[] {
  const choices = value && value.choices.length > 0
    ? `${value.open ? "such as" : value.list ? "some of" : "one of"} ${value.choices.join(", ")}`
    : undefined;
  const term = flags.replace(/ ?<.*$/, "").split(", ").map(bold).join(", ") + (value ? ` ${italic(value.name)}` : "");
  return item(term, sentence(
    description,
    choices,
    fallback === undefined ? undefined : `default: ${fallback}`,
    variable === undefined ? undefined : `variable: ${variable}`,
  ));
}

function sentence(description: string, ...more: (string | undefined)[]): string {
  const known = more.filter((part) => part !== undefined);
  return text(
    `${description.charAt(0).toUpperCase()}${description.slice(1)}${known.length > 0 ? ` (${known.join("; ")})` : ""}.`,
  );
}

function items(entries: readonly (readonly [string, string])[]): string[] {
  return entries.flatMap(([term, description]) => item(bold(term), text(description)));
}

/** Makes a list item. `term` and `body` are roff already. */
function item(term: string, body: string): string[] {
  return [".TP", term, body];
}

function paragraphs(texts: readonly string[]): string[] {
  return texts.flatMap((paragraph, i) => [...i > 0 ? [".PP"] : [], text(paragraph)]);
}

function verbatim(lines: readonly string[]): string[] {
  return [".RS 2", ".nf", ...lines.map(text), ".fi", ".RE"];
}

function bold(words: string): string {
  return `\\fB${text(words)}\\fR`;
}

function italic(words: string): string {
  return `\\fI${text(words)}\\fR`;
}

/** Escapes text for roff. Hyphens become those that can be copied and typed. */
function text(words: string): string {
  return words.replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("~", "\\(ti")
    .replaceAll("^", "\\(ha")
    .replace(/^(?=[.'])/, "\\&");
}
