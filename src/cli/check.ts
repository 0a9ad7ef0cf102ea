import { Command } from "commander";
import { printable } from "../base/printable.js";
import { stderr } from "../base/log.js";
import { withConfiguration } from "./configured.js";
import { filePath } from "./file.js";
import { notes } from "./notes.js";
import { addRunOptions } from "./settings.js";

interface Flags {
  json?: boolean;
  quiet?: boolean;
  schema?: boolean;
}

export function checkCommand(): Command {
  return addRunOptions(new Command("check")
    .description("Say what a configuration comes to, or everything that is wrong with it, each with its place. Needs "
      + "no device and no rights.")
    .argument("[file]", "the configuration file, in place of --config; \"-\" for standard input", filePath)
    .option("--json", "print it as JSON")
    .option("--quiet", "print nothing but what is wrong")
    .option("--schema", "print the configuration file's JSON Schema, for editors"))
    .addHelpText("after", notes(`
What it prints is a configuration file of the same meaning, with every key. The options are those of pongd run, and
win over the file as they do there. Exit status: 0 when pongd would run with it, 3 when something in the file is wrong,
2 in what else was given.

Examples:
  pongd check pongd.yaml
  ssh host cat /etc/pongd.yaml | pongd check -
  echo 'prefixes: [10.99.0.0/16]' | pongd check - --link rtt=50ms
  pongd check --schema > pongd.schema.json`))
    .action(async (file: string | undefined, flags: Flags, command: Command) => {
      if (flags.schema) {
        const { jsonSchema } = await import("../config/schema.js");
        process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
        return;
      }
      await withConfiguration(command, file, async (found, name) => {
        const { webConfig } = found.options;
        if (webConfig !== undefined) (await import("../web/webconfig.js")).readWebConfig(webConfig);
        if (flags.quiet) return;
        const { text, oddities } = await found.print(flags.json === true);
        for (const oddity of oddities) {
          stderr.write(`${printable(`${name === "-" ? "standard input" : name}: ${oddity}`)}\n`);
        }
        process.stdout.write(text);
      });
    });
}
