/**
 * The state of pongd as the web thread knows it: what the supervisor has told last, and counters from the memories that
 * all threads share.
 */
import { hostname } from "node:os";
import { LinearMemory } from "../engine/memory.js";
import { PrefixList } from "../prefix/list.js";
import { ConnectionList } from "../telemetry/connections.js";
import { HopErrors } from "../telemetry/hoperrors.js";
import { LinkPackets } from "../telemetry/linkpackets.js";
import type { List, ListName } from "../telemetry/lists.js";
import { createRegistry, type State } from "../telemetry/metrics.js";
import { PrefixReplies } from "../telemetry/prefixreplies.js";
import { SessionList } from "../telemetry/sessions.js";
import { ShownCounters } from "../telemetry/shown.js";
import { figuresOf, type Snapshot } from "../telemetry/snapshot.js";
import type { Counted } from "../telemetry/verdicts.js";
import type { Netlink } from "../tun/netlink.js";
import { Overruns } from "../tun/overruns.js";
import { Events } from "./events.js";
import type { Metrics } from "./exposition.js";
import type { QueueState, ReloadOutcome, UpState, WebState } from "./messages.js";
import type { Backend } from "./routes.js";

export class Mirror implements Backend {
  readonly events = new Events(() => this.#snapshot());
  readonly #more: Pick<State, "web" | "log">;
  readonly #netlink: Netlink;
  readonly #ask: () => void;
  #state: WebState;
  #up: MirroredUp | undefined;
  #reload: PendingReload | undefined;
  #nextReload: PendingReload | undefined;

  /** `more`: sources of metrics of the thread's own. `ask` asks the supervisor for a reload. */
  constructor(state: WebState, netlink: Netlink, more: Pick<State, "web" | "log">, ask: () => void) {
    this.#state = state;
    this.#netlink = netlink;
    this.#more = more;
    this.#ask = ask;
    this.take(state);
  }

  /** Takes up a new state. */
  take(state: WebState): void {
    this.#state = state;
    const { up } = state;
    if (!up) this.#up = undefined;
    else if (this.#up) this.#up.take(up);
    else this.#up = new MirroredUp(up, this.#netlink, this.#more, () => this.#state.obstacle === undefined);
  }

  metrics(): Metrics | undefined {
    return this.#up?.metrics;
  }

  list(name: ListName): List | undefined {
    return this.#up?.lists[name];
  }

  obstacle(): string | undefined {
    return this.#state.obstacle;
  }

  /**
   * Asks for a reload. One is asked for at a time. Requests that come meanwhile share the next one, as it has to begin
   * after them.
   */
  reload(): Promise<readonly string[] | undefined> {
    if (!this.#state.up?.reloadable) return Promise.resolve(undefined);
    if (this.#reload) return (this.#nextReload ??= pending()).promise;
    this.#reload = pending();
    this.#ask();
    return this.#reload.promise;
  }

  /** Takes up how the reload went that was asked for. */
  reloaded(outcome: ReloadOutcome): void {
    const done = this.#reload;
    this.#reload = this.#nextReload;
    this.#nextReload = undefined;
    if (this.#reload) this.#ask();
    if ("wrong" in outcome) done?.reject(new Error(outcome.wrong));
    else done?.resolve("lines" in outcome ? outcome.lines : undefined);
  }

  #snapshot(): Snapshot | undefined {
    return this.#up?.snapshot(this.#state.obstacle === undefined);
  }
}

/** Sources of metrics and figures while packets are answered. */
class MirroredUp {
  readonly metrics: Metrics;
  readonly lists: Readonly<Record<ListName, List>>;
  readonly #queues: readonly MirroredQueue[];
  readonly #served: { prefixes: PrefixList };
  readonly #overruns: Overruns;
  #up: UpState;

  constructor(up: UpState, netlink: Netlink, more: Pick<State, "web" | "log">, answering: () => boolean) {
    this.#up = up;
    this.#queues = up.queues.map((queue) => new MirroredQueue(queue));
    this.#served = { prefixes: new PrefixList(up.prefixes) };
    this.#overruns = new Overruns(netlink, up.overruns);
    const reloaded = () => this.#up.reloaded;
    const registry = createRegistry(this.#queues, this.#overruns, {
      ...more,
      services: () => this.#up.services,
      reach: { get answering() { return answering(); } },
      config: {
        get successful() { return reloaded().successful; },
        get succeededAt() { return reloaded().succeededAt; },
      },
    });
    this.metrics = {
      registry,
      more: [
        new PrefixReplies(this.#queues, this.#served), new LinkPackets(this.#queues, this.#served),
        new HopErrors(this.#queues, this.#served),
      ],
    };
    this.lists = { connections: new ConnectionList(up.queues, this.#served), sessions: new SessionList(up.queues) };
  }

  take(up: UpState): void {
    this.#up = up;
    for (const [i, queue] of this.#queues.entries()) queue.state = up.queues[i];
    if (up.prefixes !== this.#served.prefixes.buffer) this.#served.prefixes = new PrefixList(up.prefixes);
  }

  snapshot(ready: boolean): Snapshot {
    const { since, sinceNs, example, device } = this.#up;
    // The wall clock may be set, so rates need a monotonic one; the page subtracts `since`, which is on the same.
    const at = since + Number(process.hrtime.bigint() - sinceNs) / 1e6;
    return {
      since, example, host: hostname(), device,
      figures: figuresOf(this.#queues, this.#served, at, this.#overruns.txDropped(), ready, this.#up.services),
    };
  }
}

class MirroredQueue implements Counted {
  readonly #counters: ShownCounters;
  readonly tcpLimits: Counted["tcpLimits"];
  readonly sessionLimits: Counted["sessionLimits"];
  readonly effects: Float64Array | undefined;
  readonly #memory: LinearMemory;

  constructor(public state: QueueState) {
    const memory = new LinearMemory(state.memory);
    this.#memory = memory;
    this.#counters = new ShownCounters(memory.counters, state.counters);
    this.tcpLimits = memory.tcpLimits;
    this.sessionLimits = memory.sessionLimits;
    this.effects = memory.effects;
  }

  get hopErrors(): LinearMemory["hopErrors"] {
    return this.#memory.hopErrors;
  }

  get index(): number {
    return this.state.index;
  }

  get engine(): Counted["engine"] {
    return this.state.engine;
  }

  get io(): Counted["io"] {
    return this.state.io;
  }

  get restarts(): number {
    return this.state.restarts;
  }

  get accepting(): Counted["accepting"] {
    return this.state.accepting;
  }

  get counters(): Float64Array {
    return this.#counters.now;
  }
}

interface PendingReload {
  readonly promise: Promise<readonly string[] | undefined>;
  readonly resolve: (lines: readonly string[] | undefined) => void;
  readonly reject: (error: Error) => void;
}

function pending(): PendingReload {
  let resolve: PendingReload["resolve"] = () => undefined;
  let reject: PendingReload["reject"] = () => undefined;
  const promise = new Promise<readonly string[] | undefined>((fulfil, fail) => { [resolve, reject] = [fulfil, fail]; });
  // Whoever asked may be gone.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
