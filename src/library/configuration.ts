/** The configuration of the library: what a file has, as an object. Its type is derived from the table of settings. */
import type { Key, Values } from "../config/keys.js";
import type { LimitSetting, PrefixMap, ServiceMap } from "../config/types.js";

/** Settings that have no use here: the caller's thread serves, gets the log as objects, and keeps its privileges. */
export const UNUSED = ["service_threads", "privileges", "log.format"] as const satisfies readonly Key[];

type Used = Exclude<Key, typeof UNUSED[number]>;
/** Lists of which a single item may be written without a list. */
type OneOrMore = "listen" | "device.host_address";
type Written<K extends Used> = K extends OneOrMore ? Values[K] | string : Values[K];

/** Keys within a map, without its name. */
type Within<M extends string> = {
  readonly [K in Used as K extends `${M}.${infer Name}` ? Name : never]?: Written<K>;
};

/** Keys that are in no map. */
type Tops = { readonly [K in Used as K extends `${string}.${string}` ? never : K]?: Written<K> };

/**
 * What pongd is to do: the keys of a configuration file, which docs/reference.md describes. Paths are relative to
 * process.cwd(). Defaults are the file's, but nothing is listened on without `listen`.
 */
export interface Configuration extends Omit<Tops, "prefixes"> {
  /** Prefixes whose every address answers; of nested ones the longest that matches decides. */
  readonly prefixes: readonly PrefixSetting[];
  /** The device: its name, MTU, queues … */
  readonly device?: Within<"device">;
  /** The log's least severe level. */
  readonly log?: Within<"log">;
  /** ICMP errors for what nobody listens to. */
  readonly unreachable?: Within<"unreachable"> | "on" | "silent" | "off";
}

/** A prefix, or one with keys of its own. */
export type PrefixSetting = string | PrefixMap;
export type { LimitSetting, PrefixMap, ServiceMap };
