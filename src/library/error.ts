/** What pongd's library rejects with. */
import { EXIT, type Failure } from "../base/failure.js";

/** The codes of errors, and what each means. */
export type PongdErrorCode
  /** The configuration is wrong; the message has a line for each thing that is. */
  = | "ERR_PONGD_CONFIG"
    /** A right is missing, or the device is, or a native binary for this machine. */
    | "ERR_PONGD_PERMISSION"
    /** Something failed while it started or ran. */
    | "ERR_PONGD_RUNTIME"
    /** A port is no port, or has a service already, or its prefix is none of pongd's. */
    | "ERR_PONGD_PORT"
    /** There is no address of pongd's from which to connect to that family. */
    | "ERR_PONGD_ADDRESS"
    /** Connections cannot be opened with several queues. */
    | "ERR_PONGD_QUEUES"
    /** pongd is closed, or closes. */
    | "ERR_PONGD_CLOSED";

/** An error of pongd's own. Those of a connection are as the kernel's sockets have them: ECONNREFUSED, ETIMEDOUT … */
export class PongdError extends Error {
  override readonly name = "PongdError";
  readonly code: PongdErrorCode;
  /** How to mend it, if that is known; the message ends with it. */
  readonly mend: string | undefined;

  constructor(code: PongdErrorCode, message: string, options: { mend?: string | undefined; cause?: unknown } = {}) {
    const { mend, cause } = options;
    super(mend === undefined ? message : `${message}; ${mend}`, cause === undefined ? {} : { cause });
    this.code = code;
    this.mend = mend;
  }
}

/** A PongdError's parts, as they go from thread to thread. */
export interface Failed {
  readonly code: PongdErrorCode;
  readonly message: string;
  readonly mend: string | undefined;
}

/** Returns the parts of a Failure. */
export function failedOf({ what, mend, exitStatus }: Failure): Failed {
  const code = exitStatus === EXIT.RUNTIME
    ? "ERR_PONGD_RUNTIME"
    : exitStatus === EXIT.PERMISSION ? "ERR_PONGD_PERMISSION" : "ERR_PONGD_CONFIG";
  return { code, message: what, mend };
}

export function errorOf({ code, message, mend }: Failed): PongdError {
  return new PongdError(code, message, { mend });
}

/** Returns the error of whoever asks something of a pongd that is closed. */
export function isClosed(): PongdError {
  return new PongdError("ERR_PONGD_CLOSED", "pongd is closed");
}
