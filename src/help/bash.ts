import { quote } from "../base/shell.js";
import { HEADER, longs, nameOf } from "./shell.js";
import { flatten, type CommandInfo, type Value } from "./tree.js";

/** Returns bash's completion script. It needs bash alone, not the package bash-completion. */
export function bashScript(program: CommandInfo): string {
  const commands = flatten(program);
  const shorts = new Map(commands.flatMap(({ options }) => options)
    .flatMap(({ short, long }) => short === undefined ? [] : [[short, long] as const]));
  return `${HEADER("bash")}

# Sets the subcommands of a command, its options, those that take a value, and those that may be given again.
_pongd_command() {
  case $1 in
${commands.map(commandCase).join("\n")}
    *) return 1 ;;
  esac
}

# Sets the words or the kind of an option's value, or of an argument, by its number.
_pongd_value() {
  case $1 in
${commands.flatMap(valueCases).join("\n")}
  esac
}

_pongd() {
  local commands options valued repeatable words='' kind=''
  local current=\${COMP_WORDS[COMP_CWORD]} command=${program.path[0]}
  local pending='' given=' ' operands='' ended='' number=1 word i
  _pongd_command "$command"
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
${[...shorts].map(([short, long]) => `      ${short}) word=${long} ;;`).join("\n")}
    esac
    if [[ -n $pending ]]; then
      # --option=value comes as three words.
      [[ $word == '=' ]] || pending=''
    elif [[ -z $ended && $word == -- ]]; then
      ended=1
    elif [[ -z $ended && $word == -* ]]; then
      given+="\${word%%=*} "
      [[ " $valued " == *" $word "* ]] && pending=$word
    elif ((number == 1)) && [[ " $commands " == *" $word "* ]]; then
      command+=" $word"
      _pongd_command "$command"
    else
      operands+=" $word"
      ((number++))
    fi
  done
  if [[ -n $pending && $current == '=' ]]; then
    current=''
  elif [[ -z $pending && -z $ended && $current == --*=* ]]; then
    pending=\${current%%=*}
    current=\${current#*=}
  fi

  if [[ -n $pending ]]; then
    _pongd_value "$command $pending"
  elif [[ -z $ended && $current == -* ]]; then
    kind=options
  elif [[ -n $commands ]]; then
    ((number == 1)) && words=$commands
  else
    _pongd_value "$command $number"
    [[ -z $kind$words$current$ended ]] && kind=options
  fi
  case $kind in
    command)
      commands=''
      _pongd_command "${program.path[0]}$operands"
      words=$commands
      ;;
    options)
      for word in $options; do
        [[ " $repeatable " == *" $word "* || $given != *" $word "* ]] && words+=" $word"
      done
      ;;
    list)
      # Completes the last of several words with commas between them; none is offered twice.
      local before='' left=''
      [[ $current == *,* ]] && before=\${current%,*},
      # compgen -W expands what it is given, so only names may get there.
      [[ $before == *[!a-z0-9,-]* ]] && words='' before=''
      for word in $words; do
        [[ ",$before" == *",$word,"* ]] || left+=" $before$word"
      done
      words=$left
      ;;
  esac
  case $kind in
    file)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      ;;
    user) mapfile -t COMPREPLY < <(compgen -u -- "$current") ;;
    group) mapfile -t COMPREPLY < <(compgen -g -- "$current") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current") ;;
  esac
}

complete -F _pongd pongd
`;
}

function commandCase(command: CommandInfo): string {
  const { commands, options } = command;
  const assignments = [
    `commands=${quote(commands.map(({ path }) => path.at(-1)).join(" "))}`,
    `options=${quote(longs(options))}`,
    `valued=${quote(longs(options.filter(({ value }) => value)))}`,
    `repeatable=${quote(longs(options.filter(({ repeatable }) => repeatable)))}`,
  ];
  return `    ${quote(nameOf(command))}) ${assignments.join(" ")} ;;`;
}

function valueCases(command: CommandInfo): string[] {
  const name = nameOf(command);
  return [
    ...command.options.flatMap(({ long, value }) => value ? valueCase(quote(`${name} ${long}`), value) : []),
    ...command.arguments.flatMap(
      (argument, i) => valueCase(`${quote(`${name} `)}${argument.variadic ? "*" : i + 1}`, argument),
    ),
  ];
}

function valueCase(pattern: string, { choices, list, kind }: Value): string[] {
  const assignments = [
    ...choices.length > 0 ? [`words=${quote(choices.join(" "))}`] : [],
    ...list ? ["kind=list"] : kind === "other" ? [] : [`kind=${kind}`],
  ];
  return assignments.length > 0 ? [`    ${pattern}) ${assignments.join(" ")} ;;`] : [];
}
