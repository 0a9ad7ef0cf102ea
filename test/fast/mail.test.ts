/** Tests the letters between packet loops: what a router says reaches the connection, whichever queue it comes to. */
import "../support/process.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { INBOX, INBOX_COUNT, LETTER_SIZE, MAX_LETTERS, OUTBOX, OUTBOX_COUNT } from "../../abi/tcp.js";
import { Mail, mailFor } from "../../src/daemon/mail.js";
import { LinearMemory } from "../../src/engine/memory.js";

const WORDS = LETTER_SIZE / 4;

/** A queue with its mail, and the words of its memory. */
function queues(count: number): { mail: Mail; words: Int32Array }[] {
  const shared = mailFor(count);
  return Array.from({ length: count }, (_, i) => {
    const { memory } = LinearMemory.create({ mtu: 1500, reassembly: 0 });
    return { mail: new Mail(shared, i, memory), words: new Int32Array(memory.buffer) };
  });
}

/** Writes letters as the engine does, each with this number in its first and last word. */
function write(words: Int32Array, ...letters: readonly number[]): void {
  for (const [i, letter] of letters.entries()) {
    words[OUTBOX / 4 + i * WORDS] = letter;
    words[OUTBOX / 4 + i * WORDS + WORDS - 1] = letter;
  }
  words[OUTBOX_COUNT / 4] = letters.length;
}

/** Returns the letters that have come, and forgets them as the engine does. */
function read(words: Int32Array): number[] {
  const letters = Array.from({ length: words[INBOX_COUNT / 4] }, (_, i) => {
    const at = INBOX / 4 + i * WORDS;
    assert.equal(words[at], words[at + WORDS - 1]);
    return words[at];
  });
  words[INBOX_COUNT / 4] = 0;
  return letters;
}

test("a letter goes to all other queues, once, in the order of its writer", () => {
  const [first, second, third] = queues(3);
  write(first.words, 1, 2);
  first.mail.post();
  assert.equal(first.words[OUTBOX_COUNT / 4], 0);
  first.mail.post();
  write(second.words, 3);
  second.mail.post();
  for (const { mail } of [first, second, third]) mail.fetch();
  assert.deepEqual([first, second, third].map(({ words }) => read(words)), [[3], [1, 2], [1, 2, 3]]);
  for (const { mail } of [first, second, third]) mail.fetch();
  assert.deepEqual([first, second, third].map(({ words }) => read(words)), [[], [], []]);
});

test("whoever reads late loses letters, and never gets more than there is room for", () => {
  const [writer, reader] = queues(2);
  for (let i = 0; i < 100; i++) {
    write(writer.words, 2 * i, 2 * i + 1);
    writer.mail.post();
  }
  reader.mail.fetch();
  const letters = read(reader.words);
  assert.equal(letters.length, MAX_LETTERS);
  assert.ok(letters.every((letter, i) => letter === letters[0] + i && letter >= 200 - 64));
  write(writer.words, 1000);
  writer.mail.post();
  reader.mail.fetch();
  assert.deepEqual(read(reader.words), [1000]);
});

test("a loop that is started again reads none of the letters from before", () => {
  const shared = mailFor(2);
  const [writer, reader] = [0, 1].map(() => LinearMemory.create({ mtu: 1500, reassembly: 0 }).memory);
  const words = new Int32Array(writer.buffer);
  write(words, 1);
  new Mail(shared, 0, writer).post();
  const mail = new Mail(shared, 1, reader);
  mail.fetch();
  assert.deepEqual(read(new Int32Array(reader.buffer)), []);
});

for (const start of [2 ** 31 - 3, 2 ** 32 - 3]) {
  test(`letters keep their order and places when their count passes ${start + 3}`, () => {
    const shared = mailFor(2);
    const words = new Int32Array(shared);
    // The first word counts all letters. Then each ring begins with its own count.
    const ring = (words.length - 1) / 2;
    for (const at of [0, 1, 1 + ring]) words[at] = start;
    const [writer, reader] = [0, 1].map((own) => {
      const { memory } = LinearMemory.create({ mtu: 1500, reassembly: 0 });
      return { mail: new Mail(shared, own, memory), words: new Int32Array(memory.buffer) };
    });
    for (let letter = 1; letter <= 8; letter += 2) {
      write(writer.words, letter, letter + 1);
      writer.mail.post();
      // The other ring has none, so that its words tell of letters that were written elsewhere.
      assert.ok(words.subarray(2 + ring).every((word) => word === 0), "nobody writes into another ring");
      if (letter === 1) continue;
      reader.mail.fetch();
      assert.deepEqual(read(reader.words), letter === 3 ? [1, 2, 3, 4] : [letter, letter + 1]);
    }
    assert.deepEqual([words[0], words[1]], [start + 8 | 0, start + 8 | 0]);
  });
}
