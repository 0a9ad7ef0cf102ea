import { bashScript } from "./bash.js";
import { fishScript } from "./fish.js";
import type { CommandInfo } from "./tree.js";
import { zshScript } from "./zsh.js";

export type Shell = "bash" | "zsh" | "fish";

export const SCRIPTS: Readonly<Record<Shell, (program: CommandInfo) => string>> = {
  bash: bashScript, zsh: zshScript, fish: fishScript,
};
