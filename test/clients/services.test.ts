/** Runs other people's clients against pongd's services that have threads: HTTP, HTTPS and HTTP/2, honest and slow. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { goto } from "../support/browser.js";
import { Folder } from "../support/certificates.js";
import { addUp, needs, Netns, Pongd, sum } from "../support/netns.js";
import { certificate } from "../support/x509.js";

/** Addresses that a browser loads a page from. */
const ADDRESSES = 100;
const REQUESTS = 5000;
/** Connections of each of slowhttptest's attacks, and its time in seconds. */
const [SLOW, SLOW_SECONDS] = [100, 2];
const LARGE = 1 << 20;

const HTML = `<!doctype html><link rel="icon" href="data:,"><link rel="stylesheet" href="style.css"><script type="module" src="script.js"></script>
<img src="dot.svg" alt=""><p id="said"></p>`;
const SITE = {
  "index.html": HTML,
  "style.css": "p { color: rgb(1, 2, 3) }",
  "script.js": "document.getElementById('said').textContent = `${location.hostname} answers`;",
  "dot.svg": "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"7\" height=\"7\"/>",
  large: "x".repeat(LARGE),
};

describe("services with threads", needs(
  "curl", "ab", "h2load", "nghttp", "wrk", "slowhttptest", "chromium",
), () => {
  const dir = mkdtempSync(join(tmpdir(), "pongd-clients-"));
  const pair = new Folder();
  let ns: Netns;
  let pongd: Pongd;
  const ok = (command: string, ...args: string[]) => ns.ok(command, ...args);
  before(async () => {
    ns = await Netns.open();
    mkdirSync(join(dir, "site"));
    for (const [name, text] of Object.entries(SITE)) writeFileSync(join(dir, "site", name), text);
    pair.writePair("pair", certificate("IP:10.99.1.1"));
    writeFileSync(join(dir, "pongd.yaml"), `
prefixes: [10.99.0.0/16, fd99::/64]
services:
  site: { http: { root: ./site } }
  secure: { https: { root: ./site, cert: ${pair.file("pair.crt")}, key: ${pair.file("pair.key")} } }
tcp: { 80: http, 81: site, 443: secure }
`);
    pongd = await Pongd.start(ns, "--config", join(dir, "pongd.yaml"), "--service-threads", "2");
  });
  after(async () => {
    await ns.close();
    await pair.remove();
    rmSync(dir, { recursive: true });
  });

  const answered = (metrics: Map<string, number>) => sum(metrics, "pongd_http_requests_total");
  /** Does something, and returns how many requests were answered meanwhile. */
  const counting = async (what: () => Promise<unknown>) => {
    const before = answered(await pongd.metrics());
    await what();
    return answered(await pongd.metrics()) - before;
  };

  test("wrk, ab and h2load count no request that failed, and pongd counts the same ones", async () => {
    const clients: readonly (readonly [RegExp, string, ...string[]])[] = [
      [/^Failed requests: +0$/m, "ab", "-q", "-k", "-c", "16", "-n", String(REQUESTS), "http://10.99.1.1/"],
      [/^Failed requests: +0$/m, "ab", "-q", "-c", "16", "-n", String(REQUESTS), "http://[fd99::1:1]:81/"],
      [/ 0 failed, 0 errored, 0 timeout$/m, "h2load", "--h1", "-c", "16", "-n", String(REQUESTS), "http://10.99.1.1:81/"],
      [/ 0 failed, 0 errored, 0 timeout$/m, "h2load", "-c", "16", "-m", "8", "-n", String(REQUESTS), "https://10.99.1.1/"],
      [/ 0 failed, 0 errored, 0 timeout$/m, "h2load", "-c", "4", "-n", "100", "https://[fd99::1:1]/large"],
    ];
    for (const [well, command, ...args] of clients) {
      const asked = Number(args[args.indexOf("-n") + 1]);
      const count = await counting(async () => { assert.match(await ok(command, ...args), well); });
      assert.equal(count, asked, [command, ...args].join(" "));
    }
    let asked = 0;
    const count = await counting(async () => {
      const said = await ok("wrk", "-t1", "-c64", "-d1", "http://10.99.1.1/");
      assert.doesNotMatch(said, /Socket errors|Non-2xx/);
      asked = Number(/(\d+) requests in/.exec(said)?.[1]);
    });
    // It leaves when its time is over, with what it has asked last unanswered.
    assert.ok(count >= asked && count <= asked + 64, `${count} of ${asked}`);
  });

  test("nghttp gets what a page refers to, by HTTP/2", async () => {
    const said = await ok("nghttp", "--no-verify-peer", "-a", "-s", "-n", "https://10.99.1.1/");
    for (const name of ["/", "/style.css", "/script.js", "/dot.svg"]) assert.match(said, RegExp(` 200 +\\S+ ${name}$`, "m"));
  });

  test(`chromium loads a page of each of ${ADDRESSES} addresses, with style, script and picture`, async () => {
    const inside = join(dir, "chromium");
    writeFileSync(inside, `#!/bin/sh\nexec ${ns.command("chromium").join(" ")} "$@"\n`, { mode: 0o755 });
    const browser = await chromium.launch({ executablePath: inside });
    try {
      const page = await browser.newPage();
      for (let i = 0; i < ADDRESSES; i++) {
        const host = i % 2 === 0 ? `10.99.${i + 1}.1` : `[fd99::1:${i.toString(16)}]`;
        const url = `http://${host}:81/`;
        // What the one before has found is there already.
        page.removeAllListeners();
        assert.deepEqual(await goto(page, url, (requested) => requested.startsWith(url)), []);
        const shown = await page.evaluate(() => {
          const said = document.getElementById("said");
          return said && [said.textContent, getComputedStyle(said).color, document.querySelector("img")?.naturalWidth];
        });
        assert.deepEqual(shown, [`${host} answers`, "rgb(1, 2, 3)", 7]);
      }
    } finally {
      await browser.close();
    }
  });

  test("slowhttptest: slow headers, bodies, readers and ranges at once; everybody else is answered", async () => {
    const common = ["-c", String(SLOW), "-r", String(SLOW), "-l", String(SLOW_SECONDS), "-i", "1", "-p", "5"];
    let running = 0;
    const attacks = [
      ["-H", "-u", "http://10.99.1.1/"], ["-B", "-u", "http://10.99.1.2:81/"],
      ["-X", "-w", "1", "-y", "2", "-n", "1", "-z", "1", "-k", "3", "-u", "http://10.99.1.3:81/large"],
      ["-R", "-u", "http://10.99.1.4:81/large"],
    ].map(async (mode) => {
      running++;
      const { stdout } = await ns.run("slowhttptest", ...common, ...mode);
      running--;
      return stdout;
    });
    let most = 0;
    for (let asked = 0; running > 0 || asked === 0; asked++) {
      assert.match(await ok("curl", "-sSf", "-m", "60", "http://10.99.2.2/"), /^10\.99\.2\.2:80 /);
      most = Math.max(most, sum(await pongd.metrics(), "pongd_service_connections"));
    }
    for (const said of await Promise.all(attacks)) assert.match(said, /Hit test time limit|No open connections left/);
    assert.ok(most > SLOW, `${most} connections`);
    await pongd.until((metrics) => sum(metrics, "pongd_service_connections") === 0);
  });

  test("afterwards no thread has died, nothing has failed, and a stop takes no time", async () => {
    const metrics = await pongd.metrics();
    for (const name of ["pongd_service_thread_restarts_total", "pongd_service_errors_total"]) {
      assert.equal(sum(metrics, name), 0, name);
    }
    addUp(metrics);
    assert.equal((await pongd.stop()).status, 0);
  });
});
