/** Measures and pads printable text in a terminal's columns. */
import { eastAsianWidth } from "get-east-asian-width";

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Returns the columns that printable text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += widthOfCharacter(character);
  return width;
}

/** Cuts text to `width` columns, with an ellipsis where something is cut. */
export function fit(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let shown = "";
  let columns = 0;
  for (const character of text) {
    columns += widthOfCharacter(character);
    if (columns >= width) break;
    shown += character;
  }
  return width > 0 ? `${shown}…` : "";
}

export function padEnd(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}

export function padStart(text: string, width: number): string {
  return " ".repeat(Math.max(0, width - widthOf(text))) + text;
}

/** Formats a rounded number; "-" if it is not known. */
export function whole(value: number | undefined): string {
  return value === undefined ? "-" : WHOLE.format(value);
}

function widthOfCharacter(character: string): number {
  return /\p{M}/u.test(character) ? 0 : eastAsianWidth(character.codePointAt(0) ?? 0);
}
