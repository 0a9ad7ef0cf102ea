/**
 * Text from anybody, as one line that a terminal shows as it is. Names of interfaces and prefixes,
 * certificates, URLs and arguments may contain escape sequences, line ends, and characters that are invisible
 * or reverse the direction of writing.
 */

const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/**
 * Escapes unprintable characters as JSON strings do: \n, \u001b. So it may be applied to a line of JSON without
 * changing its meaning.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escapesOf);
}

function escapesOf(character: string): string {
  if (character < " ") return JSON.stringify(character).slice(1, -1);
  return character.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
}

/** Spaces other than the usual one. In a wrong value they may be the mistake. */
const SPACES = /(?! )\p{Zs}/gu;
/** Maximum number of different characters that a message names. */
const MAX_NAMED = 3;

/** Makes a message about a value printable. It names the invisible characters in it, which the user has to remove. */
export function legible(message: string): string {
  const found = [...new Set([...message.match(UNPRINTABLE) ?? [], ...message.match(SPACES) ?? []])]
    .slice(0, MAX_NAMED)
    .map(escapesOf);
  const shown = printable(message).replace(SPACES, escapesOf);
  return found.length === 0 ? message : `${shown} (leave out ${found.join(", ")}, which cannot be seen)`;
}

/** Most characters of a value that a message shows. */
export const SHOWN_CHARACTERS = 40;

/** Returns a text's beginning if it is too long to be shown. */
export function excerpt(text: string): string {
  if (text.length <= SHOWN_CHARACTERS) return text;
  return `${text.slice(0, SHOWN_CHARACTERS).replace(/[\ud800-\udbff]$/, "")}…`;
}
