import { Command, Option } from "commander";
import { Mode } from "../../abi/control.js";
import { word } from "../base/shell.js";
import { MAX_QUEUES, MODES } from "../config/keys.js";
import { effective } from "../config/merge.js";
import { EXIT, Failure } from "../base/failure.js";
import { tell } from "../base/log.js";
import { ETH_DATA_LEN, ETH_MAX_MTU, ETH_MIN_MTU } from "../sys/uapi.js";
import { integer } from "./integer.js";
import { load } from "./load.js";
import { notes } from "./notes.js";
import { givenOf, hostAddressOption, prefixArgument } from "./settings.js";

interface Flags {
  user?: string;
  group?: string;
  mode: typeof MODES[number];
  queues: number;
  offload?: true;
  mtu: number;
  hostAddress: string[];
  routes: boolean;
}

export function deviceCommand(): Command {
  const create = new Command("create")
    .description("Make a persistent device, on which that user then runs pongd without any privilege.")
    .argument("<name>", "its name")
    .addArgument(prefixArgument())
    .option("--user <user>", "whose it is to be, by name or number")
    .option("--group <group>", "the group it is to be for; with --user, a program has to be both")
    .addOption(new Option("--mode <mode>", "tun (IP packets) or tap (Ethernet frames)").choices(MODES).default("tun"))
    .option("--queues <n>", "queues that pongd will have of it", integer(1, MAX_QUEUES), 1)
    .option("--mtu <bytes>", "its MTU", integer(ETH_MIN_MTU, ETH_MAX_MTU), ETH_DATA_LEN)
    .option("--offload", "with room before packets for --offload of pongd run")
    .addOption(hostAddressOption("with prefixes, the host's own address on the device, one for each family, or none"))
    .option("--no-routes", "do not route the prefixes to it")
    .addHelpText("after", notes(`
Examples:
  sudo pongd device create pong0 10.99.0.0/16 --user "$USER"
  pongd run 10.99.0.0/16 --device pong0
  sudo pongd device remove pong0`))
    .action(async (name: string, texts: string[], flags: Flags, command: Command) => {
      if (flags.user === undefined && flags.group === undefined) {
        throw new Failure("a device that is nobody's is everybody's: give --user, --group or both", EXIT.USAGE);
      }
      if (texts.length === 0 && flags.hostAddress.length > 0) throw new Failure(
        "--host-address needs prefixes, which it is for; try: pongd device create pong0 10.99.0.0/16 --user nobody",
        EXIT.USAGE,
      );
      const given = givenOf(texts, command, undefined);
      const { serving: { prefixes }, hostAddresses } = effective(
        { ...given, values: { ...given.values, "device.name": name, prefixes: texts } },
      ).options;
      const { mtu, queues, routes, mode, offload = false } = flags;
      const [{ createDevice }, { getpwnam, getgrnam }] = await load(
        Promise.all([import("../tun/persistent.js"), import("../sys/libc.js")]),
      );
      const owner = { user: numberOf(flags.user, "user", getpwnam), group: numberOf(flags.group, "group", getgrnam) };
      for (const line of await createDevice({
        name, mode: Mode[mode], mtu, multiQueue: queues > 1, offload, owner, hostAddresses,
        prefixes: routes ? prefixes : [],
      })) tell("warn", line);
      process.stdout.write(
        `device ${name} is there and up; now run, as ${whoOf(flags)}: pongd run ${texts.join(" ") || "PREFIX"} `
        + `--device ${word(name)}${mode === "tap" ? " --mode tap" : ""}${queues > 1 ? ` --queues ${queues}` : ""}${offload ? " --offload on" : ""}\n`,
      );
    });
  const remove = new Command("remove")
    .description("Remove a persistent device that nobody uses.")
    .argument("<name>", "its name")
    .action(async (name: string) => {
      const { removeDevice } = await load(import("../tun/persistent.js"));
      removeDevice(name);
    });
  return new Command("device")
    .description("Make and remove devices for users without privileges.")
    .addCommand(create)
    .addCommand(remove);
}

/**
 * Returns the number of a user or group that is given by name or number. The C library looks names up in this process.
 * It knows every source of users that the host has (LDAP, systemd's dynamic users), not just /etc/passwd, and needs no
 * program that may not be installed.
 * @throws Failure (usage)
 */
function numberOf(
  text: string | undefined, what: string, lookUp: (name: string) => number | undefined,
): number | undefined {
  if (text === undefined) return undefined;
  // (uid_t)-1 means no user at all.
  const number = lookUp(text) ?? (/^\d{1,10}$/.test(text) && Number(text) < 0xffffffff ? Number(text) : undefined);
  if (number === undefined) {
    throw new Failure(`there is no ${what} "${text}"; give the name of one, or a number`, EXIT.USAGE);
  }
  return number;
}

function whoOf({ user, group }: Flags): string {
  return [...user === undefined ? [] : [`user ${user}`], ...group === undefined ? [] : [`in group ${group}`]].join(" ");
}
