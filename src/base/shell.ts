/** Words of a POSIX shell, for commands that are printed to be copied. */

/** A word in quotes, whatever is in it. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A word as it is where no shell reads anything into it, else in quotes. */
export function word(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : quote(text);
}
