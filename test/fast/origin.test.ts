/**
 * Tests requests that another site's page sends through the browser of somebody who reaches pongd. They change nothing,
 * and the page cannot read the responses.
 */
import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { after, afterEach, describe, test } from "node:test";
import { Folder } from "../support/certificates.js";
import { ask, askHttp2, closeServed, http2, served } from "../support/served.js";
import { certificate } from "../support/x509.js";

const FORBIDDEN = "Forbidden: sent by a page of another site\n";

/** Starts a server that counts its reloads. */
async function counting(web?: string) {
  const reloads = { count: 0 };
  const reload = () => Promise.resolve((reloads.count++, []));
  return { server: await served({ reload, ...web !== undefined && { web } }), reloads };
}

describe("a reload", () => {
  afterEach(closeServed);

  const post = async (headers: Record<string, string>, method = "POST") => {
    const { server, reloads } = await counting();
    const { status, body } = await ask(`${server.url}/-/reload`, { method, headers });
    assert.equal(reloads.count, status === 200 ? 1 : 0);
    if (status !== 200) assert.deepEqual([status, body], [403, FORBIDDEN]);
    return status;
  };

  for (const [what, headers] of Object.entries<Record<string, string>>({
    "what is no browser": {},
    "a page of pongd's own": { Host: "pong.example:7664", Origin: "http://pong.example:7664" },
    "the same, as browsers tell it too": {
      Host: "pong.example:7664", Origin: "http://pong.example:7664", "Sec-Fetch-Site": "same-origin",
    },
    "a user's own request": { "Sec-Fetch-Site": "none" },
    "the port of HTTP, left out": { Host: "pong.example", Origin: "http://pong.example" },
    "the port of HTTP, left out on one side": { Host: "pong.example:80", Origin: "http://pong.example" },
    "a proxy with TLS before it": { Host: "pong.example", Origin: "https://pong.example" },
    capitals: { Host: "Pong.Example:7664", Origin: "http://pong.example:7664" },
    "an IPv6 address": { Host: "[FD99:0::1]:7664", Origin: "http://[fd99::1]:7664" },
  })) {
    test(`of ${what} is done`, async () => { assert.equal(await post(headers), 200); });
  }

  for (const [what, headers] of Object.entries<Record<string, string>>({
    "another name": { Host: "pong.example:7664", Origin: "http://other.example:7664" },
    "another port": { Host: "pong.example:7664", Origin: "http://pong.example:8000" },
    "another port, where one is left out": { Host: "pong.example:7664", Origin: "http://pong.example" },
    "the port of HTTPS, asked on that of HTTP": { Host: "pong.example:80", Origin: "https://pong.example" },
    "a sandbox or a file": { Host: "pong.example:7664", Origin: "null" },
    "another scheme": { Host: "pong.example:7664", Origin: "ftp://pong.example:7664" },
    "two origins": { Host: "pong.example:7664", Origin: "http://pong.example:7664 http://other.example" },
    "no origin at all": { Host: "pong.example:7664", Origin: "" },
    "an origin with more behind it": { Host: "pong.example:7664", Origin: "http://pong.example:7664/page" },
    "a user in the origin": { Host: "pong.example:7664", Origin: "http://user@pong.example:7664" },
    "an empty host": { Host: "", Origin: "http://pong.example" },
    "a browser that says so": { "Sec-Fetch-Site": "cross-site" },
    "a browser that says so of the same site's other name": { "Sec-Fetch-Site": "same-site" },
    "a browser that says so, whatever the origin": {
      Host: "pong.example:7664", Origin: "http://pong.example:7664", "Sec-Fetch-Site": "cross-site",
    },
    "an origin, whatever the browser says": {
      Host: "pong.example:7664", Origin: "http://other.example", "Sec-Fetch-Site": "same-origin",
    },
  })) {
    test(`of a page of ${what} is refused, by POST and by PUT`, async () => {
      for (const method of ["POST", "PUT"]) assert.equal(await post(headers, method), 403);
    });
  }
});

describe("a reload over TLS", () => {
  const folder = new Folder();
  afterEach(closeServed);
  after(() => folder.remove());

  test("is for pages of the same origin by HTTPS, over HTTP/1.1 as over HTTP/2, where "
    + ":authority is the host", async () => {
    const pair = certificate("DNS:localhost,IP:127.0.0.1");
    folder.writePair("server", pair);
    const web = folder.write("web.yml", "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n");
    const { server: { url, port }, reloads } = await counting(web);
    const session = await http2(url, pair.cert);
    for (const [origin, expected] of [
      [undefined, 200], [`https://127.0.0.1:${port}`, 200], [`http://127.0.0.1:${port}`, 403],
      [`https://localhost:${port}`, 403], ["https://127.0.0.1", 403], ["null", 403],
    ] as const) {
      const headers: Record<string, string> = origin === undefined ? {} : { origin };
      const before = reloads.count;
      const one = await ask(`${url}/-/reload`, { method: "POST", ca: pair.cert, headers });
      const two = await askHttp2(session, "/-/reload", undefined, { ":method": "POST", ...headers });
      assert.deepEqual(
        [one.status, two.status, reloads.count - before], [expected, expected, expected === 200 ? 2 : 0], origin,
      );
    }
    session.close();
    const named = connectHttp2(url, { ca: pair.cert });
    assert.equal((await askHttp2(named, "/-/reload", undefined, {
      ":method": "POST", ":authority": "pong.example", origin: "https://pong.example",
    })).status, 200);
    named.close();
  });
});

test("no answer lets a page of another site read it", async () => {
  const { server } = await counting();
  for (const path of ["/", "/metrics", "/-/healthy", "/-/ready", "/-/reload", "/nothing", "/web/page/page.js"]) {
    for (const method of ["GET", "HEAD", "POST", "OPTIONS"]) {
      const { headers } = await ask(
        server.url + path,
        { method, headers: { Origin: "http://other.example", "Access-Control-Request-Method": "GET" } },
      );
      assert.deepEqual(
        Object.keys(headers).filter((name) => name.startsWith("access-control-")), [], `${method} ${path}`,
      );
    }
  }
  await closeServed();
});
