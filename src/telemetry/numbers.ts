/**
 * Formats numbers for people, in reports, on the page at / and in a terminal. This file runs in the browser too, so it
 * imports nothing.
 */

const formats = new Map<number, Intl.NumberFormat>();

/** Formats a number with `digits` significant digits. */
export function number(value: number, digits = 3): string {
  const format = formats.get(digits) ?? new Intl.NumberFormat("en", { maximumSignificantDigits: digits });
  formats.set(digits, format);
  return format.format(value);
}

/** Formats a count in full: 1,234,567. */
export function whole(value: number): string {
  return number(Math.round(value), 16);
}

/** Formats a value with an SI prefix: 12,300,000 B is 12.3 MB. */
export function si(value: number, unit = ""): string {
  // Rounding comes first, so that 999,999 is 1 M and not 1,000 k.
  const power = Math.min(4, Math.max(0, Math.floor(Math.log10(Number(value.toPrecision(3))) / 3)));
  return `${number(value / 1000 ** power)}\u00a0${["", "k", "M", "G", "T"][power]}${unit}`.trim();
}
