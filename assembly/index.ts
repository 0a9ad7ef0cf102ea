// Everything the host may call. The geometry of the memory is no export: both compilers read it in abi/.

export { respond } from "./batch";
export { prepare, reap, unsubmitted } from "./ring";
