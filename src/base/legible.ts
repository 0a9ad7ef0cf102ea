/** Wrong values as messages show them: a copied one may bring along characters that no terminal shows. */

/** Controls, line ends, zero-width and bidirectional characters, and spaces other than the usual one. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/gu;
/** Different ones that a message names. */
const MAX_NAMED = 3;

/** The message as one line in which everything can be seen. What could not be seen is named, since it has to go. */
export function legible(message: string): string {
  const found = [...new Set(message.match(INVISIBLE))].slice(0, MAX_NAMED).map(escaped);
  return found.length === 0 ? message : `${message.replace(INVISIBLE, escaped)} (leave out ${found.join(", ")}, which cannot be seen)`;
}

/** As in a string of JSON. */
function escaped(character: string): string {
  if (character < " ") return JSON.stringify(character).slice(1, -1);
  return character.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
}
