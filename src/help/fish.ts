import { quote } from "../base/shell.js";
import { brief, HEADER, nameOf } from "./shell.js";
import { flatten, type CommandInfo, type OptionInfo, type Value } from "./tree.js";

/** Returns fish's completion script, for its folder of completions, as pongd.fish. */
export function fishScript(program: CommandInfo): string {
  const commands = flatten(program);
  const valued = commands.flatMap(
    (command) => command.options.filter(({ value }) => value).map(({ long }) => `${nameOf(command)} ${long}`),
  );
  return `${HEADER("fish")}

# Reads the line before the cursor: the command, its options so far, its arguments so far.
function __pongd_read
    set -l tokens (commandline -opc)
    test "$tokens" = "$__pongd_tokens"; and return
    set -g __pongd_tokens $tokens
    set -g __pongd_command pongd
    set -g __pongd_options
    set -g __pongd_arguments
    set -l pending
    for token in $tokens[2..-1]
        if set -q pending[1]
            set -a __pongd_options $pending
            set pending
        else if string match -q -- '-*' $token
            # If an option waits for its value, that value is being completed.
            if contains -- "$__pongd_command $token" ${valued.map(quote).join(" ")}
                set pending $token
            else
                set -a __pongd_options (string replace -r -- '=.*' '' $token)
            end
        else if not set -q __pongd_arguments[1]; and contains -- "$__pongd_command $token" ${commands.slice(1)
          .map(nameOf)
          .map(quote)
          .join(" ")}
            set __pongd_command "$__pongd_command $token"
        else
            set -a __pongd_arguments $token
        end
    end
end

# Tests that it is this command, and that none of these options has been given.
function __pongd_lacks
    __pongd_read
    test "$__pongd_command" = "$argv[1]"; or return
    for option in $argv[2..-1]
        contains -- $option $__pongd_options; and return 1
    end
    return 0
end

# Tests that it is this command, and that as many arguments have been given.
function __pongd_has
    __pongd_read
    test "$__pongd_command" = "$argv[1]"; and test (count $__pongd_arguments) = $argv[2]
end

# Tests that it is this command, and that these arguments have been given.
function __pongd_names
    __pongd_read
    test "$__pongd_command" = "$argv[1]"; and test "$__pongd_arguments" = "$argv[2]"
end

complete -c pongd -f
${commands.flatMap((command) => linesOf(command, commands)).join("\n")}
`;
}

function linesOf(command: CommandInfo, all: readonly CommandInfo[]): string[] {
  const name = quote(nameOf(command));
  return [
    ...command.commands.map((sub) => complete(`__pongd_has ${name} 0`, commandOf(sub))),
    ...command.options.map((option) => complete(conditionOf(command, option), optionOf(option))),
    ...command.arguments.flatMap((argument, i) => argument.kind === "command"
      ? all.flatMap((parent) => parent.commands.map(
          (sub) => complete(`__pongd_names ${name} ${quote(parent.path.slice(1).join(" "))}`, commandOf(sub)),
        ))
      : valueOf(argument).map(
          (what) => complete(argument.variadic ? `__pongd_lacks ${name}` : `__pongd_has ${name} ${i}`, what),
        )),
  ];
}

function commandOf({ path, description }: CommandInfo): string {
  return `-a ${quote(path.at(-1) ?? "")} -d ${quote(brief(description))}`;
}

function complete(condition: string, what: string): string {
  return `complete -c pongd -n "${condition}" ${what}`;
}

function conditionOf(command: CommandInfo, { short, long, repeatable }: OptionInfo): string {
  return ["__pongd_lacks", quote(nameOf(command)), ...repeatable ? [] : [short, long]].filter(Boolean).join(" ");
}

function optionOf({ short, long, description, value }: OptionInfo): string {
  return [
    ...short === undefined ? [] : [`-s ${short.slice(1)}`],
    `-l ${long.slice(2)}`,
    ...value ? [value.kind === "file" ? "-r" : "-x", ...valueOf(value)] : [],
    `-d ${quote(description)}`,
  ].join(" ");
}

function valueOf({ choices, list, kind }: Value): string[] {
  const words = choices.join(" ");
  if (words !== "") return [`-a ${quote(list ? `(__fish_complete_list , "string split ' ' '${words}'")` : words)}`];
  switch (kind) {
    case "file":
      return ["-F"];
    case "user":
      return ["-a '(__fish_complete_users)'"];
    case "group":
      return ["-a '(__fish_complete_groups)'"];
    default:
      return [];
  }
}
