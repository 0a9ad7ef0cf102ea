/**
 * Text from anybody, as one line that a terminal shows as it is. Names of interfaces and prefixes, certificates, URLs and arguments may hold
 * escape sequences, line ends, and characters that nobody sees or that turn the writing around.
 */

const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** Writes what is not to be seen as JSON does in strings: \n, \u001b. So it may be applied to a line of JSON, whose meaning stays. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => character < " " ? JSON.stringify(character).slice(1, -1) : escapesOf(character));
}

function escapesOf(character: string): string {
  return character.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
}
