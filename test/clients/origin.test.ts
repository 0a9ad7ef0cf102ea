/**
 * Opens pages of another site in a browser that reaches pongd by plain HTTP and a name. It does not trust those enough
 * to tell pongd who asks.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import { chromium, type Browser, type Page } from "playwright-core";
import { needs } from "../support/netns.js";
import { closeServed, served } from "../support/served.js";

describe("a page of another site", needs("chromium"), () => {
  let browser: Browser;
  let other: Server;
  let page: Page;
  let pongd: string;
  let reloads = 0;
  const open = async (url: string) => {
    page = await browser.newPage();
    await page.goto(url);
  };
  const post = (mode: RequestMode) => page.evaluate(([url, mode]) => fetch(
    url, { method: "POST", mode: mode as RequestMode },
  ).then(({ status }) => status, () => "refused"), [`${pongd}/-/reload`, mode]);

  before(async () => {
    const { port } = await served({ reload: () => Promise.resolve((reloads++, [])) });
    pongd = `http://pong.example:${port}`;
    other = createServer((_, response) => {
      response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>other</title>");
    }).listen(0, "127.0.0.1");
    await once(other, "listening");
    browser = await chromium.launch({
      executablePath: execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim(),
      args: ["--host-resolver-rules=MAP *.example 127.0.0.1"],
    });
  });
  after(async () => {
    await browser.close();
    other.close();
    await closeServed();
  });
  beforeEach(async () => {
    reloads = 0;
    await open(`http://other.example:${(other.address() as AddressInfo).port}/`);
  });

  test("has no reload done by fetch, of whatever mode", async () => {
    // A page sees status 0 for a response that it may not read.
    assert.deepEqual([await post("no-cors"), await post("cors")], [0, "refused"]);
    assert.equal(reloads, 0);
  });

  for (const [what, policy] of [["its origin", "strict-origin"], ["no origin", "no-referrer"]]) {
    test(`has none done by a form that tells ${what}`, async () => {
      const [response] = await Promise.all([
        page.waitForResponse(/reload$/),
        page.evaluate(([action, policy]) => {
          document.head.innerHTML += `<meta name="referrer" content="${policy}">`;
          document.body.innerHTML = `<form method="post" action="${action}"></form>`;
          document.forms[0].submit();
        }, [`${pongd}/-/reload`, policy]),
      ]);
      assert.equal(response.status(), 403);
      assert.equal(reloads, 0);
    });
  }

  test("reads neither metrics nor events", async () => {
    const read = (path: string) => page.evaluate(
      (url) => fetch(url).then((response) => response.text(), () => "refused"), pongd + path,
    );
    assert.deepEqual(
      [await read("/metrics"), await read("/-/ready"), await read("/")], ["refused", "refused", "refused"],
    );
    assert.equal(await page.evaluate((url) => new Promise((resolve) => {
      const events = new EventSource(url);
      events.onmessage = events.onerror = ({ type }) => {
        events.close();
        resolve(type);
      };
    }), `${pongd}/events`), "error");
  });

  test("is told from one of pongd's own, which has a reload done", async () => {
    await open(`${pongd}/`);
    assert.equal(await post("cors"), 200);
    assert.equal(reloads, 1);
  });
});
