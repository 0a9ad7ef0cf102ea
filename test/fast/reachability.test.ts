/** Tests when pongd looks whether packets reach it, on a device that is not there. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, mock, test } from "node:test";
import { pino } from "pino";
import type { Failure } from "../../src/base/failure.js";
import { Stopped } from "../../src/base/pace.js";
import { Reachability } from "../../src/daemon/reachability.js";
import { SystemError } from "../../src/sys/libc.js";
import type { TunDevice } from "../../src/tun/device.js";
import type { LinkState } from "../../src/tun/routing.js";

const STATE: LinkState = {
  up: true, carrier: true, mtu: 1500, lost: { count: 0, first: [] }, mended: [], refused: new Map(), notes: [],
};

/** A look that was begun, to be ended. */
interface Look {
  readonly resolve: (state: LinkState | undefined) => void;
  readonly reject: (error: Error) => void;
}

describe("reachability", () => {
  let looks: Look[];
  let notify: (link: boolean) => void;
  let changes: number;
  let failures: Failure[];
  let lines: string[];
  let reachability: Reachability;
  beforeEach(() => {
    mock.timers.enable({ apis: ["setTimeout"] });
    [looks, changes, failures, lines] = [[], 0, [], []];
    const device = {
      name: "pong0", mtu: 1500, exists: true,
      watch: (callback: typeof notify) => {
        notify = callback;
        return () => undefined;
      },
      routing: {
        restore: () => new Promise<LinkState | undefined>((resolve, reject) => { looks.push({ resolve, reject }); }),
      },
    } as unknown as TunDevice;
    const log = pino({ base: null, timestamp: false }, { write: (line: string) => lines.push(line) });
    reachability = new Reachability(device, log, () => { changes++; }, (failure) => failures.push(failure));
  });
  afterEach(() => { mock.timers.reset(); });

  /** Lets promises that are settled have their effect. */
  const settle = () => new Promise((resolve) => { setImmediate(resolve); });
  const watch = async () => {
    const watching = reachability.watch();
    await settle();
    looks[0].resolve(STATE);
    return watching;
  };

  test("all who ask during a look are met by one look after it", async () => {
    await watch();
    notify(true);
    await settle();
    assert.equal(looks.length, 2);
    const asked = [reachability.look(), reachability.look()];
    notify(true);
    await settle();
    assert.equal(looks.length, 2);
    looks[1].resolve(STATE);
    await settle();
    assert.equal(looks.length, 3);
    looks[2].resolve(STATE);
    await Promise.all(asked);
    await settle();
    assert.deepEqual([looks.length, changes], [3, 3]);
  });

  test("a change of routes during a look brings another one a second later, though one was due in five", async () => {
    await watch();
    void reachability.look();
    await settle();
    notify(false);
    notify(false);
    looks[1].resolve({ ...STATE, refused: new Map([[4, "nothing is answered by IPv4"]]) });
    await settle();
    mock.timers.tick(900);
    await settle();
    assert.equal(looks.length, 2);
    mock.timers.tick(200);
    await settle();
    assert.equal(looks.length, 3);
    looks[2].resolve(STATE);
    await settle();
    mock.timers.tick(100_000);
    await settle();
    assert.equal(looks.length, 3);
  });

  test("while something is missing it looks again; of many lost prefixes it names the first ones", async () => {
    await watch();
    void reachability.look();
    await settle();
    looks[1].resolve({ ...STATE, lost: { count: 50_000, first: ["10.99.0.0/16", "10.98.0.0/16"] } });
    await settle();
    assert.match(reachability.obstacle ?? "", /^prefix 10\.99\.0\.0\/16 is routed elsewhere now: [^;]*; see: [^;]*; and 2 more like it/);
    assert.equal(lines.length, 3);
    assert.match(lines[2], /and 49998 more prefixes are routed elsewhere now/);
    mock.timers.tick(5100);
    await settle();
    assert.equal(looks.length, 3);
  });

  test("a look that was stopped, or ends after the watch, is no failure; a device that is gone is one", async () => {
    const end = await watch();
    void reachability.look();
    await settle();
    looks[1].reject(new Stopped());
    await settle();
    assert.deepEqual([changes, failures], [1, []]);
    void reachability.look();
    await settle();
    looks[2].resolve(undefined);
    await settle();
    assert.match(failures.map(({ message }) => message).join(), /^device pong0 was deleted while pongd ran/);
    void reachability.look();
    await settle();
    end();
    looks[3].reject(new SystemError("netlink recv:", "routes", 9));
    await settle();
    assert.deepEqual([changes, failures.length, lines], [1, 1, []]);
    mock.timers.tick(100_000);
    await settle();
    assert.equal(looks.length, 4);
  });
});
