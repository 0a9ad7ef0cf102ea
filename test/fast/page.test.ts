/**
 * Tests the page at / as it is served: its files, its headers and its stream of events. test/clients/page.test.ts tests
 * it in a browser.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { Events, MAX_LISTENERS } from "../../src/web/events.js";
import { type LocalServer, noReload, serveLocally } from "../support/served.js";
import "../support/process.js";

/** Calls `use` with a server whose events are what `make` returns, sent as often as possible. */
async function withServer(
  make: () => unknown, body: (http: LocalServer, events: Events) => Promise<void>,
): Promise<void> {
  const events = new Events(make, 1);
  const http = await serveLocally(
    {
      metrics: () => undefined, list: () => undefined,
      obstacle: () => "pongd is starting", reload: noReload, events,
    },
  );
  try {
    await body(http, events);
  } finally {
    await http.close();
  }
}

/** Opens a stream of events. */
async function listen({ url }: Pick<LocalServer, "url">) {
  const abort = new AbortController();
  const response = await fetch(`${url}/events`, { signal: abort.signal });
  assert.equal(response.status, 200);
  const chunks = response.body?.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  let text = "";
  return {
    response,
    close: () => { abort.abort(); },
    /** Returns the next event as it was sent; undefined at the end. */
    next: async (): Promise<string | undefined> => {
      while (!text.includes("\n\n")) {
        const chunk = await chunks?.next();
        if (!chunk || chunk.done) return undefined;
        text += chunk.value;
      }
      const end = text.indexOf("\n\n") + 2;
      const event = text.slice(0, end);
      text = text.slice(end);
      return event;
    },
  };
}

/** Waits for the condition, one turn of the event loop at a time. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => { setImmediate(resolve); });
}

describe("the page's files", () => {
  test("all that the page refers to is there, and all that its modules import", () => {
    return withServer(() => undefined, async ({ url }) => {
      const seen = new Map<string, string>();
      const visit = async (address: string): Promise<void> => {
        if (seen.has(address)) return;
        const response = await fetch(address);
        assert.equal(response.status, 200, address);
        const type = response.headers.get("content-type") ?? "";
        seen.set(address, type);
        const body = await response.text();
        const references = type.startsWith("text/html")
          ? /(?:src|href)="(?!metrics|-\/)([^"]+)"/g
          : address.endsWith("uplot.js") ? undefined : /^import .*"(.+)";$/gm;
        for (const [, reference] of references ? body.matchAll(references) : []) {
          await visit(new URL(reference, address).href);
        }
      };
      await visit(`${url}/`);
      assert.deepEqual(Object.fromEntries(
        [...seen].map(([address, type]) => [new URL(address).pathname, type.replace(/;.*/, "")]),
      ), {
        "/": "text/html", "/web/page/icon.svg": "image/svg+xml", "/web/page/style.css": "text/css",
        "/web/page/uplot.js": "text/javascript",
        "/web/page/page.js": "text/javascript", "/web/page/chart.js": "text/javascript",
        "/telemetry/figures.js": "text/javascript", "/telemetry/numbers.js": "text/javascript",
        "/telemetry/reasons.js": "text/javascript",
      });
      assert.match(await (await fetch(`${url}/web/page/uplot.js`)).text(), /Copyright \(c\) \d+ Leon Sorokin/);
    });
  });

  test("nothing else of the package is served", () => withServer(() => undefined, async ({ url }) => {
    for (const path of [
      "/daemon/supervisor.js", "/web/page/../daemon.js", "/web/page/%2e%2e/daemon.js", "/web/page/html.js",
      "/web/page/", "/constructor", "/__proto__", "/telemetry/figures.js/",
    ]) {
      assert.equal((await fetch(url + path)).status, 404, path);
    }
  }));

  test("what a browser has already is not sent again", () => withServer(() => undefined, async ({ url }) => {
    const { headers } = await fetch(`${url}/web/page/page.js`);
    const etag = headers.get("etag") ?? "";
    assert.equal(headers.get("cache-control"), "no-cache");
    const again = await fetch(`${url}/web/page/page.js`, { headers: { "If-None-Match": etag } });
    assert.deepEqual([again.status, await again.text()], [304, ""]);
    assert.equal((await fetch(`${url}/web/page/chart.js`, { headers: { "If-None-Match": etag } })).status, 200);
  }));

  test("a strict policy goes with every answer, and the page needs no exception from it", () => {
    return withServer(() => undefined, async ({ url }) => {
      for (const path of ["/", "/web/page/page.js", "/-/healthy", "/nothing"]) {
        const { headers } = await fetch(url + path);
        const policy = headers.get("content-security-policy") ?? "";
        for (const directive of [
          "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'",
          "form-action 'none'", "frame-ancestors 'none'",
        ]) {
          assert.ok(policy.split("; ").includes(directive), `${path}: ${directive}`);
        }
        assert.doesNotMatch(policy, /unsafe|\*|http/);
        assert.equal(headers.get("x-content-type-options"), "nosniff");
        assert.equal(headers.get("referrer-policy"), "no-referrer");
      }
      const page = await (await fetch(url)).text();
      assert.doesNotMatch(page, /<style| style=| on\w+=|<script(?![^>]* src=)|https?:\/\/(?!www\.w3\.org)/);
    });
  });
});

describe("events", () => {
  test("they are made once for all who listen, and not while nobody does", async () => {
    let made = 0;
    await withServer(() => ({ made: ++made, text: "\r\n\n<" }), async (http, events) => {
      assert.equal(made, 0);
      const listeners = [await listen(http), await listen(http), await listen(http)];
      assert.equal(listeners[0].response.headers.get("content-type"), "text/event-stream");
      assert.equal(listeners[0].response.headers.get("cache-control"), "no-store");
      const heard = async ({ next }: typeof listeners[number]) => {
        const event = await next() ?? "";
        assert.match(event, /^data: [^\r\n]*\n\n$/);
        const { made, text } = JSON.parse(event.slice("data: ".length)) as { made: number; text: string };
        assert.equal(text, "\r\n\n<");
        return made;
      };
      // Each listener hears the latest event when it comes, and then every one.
      const firsts: number[] = [];
      for (const listener of listeners) firsts.push(await heard(listener));
      for (const [i, listener] of listeners.entries()) {
        for (let next = firsts[i] + 1; next <= firsts[2] + 5; next++) assert.equal(await heard(listener), next);
      }
      for (const { close } of listeners) close();
      await until(() => events.listeners === 0);
      const last = made;
      for (let i = 0; i < 5; i++) await fetch(`${http.url}/-/healthy`);
      assert.equal(made, last);
    });
  });

  test("what comes first is the state there is, at once", async () => {
    const events = new Events(() => "state", 2 ** 31 - 1);
    const http = await serveLocally(
      {
        metrics: () => undefined, list: () => undefined,
        obstacle: () => "pongd is starting", reload: noReload, events,
      },
    );
    for (let i = 0; i < 2; i++) assert.equal(await (await listen(http)).next(), "data: \"state\"\n\n");
    await http.close();
    await until(() => events.listeners === 0);
  });

  test("before there is anything to tell, that is said", () => withServer(() => undefined, async (http) => {
    assert.equal(await (await listen(http)).next(), "data: null\n\n");
  }));

  test("HEAD is no stream", () => withServer(() => undefined, async ({ url }, events) => {
    const { status, headers } = await fetch(`${url}/events`, { method: "HEAD" });
    assert.deepEqual([status, headers.get("content-type"), events.listeners], [200, "text/event-stream", 0]);
  }));

  test("there are so many listeners and no more, until one goes", () => withServer(() => 1, async (http, events) => {
    const listeners = await Promise.all(Array.from({ length: MAX_LISTENERS }, () => listen(http)));
    const refused = await fetch(`${http.url}/events`);
    assert.deepEqual([refused.status, await refused.text()], [503, "Service Unavailable: too many pages are open\n"]);
    assert.equal((await fetch(`${http.url}/-/healthy`)).status, 200);
    listeners[0].close();
    await until(() => events.listeners < MAX_LISTENERS);
    assert.equal(await (await listen(http)).next(), "data: 1\n\n");
  }));

  test("one that is asked for behind a request that is refused, and its connection closed, keeps no place", () => {
    return withServer(() => 1, async ({ url }, events) => {
      const socket = connect(Number(new URL(url).port), "127.0.0.1").resume();
      socket.write("GET / HTTP/1.1\r\n\r\nGET /events HTTP/1.1\r\nHost: x\r\n\r\n");
      await once(socket, "close");
      await until(() => events.listeners === 0);
    });
  });

  test("one that does not take its events is dropped, and costs the others nothing", async () => {
    const event = "x".repeat(100_000);
    const responses: ServerResponse[] = [];
    let most = 0;
    const events = new Events(() => {
      most = Math.max(most, ...responses.map(({ writableLength }) => writableLength));
      return event;
    }, 1);
    const server = createServer((_, response) => {
      responses.push(response);
      events.stream(response);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const slow = connect(port, "127.0.0.1");
    slow.write("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    await until(() => responses.length === 1);
    slow.pause();
    const good = await listen({ url: `http://127.0.0.1:${port}` });
    assert.equal(events.listeners, 2);
    while (!responses[0].destroyed) assert.equal((await good.next())?.length, event.length + 10);
    assert.equal(events.listeners, 1);
    assert.ok(most < 65536 + 2 * event.length, `${most} bytes waited`);
    slow.destroy();
    good.close();
    server.closeAllConnections();
    server.close();
  });

  test("they can be ended, and end with the server", async () => {
    const events = new Events(() => 1, 1);
    const http = await serveLocally(
      {
        metrics: () => undefined, list: () => undefined,
        obstacle: () => "pongd is starting", reload: noReload, events,
      },
    );
    const ended = await listen(http);
    events.close();
    while (await ended.next() !== undefined);
    assert.equal(events.listeners, 0);
    const cut = await listen(http);
    await cut.next();
    await http.close();
    await assert.rejects(async () => { while (await cut.next() !== undefined); });
    await until(() => events.listeners === 0);
  });

  test("what cannot be told ends the streams, and is said to whoever asks then", async () => {
    let broken = false;
    const make = () => {
      if (broken) throw new Error("the device is gone");
      return 1;
    };
    await withServer(make, async (http, events) => {
      const listener = await listen(http);
      broken = true;
      while (await listener.next() !== undefined);
      assert.equal(events.listeners, 0);
      const response = await fetch(`${http.url}/events`);
      assert.deepEqual([response.status, await response.text()], [500, "the device is gone\n"]);
    });
  });
});
