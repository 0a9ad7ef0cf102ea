/** Plays the scripts of test/vectors/tcp/icmp.ts to the engine. */
import "../support/process.js";
import { playAll } from "../support/tcpplay.js";
import { ICMP } from "../vectors/tcp/icmp.js";

playAll("TCP: icmp", ICMP);
