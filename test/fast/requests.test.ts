/** Tests that requests which two readers could take for different ones are refused, over TCP and over TLS. */
import "../support/process.js";
import assert from "node:assert/strict";
import { once } from "node:events";
import type { RequestListener } from "node:http";
import { after, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { Service } from "../../abi/tcp.js";
import { httpService } from "../../src/net/http.js";
import { httpsService } from "../../src/net/https.js";
import { Folder } from "../support/certificates.js";
import { heardBy, RigWire } from "../support/rigwire.js";
import { StreamRig } from "../support/streamrig.js";
import { certificate } from "../support/x509.js";

const folder = new Folder();
after(() => folder.remove());
folder.writePair("one", certificate("DNS:one.example"));

/** A request behind the one in question, which nobody may see. */
const HIDDEN = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
const post = (headers: string, body = "") => `POST / HTTP/1.1\r\nHost: x\r\n${headers}\r\n${body}${HIDDEN}`;
const chunked = (body: string) => post("Transfer-Encoding: chunked\r\n", body);

/** What is refused: RFC 9112 §3 to §7. */
const REFUSED: Readonly<Record<string, string>> = {
  "both lengths": post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
  "both lengths, the other way round": post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
  "two lengths": post("Content-Length: 0\r\nContent-Length: 5\r\n"),
  "the same length twice": post("Content-Length: 0\r\nContent-Length: 0\r\n"),
  "a list of lengths": post("Content-Length: 0, 0\r\n"),
  "a length with a sign": post("Content-Length: +0\r\n"),
  "a negative length": post("Content-Length: -1\r\n"),
  "a hexadecimal length": post("Content-Length: 0x0\r\n"),
  "a length beyond 64 bits": post("Content-Length: 18446744073709551616\r\n"),
  "no length": post("Content-Length: \r\n"),
  "chunked is not last": post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
  "an unknown coding": post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
  "space before the colon": post("Content-Length : 0\r\n"),
  "a folded line": post("X: y\r\n z\r\n"),
  "a folded length": post("Content-Length:\r\n 5\r\n", "hello"),
  "a line that begins with a space": post(" Content-Length: 0\r\n"),
  "a header without a colon": post("Nonsense\r\n"),
  "NUL in a header": post("X: a\0b\r\n"),
  "CR alone in a header": post("X: a\rContent-Length: 5\r\n"),
  "LF alone behind a header": post("X: y\nContent-Length: 0\r\n"),
  "LF alone behind the request line": `GET / HTTP/1.1\nHost: x\r\n\r\n${HIDDEN}`,
  "LF alone at the end": `GET / HTTP/1.1\r\nHost: x\r\n\n${HIDDEN}`,
  "a chunk's length with a sign": chunked("+0\r\n\r\n"),
  "a chunk's length with 0x": chunked("0x0\r\n\r\n"),
  "a chunk's length beyond 64 bits": chunked("10000000000000000\r\n\r\n"),
  "LF alone behind a chunk's length": chunked("1\nx\r\n0\r\n\r\n"),
  "a chunk that is longer than it says": chunked("1\r\nxy\r\n0\r\n\r\n"),
  "LF alone in a chunk's extension": chunked("1;a=b\nx\r\n0\r\n\r\n"),
  "no host": "GET / HTTP/1.1\r\n\r\n",
  "another version": `GET / HTTP/1.2\r\nHost: x\r\n\r\n${HIDDEN}`,
  "HTTP/0.9": `GET /\r\n\r\n${HIDDEN}`,
  "a method in lower case": `get / HTTP/1.1\r\nHost: x\r\n\r\n${HIDDEN}`,
  "HTTP/2 without TLS": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
};
const TOO_LARGE: Readonly<Record<string, readonly [number, string]>> = {
  "headers that are too large": [431, `GET / HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(1 << 15)}\r\n\r\n`],
  "extensions that are too large": [413, chunked(`1;${"x".repeat(1 << 15)}\r\nx\r\n0\r\n\r\n`)],
};

describe("a request that may be read in two ways", () => {
  const seen: string[] = [];
  const listener: RequestListener = (request, response) => {
    seen.push(request.url ?? "");
    request.resume().on("end", () => response.end());
  };
  const { take: handler } = httpService(listener);
  const { take: secure } = httpsService({
    pairs: [{ cert: folder.file("one.crt"), key: folder.file("one.key") }], log: () => undefined,
  }, listener);
  const all = [
    ...Object.entries(REFUSED).map(([name, text]) => [name, 400, text] as const),
    ...Object.entries(TOO_LARGE).map(([name, [status, text]]) => [name, status, text] as const),
  ];

  test("is refused, and its connection ends", async () => {
    const wire = new RigWire(await StreamRig.create({ kind: Service.http, handler }));
    for (const [name, status, text] of all) {
      const end = await wire.connect(6);
      end.write(text, "latin1");
      const { head, body } = await wire.during(heardBy(end));
      const statuses = [...`${head}${body}`.matchAll(/^HTTP\/1.1 (\d+)/gm)].map(([, status]) => Number(status));
      assert.equal(statuses.at(-1), status, `${name}: ${head}${body}`);
      assert.ok(!seen.includes("/hidden"), name);
    }
    await wire.isEmpty();
  });

  test("is refused over TLS, too", async () => {
    const wire = new RigWire(await StreamRig.create({ kind: Service.http, handler: secure }));
    for (const [name, status, text] of all.filter(([name]) => /both|two|alone/.test(name))) {
      const tls = connectTls({ socket: await wire.connect(6), rejectUnauthorized: false });
      await wire.during(once(tls, "secureConnect"));
      tls.write(text, "latin1");
      const { head, body } = await wire.during(heardBy(tls));
      assert.match(`${head}${body}`, new RegExp(`HTTP/1.1 ${status} `), name);
      assert.ok(!seen.includes("/hidden"), name);
    }
  });
});
