/**
 * Loads the web server as outsiders can, under the limits of the unit: no load delays the watchdog or a packet by more
 * than 100 ms, loses a ping, or takes more than 200 MB (invariant I11).
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hashSync } from "bcryptjs";
import { Folder } from "../support/certificates.js";
import { needs } from "../support/netns.js";
import { configuration, Pressure } from "../support/pressure.js";
import { certificate } from "../support/x509.js";

const SECONDS = 5;
/** Cost of the password's hash, as docs/monitoring.md has it made: a comparison takes a tenth of a second. */
const COST = 10;

describe("the web server under pressure", needs(), () => {
  for (const [connections, prefixes] of [[500, 1000], [500, 20_000], [150, 100_000]]) {
    test(`${connections} connections ask at once for the metrics of ${prefixes} prefixes, and read them or do not`,
      async (context) => {
        const pressure = await Pressure.open(context, configuration(prefixes));
        const burst = { kind: "burst", connections, path: "/metrics" } as const;
        const { statuses } = await pressure.bears(async () => {
          await pressure.load({ ...burst, seconds: SECONDS, read: false });
          return pressure.load({ ...burst, seconds: 2 * SECONDS, read: true });
        });
        // Others are told to come again, or lose their place to those who came later.
        assert.ok(statuses["200"] > 0, JSON.stringify(statuses));
      });
  }

  test("400 connections by TLS ask for the metrics on 100 streams of HTTP/2 each, and do not read them",
    async (context) => {
      const folder = new Folder();
      context.after(() => folder.remove());
      folder.writePair("server", certificate("DNS:localhost"));
      const web = folder.write("web.yml", "tls_server_config: { cert_file: server.crt, key_file: server.key }\n");
      const pressure = await Pressure.open(context, configuration(1000), "--web-config", web);
      const { cut } = await pressure.bears(
        () => pressure.load({ kind: "streams", connections: 400, streams: 100, seconds: 2 * SECONDS }),
      );
      assert.ok(cut < 400, `${cut} of 400 were cut before they had asked`);
    });

  test("300 connections try one wrong password after another", async (context) => {
    const folder = new Folder();
    context.after(() => folder.remove());
    const web = folder.write("web.yml", `basic_auth_users: { operator: ${JSON.stringify(hashSync("right", COST))} }\n`);
    const pressure = await Pressure.open(context, configuration(1000), "--web-config", web);
    const { statuses } = await pressure.bears(
      () => pressure.load({ kind: "passwords", connections: 300, seconds: SECONDS }), "operator:right",
    );
    assert.deepEqual(Object.keys(statuses).filter((status) => !["401", "503"].includes(status)), []);
    assert.ok(statuses["401"] > 0, JSON.stringify(statuses));
  });

  test("600 connections ask for the metrics, the page and what is not there, and do not read, or in sips",
    async (context) => {
      const pressure = await Pressure.open(context, configuration(20_000));
      await pressure.bears(() => pressure.load(
        { kind: "unread", connections: 600, seconds: 2 * SECONDS, paths: ["/metrics", "/", "/events", "/nothing"] },
      ));
    });
});
