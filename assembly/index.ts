// Everything the host may call. The geometry of the memory is no export: both compilers read it in src/abi.ts.

export { input as respond } from "./input";
export { prepare, reap, unsubmitted } from "./ring";
