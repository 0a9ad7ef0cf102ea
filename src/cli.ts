#!/usr/bin/env node
/**
 * The first lines that run. Node.js reads every import before it runs anything, so the command line itself, which an
 * older Node.js cannot read, is loaded only when the version is known to do.
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
