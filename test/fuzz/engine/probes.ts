/**
 * Puts a probe on every branch of a built module, or into every function. What runs sets bits in globals of the
 * module's own, so that the linear memory stays as it is. `fresh()`, an export of the result, says how many bits were
 * set for the first time.
 */
import binaryen from "binaryen";

export interface Probed {
  readonly wasm: Uint8Array<ArrayBuffer>;
  /** The function that each probe is in. */
  readonly probes: readonly string[];
}

export type Fresh = () => number;
/** Bit `i & 63` of global `i >> 6` is 1 if probe i was run through. */
export type Hits = Record<`hits${number}`, WebAssembly.Global<"i64">>;

/** Matches a line of flat text that begins code which may be passed by. */
const BRANCH = /^\s*(?:if|else|loop|br_if)\b/;
const FUNCTION = /^ \(func \$(\S+?)\)?(?= |$)/;

export function probed(wasm: Uint8Array, where: "branches" | "functions"): Probed {
  const source = binaryen.readBinary(wasm);
  const lines = source.emitStackIR().split("\n");
  source.dispose();
  const probes: string[] = [];
  const probe = (name: string) => {
    const bit = probes.push(name) - 1;
    const global = `$hits${bit >> 6}`;
    return `global.get ${global} i64.const ${1n << BigInt(bit & 63)} i64.or global.set ${global}`;
  };
  let entered = "";
  let pending = false;
  const text: string[] = [];
  for (const line of lines) {
    const name = FUNCTION.exec(line)?.[1];
    // The probe of a function goes behind its locals.
    if (pending && !/^ {2}\(local /.test(line)) {
      text.push(probe(entered));
      pending = false;
    }
    text.push(line);
    if (name !== undefined) {
      entered = name;
      pending = true;
    } else if (where === "branches" && BRANCH.test(line)) {
      text.push(probe(entered));
    }
  }
  const globals = Array.from({ length: Math.ceil(probes.length / 64) }, (_, i) => i);
  const declared = globals.map(
    (i) => `(global $hits${i} (export "hits${i}") (mut i64) (i64.const 0)) (global $seen${i} (mut i64) (i64.const 0))`,
  );
  const counted = globals.map((i) => `
    global.get $hits${i} global.get $seen${i} i64.const -1 i64.xor i64.and i64.popcnt i32.wrap_i64 i32.add
    global.get $hits${i} global.set $seen${i}`);
  const fresh = `(func (export "fresh") (result i32) i32.const 0 ${counted.join("")})`;
  const end = text.findLastIndex((line) => line.startsWith(")"));
  const module = binaryen.parseText([...text.slice(0, end), ...declared, fresh, ")"].join("\n"));
  module.setFeatures(binaryen.Features.All);
  try {
    return { wasm: Uint8Array.from(module.emitBinary()), probes };
  } finally {
    module.dispose();
  }
}
