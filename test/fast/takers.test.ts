/** Tests when services that are not in use any more are closed. */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { Taker } from "../../src/net/services.js";
import { Takers } from "../../src/net/takers.js";

describe("a taker", () => {
  const closed: string[] = [];
  const taker = (name: string): Taker => ({
    allowHalfOpen: true, take: () => undefined, close: () => { closed.push(name); },
  });
  beforeEach(() => { closed.length = 0; });

  test("is closed when it is not in use any more, once", () => {
    const takers = new Takers();
    const [one, two] = [taker("one"), taker("two")];
    takers.use([one, one, two]);
    takers.use([two]);
    assert.deepEqual(closed, ["one"]);
    takers.use([]);
    takers.use([]);
    assert.deepEqual(closed, ["one", "two"]);
  });

  test("with connections is closed behind the last one", () => {
    const takers = new Takers();
    const one = taker("one");
    takers.use([one]);
    takers.opened(one);
    takers.opened(one);
    takers.closed(one);
    takers.use([]);
    assert.deepEqual(closed, []);
    takers.closed(one);
    assert.deepEqual(closed, ["one"]);
  });

  test("in use stays when its last connection ends", () => {
    const takers = new Takers();
    const one = taker("one");
    takers.use([one]);
    takers.opened(one);
    takers.use([]);
    takers.use([one]);
    takers.closed(one);
    assert.deepEqual(closed, []);
  });

  test("needs no close()", () => {
    const takers = new Takers();
    takers.use([{ allowHalfOpen: true, take: () => undefined }]);
    takers.use([]);
    assert.deepEqual(closed, []);
  });
});
