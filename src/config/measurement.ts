/** Makes services that measure of what a configuration says about them. */
import { isIPv4 } from "node:net";
import { Service } from "../../abi/tcp.js";
import { SBFD_ADMIN_DOWN, SBFD_DISCRIMINATORS } from "../../abi/sbfd.js";
import { md5PadsOf } from "../base/md5.js";
import type { PortService } from "../prefix/policy.js";
import { DEFAULT_IRTT, irttBytes, withPads } from "../prefix/irtt.js";
import { keyAt, keysAt } from "./hmackeys.js";
import { millisecondsOf } from "./keys.js";
import type { Path } from "./path.js";
import type { IrttMap, SbfdMap } from "./types.js";

type Say = (path: Path, message: string) => void;

export const MAX_DISCRIMINATORS = 256;
export const DISCRIMINATOR = "a whole number from 1 to 4294967295, or an IPv4 address";

/** Returns an S-BFD reflector; undefined once it is reported what is wrong with it. */
export function sbfdOf(
  name: string, { discriminators = "any", admin_down: isDown = false }: SbfdMap, say: Say,
): PortService | undefined {
  const given = discriminators === "any" ? [] : discriminators;
  const own = given.map(discriminatorOf);
  const wrong = own.indexOf(undefined);
  if (wrong >= 0) {
    say(["discriminators", wrong], `services.${name}.sbfd.discriminators[${wrong}] is ${JSON.stringify(given[wrong])}; `
    + `expected ${DISCRIMINATOR}`);
    return undefined;
  }
  const bytes = Buffer.alloc(SBFD_DISCRIMINATORS + 4 * own.length);
  bytes.writeUInt32LE(isDown ? 1 : 0, SBFD_ADMIN_DOWN);
  own.forEach((discriminator = 0, i) => bytes.writeUInt32BE(discriminator, SBFD_DISCRIMINATORS + 4 * i));
  return { name, kind: Service.sbfd, bytes };
}

/** Returns a discriminator as a number. */
function discriminatorOf(value: number | string): number | undefined {
  if (typeof value === "number") return value;
  const discriminator = isIPv4(value) ? Buffer.from(value.split(".").map(Number)).readUInt32BE() : 0;
  return discriminator > 0 ? discriminator : undefined;
}

/** Returns an IRTT server; undefined once it is reported what is wrong with it. */
export function irttOf(
  name: string, { min_interval: interval, max_duration: duration, max_length: maxLength, key_file: file }: IrttMap,
  folder: string, say: Say,
): PortService | undefined {
  const options = irttBytes({
    ...DEFAULT_IRTT,
    ...interval !== undefined && { minIntervalMs: millisecondsOf(interval) },
    ...duration !== undefined && { maxDurationMs: millisecondsOf(duration) },
    ...maxLength !== undefined && { maxLength },
  });
  const service = { name, kind: Service.irtt, bytes: options };
  if (file === undefined) return service;
  const found = keysAt(
    `services.${name}.irtt.key_file`, () => keyAt(file, folder, md5PadsOf),
    (message) => { say(["key_file"], message); },
  );
  return found && { ...service, bytes: withPads(options, found.keys), exposed: found.exposed };
}
