/** Shared parts of the completion scripts. */
import type { CommandInfo, OptionInfo } from "./tree.js";

export const HEADER = (
  shell: string,
) => `# ${shell} completion for pongd, made from its commands by: pongd completion ${shell}`;

/** Returns a description's first sentence without its full stop. */
export function brief(description: string): string {
  return description.replace(/\.(\s.*)?$/, "");
}

export function nameOf({ path }: CommandInfo): string {
  return path.join(" ");
}

export function longs(options: readonly OptionInfo[]): string {
  return options.map(({ long }) => long).join(" ");
}
