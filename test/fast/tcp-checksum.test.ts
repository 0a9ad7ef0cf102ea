/** Plays the scripts of test/vectors/tcp/checksum.ts to the engine. */
import "../support/process.js";
import { playAll } from "../support/tcpplay.js";
import { CHECKSUM } from "../vectors/tcp/checksum.js";

playAll("TCP: checksum", CHECKSUM);
