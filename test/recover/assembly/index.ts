// The sending side of TCP by itself, over a memory whose blocks and segments a test writes.

export { acknowledge, allowance, begin, end, expired, lost, narrower, sent } from "../../../assembly/tcp/recover";
export { timeout } from "../../../assembly/tcp/rtt";
export { parse } from "../../../assembly/tcp/segment";
