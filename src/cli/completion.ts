import { Argument, Command } from "commander";
import type { Shell } from "../help/scripts.js";
import { notes } from "./notes.js";

const SHELLS: readonly Shell[] = ["bash", "zsh", "fish"];

export function completionCommand(): Command {
  return new Command("completion")
    .description("Print the completion script of a shell.")
    .addArgument(new Argument("<shell>", "whose it is to be").choices(SHELLS))
    .addHelpText("after", notes(`
A new shell has it: bash with the package bash-completion, zsh with "autoload -U compinit && compinit" in ~/.zshrc.

Examples:
  mkdir -p ~/.local/share/bash-completion/completions ~/.config/fish/completions
  pongd completion bash > ~/.local/share/bash-completion/completions/pongd
  pongd completion zsh | sudo tee /usr/local/share/zsh/site-functions/_pongd > /dev/null
  pongd completion fish > ~/.config/fish/completions/pongd.fish
  source <(pongd completion bash)    for this shell alone; zsh likewise, after compinit`))
    .action(async (shell: Shell, _: unknown, command: Command) => {
      const [{ SCRIPTS }, { describe }] = await Promise.all([import("../help/scripts.js"), import("../help/tree.js")]);
      process.stdout.write(SCRIPTS[shell](describe(command.parent ?? command)));
    });
}
