/** The configuration file's schema: what each key may hold, and what it is for. pongd check --schema prints it for editors. */
import { z } from "zod";
import { MAX_REASSEMBLIES } from "../../abi/reassembly.js";
import { ENGINE_NAMES } from "../engine/contract.js";
import { Failure } from "../base/failure.js";
import { ENDPOINT_EXAMPLES, parseEndpoint } from "../prefix/endpoints.js";
import { IO_CHOICES } from "../io/contract.js";
import { LOG_FORMATS, LOG_LEVELS } from "../base/log.js";
import { ETH_MAX_MTU, ETH_MIN_MTU } from "../sys/uapi.js";
import {
  ANSWERS, DEFAULTS, DEVICE_NAME, DEVICE_NAME_RULE, MAC_POLICIES, MAX_QUEUES, MAX_RATE, MAX_REQUESTS, MAX_SPIN, MODES, PRIVILEGES, RELOADED, SOURCE_ROUTES,
  UNREACHABLE_MODES, type Key,
} from "./keys.js";

// A value's error message is what was expected in its place.

function whole(min: number, max: number) {
  const expected = `a whole number from ${min} to ${max}`;
  return z.int(expected).min(min, expected).max(max, expected);
}

function wholeOrAuto(min: number, max: number) {
  return z.union([z.literal("auto"), whole(min, max)], `auto, or a whole number from ${min} to ${max}`);
}

function choice<const T extends readonly string[]>(choices: T) {
  return z.enum(choices, `${choices.slice(0, -1).join(", ")} or ${choices[choices.length - 1]}`);
}

function answers() {
  const expected = `a list of ${ANSWERS.join(", ")}, or an empty one, []`;
  return z.array(choice(ANSWERS), expected);
}

/** Text that is read later, where messages can be better; `pattern` is for editors. */
function text(expected: string, pattern: string) {
  return z.string(expected).meta({ pattern });
}

const PREFIX = "a prefix like 10.99.0.0/16 or 2001:db8::/64, in quotes if it ends with a colon";
const PREFIX_PATTERN = "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$";
const ADDRESS = "none, an IP address, or a list of one IPv4 and one IPv6 address";
const ADDRESS_PATTERN = "^(none|[0-9A-Fa-f.:]+)$";
const LISTEN = `an address like ${ENDPOINT_EXAMPLES}, in quotes if it begins with a bracket`;
const LISTENS = `${LISTEN}, or a list of them`;
const WEB_CONFIG = "a file's path, or none";
const NAME = "1 to 64 printable characters, in quotes if they look like a number";
const RATE = `replies a second, above 0 and up to ${MAX_RATE}`;
const BURST = `replies at once, from 1 to ${MAX_RATE}`;
const LIMIT = "none, or a map like { rate: 1000, burst: 100 }";

function limit() {
  return z.union([
    z.literal("none"),
    z.strictObject({
      rate: z.number(RATE).positive(RATE).max(MAX_RATE, RATE).meta({ description: "Replies a second in the long run; fractions are allowed." }),
      burst: z.number(BURST).min(1, BURST).max(MAX_RATE, BURST).optional().meta({ description: "Replies at once; by default one second's, and at least 1." }),
    }, LIMIT),
  ], LIMIT);
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

function endpoint() {
  return z.string(LISTEN).refine(isEndpoint, LISTEN);
}

/** An optional key with what an editor shows of it. */
function key<T extends z.ZodType>(name: Key, type: T, description: string, more: { examples?: unknown[]; default?: unknown } = {}) {
  return type.meta({ ...type.meta(), description: RELOADED.has(name) ? `${description} A reload changes it.` : description, default: DEFAULTS[name], ...more }).optional();
}

function map<T extends z.ZodRawShape>(shape: T, description: string) {
  return z.strictObject(shape, `a map of ${Object.keys(shape).join(", ")}`).meta({ description }).optional();
}

const unreachableModes = choice(UNREACHABLE_MODES);

const prefixEntry = z.union([
  text(PREFIX, PREFIX_PATTERN),
  z.strictObject({
    prefix: text(PREFIX, PREFIX_PATTERN).meta({ description: "The prefix; an address alone is a prefix of one.", examples: ["10.99.0.0/16", "2001:db8::/64"] }),
    name: z.string(NAME).regex(/^[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u, NAME).optional().meta({ description: "What it is called in the metrics: the label `name`." }),
    answer: answers().optional().meta({ description: "What it answers; by default as the key `answer` of the whole file says." }),
    ttl: whole(1, 255).optional().meta({ description: "TTL, or hop limit, of its replies; by default as the key `ttl` of the whole file says." }),
    rate_limit: limit().optional().meta({ description: "Its replies a second at most; by default as the key `rate_limit` of the whole file says." }),
    comment: z.string("text").optional().meta({ description: "For whoever reads the file." }),
  }, "a map with the key prefix"),
], `${PREFIX}, or a map like { prefix: 10.99.0.0/16, name: lab }`);

export const schema = z.strictObject({
  device: map({
    name: key("device.name", z.string(DEVICE_NAME_RULE).regex(DEVICE_NAME, DEVICE_NAME_RULE), "Name of the device."),
    mode: key("device.mode", choice(MODES), "What it is: tun (IP packets), or tap (Ethernet frames, for a bridge)."),
    mac: key("device.mac", choice(MAC_POLICIES), "With mode: tap, the MAC addresses that answer: one for all, or one each."),
    mtu: key("device.mtu", wholeOrAuto(ETH_MIN_MTU, ETH_MAX_MTU), "Its MTU in bytes, with IPv6 prefixes at least 1280; auto is 1500, or what a device that is there already has."),
    queues: key("device.queues", wholeOrAuto(1, MAX_QUEUES), "Its queues, a thread each; auto is one for each CPU."),
    routes: key("device.routes", z.boolean("true or false"), "Whether to route the prefixes to it; not for a TAP device that becomes a bridge's port."),
    host_address: key("device.host_address", z.union([text(ADDRESS, ADDRESS_PATTERN), z.array(text(ADDRESS, ADDRESS_PATTERN)).min(1, ADDRESS)], ADDRESS),
      "The host's own address on it, once a family, or none; by default the first usable one of each family's first prefix with room.", { default: undefined, examples: ["10.99.0.1", "none", ["10.99.0.1", "2001:db8::1"]] }),
  }, "The device."),
  engine: key("engine", choice(ENGINE_NAMES), "What handles the packets."),
  io: key("io", choice(IO_CHOICES), "What reads and writes them: io_uring, a read and a write a packet, or the first where it works."),
  spin: key("spin", whole(0, MAX_SPIN), "With io_uring: rounds that may come up empty before it sleeps."),
  reassembly: key("reassembly", whole(0, MAX_REASSEMBLIES), "Datagrams in fragments that may be incomplete at a time, for each queue, up to 67 KiB each; 0 drops fragments, and is the default with engine: js."),
  listen: key("listen", z.union([endpoint(), z.array(endpoint()).min(1, LISTENS)], LISTENS), "Where metrics, health and the page are served.", {
    default: DEFAULTS.listen[0], examples: ["127.0.0.1:7664", ":7664", ["[::1]:7664", "unix:/run/pongd.sock"]],
  }),
  web_config: key("web_config", z.string(WEB_CONFIG).min(1, WEB_CONFIG), "A file with TLS, client certificates, users and headers for that, in the format of Prometheus's exporters, relative to this one; or none. Changes in it are noticed.", { examples: ["web.yml", "none"] }),
  max_requests: key("max_requests", whole(0, MAX_REQUESTS), "Requests for metrics that are served at a time; 0 for no limit."),
  log: map({
    level: key("log.level", choice(LOG_LEVELS), "Least level that is logged."),
    format: key("log.format", choice(LOG_FORMATS), "Of the log on standard error."),
  }, "The log."),
  privileges: key("privileges", choice(PRIVILEGES), "Whether to keep all privileges, or drop them once the device is configured."),
  answer: key("answer", answers(), "What is answered, for prefixes that do not say otherwise: echo and timestamp requests, and ICMP errors about what nobody listens to."),
  ttl: key("ttl", whole(1, 255), "TTL, or hop limit, of replies, for prefixes that do not say otherwise."),
  unreachable: z.union([
    unreachableModes,
    z.strictObject({
      udp: key("unreachable.udp", unreachableModes, "About UDP."),
      other: key("unreachable.other", unreachableModes, "About protocols that nobody speaks."),
    }),
  ], "on, silent or off, or a map like { udp: on, other: silent }").optional().meta({
    description: "ICMP errors for what nobody listens to: on, silent (checked and counted) or off (not looked at); with engine: js off. A reload changes it.",
    default: "on", examples: ["silent", { udp: "on", other: "silent" }],
  }),
  source_route: key("source_route", choice(SOURCE_ROUTES), "IPv4 packets with a source route: drop, or reverse it for the reply."),
  rate_limit: key("rate_limit", limit(), "Replies a second at most, for prefixes that do not say otherwise; each prefix has a bucket of its own.", { examples: ["none", { rate: 1000, burst: 100 }] }),
  source_rate_limit: key("source_rate_limit", limit(), "Replies a second at most to one source: an IPv4 /24, or an IPv6 /56.", { examples: ["none", { rate: 50, burst: 100 }] }),
  prefixes: key("prefixes", z.array(prefixEntry, "a list of prefixes"), "What is answered for: every address of these prefixes; of nested ones the longest match decides.", {
    examples: [["10.99.0.0/16", { prefix: "10.99.7.0/24", name: "dark", answer: [] }]],
  }),
  except: key("except", z.array(text(PREFIX, PREFIX_PATTERN), "a list of prefixes"), "What is not answered within the prefixes.", { examples: [["10.99.7.0/24"]] }),
}, "a map of keys like prefixes").meta({
  title: "pongd configuration",
  description: "What pongd run --config reads. Every key is optional, but prefixes must come from here or from the command line.",
});

export type Document = z.infer<typeof schema>;

/** JSON Schema, draft 2020-12. */
export function jsonSchema(): JsonSchema {
  return z.toJSONSchema(schema, { target: "draft-2020-12", io: "input" }) as JsonSchema;
}

/** As much of it as is walked here. */
export interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly description?: string;
  readonly default?: unknown;
}
