// Exports everything that the host may call. The layout of the memory needs no export: both compilers read it in abi/.

export { respond } from "./batch";
export { refused } from "./cut";
export { prepare, reap, unsubmitted } from "./ring";
export { stamp } from "./udp/stamp";
