/**
 * Fuzzes the small texts that come from outside: prefixes and addresses, flags and variables, URLs, headers, names in
 * certificates, durations, sockets. Each is read, or refused in a line. What is written of what was read reads back as
 * the same.
 */
import assert from "node:assert/strict";
import { isIP } from "node:net";
import { CommanderError, InvalidArgumentError } from "commander";
import ipaddr from "ipaddr.js";
import { integer } from "../../../src/cli/integer.js";
import { seconds } from "../../../src/cli/seconds.js";
import { Failure } from "../../../src/base/failure.js";
import { BasicAuth } from "../../../src/web/auth.js";
import { sansOf } from "../../../src/web/clients.js";
import { parseEndpoint } from "../../../src/prefix/endpoints.js";
import { wantsGzip, wantsOpenMetrics } from "../../../src/web/exposition.js";
import { durationMs } from "../../../src/web/webschema.js";
import { serviceManager, sockaddrOf } from "../../../src/sys/notify.js";
import { parseAddress, parsePrefix, plus } from "../../../src/prefix/prefixes.js";
import { parseMetricsAddress } from "../../../src/top/address.js";
import { parseReport } from "../../../src/bench/compare.js";
import { read } from "../../support/config.js";
import type { Reader } from "../guided.js";
import { checkLines, refusalOr } from "./refused.js";

const auth = new BasicAuth(() => Promise.resolve(true));
const users = new Map([["admin", "x"]]);
const VARIABLES = /^(PONGD_[A-Z_]{1,30})=([^\0\n]*)$/gm;
const REPORT = JSON.stringify({
  benchmark: "engine", prefixes: 1,
  environment: {
    pongd: "", commit: null, node: "", v8: "", kernel: "", cpu: "", cores: 1, governor: null, nodeFlags: [], seed: 1,
  },
  results: [{
    engine: "js", packetBytes: 84, batch: 1, nsPerPacket: { median: 1, min: 1, p95: 2 }, ratioToJs: 1,
    ratioToJsInterval: [1, 1],
  }],
});

export const text: Reader = {
  covers: ["/build/src/"],
  dictionary: [
    "10.", "255", "/32", "/0", "::", "fe80:", "2001:db8:", "::ffff:", "0x", "%eth0", "[", "]:7664", ":", "@", "http://",
    "https://", "/metrics", "%41", "%ff", "?", "#", "none", "auto", "udp=", "other=", "on", "silent", ",", "=",
    "application/openmetrics-text", "text/plain", ";version=1.0.0", ";q=0.5", "gzip", "DNS:", "IP Address:", "URI:",
    "\"", "\\", "Basic ", "YTpi", "1h", "2.5ms", "µs", "\n", "\u2028",
    ...[
      "DEVICE", "MODE", "MAC", "MTU", "QUEUES", "ROUTES", "HOST_ADDRESS", "ENGINE", "IO", "SPIN", "REASSEMBLY",
      "LISTEN", "WEB_CONFIG", "MAX_REQUESTS", "LOG_LEVEL", "LOG_FORMAT", "DROP_PRIVILEGES", "TTL", "IGNORE_ECHO",
      "UNREACHABLE", "SOURCE_ROUTE", "RATE_LIMIT", "SOURCE_RATE_LIMIT", "EXCEPT", "PREFIXES", "NO_ROUTES",
    ].map((name) => `PONGD_${name}=`),
  ],
  seeds: [
    "10.99.0.0/16", "2001:db8::/64", "::ffff:10.0.0.1", "010.1.1.1", "1:2:3:4:5:6:7:8/128", "[::1]:7664",
    "https://admin:p%40ss@host:7664/x?y", "1000/100", "1m30s", "@abstract", "/run/notify",
    "PONGD_MTU=1400\nPONGD_RATE_LIMIT=10/5\nPONGD_UNREACHABLE=udp=on,other=off\nPONGD_IGNORE_ECHO=yes\n"
    + "PONGD_EXCEPT=10.99.7.0/24",
    "PONGD_PREFIXES=10.1.0.0/16,2001:db8::/64\nPONGD_HOST_ADDRESS=none\nPONGD_MODE=tap\nPONGD_NO_ROUTES=1",
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1", "gzip;q=1.0, identity",
    "DNS:a.example, IP Address:10.0.0.1, URI:\"http://a, b\", email:a@b", "Basic YWRtaW46eA==", REPORT,
  ],
  async feed(input) {
    const given = new TextDecoder().decode(input);
    checkPrefix(given);
    checkAddress(given);
    checkUrl(given);
    refusalOr(() => parseEndpoint(given));
    for (const parse of [integer(0, 1000), seconds(0.1, 3600)]) {
      const value = argument(() => parse(given));
      if (value !== undefined) assert.ok(value >= 0 && value <= 3600);
    }
    const ms = durationMs(given);
    assert.ok(ms === undefined || ms >= 0, "a duration below 0");
    wantsOpenMetrics(given);
    wantsGzip(given);
    sansOf(given);
    assert.match(await auth.check(users, given), /^(granted|denied|busy)$/);
    checkSocket(given);
    const watchdog = serviceManager(() => undefined, { NOTIFY_SOCKET: "/nowhere", WATCHDOG_USEC: given }).watchdogMs;
    assert.ok(watchdog === undefined || (watchdog > 0 && watchdog < 2 ** 31));
    refusalOr(() => parseReport(given, "report.json", "engine"));
    const variables = Object.fromEntries([...given.matchAll(VARIABLES)].map(([, name, value]) => [name, value]));
    if (Object.keys(variables).length > 0) argument(() => refusalOr(() => read(undefined, [], variables)));
  },
};

function checkPrefix(given: string): void {
  const prefix = refusalOr(() => parsePrefix(given));
  if (prefix instanceof Failure) return;
  const { bytes, length } = prefix;
  // The prefix is what the library says, and nothing else.
  const [address] = given.split("/");
  assert.deepEqual([...bytes], ipaddr.parse(address).toByteArray());
  assert.equal(prefix.text, `${ipaddr.parse(address).toString()}/${length}`);
  assert.deepEqual(parsePrefix(prefix.text), prefix);
}

function checkAddress(given: string): void {
  const address = refusalOr(() => parseAddress(given));
  if (address instanceof Failure) return;
  assert.notEqual(isIP(given), 0);
  assert.deepEqual(parseAddress(address.text), address);
  assert.deepEqual(plus(address, 0), address);
}

function checkUrl(given: string): void {
  const address = refusalOr(() => parseMetricsAddress(given));
  if (address instanceof Failure) return;
  const { url } = address;
  assert.deepEqual([url.username, url.password, url.hash], ["", "", ""]);
  assert.match(url.protocol, /^https?:$/);
  assert.ok(url.pathname.endsWith("/metrics"));
}

/** Returns what commander's parser of an option's value does, or undefined where it refuses the value. */
function argument<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof InvalidArgumentError) && !(error instanceof CommanderError)) throw error;
    if (error instanceof InvalidArgumentError) checkLines([error.message]);
    return undefined;
  }
}

function checkSocket(given: string): void {
  let address: Buffer;
  try {
    address = sockaddrOf(given);
  } catch (error) {
    assert.match((error as Error).message, /is no socket's address$/);
    return;
  }
  assert.ok(address.length <= 110);
}
