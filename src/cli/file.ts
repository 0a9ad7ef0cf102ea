import { InvalidArgumentError } from "commander";

/** Parses a file's path, for an option's value or an argument. */
export function filePath(text: string): string {
  if (text === "") throw new InvalidArgumentError("It is empty: write a file's path, or leave it out.");
  return text;
}
