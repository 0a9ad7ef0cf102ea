// Work that is due without a packet: what each kind of timer stands for.

import { Drop } from "../abi/counters";
import { Timer } from "../abi/timers";
import { arrived, returned } from "./carryout";
import { cut } from "./cut";
import { ipv4Expired } from "./judge/ipv4";
import { ipv6Expired } from "./judge/ipv6";
import { release } from "./kept";
import { room } from "./memory";
import { family } from "./packet";
import * as reassembly from "./reassembly";
import { sweep } from "./tcp/sweep";
import { fire } from "./tcp/timer";
import * as timewait from "./tcp/timewait";
import * as timers from "./timers";
import * as irtt from "./udp/irtt/sessions";
import * as sessions from "./udp/sessions";

/** Timers of a round. The others are due at once in the next one, so that packets are not kept waiting. */
const AT_ONCE = 1024;

/** Does what is due, as far as TO_SEND has room for it. What is left over is due at once in the next call. */
export function expire(): void {
  for (let count = 0; count < AT_ONCE && room(); count++) {
    const timer = timers.expired();
    if (!timer) return;
    switch (timers.kind(timer)) {
      case Timer.kept: release(timer); break;
      case Timer.arriving: arrived(timer); break;
      case Timer.returning: returned(timer); break;
      case Timer.refused: cut(timer); break;
      case Timer.connection: fire(timer); break;
      case Timer.wait: timewait.expire(); break;
      case Timer.sweep: sweep(); break;
      case Timer.sessions: sessions.sweep(); break;
      case Timer.irtt: irtt.sweep(); break;
      default: giveUp(timer);
    }
  }
}

/** Gives up a datagram that did not become whole in time. If the first fragment came, its sender is told. */
function giveUp(buffer: usize): void {
  const header = reassembly.header(buffer);
  const packet = reassembly.context(buffer);
  if (header) {
    if (family(packet) == 6) ipv6Expired(packet, header);
    else ipv4Expired(packet, header);
  }
  reassembly.drop(buffer, Drop.frag_reasm_timeout);
}
