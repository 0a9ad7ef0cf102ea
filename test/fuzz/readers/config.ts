/**
 * Fuzzes the configuration file of `pongd run --config` and `pongd check`. It is a configuration, or refused with
 * places within the text. Piece by piece it is what it is as a whole. What is printed of a configuration means the
 * same.
 */
import assert from "node:assert/strict";
import { withLineFeeds } from "../../../src/config/bytes.js";
import type { Given } from "../../../src/config/given.js";
import { ConfigFile } from "../../../src/config/reader.js";
import { effective } from "../../../src/config/merge.js";
import { oddities, toDocument, toYaml } from "../../../src/config/print.js";
import { jsonSchema } from "../../../src/config/schema.js";
import { Failure } from "../../../src/base/failure.js";
import type { Reader } from "../guided.js";
import { Folder } from "./folder.js";
import { checkPlaces, refusalOr } from "./refused.js";
import { checkPieces, YAML } from "./yaml.js";

const NOTHING_GIVEN: Given = {
  values: {}, names: {}, ignoreEcho: false, queueFds: undefined, example: "pongd run 10.99.0.0/16",
};

function words(): string[] {
  const found = new Set<string>();
  const walk = (node: unknown): void => {
    if (typeof node === "string") found.add(node);
    if (typeof node !== "object" || node === null) return;
    for (const [key, value] of Object.entries(node)) {
      if (key === "properties") for (const name of Object.keys(value as object)) found.add(`${name}: `);
      if (key !== "description" && key !== "title") walk(value);
    }
  };
  walk(jsonSchema());
  return [...found].filter((word) => word.length < 30);
}

let folder: Folder;

export const config: Reader = {
  covers: ["/build/src/", "/node_modules/yaml/"],
  dictionary: [...YAML, ...words(), "10.99.0.0/16", "2001:db8::/64", "10.99.0.1", "::ffff:10.0.0.0/104", "[::1]:7664"],
  seeds: [
    "prefixes: [10.99.0.0/16]\n",
    "device: { name: pong0, mode: tap, mac: per-address, mtu: 1400, queues: auto, routes: false, host_address: "
    + "[10.99.0.1, \"2001:db8::1\"] }\nengine: wasm\nio: readwrite\nspin: 5\nprecision: fine\nreassembly: 8\n"
    + "listen: \"[::1]:7664\"\nweb_config: web.yml\nmax_requests: 7\nlog: { level: debug, format: json }\nprivileges: "
    + "drop\nprefixes:\n  - 10.99.0.0/16\n  - prefix: 2001:db8::/64\n    name: six\nexcept: [10.99.7.0/24]\n",
    "engine: js\nanswer: [echo]\nttl: 9\nunreachable: off\nsource_route: drop\nrate_limit: { rate: 1000, burst: 100 "
    + "}\nsource_rate_limit: none\nprefixes:\n  - { prefix: 10.0.0.0/8, rate_limit: { rate: 0.5 }, answer: [], ttl: "
    + "1, comment: x }\n",
    "unreachable: { udp: on, other: silent }\nprefixes: &p\n- \"10.1.0.0/16\"\nexcept: *p\n",
    "prefixes: [10.99.0.0/16, 10.99.0.0/16]\nlisen: 1\nttl: 0\nttl: 1\ndevice: { nmae: x }\n",
  ],
  open() { folder = new Folder(); },
  close() { folder.remove(); },
  feed(input) {
    const file = folder.write("pongd.yaml", input);
    const text = withLineFeeds(new TextDecoder().decode(input));
    const read = refusalOr(() => effective(NOTHING_GIVEN, new ConfigFile(file)));
    if (read instanceof Failure) {
      assert.equal(read.exitStatus, 3);
      checkPlaces(read.lines, file, text);
    } else {
      const document = toDocument(read);
      const again = effective(NOTHING_GIVEN, new ConfigFile(folder.write("printed.yaml", toYaml(document))));
      assert.deepEqual(toDocument(again), document);
      for (const oddity of oddities(read)) assert.match(oddity, /./);
    }
    checkPieces(text);
  },
};
