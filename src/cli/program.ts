/**
 * Builds the complete tree of commands; nothing runs yet. execute.ts runs it, and the completion scripts and the manual
 * page are written from it.
 */
import { Command } from "commander";
import { version } from "../base/version.js";
import { benchCommand } from "./bench.js";
import { checkCommand } from "./check.js";
import { completionCommand } from "./completion.js";
import { connectionsCommand } from "./connections.js";
import { deviceCommand } from "./device.js";
import { doctorCommand } from "./doctor.js";
import { notes } from "./notes.js";
import { replayCommand } from "./replay.js";
import { runCommand } from "./run.js";
import { sessionsCommand } from "./sessions.js";
import { stampCommand } from "./stamp.js";
import { topCommand } from "./top.js";
import { topologyCommand } from "./topology.js";

/** Fewest columns in which text is wrapped. */
const MIN_WRAPPED = 10;

export function createProgram(): Command {
  const program = new Command("pongd")
    .description("Makes whole IP prefixes answer ping, through a Linux TUN or TAP device.")
    .version(version)
    .helpCommand(false)
    .addHelpText(
      "after",
      notes("Exit status: 0 done, 1 failure while running, 2 usage, 3 configuration, 4 permission or missing device."),
    );
  const commands = [
    runCommand(), checkCommand(), topologyCommand(), replayCommand(), topCommand(), connectionsCommand(),
    sessionsCommand(), stampCommand(), deviceCommand(), doctorCommand(), benchCommand(), completionCommand(),
    helpCommand(program),
  ];
  for (const command of commands) {
    program.addCommand(command.copyInheritedSettings(program));
  }
  // In a narrower column commander leaves wrapping to the terminal, which breaks words.
  for (const command of withCommands(program)) command.configureHelp({ minWidthToWrap: MIN_WRAPPED });
  return program;
}

/** Returns a command and all its subcommands, at any depth. */
export function withCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withCommands)];
}

/** Replaces commander's own help command, which looks at the first name only. */
function helpCommand(program: Command): Command {
  return new Command("help")
    .description("Print the help of a command.")
    .argument("[command...]", "its name, like device create")
    .action((names: string[]) => {
      let command = program;
      for (const name of names) {
        const found = command.commands.find((sub) => sub.name() === name);
        if (!found) {
          refuse(command, name);
          return;
        }
        command = found;
      }
      command.outputHelp();
    });
}

/** Throws commander's error about an unknown command, which suggests the one that may have been meant. */
function refuse(command: Command, name: string): void {
  if (command.commands.length === 0) command.error(`error: ${command.name()} has no command '${name}'`);
  command.parse([name], { from: "user" });
}
