/** Words of a POSIX shell, for commands that are printed to be copied. */

/** Returns any text as a word in quotes. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Returns a word unchanged if it has no character that is special to a shell, and in quotes otherwise. */
export function word(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : quote(text);
}
