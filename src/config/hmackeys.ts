/**
 * Reads keys of HMACs from files: those of STAMP (RFC 8762 §4.4) and of IRTT. A key is in no message, and is cleared as
 * soon as its pads are known, which are all that is kept of it.
 */
import { opendirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { EXIT, Failure, messageOf } from "../base/failure.js";
import { padsOf } from "../base/sha256.js";
import { readRegular } from "./bytes.js";

/** Bytes of a key. Those of fewer are too easy to find out. */
const MIN_KEY = 16;
const MAX_KEY = 64 << 10;
/** Most keys of a service. */
export const MAX_KEYS = 1024;
const MAX_SSID = 65_535;
/** Bits of a file's mode that let others than its owner read or change it. */
const OTHERS = 0o077;

/** Keys, or a key, and a line if others than their owner may read them. */
export interface KeysRead<Keys> {
  readonly keys: Keys;
  readonly exposed: string | undefined;
}

/** Makes a key's pads, as padsOf() in ../base/sha256.ts and md5PadsOf() in ../base/md5.ts do. */
type ToPads = (key: Uint8Array) => Uint8Array;

/** Reads keys that the configuration has at `path`; undefined once it is reported what is wrong with them. */
export function keysAt<Keys>(
  path: string, read: () => KeysRead<Keys>, say: (message: string) => void,
): KeysRead<Keys> | undefined {
  try {
    const { keys, exposed } = read();
    return { keys, exposed: exposed && `${path}: ${exposed}` };
  } catch (error) {
    if (!(error instanceof Failure) || error.exitStatus !== EXIT.CONFIG) throw error;
    say(`${path}: ${error.what}`);
    return undefined;
  }
}

/** Reads the key of all sessions. @throws Failure (configuration) */
export function keyAt(name: string, folder: string, toPads: ToPads): KeysRead<Uint8Array> {
  const { pads, mode } = padsAt(name, resolve(folder, name), toPads);
  const octal = mode.toString(8).padStart(4, "0");
  return {
    keys: pads,
    exposed: (mode & OTHERS) === 0
      ? undefined
      : `others than its owner may read ${name}, whose mode is ${octal}; chmod 600 ${name}`,
  };
}

/** Reads the keys of STAMP in a folder, whose files are named by SSID. @throws Failure (configuration) */
export function keysIn(name: string, folder: string): KeysRead<ReadonlyMap<number, Uint8Array>> {
  const keys = new Map<number, Uint8Array>();
  let exposed = 0;
  for (const file of namesIn(name, resolve(folder, name))) {
    const ssid = /^(0|[1-9]\d{0,4})$/.test(file) ? Number(file) : Infinity;
    if (ssid > MAX_SSID) {
      throw new Failure(
        `${name}: ${JSON.stringify(file.slice(0, 64))} is no SSID; expected files named 0 to ${MAX_SSID}`, EXIT.CONFIG,
      );
    }
    const { pads, mode } = padsAt(join(name, file), join(resolve(folder, name), file), padsOf);
    keys.set(ssid, pads);
    if ((mode & OTHERS) !== 0) exposed++;
  }
  if (keys.size === 0) throw new Failure(`${name}: the folder has no file; expected one for each SSID`, EXIT.CONFIG);
  const files = join(name, "*");
  return {
    keys,
    exposed: exposed === 0
      ? undefined
      : `others than their owner may read ${exposed} of the ${keys.size} keys in ${name}; chmod 600 ${files}`,
  };
}

/** Returns the names in a folder without those that begin with a dot. @throws Failure (configuration) */
function namesIn(name: string, path: string): string[] {
  const names: string[] = [];
  try {
    const entries = opendirSync(path);
    try {
      for (let entry = entries.readSync(); entry && names.length <= MAX_KEYS; entry = entries.readSync()) {
        if (!entry.name.startsWith(".")) names.push(entry.name);
      }
    } finally {
      entries.closeSync();
    }
  } catch (error) {
    throw new Failure(`${name}: cannot be read: ${messageOf(error)}`, EXIT.CONFIG, { cause: error });
  }
  if (names.length > MAX_KEYS) throw new Failure(`${name}: more than ${MAX_KEYS} keys do not fit`, EXIT.CONFIG);
  return names.sort();
}

/** Returns what is kept of a key, and the permissions of its file. */
function padsAt(name: string, path: string, toPads: ToPads): { readonly pads: Uint8Array; readonly mode: number } {
  const key = readKey(name, path);
  const pads = toPads(key);
  key.fill(0);
  return { pads, mode: (statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o777 };
}

/** Reads a key: a file's bytes without a line end at the end. @throws Failure (configuration) */
export function readKey(name: string, path: string): Buffer {
  // One line end more than the longest key.
  const bytes = readRegular(name, path, MAX_KEY + 2, "key");
  const key = bytes.subarray(0, bytes.length - (/\r?\n$/.exec(bytes.subarray(-2).toString("latin1"))?.[0].length ?? 0));
  if (key.length === 0) throw new Failure(`${name}: the file is empty; expected a key`, EXIT.CONFIG);
  if (key.length < MIN_KEY || key.length > MAX_KEY) {
    throw new Failure(`${name}: a key of ${key.length} bytes; expected ${MIN_KEY} to ${MAX_KEY}`, EXIT.CONFIG);
  }
  return key;
}
