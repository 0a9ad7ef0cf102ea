/** Options of the commands that ask a running pongd, for how it is protected. */
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { Command } from "commander";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import type { MetricsAddress } from "../top/address.js";
import type { Credentials } from "../top/client.js";
import { filePath } from "./file.js";

export interface CredentialFlags {
  passwordFile?: string;
  ca?: string;
  cert?: string;
  key?: string;
}

export function withCredentials(command: Command): Command {
  return command
    .option("--password-file <file>", "file with the password for the user in the URL", filePath)
    .option("--ca <file>", "certificates of the authorities that are trusted, PEM, in place of the system's", filePath)
    .option("--cert <file>", "a certificate to show, PEM", filePath)
    .option("--key <file>", "its key, where that is not in the same file", filePath);
}

/** Adds the password for the user in the address, if there is one. @throws Failure (usage) */
export function withPassword(address: MetricsAddress, file: string | undefined): MetricsAddress {
  if (address.user === undefined) {
    if (file !== undefined) {
      throw new Failure("--password-file: the URL has no user; write it like https://USER@host:7664", EXIT.USAGE);
    }
    return address;
  }
  return { ...address, password: file === undefined
    ? address.password ?? process.env.PONGD_PASSWORD
    : read(file, "--password-file").toString().replace(/\r?\n$/, "") };
}

/** Reads what TLS needs. @throws Failure (usage) */
export function credentialsOf({ url }: MetricsAddress, { ca, cert, key }: CredentialFlags): Credentials {
  const given = Object.entries({ ca, cert, key }).filter(([, file]) => file !== undefined).map(([name]) => `--${name}`);
  if (given.length > 0 && url.protocol !== "https:") {
    throw new Failure(`${given.join(", ")}: for TLS alone; write https:// before the host`, EXIT.USAGE);
  }
  if (key !== undefined && cert === undefined) throw new Failure("--key needs --cert, whose key it is", EXIT.USAGE);
  const credentials = {
    ca: ca === undefined ? undefined : read(ca, "--ca"),
    cert: cert === undefined ? undefined : read(cert, "--cert"),
    key: cert === undefined ? undefined : key === undefined ? read(cert, "--cert") : read(key, "--key"),
  };
  try {
    createSecureContext(credentials);
  } catch (error) {
    throw new Failure(`${given.join(", ")}: ${messageOf(error)}; give files in PEM`, EXIT.USAGE, { cause: error });
  }
  return credentials;
}

function read(file: string, option: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Failure(`${option}: ${messageOf(error)}`, EXIT.USAGE, { cause: error });
  }
}
