/** Whether standard output is a terminal for more than lines. */
export function isScreen(): boolean {
  return process.stdout.isTTY && process.env.TERM !== "dumb";
}

/** https://no-color.org */
export function isColourful(): boolean {
  return isScreen() && !process.env.NO_COLOR;
}
