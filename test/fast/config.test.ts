/** Tests the configuration file: its values, every error with its place, and precedence. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse as load } from "yaml";
import { SourceRoute, Unreachable } from "../../abi/tables.js";
import { Service } from "../../abi/tcp.js";
import { settingsOf } from "../../src/cli/settings.js";
import type { Given } from "../../src/config/given.js";
import { InterfaceLists } from "../../src/config/interfaces.js";
import { DEFAULTS, DURATION, millisecondsOf, POSITIVE_DURATION, RELOADED } from "../../src/config/keys.js";
import { effective, needsRestart } from "../../src/config/merge.js";
import { oddities, toDocument, toYaml } from "../../src/config/print.js";
import { ConfigFile } from "../../src/config/reader.js";
import { jsonSchema } from "../../src/config/schema.js";
import { DEFAULT_ANSWERS, DEFAULT_POLICY } from "../../src/prefix/policy.js";
import { DEFAULT_STAMP, stampBytes } from "../../src/prefix/stamp.js";
import { EXIT } from "../../src/base/failure.js";
import { source } from "../support/assembly.js";
import { parsed, read, refusal } from "../support/config.js";

const INTERFACE_NAME = "expected 1 to 64 printable ASCII characters, in quotes if they look like a number";
const INTERFACE_ADDRESS = "expected an IPv4, IPv6 or MAC address, like 192.0.2.1, 2001:db8::1 or 02:00:5e:00:53:01";
const P = "prefixes: [10.99.0.0/16]\n";
const validate = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true }).compile(jsonSchema());

describe("a file that is wrong: every error with its line and column, and what was expected", () => {
  for (const [what, text, ...lines] of [
    ["empty", "", "FILE:1:1: the file is empty; expected keys like prefixes"],
    ["a comment alone", "# nothing\n", "FILE:1:1: the file is empty; expected keys like prefixes"],
    ["no map", "- 10.99.0.0/16\n", "FILE:1:1: the file is a list of 1; expected a map of keys like prefixes"],
    ["a word", "pong\n", "FILE:1:1: the file is \"pong\"; expected a map of keys like prefixes"],
    ["no prefix", "ttl: 3\n", "FILE:1:1: prefixes: there is none; expected at least one, like 10.99.0.0/16"],
    [
      "an empty list of prefixes", "ttl: 3\nprefixes: []\n",
      "FILE:2:11: prefixes: there is none; expected at least one, like 10.99.0.0/16",
    ],
    ["several documents", `${P}---\n${P}`, "FILE:2:1: a second document begins here; expected one alone"],
    ["a flow that does not end", "prefixes: [10.99.0.0/16\n", "FILE:2:1: a bracket or brace before here is not closed"],
    ["a tab", "device:\n\tname: x\n", "FILE:2:1: a tab that indents; write spaces"],
    ["a tag that nobody knows", "prefixes: !list [10.99.0.0/16]\n", "FILE:1:11: Unresolved tag"],
    [
      "lines that carriage returns end", "ttl: 3\rprefixes: [10.99.0.0/16]\r\nlisen: :1\r",
      "FILE:3:1: unknown key \"lisen\"; did you mean listen?",
    ],
    ["a tag of nothing", `${P}device: !!map\n`, "FILE:2:9: Unresolved tag"],
    [
      "lines behind a list, which are counted", "[a]\nlisten\n  more: x\n", "FILE:2:1: Unexpected scalar at node end",
      "FILE:3:7: Unexpected map-value-ind token in YAML stream", "FILE:3:9: Unexpected scalar token in YAML stream",
    ],
    [
      "a service called __proto__", `${P}services: { __proto__: { tcp: { banner: x } } }\n`,
      "FILE:2:13: no key can be __proto__",
    ],
    ["a port called __proto__", `${P}tcp:\n  __proto__: echo\n`, "FILE:3:3: no key can be __proto__"],
    ["a key twice", `ttl: 3\n${P}ttl: 4\n`, "FILE:3:1: key \"ttl\" is given twice; first at 1:1"],
    [
      "a key twice, within", `device: { mtu: 1400,\n  mtu: 1500 }\n${P}`,
      "FILE:2:3: key \"mtu\" is given twice; first at 1:11",
    ],
    ["a misspelt key", `${P}lisen: :1\n`, "FILE:2:1: unknown key \"lisen\"; did you mean listen?"],
    ["two letters swapped", `${P}device:\n  naem: x\n`, "FILE:3:3: unknown key \"naem\" in device; did you mean name?"],
    [
      "a flag's spelling", `${P}source-route: drop\n`,
      "FILE:2:1: unknown key \"source-route\"; did you mean source_route?",
    ],
    ["a key of a map at the top", `${P}mtu: 1500\n`, "FILE:2:1: unknown key \"mtu\"; did you mean the one in device?"],
    [
      "a key of the top in a map", `${P}device: { listen: :1 }\n`,
      "FILE:2:11: unknown key \"listen\" in device; did you mean the one at the top of the file?",
    ],
    ["an unknown key", `${P}log: { colour: red }\n`, "FILE:2:8: unknown key \"colour\" in log; expected level, format"],
    [
      "a key's first letters in a prefix", "prefixes:\n  - { prefix: 10.99.0.0/16, nane: x }\n",
      "FILE:2:29: unknown key \"nane\" in prefixes[0]; did you mean name?",
    ],
    [
      "an address that YAML takes for a key", "prefixes:\n  - fd00::\n",
      "FILE:2:5: unknown key \"fd00:\" in prefixes[0]; expected a prefix in quotes, since it ends with a colon",
    ],
    [
      "no value", `${P}device:\n`,
      "FILE:2:1: device is empty; expected a map of name, mode, mac, mtu, queues, offload, routes, host_address",
    ],
    ["text for a number", `${P}ttl: many\n`, "FILE:2:6: ttl is \"many\"; expected a whole number from 1 to 255"],
    ["a fraction", `${P}ttl: 1.5\n`, "FILE:2:6: ttl is 1.5; expected a whole number from 1 to 255"],
    [
      "out of range", `${P}device: { mtu: 67 }\n`,
      "FILE:2:16: device.mtu is 67; expected a whole number from 68 to 65535",
    ],
    [
      "neither auto nor a number", `${P}device: { queues: all }\n`,
      "FILE:2:19: device.queues is \"all\"; expected auto, or a whole number from 1 to 256",
    ],
    [
      "a number for text", `${P}device: { name: 5 }\n`,
      "FILE:2:17: device.name is 5; expected 1 to 15 ASCII characters, none of them a space, \"/\", \":\" or \"%\"",
    ],
    ["a device name that is too long", `${P}device: { name: a-name-of-16-byte }\n`, "FILE:2:17: device.name is "
    + "\"a-name-of-16-byte\"; expected 1 to 15 ASCII characters, none of them a space, \"/\", \":\" or \"%\""],
    ["a choice", `${P}engine: rust\n`, "FILE:2:9: engine is \"rust\"; expected wasm or js"],
    [
      "a list's item", `${P}answer: [echo, ping]\n`,
      "FILE:2:16: answer[1] is \"ping\"; expected echo, timestamp or unreachable",
    ],
    [
      "a word for a list", `${P}answer: echo\n`,
      "FILE:2:9: answer is \"echo\"; expected a list of echo, timestamp, unreachable, or an empty one, []",
    ],
    ["an endpoint", `${P}listen: 7664\n`, "FILE:2:9: listen is 7664; expected an address like 127.0.0.1:7664, "
    + "[::1]:7664, :7664 or unix:/run/pongd.sock, in quotes if it begins with a bracket, or a list of them"],
    ["a port", `${P}listen: localhost:70000\n`, "FILE:2:9: listen is \"localhost:70000\"; expected an address like "
    + "127.0.0.1:7664, [::1]:7664, :7664 or unix:/run/pongd.sock, in quotes if it begins with a bracket"],
    ["one endpoint of several", `${P}listen:\n  - :1\n  - unix:run/pongd.sock\n`,
      "FILE:4:5: listen[1] is \"unix:run/pongd.sock\"; expected an address like 127.0.0.1:7664, [::1]:7664, :7664 or "
      + "unix:/run/pongd.sock, in quotes if it begins with a bracket"],
    [
      "an endpoint twice", `${P}listen: ["[::1]:1", ":1", "[0::1]:1"]\n`,
      "FILE:2:27: listen address \"[0::1]:1\" is given twice; first at 2:10",
    ],
    ["no endpoint", `${P}listen: []\n`, "FILE:2:9: listen is an empty list; expected an address like 127.0.0.1:7664, "
    + "[::1]:7664, :7664 or unix:/run/pongd.sock, in quotes if it begins with a bracket, or a list of them"],
    ["yes", `${P}device: { routes: yes }\n`, "FILE:2:19: device.routes is \"yes\"; expected true or false"],
    [
      "a limit without a rate", `${P}rate_limit: { burst: 5 }\n`,
      "FILE:2:13: rate_limit.rate is missing; expected replies a second, above 0 and up to 1000000000",
    ],
    [
      "a rate of nothing", `${P}rate_limit: { rate: 0 }\n`,
      "FILE:2:21: rate_limit.rate is 0; expected replies a second, above 0 and up to 1000000000",
    ],
    [
      "a burst below one", `${P}source_rate_limit: { rate: 5, burst: 0.5 }\n`,
      "FILE:2:38: source_rate_limit.burst is 0.5; expected replies at once, from 1 to 1000000000",
    ],
    [
      "a limit that is a number", `${P}rate_limit: 5\n`,
      "FILE:2:13: rate_limit is 5; expected none, or a map like { rate: 1000, burst: 100 }",
    ],
    [
      "an unreachable mode", `${P}unreachable: { udp: loud }\n`,
      "FILE:2:21: unreachable.udp is \"loud\"; expected on, silent or off",
    ],
    [
      "a name that is too long", `prefixes:\n  - { prefix: 10.99.0.0/16, name: ${"n".repeat(65)} }\n`,
      `FILE:2:35: prefixes[0].name is "${"n".repeat(39)}…; expected 1 to 64 printable characters, in quotes if they `
      + "look like a number",
    ],
    ["a prefix without one", "prefixes:\n  - { name: x }\n", "FILE:2:5: prefixes[0].prefix is missing; expected a "
    + "prefix like 10.99.0.0/16 or 2001:db8::/64, in quotes if it ends with a colon"],
    ["a prefix that is a number", "prefixes:\n  - 10\n",
      "FILE:2:5: prefixes[0] is 10; expected a prefix like 10.99.0.0/16 or 2001:db8::/64, in quotes if it ends with a "
      + "colon, or a map like { prefix: 10.99.0.0/16, name: lab }"],
    [
      "host bits", "prefixes:\n  - 10.99.0.1/16\n",
      "FILE:2:5: prefix \"10.99.0.1/16\" has bits set beyond its length; did you mean 10.99.0.0/16?",
    ],
    [
      "host bits in a map", "prefixes:\n  - name: lab\n    prefix: 10.99.0.1/16\n",
      "FILE:3:13: prefix \"10.99.0.1/16\" has bits set beyond its length; did you mean 10.99.0.0/16?",
    ],
    ["a range that is no host's", "prefixes: [127.0.0.0/8]\n", "FILE:1:12: prefix \"127.0.0.0/8\" has addresses of "
    + "127.0.0.0/8, where no address is a host's; choose another prefix"],
    [
      "no prefix at all", "prefixes: [\"\"]\n",
      "FILE:1:12: \"\" is not a prefix; write it like 10.99.0.0/16 or 2001:db8::/64",
    ],
    [
      "a prefix twice", "prefixes:\n  - 10.99.0.0/16\n  - 10.98.0.0/16\n  - { prefix: 10.99.0.0/16 }\n",
      "FILE:4:15: prefix 10.99.0.0/16 is given twice; first at 2:5",
    ],
    [
      "an exception twice", `${P}except: [10.99.1.1, 10.99.1.1/32]\n`,
      "FILE:2:21: exception 10.99.1.1/32 is given twice; first at 2:10",
    ],
    [
      "an exception that is a prefix", `${P}except: [10.99.0.0/16]\n`,
      "FILE:2:10: 10.99.0.0/16 is given as a prefix and as an exception; first at 1:12",
    ],
    [
      "an exception outside", `${P}except: [10.98.0.0/24]\n`,
      "FILE:2:10: exception 10.98.0.0/24 lies in none of the prefixes",
    ],
    [
      "a MAC policy without MAC addresses", `${P}device: { mac: shared }\n`,
      "FILE:2:16: a TUN device has no MAC addresses: leave device.mac out, or write mode: tap",
    ],
    [
      "an MTU that IPv6 does not take", "prefixes: [fd00::/64]\ndevice: { mtu: 1279 }\n",
      "FILE:2:16: MTU 1279: IPv6 prefixes need at least 1280; raise device.mtu, or give IPv4 prefixes alone",
    ],
    [
      "an MTU that TAP does not take", `${P}device: { mode: tap, mtu: 65522 }\n`,
      "FILE:2:27: device.mtu 65522: a TAP device takes 68 to 65521",
    ],
    [
      "a host address", `${P}device: { host_address: 127.0.0.1 }\n`,
      "FILE:2:25: host address 127.0.0.1 lies in 127.0.0.0/8, where no address is a host's; choose another one",
    ],
    [
      "errors by the js engine", `${P}engine: js\nunreachable: silent\n`,
      "FILE:3:14: the js engine sends no ICMP errors: leave unreachable out, or engine: js",
    ],
    [
      "errors by the js engine, about UDP", `${P}engine: js\nunreachable:\n  other: off\n  udp: on\n`,
      "FILE:5:8: the js engine sends no ICMP errors: leave unreachable out, or engine: js",
    ],
    [
      "errors by the js engine, of a prefix",
      "engine: js\nprefixes: [{ prefix: 10.99.0.0/16, answer: [unreachable] }]\n",
      "FILE:2:44: the js engine sends no ICMP errors: leave prefixes[0].answer out, or engine: js",
    ],
    [
      "source routes by the js engine", `${P}engine: js\nsource_route: reverse\n`,
      "FILE:3:15: the js engine drops IP options: leave source_route out, or engine: js",
    ],
    [
      "offload for the js engine", `${P}engine: js\ndevice: { offload: on }\n`,
      "FILE:3:20: the js engine takes finished packets alone: leave device.offload out, or engine: js",
    ],
    [
      "reassembly by the js engine", `${P}engine: js\nreassembly: 1\n`,
      "FILE:3:13: the js engine does not reassemble: leave reassembly out, or engine: js",
    ],
    ["all at once, in order", "ttl: 0\nprefixes:\n  - 10.99.0.1/16\n  - { prefix: 10.98.0.0/16, ttl: 0 }\nlisen: :1\n",
      "FILE:1:6: ttl is 0; expected a whole number from 1 to 255",
      "FILE:3:5: prefix \"10.99.0.1/16\" has bits set beyond its length; did you mean 10.99.0.0/16?",
      "FILE:4:34: prefixes[1].ttl is 0; expected a whole number from 1 to 255",
      "FILE:5:1: unknown key \"lisen\"; did you mean listen?"],
    ["a billion laughs", `a: &a [x]\n${Array.from(
      { length: 9 },
      (_, i) => `${"bcdefghij"[i]}: &${"bcdefghij"[i]} [${Array(9).fill(`*${"abcdefghi"[i]}`).join(", ")}]\n`,
    ).join("")}`,
    "FILE:2:8: aliases stand for more than 100 values"],
    [
      "an address in brackets without quotes", `${P}listen: [::1]:7664\n`,
      "FILE:2:14: text behind a list; put the whole value in quotes, like \"[::1]:7664\"",
    ],
    [
      "an address with a zone without quotes", `${P}listen: [fe80::1%eth0]:7664 # here\n`,
      "FILE:2:23: text behind a list; put the whole value in quotes, like \"[::1]:7664\"",
    ],
    [
      "an address in brackets without quotes, within", "prefixes:\n  - { prefix: [::1]:7664 }\n",
      "FILE:2:20: text behind a list; put the whole value in quotes, like \"[::1]:7664\"",
    ],
    [
      "a zone in brackets, which is a list", `${P}listen: [fe80::1%eth0]\n`,
      "FILE:2:10: listen[0] is \"fe80::1%eth0\"; expected an address like 127.0.0.1:7664, [::1]:7664, :7664 or "
      + "unix:/run/pongd.sock, in quotes if it begins with a bracket",
    ],
    [
      "a prefix with a zone", "prefixes: [fd00::%eth0/64]\n",
      "FILE:1:12: \"fd00::%eth0/64\" has a zone; write it without %eth0",
    ],
    [
      "no space behind a colon, at the end", `${P}ttl:7\n`,
      "FILE:2:1: a space is missing behind the colon; write it like ttl: 7",
    ],
    [
      "no space behind a colon, at the beginning", `ttl:7\n${P}`,
      "FILE:1:1: a space is missing behind the colon; write it like ttl: 7",
    ],
    [
      "no space behind a colon, alone", "ttl:7\n",
      "FILE:1:1: the file is text; a space is missing behind the colon; write it like ttl: 7",
    ],
    [
      "no space behind a colon, in a map", `${P}device:\n  name:x\n`,
      "FILE:3:3: device is text; a space is missing behind the colon; write it like ttl: 7",
    ],
    [
      "no space behind a colon, in braces", `${P}device: { name:x }\n`,
      "FILE:2:11: unknown key \"name:x\" in device; a space is missing behind the colon; write it like ttl: 7",
    ],
    [
      "no space behind a colon, but one that is none", `${P}ttl:\u00a07\n`,
      "FILE:2:1: a space is missing behind the colon; write it like ttl: 7",
    ],
    [
      "no space behind a hyphen", "prefixes:\n-10.99.0.0/16\n",
      "FILE:2:1: a space is missing behind the hyphen; write it like - 10.99.0.0/16",
    ],
    [
      "no colon", `${P}ttl = 7\n`,
      "FILE:2:1: neither a key nor a part of the value before it; write it like key: value",
    ],
    [
      "a colon in a value", "prefixes:\n  - prefix: 10.99.0.0/16\n    comment: lab: dark\n",
      "FILE:3:14: a value with a colon and a space in it; put it in quotes",
    ],
    [
      "no comma", `${P}log: { level: info format: text }\n`,
      "FILE:2:15: keys in braces without a comma between them; write it like { a: 1, b: 2 }",
    ],
    [
      "keys that are indented further", `${P}ttl: 7\n mtu: 3\n`,
      "FILE:2:6: a value with keys below it that are indented further; indent them like the line before them",
    ],
    [
      "a character of YAML's own", `${P}engine: @js\n`,
      "FILE:2:9: a value that begins with a character of YAML's own; put it in quotes",
    ],
    [
      "text behind quotes", `${P}device: { name: "x" y }\n`,
      "FILE:2:21: text behind a value that had ended; put the whole value in quotes",
    ],
    [
      "a number beyond 2^53", `${P}spin: 9007199254740993\n`,
      "FILE:2:7: spin is 9007199254740993; expected a whole number from 0 to 1000000",
    ],
    [
      "a number beyond any", `${P}rate_limit: { rate: 1e999 }\n`,
      "FILE:2:21: rate_limit.rate is 1e999; expected replies a second, above 0 and up to 1000000000",
    ],
    [
      "a number in hexadecimal digits", `${P}ttl: 0x400\n`,
      "FILE:2:6: ttl is 0x400; expected a whole number from 1 to 255",
    ],
    [
      "an invisible character in a key", `${P}tt\u200bl: 7\n`,
      "FILE:2:1: unknown key \"tt\\u200bl\"; did you mean ttl? (leave out \\u200b, which cannot be seen)",
    ],
    [
      "an invisible character in a value", `${P}ttl: 7\u00a0\n`,
      "FILE:2:6: ttl is \"7\\u00a0\"; expected a whole number from 1 to 255 (leave out \\u00a0, which cannot be seen)",
    ],
    [
      "a service without bytes", `${P}services: { a: { tcp: {} } }\n`,
      "FILE:2:23: services.a.tcp: expected banner, or reply and after, or handler, or proxy",
    ],
    [
      "a service with both", `${P}services: { a: { tcp: { banner: x, reply: y, after: z } } }\n`,
      "FILE:2:23: services.a.tcp: expected banner, or reply and after, or handler, or proxy",
    ],
    [
      "a service of a kind that there is not", `${P}services: { a: { gopher: { root: x } } }\n`,
      "FILE:2:18: unknown key \"gopher\" in services.a; expected tcp, http, https, udp, stamp, sbfd, irtt",
    ],
    [
      "a service of two kinds", `${P}services: { a: { http: {}, tcp: { banner: x } } }\n`,
      "FILE:2:16: services.a: expected exactly one of tcp, http, https, udp, stamp, sbfd and irtt",
    ],
    [
      "a service of no kind", `${P}services: { a: {} }\n`,
      "FILE:2:16: services.a: expected exactly one of tcp, http, https, udp, stamp, sbfd and irtt",
    ],
    [
      "a folder that is not there", `${P}services: { a: { http: { root: /nowhere } } }\n`,
      "FILE:2:32: services.a.http.root: /nowhere: cannot be read: ENOENT: no such file or directory, stat '/nowhere'",
    ],
    [
      "a folder that is none", `${P}services: { a: { http: { root: /dev/null } } }\n`,
      "FILE:2:32: services.a.http.root: /dev/null is no folder",
    ],
    [
      "a handler that is no file", `${P}services: { a: { http: { handler: /tmp } } }\n`,
      "FILE:2:35: services.a.http.handler: /tmp is no regular file",
    ],
    [
      "files and a handler", `${P}services: { a: { http: { handler: x, root: y } } }\n`,
      "FILE:2:24: services.a.http: expected either root or handler",
    ],
    [
      "a handler and a proxy", `${P}services: { a: { tcp: { handler: x, proxy: "1.2.3.4:5" } } }\n`,
      "FILE:2:23: services.a.tcp: expected banner, or reply and after, or handler, or proxy",
    ],
    [
      "a proxy to nowhere", `${P}services: { a: { tcp: { proxy: ":80" } } }\n`,
      "FILE:2:32: services.a.tcp.proxy: proxy \":80\": write an address and a port, like 127.0.0.1:8080",
    ],
    ...[
      ["1.2.3.4", "add a port: 1.2.3.4:8080"],
      ["http://1.2.3.4", "leave out the scheme, and write it like 127.0.0.1:8080"],
      ["a b", "write it like 127.0.0.1:8080, [::1]:8080 or unix:/run/server.sock"],
    ].map(([proxy, advice]) => [
      `a proxy to ${proxy}`, `${P}services: { a: { tcp: { proxy: "${proxy}" } } }\n`,
      `FILE:2:32: services.a.tcp.proxy: proxy "${proxy}": ${advice}`,
    ] as const),
    [
      "a PROXY protocol that there is not", `${P}services: { a: { tcp: { proxy: "1.2.3.4:5", proxy_protocol: v3 } } }\n`,
      "FILE:2:61: services.a.tcp.proxy_protocol is \"v3\"; expected v1 or v2",
    ],
    [
      "HTTPS without a key", `${P}services: { a: { https: { cert: x } } }\n`,
      "FILE:2:25: services.a.https: expected cert and key, or certificates, a list of such pairs",
    ],
    [
      "a certificate that is not there", `${P}services: { a: { https: { certificates: [{ cert: /nowhere, key: x }] } } }\n`,
      "FILE:2:50: services.a.https.certificates[0].cert: /nowhere: cannot be read: ENOENT: no such file or directory, "
      + "stat '/nowhere'",
    ],
    [
      "a service's misspelt key", `${P}services: { a: { tcp: { baner: x } } }\n`,
      "FILE:2:25: unknown key \"baner\" in services.a.tcp; did you mean banner?",
    ],
    [
      "a banner of nothing", `${P}services: { a: { tcp: { banner: \"\" } } }\n`,
      "FILE:2:33: services.a.tcp.banner is \"\"; expected at least one character",
    ],
    [
      "a built-in service's name", `${P}services: { echo: { tcp: { banner: x } } }\n`,
      "FILE:2:13: \"echo\" is a word of pongd's own; choose another name for the service",
    ],
    [
      "the name of a service to come", `${P}services:\n  http: { tcp: { banner: x } }\n`,
      "FILE:3:3: \"http\" is a word of pongd's own; choose another name for the service",
    ],
    [
      "a service's name that is none", `${P}services: { 9p: { tcp: { banner: x } } }\n`,
      "FILE:2:13: \"9p\" is no name of a service; expected a letter, then up to 63 letters, digits, \"_\" or \"-\"",
    ],
    [
      "an end of a request that is too long", `${P}services: { a: { tcp: { reply: b, after: ${"é".repeat(33)} } } }\n`,
      "FILE:2:42: services.a.tcp.after has 66 bytes; expected 1 to 64",
    ],
    [
      "a reply that is not there", `${P}services: { a: { tcp: { reply: /nowhere/b, after: c } } }\n`,
      "FILE:2:32: services.a.tcp.reply: /nowhere/b: cannot be read: ENOENT: no such file or directory, open "
      + "'/nowhere/b'",
    ],
    [
      "a reply that is no file", `${P}services: { a: { tcp: { reply: /dev/zero, after: c } } }\n`,
      "FILE:2:32: services.a.tcp.reply: /dev/zero: not a regular file, and so not to be read a second time; write it "
      + "to one",
    ],
    [
      "a banner that is too large", `${P}services: { a: { tcp: { banner: ${"x".repeat((1 << 20) + 1)} } } }\n`,
      "FILE:2:33: services.a.tcp.banner has 1048577 bytes; at most 1048576 fit",
    ],
    [
      "banners that are too large together",
      `${P}services:\n${Array.from("abcde", (name) => `  ${name}: { tcp: { banner: ${"x".repeat(1 << 20)} } }\n`).join("")}`,
      "FILE:3:3: services have 5242880 bytes in all; at most 4194304 fit",
    ],
    [
      "too many services",
      `${P}services:\n${Array.from({ length: 121 }, (_, i) => `  s${i}: { tcp: { banner: x } }\n`).join("")}`,
      "FILE:3:3: 121 services given; at most 120 fit",
    ],
    [
      "a port's service that there is not", `${P}tcp: { 80: gopher }\n`,
      "FILE:2:12: port 80: \"gopher\" is not a service; expected refuse, silent, echo, discard, chargen, tarpit, http, "
      + "proxy:HOST:PORT or a name under services",
    ],
    [
      "a service of UDP's at a port of TCP", `services: { own: { tcp: { banner: x } } }\n${P}tcp: { 80: irtt }\n`,
      "FILE:3:12: port 80: \"irtt\" is a service of UDP, not of TCP; expected refuse, silent, echo, discard, chargen, "
      + "tarpit, http, proxy:HOST:PORT or own",
    ],
    [
      "HTTPS without a certificate", `${P}tcp: { 443: https }\n`,
      "FILE:2:13: port 443: https needs a certificate, which an entry under services names; write that name",
    ],
    [
      "a port's proxy to nowhere", `${P}tcp: { 80: "proxy:8080" }\n`,
      "FILE:2:12: port 80: proxy \"8080\": write an address and a port, like 127.0.0.1:8080",
    ],
    [
      "a port's service that is no word", `${P}tcp: { 80: 7 }\n`, "FILE:2:12: tcp.80 is 7; expected refuse, silent, echo, "
      + "discard, chargen, tarpit, http, proxy:HOST:PORT or a name under services",
    ],
    [
      "what is no port, of all and of a prefix",
      "tcp: { 0: echo, 65536: echo, 5-3: echo, x: echo }\nprefixes:\n  - { prefix: 10.0.0.0/8, tcp: { 80-: echo } }\n",
      "FILE:1:8: \"0\" is not a port; expected 1 to 65535, or a range like 8000-8010",
      "FILE:1:17: \"65536\" is not a port; expected 1 to 65535, or a range like 8000-8010",
      "FILE:1:30: \"5-3\" is not a port; expected 1 to 65535, or a range like 8000-8010",
      "FILE:1:41: \"x\" is not a port; expected 1 to 65535, or a range like 8000-8010",
      "FILE:3:34: \"80-\" is not a port; expected 1 to 65535, or a range like 8000-8010",
    ],
    [
      "ranges of ports that cross", `${P}tcp: { 1-10: echo, 5-15: discard }\n`,
      "FILE:2:20: ports 1-10 and 5-15 overlap in part; expected ranges that are apart, or one within the other",
    ],
    [
      "a port twice, written otherwise", `${P}tcp: { 7: echo, 7-7: discard }\n`,
      "FILE:2:17: ports 7 and 7-7 are the same; expected ranges that are apart, or one within the other",
    ],
    [
      "ports of a prefix that are a list", "prefixes:\n  - { prefix: 10.0.0.0/8, tcp: [80] }\n", "FILE:2:32: "
      + "prefixes[0].tcp is a list of 1; expected a map of ports to services, like { 7: echo, 8000-8010: discard }",
    ],
    [
      "connections of a prefix", "prefixes:\n  - { prefix: 10.0.0.0/8, tcp_connections: 0 }\n",
      "FILE:2:44: prefixes[0].tcp_connections is 0; expected a whole number from 1 to 1000000000, or no such key for "
      + "no limit of its own",
    ],
    [
      "a service, and no connection", `${P}tcp: { 7: echo }\ntcp_connections: 0\n`,
      "FILE:3:18: tcp_connections is 0, so no port can have a service that accepts connections: raise it, or "
      + "leave the services out",
    ],
    [
      "an MTU that a service does not take", `${P}device: { mtu: 255 }\ntcp: { 7: echo }\n`,
      "FILE:2:16: MTU 255: TCP's services need at least 256; raise device.mtu, or leave the services out",
    ],
    [
      "an MTU that a prefix's service does not take",
      "prefixes: [{ prefix: 10.0.0.0/8, tcp: { 7: echo } }]\ndevice: { mtu: 255 }\n",
      "FILE:2:16: MTU 255: TCP's services need at least 256; raise device.mtu, or leave the services out",
    ],
    [
      "a service, and hardly any memory", `${P}tcp: { 7: echo }\ntcp_memory: 65535\n`,
      "FILE:3:13: tcp_memory is 65535; services need 65536: raise it, or leave the services out",
    ],
    [
      "more ports than a table holds",
      `${P}tcp: { ${Array.from({ length: 65535 }, (_, i) => `${i + 1}: ${i % 2 ? "echo" : "discard"}`).join(", ")} }\n`
        .replace("10.99.0.0/16", "10.99.0.0/16, { prefix: 10.0.0.0/8, tcp: { 1: chargen } }, "
        + "{ prefix: 11.0.0.0/8, tcp: { 2: chargen } }"),
      "FILE:1:98: the prefixes' ports have too many different ranges: all together fit into 1024 KiB, 8 bytes each",
    ],
    [
      "a name that every object has", `${P}udp: { 53: constructor }\n`,
      "FILE:2:12: port 53: \"constructor\" is not a service; expected unreachable, silent, echo, discard, stamp, "
      + "sbfd, irtt or a name under services",
    ],
    [
      "UX-1: services that UDP must not have", `${P}udp: { 13: daytime, 17: qotd, 19: chargen, 37: time }\n`,
      ...[[12, "daytime", 867], [25, "qotd", 865], [35, "chargen", 864], [48, "time", 868]].map(([column, name, rfc]) =>
        `FILE:2:${column}: port ${{ daytime: 13, qotd: 17, chargen: 19, time: 37 }[name]}: pongd has no ${name} over UDP `
        + `(RFC ${rfc}): it answers whoever seems to ask, and so helps to flood others; expected another service, such as `
        + "echo or discard"),
    ],
    [
      "services of one protocol at a port of the other",
      `${P}services: { ssh: { tcp: { banner: x } } }\nudp: { 22: ssh, 80: http, 1: tarpit, 2: refuse, 3: x }\n`
      + "tcp: { 1: unreachable, 2: \"proxy:127.0.0.1:1\" }\n",
      "FILE:3:12: port 22: \"ssh\" is a service of TCP, not of UDP; expected unreachable, silent, echo, discard, "
      + "stamp, sbfd, irtt or a name under services",
      "FILE:3:21: port 80: \"http\" is a service of TCP, not of UDP; expected unreachable, silent, echo, discard, "
      + "stamp, sbfd, irtt or a name under services",
      "FILE:3:30: port 1: \"tarpit\" is a service of TCP, not of UDP; expected unreachable, silent, echo, discard, "
      + "stamp, sbfd, irtt or a name under services",
      "FILE:3:41: port 2: \"refuse\" is a service of TCP, not of UDP; expected unreachable, silent, echo, discard, "
      + "stamp, sbfd, irtt or a name under services",
      "FILE:3:52: port 3: \"x\" is not a service; expected unreachable, silent, echo, discard, stamp, "
      + "sbfd, irtt or a name under services",
      "FILE:4:11: port 1: \"unreachable\" is a service of UDP, not of TCP; expected refuse, silent, echo, discard, "
      + "chargen, tarpit, http, proxy:HOST:PORT or ssh",
    ],
    [
      "IRTT servers that allow too much or too little",
      `${P}services:\n  a: { irtt: { min_interval: 10 } }\n  b: { irtt: { max_duration: 2h } }\n`
      + "  c: { irtt: { max_length: 15 } }\n  d: { irtt: { key_dir: k } }\n  e: { irtt: { min_interval: 16s } }\n"
      + "  f: { irtt: { min_interval: 15001ms } }\n  g: { irtt: { max_duration: 0s } }\n"
      + "  h: { irtt: { max_duration: 00m } }\n  i: { stamp: { idle_timeout: 0h } }\n"
      + "  j: { irtt: { max_duration: 1h } }\n  k: { stamp: { idle_timeout: 1h } }\n",
      "FILE:3:30: services.a.irtt.min_interval is 10; expected a time like 10ms or 1s, at most 15s",
      "FILE:4:30: services.b.irtt.max_duration is \"2h\"; expected "
      + "a time like 500ms, 5s or 2m, more than 0 and at most 1h",
      "FILE:5:28: services.c.irtt.max_length is 15; expected a whole number from 16 to 65527",
      "FILE:6:16: unknown key \"key_dir\" in services.d.irtt; expected min_interval, max_duration, max_length, "
      + "key_file",
      "FILE:7:30: services.e.irtt.min_interval is \"16s\"; expected a time like 10ms or 1s, at most 15s",
      "FILE:8:30: services.f.irtt.min_interval is \"15001ms\"; expected a time like 10ms or 1s, at most 15s",
      ...[
        "FILE:9:30: services.g.irtt.max_duration is \"0s\"", "FILE:10:30: services.h.irtt.max_duration is \"00m\"",
        "FILE:11:31: services.i.stamp.idle_timeout is \"0h\"",
      ].map((what) => `${what}; expected a time like 500ms, 5s or 2m, more than 0 and at most 1h`),
    ],
    [
      "S-BFD reflectors without discriminators, or with some that are none",
      `${P}services:\n  a: { sbfd: { discriminators: [] } }\n  b: { sbfd: { discriminators: [1, 0] } }\n`
      + "  c: { sbfd: { discriminators: [10.99.0.0/16] } }\n  d: { sbfd: { admin_down: 1, up: true } }\n",
      "FILE:3:32: services.a.sbfd.discriminators is an empty list; expected any, or a list of 1 to 256 discriminators",
      "FILE:4:36: services.b.sbfd.discriminators[1] is 0; expected a whole number from 1 to 4294967295, or an IPv4 "
      + "address",
      "FILE:6:28: services.d.sbfd.admin_down is 1; expected true or false",
      "FILE:6:31: unknown key \"up\" in services.d.sbfd; expected discriminators, admin_down",
    ],
    [
      "an S-BFD discriminator that is no address, and a reflector at a port of TCP",
      `${P}services:\n  a: { sbfd: { discriminators: [10.99.0.1, 10.99.0.0/16] } }\n  b: { sbfd: {} }\n`
      + "tcp: { 1: b }\n",
      "FILE:3:44: services.a.sbfd.discriminators[1] is \"10.99.0.0/16\"; expected a whole number from 1 to 4294967295, "
      + "or an IPv4 address",
      "FILE:5:11: port 1: \"b\" is a service of UDP, not of TCP; expected refuse, silent, echo, discard, chargen, "
      + "tarpit, http, proxy:HOST:PORT or a name under services",
    ],
    [
      "handlers of datagrams",
      `${P}services: { a: { udp: {} }, b: { udp: { handler: /nowhere } }, c: { udp: { handler: x, sources: all } } }\n`,
      "FILE:2:23: services.a.udp.handler is missing; expected a file's path",
      "FILE:2:97: services.c.udp.sources is \"all\"; expected unprivileged or any",
    ],
    [
      "options of STAMP that there are not",
      `${P}services:\n  a: { stamp: { mode: tcp, timestamp: iso, cos: 46, dscp: 64, ttl: 0 } }\n`
      + "  b: { stamp: { cos: [0, 64], dscp: copy, short: pad, sources: all, location: 1, idle_timeout: 2h } }\n"
      + "  c: { stamp: { keys: x } }\n",
      "FILE:3:23: services.a.stamp.mode is \"tcp\"; expected stateless or stateful",
      "FILE:3:39: services.a.stamp.timestamp is \"iso\"; expected ntp or ptp",
      "FILE:3:49: services.a.stamp.cos is 46; expected none, any, or a list of whole numbers from 0 to 63",
      "FILE:3:59: services.a.stamp.dscp is 64; expected reflect, or a whole number from 0 to 63",
      "FILE:3:68: services.a.stamp.ttl is 0; expected a whole number from 1 to 255",
      "FILE:4:26: services.b.stamp.cos[1] is 64; expected a whole number from 0 to 63",
      "FILE:4:37: services.b.stamp.dscp is \"copy\"; expected reflect, or a whole number from 0 to 63",
      "FILE:4:50: services.b.stamp.short is \"pad\"; expected drop or answer",
      "FILE:4:64: services.b.stamp.sources is \"all\"; expected unprivileged or any",
      "FILE:4:79: services.b.stamp.location is 1; expected true or false",
      "FILE:4:96: services.b.stamp.idle_timeout is \"2h\"; expected "
      + "a time like 500ms, 5s or 2m, more than 0 and at most 1h",
      "FILE:5:17: unknown key \"keys\" in services.c.stamp; expected mode, timestamp, cos, dscp, ttl, short, sources, "
      + "location, idle_timeout, key_file, key_dir",
    ],
    ["STAMP at a port of TCP", `${P}services: { a: { stamp: {} } }\ntcp: { 862: a }\n`,
      "FILE:3:13: port 862: \"a\" is a service of UDP, not of TCP; expected refuse, silent, echo, discard, chargen, "
      + "tarpit, http, proxy:HOST:PORT or a name under services"],
    [
      "a handler of datagrams that is not there, at a port of TCP",
      `${P}services: { b: { udp: { handler: /nowhere } } }\ntcp: { 53: b }\n`,
      "FILE:2:34: services.b.udp.handler: /nowhere: cannot be read: ENOENT: no such file or directory, stat '/nowhere'",
      "FILE:3:12: port 53: \"b\" is a service of UDP, not of TCP; expected refuse, silent, echo, discard, chargen, "
      + "tarpit, http, proxy:HOST:PORT or a name under services",
    ],
    [
      "a handler of datagrams, and no threads",
      `${P}services: { b: { udp: { handler: ${process.execPath} } } }\nudp: { 53: b }\ntcp_connections: 0\n`
      + "device: { mtu: 255 }\n",
      "FILE:4:18: tcp_connections is 0, so there are no service threads, which b needs: raise it, or leave the "
      + "service out",
      "FILE:5:16: MTU 255: service threads, which b needs, need at least 256; raise device.mtu, or leave the "
      + "service out",
    ],
    [
      "UDP with the js engine", "engine: js\nudp: { 7: echo }\nprefixes:\n  - { prefix: 10.0.0.0/8, udp: {} }\n",
      "FILE:2:6: the js engine has no UDP services: leave udp out, or engine: js",
      "FILE:4:32: the js engine has no UDP services: leave prefixes[0].udp out, or engine: js",
    ],
    [
      "TCP with the js engine",
      `engine: js\ntcp: { 7: echo }\ntcp_connections: 1\ntcp_source_connections: 1\nprefixes:\n`
      + "  - { prefix: 10.0.0.0/8, tcp_connections: 5 }\n",
      "FILE:2:6: the js engine speaks no TCP: leave tcp out, or engine: js",
      "FILE:3:18: the js engine speaks no TCP: leave tcp_connections out, or engine: js",
      "FILE:4:25: the js engine speaks no TCP: leave tcp_source_connections out, or engine: js",
      "FILE:6:44: the js engine speaks no TCP: leave prefixes[0].tcp_connections out, or engine: js",
    ],
    [
      "no list of interfaces", `${P}interfaces: eth0\n`,
      "FILE:2:13: interfaces is \"eth0\"; expected a list of interfaces, like [{ name: eth0, index: 2, address: "
      + "192.0.2.1 }]",
    ],
    [
      "interfaces whose keys have wrong values",
      `${P}interfaces:\n  - eth0\n  - { name: 5 }\n  - { name: a b, index: 0 }\n  - { address: [] }\n`
      + "  - { address: 7, active: 1 }\n  - { neighbor: up, mtu: 3 }\n",
      "FILE:3:5: interfaces[0] is \"eth0\"; expected a map like { name: eth0, index: 2, address: 192.0.2.1 }",
      `FILE:4:13: interfaces[1].name is 5; ${INTERFACE_NAME}`,
      `FILE:5:13: interfaces[2].name is "a b"; ${INTERFACE_NAME}`,
      "FILE:5:25: interfaces[2].index is 0; expected a whole number from 1 to 4294967295",
      `FILE:6:16: interfaces[3].address is an empty list; ${INTERFACE_ADDRESS}, or a list of 1 to 16 of them`,
      `FILE:7:16: interfaces[4].address is 7; ${INTERFACE_ADDRESS}, or a list of 1 to 16 of them`,
      "FILE:7:27: interfaces[4].active is 1; expected true or false",
      "FILE:8:17: interfaces[5].neighbor is \"up\"; expected incomplete, reachable, stale, delay, probe or failed",
      "FILE:8:21: unknown key \"mtu\" in interfaces[5]; expected name, index, address, active, ipv4, ipv6, neighbor",
    ],
    [
      "interfaces that are none",
      `${P}interfaces:\n  - {}\n  - { address: eth0 }\n  - { address: [10.0.0.1, 10.0.0.0/8] }\n`
      + "  - { address: fe80::1%eth0 }\n  - { address: 02:00:5e:00:53 }\n  - { neighbor: stale }\n"
      + "  - { neighbor: stale, address: 10.0.0.1, name: x }\n  - { neighbor: stale, address: ::1, ipv4: false }\n",
      "FILE:3:5: an interface needs a name, an index or an address",
      `FILE:4:16: "eth0" is no address of an interface; ${INTERFACE_ADDRESS}`,
      `FILE:5:27: "10.0.0.0/8" is no address of an interface; ${INTERFACE_ADDRESS}`,
      `FILE:6:16: "fe80::1%eth0" is no address of an interface; ${INTERFACE_ADDRESS}`,
      `FILE:7:16: "02:00:5e:00:53" is no address of an interface; ${INTERFACE_ADDRESS}`,
      "FILE:8:5: an interface with neighbor needs an address",
      "FILE:9:49: an interface with neighbor has no name; expected address alone with it",
      "FILE:10:44: an interface with neighbor has no ipv4; expected address alone with it",
    ],
    [
      "more interfaces than there may be", `${P}interfaces:\n${"  - { index: 1 }\n".repeat(65)}`,
      "FILE:3:3: interfaces is a list of 65; expected a list of at most 64 interfaces",
    ],
    [
      "an interface of a prefix that is none",
      "prefixes:\n  - { prefix: 10.0.0.0/8, interfaces: [{ index: 1 }, {}] }\n",
      "FILE:2:54: an interface needs a name, an index or an address",
    ],
    [
      "PROBE with the js engine",
      "engine: js\ninterfaces: [{ name: x }]\nprefixes: [{ prefix: 10.0.0.0/8, interfaces: [] }]\n",
      "FILE:2:13: the js engine does not answer PROBE: leave interfaces out, or engine: js",
      "FILE:3:46: the js engine does not answer PROBE: leave prefixes[0].interfaces out, or engine: js",
    ],
    [
      "an alias of nothing", "prefixes: [*p]\n",
      "FILE:1:12: Unresolved alias (the anchor must be set before the alias)",
    ],
  ] as const) {
    test(what, () => {
      assert.deepEqual(refusal(text), { lines, status: EXIT.CONFIG });
    });
  }

  test("so many interfaces that they do not fit", () => {
    const nameOf = (i: number) => `${"x".repeat(58)}${100_000 + i}`;
    const mapsOf = (i: number) => Array.from({ length: 64 }, (_, k) => ({ name: nameOf(64 * i + k) }));
    // 8 bytes, and for each of 64 names 64 and 8.
    const most = Math.floor((1 << 20) / (8 + 64 * 72));
    const lists = new InterfaceLists();
    for (let i = 0; i < most; i++) assert.ok(lists.of(mapsOf(i), () => { assert.fail(); }) && lists.fits);
    lists.of(mapsOf(0), () => { assert.fail(); });
    assert.ok(lists.fits, "the same once more");
    lists.of(mapsOf(most), () => { assert.fail(); });
    assert.ok(!lists.fits);
    const prefixes = Array.from({ length: most + 1 }, (_, i) =>
      `  - { prefix: 10.1.${i}.0/24, interfaces: [${mapsOf(i).map(({ name }) => `{ name: ${name} }`).join(", ")}] }\n`);
    assert.deepEqual(refusal(`prefixes:\n${prefixes.join("")}`), {
      lines: ["FILE:229:42: the prefixes have too many different interfaces: all together fit into 1024 KiB"],
      status: EXIT.CONFIG,
    });
  });

  test("the first twenty, and how many more", () => {
    const { lines } = refusal(`prefixes:\n${"  - 7\n".repeat(25)}`) ?? { lines: [] };
    assert.equal(lines.length, 21);
    assert.match(lines[19], /^FILE:21:5: /);
    assert.equal(lines[20], "FILE: and 5 more");
  });

  test("anywhere in a list of very many, and in two of them", () => {
    const item = (i: number) => `  - { prefix: 10.${i >> 8}.${i & 255}.0/24${i === 2345 ? ", ttl: 300" : ""} }\n`;
    const prefixes = Array.from({ length: 2500 }, (_, i) => i === 1000 ? "  - { prefx: 10.0.0.0/24 }\n" : item(i));
    const except = Array.from({ length: 1200 }, (_, i) => i === 1100 ? "  - 7\n" : `  - 10.0.${i >> 8}.${i & 255}\n`);
    const { lines } = refusal(`prefixes:\n${prefixes.join("")}except:\n${except.join("")}`) ?? { lines: [] };
    assert.deepEqual(lines.map((line) => line.replace(/;.*/, "")), [
      "FILE:1002:7: unknown key \"prefx\" in prefixes[1000]",
      "FILE:2347:34: prefixes[2345].ttl is 300",
      "FILE:3603:5: except[1100] is 7",
    ]);
  });

  test("deeper than any stack", () => {
    assert.match(refusal("[".repeat(100_000))?.lines[0] ?? "", /^FILE:\d+:\d+: /);
  });

  test("not UTF-8: where", () => {
    assert.deepEqual(
      refusal(Buffer.from("ttl: 3\n# \xe9\n", "latin1")),
      { lines: ["FILE:2:3: not UTF-8; expected a text file in that encoding"], status: EXIT.CONFIG },
    );
  });

  test("control characters stay in their line", () => {
    assert.deepEqual(refusal("prefixes: [\"10.99\\n.0.0/16\"]\n")?.lines, ["FILE:1:12: \"10.99\\n.0.0/16\" is not a "
      + "prefix; write it like 10.99.0.0/16 or 2001:db8::/64 (leave out \\n, which cannot be seen)"]);
  });

  test("larger than any configuration", () => {
    assert.deepEqual(
      refusal(Buffer.alloc((24 << 20) + 1, "#")),
      { lines: ["FILE: larger than 24 MiB, which no configuration is"], status: EXIT.CONFIG },
    );
  });
});

describe("what a file says", () => {
  test("nothing but prefixes: all else is the default", () => {
    const { options, values } = read(P);
    assert.deepEqual(values, { ...DEFAULTS, prefixes: ["10.99.0.0/16"] });
    const [{ answers }] = options.serving.prefixes;
    assert.deepEqual({ ...DEFAULT_ANSWERS, limit: undefined, link: undefined, path: undefined }, answers);
    assert.deepEqual(
      [options.tcp, options.accepts],
      [{ connections: 100_000, memory: 64 << 20, bySource: 0, threads: 1 }, false],
    );
    assert.ok(options.seed > 0, "a seed is drawn");
    assert.deepEqual(
      { ...DEFAULT_POLICY, sourceLimit: undefined, seed: BigInt(options.seed) }, options.serving.policy,
    );
    assert.deepEqual(options.hostAddresses.map(({ text }) => text), ["10.99.0.1"]);
    assert.deepEqual(
      [options.mtu, options.link, options.reassembly, options.dropPrivileges, options.listen],
      [undefined, undefined, 64, false, [{ host: "127.0.0.1", port: 7664 }]],
    );
  });

  test("a prefix has what it says, and else what is for all", () => {
    const { options } = read("answer: [echo]\nttl: 9\nunreachable: { other: off }\nrate_limit: { rate: 7.5 "
      + "}\nprefixes:\n  - 10.0.0.0/24\n"
      + "  - { prefix: 10.0.1.0/24, name: lab, answer: [unreachable, timestamp], ttl: 8, rate_limit: { rate: 0.5 }, "
      + "comment: x }\n  - { prefix: 10.0.2.0/24, rate_limit: none, answer: [] }\n");
    assert.deepEqual(options.serving.prefixes.map(({ text, name, answers }) => ({ text, name, ...answers })), [
      {
        text: "10.0.0.0/24", name: undefined, ttl: 9, echo: true, timestamp: false, errors: false,
        unreachable: { udp: Unreachable.silent, other: Unreachable.off }, limit: { rate: 7.5, burst: 7.5 },
        tcp: { ports: [] }, udp: { ports: [] }, link: undefined, path: undefined,
      },
      {
        text: "10.0.1.0/24", name: "lab", ttl: 8, echo: false, timestamp: true, errors: true,
        unreachable: { udp: Unreachable.on, other: Unreachable.off }, limit: { rate: 0.5, burst: 1 },
        tcp: { ports: [] }, udp: { ports: [] }, link: undefined, path: undefined,
      },
      {
        text: "10.0.2.0/24", name: undefined, ttl: 9, echo: false, timestamp: false, errors: false,
        unreachable: { udp: Unreachable.silent, other: Unreachable.off }, limit: undefined,
        tcp: { ports: [] }, udp: { ports: [] }, link: undefined, path: undefined,
      },
    ]);
  });

  test("--ignore-echo takes echo out of what is answered by default, and out of nothing else", () => {
    const { options } = read(
      "answer: [echo, timestamp]\nprefixes: [10.0.0.0/24, { prefix: 10.0.1.0/24, answer: [echo] }]\n",
      ["--ignore-echo"],
    );
    assert.deepEqual(
      options.serving.prefixes.map(({ answers: { echo, timestamp } }) => [echo, timestamp]),
      [[false, true], [true, false]],
    );
  });

  describe("ports", () => {
    const portsOf = (text: string) => read(text).options.serving.prefixes.map(({ answers: { tcp } }) =>
      tcp?.ports.map(({ first, last, service }) => `${first}-${last} ${service.name}`).join());

    test("of a prefix are laid over those of all, port by port; the narrower range decides; refuse takes away", () => {
      assert.deepEqual(portsOf("services: { own: { tcp: { banner: x } } }\n"
        + "tcp: { 1-100: silent, 7: echo, 22: own, 23: refuse, 24: echo }\nprefixes:\n  - 10.0.0.0/8\n"
        + "  - { prefix: 11.0.0.0/8, tcp: { 7: refuse, 20-30: tarpit, 200: echo, 201: echo } }\n"
        + "  - { prefix: 12.0.0.0/8, tcp: { 1-65535: refuse } }\n  - { prefix: 13.0.0.0/8, tcp: {} }\n"), [
        "1-6 silent,7-7 echo,8-21 silent,22-22 own,24-24 echo,25-100 silent",
        "1-6 silent,8-19 silent,20-30 tarpit,31-100 silent,200-201 echo", "",
        "1-6 silent,7-7 echo,8-21 silent,22-22 own,24-24 echo,25-100 silent",
      ]);
    });

    test("that come to the same are one list, of however many prefixes and however they are written", () => {
      const ways = ["{ 7: echo, 8: echo }", "{ 7-8: echo }", "{ 8: echo, 7: echo, 9: refuse }"];
      const lines = Array.from({ length: 3000 }, (_, i) =>
        `  - { prefix: 10.${i >> 8}.${i & 255}.0/24, ttl: ${1 + i % 255}, rate_limit: { rate: ${1 + i} }, tcp: `
        + `${ways[i % 3]}, tcp_connections: ${1 + i} }\n`);
      const { prefixes } = read(`prefixes:\n  - 11.0.0.0/8\n${lines.join("")}`).options.serving;
      assert.equal(new Set(prefixes.slice(1).map(({ answers: { tcp } }) => tcp?.ports)).size, 1);
      assert.equal(prefixes[0].answers.tcp?.ports.length, 0);
      assert.deepEqual(
        prefixes.slice(0, 3).map(({ answers: { tcp } }) => tcp?.connections), [undefined, 1, 2],
      );
    });

    test("of UDP are apart from those of TCP, and need no connections", () => {
      const { options } = read("udp: { 7: echo, 9: discard }\ntcp_connections: 0\nprefixes:\n  - 10.0.0.0/8\n"
        + "  - { prefix: 11.0.0.0/8, udp: { 9: unreachable, 1-6: silent } }\n"
        + "  - { prefix: 12.0.0.0/8, udp: { 1-65535: unreachable } }\n");
      assert.deepEqual(options.serving.prefixes.map(({ answers: { udp, tcp } }) => [
        udp?.ports.map(({ first, last, service }) => `${first}-${last} ${service.name}`).join(), tcp?.ports.length,
      ]), [["7-7 echo,9-9 discard", 0], ["1-6 silent,7-7 echo", 0], ["", 0]]);
      assert.equal(options.accepts, false);
      assert.deepEqual(options.serving.prefixes[0].answers.udp?.ports[0].service, { name: "echo", kind: Service.echo });
    });

    test("have the options of STAMP, whose defaults are those of the service that needs no entry", () => {
      const options = "{ mode: stateful, timestamp: ptp, cos: [0, 46, 63], dscp: 10, ttl: 64, short: answer, "
        + "sources: any, location: false, idle_timeout: 90s }";
      const { options: { serving } } = read(
        `${P}services: { a: { stamp: {} }, b: { stamp: ${options} }, c: { stamp: { cos: any } } }\n`
        + "udp: { 1: a, 2: b, 3: c, 862: stamp }\n",
      );
      const [a, b, c, plain] = serving.prefixes[0].answers.udp?.ports.map(({ service }) => service) ?? [];
      assert.deepEqual(plain, { name: "stamp", kind: Service.stamp });
      assert.deepEqual(a, { name: "a", kind: Service.stamp, bytes: stampBytes(DEFAULT_STAMP), anySource: false });
      const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("hex");
      // abi/stamp.ts: flags, DSCP, TTL, milliseconds, a bit for each DSCP.
      assert.equal(hex(a.bytes), "10ffff00" + "a0bb0d00" + "0000000000000000");
      assert.equal(hex(b.bytes), "0f0a4000" + "905f0100" + "0100000000400080");
      assert.equal(hex(c.bytes), "10ffff00" + "a0bb0d00" + "ffffffffffffffff");
      assert.equal(b.anySource, true);
    });

    test("need connections and memory if a service accepts connections", () => {
      const { options } = read(`${P}tcp: { 7: echo }\ntcp_connections: 5\ntcp_memory: 65536\n`);
      assert.equal(options.accepts, true);
      assert.deepEqual(options.tcp, { connections: 5, memory: 65536, bySource: 0, threads: 1 });
      const none = read(`${P}tcp: { 7: silent, 8: refuse }\ntcp_connections: 0\ntcp_memory: 0\n`);
      assert.equal(none.options.accepts, false);
    });

    test("have the bytes of their service: of a text, or of a file beside the configuration's", (context) => {
      const folder = mkdtempSync(join(tmpdir(), "pongd-config-"));
      context.after(() => { rmSync(folder, { recursive: true }); });
      const bytes = Buffer.from([0, 255, 13, 10]);
      writeFileSync(join(folder, "ok.http"), bytes);
      writeFileSync(join(folder, "pongd.yaml"), "prefixes: [10.99.0.0/16]\ntcp: { 1: ssh, 2: health }\nservices:\n"
      + "  ssh: { tcp: { banner: \"SSH é\\r\\n\" } }\n  health: { tcp: { reply: ok.http, after: \"\\r\\n\" } }\n");
      const file = new ConfigFile(join(folder, "pongd.yaml"));
      const given: Given = { values: {}, names: {}, ignoreEcho: false, queueFds: undefined, example: undefined };
      const found = effective(given, file);
      const [{ answers: { tcp } }] = found.options.serving.prefixes;
      assert.deepEqual(tcp?.ports, [
        { first: 1, last: 1, service: { name: "ssh", kind: Service.banner, bytes: Buffer.from("SSH é\r\n") } },
        { first: 2, last: 2, service: { name: "health", kind: Service.reply, bytes, after: Buffer.from("\r\n") } },
      ]);
      // What is printed may lie in another folder.
      const printed = toYaml(toDocument(found));
      assert.match(printed, new RegExp(`^ {2}health: { tcp: { reply: "${folder}/ok.http", after: `, "m"));
      assert.deepEqual(read(printed).options.serving.prefixes[0].answers.tcp?.ports, tcp.ports);
    });
  });

  test("interfaces: a prefix has its own in place of those of all, and equal ones are one list", () => {
    const neighbor = "[{ address: 10.0.0.2, neighbor: stale }]";
    const text = "interfaces: [{ name: \"5\", address: 02:00:00:00:00:01 }, { name: eth1/0, index: 9, address: "
      + `[10.0.0.1, ::1], active: false }]\nprefixes:\n  - 10.0.0.0/8\n`
      + `  - { prefix: 11.0.0.0/8, interfaces: ${neighbor} }\n  - { prefix: 12.0.0.0/8, interfaces: [] }\n`
      + `  - { prefix: 13.0.0.0/8, interfaces: ${neighbor} }\n`
      + "  - { prefix: 14.0.0.0/8, ttl: 3 }\n";
    const lists = (text: string) =>
      read(text).options.serving.prefixes.map(({ answers: { interfaces } }) => interfaces);
    const [all, own, none, same, other] = lists(text);
    // abi/probe.ts: queries, number; C-Type, state, interface, length, family, 0, value.
    assert.equal(
      Buffer.from(all ?? []).toString("hex"), "0e000000" + "06000000" + "01070001" + "00000000" + "35000000"
      + "03070006" + "05400000" + "0200000000010000" + "01000106" + "00000000" + "657468312f300000"
      + "02000104" + "00000000" + "00000009" + "03000104" + "01000000" + "0a000001"
      + "03000110" + "02000000" + "00000000000000000000000000000001",
    );
    assert.equal(
      Buffer.from(own ?? []).toString("hex"), "10000000" + "01000000" + "04600004" + "01000000" + "0a000002",
    );
    assert.equal(none, undefined);
    assert.equal(same, own);
    assert.equal(other, all);
    assert.deepEqual(lists(toYaml(toDocument(read(text)))), [all, own, none, same, other]);
    assert.deepEqual(lists(P), [undefined]);
  });

  test("with the js engine, what it cannot do is off", () => {
    const { options } = read(`${P}engine: js\n`);
    const [{ answers }] = options.serving.prefixes;
    assert.deepEqual(
      [answers.errors, answers.unreachable, answers.tcp, options.reassembly, options.tcp, options.accepts],
      [false, { udp: Unreachable.off, other: Unreachable.off }, undefined, 0, undefined, false],
    );
  });

  test("source routes and limits of a source", () => {
    assert.deepEqual(
      read(`${P}source_route: reverse\nsource_rate_limit: { rate: 50, burst: 100 }\nseed: 7\n`).options.serving.policy,
      { sourceRoute: SourceRoute.reverse, sourceLimit: { rate: 50, burst: 100 }, seed: 7n },
    );
  });

  test("what needs a new start is told from what a reload changes", () => {
    const before = read(P).values;
    const after = read("device: { name: pong1, queues: auto }\nlog: { level: debug, format: json }\nlisten: [\":1\", "
      + "unix:/a]\nttl: 5\nprefixes: [10.0.0.0/8]\n").values;
    assert.deepEqual(needsRestart(before, after), [
      "device.name stays pong0 until pongd is started again, when it will be pong1",
      "device.queues stays 1 until pongd is started again, when it will be auto",
      "listen stays 127.0.0.1:7664 until pongd is started again, when it will be :1, unix:/a",
      "log.format stays text until pongd is started again, when it will be json",
    ]);
    assert.deepEqual(needsRestart(before, read(
      "ttl: 5\nunreachable: silent\nlog: { level: debug }\nprefixes: [10.0.0.0/8]\nexcept: [10.1.0.0/16]\n",
    ).values), []);
  });
});

test("times are in milliseconds, seconds, minutes or hours", () => {
  for (const [text, ms] of [
    ["0s", 0], ["0h", 0], ["999999ms", 999_999], ["3600s", 3.6e6], ["2m", 120_000], ["1h", 3.6e6],
    ["5 ms", 5], ["3600 s", 3.6e6], ["60 m", 3.6e6], ["1 h", 3.6e6],
  ] as const) {
    assert.match(text, DURATION);
    assert.equal(millisecondsOf(text), ms);
  }
  for (const text of ["2h", "61m", "3601s", "1.5h", "1  h", "1\u00a0h", " 1h", "1H", "1d", "h", "1"]) {
    assert.doesNotMatch(text, DURATION);
  }
  assert.doesNotMatch("0 s", POSITIVE_DURATION);
  assert.match("10 s", POSITIVE_DURATION);
  assert.equal(
    refusal(`${P}services: { a: { irtt: { min_interval: 15000 ms } }, b: { irtt: { min_interval: 9 s } } }\n`), undefined,
  );
});

/**
 * Samples for each option, by its attribute: a flag, a variable and a file's text, each with a different value, and the
 * values that the key then has.
 */
const SAMPLES: Record<string, { flag: string[]; variable: string; file: string; values: readonly [
  flag: unknown, variable: unknown, file: unknown,
]; }> = {
  device: { flag: ["--device", "f0"], variable: "e0", file: "device: { name: c0 }", values: ["f0", "e0", "c0"] },
  mode: { flag: ["--mode", "tun"], variable: "tap", file: "device: { mode: tap }", values: ["tun", "tap", "tap"] },
  mac: {
    flag: ["--mode", "tap", "--mac", "shared"], variable: "per-address",
    file: "device: { mode: tap, mac: per-address }", values: ["shared", "per-address", "per-address"],
  },
  mtu: { flag: ["--mtu", "auto"], variable: "1401", file: "device: { mtu: 1402 }", values: ["auto", 1401, 1402] },
  shutdownDelay: {
    flag: ["--shutdown-delay", "1s"], variable: "0s", file: "shutdown_delay: 1h", values: ["1s", "0s", "1h"],
  },
  queues: { flag: ["--queues", "auto"], variable: "2", file: "device: { queues: 3 }", values: ["auto", 2, 3] },
  offload: {
    flag: ["--offload", "auto"], variable: "on", file: "device: { offload: off }", values: ["auto", "on", "off"],
  },
  routes: { flag: ["--no-routes"], variable: "0", file: "device: { routes: false }", values: [false, true, false] },
  hostAddress: {
    flag: ["--host-address", "10.99.0.5"], variable: "none", file: "device: { host_address: 10.99.0.7 }",
    values: [["10.99.0.5"], ["none"], ["10.99.0.7"]],
  },
  except: { flag: [
    "--except", "10.99.1.0/24", "--except", "10.99.2.0/24",
  ], variable: "10.99.3.0/24, 10.99.4.0/24 10.99.5.0/24", file: "except: [10.99.6.0/24]",
  values: [["10.99.1.0/24", "10.99.2.0/24"], ["10.99.3.0/24", "10.99.4.0/24", "10.99.5.0/24"], ["10.99.6.0/24"]] },
  engine: { flag: ["--engine", "wasm"], variable: "js", file: "engine: js", values: ["wasm", "js", "js"] },
  io: { flag: ["--io", "auto"], variable: "uring", file: "io: readwrite", values: ["auto", "uring", "readwrite"] },
  spin: { flag: ["--spin", "0"], variable: "1", file: "spin: 2", values: [0, 1, 2] },
  precision: {
    flag: ["--precision", "coarse"], variable: "fine", file: "precision: fine", values: ["coarse", "fine", "fine"],
  },
  reassembly: { flag: ["--reassembly", "64"], variable: "1", file: "reassembly: 2", values: [64, 1, 2] },
  listen: { flag: [
    "--listen", ":1", "--listen", "unix:/f",
  ], variable: "[::1]:2, unix:/e [fe80::1%lo]:2", file: "listen: localhost:3",
  values: [[":1", "unix:/f"], ["[::1]:2", "unix:/e", "[fe80::1%lo]:2"], ["localhost:3"]] },
  webConfig: {
    flag: ["--web-config", "f.yml"], variable: "e.yml", file: "web_config: c.yml", values: ["f.yml", "e.yml", "c.yml"],
  },
  maxRequests: { flag: ["--max-requests", "0"], variable: "1", file: "max_requests: 2", values: [0, 1, 2] },
  logLevel: {
    flag: ["--log-level", "info"], variable: "warn", file: "log: { level: debug }", values: ["info", "warn", "debug"],
  },
  logFormat: {
    flag: ["--log-format", "text"], variable: "json", file: "log: { format: json }", values: ["text", "json", "json"],
  },
  dropPrivileges: {
    flag: ["--drop-privileges"], variable: "no", file: "privileges: drop", values: ["drop", "keep", "drop"],
  },
  ttl: { flag: ["--ttl", "64"], variable: "1", file: "ttl: 2", values: [64, 1, 2] },
  ignoreEcho: {
    flag: ["--ignore-echo"], variable: "false", file: "answer: [echo, timestamp]",
    values: [["timestamp"], ["echo", "timestamp"], ["echo", "timestamp"]],
  },
  unreachable: {
    flag: ["--unreachable", "udp=on"], variable: "udp=silent,other=off", file: "unreachable: { udp: off }",
    values: ["on", "silent", "off"],
  },
  sourceRoute: {
    flag: ["--source-route", "drop"], variable: "reverse", file: "source_route: reverse",
    values: ["drop", "reverse", "reverse"],
  },
  rateLimit: {
    flag: ["--rate-limit", "none"], variable: "1000", file: "rate_limit: { rate: 5, burst: 6 }",
    values: ["none", { rate: 1000, burst: undefined }, { rate: 5, burst: 6 }],
  },
  sourceRateLimit: {
    flag: ["--source-rate-limit", "2.5/3"], variable: "none", file: "source_rate_limit: { rate: 5 }",
    values: [{ rate: 2.5, burst: 3 }, "none", { rate: 5 }],
  },
  tcp: {
    flag: ["--tcp", "007=echo", "--tcp", "8000-8010=discard"], variable: "9=discard, 0019-19=chargen 13=silent",
    file: "tcp: { 23: tarpit }",
    values: [{ 7: "echo", "8000-8010": "discard" }, { 9: "discard", 13: "silent", 19: "chargen" }, { 23: "tarpit" }],
  },
  serviceThreads: { flag: ["--service-threads", "1"], variable: "16", file: "service_threads: 2", values: [1, 16, 2] },
  udp: {
    flag: ["--udp", "007=echo", "--udp", "8000-8010=discard"], variable: "9=discard, 0019-19=silent",
    file: "udp: { 23: unreachable }",
    values: [{ 7: "echo", "8000-8010": "discard" }, { 9: "discard", 19: "silent" }, { 23: "unreachable" }],
  },
  tcpConnections: {
    flag: ["--tcp-connections", "0"], variable: "1000000", file: "tcp_connections: 2", values: [0, 1_000_000, 2],
  },
  tcpMemory: {
    flag: ["--tcp-memory", "0"], variable: "1073741824", file: "tcp_memory: 8192", values: [0, 1 << 30, 8192],
  },
  tcpSourceConnections: {
    flag: ["--tcp-source-connections", "0"], variable: "1", file: "tcp_source_connections: 2", values: [0, 1, 2],
  },
  link: {
    flag: ["--link", "rtt=50ms,out.loss=1%"], variable: "none", file: "link: { rtt: 20ms }",
    values: [{ rtt: "50ms", out: { loss: "1%" } }, "none", { rtt: "20ms" }],
  },
  seed: { flag: ["--seed", "0"], variable: "1", file: "seed: 2", values: [0, 1, 2] },
  heldPackets: { flag: ["--held-packets", "1"], variable: "2", file: "held_packets: 3", values: [1, 2, 3] },
  udpSessions: { flag: ["--udp-sessions", "1"], variable: "65536", file: "udp_sessions: 9", values: [1, 65_536, 9] },
};

describe("flags win over environment, over the file, over defaults", () => {
  const others = ["config", "queueFds"];
  const { options } = parsed([]);

  test("every key of the file is an option's, or one that only a file has; every option has a key", () => {
    const without = options.filter((option) => settingsOf(option).length === 0);
    assert.deepEqual(without.map((option) => option.attributeName()).sort(), others);
    const keys = options.flatMap((option) => settingsOf(option).map(({ key }) => key));
    const ofFiles = ["interfaces", "links", "path", "paths", "prefixes", "services"];
    assert.deepEqual([...keys, ...ofFiles].sort(), Object.keys(DEFAULTS).sort());
  });

  for (const option of options.filter((option) => !others.includes(option.attributeName()))) {
    const attribute = option.attributeName();
    const [{ key }] = settingsOf(option);
    test(`${option.long ?? ""}: ${key}`, () => {
      const { flag, variable, file, values: [byFlag, byVariable, inFile] } = SAMPLES[attribute];
      const name = `PONGD_${(option.long ?? "").slice(2).replaceAll("-", "_").toUpperCase()}`;
      assert.equal(option.envVar, name);
      const environment: Record<string, string> = { [name]: variable, ...attribute === "mac" && { PONGD_MODE: "tap" } };
      const text = `${P}${file}\n`;
      const value = (...given: Parameters<typeof read>) => read(...given).values[key];
      // This option takes echo out of the answers that the variable or the file gives.
      const without = attribute === "ignoreEcho"
        ? { variable: DEFAULTS.answer, flag: ["timestamp", "unreachable"] }
        : { variable: byVariable, flag: byFlag };
      assert.deepEqual(value(P), DEFAULTS[key], "default");
      assert.deepEqual(value(text), inFile, "file over default");
      assert.deepEqual(value(text, [], environment), byVariable, "environment over file");
      assert.deepEqual(value(text, flag, environment), byFlag, "flag over environment");
      assert.deepEqual(value(P, [], environment), without.variable, "environment over default");
      assert.deepEqual(value(text, flag), byFlag, "flag over file");
      assert.deepEqual(value(undefined, ["10.99.0.0/16", ...flag]), without.flag, "flag without a file");
      assert.deepEqual(value(text, [], { ...environment, [name]: "" }), inFile, "an empty variable is none");
      if (option.defaultValue !== undefined && ![
        "hostAddress", "except", "listen", "routes", "dropPrivileges", "ignoreEcho", "unreachable",
      ].includes(attribute)) {
        assert.deepEqual(option.defaultValue, DEFAULTS[key], "the help tells the default");
      }
    });
  }

  test("udp_sessions is what queues get, if a file says which services there are: no option can", () => {
    const sessions = (...given: Parameters<typeof read>) => read(...given).options.sessions;
    assert.equal(sessions(P), 4096);
    assert.equal(sessions(`${P}udp_sessions: 9\n`), 9);
    assert.equal(sessions(`${P}udp_sessions: 9\n`, ["--udp-sessions", "7"]), 7);
    assert.equal(sessions(undefined, ["10.99.0.0/16", "--udp-sessions", "7"]), 0);
  });

  test("prefixes: arguments, PONGD_PREFIXES, file", () => {
    const prefixes = (...given: Parameters<typeof read>) => read(...given).options.serving.prefixes
      .map(({ text }) => text);
    const environment = { PONGD_PREFIXES: "10.1.0.0/16,10.2.0.0/16\n10.3.0.0/16" };
    assert.deepEqual(prefixes(P, ["10.4.0.0/16"], environment), ["10.4.0.0/16"]);
    assert.deepEqual(prefixes(P, [], environment), ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"]);
    assert.deepEqual(prefixes(P), ["10.99.0.0/16"]);
  });

  test("a part of a key leaves the other as it was", () => {
    const { values } = read(`${P}unreachable: { udp: silent, other: silent }\n`, ["--unreachable", "other=off"]);
    assert.deepEqual([values["unreachable.udp"], values["unreachable.other"]], ["silent", "off"]);
    const both = read(P, ["--unreachable", "udp=silent", "--unreachable", "other=off"]).values;
    assert.deepEqual([both["unreachable.udp"], both["unreachable.other"]], ["silent", "off"], "given one at a time");
  });

  for (const [environment, line] of [
    [{ PONGD_NO_ROUTES: "maybe" }, "PONGD_NO_ROUTES is \"maybe\"; expected true or false"],
    [
      { PONGD_DEVICE: "a/b" },
      "PONGD_DEVICE: device name \"a/b\": write 1 to 15 ASCII characters, none of them a space, \"/\", \":\" or \"%\"",
    ],
    [
      { PONGD_PREFIXES: "10.99.0.1/16" },
      "PONGD_PREFIXES: prefix \"10.99.0.1/16\" has bits set beyond its length; did you mean 10.99.0.0/16?",
    ],
    [{ PONGD_MAC: "shared" }, "PONGD_MAC: a TUN device has no MAC addresses: leave PONGD_MAC out, or add --mode tap"],
    [{ PONGD_EXCEPT: "10.0.0.0/24" }, "PONGD_EXCEPT: exception 10.0.0.0/24 lies in none of the prefixes"],
  ] as const) {
    test(`a wrong variable is named: ${line}`, () => {
      assert.deepEqual(refusal(P, [], environment as Record<string, string>), { lines: [line], status: EXIT.USAGE });
    });
  }

  test("a variable that its option's parser refuses is named as well", () => {
    assert.throws(
      () => parsed([], { PONGD_MTU: "67" }),
      /'67' from env 'PONGD_MTU' is invalid\. It must be a whole number from 68 to 65535/,
    );
    assert.throws(
      () => parsed([], { PONGD_LISTEN: "7664" }), /'7664' from env 'PONGD_LISTEN' is invalid\. listen address "7664"/,
    );
  });

  test("the file's value that a flag does not go with is told with its place", () => {
    assert.deepEqual(refusal(`${P}device: { mode: tap, mac: shared }\n`, ["--mode", "tun"]), {
      lines: ["FILE:2:27: a TUN device has no MAC addresses: leave device.mac out, or write mode: tap"],
      status: EXIT.CONFIG,
    });
  });
});

describe("what pongd check prints", () => {
  test("every key that there is, defaults filled in; of a prefix what differs", () => {
    const text = toYaml(
      toDocument(read("prefixes:\n  - { prefix: 10.99.0.0/16, name: lab, answer: [unreachable, timestamp, echo], ttl: "
        + "64 }\n  - { prefix: 10.99.7.0/24, name: \"7\", answer: [], rate_limit: { rate: 5 } }\n")),
    );
    const printed = load(text) as Record<string, Record<string, unknown>>;
    for (const key of Object.keys(DEFAULTS).filter((key) => key !== "device.mac")) {
      const [outer, inner] = key.split(".") as [string, string?];
      assert.ok(inner === undefined ? outer in printed : inner in printed[outer], key);
    }
    assert.match(text, /^listen: 127\.0\.0\.1:7664$/m);
    assert.match(toYaml(toDocument(read(`${P}listen: [":1", "unix:/a"]\n`))), /^listen: \[":1", "unix:\/a"\]$/m);
    assert.match(
      text,
      /^ {2}- \{ prefix: 10\.99\.0\.0\/16, name: lab \}\n {2}- \{ prefix: 10\.99\.7\.0\/24, name: "7", answer: \[\], rate_limit: \{ rate: 5, burst: 5 \} \}$/m,
    );
  });

  test("what is accepted and odd is said, and a nested prefix is not odd", () => {
    const odd = (text: string) => oddities(read(text));
    assert.deepEqual(odd("prefixes: [10.0.0.0/8, 10.1.0.0/16]\nexcept: [10.0.0.0/9]\n"), []);
    assert.deepEqual(
      odd(`${P}except: [10.99.0.0/17, 10.99.128.0/17]\n`),
      ["prefix 10.99.0.0/16 has no address left: exceptions and longer prefixes take them all"],
    );
    assert.deepEqual(odd(`${P}answer: []\n`), ["no prefix answers anything"]);
    assert.deepEqual(odd(`${P}spin: 5\nio: readwrite\n`), ["spin does nothing with io: readwrite"]);
    const fine = "precision: fine\n";
    assert.deepEqual(odd(P + fine), ["precision: fine is for links, and no prefix has one"]);
    assert.deepEqual(odd(`${P}link: { rtt: 20ms }\n${fine}`), []);
    const looping = (ports: number) => `prefix 10.99.0.0/16 has services of UDP that answer at ${ports} ports: nothing `
      + "that comes from these ports is answered, lest a loop begin, and clients use any of them; name fewer ports";
    assert.deepEqual(odd(`${P}udp: { 1-65535: echo }
`), [looping(65_535)]);
    assert.deepEqual(odd(`${P}udp: { 1-65535: echo, 1024-65535: discard, 30000-34095: echo }
`), [looping(5119)]);
    assert.deepEqual(odd(`${P}udp: { 1-65535: silent, 1024-65534: discard, 30000-34000: echo }
`), []);
    const odder = "has a backslash before r or n: YAML makes a line end of it only within double quotes";
    assert.deepEqual(odd(`${P}services: { a: { tcp: { banner: 'x\\r\\n' } }, b: { tcp: { banner: "x\\r\\n" } } }\n`), [
      `services.a.tcp.banner ${odder}`,
    ]);
    assert.equal(odd(`${P}services:\n${Array.from(
      { length: 12 }, (_, i) => `  a${i}: { tcp: { banner: '\\n' } }\n`,
    ).join("")}`).at(-1), "and 2 more like it");
  });
});

describe("the JSON Schema", () => {
  const allowed = (text: string) => validate(load(text));

  test("is of draft 2020-12, has a title, and describes every key", () => {
    const { $schema, title } = jsonSchema() as { $schema?: string; title?: string };
    assert.deepEqual([$schema, title], ["https://json-schema.org/draft/2020-12/schema", "pongd configuration"]);
    const walk = (node: ReturnType<typeof jsonSchema>, path: string) => {
      for (const [key, child] of Object.entries(node.properties ?? {})) {
        assert.ok(child.description, `${path}${key} has a description`);
        walk(child, `${path}${key}.`);
      }
      for (const child of [node.items, ...node.anyOf ?? []]) if (child) walk(child, path);
    };
    walk(jsonSchema(), "");
  });

  test("says of the keys that a reload changes that it does", () => {
    for (const key of [...RELOADED].filter((key) => !key.startsWith("unreachable"))) {
      const [outer, inner] = key.split(".") as [string, string?];
      const node = jsonSchema().properties?.[outer];
      assert.match(
        (inner === undefined ? node : node?.properties?.[inner])?.description ?? "", /A reload changes it\.$/, key,
      );
    }
  });

  for (const text of [
    "lisen: 1", "device: { mtu: 67 }", "ttl: x", "answer: [ping]", "prefixes: [7]", "prefixes: [{ name: x }]",
    "prefixes: [ten]", "rate_limit: { burst: 1 }", "device: { name: a/b }", "engine: rust",
  ]) {
    test(`refuses ${text}`, () => {
      assert.equal(allowed(text), false);
    });
  }
});

test("what the documents show is what pongd reads", () => {
  const texts = ["docs/configuration.md", "README.md"].flatMap(
    (file) => [...readFileSync(source(file), "utf8").matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text),
  );
  assert.ok(texts.length >= 2);
  for (const text of [...texts, readFileSync(source("deploy/pongd.yaml"), "utf8")]) {
    assert.equal(refusal(text), undefined, text);
    assert.deepEqual(oddities(read(text)), []);
    assert.ok(validate(load(text)), JSON.stringify(validate.errors));
  }
});
