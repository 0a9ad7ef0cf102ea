/** Rows that many scripts have. */
import assert from "node:assert/strict";
import { Drain } from "../../../abi/tcp.js";
import { TcpHost } from "../../support/tcphost.js";
import type { Row } from "../../support/tcpscript.js";
import { stateOf } from "../../support/tcpstate.js";

/** Opens a connection without options but an MSS of 1000. */
export const OPEN: readonly Row[] = opened("mss 1000");

/** Opens a connection with these options. */
export function opened(options: string, win = 65535): readonly Row[] {
  const last = options.includes("TS") ? " <TS val 100 ecr last>" : "";
  return [
    [0, "<", `S 0:0(0) win ${win} <${options}>`],
    [0, ">", "S. 0:0(0) ack 1"],
    [0, "<", `. 1:1(0) ack 1 win ${win}${last}`],
  ];
}

/** Shows that the connection lives: a segment before the window is answered by an acknowledgement. */
export function alive(first: number, ack: number): readonly Row[] {
  return [[0, "<", `. 0:0(0) ack ${ack}`], [0, ">", `. ${ack}:${ack}(0) ack ${first}`]];
}

/** Shows that there is no connection any more: an acknowledgement is answered by a reset. */
export function gone(first: number, ack: number): readonly Row[] {
  return [[0, "<", `. ${first}:${first}(0) ack ${ack}`], [0, ">", `R ${ack}:${ack}(0)`]];
}

/** Has pongd close its connections, which no service does by itself: FIN comes with the next tick. */
export const CLOSING: Row = [0, "?", ({ stage }) => {
  assert.ok(stage instanceof TcpHost);
  stage.rig.linear.drain(Drain.close);
  stage.inject();
}];

/** Shows that nothing is left but a TIME-WAIT record, as a connection that has both FINs acknowledged leaves one. */
export const WAITS: Row = [0, "?", ({ stage }) => {
  assert.ok(stage instanceof TcpHost);
  const { connections, waits } = stateOf(stage.rig);
  assert.deepEqual([connections, waits], [0, 1], "connections and TIME-WAIT records");
}];
