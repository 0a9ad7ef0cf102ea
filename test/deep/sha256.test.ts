/** Tests SHA-256 and HMAC by themselves: SIMD and its scalar twin, called directly. node:crypto is the oracle. */
import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { describe, test } from "node:test";
import { PADS_LEN, SHA_END, SHA_K, SHA_STATE } from "../../abi/sha256.js";
import { padsOf, ROUND_CONSTANTS } from "../../src/base/sha256.js";
import { build } from "../support/assembly.js";
import { pattern } from "../support/packets.js";

const PAGE = 65_536;
const memory = new WebAssembly.Memory({ initial: 256, maximum: 256, shared: true });
const octets = new Uint8Array(memory.buffer);
const words = new Uint32Array(memory.buffer);
const PADS = (SHA_END + PAGE) & -PAGE;
const TAG = PADS + PADS_LEN;
/** An address that is no multiple of anything, as that of a message. */
const TEXT = PADS + 1024 + 1;

/** FIPS 180-4 §5.3.3. */
const FIRST_STATE = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

/** RFC 4231 §4: key, text, and HMAC-SHA-256, or the first half of it. */
const RFC_4231 = [
  [Buffer.alloc(20, 0x0b), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
  ["Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"],
  [Buffer.alloc(20, 0xaa), Buffer.alloc(50, 0xdd), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"],
  [Buffer.from(Array.from({ length: 25 }, (_, i) => i + 1)), Buffer.alloc(50, 0xcd),
    "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"],
  [Buffer.alloc(20, 0x0c), "Test With Truncation", "a3b6167473100ee06e0c796c2955552b"],
  [Buffer.alloc(131, 0xaa), "Test Using Larger Than Block-Size Key - Hash Key First",
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"],
  [Buffer.alloc(131, 0xaa), "This is a test using a larger than block-size key and a larger than block-size data. "
  + "The key needs to be hashed before being used by the HMAC algorithm.",
  "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"],
] as const;

for (const simd of [true, false]) {
  const { compress, hmac, isTag, setTag } = await build("assembly/sha256.ts", memory, simd ? "release" : "scalar");
  words.set(ROUND_CONSTANTS, SHA_K / 4);

  /** Returns the state as it is sent. */
  const state = () => Buffer.from(octets.slice(SHA_STATE, SHA_STATE + 32)).swap32().toString("hex");
  /** SHA-256 by blocks, with the padding of FIPS 180-4 §5.1.1. */
  const hash = (text: Uint8Array) => {
    const padded = Buffer.alloc(text.length + 9 + 63 & -64);
    padded.set(text);
    padded[text.length] = 0x80;
    padded.writeUInt32BE(8 * text.length, padded.length - 4);
    words.set(FIRST_STATE, SHA_STATE / 4);
    for (let at = 0; at < padded.length; at += 64) {
      octets.set(padded.subarray(at, at + 64), TEXT);
      compress(TEXT);
    }
    return state();
  };
  const hmacOf = (key: Uint8Array, text: Uint8Array) => {
    octets.set(padsOf(key), PADS);
    octets.set(text, TEXT);
    hmac(PADS, TEXT, text.length);
    return state();
  };

  describe(simd ? "simd" : "scalar", () => {
    for (const [text, expected] of [
      ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
      ["abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"],
      ["a".repeat(1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"],
    ] as const) {
      test(`the example of FIPS 180-4 with ${text.length} octets`, () => {
        assert.equal(hash(Buffer.from(text)), expected);
      });
    }

    test("M-10: the examples of RFC 4231", () => {
      for (const [key, text, expected] of RFC_4231) {
        assert.equal(hmacOf(Buffer.from(key), Buffer.from(text)).slice(0, expected.length), expected);
      }
    });

    test("M-10: texts of 0 to 300 octets, and of 65,500", () => {
      const key = pattern(33);
      for (const length of [...Array.from({ length: 301 }, (_, i) => i), 65_500]) {
        const text = pattern(length);
        assert.equal(hash(text), createHash("sha256").update(text).digest("hex"), `SHA-256 of ${length}`);
        octets.fill(0xa5, TEXT, TEXT + 70_000);
        assert.equal(hmacOf(key, text), createHmac("sha256", key).update(text).digest("hex"), `HMAC of ${length}`);
      }
    });

    test("M-10: keys of 0 to 200 octets", () => {
      for (let length = 0; length <= 200; length++) {
        const key = pattern(length);
        assert.equal(hmacOf(key, pattern(96)), createHmac("sha256", key).update(pattern(96)).digest("hex"), `${length}`);
      }
    });

    test("M-10: a tag is the first half of an HMAC, and one in which any bit differs is none", () => {
      const tag = createHmac("sha256", pattern(16)).update(pattern(96)).digest().subarray(0, 16);
      octets.set(padsOf(pattern(16)), PADS);
      octets.set(pattern(96), TEXT);
      octets.fill(0xa5, TAG, TAG + 32);
      setTag(TAG, PADS, TEXT, 96);
      assert.deepEqual([...octets.slice(TAG, TAG + 17)], [...tag, 0xa5]);
      assert.equal(isTag(TAG, PADS, TEXT, 96), 1);
      for (let bit = 0; bit < 128; bit++) {
        octets[TAG + (bit >> 3)] ^= 1 << (bit & 7);
        assert.equal(isTag(TAG, PADS, TEXT, 96), 0, `bit ${bit}`);
        octets[TAG + (bit >> 3)] ^= 1 << (bit & 7);
      }
      assert.equal(isTag(TAG, PADS, TEXT, 96), 1);
    });
  });
}
