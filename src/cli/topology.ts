import { Command, Option } from "commander";
import { tell } from "../base/log.js";
import { withConfiguration } from "./configured.js";
import { filePath } from "./file.js";
import { notes } from "./notes.js";
import { addRunOptions } from "./settings.js";

interface Flags {
  dot?: boolean;
  hosts?: boolean;
  zone?: boolean;
}

export function topologyCommand(): Command {
  const form = (flag: string, text: string, ...others: string[]) => new Option(flag, text).conflicts(others);
  return addRunOptions(new Command("topology")
    .description("Draw the paths of a configuration: routers, links, MTUs, and the prefixes behind them. Needs no "
      + "device and no rights.")
    .argument("[file]", "the configuration file, in place of --config; \"-\" for standard input", filePath)
    .addOption(form("--dot", "draw in the language of Graphviz", "hosts", "zone"))
    .addOption(form("--hosts", "print the names of routers as lines of /etc/hosts", "dot", "zone"))
    .addOption(form("--zone", "print them as PTR records of a name server's zone", "dot", "hosts")))
    .addHelpText("after", notes(`
The options are those of pongd run, and win over the file as they do there. Exit status: 0 when pongd would run with
the configuration, 3 when something in the file is wrong, 2 in what else was given.

Examples:
  pongd topology pongd.yaml
  pongd topology --dot pongd.yaml | dot -Tsvg > topology.svg
  pongd topology --hosts pongd.yaml | sudo tee -a /etc/hosts`))
    .action(draw);
}

async function draw(file: string | undefined, flags: Flags, command: Command): Promise<void> {
  await withConfiguration(command, file, async (found) => {
    const form = (["dot", "hosts", "zone"] as const).find((form) => flags[form]) ?? "text";
    const text = await found.topology(form);
    if (text === "") tell("info", "no router has a name");
    process.stdout.write(text);
  });
}
