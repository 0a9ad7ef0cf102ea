import { EXIT, Failure, messageOf } from "../base/failure.js";

/**
 * Loads a module that needs the FFI.
 * @throws Failure if the FFI has no binary for this machine.
 */
export async function load<T>(module: Promise<T>): Promise<T> {
  try {
    return await module;
  } catch (error) {
    throw new Failure(
      `pongd does not load here: ${messageOf(error).split("\n")[0]}`,
      EXIT.PERMISSION,
      { mend: "npm ci --include=optional, or see: pongd doctor", cause: error },
    );
  }
}
