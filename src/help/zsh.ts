import { quote } from "../base/shell.js";
import { brief, HEADER, nameOf } from "./shell.js";
import { flatten, type ArgumentInfo, type CommandInfo, type OptionInfo, type Value } from "./tree.js";

/** Returns zsh's completion script, for a folder in $fpath, as _pongd; it may also be sourced. */
export function zshScript(program: CommandInfo): string {
  const commands = flatten(program);
  return `#compdef pongd
${HEADER("zsh")}

${commands.map(functionOf).join("\n")}
# Completes the names of commands as arguments of another command.
_pongd_names() {
  local -a commands
  case "\${(j: :)words[2,CURRENT-1]}" in
${commands.filter((command) => command.commands.length > 0)
  .map((command) => `    ${quote(command.path.slice(1).join(" "))}) commands=(${described(command)}) ;;`)
  .join("\n")}
  esac
  _describe -t commands command commands
}

if [[ \${funcstack[1]} == _pongd ]]; then
  _pongd "$@"
else
  compdef _pongd pongd
fi
`;
}

function functionOf(command: CommandInfo): string {
  const name = functionName(command);
  const options = command.options.map(optionSpec);
  if (command.commands.length === 0) {
    return `${name}() {
  _arguments -s -S : \\
    ${[...options, ...command.arguments.map(argumentSpec)].join(" \\\n    ")}
}
`;
  }
  return `${name}() {
  local curcontext="$curcontext" state line
  local -a commands
  _arguments -C -s -S : \\
    ${[...options, "': :->command'", "'*:: :->rest'"].join(" \\\n    ")} && return
  case $state in
    command)
      commands=(${described(command)})
      _describe -t commands command commands
      ;;
    rest)
      case $words[1] in
${command.commands.map((sub) => `        ${sub.path.at(-1) ?? ""}) ${functionName(sub)} ;;`).join("\n")}
      esac
      ;;
  esac
}
`;
}

function functionName(command: CommandInfo): string {
  return `_${nameOf(command).replaceAll(" ", "_")}`;
}

function described({ commands }: CommandInfo): string {
  return commands.map(({ path, description }) => quote(`${path.at(-1) ?? ""}:${brief(description)}`)).join(" ");
}

function optionSpec({ short, long, description, value, repeatable }: OptionInfo): string {
  const rest = quote(`${value ? "=" : ""}[${escape(description)}]${value ? valueSpec(value) : ""}`);
  if (short !== undefined) return `'(${short} ${long})'{${short},${long}}${rest}`;
  return `${repeatable ? "'*'" : ""}${long}${rest}`;
}

function argumentSpec(argument: ArgumentInfo): string {
  return quote(`${argument.variadic ? "*" : ""}${valueSpec(argument)}`);
}

function valueSpec({ name, choices, list, kind }: Value): string {
  const words = choices.join(" ");
  const actions = {
    file: "_files", user: "_users", group: "_groups", command: "_pongd_names",
    other: words === "" ? " " : list ? `_sequence compadd - ${words}` : `(${words})`,
  };
  return `:${name}:${actions[kind]}`;
}

/** Escapes text for _arguments, whose specifications have brackets and colons. */
function escape(text: string): string {
  return text.replace(/[[\]:\\]/g, "\\$&");
}
