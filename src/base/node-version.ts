/**
 * The version of Node.js that pongd needs. Any Node.js reads this file and cli.ts, old ones too. So both keep to old
 * syntax, and this one has no imports.
 */

/** As in package.json ("engines"). */
export const NEEDED_NODE = "20.19";

/** Returns whether this version of Node.js is new enough. */
export function isNewEnough(version: string): boolean {
  const [major, minor] = version.split(".").map(Number);
  const [neededMajor, neededMinor] = NEEDED_NODE.split(".").map(Number);
  return major !== neededMajor ? major > neededMajor : minor >= neededMinor;
}
