/**
 * Text from anybody, as one line that a terminal shows as it is. Names of interfaces and prefixes, certificates, URLs
 * and arguments may hold escape sequences, line ends, and characters that nobody sees or that turn the writing around.
 */

const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/**
 * Writes what is not to be seen as JSON does in strings: \n, \u001b. So it may be applied to a line of JSON, whose
 * meaning stays.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escapesOf);
}

function escapesOf(character: string): string {
  if (character < " ") return JSON.stringify(character).slice(1, -1);
  return character.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
}

/** Spaces other than the usual one, which in a wrong value may be what is wrong. */
const SPACES = /(?! )\p{Zs}/gu;
/** Different ones that a message names. */
const MAX_NAMED = 3;

/** A message about a value that somebody wrote: what cannot be seen in it is named, since it has to go. */
export function legible(message: string): string {
  const found = [...new Set([...message.match(UNPRINTABLE) ?? [], ...message.match(SPACES) ?? []])]
    .slice(0, MAX_NAMED)
    .map(escapesOf);
  const shown = printable(message).replace(SPACES, escapesOf);
  return found.length === 0 ? message : `${shown} (leave out ${found.join(", ")}, which cannot be seen)`;
}
