// Everything the host may call. The geometry of the memory is no export: both compilers read it in src/abi.ts.

export { input as respond } from "./input";
export { queueReads, queueWake, queueWrites, reap, unsubmitted } from "./ring";
