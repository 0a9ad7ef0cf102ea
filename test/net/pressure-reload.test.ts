/**
 * Reloads large and hostile files under the limits of the unit: no file delays the watchdog or a packet by more than
 * 100 ms, loses a ping, or takes more than 200 MB (invariant I11), and a file that is wrong changes nothing.
 */
import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { needs } from "../support/netns.js";
import { configuration, pause, PINGED, Pressure } from "../support/pressure.js";

const PREFIXES = 100_000;
/** Reloads, and the time between two. */
const [RELOADS, EVERY_MS] = [12, 500];
/** Bytes of a file that is below the limit of its size, and that no heap for a configuration holds. */
const TOO_MUCH = 23 << 20;

const UNCHANGED = /the configuration was not reloaded: all is as it was$/mg;
const RELOADED = /configuration reloaded$/mg;

class Reloading {
  readonly #pressure: Pressure;

  constructor(pressure: Pressure) {
    this.#pressure = pressure;
  }

  write(text: string): void {
    // In one step: a reload reads one text or the other.
    writeFileSync(`${this.#pressure.file}.new`, text);
    renameSync(`${this.#pressure.file}.new`, this.#pressure.file);
  }

  hangUp(): void {
    process.kill(this.#pressure.pongd.pid, "SIGHUP");
  }

  /** Returns how many reloads have ended with a line that matches. */
  count(pattern: RegExp): number {
    return this.#pressure.pongd.stderr.match(pattern)?.length ?? 0;
  }

  /** Hangs up `RELOADS` times, in turn for these texts, and waits until pongd has ended a reload of the last one. */
  async run(...texts: string[]): Promise<void> {
    for (let i = 0; i < RELOADS; i++) {
      this.write(texts[i % texts.length]);
      this.hangUp();
      await pause(EVERY_MS);
    }
    await this.settle();
  }

  /** Waits until a reload has ended that began from now on: the answer to this request says so. */
  async settle(): Promise<void> {
    await this.#pressure.ns.http("http://127.0.0.1:7664/-/reload", "-X", "POST");
  }

  async ttl(): Promise<string | undefined> {
    return / ttl=(\d+)/.exec(await this.#pressure.ns.pings(1, PINGED))?.[1];
  }
}

const amp = (text: string) => `# customers & partners\n${text}`;

test(`two reloads a second of ${PREFIXES} prefixes, with an ampersand in a comment or without`, needs("ping"),
  async (context) => {
    const pressure = await Pressure.open(context, configuration(PREFIXES, 64));
    const reloading = new Reloading(pressure);
    await pressure.bears(() => reloading.run(configuration(PREFIXES, 65), amp(configuration(PREFIXES, 66))));
    assert.equal(await reloading.ttl(), "66");
    assert.equal(reloading.count(UNCHANGED), 0);
  });

test(`two reloads a second of ${PREFIXES} prefixes, the last of which is wrong: nothing changes, and each is one line`,
  needs("ping"), async (context) => {
    const pressure = await Pressure.open(context, configuration(PREFIXES, 64));
    const reloading = new Reloading(pressure);
    const wrong = `${configuration(PREFIXES - 1, 65)}  - { prefix: 192.0.2.1/32, ttl: 300 }\n`;
    await pressure.bears(() => reloading.run(wrong));
    assert.equal(await reloading.ttl(), "64");
    assert.equal(reloading.count(RELOADED), 0);
    const lines = pressure.pongd.stderr.match(new RegExp(`pongd\\.yaml:${PREFIXES + 1}:\\d+: .*ttl.*$`, "mg")) ?? [];
    assert.equal(lines.length, reloading.count(UNCHANGED));
    reloading.write(configuration(PREFIXES, 67));
    await reloading.settle();
    assert.equal(await reloading.ttl(), "67");
  });

test("a file that no heap holds is refused with one line, and the next one is read", needs("ping"), async (context) => {
  const pressure = await Pressure.open(context, configuration(1000, 64));
  const reloading = new Reloading(pressure);
  const before = pressure.pongd.stderr;
  await pressure.bears(async () => {
    reloading.write(tooMuch());
    reloading.hangUp();
    await pressure.until(() => reloading.count(UNCHANGED) > 0);
  });
  assert.equal(await reloading.ttl(), "64");
  const said = pressure.pongd.stderr.slice(before.length).trim().split("\n");
  assert.equal(said.length, 2, said.join("\n").slice(0, 2000));
  assert.match(said[0], /pongd\.yaml/);
  await pressure.bears(async () => {
    reloading.write(configuration(1000, 65));
    await reloading.settle();
  });
  assert.equal(await reloading.ttl(), "65");
});

/** Returns a list of short values: the most nodes for the bytes. */
function tooMuch(): string {
  const item = "[],";
  return `prefixes: [${item.repeat(Math.floor(TOO_MUCH / item.length))}[]]\n`;
}
