/** Plays the scripts of test/vectors/tcp/close.ts to the engine. */
import "../support/process.js";
import { playAll } from "../support/tcpplay.js";
import { CLOSE } from "../vectors/tcp/close.js";

playAll("TCP: close", CLOSE);
