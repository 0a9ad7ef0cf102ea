/** Plays the scripts of test/vectors/tcp/handshake.ts to the engine. */
import "../support/process.js";
import { playAll } from "../support/tcpplay.js";
import { HANDSHAKE } from "../vectors/tcp/handshake.js";

playAll("TCP: handshake", HANDSHAKE);
