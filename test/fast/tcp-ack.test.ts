/** Plays the scripts of test/vectors/tcp/ack.ts to the engine. */
import "../support/process.js";
import { playAll } from "../support/tcpplay.js";
import { ACKS } from "../vectors/tcp/ack.js";

playAll("TCP: ack", ACKS);
