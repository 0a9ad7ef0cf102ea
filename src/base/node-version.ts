/**
 * The Node.js that pongd needs. This file and cli.ts are read by whatever Node.js there is: no newer syntax than
 * theirs, and no imports.
 */

/** As in package.json. */
export const NEEDED_NODE = "20.19";

/** Whether this version of Node.js is new enough. */
export function isNewEnough(version: string): boolean {
  const [major, minor] = version.split(".").map(Number);
  const [neededMajor, neededMinor] = NEEDED_NODE.split(".").map(Number);
  return major !== neededMajor ? major > neededMajor : minor >= neededMinor;
}
