/**
 * Tests the sending side of TCP: what is sent, and sent again, when. Expected numbers come from the RFCs' formulas as
 * they are written there, in floating point, or from small models. Each subject has a file. All files run in one
 * process, since a process needs seconds to compile the module. `node --test build/test/recover/rack.test.js` runs one.
 */
import "../recover/rtt.test.js";
import "../recover/slowstart.test.js";
import "../recover/congestion.test.js";
import "../recover/sack.test.js";
import "../recover/rack.test.js";
import "../recover/probe.test.js";
import "../recover/newreno.test.js";
import "../recover/undo.test.js";
import "../recover/paths.test.js";
