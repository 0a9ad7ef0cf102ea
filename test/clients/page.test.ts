/** Opens the page at / in a browser: on a pongd with traffic, and on figures that are made up. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import axe from "axe-core";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { Events, MAX_LISTENERS } from "../../src/web/events.js";
import type { Snapshot } from "../../src/telemetry/snapshot.js";
import { explain } from "../../src/telemetry/reasons.js";
import { goto } from "../support/browser.js";
import { needs, Netns, poll, Pongd, said, sum } from "../support/netns.js";
import { type LocalServer, noReload, serveLocally } from "../support/served.js";

const HOSTILE = `<img src=x onerror=alert(1)>"'&amp;</script>`;
const VIEWPORTS = { phone: { width: 360, height: 740 }, desktop: { width: 1280, height: 900 } };
const SCHEMES = ["light", "dark"] as const;
const THREAD = { thread: "0", restarts: 2, beats: 60, late: 1.5 };

/** Services of either protocol, one of them with a name as long as names may be. */
function services(count: number): Snapshot["figures"]["services"] {
  const none = [0, 0, 0, 0, 0];
  return [
    { service: "api", protocol: "tcp", taken: count, connections: 3, responses: [0, 5 * count, 0, 0, 7], errors: 1 },
    { service: "echo", protocol: "tcp", taken: 2, responses: none, errors: 0 },
    { service: "x".repeat(64), protocol: "udp", taken: count, responses: none, errors: 0 },
  ];
}

/** Opens a page, and collects complaints: whatever the console says, and requests to elsewhere. */
async function open(
  browser: Browser, url: string, options: BrowserContextOptions = {},
): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints = await goto(page, url, (requested) => requested.startsWith(url));
  return { page, complaints };
}

async function closePages(browser: Browser): Promise<void> {
  for (const context of browser.contexts()) await context.close();
}

/** Waits until the page says `text` about its state. */
async function state(page: Page, text: string): Promise<void> {
  await page.waitForFunction((text) => document.getElementById("state")?.textContent === text, text);
}

/**
 * Runs in the page. Returns all its figures but rates, as numbers
 * where they are numbers. A row's note follows its cells.
 */
function shown(): { tiles: Record<string, number>; tables: Record<string, (string | number)[][]> } {
  const read = (text: string) => /^[\d,]+$/.test(text) ? Number(text.replaceAll(",", "")) : text;
  const tiles = ["received", "replied", "dropped", "overrun"].map(
    (id) => [id, read(document.getElementById(id)?.textContent ?? "")],
  );
  const tables = Array.from(document.querySelectorAll("tbody"), (body) => {
    const entries: (string | number)[][] = [];
    for (const row of body.rows) {
      const cells = Array.from(row.cells, (cell) => read(cell.textContent));
      if (row.className === "note") entries.at(-1)?.push(...cells);
      else entries.push(cells);
    }
    return [body.id, entries];
  });
  return {
    tiles: Object.fromEntries(tiles) as Record<string, number>,
    tables: Object.fromEntries(tables) as Record<string, (string | number)[][]>,
  };
}

/** Tells the page whether it is in front: a headless browser has all pages in front. */
async function setHidden(page: Page, hidden: boolean): Promise<void> {
  await page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}

async function assertAccessible(page: Page): Promise<void> {
  // The script comes from the debugger, whom the page's policy does not bind.
  await page.evaluate(axe.source);
  const { violations, passes } = await page.evaluate(() => (globalThis as unknown as { axe: typeof axe }).axe.run());
  assert.deepEqual(violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("; ")}`,
  ), []);
  assert.ok(passes.some(({ id }) => id === "color-contrast"));
}

describe("the page at /, of a pongd with traffic", needs("chromium", "ping", "fping"), () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-page-"));
  const config = join(dir, "pongd.yaml");
  const url = "http://127.0.0.1:7664/";
  let ns: Netns;
  let browser: Browser;
  let pongd: Pongd;
  before(async () => {
    writeFileSync(config, `
device: { queues: 2 }
prefixes:
  - { prefix: 10.99.0.0/16, name: lab }
  - { prefix: 192.0.2.0/24, name: ${JSON.stringify(HOSTILE)} }
  - { prefix: 10.99.7.0/24, answer: [] }
`);
    ns = await Netns.open();
    const inside = join(dir, "chromium");
    writeFileSync(inside, `#!/bin/sh\nexec ${ns.command("chromium").join(" ")} "$@"\n`, { mode: 0o755 });
    browser = await chromium.launch({ executablePath: inside });
  });
  after(async () => {
    await browser.close();
    await ns.close();
    rmSync(dir, { recursive: true });
  });
  beforeEach(async () => { pongd = await Pongd.start(ns, "--config", config); });
  afterEach(async () => {
    await closePages(browser);
    await pongd.stop();
  });

  /** Waits until the page shows what /metrics and the device have, and returns all of it. */
  function settled(page: Page) {
    return poll(async () => {
      const [{ stats64 }] = await ns.ip<{ stats64: { tx: { dropped: number } } }>("-s", "link", "show", "pong0");
      return { overrun: stats64.tx.dropped, metrics: await pongd.metrics(), ...await page.evaluate(shown) };
    }, ({ overrun, metrics, tiles }) =>
      tiles.received === sum(metrics, "pongd_packets_received_total") && tiles.overrun === overrun);
  }

  test("its numbers move with the traffic, and afterwards are those of /metrics and of the device", async () => {
    const { page, complaints } = await open(browser, url);
    await state(page, "Live");
    assert.equal(await page.locator("#hint").isVisible(), true);
    assert.match(await page.locator("#hint").innerText(), /ping 10\.99\.1\.1$/);
    const moved = page.waitForFunction(() => ["replied-rate", "dropped-rate"].every(
      (id) => Number.parseFloat(document.getElementById(id)?.textContent ?? "") > 0,
    ));
    await Promise.all([
      moved,
      ns.ok("ping", "-q", "-i", "0.002", "-c", "1000", "10.99.1.1"),
      ns.ok("ping", "-q", "-i", "0.002", "-c", "1000", "192.0.2.1"),
      ns.run("ping", "-q", "-i", "0.002", "-c", "1000", "-W", "0.1", "10.99.7.1"),
    ]);
    // The device drops what is too much for its own queue.
    process.kill(pongd.pid, "SIGSTOP");
    await ns.run("ping", "-q", "-l", "6000", "-c", "6000", "-W", "0.1", "10.99.1.1");
    process.kill(pongd.pid, "SIGCONT");
    const { overrun, metrics, tiles, tables } = await settled(page);
    assert.ok(overrun > 1000);
    const total = (name: string) => sum(metrics, `pongd_${name}_total`);
    assert.deepEqual(tiles, {
      received: total("packets_received"), replied: total("replies"), dropped: total("packets_dropped"),
      overrun,
    });
    assert.equal(tiles.received, tiles.replied + tiles.dropped);
    const reasons = new Map<string, number>();
    for (const [sample, value] of metrics) {
      const reason = /^pongd_packets_dropped_total\{reason="(\w+)"/.exec(sample)?.[1];
      if (reason !== undefined && value > 0) reasons.set(reason, (reasons.get(reason) ?? 0) + value);
    }
    assert.deepEqual(new Map(tables.reasons.map(([reason, count]) => [reason, count])), reasons);
    for (const [reason, , , note] of tables.reasons) assert.equal(note, explain(String(reason)));
    const prefix = (labels: string) => metrics.get(`pongd_prefix_replies_total{${labels}}`);
    const name = HOSTILE.replaceAll("\"", "\\\"");
    assert.deepEqual(tables.prefixes.map(([prefix, replies, , name]) => [prefix, replies, name]), [
      ["10.99.0.0/16", prefix("prefix=\"10.99.0.0/16\",name=\"lab\""), "lab"], [
        "192.0.2.0/24", prefix(`prefix="192.0.2.0/24",name="${name}"`), HOSTILE,
      ], ["10.99.7.0/24", 0, undefined],
    ]);
    const [, engine, io] = /queue="0",engine="(\w+)",io="(\w+)"/.exec([...metrics.keys()].join("\n")) ?? [];
    assert.deepEqual(tables.queues, ["0", "1"].map((queue) => {
      const its = (name: string) => sum(
        new Map([...metrics].filter(([sample]) => sample.includes(`queue="${queue}"`))), `pongd_${name}_total`,
      );
      return [Number(queue), engine, io, its("packets_received"), its("replies"), its("packets_dropped"), 0];
    }));
    assert.equal(await page.evaluate(() => document.images.length), 0);
    assert.equal(await page.locator("#hint").isVisible(), false);
    assert.deepEqual(complaints, []);
  });

  test("it comes back when pongd does, and says meanwhile that it is gone", async () => {
    const { page, complaints } = await open(browser, url);
    await ns.ok("ping", "-q", "-i", "0.01", "-c", "50", "10.99.1.1");
    await settled(page);
    await pongd.stop();
    await state(page, "Connection lost; trying again");
    const rates = await page.locator("[id$=-rate], #reasons td:nth-child(3), #prefixes td:nth-child(3)")
      .allInnerTexts();
    assert.deepEqual(new Set(rates), new Set(["–"]));
    pongd = await Pongd.start(ns, "--config", config);
    await state(page, "Live");
    assert.equal((await settled(page)).tiles.replied, 0);
    // The browser itself logs what it cannot connect to.
    assert.deepEqual(complaints.filter((complaint) => !complaint.includes("net::ERR_")), []);
  });

  test("20 who listen and two pages leave nothing behind, and a page that nobody looks at takes "
    + "no connection", async () => {
    const descriptors = (count: (now: number) => boolean) => pongd.until(
      (metrics) => count(metrics.get("process_open_fds") ?? NaN),
    ).then((metrics) => metrics.get("process_open_fds") ?? NaN);
    const before = await descriptors(() => true);
    const listening = ns.spawn(process.execPath, "--input-type=module", "-e", `
      const read = async () => (await fetch("${url}events")).body.getReader().read();
      await Promise.all(Array.from({ length: 20 }, read));
      console.log("ready");
      process.stdin.resume().on("end", () => { process.exit(); });
    `);
    await said(listening.stdout, /\n/);
    assert.equal(await descriptors(() => true), before + 20);
    listening.stdin.end();
    await descriptors((now) => now === before);
    const pages = await Promise.all([0, 1].map(async () => (await open(browser, url)).page));
    for (const page of pages) await state(page, "Live");
    // Each page has its stream, and the connection that it was loaded over, which stays for a while.
    const both = await descriptors(() => true);
    await setHidden(pages[0], true);
    await descriptors((now) => now === both - 1);
    await setHidden(pages[0], false);
    await pages[0].waitForFunction(() => document.getElementById("replied-rate")?.textContent === "0");
    await closePages(browser);
    await descriptors((now) => now === before);
  });
});

describe("the page at /, of figures that are made up", needs("chromium"), () => {
  let browser: Browser;
  let http: LocalServer;
  let live: Snapshot | undefined;
  let events: Events;
  const figures = (count: number, prefixes: number): Snapshot => ({
    since: Date.now() - 93_784_000, example: undefined, host: "lab7", device: { name: "pong0", state: "up", mtu: 1500 },
    figures: {
      at: Date.now(), version: "0.1.0", ready: true, overrun: 0, dropped: { icmp_csum: count, [HOSTILE]: 12 },
      prefixCount: prefixes,
      tcp: {
        connections: 3, accepted: count, opened: 2, retransmitted: 1, bytesIn: 1000 * count, bytesOut: 10 * count,
      },
      udp: { taken: count, answered: 2 * count, dropped: 3, unsent: 1 },
      sessions: [
        { protocol: "stamp", sessions: count, limit: 2 * count }, { protocol: "irtt", sessions: 0, limit: 4096 },
      ],
      turnaround: { replies: count, seconds: count / 4000 },
      services: services(count), serviceCount: services(count).length, threads: [THREAD],
      links: [{
        prefix: HOSTILE, name: HOSTILE, direction: "out", effects: [count, 0, 0, 7, 0, 0, 2], affected: count + 9,
      }],
      linkCount: 2,
      queues: [{
        queue: "0", engine: "wasm", io: "uring", received: 3 * count, replied: 2 * count, dropped: count,
        tcp: 5 * count, restarts: 0,
      }],
      prefixes: Array.from({ length: Math.min(prefixes, 100) }, (_, i) => {
        return {
          prefix: `2001:db8:1234:5678:9abc:def0:${i}:0/112`, name: [HOSTILE, "x".repeat(64)].at(i),
          replied: 1_000_000 * (100 - i),
        };
      }),
    },
  });
  before(async () => {
    browser = await chromium.launch(
      { executablePath: execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim() },
    );
    events = new Events(() => live, 50);
    http = await serveLocally(
      {
        metrics: () => undefined, list: () => undefined,
        obstacle: () => "pongd is starting", reload: noReload, events,
      },
    );
  });
  after(async () => {
    await browser.close();
    await http.close();
  });
  beforeEach(() => { live = figures(1_000_000, 100); });
  afterEach(() => closePages(browser));

  for (const colorScheme of SCHEMES) {
    for (const [name, viewport] of Object.entries(VIEWPORTS)) {
      test(`${colorScheme}, ${name}: it fits, and axe finds nothing wrong`, async () => {
        const { page, complaints } = await open(browser, http.url, { colorScheme, viewport });
        await page.locator("#queues tr").waitFor();
        const [scrollWidth, background] = await page.evaluate(
          () => [document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor] as const,
        );
        assert.ok(scrollWidth <= viewport.width, `${scrollWidth} pixels wide`);
        assert.equal(background, colorScheme === "light" ? "rgb(255, 255, 255)" : "rgb(20, 23, 27)");
        for (const id of ["reasons", "prefixes"]) {
          const { hidden, tallest } = await page.locator(`#${id}`).evaluate((body) => {
            const scroll = body.closest(".scroll") ?? document.body;
            const rows = Array.from(
              (body as HTMLTableSectionElement).rows, (row) => row.getBoundingClientRect().height,
            );
            return { hidden: scroll.scrollWidth - scroll.clientWidth, tallest: Math.max(...rows) };
          });
          assert.equal(hidden, 0, id);
          assert.ok(tallest < 75, `${id}: a row is ${tallest} pixels high`);
        }
        await assertAccessible(page);
        assert.deepEqual(complaints, []);
      });
    }
  }

  test("the advice to ping goes once something is answered, or TCP has taken something", async () => {
    const { figures: { tcp, queues: [queue], ...rest }, ...snapshot } = figures(0, 1);
    const saying = (replied: number, segments: number): Snapshot => ({
      ...snapshot, example: "10.99.1.1",
      figures: { ...rest, tcp: { ...tcp, connections: 0 }, queues: [{ ...queue, replied, tcp: segments }] },
    });
    const { page } = await open(browser, http.url);
    const hint = page.locator("#hint");
    for (const [replied, segments] of [[1, 0], [0, 1]] as const) {
      live = saying(0, 0);
      await hint.waitFor({ state: "visible" });
      live = saying(replied, segments);
      await hint.waitFor({ state: "hidden" });
    }
  });

  test("by keyboard all is reached in the order in which it stands, and is seen to be", async () => {
    live = figures(1, 1234);
    const { page } = await open(browser, http.url);
    await page.locator("#queues tr").waitFor();
    const reached: (string | undefined)[] = [];
    for (let i = 0; i < 13; i++) {
      await page.keyboard.press("Tab");
      const { what, outline } = await page.evaluate(() => {
        const focused = document.activeElement;
        const label = focused?.getAttribute("aria-labelledby");
        return {
          what: (label ? document.getElementById(label) : focused)?.textContent,
          outline: focused && getComputedStyle(focused).outlineStyle,
        };
      });
      assert.equal(outline, "solid", what);
      reached.push(what);
    }
    assert.deepEqual(
      reached, [
        "Pause", "Metrics", "Healthy", "Ready", "Sessions", "Services", "Service threads", "Drops by reason",
        "Prefixes", "/metrics", "Links", "/metrics", "Queues",
      ],
    );
    assert.equal(await page.locator("#more").innerText(), "1,134 more are counted at /metrics.");
    await page.locator("[aria-labelledby=prefixes-title][role=region]").focus();
    await page.keyboard.press("End");
    await page.waitForFunction(
      () => (document.querySelector("[aria-labelledby=prefixes-title][role=region]")?.scrollTop ?? 0) > 100,
    );
    await page.locator("#pause").focus();
    await page.keyboard.press("Space");
    await state(page, "Paused");
    assert.equal(await page.locator("#pause").getAttribute("aria-pressed"), "true");
    while (events.listeners > 0) await new Promise((resolve) => { setImmediate(resolve); });
    await page.keyboard.press("Space");
    await state(page, "Live");
  });

  test("services and their threads are shown where there are any", async () => {
    const parts = ["links-part", "services-part", "sessions-part", "threads-part", "turnaround-part", "udp"];
    const visible = () => page.evaluate((ids) => ids.filter((id) => !document.getElementById(id)?.hidden), parts);
    const all = live ?? assert.fail();
    live = { ...all, figures: { ...all.figures, serviceCount: 203 } };
    const { page } = await open(browser, http.url);
    await page.waitForFunction(() => document.querySelector("#services td:nth-child(5)")?.textContent === "0");
    assert.deepEqual(await visible(), parts);
    const { tables } = await page.evaluate(shown);
    assert.deepEqual(tables.services, [
      ["api", "TCP", 3, 1_000_000, 0, 0, 0, 0, 0, 1], ["echo", "TCP", "–", 2, 0, "–", "–", "–", "–", 0],
      ["x".repeat(64), "UDP", "–", 1_000_000, 0, "–", "–", "–", "–", 0],
    ]);
    assert.deepEqual(tables.threads, [[0, "–", 2]]);
    assert.equal(await page.locator("#more-services").innerText(), "200 more are counted at /metrics.");
    assert.deepEqual(
      await page.locator("#udp-taken, #udp-answered, #udp-dropped, #udp-unsent").allInnerTexts(),
      ["1,000,000", "2,000,000", "3", "1"],
    );
    assert.deepEqual(tables.sessions, [["STAMP", 1_000_000, 2_000_000, 0, 0]]);
    assert.deepEqual(tables.links, [[HOSTILE, "out", 0, 0, 0, 0, 0, 0, 0, HOSTILE]]);
    assert.equal(await page.locator("#more-links").innerText(), "1 more are counted at /metrics.");
    live = {
      ...live,
      figures: {
        ...live.figures, services: [], serviceCount: 0, threads: [], sessions: [], links: [], linkCount: 0,
        turnaround: { replies: 0, seconds: 0 },
      },
    };
    await page.locator("#services-part").waitFor({ state: "hidden" });
    assert.deepEqual(await visible(), []);
  });

  test("rates of services and how late their threads are, are of the time between two events", async (t) => {
    let seconds = 0;
    const server = await serveLocally({
      metrics: () => undefined, list: () => undefined, obstacle: () => undefined, reload: noReload,
      events: new Events(() => {
        const next = figures(4 * ++seconds, 1);
        const threads = [{ ...THREAD, beats: seconds, late: seconds / 8 }];
        return { ...next, figures: { ...next.figures, at: 1000 * seconds, threads } };
      }, 50),
    });
    t.after(() => server.close());
    const { page } = await open(browser, server.url);
    const texts = () => page.locator(
      "#services tr:first-child td:nth-child(n+5), #threads td:nth-child(2), #udp-taken-rate, #udp-answered-rate",
    ).allInnerTexts();
    await page.waitForFunction(() => document.querySelector("#threads td:nth-child(2)")?.textContent !== "–");
    assert.deepEqual(await texts(), ["4", "8", "4", "20", "0", "0", "0", "1", "125\u00a0ms"]);
    assert.equal(await page.locator("#turnaround").innerText(), "250\u00a0µs");
  });

  test("what a reason or a prefix is called stays text", async () => {
    const { page, complaints } = await open(browser, http.url);
    await page.locator("#queues tr").waitFor();
    assert.equal((await page.locator("body").innerText()).split(HOSTILE).length - 1, 4);
    assert.equal(await page.evaluate(() => document.images.length), 0);
    assert.deepEqual(complaints, []);
  });

  test("it says what it knows of pongd: not up yet, where, up since when, out of reach, the "
    + "device's link", async () => {
    live = undefined;
    const { page } = await open(browser, http.url);
    await state(page, "pongd is not up yet");
    assert.equal(await page.title(), "pongd");
    live = figures(1, 1);
    await state(page, "Live");
    assert.equal(await page.title(), "lab7 · pongd");
    const said = () => page.locator("#host, #uptime, #link, #device").allInnerTexts();
    assert.deepEqual(await said(), ["on lab7", "up 1 d 2 h", "up", "pong0, MTU 1500"]);
    live = { ...live, figures: { ...live.figures, ready: false } };
    await state(page, "Not every prefix is reachable; pongd’s log has more");
    live = { ...live, host: HOSTILE, device: { name: "pong0", state: "no carrier", mtu: 1400 } };
    await state(page, "The device’s link is not up: nothing is answered");
    assert.equal(await page.title(), `${HOSTILE} · pongd`);
    assert.deepEqual(await said(), [`on ${HOSTILE}`, "up 1 d 2 h", "no carrier", "pong0, MTU 1400"]);
  });

  test("what nothing is dropped for has no rows, and says so; a reason of another version "
    + "has no sentence", async () => {
    const { page } = await open(browser, http.url);
    await page.locator("#reasons tr").first().waitFor();
    const reasons = async () => (await page.evaluate(shown)).tables.reasons.map(
      ([reason, count, , note]) => [reason, count, note],
    );
    assert.deepEqual(
      await reasons(), [["icmp_csum", 1_000_000, "The ICMP checksum is wrong."], [HOSTILE, 12, undefined]],
    );
    assert.equal(await page.locator("#no-reasons").isVisible(), false);
    const all = figures(1, 1);
    live = { ...all, figures: { ...all.figures, dropped: {} } };
    await page.locator("#no-reasons").waitFor();
    assert.deepEqual(await reasons(), []);
  });

  describe("with as many replies every second", () => {
    const PER_SECOND = 2000;
    let seconds: number;
    /**
     * The second after which time all but stands still, so that nothing leaves the charts however slow the machine is.
     */
    let end: number;
    /** Packets that came at once, while nobody looked. */
    let burst: number;
    let steady: LocalServer;
    let listening: Events;
    before(async () => {
      listening = new Events(() => {
        seconds += seconds < end ? 10 : 0.0001;
        const next = figures(PER_SECOND / 2 * seconds + burst, 1);
        return { ...next, figures: {
          ...next.figures, at: 1000 * seconds, prefixes: [{ prefix: "10.99.0.0/16", replied: PER_SECOND * seconds }],
        } };
      }, 50);
      steady = await serveLocally(
        {
          metrics: () => undefined, list: () => undefined,
          obstacle: () => "pongd is starting", reload: noReload, events: listening,
        },
      );
    });
    after(() => steady.close());
    beforeEach(() => {
      seconds = burst = 0;
      end = 60;
    });
    const texts = (page: Page) => page.locator(
      "#replied-rate, #dropped-rate, #reasons td:nth-child(3), #prefixes td:nth-child(3)",
    ).allInnerTexts();
    const RATES = ["2\u00a0k", "1\u00a0k", "1,000", "0", "2,000"];
    const follows = (page: Page) => page.waitForFunction(
      (rate) => document.getElementById("replied-rate")?.textContent === rate, RATES[0],
    );

    test("Pause leaves all as it is; the time until it goes on is a gap, and no rate is of it", async () => {
      const { page } = await open(browser, steady.url);
      await follows(page);
      await page.locator("#pause").click();
      await state(page, "Paused");
      while (listening.listeners > 0) await new Promise((resolve) => { setImmediate(resolve); });
      assert.deepEqual(await texts(page), RATES);
      burst = 1_000_000;
      end += 60;
      await page.locator("#pause").click();
      await state(page, "Live");
      await follows(page);
      assert.deepEqual(await texts(page), RATES);
      assert.equal(await page.locator("#replies-chart .reading").innerText(), "Peak: 2\u00a0k replies a second.");
      // A chart that still moved would be read at other times than those under the mouse.
      await page.waitForFunction((total) => {
        const shown = document.querySelector("#prefixes td:nth-child(2)")?.textContent ?? "";
        return Number(shown.replaceAll(",", "")) >= total;
      }, PER_SECOND * end);
      // The mouse moves from left to right. The first reading has no rate, and neither has the first after the pause.
      const { x, y, width, height } = await page.locator("#replies-chart .u-over").boundingBox() ?? assert.fail();
      const readings = new Set<string>();
      for (let at = 1; at < width; at += 10) {
        await page.mouse.move(x + at, y + height / 2);
        readings.add(await page.locator("#replies-chart .reading").innerText());
      }
      const values = [...readings].map((reading) => /: (.*) replies a second\.$/.exec(reading)?.[1]);
      assert.match(values.join(), /^–,(2\u00a0k,)+–,2\u00a0k/);
    });

    test("a chart begins with a minute, and grows to five", async () => {
      const { page } = await open(browser, steady.url);
      const middle = async (expected: string) => {
        for (let reading = ""; !reading.startsWith(expected);) {
          await page.mouse.move(0, 0);
          await page.locator("#replies-chart .u-over").hover();
          reading = await page.locator("#replies-chart .reading").innerText();
        }
      };
      await follows(page);
      while (seconds < end) await new Promise((resolve) => { setImmediate(resolve); });
      await middle("30 s ago: ");
      end = 400;
      await middle("150 s ago: ");
    });
  });

  test("rates are of the time between two events, as text and as lines in the charts", async () => {
    const { page } = await open(browser, http.url);
    await page.locator("#queues tr").waitFor();
    const { figures: before } = live ?? assert.fail();
    const ink = () => page.evaluate(
      () => Array.from(document.querySelectorAll("canvas"), (canvas) => canvas.toDataURL()),
    );
    const empty = await ink();
    const next = figures(1_002_469, 100);
    live = { ...next, figures: { ...next.figures, at: before.at + 2000 } };
    await page.waitForFunction(
      () => document.querySelector("#replies-chart .reading")?.textContent === "Peak: 2.47\u00a0k replies a second.",
    );
    assert.equal(await page.locator("#drops-chart .reading").innerText(), "Peak: 1.23\u00a0k drops a second.");
    const drawn = await ink();
    assert.ok(drawn.every((picture, i) => picture !== empty[i]));
    await page.locator("#replies-chart .plot").hover();
    await page.waitForFunction(
      () => /^\d+ s ago: .* a second\.$/.test(document.querySelector("#replies-chart .reading")?.textContent ?? ""),
    );
    // The clock is set back.
    live = { ...next, figures: { ...next.figures, at: before.at - 1000 } };
    await page.mouse.move(0, 0);
    await page.waitForFunction(
      () => document.querySelector("#replies-chart .reading")?.textContent === "Peak: 0 replies a second.",
    );
  });

  test("where nothing is heard any more, it says so and asks again", async (t) => {
    const silent = await serveLocally({
      metrics: () => undefined, list: () => undefined, obstacle: () => "pongd is starting", reload: noReload,
      events: new Events(() => live, 2 ** 31 - 1),
    });
    t.after(() => silent.close());
    const { page } = await open(browser, silent.url);
    await page.clock.install();
    await page.reload();
    await state(page, "Live");
    await page.clock.runFor(5000);
    await state(page, "Connection lost; trying again");
    await page.clock.runFor(1000);
    await state(page, "Live");
  });

  test("where it is refused, it says so and asks again", async () => {
    const hangUp = new AbortController();
    // The responses are kept, because one that is no longer referred to closes its connection.
    const listeners = await Promise.all(
      Array.from({ length: MAX_LISTENERS }, () => fetch(`${http.url}/events`, { signal: hangUp.signal })),
    );
    const { page } = await open(browser, http.url);
    await state(page, "Refused, perhaps for too many open pages; trying again");
    assert.ok(listeners.every(({ ok }) => ok));
    hangUp.abort();
    await state(page, "Live");
  });

  test("without JavaScript it has its links, and says where the figures are", async () => {
    const { page } = await open(browser, http.url, { javaScriptEnabled: false });
    assert.match(await page.locator("main").innerText(), /Without JavaScript.*\/metrics has them all/);
    assert.equal(await page.locator("#figures").isVisible(), false);
    await page.locator("nav a", { hasText: "Healthy" }).click();
    assert.equal(await page.locator("body").innerText(), "Healthy\n");
  });
});
