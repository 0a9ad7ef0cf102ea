/** Plays the scripts of test/vectors/tcp/window.ts to the engine. */
import "../support/process.js";
import { playAll } from "../support/tcpplay.js";
import { WINDOW } from "../vectors/tcp/window.js";

playAll("TCP: window", WINDOW);
