/** Plays the scripts of test/vectors/tcp/services.ts to the engine. */
import "../support/process.js";
import { playAll } from "../support/tcpplay.js";
import { SERVICES } from "../vectors/tcp/services.js";

playAll("TCP: services", SERVICES);
