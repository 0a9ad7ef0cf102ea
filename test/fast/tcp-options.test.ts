/** Plays the scripts of test/vectors/tcp/options.ts to the engine. */
import "../support/process.js";
import { playAll } from "../support/tcpplay.js";
import { OPTIONS } from "../vectors/tcp/options.js";

playAll("TCP: options", OPTIONS);
