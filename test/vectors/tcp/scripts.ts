/** Lists all scripts of TCP by what they are about. */
import type { Script } from "../../support/tcpscript.js";
import { ACKS } from "./ack.js";
import { CHECKSUM } from "./checksum.js";
import { CLOSE } from "./close.js";
import { HANDSHAKE } from "./handshake.js";
import { ICMP } from "./icmp.js";
import { OPTIONS } from "./options.js";
import { RESET } from "./reset.js";
import { RETRANSMIT } from "./retransmit.js";
import { SERVICES } from "./services.js";
import { WINDOW } from "./window.js";

export const SCRIPTS: readonly Script[] = [
  HANDSHAKE, OPTIONS, RESET, CLOSE, ACKS, CHECKSUM, SERVICES, WINDOW, RETRANSMIT, ICMP,
].flat();
