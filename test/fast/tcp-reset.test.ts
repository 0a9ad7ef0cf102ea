/** Plays the scripts of test/vectors/tcp/reset.ts to the engine. */
import "../support/process.js";
import { playAll } from "../support/tcpplay.js";
import { RESET } from "../vectors/tcp/reset.js";

playAll("TCP: reset", RESET);
