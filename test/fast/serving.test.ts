/** Tests what a thread that serves has loaded when requests overlap. */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pino } from "pino";
import { Serving } from "../../src/net/serving.js";
import { PrefixList } from "../../src/prefix/list.js";
import { streamService, type StreamService } from "../../src/prefix/streams.js";
import * as libc from "../../src/sys/libc.js";
import { openWakePipe } from "../../src/sys/wakepipe.js";
import { ServiceCounts } from "../../src/telemetry/servicecounts.js";

test("a request that was given up changes nothing, though it ends after the next one", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pongd-serving-"));
  const handler = join(folder, "slow.mjs");
  writeFileSync(handler, "await globalThis.opened;\nexport default (socket) => socket.end();\n");
  let open: (() => void) | undefined;
  Object.assign(globalThis, { opened: new Promise<void>((resolve) => { open = resolve; }) });
  const slow = streamService("slow", { tcp: { handler, version: "1" } });
  const good = streamService("good", { caller: 0 });
  let closed = 0;
  const answers = new EventEmitter();
  const { readFd, writeFd } = openWakePipe("of a test");
  const serving = new Serving({
    thread: 0, wakeFd: readFd, counts: new ServiceCounts(), log: pino({ level: "silent" }),
    post: (message) => { if (message.kind === "prepared") answers.emit(`${message.request}`, message.failures); },
    own: ({ does }) => "caller" in does
      ? { allowHalfOpen: true, take: () => undefined, close: () => { closed++; } }
      : undefined,
  });
  const prepare = (request: number, ...services: StreamService[]) => {
    const answer = once(answers, `${request}`);
    serving.take({ kind: "prepare", request, services: services.map((service, counted) => ({ service, counted })) });
    return answer;
  };
  const use = (request: number) => {
    serving.take({ kind: "use", request, prefixes: PrefixList.of([]).buffer, logLevel: "info" });
  };
  try {
    const first = prepare(1, slow);
    assert.deepEqual(await prepare(2, good), [[]]);
    open?.();
    assert.deepEqual(await first, [[]]);
    use(2);
    assert.equal(closed, 0, "the service that is used was dropped for the other");
    await prepare(3);
    use(3);
    await prepare(4);
    use(4);
    assert.equal(closed, 1);
  } finally {
    serving.end();
    libc.close(writeFd);
    rmSync(folder, { recursive: true });
  }
});
