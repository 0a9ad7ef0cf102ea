/**
 * What can be configured, key by key, as the configuration file writes it: the one list that flags, environment, file and defaults
 * share. The schema (schema.ts) has the same keys; this has no need of its library, which a start without a file then does not load.
 */
import type { EngineName } from "../engine/contract.js";
import type { IoChoice } from "../io/contract.js";
import type { LogFormat, LogLevel } from "../base/log.js";

export const MODES = ["tun", "tap"] as const;
export const MAC_POLICIES = ["shared", "per-address"] as const;
export const ANSWERS = ["echo", "timestamp", "unreachable"] as const;
export const UNREACHABLE_MODES = ["on", "silent", "off"] as const;
export const SOURCE_ROUTES = ["drop", "reverse"] as const;
export const PRIVILEGES = ["keep", "drop"] as const;

export type Answer = typeof ANSWERS[number];
export type UnreachableMode = typeof UNREACHABLE_MODES[number];

/** What the kernel allows one device (MAX_TAP_QUEUES). */
export const MAX_QUEUES = 256;
export const MAX_SPIN = 1_000_000;
export const MAX_RATE = 1_000_000_000;
export const MAX_REQUESTS = 1_000_000;
/** What the kernel takes as it is: it would refuse, shorten or expand any other. */
export const DEVICE_NAME = /^(?!\.{1,2}$)[!-$&-.0-9;-~]{1,15}$/;
export const DEVICE_NAME_RULE = "1 to 15 ASCII characters, none of them a space, \"/\", \":\" or \"%\"";

/** `none`, or replies a second and at once; `burst` is by default one second's, and at least 1. */
export type LimitSetting = "none" | { readonly rate: number; readonly burst?: number | undefined };

/** A prefix, or one that differs from the others. */
export type PrefixEntry = string | {
  readonly prefix: string;
  readonly name?: string | undefined;
  readonly answer?: readonly Answer[] | undefined;
  readonly ttl?: number | undefined;
  readonly rate_limit?: LimitSetting | undefined;
  readonly comment?: string | undefined;
};

/** Every key, with the keys of a map joined to its name by a dot. */
export interface Values {
  readonly "device.name": string;
  readonly "device.mode": typeof MODES[number];
  readonly "device.mac": typeof MAC_POLICIES[number];
  /** `auto`: 1500, or what a device that is there already has. */
  readonly "device.mtu": number | "auto";
  readonly "device.queues": number | "auto";
  readonly "device.routes": boolean;
  /** None for the first usable ones; or "none". */
  readonly "device.host_address": readonly string[];
  readonly engine: EngineName;
  readonly io: IoChoice;
  readonly spin: number;
  readonly reassembly: number;
  readonly listen: readonly string[];
  /** A file's path, as it was written, or "none". */
  readonly web_config: string;
  readonly max_requests: number;
  readonly "log.level": LogLevel;
  readonly "log.format": LogFormat;
  readonly privileges: typeof PRIVILEGES[number];
  readonly answer: readonly Answer[];
  readonly ttl: number;
  readonly "unreachable.udp": UnreachableMode;
  readonly "unreachable.other": UnreachableMode;
  readonly source_route: typeof SOURCE_ROUTES[number];
  readonly rate_limit: LimitSetting;
  readonly source_rate_limit: LimitSetting;
  readonly prefixes: readonly PrefixEntry[];
  readonly except: readonly string[];
}

export type Key = keyof Values;

export const DEFAULTS: Values = {
  "device.name": "pong0",
  "device.mode": "tun",
  "device.mac": "shared",
  "device.mtu": "auto",
  "device.queues": 1,
  "device.routes": true,
  "device.host_address": [],
  engine: "wasm",
  io: "auto",
  spin: 0,
  reassembly: 64,
  // 7664 spells PONG.
  listen: ["127.0.0.1:7664"],
  web_config: "none",
  max_requests: 40,
  "log.level": "info",
  "log.format": "text",
  privileges: "keep",
  answer: ANSWERS,
  ttl: 64,
  "unreachable.udp": "on",
  "unreachable.other": "on",
  source_route: "drop",
  rate_limit: "none",
  source_rate_limit: "none",
  prefixes: [],
  except: [],
};

/** What the JavaScript engine cannot do is off there, unless it is asked for; then it is refused. */
export const JS_DEFAULTS: Partial<Values> = { answer: ["echo", "timestamp"], "unreachable.udp": "off", "unreachable.other": "off", reassembly: 0 };

/** What a reload changes; all else needs a new start. */
export const RELOADED: ReadonlySet<Key> = new Set<Key>([
  "prefixes", "except", "answer", "ttl", "unreachable.udp", "unreachable.other", "source_route", "rate_limit", "source_rate_limit", "log.level",
]);
