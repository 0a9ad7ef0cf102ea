#!/usr/bin/env node
/**
 * Checks the version of Node.js before anything else is loaded. Node.js reads every static import before it runs
 * anything, and an older one cannot read the command line's modules. They are loaded only if the version is new enough.
 */
import { isNewEnough, NEEDED_NODE } from "./base/node-version.js";

// Node.js opens its debugger to every local user on this signal. A listener takes the signal away from it.
process.on("SIGUSR1", () => undefined);

if (isNewEnough(process.versions.node)) {
  void import("./cli/main.js");
} else {
  process.stderr.write(`pongd: this is Node.js ${process.versions.node}, and pongd needs ${NEEDED_NODE} or newer; get `
    + `one from https://nodejs.org/en/download or https://deb.nodesource.com\n`);
  process.exitCode = 1;
}
