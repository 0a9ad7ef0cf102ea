/** The tree of commands, complete and without effect: what runs it is cli.ts, and what else reads it are the completion scripts and the manual page. */
import { Command } from "commander";
import { version } from "../version.js";
import { benchCommand } from "./bench.js";
import { checkCommand } from "./check.js";
import { completionCommand } from "./completion.js";
import { deviceCommand } from "./device.js";
import { doctorCommand } from "./doctor.js";
import { replayCommand } from "./replay.js";
import { runCommand } from "./run.js";
import { topCommand } from "./top.js";

export function createProgram(): Command {
  const program = new Command("pongd")
    .description("Makes whole IP prefixes answer ping, through a Linux TUN or TAP device.")
    .version(version)
    .helpCommand(false)
    .addHelpText("after", "\nExit status: 0 done, 1 failure while running, 2 usage, 3 configuration,\n4 permission or missing device.");
  const commands = [
    runCommand(), checkCommand(), replayCommand(), topCommand(), deviceCommand(), doctorCommand(), benchCommand(), completionCommand(), helpCommand(program),
  ];
  for (const command of commands) {
    program.addCommand(command.copyInheritedSettings(program));
  }
  return program;
}

/** In place of commander's own, which looks no further than the first name. */
function helpCommand(program: Command): Command {
  return new Command("help")
    .description("Print the help of a command.")
    .argument("[command...]", "its name, like device create")
    .action((names: string[]) => {
      const found = names.reduce((command, name) => {
        return command.commands.find((sub) => sub.name() === name) ?? program.error(`error: unknown command '${names.join(" ")}'`, { exitCode: 1 });
      }, program);
      found.outputHelp();
    });
}
