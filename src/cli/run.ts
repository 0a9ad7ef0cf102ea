import { Command } from "commander";
import type { Logger } from "pino";
import { MacPolicy, Mode } from "../../abi/control.js";
import { endUnread } from "../base/bounded.js";
import { DEFAULTS } from "../config/keys.js";
import { needsRestart } from "../config/merge.js";
import type { RunOptions, Services } from "../config/runoptions.js";
import { PORT_PROTOCOLS } from "../config/types.js";
import type { Started, Summary } from "../daemon/supervisor.js";
import { formatMac, type Ethernet } from "../tun/mac.js";
import { createLogger, onWarning, speak } from "../base/log.js";
import type { PrefixList } from "../prefix/list.js";
import { sizeOf, type Prefix } from "../prefix/prefixes.js";
import { load } from "./load.js";
import { notes } from "./notes.js";
import { addRunOptions, prefixArgument, reader } from "./settings.js";
import { outcome, waiting } from "./summary.js";

/** Most prefixes, and most exceptions, that standard output and the log list. */
const SHOWN = 10;

export function runCommand(): Command {
  return addRunOptions(new Command("run")
    .description("Make every address of the prefixes answer ping.")
    .addArgument(prefixArgument()))
    .addHelpText("after", notes(`
Examples:
  pongd run 10.99.0.0/16                          then: ping 10.99.1.1
  pongd run --config /etc/pongd.yaml              what a configuration file says
  pongd run 192.0.2.0/24 2001:db8::/64            prefixes of both families
  pongd run 192.0.2.0/24 --host-address none      routes alone, no host address
  pongd run 10.0.0.2/32 --host-address 10.0.0.1   a point-to-point pair
  pongd run 10.99.0.0/16 --mode tap               each address an Ethernet host
  pongd run 10.99.0.0/16 --tcp 80=http            then: curl http://10.99.1.1/
  pongd run 10.99.0.0/16 --tcp 7=echo             then: nc 10.99.1.1 7
  pongd run 10.99.0.0/16 --device pong0           one of pongd device create`))
    .action(async (given: string[], _: unknown, command: Command) => {
      const formatKnown = command.getOptionValueSource("logFormat") !== "default";
      const read = await reader(given, command, "pongd run 10.99.0.0/16");
      // The thread that reads a file and this one, which loads the rest, need not wait for each other.
      const daemon = load(import("../daemon/supervisor.js"));
      daemon.catch(() => undefined);
      const configuration = await read(undefined, (format) => {
        if (!formatKnown) speak(format ?? DEFAULTS["log.format"]);
      });
      try {
        const { options, values } = configuration;
        const log = createLogger(options.logLevel, options.logFormat);
        onWarning((message) => { log.warn(message); });
        const { run } = await daemon;
        const json = options.logFormat === "json";
        const reread = command.opts<{ config?: string }>().config === undefined
          ? undefined
          : async (before: PrefixList) => {
            const next = await read(before);
            return { configuration: next, stays: needsRestart(values, next.values) };
          };
        const summary = await run(
          configuration, log, (started) => {
            // Node.js cannot start a thread in a directory that is gone, and this one may be removed.
            process.chdir("/");
            (json ? logRunning : printRunning)(options, { ...started, page: configuration.page }, log);
          }, reread,
        );
        if (json) log.info(summary, "stopped");
        else process.stdout.write(`${summarize(summary)}\n`);
      } finally {
        await configuration.end();
        endUnread();
      }
    });
}

/** What to say once pongd runs; `page` is the URL of a page, if there is one. */
interface Running extends Started {
  readonly page: string | undefined;
}

function printRunning({ serving, link, linked, seed, kept }: RunOptions, running: Running): void {
  const { prefixes, exceptions, timestamps, services } = serving;
  const { device, premade, mtu, queues, hostAddresses, engine, io, offload, urls, examples, page } = running;
  const what = examples.length > 0
    ? "ping"
    : timestamps ? "timestamps alone" : "nothing";
  const shown = first(prefixes).map((prefix) => `  prefix        ${prefix.text} (${describeSize(prefix)})`);
  if (prefixes.length > shown.length) shown.push(`                and ${prefixes.length - shown.length} more`);
  const commands = [...examples.map((address) => `ping ${address}`), ...page === undefined ? [] : [`curl ${page}`]];
  const hints = [
    ...commands.length > 0 ? [`try: ${commands.join(" or ")}`] : [],
    // Nobody can press Ctrl-C in a journal.
    ...process.stdout.isTTY ? ["stop: Ctrl-C"] : [],
  ];
  process.stdout.write([
    `pongd answers ${what} on ${device}`,
    `  device        ${device}${premade ? ", pre-made" : ""}, mtu ${mtu}, ${queues} queue${queues === 1 ? "" : "s"}, `
    + `engine ${engine}, io ${io}, offload ${offload ? "on" : "off"}`,
    ...link ? [`  mac address   ${describeLink(link)}`] : [],
    `  host address  ${hostAddresses.length > 0 ? hostAddresses.join(", ") : "none"}`,
    ...shown,
    ...exceptions.length > 0
      ? [
          "  except        "
          + `${texts(exceptions).join(", ")}${exceptions.length > SHOWN
            ? ` and ${exceptions.length - SHOWN} more`
            : ""}`,
        ]
      : [],
    ...linked ? [`  links         seed ${seed}, room for ${kept} packets in each queue`] : [],
    ...PORT_PROTOCOLS.filter((protocol) => services[protocol].count > 0)
      .map((protocol) => `  ${protocol}           ${described(services[protocol])}`),
    ...urls.map((
      url, i,
    ) => `${i === 0 ? "  metrics      " : "               "} ${url.startsWith("unix:") ? url : `${url}/metrics`}`),
    ...hints.length > 0 ? [hints.join("    ")] : [],
    "",
  ].join("\n"));
}

function logRunning({ serving, link, linked, seed, kept }: RunOptions, running: Running, log: Logger): void {
  const { prefixes, exceptions, services } = serving;
  log.info({
    ...running, mode: Mode[link ? Mode.tap : Mode.tun], mac: link && describeLink(link),
    prefixes: texts(prefixes), prefixCount: prefixes.length,
    exceptions: texts(exceptions), exceptionCount: exceptions.length,
    ...linked && { seed, heldPackets: kept },
    tcp: services.tcp.first, tcpCount: services.tcp.count, udp: services.udp.first, udpCount: services.udp.count,
  }, "running");
}

function described({ first, count }: Services): string {
  return `${first.join(", ")}${count > first.length ? ` and ${count - first.length} more` : ""}`;
}

function describeLink({ policy, address }: Ethernet): string {
  return policy === MacPolicy.shared ? formatMac(address) : "one each";
}

function describeSize(prefix: Prefix): string {
  const bits = 8 * prefix.bytes.length - prefix.length;
  if (bits > 32) return `2^${bits} addresses`;
  return bits === 0 ? "1 address" : `${new Intl.NumberFormat("en").format(sizeOf(prefix))} addresses`;
}

/** Returns the first prefixes of a list: there may be 100,000. */
function first(list: PrefixList): Prefix[] {
  return Array.from({ length: Math.min(SHOWN, list.length) }, (_, i) => list.at(i));
}

function texts(list: PrefixList): string[] {
  return first(list).map(({ text }) => text);
}

function summarize({ held, writeErrors, seconds, ...counts }: Summary): string {
  return [
    ...outcome(counts, ` in ${seconds.toFixed(1)} s`),
    ...waiting(held),
    ...writeErrors > 0 ? [`the device refused ${writeErrors} replies`] : [],
  ].join("; ");
}
