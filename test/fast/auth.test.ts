import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BasicAuth, BcryptThread, type Compare } from "../../src/web/auth.js";
import { hash } from "../support/certificates.js";

const USERS = new Map([["ada", "hash of right"], ["Zoë", "hash of a:b"]]);

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

/** Makes a comparison that answers at once, and that records what it was asked. */
function comparing(asked: string[]): Compare {
  return (password, hash) => {
    asked.push(`${password} ${hash}`);
    return Promise.resolve(hash === `hash of ${password}`);
  };
}

describe("basic authentication", () => {
  test("the right password is granted, and compared once; everything else is denied", async () => {
    const asked: string[] = [];
    const auth = new BasicAuth(comparing(asked));
    assert.equal(await auth.check(USERS, basic("ada", "right")), "granted");
    assert.equal(await auth.check(USERS, basic("ada", "right").replace("Basic", "BASIC")), "granted");
    assert.equal(await auth.check(USERS, basic("Zoë", "a:b")), "granted");
    assert.deepEqual(asked, ["right hash of right", "a:b hash of a:b"]);
    for (const wrong of [
      basic("ada", "wrong"), basic("ada", "wrong"), basic("ada", ""), basic("Ada", "right"), basic("ada", "a:b"),
    ]) {
      assert.equal(await auth.check(USERS, wrong), "denied", wrong);
    }
    assert.equal(asked.length, 6, "the same wrong password is compared once, too");
    for (const nothing of [
      undefined, "", "Basic", "Basic !", "Basic YWRh", "Bearer abc", basic("ada", "right").slice(6),
    ]) {
      assert.equal(await auth.check(USERS, nothing), "denied", nothing);
    }
    assert.equal(asked.length, 6, "what is no name and password is not compared");
  });

  test("a name that nobody has costs a comparison with somebody's hash, always the same, and is denied whatever that "
    + "says", async () => {
    const asked: string[] = [];
    const auth = new BasicAuth((_, hash) => {
      asked.push(hash);
      return Promise.resolve(true);
    });
    for (let i = 0; i < 5; i++) assert.equal(await auth.check(USERS, basic("nobody", String(i))), "denied");
    assert.equal(asked.length, 5);
    assert.equal(new Set(asked).size, 1);
    assert.ok([...USERS.values()].includes(asked[0]));
  });

  test("a user who goes, or gets another password, is denied at once; one who comes is granted", async () => {
    const auth = new BasicAuth(comparing([]));
    assert.equal(await auth.check(USERS, basic("ada", "right")), "granted");
    assert.equal(await auth.check(new Map([["ada", "hash of other"]]), basic("ada", "right")), "denied");
    assert.equal(await auth.check(new Map([["bob", "hash of right"]]), basic("ada", "right")), "denied");
    assert.equal(await auth.check(USERS, basic("ada", "right")), "granted");
  });

  test("any number of wrong passwords takes nothing from who was granted before: no wait, and no place", async () => {
    const stuck: Compare = () => new Promise(() => undefined);
    let compare = comparing([]);
    const auth = new BasicAuth((...given) => compare(...given));
    assert.equal(await auth.check(USERS, basic("ada", "right")), "granted");
    for (let i = 0; i < 1000; i++) assert.equal(await auth.check(USERS, basic("ada", String(i))), "denied");
    compare = stuck;
    const verdicts = Array.from({ length: 100 }, (_, i) => auth.check(USERS, basic("ada", `${i} stuck`)));
    assert.ok(verdicts.includes("busy"), "of very many at once the last are told to come again");
    assert.ok(verdicts[0] instanceof Promise);
    assert.equal(auth.check(USERS, basic("ada", "right")), "granted");
  });

  test("the same question at the same time is one comparison; one that fails is none, and is asked again", async () => {
    const asked: string[] = [];
    const auth = new BasicAuth(comparing(asked));
    const same = [1, 2, 3].map(() => Promise.resolve(auth.check(USERS, basic("ada", "right"))));
    assert.deepEqual(await Promise.all(same), ["granted", "granted", "granted"]);
    assert.equal(asked.length, 1);
    let fail = true;
    const failing = new BasicAuth(
      (...given) => fail ? Promise.reject(new Error("no thread")) : comparing([])(...given),
    );
    await assert.rejects(async () => failing.check(USERS, basic("ada", "right")), /no thread/);
    fail = false;
    assert.equal(await failing.check(USERS, basic("ada", "right")), "granted");
  });
});

test("bcrypt in its thread: hashes of all three kinds, one after the other, while this thread goes on", async () => {
  const bcrypt = new BcryptThread();
  const made = hash("päss");
  let turns = 0;
  const turn = setInterval(() => turns++, 0);
  const compared = await Promise.all(["a", "b", "y"].flatMap((kind) => [
    bcrypt.compare("päss", made.replace("$2b$", `$2${kind}$`)),
    bcrypt.compare("pass", made.replace("$2b$", `$2${kind}$`)),
  ]));
  clearInterval(turn);
  assert.deepEqual(compared, [true, false, true, false, true, false]);
  assert.ok(turns > 0);
  await bcrypt.close();
});
