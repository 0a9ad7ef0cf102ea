/**
 * Fuzzes what /proc says. It is a number, or nothing. Whoever reads that no capability is left has read so of those
 * that are permitted.
 */
import assert from "node:assert/strict";
import { Failure } from "../../../src/base/failure.js";
import { capabilitiesIn } from "../../../src/sys/privileges.js";
import { capabilitySet, ranNs } from "../../../src/sys/proc.js";
import type { Reader } from "../guided.js";
import { refusalOr } from "./refused.js";

const STATUS = "Name:\tnode\nUmask:\t0022\nState:\tR "
  + "(running)\nCapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\n"
  + "CapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t0\n";

export const proc: Reader = {
  covers: ["/build/src/proc.js", "/build/src/privileges.js"],
  dictionary: [
    "CapPrm:\t", "CapEff:\t", "CapAmb:\t", "CapInh:\t", "0000000000000000", "000001ffffffffff", "\n", "\r", "\0", " ",
    "0x", "f",
  ],
  seeds: [
    STATUS, STATUS.replaceAll("1ffffffffff", "00000000000"), "CapPrm:\t0\n", "123456789 2345 67\n",
    "18446744073709551615 0 0\n",
  ],
  feed(input) {
    const text = new TextDecoder().decode(input);
    for (const name of ["CapPrm", "CapEff", "CapAmb"]) assert.ok((capabilitySet(text, name) ?? 0n) >= 0n);
    const left = refusalOr(() => capabilitiesIn(text));
    if (!(left instanceof Failure)) {
      assert.notEqual(capabilitySet(text, "CapPrm"), undefined);
      assert.equal(left === "", ["CapPrm", "CapEff", "CapAmb"].every((name) => !capabilitySet(text, name)));
    }
    assert.ok(ranNs(text) >= 0 && Number.isFinite(ranNs(text)));
  },
};
