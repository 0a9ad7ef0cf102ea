/** Tests MD5 and its HMAC by themselves, as they are compiled with SIMD and without. node:crypto is the oracle. */
import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { describe, test } from "node:test";
import { MD5_END, MD5_LEN, MD5_STATE, MD5_T } from "../../abi/md5.js";
import { MD5_CONSTANTS, md5PadsOf } from "../../src/base/md5.js";
import { build } from "../support/assembly.js";
import { pattern } from "../support/packets.js";

const PAGE = 65_536;
const memory = new WebAssembly.Memory({ initial: 256, maximum: 256, shared: true });
const octets = new Uint8Array(memory.buffer);
const words = new Uint32Array(memory.buffer);
const PADS = (MD5_END + PAGE) & -PAGE;
/** An address that is no multiple of anything, as that of a message. */
const TEXT = PADS + 1024 + 1;

/** RFC 1321 §3.3. */
const FIRST_STATE = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];

/** RFC 1321 §A.5. */
const RFC_1321 = [
  ["", "d41d8cd98f00b204e9800998ecf8427e"],
  ["a", "0cc175b9c0f1b6a831c399e269772661"],
  ["abc", "900150983cd24fb0d6963f7d28e17f72"],
  ["message digest", "f96b697d7cb7938d525a2f31aaf161d0"],
  ["abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"],
  ["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"],
  ["1234567890".repeat(8), "57edf4a22be3c955ac49da2e2107b67a"],
] as const;

/** RFC 2202 §2: key, text, and HMAC-MD5. */
const RFC_2202 = [
  [Buffer.alloc(16, 0x0b), "Hi There", "9294727a3638bb1c13f48ef8158bfc9d"],
  ["Jefe", "what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"],
  [Buffer.alloc(16, 0xaa), Buffer.alloc(50, 0xdd), "56be34521d144c88dbb8c733f0e8b3f6"],
  [Buffer.from(Array.from({ length: 25 }, (_, i) => i + 1)), Buffer.alloc(50, 0xcd),
    "697eaf0aca3a3aea3a75164746ffaa79"],
  [Buffer.alloc(16, 0x0c), "Test With Truncation", "56461ef2342edc00f9bab995690efd4c"],
  [Buffer.alloc(80, 0xaa), "Test Using Larger Than Block-Size Key - Hash Key First",
    "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"],
  [Buffer.alloc(80, 0xaa), "Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data",
    "6f630fad67cda0ee1fb1f562db3aa53e"],
] as const;

for (const target of ["release", "scalar"] as const) {
  const { compress, hmac } = await build("assembly/md5.ts", memory, target);
  words.set(MD5_CONSTANTS, MD5_T / 4);

  const state = () => Buffer.from(octets.slice(MD5_STATE, MD5_STATE + MD5_LEN)).toString("hex");
  /** MD5 by blocks, with the padding of RFC 1321 §3.1. */
  const hash = (text: Uint8Array) => {
    const padded = Buffer.alloc(text.length + 9 + 63 & -64);
    padded.set(text);
    padded[text.length] = 0x80;
    padded.writeUInt32LE(8 * text.length, padded.length - 8);
    words.set(FIRST_STATE, MD5_STATE / 4);
    for (let at = 0; at < padded.length; at += 64) {
      octets.set(padded.subarray(at, at + 64), TEXT);
      compress(TEXT);
    }
    return state();
  };
  const hmacOf = (key: Uint8Array, text: Uint8Array) => {
    octets.set(md5PadsOf(key), PADS);
    octets.set(text, TEXT);
    hmac(PADS, TEXT, text.length);
    return state();
  };

  describe(target, () => {
    test("IR-1: the examples of RFC 1321", () => {
      for (const [text, expected] of RFC_1321) assert.equal(hash(Buffer.from(text)), expected);
    });

    test("IR-1: the examples of RFC 2202", () => {
      for (const [key, text, expected] of RFC_2202) assert.equal(hmacOf(Buffer.from(key), Buffer.from(text)), expected);
    });

    test("IR-1: texts of 0 to 300 octets, and of 65,500", () => {
      const key = pattern(33);
      for (const length of [...Array.from({ length: 301 }, (_, i) => i), 65_500]) {
        const text = pattern(length);
        assert.equal(hash(text), createHash("md5").update(text).digest("hex"), `MD5 of ${length}`);
        octets.fill(0xa5, TEXT, TEXT + 70_000);
        assert.equal(hmacOf(key, text), createHmac("md5", key).update(text).digest("hex"), `HMAC of ${length}`);
      }
    });

    test("IR-1: keys of 0 to 300 octets", () => {
      for (let length = 0; length <= 300; length++) {
        const key = pattern(length);
        assert.equal(hmacOf(key, pattern(76)), createHmac("md5", key).update(pattern(76)).digest("hex"), `${length}`);
      }
    });
  });
}
