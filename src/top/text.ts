/** Printable text for a terminal: columns are counted as it shows them. */
import { eastAsianWidth } from "get-east-asian-width";

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Columns that printable text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += widthOfCharacter(character);
  return width;
}

/** As much of it as `width` columns show, and no less. */
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

/** Rounded; "-" for what is not known. */
export function whole(value: number | undefined): string {
  return value === undefined ? "-" : WHOLE.format(value);
}

function widthOfCharacter(character: string): number {
  return /\p{M}/u.test(character) ? 0 : eastAsianWidth(character.codePointAt(0) ?? 0);
}
