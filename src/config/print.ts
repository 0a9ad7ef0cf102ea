/** The configuration that pongd runs with, in the file's own form: every key, and of a prefix what is not as for all. */
import { resolve } from "node:path";
import { FIRST_NODE, FIRST_PREFIX, TRIE } from "../../abi/tables.js";
import { tableOf } from "../engine/table.js";
import type { LimitSetting, PrefixEntry, Values } from "./keys.js";
import type { Effective } from "./merge.js";

type Plain = Readonly<Record<string, unknown>>;

/** What stands on lines of its own. */
const LISTED: ReadonlySet<string> = new Set(["device", "log", "prefixes", "except"]);
/** Most of one kind that are said. */
const SHOWN = 10;

/** What a file would say for the same. */
export function toDocument({ options: { serving, hostAddresses, link, webConfig }, values }: Effective): Plain {
  const entries = serving.prefixes.map(({ text }, i) => toEntry(text, values.prefixes[i], values));
  return {
    device: {
      name: values["device.name"],
      mode: values["device.mode"],
      ...link && { mac: values["device.mac"] },
      mtu: values["device.mtu"],
      queues: values["device.queues"],
      routes: values["device.routes"],
      host_address: hostAddresses.length > 0 ? hostAddresses.map(({ text }) => text) : "none",
    },
    engine: values.engine,
    io: values.io,
    spin: values.spin,
    reassembly: values.reassembly,
    listen: values.listen.length === 1 ? values.listen[0] : values.listen,
    web_config: webConfig === undefined ? "none" : resolve(webConfig),
    max_requests: values.max_requests,
    log: { level: values["log.level"], format: values["log.format"] },
    privileges: values.privileges,
    answer: values.answer,
    ttl: values.ttl,
    unreachable: { udp: values["unreachable.udp"], other: values["unreachable.other"] },
    source_route: values.source_route,
    rate_limit: complete(values.rate_limit),
    source_rate_limit: complete(values.source_rate_limit),
    prefixes: entries,
    except: serving.exceptions.map(({ text }) => text),
  };
}

function toEntry(prefix: string, entry: PrefixEntry, values: Values): string | Plain {
  if (typeof entry === "string") return prefix;
  const { name, answer, ttl, rate_limit: limit } = entry;
  const different: Plain = {
    ...name !== undefined && { name },
    ...answer && !same([...answer].sort(), [...values.answer].sort()) && { answer },
    ...ttl !== undefined && ttl !== values.ttl && { ttl },
    ...limit !== undefined && !same(complete(limit), complete(values.rate_limit)) && { rate_limit: complete(limit) },
  };
  return Object.keys(different).length > 0 ? { prefix, ...different } : prefix;
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** With the burst that it has by default. */
export function complete(limit: LimitSetting): LimitSetting {
  return limit === "none" ? limit : { rate: limit.rate, burst: limit.burst ?? Math.max(1, limit.rate) };
}

/** By hand: a library takes seconds for 100,000 prefixes, and would not keep an entry on its line. */
export function toYaml(document: Plain): string {
  return Object.entries(document).map(([key, value]) => `${key}:${LISTED.has(key) ? block(value) : ` ${flow(value)}`}\n`).join("");
}

function block(value: unknown): string {
  if (Array.isArray(value)) return value.length > 0 ? value.map((item) => `\n  - ${flow(item)}`).join("") : " []";
  if (typeof value === "object" && value !== null) return Object.entries(value).map(([key, item]) => `\n  ${key}: ${flow(item)}`).join("");
  return ` ${flow(value)}`;
}

function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (typeof value === "object" && value !== null) return `{ ${Object.entries(value).map(([key, item]) => `${key}: ${flow(item)}`).join(", ")} }`;
  return typeof value === "string" && !isPlain(value) ? JSON.stringify(value) : String(value);
}

/** Whether a scalar is that text without quotes: a word, an address or a prefix. */
function isPlain(text: string): boolean {
  if (/^[a-z][\w-]*$/i.test(text)) return !/^(true|false|null)$/i.test(text);
  return /^(\d+\.\d+\.\d+\.\d+(\/\d+|:\d+)?|[\da-f]+:[\da-f:]*[\da-f](\/\d+)?|[\da-f]+:[\da-f:]*\/\d+)$/.test(text);
}

/** What can be meant as it is, and most likely is not. */
export function oddities({ options: { serving, hostAddresses, io, spin } }: Effective): string[] {
  const { prefixes } = serving;
  const { roots, nodes } = tableOf(serving, { hosts: hostAddresses });
  const answered = new Set<number>();
  for (const entries of [roots.subarray(TRIE / 4), nodes]) {
    for (const owner of entries) if (owner >= FIRST_PREFIX && owner < FIRST_NODE) answered.add(owner - FIRST_PREFIX);
  }
  const covered = prefixes.filter((_, i) => !answered.has(i));
  const said = covered.slice(0, SHOWN).map(({ text }) => `prefix ${text} has no address left: exceptions and longer prefixes take them all`);
  if (covered.length > SHOWN) said.push(`and ${covered.length - SHOWN} more like it`);
  if (prefixes.every(({ answers }) => !answers.echo && !answers.timestamp && !answers.errors)) said.push("no prefix answers anything");
  if (spin > 0 && io === "readwrite") said.push("spin does nothing with io: readwrite");
  return said;
}
