/** Returns whether standard output is a terminal that can do more than print lines. */
export function isScreen(): boolean {
  return process.stdout.isTTY && process.env.TERM !== "dumb";
}

/** Returns whether to use colour on standard output; see https://no-color.org. */
export function isColourful(): boolean {
  return isScreen() && !process.env.NO_COLOR;
}
