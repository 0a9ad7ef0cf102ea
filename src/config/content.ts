/**
 * The outcome of a configuration once it is checked: the options, and the engines' tables. The thread that reads a file
 * makes it; if there is no file, it is made where it is needed.
 */
import { EXIT, Failure } from "../base/failure.js";
import { LinearMemory } from "../engine/memory.js";
import type { Accepting } from "../engine/services.js";
import { examplesOf, pageOf, tableOf, type Table } from "../engine/table.js";
import { indicesOf, type Indices } from "../prefix/indices.js";
import { PrefixList } from "../prefix/list.js";
import type { Address, Prefix } from "../prefix/prefixes.js";
import type { Values } from "./keys.js";
import type { Effective } from "./merge.js";
import type { RunOptions, Services } from "./runoptions.js";
import type { Form } from "./topology.js";
import type { PortMap } from "./types.js";

/** Most services that a listing has. */
const SHOWN = 10;

/** Where tables are to be made. */
export interface Target {
  /** The host's own addresses. */
  readonly hosts: readonly Address[];
  /** Addresses that are never answered, whatever the configuration says. */
  readonly others: readonly Prefix[];
  /** The memory of each queue. All queues share the prefixes' limits. */
  readonly memories: readonly WebAssembly.Memory[];
}

/** Tables that were made. */
export interface Placed {
  /** Address of the table in each memory. */
  readonly tables: readonly number[];
  /** Services that accept connections or take datagrams, in each memory. */
  readonly services: readonly (readonly Accepting[])[];
  /** Addresses that answer ping, one of each family where there is one. */
  readonly examples: readonly string[];
  /** URL of a page, if a port has the service http. */
  readonly page: string | undefined;
}

/** A configuration as a file of the same meaning, and what is odd about it, a line each. */
export interface Printed {
  readonly text: string;
  readonly oddities: readonly string[];
}

/** A configuration that was read, in a form that costs the same however much it serves. */
export interface Configuration {
  readonly options: RunOptions;
  /** The settings, without those that may be of any size: prefixes, exceptions, ports and services. */
  readonly values: Values;
  /** URL of a page, if a port has the service http; known once tables are placed. */
  readonly page: string | undefined;
  /**
   * Writes the tables to the unused part of each memory, and clears the counts of new prefixes. Nothing that the
   * engines use changes.
   * @throws Failure (configuration) if there is no room for the services beside those that connections still have
   */
  place(target: Target): Promise<Placed>;
  print(json: boolean): Promise<Printed>;
  /** Draws the paths of the prefixes. */
  topology(form: Form): Promise<string>;
  /** Frees what the others need. */
  end(): Promise<void>;
}

export class Content implements Configuration {
  readonly options: RunOptions;
  readonly values: Values;
  page: string | undefined;
  readonly #effective: Effective;
  readonly #indices: Indices;

  /** `before`: the prefixes that are served until now. */
  constructor(effective: Effective, before?: PrefixList) {
    const { options, values } = effective;
    const { prefixes, exceptions } = options.serving;
    this.#effective = effective;
    this.#indices = indicesOf(prefixes, before);
    this.values = { ...values, prefixes: [], except: [], tcp: {}, udp: {}, interfaces: [], services: {} };
    this.options = { ...options, serving: {
      prefixes: PrefixList.of(prefixes, this.#indices.all), exceptions: PrefixList.of(exceptions),
      timestamps: prefixes.some(({ answers }) => answers.timestamp),
      services: { tcp: servicesOf(values.tcp), udp: servicesOf(values.udp) },
    } };
  }

  async place({ hosts, others, memories }: Target): Promise<Placed> {
    const { prefixes, exceptions, policy } = this.#effective.options.serving;
    const serving = { prefixes, exceptions: [...exceptions, ...others], policy };
    const table = tableOf(serving, { hosts, indices: this.#indices.all, shares: memories.length });
    const written = memories.map((memory) => {
      const linear = new LinearMemory(memory);
      linear.clear(this.#indices.fresh);
      const at = writeTo(linear, table);
      return { at, services: linear.accepting(at) };
    });
    const page = this.page = pageOf(serving, hosts, table);
    return Promise.resolve({
      tables: written.map(({ at }) => at), services: written.map(({ services }) => services),
      examples: examplesOf(serving, hosts, table), page,
    });
  }

  async print(json: boolean): Promise<Printed> {
    const { linkNotes, oddities, toDocument, toYaml } = await import("./print.js");
    const { pathNotes } = await import("./pathnotes.js");
    const { serving, kept } = this.#effective.options;
    const document = toDocument(this.#effective);
    const text = json
      ? `${JSON.stringify(document, null, 2)}\n`
      : toYaml(document) + linkNotes(this.#effective) + pathNotes(serving.prefixes, kept);
    return { text, oddities: oddities(this.#effective) };
  }

  async topology(form: Form): Promise<string> {
    const { topology } = await import("./topology.js");
    return topology(this.#effective.options.serving.prefixes, form);
  }

  end(): Promise<void> {
    return Promise.resolve();
  }
}

/** Writes a table, and returns its address. @throws Failure (configuration) if it does not fit */
function writeTo(linear: LinearMemory, table: Table): number {
  try {
    return linear.write(table);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new Failure(`there is no room for this configuration: ${error.message}`, EXIT.CONFIG, { cause: error });
  }
}

function servicesOf(ports: PortMap): Services {
  const entries = Object.entries(ports);
  return { first: entries.slice(0, SHOWN).map(([ports, service]) => `${ports} ${service}`), count: entries.length };
}
