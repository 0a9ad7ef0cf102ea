import { InvalidArgumentError } from "commander";

/** Returns a parser for seconds from `min` to `max`, with decimals, for an option's value. */
export function seconds(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d*\.?\d+$/.test(text) ? Number(text) : NaN;
    if (!(value >= min && value <= max)) {
      throw new InvalidArgumentError(`It must be a number of seconds from ${min} to ${max}.`);
    }
    return value;
  };
}
