/** Makes tests of scripts: each is played to the engine over IPv4 and IPv6. */
import { describe, test } from "node:test";
import { TcpHost, type Family } from "./tcphost.js";
import { play, type Script } from "./tcpscript.js";
import { checkState } from "./tcpstate.js";

export function playAll(topic: string, scripts: readonly Script[]): void {
  describe(topic, () => {
    for (const script of scripts) {
      for (const family of [4, 6] as const satisfies readonly Family[]) {
        if ((script.only ?? family) !== family) continue;
        test(`IPv${family}: ${script.name}`, async () => {
          const host = await TcpHost.create();
          play(script, family, host);
          checkState(host.rig);
        });
      }
    }
  });
}
