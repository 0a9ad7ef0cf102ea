/** Plays the scripts of test/vectors/tcp/retransmit.ts to the engine. */
import "../support/process.js";
import { playAll } from "../support/tcpplay.js";
import { RETRANSMIT } from "../vectors/tcp/retransmit.js";

playAll("TCP: retransmit", RETRANSMIT);
