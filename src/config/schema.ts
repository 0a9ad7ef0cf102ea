/**
 * The configuration file's schema, made from the settings: each key's values and purpose. `pongd check --schema` prints
 * it for editors.
 */
import { z } from "zod";
import { Failure } from "../base/failure.js";
import { parseEndpoint } from "../prefix/endpoints.js";
import { NEIGHBOR_STATES } from "../prefix/interfaces.js";
import { MAX_IRTT_LENGTH } from "../prefix/irtt.js";
import { MAX_DSCP, STAMP_MODES, STAMP_SHORT, STAMP_TIMESTAMPS } from "../prefix/stamp.js";
import { PROXY_HEADERS, UDP_SOURCES } from "../prefix/streams.js";
import type { Document } from "./document.js";
import {
  inWords, MAPS, POSITIVE_DURATION, POSITIVE_DURATION_RULE, purposeOf, sentence, SETTINGS, split, type Setting,
} from "./keys.js";
import { INTERFACE_ADDRESS, MAX_ADDRESSES, MAX_INTERFACES, MAX_NAME } from "./interfaces.js";
import { link } from "./linkschema.js";
import { steps } from "./pathschema.js";
import { DISCRIMINATOR, MAX_DISCRIMINATORS } from "./measurement.js";
import { boolean, choice, list, map, whole } from "./shapes.js";
import {
  ANSWERS, eitherOf, ENDPOINT, expected, isWords, MAX_PREFIX_CONNECTIONS, MAX_RATE, namable, ONE_OR_MORE,
  type Type,
} from "./types.js";

const PREFIX = "a prefix like 10.99.0.0/16 or 2001:db8::/64, in quotes if it ends with a colon";
const PREFIX_PATTERN = "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$";
const EXAMPLES = ["10.99.0.0/16", "2001:db8::/64"];
const ADDRESS_PATTERN = "^(none|[0-9A-Fa-f.:]+)$";
const NAME = "1 to 64 printable characters, in quotes if they look like a number";
const PORTS = "a port or a range of ports, like 80 or 8000-8010";
const PORTS_PATTERN = "^[0-9]{1,5}(-[0-9]{1,5})?$";
const TARGET = "where to, like 127.0.0.1:8080 or unix:/run/web.sock";
const SERVICE_NAME = "a service's name";
const SERVICE_NAME_PATTERN = "^[A-Za-z][A-Za-z0-9_-]{0,63}$";
const LINK_NAME = "a link's name";
const PATH_NAME = "a path's name";
const LINK = "a map like { rtt: 20ms, loss: 0.1% }";
const DSCP = `a whole number from 0 to ${MAX_DSCP}`;
const DSCP_OR_REFLECT = `reflect, or ${DSCP}`;
const COS = `none, any, or a list of whole numbers from 0 to ${MAX_DSCP}`;
const TTL = "a whole number from 1 to 255";
const IRTT_LENGTH = `a whole number from 16 to ${MAX_IRTT_LENGTH}`;
const DISCRIMINATORS = `any, or a list of 1 to ${MAX_DISCRIMINATORS} discriminators`;
const INTERFACE = "a map like { name: eth0, index: 2, address: 192.0.2.1 }";
const INTERFACE_NAME = `1 to ${MAX_NAME} printable ASCII characters, in quotes if they look like a number`;
const INDEX = "a whole number from 1 to 4294967295";
const ADDRESSES = `${INTERFACE_ADDRESS}, or a list of 1 to ${MAX_ADDRESSES} of them`;
const CONNECTIONS = `a whole number from 1 to ${MAX_PREFIX_CONNECTIONS}, or no such key for no limit of its own`;
const RATE = `replies a second, above 0 and up to ${MAX_RATE}`;
const BURST = `replies at once, from 1 to ${MAX_RATE}`;

/** Makes the zod type that checks a file's value from a setting's type. */
function shapeOf(type: Type): z.ZodType {
  const what = expected(type);
  switch (type.kind) {
    case "choice": return choice(type.choices, what);
    case "whole": return whole(type.min, type.max, what);
    case "whole or auto": return z.union([z.literal("auto"), shapeOf({ ...type, kind: "whole" })], what);
    case "text": return z.string(what).regex(type.pattern, what);
    case "boolean": return boolean();
    case "file": return z.string(what).min(1, what);
    case "addresses": return oneOrMore(text(what, ADDRESS_PATTERN), what);
    case "endpoints": return oneOrMore(z.string(ENDPOINT).refine(isEndpoint, ENDPOINT), what);
    case "prefixes": return list(prefixEntry(), what);
    case "exceptions": return list(text(PREFIX, PREFIX_PATTERN), what);
    case "answers": return list(choice(ANSWERS, eitherOf(ANSWERS)), what);
    case "limit": return limit(what);
    case "ports": {
      const services = eitherOf([...namable(type.protocol), "a name under services"]);
      return z.record(text(PORTS, PORTS_PATTERN), z.string(services), what);
    }
    case "interfaces":
      return list(probed(), what).max(MAX_INTERFACES, `a list of at most ${MAX_INTERFACES} interfaces`);
    case "links": return z.record(text(LINK_NAME, SERVICE_NAME_PATTERN), link(LINK), what);
    case "link": return z.union([text(what, SERVICE_NAME_PATTERN), link(what)], what);
    case "paths": return z.record(text(PATH_NAME, SERVICE_NAME_PATTERN), steps(), what);
    case "path": return z.union([text(what, SERVICE_NAME_PATTERN), steps()], what);
    case "services": return z.record(text(SERVICE_NAME, SERVICE_NAME_PATTERN), service(), what);
  }
}

/** Makes the type of a text that is parsed later, with better messages. `pattern` is for editors. */
function text(what: string, pattern: string) {
  return z.string(what).meta({ pattern });
}

function oneOrMore(item: z.ZodType, what: string) {
  return z.union([item, list(item, what).min(1, what)], what);
}

function isEndpoint(value: string): boolean {
  try {
    parseEndpoint(value);
    return true;
  } catch (error) {
    if (error instanceof Failure) return false;
    throw error;
  }
}

function limit(what: string) {
  return z.union([
    z.literal("none"),
    map({
      rate: described(
        z.number(RATE).positive(RATE).max(MAX_RATE, RATE),
        "Replies a second in the long run; fractions are allowed.",
      ),
      burst: described(
        z.number(BURST).min(1, BURST).max(MAX_RATE, BURST).optional(),
        "Replies at once; by default one second's, and at least 1.",
      ),
    }, what),
  ], what);
}

function service() {
  const words = z.string("text").min(1, "at least one character");
  const path = filePath();
  const handler = described(path.optional(), "ES module whose default export is called; relative to the "
    + "configuration file.");
  const content = {
    root: described(path.optional(), "Folder whose files are served; relative to the configuration file."), handler,
  };
  const pair = { cert: described(path, "Certificate and its chain, PEM."), key: described(path, "Its key, PEM.") };
  return map({
    tcp: map({
      banner: described(words.optional(), "Text that is sent when a connection is accepted, in UTF-8."),
      reply: described(path.optional(),
        "File with the bytes that are sent for each end of a request; relative to the configuration file."),
      after: described(words.optional(), "End of a request that has a reply: 1 to 64 bytes, in UTF-8."),
      handler,
      proxy: described(z.string(TARGET).optional(), "Where connections go: an address and a port, or unix:PATH."),
      proxy_protocol: described(
        choice(PROXY_HEADERS, eitherOf(PROXY_HEADERS)).optional(), "Version of the PROXY protocol; none by default.",
      ),
    }, "a map with banner, or with reply and after, or with handler, or with proxy").optional(),
    http: map(content, "a map with root or handler, or an empty one, {}").optional(),
    https: map({
      ...content, cert: pair.cert.optional(), key: pair.key.optional(),
      certificates: described(
        list(map(pair, "a map with cert and key"), "a list of maps with cert and key").optional(),
        "Pairs of cert and key; the client's server name chooses one, or else the first is taken.",
      ),
    }, "a map with cert and key, and root or handler").optional(),
    udp: map({
      handler: described(path,
        "ES module whose default export is called for each datagram; relative to the configuration file."),
      sources: described(
        choice(UDP_SOURCES, eitherOf(UDP_SOURCES)).optional(),
        "Source ports that may ask: unprivileged are those of clients, from 1024 on; any are those of services, too.",
      ),
    }, "a map with handler").optional(),
    stamp: stamp().optional(),
    sbfd: sbfd().optional(),
    irtt: irtt().optional(),
  }, "a map like { tcp: { banner: \"SSH-2.0-x\\r\\n\" } } or { http: { root: ./site } }");
}

function filePath() {
  return z.string("a file's path").min(1, "a file's path");
}

function duration() {
  return z.string(POSITIVE_DURATION_RULE).regex(POSITIVE_DURATION, POSITIVE_DURATION_RULE);
}

function stamp() {
  const path = filePath();
  return map({
    mode: described(choice(STAMP_MODES, eitherOf(STAMP_MODES)).optional(),
      "Whether replies have the sender's sequence number, or one of the session's own; stateless by default."),
    timestamp: described(choice(STAMP_TIMESTAMPS, eitherOf(STAMP_TIMESTAMPS)).optional(),
      "Format of the times in replies; ntp by default."),
    cos: described(z.union([choice(["none", "any"], COS), list(whole(0, MAX_DSCP, DSCP), COS)], COS).optional(),
      "DSCPs that a sender may ask for by a Class of Service TLV; none by default."),
    dscp: described(
      z.union([z.literal("reflect"), whole(0, MAX_DSCP, DSCP_OR_REFLECT)], DSCP_OR_REFLECT).optional(),
      "DSCP of replies: that of the request by default.",
    ),
    ttl: described(whole(1, 255, TTL).optional(), "TTL, or hop limit, of replies; 255 by default."),
    short: described(choice(STAMP_SHORT, eitherOf(STAMP_SHORT)).optional(),
      "Packets that are shorter than a reply, as those of TWAMP Light may be: dropped by default, or answered."),
    sources: described(
      choice(UDP_SOURCES, eitherOf(UDP_SOURCES)).optional(),
      "Source ports that may ask: unprivileged are those of clients, from 1024 on; any are those of services, too.",
    ),
    location: described(boolean().optional(),
      "Whether a Location TLV is told at which addresses and ports its packet came; true by default."),
    idle_timeout: described(duration().optional(),
      "How long a session of the stateful mode may be silent; 15m by default."),
    key_file: described(path.optional(),
      "File with the key of all sessions, whose packets are then authenticated; relative to the configuration file."),
    key_dir: described(path.optional(),
      "Folder with a key for each SSID, in a file of that name; relative to the configuration file."),
  }, "a map like { mode: stateful }, or an empty one, {}");
}

/**
 * No more than assembly/udp/irtt/parameters.ts tells a client (MAX_INTERVAL_NS): what it sends in time has to be in
 * time.
 */
const IRTT_INTERVAL = /^(?:(?:\d{1,4}|1[0-4]\d{3}|15000) ?ms|(?:\d|1[0-5]) ?s)$/;
const IRTT_INTERVAL_RULE = "a time like 10ms or 1s, at most 15s";

function irtt() {
  return map({
    min_interval: described(z.string(IRTT_INTERVAL_RULE).regex(IRTT_INTERVAL, IRTT_INTERVAL_RULE).optional(),
      "Least time between two requests of a client; 10ms by default."),
    max_duration: described(duration().optional(),
      "Longest test that a client may make; none by default."),
    max_length: described(whole(16, MAX_IRTT_LENGTH, IRTT_LENGTH).optional(),
      "Longest packets that a client may send, in bytes; any by default."),
    key_file: described(filePath().optional(),
      "File with the key of all packets' HMACs; relative to the configuration file."),
  }, "a map like { max_duration: 5m }, or an empty one, {}");
}

function sbfd() {
  const item = z.union([whole(1, 0xffff_ffff, DISCRIMINATOR), z.string(DISCRIMINATOR)], DISCRIMINATOR);
  const own = list(item, DISCRIMINATORS).min(1, DISCRIMINATORS).max(MAX_DISCRIMINATORS, DISCRIMINATORS);
  return map({
    discriminators: described(
      z.union([z.literal("any"), own], DISCRIMINATORS).optional(),
      "Discriminators that the reflectors have; any by default.",
    ),
    admin_down: described(boolean().optional(), "Whether the reflectors say that they are AdminDown."),
  }, "a map with discriminators or admin_down, or an empty one, {}");
}

function probed() {
  const address = z.string(ADDRESSES);
  return map({
    name: described(z.string(INTERFACE_NAME).regex(new RegExp(`^[!-~]{1,${MAX_NAME}}$`), INTERFACE_NAME).optional(),
      "Its name. As with all of them, several interfaces that have the same one are told apart by no query."),
    index: described(whole(1, 0xffff_ffff, INDEX).optional(), "Its index."),
    address: described(
      z.union([address, list(address, ADDRESSES).min(1).max(MAX_ADDRESSES)], ADDRESSES).optional(),
      "Its addresses: IPv4, IPv6 and MAC addresses, one or a list.",
    ),
    active: described(boolean().optional(), "Whether it is active; true by default."),
    ipv4: described(boolean().optional(), "Whether IPv4 runs on it; true by default."),
    ipv6: described(boolean().optional(), "Whether IPv6 runs on it; true by default."),
    neighbor: described(choice(NEIGHBOR_STATES, eitherOf(NEIGHBOR_STATES)).optional(),
      "For an interface of a node beside this one: its state in the table of neighbors."),
  }, INTERFACE);
}

function prefixEntry() {
  const prefix = text(PREFIX, PREFIX_PATTERN);
  const name = z.string(NAME).regex(/^[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u, NAME);
  const own = SETTINGS.filter(({ perPrefix }) => perPrefix).map(({ key, type, text }) => {
    const how = type.kind === "ports" ? "laid over" : "in place of";
    const description = `This prefix's own, ${how} the whole file's ${key}: ${text}.`;
    return [key, described(shapeOf(type).optional(), description)] as const;
  });
  return z.union([
    prefix,
    map({
      prefix: described(prefix, "The prefix; an address alone is a prefix of one.", { examples: EXAMPLES }),
      name: described(name.optional(), "Its name in the metrics: the label `name`."),
      ...Object.fromEntries(own),
      tcp_connections: described(
        whole(1, MAX_PREFIX_CONNECTIONS, CONNECTIONS).optional(),
        "TCP connections that all its addresses together may have at a time; by default there is no such limit.",
      ),
      comment: described(z.string("text").optional(), "For whoever reads the file."),
    }, "a map with the key prefix"),
  ], `${PREFIX}, or a map like { prefix: 10.99.0.0/16, name: lab }`);
}

/** Gives a type the text that an editor shows with it. */
function described<T extends z.ZodType>(
  type: T, description: string, more: { examples?: unknown; default?: unknown } = {},
): T {
  return type.meta({ ...type.meta(), description, ...more });
}

/** Returns the description of a setting, with the facts for which editors have no column. */
function descriptionOf(setting: Setting): string {
  const { js, defaultText, reload } = setting;
  return [
    purposeOf(setting),
    ...defaultText === undefined ? [] : [`The default is ${defaultText}.`],
    ...js === undefined ? [] : [`With engine: js the default is ${inWords(js)}.`],
    ...reload ? ["A reload changes it."] : [],
  ].join(" ");
}

/** Returns the type of a setting, as an optional key. */
function keyOf(setting: Setting): z.ZodType {
  const { type, default: usual, examples } = setting;
  const one = ONE_OR_MORE.has(type.kind) && isWords(usual);
  const more = { default: one ? usual.at(0) : usual, ...examples && { examples } };
  return described(shapeOf(type), descriptionOf(setting), more).optional();
}

/** Returns the type of one map of settings, in place of which one word may stand for all of them. */
function mapOf(top: string, settings: readonly Setting[]): z.ZodType {
  const { text = "", alike } = MAPS[top] ?? {};
  const keys = map(Object.fromEntries(settings.map((setting) => [split(setting.key)[1], keyOf(setting)])));
  if (!alike) return described(keys, sentence(text)).optional();
  const { choices } = alike;
  const example = settings.map(({ key }, i) => [split(key)[1], choices[i]] as const);
  const words = eitherOf(choices);
  const what = `${words}, or a map like { ${example.map((pair) => pair.join(": ")).join(", ")} }`;
  return described(z.union([choice(choices, words), keys], what), descriptionOf({ ...settings[0], text }), {
    default: settings[0].default, examples: [choices[1], Object.fromEntries(example)],
  }).optional();
}

function shapeOfFile(): Record<string, z.ZodType> {
  const tops = new Map<string, Setting[]>();
  for (const setting of SETTINGS) {
    const [top] = split(setting.key);
    tops.set(top, [...tops.get(top) ?? [], setting]);
  }
  return Object.fromEntries(Array.from(tops, ([top, settings]) =>
    [top, MAPS[top] ? mapOf(top, settings) : keyOf(settings[0])]));
}

export const schema: z.ZodType<Document> = map(shapeOfFile(), "a map of keys like prefixes").meta({
  title: "pongd configuration",
  description: "What pongd run --config reads. Every key is optional, but prefixes must come from here or from the "
    + "command line.",
});

/** Returns the schema as JSON Schema, draft 2020-12. */
export function jsonSchema(): JsonSchema {
  return z.toJSONSchema(schema, { target: "draft-2020-12", io: "input" }) as JsonSchema;
}

/** The part of JSON Schema that is read here. */
export interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  /** Schema of all other keys, or false if there may be none. */
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly description?: string;
  readonly default?: unknown;
}
