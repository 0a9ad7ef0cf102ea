/** Tests what is read from the text of /proc, and netlink messages of any length. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Failure } from "../../src/base/failure.js";
import { capabilitiesIn } from "../../src/sys/privileges.js";
import { ranNs } from "../../src/sys/proc.js";
import { attribute, ifinfomsg, linkOf, messages, newsOf, outcomeOf, request, u32 } from "../../src/tun/messages.js";
import { routeOf } from "../../src/tun/route.js";
import { IFLA_MTU, NLMSG_ERROR, RTA_DST, RTM_NEWLINK, SIZEOF_RTMSG } from "../../src/sys/uapi.js";

describe("/proc", () => {
  test("capabilities: the sets that are not empty; where it does not say what is permitted, they are not taken for "
    + "dropped", () => {
    assert.equal(capabilitiesIn(
      "CapInh:\t0000000000000400\nCapPrm:\t0000000000001000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n",
    ), "CapPrm 0000000000001000");
    assert.equal(capabilitiesIn("CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"), "");
    for (const status of ["", "Name:\tnode\n", "CapPrm:\tx\n", "CapEff:\t0000000000000000\n"]) {
      assert.throws(() => capabilitiesIn(status), Failure, JSON.stringify(status));
    }
  });

  test("a thread's time: its first number, or 0", () => {
    assert.deepEqual(["123 4 5\n", "7", "", "x 1 2", "-1 2 3"].map(ranNs), [123, 7, 0, 0, 0]);
  });
});

describe("netlink: a length that does not fit is a Failure", () => {
  const link = request(RTM_NEWLINK, 0, 1, [ifinfomsg(7), attribute(IFLA_MTU, u32(1400))]);

  test("of a message", () => {
    assert.deepEqual([...messages(link)].map(({ payload }) => linkOf(payload).mtu), [1400]);
    for (const length of [0, 15, link.length + 1, 0xffffffff]) {
      const bytes = Buffer.from(link);
      bytes.writeUInt32LE(length, 0);
      assert.throws(() => [...messages(bytes)], Failure, String(length));
      assert.deepEqual(newsOf(bytes, 9), { link: true, reach: true }, "what cannot be read may be about any link");
    }
    assert.deepEqual([newsOf(link, 7), newsOf(link, 9)], [{ link: true, reach: false }, { link: false, reach: false }]);
  });

  test("of an attribute, of what lies before it, and of what is in it", () => {
    const payload = link.subarray(16);
    const short = Buffer.concat([ifinfomsg(7), attribute(IFLA_MTU, Uint8Array.of(1))]);
    for (const bytes of [payload.subarray(0, 15), payload.subarray(0, 22), short]) {
      assert.throws(() => linkOf(bytes), Failure);
    }
    const route = Buffer.alloc(SIZEOF_RTMSG);
    route.set([2, 33]);
    assert.throws(() => routeOf(route, 4), Failure);
    route[1] = 8;
    assert.throws(() => routeOf(Buffer.concat([route, attribute(RTA_DST, new Uint8Array(3))]), 4), Failure);
    assert.deepEqual(routeOf(route, 4)?.bytes, new Uint8Array(4));
    assert.throws(() => outcomeOf({ type: NLMSG_ERROR, flags: 0, seq: 1, payload: Buffer.alloc(3) }), Failure);
  });
});
